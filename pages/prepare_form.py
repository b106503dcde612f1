"""The form that prepares a data set, and what is being prepared."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import streamlit as st

from mdaf_core.data import resources
from mdaf_core.data.sources.base import Source, files_at, get_source, parse_options, source_names
from mdaf_core.data.sources.table_proposal import Proposal, propose
from mdaf_core.data.uploads import save_uploads
from mdaf_core.errors import StudioError
from mdaf_core.jobs import api
from pages import shared
from pages.options_form import options_form

POLL_SECONDS = 1.0
JOB = "prepare-job"
SHOWN = 6


def draw(expanded: bool) -> None:
    """The form, folded unless there is nothing else to do, and the progress of what it started."""
    with st.expander("Prepare a data set", icon=":material/add:", expanded=expanded):
        names = source_names()
        name = st.selectbox("Source", names, format_func=lambda n: f"{n}: {get_source(n).title}", key="prepare-source")
        source = get_source(name)
        path = _path(source)
        if path is not None:
            _found(path.expanduser())
        proposal = _table(path) if name == "table" else None
        with st.container(border=True, gap="small"):
            options = options_form(
                source.options,
                f"prepare-{name}",
                None if proposal is None else proposal.rows.columns,
                None if proposal is None else proposal.options,
            )
        _need(source, path, options)
        with st.container(horizontal=True, vertical_alignment="bottom"):
            wanted = st.text_input(
                "Name",
                key="prepare-name",
                placeholder="made of the source and its main option",
                help="A data set of the same name is replaced when the new one is complete.",
            )
            limit = st.text_input(
                "Memory limit",
                key="prepare-memory",
                width=180,
                placeholder=f"{resources.gigabytes(resources.memory_limit())}",
                help="What the preparation may use, such as 4GB; else half of the machine's memory, or "
                "MDAF_DATA_MEMORY_LIMIT. An input that needs more is refused before it starts.",
            )
            again = st.checkbox(
                "Again",
                key="prepare-again",
                help="Prepare even what is prepared already from the same input and options.",
            )
            if st.button("Prepare", type="primary", icon=":material/play_arrow:", key="prepare-go"):
                _submit(source, path, wanted.strip() or None, options, limit.strip(), again)
    if st.session_state.get(JOB) is not None:
        st.fragment(_progress, run_every=POLL_SECONDS)()


def _path(source: Source) -> Path | None:
    """A path on the machine that runs the app, or uploaded files."""
    if not source.path_help:
        return None
    left, right = st.columns(2)
    typed = left.text_input(
        "Path",
        key=f"prepare-path-{source.name}",
        placeholder=source.path_help,
        help="On the machine that runs the app. For large files take this rather than an upload.",
    ).strip()
    files = right.file_uploader("or upload", accept_multiple_files=True, key=f"prepare-upload-{source.name}",
                                help="One file, or all files of a folder.")  # fmt: skip
    if typed:
        return Path(typed)
    if not files:
        return None
    key = tuple(file.file_id for file in files)
    saved = st.session_state.setdefault("prepare-uploads", {})
    if key not in saved:
        saved[key] = save_uploads([(file.name, file) for file in files])
    return Path(saved[key])


def _found(path: Path) -> None:
    try:
        files = files_at(path)
    except StudioError as error:
        st.warning(shared.plain(str(error)), icon=":material/warning:")
        return
    shown = " · ".join(f"{name} ({shared.fmt_bytes(size)})" for name, size in files)
    st.caption(f"Found: {shared.plain(shown or 'an empty folder')}")


def _table(path: Path | None) -> Proposal:
    """The first rows of the file, and what its columns are proposed to be."""
    if path is None:
        st.caption("Name a file to see its first rows and choose its columns.")
        return Proposal()
    path = path.expanduser()
    if not path.exists():
        return Proposal()
    changed = path.stat().st_mtime_ns
    try:
        proposal = _proposal(str(path), changed)
    except StudioError as error:
        st.warning(shared.plain(str(error)), icon=":material/warning:")
        return Proposal()
    if st.session_state.get("prepare-table-of") != (
        path,
        changed,
    ):  # another file: its own proposal, not the last choices
        for key in [key for key in st.session_state if str(key).startswith("prepare-table-")]:
            del st.session_state[key]
        st.session_state["prepare-table-of"] = (path, changed)
    shared.show_table(proposal.rows.head(SHOWN), "table-head", title="First rows", names_as_they_are=True)
    why = [f"**{option.replace('_', ' ')}** {shared.plain(_words(proposal, option))}" for option in proposal.reasons]
    left_out = f" Not used: {shared.plain(', '.join(proposal.left_out))}." if proposal.left_out else ""
    st.caption(f"Proposed from names and first rows; change what is wrong. {'; '.join(why)}.{left_out}")
    return proposal


@st.cache_data(show_spinner="Reading the first rows", max_entries=8)
def _proposal(path: str, changed: int) -> Proposal:
    return propose(Path(path))


def _words(proposal: Proposal, option: str) -> str:
    value = proposal.options[option]
    return f"{', '.join(value) if isinstance(value, list) else value} ({proposal.reasons[option]})"


def _need(source: Source, path: Path | None, options: dict[str, Any]) -> None:
    """What the preparation will need, where that can be said beforehand."""
    try:
        need = resources.estimate(source, path.expanduser() if path else None, parse_options(source, options))
    except StudioError:
        return  # said when it is submitted
    if need is not None:
        st.caption(
            f"About {shared.fmt_count(need.rows)} rows: preparing them takes up to {resources.gigabytes(need.memory)} "
            f"of memory and {resources.gigabytes(need.disk)} of disk space."
        )


def _submit(
    source: Source, path: Path | None, name: str | None, options: dict[str, Any], limit: str, again: bool
) -> None:
    try:
        bytes_limit = resources.parse_size(limit) if limit else None
        st.session_state[JOB] = api.submit_prepare(
            source.name, path, name, options, memory_limit=bytes_limit, again=again
        )
    except StudioError as error:
        st.error(shared.plain(str(error)), icon=":material/error:")


def _progress() -> None:
    from mdaf_core.jobs.describe import progress_text, share_done

    if st.session_state.get(JOB) is None:  # dismissed just now: what shows this goes with a run of the whole page
        st.rerun()
    job = api.get_job(st.session_state[JOB])
    name = job.payload["name"]
    if job.state == "finished":
        st.session_state[JOB] = None
        st.query_params["dataset"] = name
        st.toast(shared.plain(job.progress.get("message") or f"Prepared {name}"), icon=":material/check:")
        st.rerun()
    with st.container(border=True):
        if job.state in api.ACTIVE:
            api.ensure_supervisor()
            waiting = "waiting for its turn; see the Jobs page for the queue"
            words = progress_text(job) if job.state == "running" else waiting
            since = f", {shared.fmt_time(time.time() - job.started)}" if job.started else ""
            st.markdown(f"{shared.state_label(job.state)} **{shared.plain(name)}**{since}")
            st.progress(share_done(job) or 0.0, shared.plain(words))
            st.button(
                "Cancel", key="prepare-cancel", icon=":material/stop_circle:", on_click=api.cancel, args=(job.id,)
            )
        else:
            st.markdown(f"{shared.state_label(job.state)} **{shared.plain(name)}**")
            if job.reason:
                st.markdown(shared.plain(job.reason))
            with st.container(horizontal=True):
                if job.can_retry:
                    st.button(
                        "Go on", key="prepare-retry", icon=":material/play_arrow:", on_click=api.retry, args=(job.id,),
                        help="A stopped preparation goes on from its last finished stage.",
                    )  # fmt: skip
                st.button("Dismiss", key="prepare-dismiss", on_click=_dismiss)


def _dismiss() -> None:
    st.session_state[JOB] = None
