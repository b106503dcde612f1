"""Every model there is: the files of this folder and plug-ins, found here. Reading this folder does not load torch.

A file is a model's where it defines a `ModelSettings` with a `kind`; its `PRESETS` are configurations to start from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, core_schema

import mdaf_core.models as folder
from mdaf_core import plugins
from mdaf_core.base import notices
from mdaf_core.base.errors import StudioError
from mdaf_core.base.validation import describe_validation_error
from mdaf_core.data.store.schema import FeatureSpec
from mdaf_core.models.base import ModelSettings, Preset

if TYPE_CHECKING:
    from mdaf_core.models.base import CTRModel

_SHARED = {
    *("affinity", "base", "co_occurrence", "history", "layered", "layers"),
    *("registry", "searched", "space", "summary", "weights"),
}
"""Files of the folder that hold no model of their own."""


STRICT = "strict"
"""Context of a validation of what somebody sets now, see `read`."""


class UnknownModel(ModelSettings):
    """What a stored run or study holds of a model that is not known now; its settings are kept as they are."""

    model_config = ConfigDict(extra="allow")

    @property
    def lacks_gate(self) -> str:
        return f"is of a model that is not known here ({self.kind}), so it is not known whether it has a g"


class UnknownGatedModel(UnknownModel):
    """One whose run left a g behind."""

    @property
    def lacks_gate(self) -> str:
        return ""


class ByKind:
    """Marks a field of a configuration that holds a model: any that there is, of the field's class, by its `kind`."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            lambda value, info: read(value, source, strict=info.context == STRICT)
        )

    def variants(self, of: type[ModelSettings]) -> list[str]:
        """What a form offers for the field: the kinds of models of its class."""
        return list(models(of))


@dataclass(frozen=True)
class _All:
    """What there is now.

    Attributes:
        models: kind → configuration: those that read no history, then those that do, each by name; then plug-ins'.
        files: kind → the plug-in that defines it.
        problems: why something in a plug-in cannot be used, a sentence each.
    """

    models: dict[str, type[ModelSettings]]
    presets: dict[str, Preset]
    files: dict[str, Path]
    problems: tuple[str, ...]


def models(of: type[ModelSettings] = ModelSettings) -> dict[str, type[ModelSettings]]:
    """Kind → configuration.

    Args:
        of: only those of this class (`SequenceConfig`: what can be a sequential branch).
    """
    return dict(_of_class(plugins.loaded(), of))


@lru_cache(maxsize=64)
def _of_class(loaded: tuple[plugins.Plugin, ...], of: type[ModelSettings]) -> dict[str, type[ModelSettings]]:
    """Kept, for a list of a thousand studies asks several thousand times."""
    return {kind: config for kind, config in _gather(loaded).models.items() if issubclass(config, of)}


def presets() -> dict[str, Preset]:
    """Every preset by its name, in the order of the models. What is wrong with plug-ins is noted."""
    plugins.tell()
    found = _all()
    for problem in found.problems:
        notices.add(problem)
    return found.presets


def plugins_of(config: ModelSettings) -> list[plugins.Plugin]:
    """The plug-ins that a model, or a part of it, comes from."""
    return [plugin for plugin in plugins.loaded() if plugin in plugged(config).values()]


def plugged(config: ModelSettings) -> dict[str, plugins.Plugin]:
    """The kinds of a model and of its parts that come from plug-ins, with the plug-in of each."""
    kinds = [config.kind, *(part.kind for _, part in config if isinstance(part, ModelSettings))]
    by_file, files = {plugin.file: plugin for plugin in plugins.loaded()}, _all().files
    return {kind: by_file[files[kind]] for kind in kinds if files.get(kind) in by_file}


def _all() -> _All:
    return _gather(plugins.loaded())


@lru_cache(maxsize=8)
def _gather(_loaded: tuple[plugins.Plugin, ...]) -> _All:
    own = {c.model_fields["kind"].default: c for file in _files() for c in _own(file)}
    known = {kind: own[kind] for kind in sorted(own, key=lambda kind: (own[kind].reads_history, kind)) if kind}
    order = dict.fromkeys(config.__module__ for config in known.values())
    presets = {preset.name: preset for name in order for preset in getattr(import_module(name), "PRESETS", ())}
    built_in, files, problems = set(known), {}, []
    offered = plugins.objects("models")
    for found in offered:
        config, kind = found.object, found.object.model_fields["kind"].default
        if any(other.object is not config and issubclass(other.object, config) for other in offered) and not kind:
            continue  # a base of others
        if wrong := _unusable(config, kind, known):
            problems.append(f"{found.place}: {wrong}")
        else:
            known[kind], files[kind] = config, found.file
    for found in plugins.objects("presets"):
        if found.object.name in presets:
            problems.append(f"{found.place}: the name {found.object.name!r} is another preset's. Give yours another.")
        elif found.object.model.kind in known:
            presets[found.object.name] = found.object
    for kind in known.keys() - built_in - {preset.model.kind for preset in presets.values()}:
        title = (known[kind].__doc__ or kind).strip().split("\n")[0].rstrip(".")
        presets.setdefault(kind, Preset(kind, title, known[kind]()))
    return _All(known, presets, files, tuple(problems))


def _unusable(config: type[ModelSettings], kind: Any, known: Mapping[str, Any]) -> str:
    """Why a plug-in's configuration cannot be used, as the rest of a sentence; empty where it can."""
    name = config.__name__
    if not isinstance(kind, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,40}", kind):
        return f'{name} has no name of its own: give it one, such as kind: Literal["my-model"] = "my-model".'
    if kind in known:
        return f"{name} has the kind {kind!r}, which is another model's. Give yours another."
    try:
        model = config()
        if not model.grown:
            model.declared("network")
        if hasattr(model, "encoder"):
            model.declared("encoder")
        if not isinstance(model.lacks_gate, str):
            raise TypeError("lacks_gate must be a text: why it has no g, empty where it has one")
    except ValidationError as error:
        return describe_validation_error(error, f"{name} needs a default for every setting")
    except Exception as error:
        return f"{name}: {type(error).__name__}: {error}".removeprefix(f"{name}: StudioError: ")
    return ""


@cache
def _files() -> tuple[ModuleType, ...]:
    names = [info.name for info in iter_modules(folder.__path__) if info.name not in _SHARED]
    return tuple(import_module(f"{folder.__name__}.{name}") for name in names)


def _own(file: ModuleType) -> list[type[ModelSettings]]:
    """The configurations that a file defines itself."""
    defined = [value for value in vars(file).values() if isinstance(value, type) and value.__module__ == file.__name__]
    return [value for value in defined if issubclass(value, ModelSettings)]


def read(value: Any, of: type[ModelSettings] = ModelSettings, strict: bool = False) -> ModelSettings:
    """Settings as a model. A kind that is not known is an `UnknownModel`, and so are settings that a plug-in no longer
    takes, unless `strict`: what was stored stays readable, and whether it will do is the reader's to say.

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
    try:
        return config.model_validate(value, context=STRICT if strict else None)
    except ValidationError:
        if strict or kind not in _all().files:
            raise
        return UnknownModel.model_validate(value)


def recorded(kind: str, settings: dict[str, Any], has_gate: Callable[[], bool] = lambda: False) -> ModelSettings:
    """The model of a run as it was recorded, to be asked what it is: not validated, since other versions of the program
    may have had other settings. Of a kind that is not known now no fact is known, but what its run left behind.

    Args:
        has_gate: whether there is a g among that; asked for unknown kinds alone.
    """
    found = models().get(kind) or (UnknownGatedModel if has_gate() else UnknownModel)
    return found.model_construct(**{"kind": kind, **settings})


def require_known(config: ModelSettings) -> None:
    """Raise a StudioError if a model, or a part of it, is of a kind that is not known now."""
    for part in (config, *(value for _, value in config)):
        if isinstance(part, UnknownModel) and part.kind in models():
            try:
                models()[part.kind].model_validate(part.model_dump())
            except ValidationError as error:
                raise StudioError(
                    describe_validation_error(error, f"Plug-in {_all().files[part.kind]} takes other settings now")
                ) from None
        elif isinstance(part, UnknownModel):
            raise StudioError(
                f"There is no model {part.kind!r} here. Known: {', '.join(models())}. A plug-in's is named by --plugin "
                f"or {plugins.VARIABLE}." + "".join(f" {fault}" for fault in [*plugins.faults(), *_all().problems])
            )


def build_model(config: ModelSettings, features: FeatureSpec) -> CTRModel:
    """A freshly initialised model (from torch's global random state) for a data set with these fields.

    Raises:
        StudioError: the configuration is not a neural network, or the data lack what the model reads (histories, or
            any field at all).
    """
    require_known(config)
    if not config.network:
        raise StudioError("Trees are grown by LightGBM and are no neural network: they have no parameters to build.")
    if config.reads_history and not features.history:
        without = [kind for kind, other in models().items() if not other.reads_history]
        raise StudioError(
            "The data set has no histories, and this model reads them. Choose one of "
            f"{', '.join(without)}, or prepare the data with a user and a time column."
        )
    from mdaf_core.models.base import CTRModel, GatedModel
    from mdaf_core.ops.products import float32_products

    float32_products()
    model = config.declared("network")(config, features)
    wanted = GatedModel if config.gated else CTRModel
    if not isinstance(model, wanted):
        raise StudioError(f"The network of {config.kind!r} must be a {wanted.__name__}; {config.network} is none.")
    if plugins_of(config):
        model.register_forward_hook(_require_output)
    model.reads_history, model.gated, model.causal = config.reads_history, config.gated, config.causal
    return model


def _require_output(model: CTRModel, inputs: tuple[Any, ...], output: Any) -> None:
    """A plug-in's network answers as the program reads it, or it is said where it does not."""
    from mdaf_core.models.base import Output

    rows = len(inputs[0])
    if isinstance(output, Output) and tuple(output.logit_B.shape) == (rows,):
        return
    code = type(model).forward.__code__
    got = f"logit_B of shape {tuple(output.logit_B.shape)}" if isinstance(output, Output) else type(output).__name__
    raise plugins.PluginError(
        f"Plug-in {code.co_filename}, line {code.co_firstlineno}: forward must return an Output whose logit_B has one "
        f"number a row, here {rows}; it returned {got}."
    )
