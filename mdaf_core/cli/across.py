"""`across`: several studies as one table, those on the same rows joined, those on other data sets beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mdaf_core.base.errors import UsageError
from mdaf_core.cli.evaluate import comparison_text
from mdaf_core.cli.options import EvaluatedSplit, ItemsOption, MarginOption, chosen_margin
from mdaf_core.cli.output import as_json, emit, number, table
from mdaf_core.metrics.registry import named

if TYPE_CHECKING:
    from mdaf_core.reporting.conditions import Condition
    from mdaf_core.studies.across import Table


def command(
    studies: Annotated[
        list[str], typer.Argument(help="Ids of studies; one that was launched on several data sets stands for all.")
    ],
    reference: Annotated[
        str | None, typer.Option(help="Configuration to compare with; default: the first study's.")
    ] = None,
    margin: MarginOption = None,
    split: Annotated[EvaluatedSplit | None, typer.Option(help="Rows; default: the first study's plan.")] = None,
    metric: Annotated[str | None, typer.Option(help=f"{named(keys=True)}; default: the first study's plan.")] = None,
    items: ItemsOption = False,
    latex: Annotated[bool, typer.Option("--latex", help="The table for the paper, as LaTeX.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Every difference, interval and p value, as CSV.")] = False,
) -> None:
    """See what holds over several studies and data sets.

    Studies on the same rows become one table. Over data sets: verdicts within each, and of the mean difference over
    them, for these data sets and for others like them (docs/statistics.md).
    """
    from mdaf_core.reporting.conditions import of_studies
    from mdaf_core.studies import across

    if sum((latex, csv, as_json())) > 1:
        raise UsageError("--latex, --csv and --json are three ways to print the table: name one.")
    found = across.compare(
        across.together(studies),
        reference=reference,
        split=split,
        metric=metric,
        margin=chosen_margin(margin),
        over_items=items,
    )
    known = of_studies(found)
    if latex or csv:
        typer.echo(_printed(found, known, latex), nl=False)
        return
    emit(_value(found, known), lambda: _text(found, known))


def _printed(found: Table, known: list[Condition], latex: bool) -> str:
    from mdaf_core.reporting.conditions import text
    from mdaf_core.reporting.topics.across import across_paper

    if found.across is None:
        raise UsageError(
            "These studies are on one data set: `export STUDY --out DIR` gives the table of a study. --latex and --csv "
            "are of configurations × data sets."
        )
    paper = across_paper(found.across, found, text(known))
    return paper.latex() if latex else paper.csv()


def _value(found: Table, known: list[Condition]) -> dict[str, Any]:
    columns = {
        data: {
            "studies": [study.id for study in found.of_column[data]],
            **comparison.model_dump(mode="json"),
            "marked": dict(comparison.frame().select("configuration", "marked").iter_rows()),
        }
        for data, comparison in found.columns.items()
    }
    value: dict[str, Any] = {"studies": [study.id for study in found.studies], "data_sets": columns, "beside": known}
    if found.across is not None:
        rows = [
            {
                "configuration": row.configuration,
                "here": row.here,
                "elsewhere": row.elsewhere,
                "words": {"here": row.words("here"), "elsewhere": row.words("elsewhere")},
                "mean_place": row.rank,
            }
            for row in found.across.rows
        ]
        value["across"] = {**found.across.model_dump(mode="json", exclude={"rows"}), "configurations": rows}
    return value


def _text(found: Table, known: list[Condition]) -> str:
    from mdaf_core.reporting.topics.across import across_sentences, across_table
    from mdaf_core.reporting.words import signed

    names = ", ".join(study.id for study in found.studies)
    if found.across is None:
        (comparison,) = found.columns.values()
        return f"Studies {names} as one table.\n{comparison_text(comparison, None, known)}"
    shown = across_table(found.across, found)
    means = set(found.across.datasets)
    rows = [
        [
            v if isinstance(v, str) else number(v) if c in means else number(v, 1) if "±" in c or "place" in c
            else signed(v)
            for c, v in row.items()
        ]
        for row in shown.iter_rows(named=True)
    ]  # fmt: skip
    said = [condition.sentence for condition in known]
    lines = [f"Studies {names}.", "", table(rows, shown.columns), ""]
    return "\n".join(lines + [f"- {sentence}" for sentence in (*across_sentences(found.across), *said)])
