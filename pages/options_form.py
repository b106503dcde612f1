"""The form of a source's options: one field an option, with its description as help."""

from __future__ import annotations

from typing import Any

import streamlit as st

from mdaf_core.data.formats.options import SourceOptions, refused_options
from mdaf_core.forms.fields import Field, fields
from pages import path_browser, shared
from pages.fields import draw

WIDE = 3


def options_form(
    options: type[SourceOptions], key: str, columns: list[str] | None = None, proposed: dict[str, Any] | None = None
) -> tuple[dict[str, Any], bool]:
    """Draw the widgets; returns the options that differ from their defaults, and whether all of them are taken.

    What is not taken is said under its field. Options without effect beside those chosen above them are left out; those
    that another one decides show its value and are locked.

    Args:
        key: prefix of the widgets' keys, unique on the page.
        columns: columns of the chosen file, offered where an option names one.
        proposed: values to begin with, instead of the defaults.
    """
    own = options.model_fields.keys() - SourceOptions.model_fields.keys()
    form = {field.path: field for field in fields(options)}
    groups = {
        "What to read": [field for path, field in form.items() if path.partition(".")[0] in own],
        "How to split and code": [field for path, field in form.items() if path.partition(".")[0] not in own],
    }
    begun = proposed or {}
    chosen: dict[str, Any] = {}
    shown: dict[str, Any] = {}
    below: dict[str, Any] = {}
    for title, members in groups.items():
        st.caption(f"**{title}**")
        cells: list[Any] = []
        for field in members:
            name = field.path
            if not options.has_effect(name, shown):
                continue
            cells = cells or list(st.columns(WIDE, vertical_alignment="bottom"))
            implied = options.implied(shown).get(name)
            locked = implied is not None and implied.fixed
            of_column = columns if field.extra.get("column") else None
            start, place, help = begun.get(name, field.value), f"{key}-{name}", ""
            if implied is not None:
                start, place = implied.value, f"{place}-{implied.by}-{form[name].as_text(implied.value)}"
                help = f"{field.help} {'Decided' if locked else 'Begun'} by {implied.by}."
            with cells.pop(0):
                value = draw(field, place, value=start, help=help, locked=locked, columns=of_column)
                if field.extra.get("file"):
                    path_browser.browse(place)
                below[name] = st.empty()
            shown[name] = value
            if locked or (of_column == [] and not value):  # no file is named yet
                continue
            if not _same(value, field.value if implied is None else implied.value):
                chosen[name] = value
    refused = refused_options(options, chosen)
    for name, sentence in refused.items():
        (below.get(name) or st).caption(f":red[{shared.plain(sentence)}]")
    changed = {name: (value, form[name].value) for name, value in chosen.items() if name not in begun}
    for name, implied in options.implied(shown).items():
        changed.setdefault(name, (implied.value, f"by {implied.by}"))
    said = [
        f"**{form[name].title}** {_words(form[name], value)} :gray[({_words(form[name], usual)})]"
        for name, (value, usual) in changed.items()
    ]
    if said:
        st.caption(f"Changed from the defaults: {'; '.join(said)}.")
    return chosen, not refused


def _same(value: Any, usual: Any) -> bool:
    return bool(value == (list(usual) if isinstance(usual, tuple) and isinstance(value, list) else usual))


def _words(field: Field, value: Any) -> str:
    if isinstance(value, list):
        return shared.plain(", ".join(map(str, value))) or "none"
    return shared.plain(f"{value:g}" if isinstance(value, float) else field.as_text(value)) or "none"
