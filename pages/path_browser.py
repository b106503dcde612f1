"""Choosing a file or folder of the machine that runs the app, by clicks alone."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from mdaf_core.base.errors import StudioError
from mdaf_core.data.reading.files import expand
from mdaf_core.data.store.browse import MOST, entries, starting_folder
from pages import shared

HEIGHT = 320  # pixels
FEW = 8


def browse(field: str) -> None:
    """A button that opens a list of folders and files; what is taken becomes the text of the field of that key."""
    key = f"{field}-browse"
    with st.popover("Browse", icon=":material/folder_open:", key=key, on_change="rerun") as opened:
        if not opened.open:
            st.session_state.pop(f"{field}-folder", None)
            return
        typed = str(st.session_state.get(field) or "").strip()
        here = st.session_state.get(f"{field}-folder") or starting_folder(expand(Path(typed)) if typed else None)
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button(
                "Up", icon=":material/arrow_upward:", key=f"{key}-up", disabled=here.parent == here,
                on_click=_enter, args=(field, here.parent),
            )  # fmt: skip
            st.button(
                "Take this folder", type="primary", key=f"{key}-take", on_click=_take, args=(field, here),
            )  # fmt: skip
        st.caption(shared.plain(str(here)))
        try:
            found, more = entries(here)
        except StudioError as error:
            st.warning(shared.sentence(str(error)), icon=":material/warning:")
            return
        with st.container(height=HEIGHT if len(found) > FEW else "content", gap=None, width=420):
            if not found:
                st.caption("Nothing in here.")
            for i, entry in enumerate(found):
                name = shared.plain(entry.path.name)
                if entry.size is None:
                    st.button(
                        name, icon=":material/folder:", type="tertiary", key=f"{key}-{i}",
                        on_click=_enter, args=(field, entry.path),
                    )  # fmt: skip
                else:
                    st.button(
                        f"{name} :gray[{shared.fmt_bytes(entry.size)}]", icon=":material/draft:", type="tertiary",
                        key=f"{key}-{i}", on_click=_take, args=(field, entry.path),
                    )  # fmt: skip
            if more:
                st.caption(f"… and {more:,} more than these {MOST}: type the path.")


def _enter(field: str, folder: Path) -> None:
    st.session_state[f"{field}-folder"] = folder


def _take(field: str, path: Path) -> None:
    st.session_state[field] = str(path)
    st.session_state[f"{field}-browse"] = False  # closes the list
