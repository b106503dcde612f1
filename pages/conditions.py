"""What must be known beside every result of a study, as pages show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages import study_plan
from pages.known import of_study
from pages.shared import sentence

if TYPE_CHECKING:
    from mdaf_core.analysis.compared import StudyComparison
    from mdaf_core.data.store.schema import Split
    from mdaf_core.reporting.conditions import Condition
    from mdaf_core.studies.store import Study

MOST = 4  # sentences with a mark; more are folded


def show(study_id: str, split: Split = "test", comparison: StudyComparison | None = None) -> list[str]:
    """One block beside results: what misleads a reader who does not know it, each with a mark, then the rest in a line.

    Args:
        comparison: the one that is shown, if any; then of its rows, marks and choices, too.

    Returns:
        The sentences, so that what follows need not repeat them.
    """
    from mdaf_core.reporting.topics.comparison.frames import condition_notes
    from mdaf_core.studies.store import get_study

    study = get_study(study_id)
    known = of_study(study_id, split) if comparison is None else _of_comparison(study, comparison)
    words = condition_notes(comparison) if comparison else []
    grave = [*words, *(c.sentence for c in known if c.grave and not (words and c.kind == "plan"))]
    usual = [*(c.sentence for c in known if not c.grave), study_plan.words(study)]
    return block(grave, usual)


def block(grave: list[str], usual: list[str]) -> list[str]:
    """The block itself: what misleads whoever does not know it, then the rest. Returns all of it."""
    with st.container(border=True, gap="xsmall", key="beside-results"):
        st.markdown("**Beside these results**", help="Captions of exported figures and tables say the same.")
        _lines(grave[:MOST])
        if more := grave[MOST:]:
            with st.expander(f"{len(more)} more"):
                _lines(more)
        st.caption(sentence(" ".join(usual)))
    return [*grave, *usual]


def _lines(sentences: list[str]) -> None:
    if sentences:
        st.markdown("  \n".join(f":orange[:material/warning:] {sentence(text)}" for text in sentences))


def _of_comparison(study: Study, comparison: StudyComparison) -> list[Condition]:
    from mdaf_core.reporting.conditions import of_study
    from mdaf_core.studies.results import study_runs

    return of_study(study, study_runs(study), comparison.split, comparison)
