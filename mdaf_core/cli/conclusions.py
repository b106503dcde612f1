"""`best`, `twins`, `factorial`, `across`: what else the runs of a study, or of several, support."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mdaf_core.base.errors import UsageError
from mdaf_core.cli.evaluate import comparison_text
from mdaf_core.cli.options import (
    EvaluatedSplit,
    ItemsOption,
    MarginOption,
    MetricOption,
    SplitOption,
    StudyId,
    chosen_margin,
)
from mdaf_core.cli.output import as_json, emit, number, table
from mdaf_core.metrics.registry import named

if TYPE_CHECKING:
    from mdaf_core.analysis.factorial import Effects
    from mdaf_core.reporting.conditions import Condition
    from mdaf_core.studies.across import Table


def best(study: StudyId, split: SplitOption = None, metric: MetricOption = None) -> None:
    """See which configurations may be the best.

    The one with the best mean was picked by its figures. The set holds the best of all with 95% confidence, over other
    seeds and other users, and counts how many were compared.
    """
    from mdaf_core.reporting.topics.comparison.best import best_frame, best_note
    from mdaf_core.reporting.words import p_value
    from mdaf_core.studies import results
    from mdaf_core.studies.store import get_study

    found = results.best_of(get_study(study), split=split, metric=metric)

    def text() -> str:
        if found.missing:
            return found.sentence
        frame = best_frame(found)
        lines = [
            (name, word, number(mean), number(behind, 1), p_value(p)) for name, word, mean, behind, p in frame.rows()
        ]
        return "\n".join([table(lines, frame.columns), "", found.sentence, best_note(found)])

    emit({"study": study, "members": found.members, "sentence": found.sentence, **found.model_dump()}, text)


def twins(
    study: StudyId,
    other: Annotated[
        str | None, typer.Option("--with", metavar="STUDY", help="The study on the other split; default: found.")
    ] = None,
) -> None:
    """See which conclusions survive on another split.

    Verdict by verdict, each study on its own rows, by the first one's plan. `study twin STUDY` runs the other one.
    """
    from mdaf_core.reporting.topics.comparison.twins import twins_sentences, twins_table
    from mdaf_core.reporting.words import signed
    from mdaf_core.studies.store import get_study
    from mdaf_core.studies.twins import compare, twin_study

    first = get_study(study)
    second = twin_study(first, other)
    found = compare(first, second)
    sentences = twins_sentences(found, first, second)
    studies = [{"study": one.id, "data": one.dataset} for one in (first, second)]
    value = found.model_dump(mode="json") | {"studies": studies, "counts": found.counts, "sentences": sentences}

    def text() -> str:
        shown = twins_table(found, first, second)
        rows = [
            [v if isinstance(v, str) else "–" if v is None else signed(v) for v in row] for row in shown.iter_rows()
        ]
        return "\n".join([table(rows, shown.columns), "", *(f"- {sentence}" for sentence in sentences)])

    emit(value, text)


def factorial(
    study: Annotated[str, typer.Argument(help="Id of a factorial study.")],
    split: SplitOption = None,
    metric: MetricOption = None,
    margin: MarginOption = None,
) -> None:
    """See what each component of a factorial study contributes.

    Main effects and interactions of two, with intervals over other seeds and other users; every run tells of every
    component. `study run factorial --data NAME` runs such a study.
    """
    from mdaf_core.studies.results import effects_of
    from mdaf_core.studies.store import get_study

    found = effects_of(get_study(study), split=split, metric=metric, margin=chosen_margin(margin))
    emit({"study": study, **found.model_dump()}, lambda: _effects(found))


def _effects(found: Effects) -> str:
    from mdaf_core.reporting.topics.factorial import effects_table, sentences
    from mdaf_core.reporting.words import p_value

    if found.missing:
        return f"No effects yet: {found.missing}."
    shown = effects_table(found)
    write = {"p": p_value, "p of parity": p_value}
    rows = [
        [v if isinstance(v, str) else write.get(c, lambda x: number(x, 1))(v) for c, v in row.items()]
        for row in shown.iter_rows(named=True)
    ]
    return "\n".join([table(rows, shown.columns), "", *(f"- {one}" for one in sentences(found))])


def across(
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
    from mdaf_core.studies import across as several

    if sum((latex, csv, as_json())) > 1:
        raise UsageError("--latex, --csv and --json are three ways to print the table: name one.")
    found = several.compare(
        several.together(studies),
        reference=reference,
        split=split,
        metric=metric,
        margin=chosen_margin(margin),
        over_items=items,
    )
    known = of_studies(found)
    if latex or csv:
        typer.echo(_across_file(found, known, latex), nl=False)
        return
    emit(_across_value(found, known), lambda: _across_text(found, known))


def _across_file(found: Table, known: list[Condition], latex: bool) -> str:
    from mdaf_core.reporting.conditions import text
    from mdaf_core.reporting.topics.across import across_paper

    if found.across is None:
        raise UsageError(
            "These studies are on one data set: `export STUDY --out DIR` gives the table of a study. --latex and --csv "
            "are of configurations × data sets."
        )
    paper = across_paper(found.across, found, text(known))
    return paper.latex() if latex else paper.csv()


def _across_value(found: Table, known: list[Condition]) -> dict[str, Any]:
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


def _across_text(found: Table, known: list[Condition]) -> str:
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
