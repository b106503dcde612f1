"""One field of a form as a widget: for data options, for the settings of a study, for what plug-ins bring."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from mdaf_core.forms.fields import Field


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
        value: to begin with, and anew when the key is taken out of the session's state.
        title, help: instead of the field's own.
        columns: names to choose from, where the field names columns of a file.
    """
    title = title or field.title
    common: dict[str, Any] = {"key": key, "help": help or field.help or None, "disabled": locked, "args": args}
    if on_change is not None:
        common["on_change"] = on_change
    if columns is not None and isinstance(value, list):
        known = [name for name in value if name in columns]
        return _of(st.multiselect, title, columns, value=known, **common)
    if columns is not None:
        # Not as `index`: a box that begins with one cannot be emptied.
        known = value if value in columns else None
        return _of(st.selectbox, title, columns, None, value=known, placeholder="none", **common)
    if field.kind == "choices":
        # Begun by the widget itself: set from here, a form that is clicked while it is drawn loses them.
        return st.multiselect(title, field.choices, value, **common)
    if field.kind == "switch" and not field.optional:
        return _of(st.toggle, title, value=bool(value), **common)
    if field.kind in ("choice", "switch"):
        choices = field.choices or (True, False)
        empty: tuple[Any, ...] = (None,) if field.optional else ()
        words = {True: "yes", False: "no"} if field.kind == "switch" else {}
        common |= {"placeholder": "none", "format_func": lambda choice: words.get(choice, str(choice))}
        return _of(st.selectbox, title, choices, *empty, value=value, **common)
    if field.kind in ("integer", "number"):
        whole = field.kind == "integer"
        number = None if not isinstance(value, int | float) else value if whole else float(value)
        empty = (None, None, None) if field.optional or number is None else ()  # limits, and none to begin with
        form = {"step": 1} if whole else {"step": field.step, "format": "%.6g"}
        return _of(st.number_input, title, *empty, value=number, **form, **common)
    begun = value if isinstance(value, str) else field.as_text(value)
    if field.kind == "shown":
        _of(st.text_input, title, value=begun, **common | {"disabled": True})
        return value
    hint = "YYYY-MM-DD hh:mm" if field.kind == "moment" else None
    typed = _of(st.text_input, title, value=begun, placeholder=hint, **common)
    return value if typed == begun else field.entered(typed)


def _of(widget: Any, *arguments: Any, value: Any, key: str, **others: Any) -> Any:
    """A widget that begins with a value, and begins with it anew when its key is taken out of the session's state."""
    st.session_state.setdefault(key, value)
    return widget(*arguments, key=key, **others)
