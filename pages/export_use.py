"""Export, "Use": a run's model as a folder that needs no run store, and predictions of new rows."""

from __future__ import annotations

import shlex
from pathlib import Path

import streamlit as st

from mdaf_core.base.errors import StudioError
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.queue import api
from mdaf_core.queue.job import Job
from mdaf_core.runs.tracking import RunRecord
from mdaf_core.tasks.kinds import progress_text, share_done
from mdaf_core.tasks.predictions import predictions_of, submit_predict
from mdaf_core.tasks.prepare import inputs_in_use
from pages import access, path_browser, shared

LARGEST_DOWNLOAD = 200_000_000  # bytes that pass through the browser
POLL_SECONDS = 1.0
SHOWN_JOBS = 5


def draw(study_id: str) -> None:
    """A finished run to choose, its model, and predictions with it."""
    runs = shared.finished_runs(study_id)
    left, right = st.columns(2)
    names = list(dict.fromkeys(run.configuration for run in runs))
    configuration = left.selectbox("Configuration", names, key="use-configuration", bind="query-params")
    seeds = sorted(run.seed for run in runs if run.configuration == configuration)
    seed = right.selectbox("Seed", seeds, key="use-seed", bind="query-params")
    run = next((run for run in runs if (run.configuration, run.seed) == (configuration, seed)), None)
    if run is None:
        return
    if not _model(run):
        st.caption("This run has no model in this folder: it was imported, or its files were removed.")
        return
    _save(run)
    _predict(run)


def _model(run: RunRecord) -> list[Path]:
    """The files of its trained model."""
    return [file for name in ("weights.safetensors", "model.txt") for file in run.directory.glob(name)]


def _save(run: RunRecord) -> None:
    shared.section(
        "The model", help="Weights, configuration, vocabularies and scaling in open formats, and how to load them."
    )
    with_log = st.checkbox(
        "With the event log", True, key="use-log",
        help="Histories of new rows are taken from it, and it holds the raw users. Without it, histories hold the new "
        "rows' own events alone.",
    )  # fmt: skip

    def make() -> bytes:
        from mdaf_core.predicting.saved import archive

        return archive(run, with_log)

    name = f"{run.configuration}-{run.seed}"
    try:
        size = _size(run, with_log)
    except StudioError as reason:
        st.caption(shared.sentence(str(reason)))
        return
    if size <= LARGEST_DOWNLOAD:
        st.download_button(
            f"Download the model, about {shared.fmt_bytes(size)}", make, f"{name}.zip", "application/zip",
            on_click="ignore", icon=":material/folder_zip:", key="use-download",
        )  # fmt: skip
    else:
        st.caption(f"{shared.fmt_bytes(size)} are too much for a download: the command writes them to a folder.")
    option = "" if with_log else " --without-log"
    st.code(f"python -m mdaf_core save {run.run_id[:8]} {shlex.quote(name)}{option}", language="sh", wrap_lines=True)


def _size(run: RunRecord, with_log: bool) -> int:
    """About how many bytes the model takes: its weights, and what is known of its data set.

    Raises:
        StudioError: the data set is gone.
    """
    data = PreparedDataset.open(run.dataset).path
    log = [data / "events.arrow", data / "users.arrow"] if with_log else []
    files = [*_model(run), *log, *data.glob("vocabulary/*")]
    return sum(file.stat().st_size for file in files if file.is_file())


def _predict(run: RunRecord) -> None:
    shared.section(
        "New rows",
        help="A file as the data set was prepared from, with raw ids, or a table with the fields' names; labels are "
        "optional. docs/predicting.md says more.",
    )
    if access.only_owners("Predicting is"):
        _jobs(run)
        return
    left, right = st.columns(2)
    with left.container(horizontal=True, vertical_alignment="bottom"):
        typed = st.text_input(
            "Path", key="use-path", placeholder="a file or folder",
            help="On the machine that runs the app. For large files take this rather than an upload.",
        ).strip()  # fmt: skip
        path_browser.browse("use-path")
    uploaded = right.file_uploader("or upload", key="use-upload")
    with left.expander("Options"):
        beside = st.text_input(
            "Beside", key="use-beside", placeholder="folder",
            help="Where the path holds rows alone: the folder with the source's other files (u.item, ad_feature.csv).",
        ).strip()  # fmt: skip
        skip = st.checkbox("Leave out rows that cannot be read", key="use-skip")
    given = typed or (uploaded.name if uploaded else "")
    if access.change_button(
        "Predict", type="primary", icon=":material/play_arrow:", key="use-predict", disabled=not given,
        help="As a job; what is queued or running can be cancelled on the Jobs page.",
    ):  # fmt: skip
        from mdaf_core.data.prepare.uploads import save_uploads

        path = Path(typed) if typed else save_uploads([(uploaded.name, uploaded)], inputs_in_use())  # type: ignore[union-attr, list-item]
        submit_predict(run, path, beside=Path(beside) if beside else None, skip_bad_rows=skip)
    if typed:
        command = ["python", "-m", "mdaf_core", "predict", run.run_id[:8], "--path", typed, "--out", "scores.parquet"]
        command += (["--beside", beside] if beside else []) + (["--skip-bad-rows"] if skip else [])
        st.code(shlex.join(command), language="sh", wrap_lines=True)
    _jobs(run)


def _jobs(run: RunRecord) -> None:
    jobs = predictions_of(run)[:SHOWN_JOBS]
    live = any(job.state in api.ACTIVE for job in jobs)
    if jobs:
        st.fragment(_list, run_every=POLL_SECONDS if live else None)(run, live)


def _list(run: RunRecord, live: bool) -> None:
    with shared.guard():
        jobs = predictions_of(run)[:SHOWN_JOBS]
        if live and not any(job.state in api.ACTIVE for job in jobs):
            st.rerun()
        for job in jobs:
            with st.container(border=True, key=f"use-job-{job.id}"):
                _job(job)


def _job(job: Job) -> None:
    st.markdown(f"{shared.state_label(job.state)} {shared.plain(Path(job.payload['path']).name)}, job {job.id}")
    if job.state in api.ACTIVE:
        words = progress_text(job) if job.state == "running" else "waiting for its turn; see the Jobs page"
        st.progress(share_done(job) or 0.0, shared.plain(words[:1].upper() + words[1:]))
        return
    if job.reason:
        st.markdown(shared.sentence(job.reason))
    out = Path(job.payload["out"])
    if job.state != "finished":
        return
    for line in job.progress.get("said", []):
        st.caption(shared.plain(line))
    if not out.is_file():
        st.caption(shared.plain(f"{out} was removed."))
    elif out.stat().st_size <= LARGEST_DOWNLOAD:
        st.download_button(
            f"Download {job.progress.get('message', 'predictions')}", out.read_bytes, out.name,
            "application/vnd.apache.parquet", on_click="ignore", icon=":material/download:", key=f"use-out-{job.id}",
        )  # fmt: skip
    else:
        st.code(str(out), language=None, wrap_lines=True)
