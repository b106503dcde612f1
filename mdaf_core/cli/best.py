"""`best`: which configurations of a study may be the best."""

from __future__ import annotations

from mdaf_core.cli.options import MetricOption, SplitOption, StudyId
from mdaf_core.cli.output import emit, number, table


def command(study: StudyId, split: SplitOption = None, metric: MetricOption = None) -> None:
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
