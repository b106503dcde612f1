"""The form that changes the settings of a study's configurations. Part of the Launch page."""

from __future__ import annotations

from typing import Any

import streamlit as st

from mdaf_core.base.validation import label
from mdaf_core.runs.config import RunConfig
from mdaf_core.studies.settings_form import Setting, parse_integers, settings
from pages import shared

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
    groups: dict[str, list[Setting]] = {}
    for setting in settings(config):
        if not training_only or setting.group == "training":
            groups.setdefault(setting.group, []).append(setting)
    for group, members in groups.items():
        if len(groups) > 1:
            st.caption(f"**{group.replace('.', ', ').capitalize()}**")
        columns = st.columns(COLUMNS)
        for i, setting in enumerate(members):
            with columns[i % COLUMNS]:
                _widget(scope, setting, refused.get(setting.path))
    if changes(scope):
        st.button("Undo all changes here", on_click=reset, args=(scope,), icon=":material/undo:", key=f"reset-{scope}")


def _widget(scope: str, setting: Setting, refused: str | None) -> None:
    """One field. Its limits are not the browser's: what it refuses it keeps to itself, and the app would go on with the
    former value."""
    key = f"set-{scope}-{setting.path}-{st.session_state.get('launch_generation', 0)}"
    title = label(setting.path)
    if refused:
        title = f":red[{title}] :material/error:"
    elif setting.path in changes(scope):
        title = f":blue[{title}] :material/edit:"
    value = changes(scope)[setting.path] if refused else setting.value
    common: dict[str, Any] = {"key": key, "help": setting.help, "on_change": _changed, "args": (scope, setting, key)}
    if setting.kind == "switch":
        st.toggle(title, value, **common)
    elif setting.kind == "choice":
        st.selectbox(title, setting.choices, setting.choices.index(value), **common)
    elif setting.kind == "integers":
        st.text_input(title, value if isinstance(value, str) else ", ".join(map(str, value)), **common)
    elif setting.kind == "integer":
        st.number_input(title, value=value, step=1, **common)
    else:
        st.number_input(title, value=value, step=_step(setting.value), format="%.6g", **common)
    if refused:
        st.caption(f":red[{shared.plain(refused)}]")


def _step(value: float | None) -> float:
    """A tenth of the value's order of magnitude: 0.001 moves by 0.0001."""
    return 10.0 ** (int(f"{value:e}".split("e")[1]) - 1) if value else 0.01


def _changed(scope: str, setting: Setting, key: str) -> None:
    """Take one entry over, valid or not."""
    value = st.session_state[key]
    if setting.kind == "integers":
        value = parse_integers(value)
    if setting.path.endswith(".kind"):  # another model: what was set for the former one does not apply
        group = setting.path.removesuffix("kind")
        for path in [path for path in changes(scope) if path.startswith(group)]:
            del changes(scope)[path]
    changes(scope)[setting.path] = value
