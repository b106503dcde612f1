"""The form that prepares a data set."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import streamlit as st

from mdaf_core.base.errors import StudioError
from mdaf_core.data.formats.base import Source, parse_options
from mdaf_core.data.formats.registry import sources
from mdaf_core.data.prepare import resources
from mdaf_core.data.prepare.pipeline import default_name
from mdaf_core.data.propose.proposal import Proposal
from mdaf_core.data.propose.table import propose
from mdaf_core.data.reading.files import exists, expand
from mdaf_core.data.store.browse import entries
from mdaf_core.data.store.dataset import PreparedDataset, list_datasets
from mdaf_core.forms.text import as_text
from mdaf_core.queue.job import Job
from mdaf_core.studies import data_sets
from mdaf_core.tasks import prepare
from pages import access, path_browser, prepare_progress, shared, uploading
from pages.fields import anew, place
from pages.options_form import options_form

OPEN = "prepare-open"
BEGUN = "prepare-begun"
SHOWN = 6  # first rows of a table
FOUND = 12  # files of a folder


def draw(expanded: bool) -> None:
    """The form, folded unless there is nothing else to do; it folds when what it says is queued."""
    if access.only_owners("Preparing data is"):
        return
    if st.session_state.pop("prepare-queued", False):
        st.session_state[OPEN] = False
    st.session_state.setdefault(OPEN, expanded)
    if st.session_state[OPEN]:
        shared.warm()
    with st.expander("Prepare a data set", icon=":material/add:", key=OPEN, on_change="rerun"):
        known = sources()
        name = st.selectbox("Source", known, format_func=lambda n: f"{n}: {known[n].title}", key="prepare-source")
        source = known[name]
        path = _path(source)
        if path is not None:
            _found(expand(path))
        proposal = _table(path) if name == "table" else None
        with st.container(border=True, gap="small"):
            options, taken = options_form(
                source.options,
                place(f"prepare-{name}"),
                None if proposal is None else proposal.rows.columns,
                _begun(name, path) or (None if proposal is None else proposal.options),
            )
        _need(source, path, options)
        usual = _usual_name(source, path, options)
        with st.container(horizontal=True, vertical_alignment="bottom"):
            wanted = st.text_input(
                "Name",
                key="prepare-name",
                placeholder=usual or "made of the source and its main option",
                help="A data set of the same name is replaced when the new one is complete.",
            ).strip()
            limit = st.text_input(
                "Memory limit",
                key="prepare-memory",
                width=180,
                placeholder=f"{resources.gigabytes(resources.memory_limit())}",
                help="What the preparation may use, such as 4GB; else half of the machine's memory, or "
                "MDAF_DATA_MEMORY_LIMIT. An input that needs more is refused before it starts.",
            )
            again = st.checkbox(
                "Prepare again",
                key="prepare-again",
                help="Prepare even what is prepared already from the same input and options.",
            )
            go = st.button(
                "Prepare", type="primary", icon=":material/play_arrow:", key="prepare-go", disabled=not taken
            )
        force = False
        if st.session_state[OPEN]:
            force = _replaced(wanted or usual, source, options)
        if go:
            _submit(source, path, wanted or None, options, limit.strip(), again, force)


def edit(job: Job) -> None:
    """Begin the form with what a preparation was given. For a button: the form is drawn after it."""
    payload = job.payload
    source = payload["source"]
    anew(f"prepare-{source}")
    st.session_state[BEGUN] = payload
    st.session_state["prepare-source"] = source
    st.session_state[f"prepare-path-{source}"] = payload["path"] or ""
    st.session_state["prepare-name"] = payload["name"]
    st.session_state[OPEN] = True
    st.session_state[prepare_progress.JOB] = None


def _begun(source: str, path: Path | None) -> dict[str, Any] | None:
    """The options that `edit` took over, while the form is about the same input."""
    payload = st.session_state.get(BEGUN)
    same = payload and payload["source"] == source and (payload["path"] or None) == (str(path) if path else None)
    return payload["options"] if payload and same else None


def _path(source: Source) -> Path | None:
    """A path on the machine that runs the app, or uploaded files."""
    if not source.path_help:
        return None
    left, right = st.columns(2)
    with left.container(horizontal=True, vertical_alignment="bottom"):
        key = f"prepare-path-{source.name}"
        typed = st.text_input(
            "Path",
            key=key,
            placeholder=source.path_help,
            help="On the machine that runs the app. For large files take this rather than an upload.",
        ).strip()
        path_browser.browse(key)
    upload = f"prepare-upload-{source.name}"
    files = uploading.uploads(right, upload, several=True, help="One file, or all files of a folder.")
    if typed:
        return Path(typed)
    if not files:
        return None
    try:
        return uploading.stored(files, upload)
    except StudioError as error:
        st.error(shared.sentence(str(error)), icon=":material/error:")
        return None


def _found(path: Path) -> None:
    try:
        found, more = entries(path, FOUND)
    except StudioError as error:
        st.warning(shared.sentence(str(error)), icon=":material/warning:")
        return
    shown = [
        f"{entry.path.name}/" if entry.size is None else f"{entry.path.name} ({shared.fmt_bytes(entry.size)})"
        for entry in found
    ]
    words = " · ".join(shown) + (f" · and {more:,} more" if more else "")
    st.caption(f"Found: {shared.plain(words or 'an empty folder')}")


def _table(path: Path | None) -> Proposal:
    """The first rows of the file, and what its columns are proposed to be."""
    if path is None:
        st.caption("Name a file to see its first rows and choose its columns.")
        return Proposal()
    path = expand(path)
    if not exists(path) or not path.exists():  # in an archive: seen when it is read
        return Proposal()
    changed = max(path.stat().st_mtime_ns, path.parent.stat().st_mtime_ns)  # files beside it may be its parts
    try:
        proposal = _proposal(str(path), changed)
    except StudioError as error:
        st.warning(shared.sentence(str(error)), icon=":material/warning:")
        return Proposal()
    if st.session_state.get("prepare-table-of") != (
        path,
        changed,
    ):  # another file: its own proposal, not the last choices
        anew("prepare-table")
        st.session_state["prepare-table-of"] = (path, changed)
    shared.show_table(proposal.rows.head(SHOWN), "table-head", title="First rows", names_as_they_are=True)
    if proposal.findings:
        st.warning("  \n".join(shared.plain(finding) for finding in proposal.findings), icon=":material/warning:")
    why = [f"**{option.replace('_', ' ')}** {shared.plain(_words(proposal, option))}" for option in proposal.reasons]
    if why:
        st.caption(f"Proposed from names and first rows; change what is wrong. {'; '.join(why)}.")
    if proposal.left_out:
        st.caption(f"Not used: {shared.plain(_left_out(proposal))}.")
    return proposal


def _left_out(proposal: Proposal) -> str:
    """Columns without a part, by the reason."""
    by_reason: dict[str, list[str]] = {}
    for name, why in proposal.left_out.items():
        by_reason.setdefault(why, []).append(name)
    return "; ".join(f"{', '.join(names)} ({why})" for why, names in by_reason.items())


@st.cache_data(show_spinner="Reading the first rows", max_entries=8)
def _proposal(path: str, changed: int) -> Proposal:
    return propose(Path(path))


def _words(proposal: Proposal, option: str) -> str:
    return f"{as_text(proposal.options[option])} ({proposal.reasons[option]})"


def _need(source: Source, path: Path | None, options: dict[str, Any]) -> None:
    """What the preparation will need, where that can be said beforehand."""
    try:
        path = expand(path) if path else None
        need = resources.estimate(source, path, parse_options(source, options).at(path))
    except StudioError:
        return  # said when it is submitted
    if need is not None:
        st.caption(
            f"About {shared.fmt_count(need.rows)} rows: preparing them takes up to {resources.gigabytes(need.memory)} "
            f"of memory and {resources.gigabytes(need.disk)} of disk space."
        )


def _usual_name(source: Source, path: Path | None, options: dict[str, Any]) -> str:
    """The name that the data set will get unless another is typed; '' while that cannot be said."""
    if source.path_help and path is None:
        return ""
    try:
        path = expand(path) if path else None
        return default_name(source, path, parse_options(source, options).at(path))
    except (StudioError, OSError):
        return ""


def _replaced(name: str, source: Source, options: dict[str, Any]) -> bool:
    """Say that a data set of this name is there, how it was prepared, and what refers to it; whether it may be replaced
    all the same."""
    if not name or name not in list_datasets():
        return False
    with suppress(StudioError, OSError):  # one of an older format, or being replaced just now
        meta = PreparedDataset.open(name).meta
        wanted = parse_options(source, options).model_dump(mode="json")
        differs = [
            f"{key.replace('_', ' ')} {meta.options.get(key)}" for key in wanted if meta.options.get(key) != wanted[key]
        ]
        how = f"source {meta.source}" if meta.source != source.name else ", ".join(differs) or "with the same options"
        found = data_sets.references(name)
        refer = f" {found} refer to it and would lose what needs its rows: take another name." if found else ""
        st.caption(
            f":material/info: {shared.plain(name)} is there already ({shared.plain(how)}), and is replaced if anything "
            f"is different.{shared.plain(refer)}"
        )
        return bool(found) and st.checkbox("Replace it all the same", key=f"prepare-force-{name}")
    return False


def _submit(
    source: Source, path: Path | None, name: str | None, options: dict[str, Any], limit: str, again: bool, force: bool
) -> None:
    try:
        bytes_limit = resources.parse_size(limit) if limit else None
        st.session_state[prepare_progress.JOB] = prepare.submit(
            source.name, path, name, options, memory_limit=bytes_limit, again=again, force=force
        )
    except StudioError as error:
        st.error(shared.sentence(str(error)), icon=":material/error:")
        return
    st.session_state["prepare-queued"] = True
    st.rerun()
