"""`compare-scores`: models of any origin, by a file of their scores."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mdaf_core.cli.options import DifferenceOption, names
from mdaf_core.cli.output import emit
from mdaf_core.metrics.registry import in_bp, named

Kind = Literal["auto", "probabilities", "logits"]
"""What the numbers of a file of scores are."""


def command(
    file: Annotated[Path, typer.Argument(help="CSV (.csv, .tsv) or Parquet.")],
    reference: Annotated[str | None, typer.Option(help="Model to compare with; default: the first.")] = None,
    metric: Annotated[str, typer.Option(help=f"{named(keys=True)}.")] = "auc",
    margin: Annotated[
        str | None,
        typer.Option(
            help=f"What counts as parity: bp of {named(in_bp)} (20), or a share of the reference's gain over the "
            "base rate (1%). Without it parity is not tested."
        ),
    ] = None,
    label: Annotated[str, typer.Option(help="Column of labels, 0 or 1.")] = "label",
    user: Annotated[str | None, typer.Option(help="Column of users; default: `user` where there is one.")] = None,
    item: Annotated[str | None, typer.Option(help="Column of items; default: `item` where there is one.")] = None,
    models: Annotated[
        str | None, typer.Option(help="Only these models, e.g. dcn,lr; default: every other column.")
    ] = None,
    scores: Annotated[Kind, typer.Option(help="Default: probabilities where all lie from 0 to 1.")] = "auto",
    items: Annotated[bool, typer.Option("--items", help="Intervals cover other items as well.")] = False,
    difference_bp: DifferenceOption = None,
) -> None:
    """Compare models by their scores of the same rows, in a file.

    A row an impression: `label`, `user` and `item` where known, and a column of scores for each model, `name`, or
    `name@seed` for each of its trainings. Or a row a score: `model`, `row`, `score`, `label`, and where known `seed`,
    `user`, `item`. Tests and words are those of `compare`; nothing is stored.
    """
    from mdaf_core.analysis.margins import parse_margin
    from mdaf_core.analysis.power import power_of
    from mdaf_core.analysis.scores import compare_scores, read_scores
    from mdaf_core.cli.evaluate import comparison_text

    found = compare_scores(
        read_scores(file),
        reference=reference,
        metric=metric,
        margin=parse_margin(margin or ""),
        label=label,
        user=user,
        item=item,
        models=names(models) or None,
        scores=scores,
        over_items=items,
    )
    size = found.margin_bp if difference_bp is None else difference_bp
    power = None if size is None else power_of(found, size)
    value = {"file": file, **found.model_dump(mode="json"), "power": power and power.model_dump(mode="json")}
    emit(value, lambda: comparison_text(found, power))
