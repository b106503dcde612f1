"""Every model there is: the files of this folder, found here. Reading them does not load torch.

A file is a model's where it defines a `ModelSettings` with a `kind`; its `PRESETS` are configurations to start from.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

import mdaf_core.models as folder
from mdaf_core.base.errors import StudioError
from mdaf_core.data.store.schema import FeatureSpec
from mdaf_core.models.base import ModelSettings, Preset

if TYPE_CHECKING:
    from mdaf_core.models.base import CTRModel

_SHARED = ("base", "history", "layers", "registry", "summary", "weights")
"""Files of the folder that hold no model of their own."""


class UnknownModel(ModelSettings):
    """What a stored run or study holds of a model that is not known now; its settings are kept as they are."""

    model_config = ConfigDict(extra="allow")

    @property
    def lacks_gate(self) -> str:
        return f"is of a model that is not known here ({self.kind}), so it is not known whether it has a g"


class ByKind:
    """Marks a field of a configuration that holds a model: any that there is, of the field's class, by its `kind`."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(lambda value: read(value, source))

    def variants(self, of: type[ModelSettings]) -> list[str]:
        """What a form offers for the field: the kinds of models of its class."""
        return list(models(of))


def models(of: type[ModelSettings] = ModelSettings) -> dict[str, type[ModelSettings]]:
    """Kind → configuration: those that read no history, then those that do, each by name.

    Args:
        of: only those of this class (`SequenceConfig`: what can be a sequential branch).
    """
    found = {c.model_fields["kind"].default: c for file in _files() for c in _own(file, ModelSettings)}
    ordered = sorted(found.items(), key=lambda item: (item[1].reads_history, item[0]))
    return {kind: config for kind, config in ordered if kind and issubclass(config, of)}


def presets() -> dict[str, Preset]:
    """Every preset by its name, in the order of the models."""
    files = dict.fromkeys(config.__module__ for config in models().values())
    listed = [preset for name in files for preset in getattr(import_module(name), "PRESETS", ())]
    return {preset.name: preset for preset in listed}


@cache
def _files() -> tuple[ModuleType, ...]:
    names = [info.name for info in iter_modules(folder.__path__) if info.name not in _SHARED]
    return tuple(import_module(f"{folder.__name__}.{name}") for name in names)


def _own(file: ModuleType, base: type[Any]) -> list[type[Any]]:
    """The classes of this kind that a file defines itself."""
    defined = [value for value in vars(file).values() if isinstance(value, type) and value.__module__ == file.__name__]
    return [value for value in defined if issubclass(value, base)]


def read(value: Any, of: type[ModelSettings] = ModelSettings) -> ModelSettings:
    """Settings as a model. A kind that is not known is an `UnknownModel`: whether it will do is the reader's to say.

    Raises:
        ValueError, ValidationError: these are no settings of a model of this class.
    """
    if isinstance(value, of | UnknownModel):
        return value
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str):
        raise ValueError("must be the settings of a model, with its kind")
    kind = value["kind"]
    config = models().get(kind, UnknownModel)
    if not issubclass(config, of | UnknownModel):
        raise ValueError(f"must be one of {', '.join(models(of))}; it is {kind!r}")
    return config.model_validate(value)


def recorded(kind: str, settings: dict[str, Any]) -> ModelSettings:
    """The model of a run as it was recorded, to be asked what it is: not validated, since other versions of the program
    may have had other settings. A kind that this version does not know has none of its facts."""
    return models().get(kind, UnknownModel).model_construct(**{"kind": kind, **settings})


def build_model(config: ModelSettings, features: FeatureSpec) -> CTRModel:
    """A freshly initialised model (from torch's global random state) for a data set with these fields.

    Raises:
        StudioError: the configuration is not a neural network, or the data lack what the model reads (histories, or
            any field at all).
    """
    if isinstance(config, UnknownModel):
        raise StudioError(f"There is no model {config.kind!r} here. Known: {', '.join(models())}.")
    if not config.network:
        raise StudioError("Trees are grown by LightGBM and are no neural network: they have no parameters to build.")
    if config.reads_history and not features.history:
        without = [kind for kind, other in models().items() if not other.reads_history]
        raise StudioError(
            "The data set has no histories, and this model reads them. Choose one of "
            f"{', '.join(without)}, or prepare the data with a user and a time column."
        )
    model: CTRModel = config.declared("network")(config, features)
    model.reads_history, model.gated, model.causal = config.reads_history, config.gated, config.causal
    return model
