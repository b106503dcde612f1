"""The form that takes in somebody's table of runs: what is recognised can be corrected before anything is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from mdaf_core.base import rights
from mdaf_core.base.errors import StudioError
from pages import shared, uploading
from serving.whole import whole

UPLOAD = "published-upload"
column = st.column_config


def draw() -> None:
    """Path or upload, the columns as they are read, and the button that keeps the table."""
    if not rights.may_change():
        return
    if done := st.session_state.pop("published-done", None):
        st.success(shared.plain(done), icon=":material/check:")
    with st.expander("Your own table of runs", icon=":material/upload_file:"), shared.guard():
        st.caption(
            "A line a run: CSV, TSV, JSON lines or Parquet; FuxiCTR's result lines; exports of MLflow, W&B or "
            "TensorBoard (all its files, or their folder). Columns are recognised; correct what is not right."
        )
        left, right = st.columns(2, gap="medium")
        typed = left.text_input(
            "File or folder", key="published-path", help="On the machine that runs the app."
        ).strip()
        name = left.text_input("Name", key="published-name", placeholder="as the file is called").strip()
        uploads = uploading.uploads(right, UPLOAD, several=True)
        if typed or uploads:
            path = Path(typed) if typed else uploading.stored(uploads, UPLOAD)
            _recognised(path, name or (path.name if typed else _called(uploads)))


def _called(uploads: list[Any]) -> str:
    first = min(one.name for one in uploads)
    return first if len(uploads) == 1 else f"{first} and {len(uploads) - 1} more"


def _recognised(path: Path, name: str) -> None:
    """What is read as what, to be corrected."""
    import pandas as pd

    from mdaf_core.runs.published.roles import BETTER, ROLES, columns_of

    raw, rows, said = _read(path)
    st.markdown("\n".join(f"- {shared.plain(sentence)}" for sentence in said))
    edited = st.data_editor(
        pd.DataFrame(rows).astype("object"),
        key=f"published-roles-{path}",
        hide_index=True,
        height="content",
        placeholder="",
        disabled=["column", "example"],
        column_config={
            "column": column.TextColumn("Column"),
            "example": column.TextColumn("For example"),
            "role": column.SelectboxColumn("Is", options=list(ROLES), required=True, width="medium"),
            "metric": column.TextColumn("Metric", help="Of a figure; a name that is not known is taken as it is."),
            "better": column.SelectboxColumn("Better", options=list(BETTER)),
        },
    )
    columns, lower, higher = columns_of(shared.edited_rows(edited))
    from mdaf_core.runs.published.table import build

    published = build(raw.frame, columns, lower, higher)
    st.caption(
        shared.plain(
            f"{len(published.runs):,} runs, {len({(r.data_set, r.model) for r in published.runs}):,} pairs of a model "
            f"and a data set. {' '.join(published.notes)}"
        )
    )
    st.button(
        "Import",
        type="primary",
        icon=":material/add:",
        key="published-go",
        on_click=_keep,
        args=(published, name, path),
    )


def _read(path: Path) -> tuple[Any, list[dict[str, Any]], list[str]]:
    """The file's lines, its columns as they are recognised, and what is to be said of them; once a file."""
    from mdaf_core.runs.published.columns import propose
    from mdaf_core.runs.published.read import read_runs
    from mdaf_core.runs.published.roles import roles

    path = path.expanduser()
    key = (str(path), path.stat().st_mtime_ns if path.exists() else 0)
    kept = st.session_state.get("published-read")
    if kept is None or kept[0] != key:
        raw = read_runs(path)
        proposed = propose(raw.frame)
        said = [f"Read as {raw.form}, {len(raw.frame):,} lines.", *raw.notes, *proposed.guesses]
        kept = (key, (raw, roles(raw.frame, proposed), said))
        st.session_state["published-read"] = kept
    return kept[1]


@whole
def _keep(published: Any, name: str, path: Path) -> None:
    from mdaf_core.runs.published.kept import keep

    try:
        about = keep(published, name)
    except StudioError as error:
        st.session_state[shared.REFUSAL] = str(error)
        return
    uploading.used(path, UPLOAD)
    st.session_state.pop("published-read", None)
    st.session_state["published-path"] = st.session_state["published-name"] = ""
    shared.choose("reported", about.id)
    st.session_state["published-done"] = f"{about.name} is imported, and shown below."
