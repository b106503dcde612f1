"""`best`: which configurations of a study may be the best."""

from __future__ import annotations

from typing import Annotated

import typer

from mdaf_core.cli.gates import EvaluatedSplit
from mdaf_core.cli.output import JsonOption, emit, number, table
from mdaf_core.metrics.registry import named


def command(
    study: Annotated[str, typer.Argument(help="Id of a study.")],
    split: Annotated[EvaluatedSplit | None, typer.Option(help="Rows; default: the study's plan.")] = None,
    metric: Annotated[str | None, typer.Option(help=f"{named(keys=True)}; default: the study's plan.")] = None,
    as_json: JsonOption = False,
) -> None:
    """See which configurations may be the best.

    The one with the best mean was picked by its figures. The set holds the best of all with 95% confidence, over other
    seeds and other users, and counts how many were compared.
    """
    from mdaf_core.reporting.topics.comparison.best import best_frame, best_note
    from mdaf_core.reporting.words import p_value
    from mdaf_core.studies import results
    from mdaf_core.studies.store import get_study

    found = results.best_of(get_study(study), split=None if split is None else split.value, metric=metric)

    def text() -> str:
        if found.missing:
            return found.sentence
        frame = best_frame(found)
        lines = [
            (name, word, number(mean), number(behind, 1), p_value(p)) for name, word, mean, behind, p in frame.rows()
        ]
        return "\n".join([table(lines, frame.columns), "", found.sentence, best_note(found)])

    emit({"study": study, "members": found.members, "sentence": found.sentence, **found.model_dump()}, as_json, text)
