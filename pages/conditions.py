"""What must be known beside every result of a study, as pages show it and as files saved from them carry it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from mdaf_core.analysis.compared import StudyComparison
    from mdaf_core.data.store.schema import Split
    from mdaf_core.reporting.conditions import Condition
    from mdaf_core.studies.store import Study

FRESH_SECONDS = 30  # an audit may be run again meanwhile
MOST = 4  # sentences with a mark; more are folded


@st.cache_data(show_spinner=False, max_entries=32, ttl=FRESH_SECONDS)
def _of_study(study_id: str, split: Split, version: object) -> list[Condition]:
    from mdaf_core.reporting.conditions import of_study
    from mdaf_core.studies.results import study_runs
    from mdaf_core.studies.store import get_study

    study = get_study(study_id)
    return of_study(study, study_runs(study), split)


def of_study(study_id: str, split: Split = "test") -> list[Condition]:
    """`conditions.of_study`, kept while the run store stays as it is."""
    from mdaf_core.runs import tracking

    return _of_study(study_id, split, tracking.store_version())


def show(study_id: str, split: Split = "test", comparison: StudyComparison | None = None) -> list[str]:
    """One block beside results: what misleads a reader who does not know it, each with a mark, then the rest in a line.

    Args:
        comparison: the one that is shown, if any; then of its rows, marks and choices, too.

    Returns:
        The sentences, so that what follows need not repeat them.
    """
    from mdaf_core.reporting.topics.comparison.frames import condition_notes
    from mdaf_core.studies.store import get_study
    from pages import study_plan
    from pages.shared import plain

    study = get_study(study_id)
    known = of_study(study_id, split) if comparison is None else _of_comparison(study, comparison)
    words = condition_notes(comparison) if comparison else []
    grave = [*words, *(c.sentence for c in known if c.grave and not (words and c.kind == "plan"))]
    usual = [*(c.sentence for c in known if not c.grave), study_plan.words(study)]
    with st.container(border=True, gap="xsmall", key="beside-results"):
        st.markdown("**Beside these results**", help="Captions of exported figures and tables say the same.")
        _lines(grave[:MOST])
        if more := grave[MOST:]:
            with st.expander(f"{len(more)} more"):
                _lines(more)
        st.caption(plain(" ".join(usual)))
    return [*grave, *usual]


def _lines(sentences: list[str]) -> None:
    from pages.shared import plain

    if sentences:
        st.markdown("  \n".join(f":orange[:material/warning:] {plain(sentence)}" for sentence in sentences))


def _of_comparison(study: Study, comparison: StudyComparison) -> list[Condition]:
    from mdaf_core.reporting.conditions import of_study
    from mdaf_core.studies.results import study_runs

    return of_study(study, study_runs(study), comparison.split, comparison)


def of_link() -> str:
    """The conditions of the study that the page's link names, for a file saved from it; empty without a study."""
    from mdaf_core.base.errors import StudioError
    from mdaf_core.reporting.conditions import text

    study_id = st.query_params.get("study")
    split: Split = "val" if re.fullmatch("val.*", st.query_params.get("split", ""), re.IGNORECASE) else "test"
    try:
        return text(of_study(study_id, split)) if study_id else ""
    except StudioError:  # the link names a study that is gone
        return ""
