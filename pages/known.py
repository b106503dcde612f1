"""What must be known beside every result of a study, read once for its pages and for files saved from them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from mdaf_core.data.store.schema import Split
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
    from mdaf_core.runs import tracking

    return _of_study(study_id, split, tracking.store_version())


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
