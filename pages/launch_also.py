"""Part of Launch: the same study on further data sets."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from mdaf_core.base.errors import StudioError
from mdaf_core.data.store.dataset import list_datasets
from mdaf_core.runs.config import RunConfig
from mdaf_core.studies.suitable import check_each
from pages import shared

HELP = (
    "One study a data set, with the same configurations, seeds and plan. Compare, Across studies, then has the table "
    "of configurations × data sets, and what holds over them is planned from the beginning."
)


def choose(dataset: str, configs: Sequence[RunConfig], obstacles: list[str]) -> list[str]:
    """Names of further data sets; why the study cannot be trained on one of them is added to the obstacles."""
    others = [name for name in list_datasets() if name != dataset]
    if not others:
        return []
    chosen = st.multiselect(
        "Also on", others, key=f"also-{dataset}", help=HELP, placeholder="Further data sets; may be left empty"
    )
    if chosen:
        names = shared.plain(", ".join(chosen))
        st.caption(f"Time and memory below are of {shared.plain(dataset)} alone, not of {names}.")
        try:
            check_each(chosen, configs, [])
        except StudioError as error:
            obstacles.append(f"Also on: {error}")
    return chosen
