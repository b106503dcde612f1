"""Where the Launch page starts from other than presets: a study that there is ("Clone with changes"), or the components
of a factorial study."""

from __future__ import annotations

import streamlit as st

from mdaf_core.analysis.design import Design
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.runs.config import RunConfig
from mdaf_core.runs.presets import get_preset
from mdaf_core.studies.definitions import Definition
from mdaf_core.studies.factorial import build
from mdaf_core.studies.store import Study, get_study
from pages import shared


def clone_asked() -> str | None:
    """Id of the study that the link asks a copy of."""
    return st.query_params.get("clone") or None


def cloned() -> Study | None:
    """That study. The first time, the form takes over its seeds, title and plan.

    Raises:
        UsageError: it is gone.
    """
    study_id = clone_asked()
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


def copied(dataset: PreparedDataset, study: Study) -> tuple[str, list[RunConfig], str]:
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


MOST_HALVINGS = 4


def factorial(definition: Definition) -> tuple[list[RunConfig], Design | None]:
    """The configurations of the chosen components, and their design; none while no component is chosen."""
    names = list(definition.factors)
    left, right = st.columns([3, 2])
    chosen = left.multiselect(
        "Components", names, names, key=f"plan_components-{definition.name}",
        help="  \n".join(f"**{name}** is off by {', '.join(off)}" for name, off in definition.factors.items()),
    )  # fmt: skip
    if not chosen:
        return [], None
    halvings = right.selectbox(
        "Configurations", range(MOST_HALVINGS + 1), min(definition.halvings, len(chosen) - 1),
        key=f"plan_halvings-{definition.name}",
        format_func=lambda p: f"{2 ** max(len(chosen) - p, 0)}" + (" (all combinations)" if p == 0 else f" (1/{2**p})"),
        help="A half or less of the combinations mixes up effects with each other: which, is said beside them.",
    )  # fmt: skip
    with shared.guard():
        return build(get_preset(definition.presets[0]), {name: definition.factors[name] for name in chosen}, halvings)
    return [], None


def design_of(definition: Definition | None, configs: list[RunConfig]) -> Design | None:
    """The design that `factorial` shows, where these are its configurations."""
    if definition is None or not definition.factors:
        return None
    chosen = st.session_state.get(f"plan_components-{definition.name}", list(definition.factors))
    halvings = st.session_state.get(f"plan_halvings-{definition.name}", definition.halvings)
    factors = {name: definition.factors[name] for name in chosen}
    starts, design = build(get_preset(definition.presets[0]), factors, halvings)
    return design if [c.name for c in starts] == [c.name for c in configs] else None
