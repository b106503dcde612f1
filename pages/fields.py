"""One field of a form as a widget: for data options, for the settings of a study, for what plug-ins bring."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from mdaf_core.forms.fields import Field

_VERSIONS = "field-versions"


def draw(
    field: Field,
    key: str,
    *,
    value: Any = None,
    title: str = "",
    help: str = "",
    locked: bool = False,
    columns: Sequence[str] | None = None,
    on_change: Callable[..., None] | None = None,
    args: tuple[Any, ...] = (),
) -> Any:
    """Draw it; returns what is entered, as `Field.entered` takes it.

    It has no limits of the browser's: what that refuses it keeps to itself, and the form would go on with the former
    value.

    Args:
        key: of the widget's value in the session's state. To begin anew, take another: `anew`.
        value: to begin with.
        title, help: instead of the field's own.
        columns: names to choose from, where the field names columns of a file.
    """
    title = title or field.title
    common: dict[str, Any] = {"key": key, "help": help or field.help or None, "disabled": locked, "args": args}
    if on_change is not None:
        common["on_change"] = on_change
    if columns is not None and isinstance(value, list):
        return st.multiselect(title, columns, [name for name in value if name in columns], **common)
    if columns is not None:
        _hold(key, value if value in columns else None)
        return st.selectbox(title, columns, None, placeholder="none", **common)
    if field.kind == "choices":
        return st.multiselect(title, field.choices, [one for one in value if one in field.choices], **common)
    if field.kind == "switch" and not field.optional:
        return st.toggle(title, bool(value), **common)
    if field.kind in ("choice", "switch"):
        choices = field.choices or (True, False)
        words = {True: "yes", False: "no"} if field.kind == "switch" else {}
        common |= {"placeholder": "none", "format_func": lambda choice: words.get(choice, str(choice))}
        if field.optional:
            _hold(key, value)
            return st.selectbox(title, choices, None, **common)
        return st.selectbox(title, choices, choices.index(value) if value in choices else None, **common)
    if field.kind in ("integer", "number"):
        whole = field.kind == "integer"
        number = None if not isinstance(value, int | float) else value if whole else float(value)
        form = {"step": 1} if whole else {"step": field.step, "format": "%.6g"}
        if field.optional or number is None:
            _hold(key, number)
            return st.number_input(title, value=None, placeholder="not set", **form, **common)
        return st.number_input(title, value=number, **form, **common)
    begun = value if isinstance(value, str) else field.as_text(value)
    if field.kind == "shown":
        st.text_input(title, begun, **common | {"disabled": True})
        return value
    hint = "YYYY-MM-DD hh:mm" if field.kind == "moment" else None
    typed = st.text_input(title, begun, placeholder=hint, **common)
    return value if typed == begun else field.entered(typed)


def _hold(key: str, value: Any) -> None:
    """Begin a widget that can be emptied: one that itself begins with a value cannot.

    What is set from here reaches the browser with one run of the page, and is lost with a run that a click interrupts:
    the browser would then report the field as empty. So it is set in every run until it is changed. All other widgets
    begin with their value themselves, which every run sends.
    """
    if value is not None and st.session_state.setdefault(key, value) == value:
        st.session_state[key] = value


# ---- beginning anew --------------------------------------------------------------------------------------------------


def place(key: str) -> str:
    """The widget's key that stands for `key` now: another one after each `anew`."""
    version = st.session_state.get(_VERSIONS, {}).get(key, 0)
    return f"{key}-{version}" if version else key


def anew(key: str) -> None:
    """Let the widget of `key` begin anew, with the value it is drawn with. As another widget: a browser keeps what it
    has of one that is there, and reports it."""
    versions = st.session_state.setdefault(_VERSIONS, {})
    versions[key] = versions.get(key, 0) + 1
