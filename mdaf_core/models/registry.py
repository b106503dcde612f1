"""From a configuration to its network. Classes are imported when built: reading this file does not load torch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mdaf_core.base.errors import StudioError
from mdaf_core.data.store.schema import FeatureSpec
from mdaf_core.models.config import ModelConfig, ModelSettings, SequenceConfig

if TYPE_CHECKING:
    from mdaf_core.models.base import CTRModel
    from mdaf_core.models.history import HistoryEncoder


def build_model(config: ModelConfig | ModelSettings, features: FeatureSpec) -> CTRModel:
    """A freshly initialised model (from torch's global random state) for a data set with these fields.

    Raises:
        StudioError: the configuration is not a neural network, or the data lack what the model reads (histories, or
            any field at all).
    """
    if not config.network:
        raise StudioError("Trees are grown by LightGBM and are no neural network: they have no parameters to build.")
    model: CTRModel = _named(config.network)(config, features)
    model.reads_history, model.gated = config.reads_history, config.gated
    return model


def build_encoder(config: SequenceConfig, features: FeatureSpec) -> HistoryEncoder:
    """The part of a history model that turns a batch into one vector a row.

    Raises:
        StudioError: the data set has no histories.
    """
    encoder: HistoryEncoder = _named(config.encoder)(config, features)
    return encoder


def _named(path: str) -> Any:
    module, name = path.split(":")
    return getattr(import_module(module), name)
