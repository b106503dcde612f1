"""The settings of a configuration one by one, as a form shows and changes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mdaf_core.base.errors import UsageError
from mdaf_core.forms.fields import Field, fields, refusals
from mdaf_core.models.registry import require_known
from mdaf_core.runs.config import InvalidSettings, RunConfig


def settings(config: RunConfig) -> list[Field]:
    """All settings of a configuration, the training's first, with their present values."""
    return [*fields(config.training, "training"), *fields(config.model, "model")]


def apply(start: RunConfig, changes: Mapping[str, Any]) -> tuple[RunConfig, dict[str, str]]:
    """`start` with those changes that are valid, and why each of the others is not.

    Args:
        changes: path → value, as typed; a change of a `kind` before what belongs to the new kind.

    Returns:
        The configuration, and path → sentence in the words of the form.
    """
    kept = dict(changes)
    refused: dict[str, str] = {}
    while True:
        try:
            return start.with_overrides(kept), refused
        except InvalidSettings as error:
            named = {path: said for path, said in refusals(error.problems, kept, settings(start)).items() if path}
        except UsageError as error:  # a setting that is there no more
            named = {path: str(error) for path in kept if path in str(error)}
        if not named:  # nothing that was changed: the start itself is not valid
            require_known(start.model)
            raise UsageError(f"{start.name} cannot be changed like this: {', '.join(kept)}.")
        refused |= named
        kept = {path: value for path, value in kept.items() if path not in named}
