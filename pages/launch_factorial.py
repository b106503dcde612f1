"""The Launch page for factorial studies: which components, in how many configurations."""

from __future__ import annotations

import streamlit as st

from mdaf_core.analysis.design import Design
from mdaf_core.runs.config import RunConfig
from mdaf_core.runs.presets import get_preset
from mdaf_core.studies.definitions import Definition
from mdaf_core.studies.factorial import build
from pages import shared

MOST_HALVINGS = 4


def form(definition: Definition) -> tuple[list[RunConfig], Design | None]:
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
    """The design that `form` shows, where these are its configurations."""
    if definition is None or not definition.factors:
        return None
    chosen = st.session_state.get(f"plan_components-{definition.name}", list(definition.factors))
    halvings = st.session_state.get(f"plan_halvings-{definition.name}", definition.halvings)
    factors = {name: definition.factors[name] for name in chosen}
    starts, design = build(get_preset(definition.presets[0]), factors, halvings)
    return design if [c.name for c in starts] == [c.name for c in configs] else None
