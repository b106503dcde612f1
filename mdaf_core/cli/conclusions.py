"""`best`, `twins`, `factorial`: what else the runs of a study support."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mdaf_core.cli.options import MarginOption, MetricOption, SplitOption, StudyId, chosen_margin
from mdaf_core.cli.output import emit, number, table

if TYPE_CHECKING:
    from mdaf_core.analysis.factorial import Effects


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
