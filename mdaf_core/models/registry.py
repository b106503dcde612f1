"""Which class each configuration builds. Classes are imported when built: reading this file does not load torch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from mdaf_core.data.schema import FeatureSpec
from mdaf_core.errors import StudioError
from mdaf_core.models.config import NEEDS_HISTORY, ModelConfig

if TYPE_CHECKING:
    from mdaf_core.models.base import CTRModel

MODELS: dict[str, tuple[str, str]] = {
    "lr": ("mdaf_core.models.lr", "LogisticRegression"),
    "autoint": ("mdaf_core.models.autoint", "AutoInt"),
    "dcnv2": ("mdaf_core.models.dcnv2", "DCNv2"),
    "dcnv3": ("mdaf_core.models.dcnv3", "DCNv3"),
    "bst": ("mdaf_core.models.bst", "BST"),
    "mamba4rec": ("mdaf_core.models.mamba4rec", "Mamba4Rec"),
    "mdaf": ("mdaf_core.models.mdaf", "MDAF"),
}


def is_neural(config: ModelConfig) -> bool:
    """Whether `build_model` knows this configuration; `gbdt` is trained by `mdaf_core.training.gbdt` instead."""
    return config.kind in MODELS


def build_model(config: ModelConfig, features: FeatureSpec) -> CTRModel:
    """A freshly initialised model (from torch's global random state) for a data set with these fields.

    Raises:
        StudioError: the configuration is not a neural network, or the data lack what the model reads (histories, or
            any field at all).
    """
    if not is_neural(config):
        raise StudioError(f"{config.kind!r} is not a neural network: it is fitted by LightGBM and has no parameters.")
    module, name = MODELS[config.kind]
    model: CTRModel = getattr(import_module(module), name)(config, features)
    model.reads_history = config.kind in NEEDS_HISTORY
    return model
