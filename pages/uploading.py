"""Files from the browser: stored once, and an empty uploader when they have been used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st


def uploads(place: Any, key: str, *, several: bool = False, help: str | None = None) -> list[Any]:
    """An uploader's files; none where nothing is chosen.

    Args:
        key: of this uploader, as for `stored` and `used`.
        several: whether more than one file is taken.
    """
    version = st.session_state.setdefault(f"{key}-version", 0)  # another one is empty
    found = place.file_uploader("or upload", key=f"{key}-{version}", accept_multiple_files=several, help=help)
    return (found if several else [found]) if found else []


def stored(files: Sequence[Any], key: str) -> Path:
    """The file, or the folder of several, where uploads were stored: once for the same files.

    Raises:
        StudioError: there is no room for them, or two have one name.
    """
    from mdaf_core.data.prepare.uploads import save_uploads
    from mdaf_core.tasks.prepare import inputs_in_use

    saved = st.session_state.setdefault(f"{key}-stored", {})
    these = tuple(sorted(file.file_id for file in files))
    if these not in saved or not saved[these].exists():  # emptied once it is prepared
        saved[these] = save_uploads([(file.name, file) for file in files], inputs_in_use())
    found: Path = saved[these]
    return found


def used(path: Path, key: str) -> None:
    """Remove what was stored, and let the next uploader be empty: else it would be stored again."""
    from mdaf_core.data.prepare.uploads import discard

    discard(path)
    st.session_state[f"{key}-version"] = st.session_state.get(f"{key}-version", 0) + 1
