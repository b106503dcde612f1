"""Arguments and options that several commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mdaf_core.metrics.registry import in_bp, named

if TYPE_CHECKING:
    from mdaf_core.analysis.margins import Margin


EvaluatedSplit = Literal["val", "test"]
"""Splits that runs leave predictions of."""


StudyId = Annotated[str, typer.Argument(metavar="STUDY", help="A study's id.")]
DataOption = Annotated[str, typer.Option("--data", help="Name of a prepared data set.")]
SettingsOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of every configuration that has it."),
]
OnlyOption = Annotated[str | None, typer.Option(help="Only these configurations, e.g. mdaf-full,lr.")]
AcknowledgeOption = Annotated[
    list[str] | None, typer.Option(metavar="ID", help="Accept a failed audit check by its id.")
]
SplitOption = Annotated[
    EvaluatedSplit | None, typer.Option(help="Rows that the results are on; default: the study's plan.")
]
MetricOption = Annotated[
    str | None, typer.Option(help=f"To compare by: {named(keys=True)}; default: the study's plan.")
]
MarginOption = Annotated[
    str | None,
    typer.Option(
        "--margin",
        "--margin-bp",
        help=f"What counts as parity: bp of {named(in_bp)} (20), or a share of the reference's gain over the base "
        "rate (1%); none: parity is not tested. Default: the study's plan.",
    ),
]
ItemsOption = Annotated[
    bool, typer.Option("--items", help="Intervals cover other items as well as other users and seeds.")
]
DifferenceOption = Annotated[
    float | None, typer.Option(help="Difference in bp of the metric to find rows and seeds for.")
]


def names(text: str | None) -> list[str]:
    """`mdaf-full,lr` as its names; nothing is none."""
    return [name.strip() for name in text.split(",")] if text else []


def chosen_margin(text: str | None) -> Margin | str | None:
    """The margin of `--margin` as `studies.results.compare` takes it."""
    from mdaf_core.analysis.margins import parse_margin
    from mdaf_core.studies.results import PLANNED

    return PLANNED if text is None else parse_margin(text)
