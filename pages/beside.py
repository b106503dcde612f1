"""Choosing studies, or a run, beside the one a page is of; in the link by their ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from pages import shared


def choose(
    label: str, name: str, labels: Mapping[str, str], usual: Sequence[str] = (), *, placeholder: str, help: str
) -> list[str]:
    """Ids of the studies chosen, which live in the link under `name`; until something is chosen, the usual ones.

    Args:
        labels: id → what it is called here. An id in the link that is not among them is left out.
    """
    titles = shared.told_apart(dict(labels))
    key = f"_{name}"
    named = st.query_params.get_all(name)
    st.session_state[key] = [one for one in (named or usual) if one in titles]

    def changed() -> None:
        st.query_params[name] = st.session_state[key] or ""  # of an empty choice, too: the usual ones were taken out

    return st.multiselect(
        label, list(titles), format_func=titles.__getitem__, key=key, on_change=changed, placeholder=placeholder,
        help=help,
    )  # fmt: skip


def choose_one(label: str, name: str, labels: Mapping[str, str], *, placeholder: str) -> str | None:
    """The id that is chosen, which lives in the link under `name`; None until one is."""
    titles = shared.told_apart(dict(labels))
    key = f"_{name}"
    named = st.query_params.get(name)
    st.session_state[key] = named if named in titles else None

    def changed() -> None:
        chosen = st.session_state[key]
        if chosen is None:
            st.query_params.pop(name, None)
        else:
            st.query_params[name] = chosen

    return st.selectbox(
        label, list(titles), index=None, format_func=titles.__getitem__, key=key, on_change=changed,
        placeholder=placeholder,
    )  # fmt: skip
