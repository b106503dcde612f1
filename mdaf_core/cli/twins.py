"""`twins`: which conclusions of a study survive another split of the same input."""

from __future__ import annotations

from typing import Annotated

import typer

from mdaf_core.cli.options import StudyId
from mdaf_core.cli.output import emit, table


def command(
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
