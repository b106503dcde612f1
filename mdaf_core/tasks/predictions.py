"""Predicting a file as a job: what is queued for it, and where its output is."""

from __future__ import annotations

import re
import time
from pathlib import Path

from mdaf_core.base.errors import BadInputError, UsageError
from mdaf_core.base.settings import get_settings
from mdaf_core.queue import api
from mdaf_core.queue.store import Job, NewJob
from mdaf_core.runs.tracking import RunRecord

KIND = "predict"


def predict_job(run: RunRecord, path: Path, *, beside: Path | None = None, skip_bad_rows: bool = False) -> NewJob:
    """A job that predicts the rows of a file with a run, into `predictions/` of the artifacts folder.

    Raises:
        UsageError: the run is not finished.
        BadInputError: there is nothing at a path.
    """
    if run.state != "finished":
        raise UsageError(f"Run {run.run_id[:8]} is {run.state}: only a finished run has a model to use.")
    path, beside = path.expanduser().absolute(), beside.expanduser().absolute() if beside else None
    for wanted in filter(None, (path, beside)):
        if not wanted.exists():
            raise BadInputError("There is nothing at this path.", wanted)
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", path.name.split(".")[0]).strip("-.")[:60] or "rows"
    name = f"{stem}-{run.run_id[:8]}-{time.strftime('%Y%m%d-%H%M%S')}.parquet"
    return NewJob(
        kind=KIND,
        title=f"predict {path.name[:60]} with {run.configuration}, seed {run.seed}",
        payload={
            "run": run.run_id,
            "path": str(path),
            "beside": str(beside) if beside else None,
            "out": str(get_settings().home / "predictions" / name),
            "skip_bad_rows": skip_bad_rows,
        },
    )


def submit_predict(run: RunRecord, path: Path, *, beside: Path | None = None, skip_bad_rows: bool = False) -> int:
    """Queue `predict_job` ahead of the trainings that wait; returns the job's id."""
    return api.submit([predict_job(run, path, beside=beside, skip_bad_rows=skip_bad_rows)], ahead_of="train")[0]


def predictions_of(run: RunRecord) -> list[Job]:
    """The jobs that predict with this run, running first, then queued ones, then ended ones, latest first."""
    return [job for job in api.list_jobs(kind=KIND) if job.payload.get("run") == run.run_id]
