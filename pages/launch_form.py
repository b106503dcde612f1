"""The form that changes the settings of a study's configurations. Part of the Launch page."""

from __future__ import annotations

from typing import Any

import streamlit as st

from mdaf_core.forms.fields import Field
from mdaf_core.runs.config import RunConfig
from mdaf_core.studies.settings_form import settings
from pages import shared
from pages.fields import anew, draw, place

ALL = "All configurations"
COLUMNS = 3


def changes(scope: str) -> dict[str, Any]:
    """What was changed in one configuration, or in all: path → value as typed. Kept while the session lasts."""
    found: dict[str, Any] = st.session_state.setdefault("launch_changes", {}).setdefault(scope, {})
    return found


def reset(scope: str) -> None:
    """Back to the preset."""
    changes(scope).clear()
    st.session_state["launch_generation"] = st.session_state.get("launch_generation", 0) + 1


def form(scope: str, config: RunConfig, refused: dict[str, str], training_only: bool) -> None:
    """Widgets for all settings of `config`, which has the valid changes made so far.

    Args:
        refused: path → sentence of changes that are not valid; each stands under its field.
    """
    groups: dict[str, list[Field]] = {}
    for field in settings(config):
        if not training_only or field.group == "training":
            groups.setdefault(field.group, []).append(field)
    for group, members in groups.items():
        if len(groups) > 1:
            st.caption(f"**{group.replace('.', ', ').capitalize()}**")
        for first in range(0, len(members), COLUMNS):  # row by row: in narrow windows the order stays
            for column, field in zip(st.columns(COLUMNS), members[first : first + COLUMNS], strict=False):
                with column:
                    _widget(scope, field, refused.get(field.path))
    if changes(scope):
        st.button("Undo all changes here", on_click=reset, args=(scope,), icon=":material/undo:", key=f"reset-{scope}")


def _widget(scope: str, field: Field, refused: str | None) -> None:
    """One field. It shows what `config` has, whatever it was begun with: another study has other starting points."""
    name = f"set-{scope}-{field.path}-{st.session_state.get('launch_generation', 0)}"
    title = field.title
    if refused:
        title = f":red[{title}] :material/error:"
    elif field.path in changes(scope):
        title = f":blue[{title}] :material/edit:"
    value = changes(scope)[field.path] if refused else field.value
    key = place(name)
    if key in st.session_state and field.entered(st.session_state[key]) != value:
        anew(name)
        key = place(name)
    draw(field, key, value=value, title=title, on_change=_changed, args=(scope, field, key))
    if refused:
        st.caption(f":red[{shared.plain(refused)}]")


def _changed(scope: str, field: Field, key: str) -> None:
    """Take one entry over, valid or not."""
    if field.path.endswith(".kind"):  # another model: what was set for the former one does not apply
        group = field.path.removesuffix("kind")
        for path in [path for path in changes(scope) if path.startswith(group)]:
            del changes(scope)[path]
    changes(scope)[field.path] = field.entered(st.session_state[key])
