"""The presets: the configurations that the models' files list, with how each is trained."""

from __future__ import annotations

from pydantic import ValidationError

from mdaf_core.base import notices
from mdaf_core.base.entries import known_entry
from mdaf_core.base.errors import UsageError
from mdaf_core.base.validation import describe_validation_error
from mdaf_core.models import registry
from mdaf_core.models.base import Preset
from mdaf_core.runs.config import RunConfig, TrainingConfig


def preset_names() -> list[str]:
    """Of all that can be used; a plug-in's whose training settings are not valid is noted."""
    return [name for name, preset in registry.presets().items() if _usable(preset)]


def _usable(preset: Preset) -> bool:
    try:
        TrainingConfig.model_validate(preset.training)
    except ValidationError as error:
        notices.add(describe_validation_error(error, f"Preset {preset.name} cannot be used"))
        return False
    return True


def describe(name: str) -> str:
    """One line on a preset."""
    return known_entry(name, registry.presets(), "is no preset").title


def get_preset(name: str) -> RunConfig:
    """A fresh configuration.

    Raises:
        UsageError: unknown name; the message lists the known ones.
    """
    preset = known_entry(name, registry.presets(), "is no preset")
    if not _usable(preset):
        raise UsageError(f"The training settings of preset {name!r} are not valid: its file must be corrected.")
    training = TrainingConfig.model_validate(preset.training)
    return RunConfig(name=name, preset=name, model=preset.model.model_copy(deep=True), training=training)
