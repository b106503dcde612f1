"""What must be known beside every result of a study, as pages show it and as files saved from them carry it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from mdaf_core.data.schema import Split
    from mdaf_core.reporting.conditions import Condition

FRESH_SECONDS = 30  # an audit may be run again meanwhile


@st.cache_data(show_spinner=False, max_entries=32, ttl=FRESH_SECONDS)
def _of_study(study_id: str, split: Split, version: object) -> list[Condition]:
    from mdaf_core.reporting.conditions import of_study
    from mdaf_core.studies.results import study_runs
    from mdaf_core.studies.store import get_study

    study = get_study(study_id)
    return of_study(study, study_runs(study), split)


def of_study(study_id: str, split: Split = "test") -> list[Condition]:
    """`conditions.of_study`, kept while the run store stays as it is."""
    from mdaf_core import tracking

    return _of_study(study_id, split, tracking.store_version())


def show(study_id: str, split: Split = "test") -> None:
    """Above results: what misleads a reader who does not know it as a warning, the rest in one line."""
    from pages.shared import plain

    known = of_study(study_id, split)
    grave = [plain(condition.sentence) for condition in known if condition.grave]
    if grave:
        st.warning("\n".join(f"- {sentence}" for sentence in grave), icon=":material/warning:")
    usual = " ".join(condition.sentence for condition in known if not condition.grave)
    if usual:
        st.caption(plain(usual))


def of_link() -> str:
    """The conditions of the study that the page's link names, for a file saved from it; empty without a study."""
    from mdaf_core.errors import StudioError
    from mdaf_core.reporting.conditions import text

    study_id = st.query_params.get("study")
    split: Split = "val" if re.fullmatch("val.*", st.query_params.get("split", ""), re.IGNORECASE) else "test"
    try:
        return text(of_study(study_id, split)) if study_id else ""
    except StudioError:  # the link names a study that is gone
        return ""
