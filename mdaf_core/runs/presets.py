"""The presets: the configurations that the models' files list, with how each is trained."""

from __future__ import annotations

from mdaf_core.base.errors import UsageError
from mdaf_core.models import registry
from mdaf_core.models.base import Preset
from mdaf_core.runs.config import RunConfig, TrainingConfig


def preset_names() -> list[str]:
    return list(registry.presets())


def describe(name: str) -> str:
    """One line on a preset."""
    return _found(name).title


def get_preset(name: str) -> RunConfig:
    """A fresh configuration.

    Raises:
        UsageError: unknown name; the message lists the known ones.
    """
    preset = _found(name)
    training = TrainingConfig.model_validate(preset.training)
    return RunConfig(name=name, preset=name, model=preset.model.model_copy(deep=True), training=training)


def _found(name: str) -> Preset:
    known = registry.presets()
    if name not in known:
        raise UsageError(f"There is no preset {name!r}. Known: {', '.join(known)}.")
    return known[name]
