"""Input widgets for a pydantic options class: one a field, with its description as help."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, get_args, get_origin

import streamlit as st
from pydantic.fields import FieldInfo

from mdaf_core.base.validation import label as label_of
from mdaf_core.data.formats.option_text import as_text
from mdaf_core.data.formats.options import Implied, SourceOptions, refused_options
from pages import shared

WIDE = 3


def options_form(
    options: type[SourceOptions], key: str, columns: list[str] | None = None, proposed: dict[str, Any] | None = None
) -> tuple[dict[str, Any], bool]:
    """Draw the widgets; returns the options that differ from their defaults, and whether all of them are taken.

    What is not taken is said under its field. The fields have no limits of the browser's: what it refuses it keeps to
    itself, and the form would go on with the former value.

    Options without effect beside those chosen above them are left out; those that another one decides show its value
    and are locked.

    Args:
        key: prefix of the widgets' keys, unique on the page.
        columns: columns of the chosen file, offered where an option names one.
        proposed: values to begin with, instead of the defaults.
    """
    own = set(options.__annotations__)
    groups = {
        "What to read": [item for item in options.model_fields.items() if item[0] in own],
        "How to split and code": [item for item in options.model_fields.items() if item[0] not in own],
    }
    chosen: dict[str, Any] = {}
    shown: dict[str, Any] = {}
    below: dict[str, Any] = {"": None}
    for title, members in groups.items():
        st.caption(f"**{title}**")
        cells: list[Any] = []
        for name, field in members:
            if not options.has_effect(name, shown):
                continue
            cells = cells or list(st.columns(WIDE, vertical_alignment="bottom"))
            implied = options.implied(shown).get(name)
            with cells.pop(0):
                value = _widget(name, field, f"{key}-{name}", columns, (proposed or {}).get(name), implied)
                below[name] = st.empty()
            shown[name] = value
            if implied is not None and implied.fixed:
                continue
            if columns == [] and _names_column(field) and not value:
                continue  # no file is named yet
            if value != _plain(field.get_default() if implied is None else implied.value):
                chosen[name] = value
    refused = refused_options(options, chosen)
    for name, sentence in refused.items():
        (below.get(name) or st).caption(f":red[{shared.plain(sentence)}]")
    _differences(options, {name: value for name, value in chosen.items() if name not in (proposed or {})}, shown)
    return chosen, not refused


def _differences(options: type[SourceOptions], chosen: dict[str, Any], shown: dict[str, Any]) -> None:
    """What was changed, and from what."""
    changed = {name: (value, _plain(options.model_fields[name].get_default())) for name, value in chosen.items()}
    for name, implied in options.implied(shown).items():
        changed.setdefault(name, (_plain(implied.value), f"by {implied.by}"))
    words = [
        f"**{label_of(name)}** {_words(value)} :gray[({_words(usual)})]" for name, (value, usual) in changed.items()
    ]
    if words:
        st.caption(f"Changed from the defaults: {'; '.join(words)}.")


def _words(value: Any) -> str:
    text = (
        ", ".join(map(str, value)) if isinstance(value, list) else f"{value:g}" if isinstance(value, float) else value
    )
    return "none" if text in (None, "") else shared.plain(str(text))


def _plain(value: Any) -> Any:
    """A default as its widget shows it."""
    return ", ".join(f"{part:g}" for part in value) if isinstance(value, tuple) else value


def _shown(value: Any) -> str:
    """A value as the text in its box."""
    if value is None or value == []:
        return ""
    return as_text(value) if isinstance(value, list) else f"{_plain(value)}"


def _widget(
    name: str, field: FieldInfo, key: str, columns: list[str] | None, proposed: Any, implied: Implied | None
) -> Any:
    label, help = label_of(name), field.description
    default = field.get_default() if proposed is None else proposed
    locked = implied is not None and implied.fixed
    if implied is not None:
        default, key = implied.value, f"{key}-{implied.by}"
        help = f"{help} {'Decided' if locked else 'Begun'} by {implied.by}."
    annotation = field.annotation
    if columns is not None and _names_column(field):
        return _column(label, columns, default, key, help)
    if get_origin(annotation) is Literal:
        return _of(st.selectbox, label, list(get_args(annotation)), value=default, key=key, help=help, disabled=locked)
    if get_origin(annotation) is list and get_origin(get_args(annotation)[0]) is Literal:
        values = list(get_args(get_args(annotation)[0]))
        # Begun by the widget itself: set from here, a form that is clicked while it is drawn loses them.
        return st.multiselect(label, values, default, key=key, help=help, disabled=locked)
    if annotation is bool:
        return _of(st.checkbox, label, value=default, key=key, help=help, disabled=locked)
    if annotation in (int, float):
        return _of(
            st.number_input, label, value=default, key=key, help=help, disabled=locked,
            step=1 if annotation is int else None, format=None if annotation is int else "%.4g",
        )  # fmt: skip
    typed = _of(
        st.text_input, label, value=_shown(default), key=key, help=help, disabled=locked,
        placeholder="YYYY-MM-DD hh:mm" if annotation == datetime | None else None,
    )  # fmt: skip
    text, empty = typed.strip() or typed, field.get_default()  # a blank or a tab is a separator
    if annotation == list[str] and text == _shown(default):
        return default
    return text or (None if empty is None else empty if empty == [] else text)


def _names_column(field: FieldInfo) -> bool:
    """Whether the option names a column of the file."""
    return isinstance(field.json_schema_extra, dict) and "column" in field.json_schema_extra


def _column(label: str, columns: list[str], default: Any, key: str, help: str | None) -> Any:
    if isinstance(default, list):
        known = [name for name in default if name in columns]
        return _of(st.multiselect, label, columns, value=known, key=key, help=help)
    # Not as `index`: a box that begins with one cannot be emptied.
    known = default if default in columns else None
    return _of(st.selectbox, label, columns, None, value=known, key=key, help=help, placeholder="none")


def _of(widget: Any, *arguments: Any, value: Any, key: str, **others: Any) -> Any:
    """A widget that begins with a value, and begins with it anew when its key is taken out of the session's state."""
    st.session_state.setdefault(key, value)
    return widget(*arguments, key=key, **others)
