"""The form of one configuration's settings, generated from its pydantic models. Part of the Launch page."""

from __future__ import annotations

from typing import Any

import streamlit as st

from mdaf_core.errors import UsageError
from mdaf_core.studies.settings_form import Setting, parse_integers, settings
from mdaf_core.training.config import RunConfig
from pages import shared

ALL = "All configurations"
COLUMNS = 3


def changes(scope: str) -> dict[str, Any]:
    """What was changed in one configuration, or in all: path → value. Kept while the session lasts."""
    found: dict[str, Any] = st.session_state.setdefault("launch_changes", {}).setdefault(scope, {})
    return found


def errors(scope: str) -> dict[str, str]:
    """Entries of a configuration (or of all) that are not valid: path → sentence."""
    found: dict[str, str] = st.session_state.setdefault("launch_errors", {}).setdefault(scope, {})
    return found


def reset(scope: str) -> None:
    """Back to the preset."""
    changes(scope).clear()
    errors(scope).clear()
    st.session_state["launch_generation"] = st.session_state.get("launch_generation", 0) + 1


def form(scope: str, config: RunConfig, training_only: bool) -> None:
    """Widgets for all settings of `config`, which has the changes made so far."""
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
                _widget(scope, setting)
    if changes(scope) or errors(scope):
        st.button("Undo all changes here", on_click=reset, args=(scope,), icon=":material/undo:", key=f"reset-{scope}")


def _widget(scope: str, setting: Setting) -> None:
    key = f"set-{scope}-{setting.path}-{st.session_state.get('launch_generation', 0)}"
    label = setting.name[:1].upper() + setting.name[1:]
    if setting.path in changes(scope):
        label = f":blue[{label}] :material/edit:"
    common: dict[str, Any] = {"key": key, "help": setting.help, "on_change": _changed, "args": (scope, setting, key)}
    if setting.kind == "switch":
        st.toggle(label, setting.value, **common)
    elif setting.kind == "choice":
        st.selectbox(label, setting.choices, setting.choices.index(setting.value), **common)
    elif setting.kind == "integers":
        st.text_input(label, ", ".join(map(str, setting.value)), **common)
    else:
        number = int if setting.kind == "integer" else float
        low, high, value = (
            None if limit is None else number(limit) for limit in (setting.minimum, setting.maximum, setting.value)
        )
        if number is int:
            st.number_input(label, low, high, value, 1, **common)
        else:
            st.number_input(label, low, high, value, _step(value), format="%.6g", **common)
    if setting.path in errors(scope):
        st.caption(f":red[{shared.plain(errors(scope)[setting.path])}]")


def _step(value: float | None) -> float:
    """A tenth of the value's order of magnitude: 0.001 moves by 0.0001."""
    return 10.0 ** (int(f"{value:e}".split("e")[1]) - 1) if value else 0.01


def _changed(scope: str, setting: Setting, key: str) -> None:
    """Take one entry over; an entry that is not valid is remembered with its sentence."""
    errors(scope).pop(setting.path, None)
    value = st.session_state[key]
    try:
        if setting.kind == "integers":
            value = parse_integers(value)
        if value is None and not setting.optional:
            raise UsageError(f"{setting.name.capitalize()} cannot be empty.")
    except UsageError as error:
        errors(scope)[setting.path] = str(error)
        return
    if setting.path.endswith(".kind"):  # another model: what was set for the former one does not apply
        group = setting.path.removesuffix("kind")
        for path in [path for path in changes(scope) if path.startswith(group)]:
            del changes(scope)[path]
    changes(scope)[setting.path] = value
