"""The Launch page where it starts from a study that there is: "Clone with changes"."""

from __future__ import annotations

import streamlit as st

from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.runs.config import RunConfig
from mdaf_core.studies.store import Study, get_study
from pages import shared


def asked() -> str | None:
    """Id of the study that the link asks a copy of."""
    return st.query_params.get("clone") or None


def source() -> Study | None:
    """That study. The first time, the form takes over its seeds, title and plan.

    Raises:
        UsageError: it is gone.
    """
    study_id = asked()
    if study_id is None:
        st.session_state.pop("cloned", None)
        return None
    study = get_study(study_id)
    if st.session_state.get("cloned") != study_id:
        st.session_state["cloned"] = study_id
        st.session_state.pop("launch_changes", None)
        seeds, plan = (study.plan.seeds if study.plan else study.seeds), study.plan
        st.session_state["seeds_text"] = ", ".join(map(str, seeds))
        st.session_state["study_title"] = f"{study.title}, changed"[:120]
        if plan is not None:
            st.session_state["plan_metric"], st.session_state["plan_split"] = plan.metric, plan.split
            st.session_state["plan_margin"] = plan.margin.text if plan.margin else ""
    return study


def selection(dataset: PreparedDataset, study: Study) -> tuple[str, list[RunConfig], str]:
    """Definition, configurations before any change, reference: as `launch._selection`."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"A copy of **{shared.plain(study.title)}** :gray[{shared.plain(study.id)}]", width="content")
        st.button("Start from a preset study instead", key="no-clone", type="tertiary", icon=":material/close:",
                  on_click=st.query_params.pop, args=("clone", None))  # fmt: skip
    st.caption(
        "What that study showed was seen before: where both compare the same settings on the same data, it is said."
    )
    has_history = bool(dataset.meta.history_fields)
    possible = {one.name: one for one in study.trained if has_history or not one.model.reads_history}
    left_out = [one.name for one in study.trained if one.name not in possible]
    chosen = st.multiselect("Configurations", list(possible), list(possible), key=f"chosen-{study.id}-{dataset.name}",
                            wrap=True)  # fmt: skip
    if left_out:
        st.caption(f"Not offered, because these data have no histories: {shared.plain(', '.join(left_out))}.")
    if not chosen:
        return study.definition, [], ""
    reference = st.selectbox(
        "Reference", chosen, chosen.index(study.reference) if study.reference in chosen else 0,
        key=f"reference-{study.id}", help="The configuration that all others are compared with.",
    )  # fmt: skip
    return study.definition, [possible[name] for name in chosen], reference if reference in chosen else chosen[0]
