"""What is to be examined: the models of a plug-in's file, or one of the program's by the name of a preset or kind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.base.validation import describe_validation_error
from mdaf_core.models.base import ModelSettings
from mdaf_core.models.registry import models, presets
from mdaf_core.plugins.load import Plugin, load_file


@dataclass(frozen=True)
class Examined:
    """A model to be examined.

    Attributes:
        name: as results name it; plugin: what defines it, where that is not the program.
    """

    name: str
    config: ModelSettings
    plugin: Plugin | None = None


def models_named(target: str) -> list[Examined]:
    """The models of a file (`my_model.py`), or the one of a preset or of a kind of model.

    Raises:
        UsageError: there is neither such a file nor such a name.
        StudioError: the file cannot be imported, or holds no model.
    """
    if target in presets():
        return [Examined(target, presets()[target].model)]
    if target in models():
        return [Examined(target, models()[target]())]
    path = Path(target).expanduser()
    if not path.is_file():
        known = f"Presets: {', '.join(presets())}. Models: {', '.join(models())}."
        raise UsageError(f"There is no file, preset or model {target!r}. {known}")
    return models_of_file(path)


def models_of_file(path: Path) -> list[Examined]:
    """The models that a file defines: each class derived from `ModelSettings` that has a kind, with its defaults.

    Raises:
        StudioError: the file cannot be imported, holds no model, or a configuration has no defaults.
    """
    plugin = load_file(path.absolute())
    if plugin.fault:
        raise StudioError(plugin.fault)
    found = []
    for name, value in plugin.values:
        if not (isinstance(value, type) and issubclass(value, ModelSettings) and value.__module__ == plugin.module):
            continue
        try:
            config = value()
        except ValidationError as error:
            said = describe_validation_error(error, f"{name}() cannot be made with its defaults")
            raise StudioError(f"Plug-in {path}, line {plugin.line_of(name)}: {said}") from None
        if config.kind:
            found.append(Examined(config.kind, config, plugin))
    if not found:
        raise StudioError(f"Plug-in {path} defines no model: a class derived from ModelSettings with a kind.")
    return found
