"""A file of new rows to one of predictions."""

from __future__ import annotations

import re
import time
from pathlib import Path

from pydantic import BaseModel

from mdaf_core.base.errors import BadInputError, UsageError
from mdaf_core.base.settings import get_settings
from mdaf_core.queue import api, kind
from mdaf_core.queue.context import Context
from mdaf_core.queue.job import Job, NewJob
from mdaf_core.runs import tracking
from mdaf_core.runs.tracking import RunRecord
from mdaf_core.studies import trainings

NAME = "predict"


class Prediction(BaseModel):
    """What a prediction is given: the run, the file of rows, one with their users' events, and the file to write."""

    run: str
    path: str
    beside: str | None = None
    out: str
    skip_bad_rows: bool = False


class PredictProgress(kind.Stage):
    """As the prediction tells it; at its end also what there is to know about it."""

    said: list[str] = []


def run(context: Context, prediction: Prediction) -> None:
    """Predict; what was uploaded for it is removed once it is done."""
    from mdaf_core.data.prepare import uploads
    from mdaf_core.predicting.predict import predict_file
    from mdaf_core.predicting.predictor import open_run

    path, out = Path(prediction.path), Path(prediction.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    found = predict_file(
        open_run(tracking.get_run(prediction.run)),
        path,
        out,
        beside=Path(prediction.beside) if prediction.beside else None,
        skip_bad_rows=prediction.skip_bad_rows,
        progress=kind.telling(context),
    )
    context.report(PredictProgress(fraction=1.0, message=f"{found.rows:,} rows", said=found.lines()))
    uploads.discard(path)


KIND = kind.Kind(name=NAME, payload=Prediction, progress=PredictProgress, run=run)


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
        kind=NAME,
        title=f"predict {path.name[:60]} with {run.configuration}, seed {run.seed}",
        payload=Prediction(
            run=run.run_id,
            path=str(path),
            beside=str(beside) if beside else None,
            out=str(get_settings().home / "predictions" / name),
            skip_bad_rows=skip_bad_rows,
        ).model_dump(),
        threads=1,  # beside trainings: somebody waits for it
    )


def submit_predict(run: RunRecord, path: Path, *, beside: Path | None = None, skip_bad_rows: bool = False) -> int:
    """Queue `predict_job` ahead of the trainings that wait; returns the job's id."""
    return api.submit([predict_job(run, path, beside=beside, skip_bad_rows=skip_bad_rows)], ahead_of=trainings.KIND)[0]


def predictions_of(run: RunRecord) -> list[Job]:
    """The jobs that predict with this run, running first, then queued ones, then ended ones, latest first."""
    return [job for job in api.list_jobs(kind=NAME) if job.payload.get("run") == run.run_id]
