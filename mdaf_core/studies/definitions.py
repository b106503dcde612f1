"""The studies that come with the program, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mdaf_core.errors import UsageError
from mdaf_core.training.config import RunConfig
from mdaf_core.training.presets import get_preset


@dataclass(frozen=True)
class Definition:
    """What is compared with what.

    Attributes:
        name: as `study run` takes it.
        title: one line for people.
        presets: the configurations, by the preset each starts from.
        reference: the configuration all others are compared with.
        seeds: used where the user names none.
        overrides: settings changed in every configuration that has them (path → value).
        criteria: names of criteria presets (`evaluation.criteria`).
    """

    name: str
    title: str
    presets: tuple[str, ...]
    reference: str
    seeds: tuple[int, ...] = (42, 43, 44, 45, 46)
    overrides: dict[str, Any] = field(default_factory=dict)
    criteria: tuple[str, ...] = ()


_DEFINITIONS = (
    Definition(
        name="report-ablations",
        title="The report's ablations: the full model, its branches alone, BST as branch, and the baselines",
        presets=(
            *("mdaf-full", "mdaf-static", "mdaf-sequential", "mdaf-bst"),
            *("bst", "autoint", "dcnv2", "gbdt", "lr"),
        ),
        reference="mdaf-full",
        criteria=("report", "mdaf-levels"),
    ),
    Definition(
        name="fusion-ablations",
        title="How the branches are fused: a gate, concatenation, a fixed gate, a gate a dimension, attention",
        presets=("mdaf-full", "mdaf-concat", "mdaf-fixed-gate", "mdaf-gate-vector", "mdaf-attention"),
        reference="mdaf-full",
        criteria=("mdaf-levels",),
    ),
    Definition(
        name="regularisation",
        title="Mamba4Rec with the report's first settings (v1) against the regularised ones (v2)",
        presets=("mamba4rec-v2", "mamba4rec-v1"),
        reference="mamba4rec-v2",
        criteria=("report",),
    ),
    Definition(
        name="demo",
        title="Demo: the full model, its branches alone and two baselines, trained briefly",
        presets=("mdaf-full", "mdaf-static", "mdaf-sequential", "dcnv2", "lr"),
        reference="mdaf-full",
        seeds=(42, 43),
        overrides={"training.max_epochs": 4, "training.warmup_epochs": 1, "training.batch_size": 512},
        criteria=("report",),
    ),
)


def definition_names() -> list[str]:
    return [definition.name for definition in _DEFINITIONS]


def get_definition(name: str) -> Definition:
    """A definition by its name.

    Raises:
        UsageError: unknown name; the message lists the known ones.
    """
    for definition in _DEFINITIONS:
        if definition.name == name:
            return definition
    raise UsageError(f"There is no study definition {name!r}. Known: {', '.join(definition_names())}.")


def configurations(definition: Definition) -> list[RunConfig]:
    """The definition's configurations, its overrides applied."""
    return [get_preset(name).with_overrides(definition.overrides) for name in definition.presets]
