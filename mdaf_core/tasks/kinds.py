"""What each kind of job does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from mdaf_core.queue.worker import Context, Kind


def train(context: Context) -> None:
    """One training of one configuration with one seed."""
    from mdaf_core.base import notices
    from mdaf_core.data.store.dataset import PreparedDataset
    from mdaf_core.queue.describe import epoch_line
    from mdaf_core.runs.config import RunConfig
    from mdaf_core.tasks import summaries

    job = context.job
    summaries.train(
        RunConfig.model_validate(job.payload["config"]),
        PreparedDataset.open(job.payload["dataset"]),
        job.payload["seed"],
        study=job.study or "",
        run_id=job.run_id if job.resume else None,
        on_progress=lambda progress: context.report(json.loads(progress.model_dump_json()), run_id=progress.run_id),
        on_epoch=lambda epochs: notices.log(epoch_line(epochs[-1])),
        should_stop=context.should_stop,
        provenance={**job.payload["provenance"], "job": job.id},
    )


def prepare(context: Context) -> None:
    """Raw files to a prepared data set."""
    from mdaf_core.data.prepare import uploads
    from mdaf_core.data.prepare.pipeline import prepare
    from mdaf_core.studies.data_sets import refuse_replacing

    def progress(fraction: float, message: str) -> None:
        context.report({"fraction": fraction, "message": message})
        context.stop_if_asked()

    payload = context.job.payload
    path = payload["path"]
    prepare(
        payload["source"],
        path=Path(path) if path else None,
        name=payload["name"],
        options=payload["options"],
        progress=progress,
        memory_limit=payload.get("memory_limit"),
        again=payload.get("again", False),
        may_replace=partial(refuse_replacing, force=payload.get("force", True)),  # jobs of before had no such field
    )
    if path:
        uploads.discard(Path(path))


def predict(context: Context) -> None:
    """A file of new rows to one of predictions."""
    from mdaf_core.data.prepare import uploads
    from mdaf_core.predicting.predict import predict_file
    from mdaf_core.predicting.predictor import open_run
    from mdaf_core.runs.tracking import get_run

    def progress(fraction: float, message: str) -> None:
        context.report({"fraction": fraction, "message": message})
        context.stop_if_asked()

    payload = context.job.payload
    path, out = Path(payload["path"]), Path(payload["out"])
    out.parent.mkdir(parents=True, exist_ok=True)
    found = predict_file(
        open_run(get_run(payload["run"])),
        path,
        out,
        beside=Path(payload["beside"]) if payload["beside"] else None,
        skip_bad_rows=payload["skip_bad_rows"],
        progress=progress,
    )
    context.report({"fraction": 1.0, "message": f"{found.rows:,} rows", "said": found.lines()})
    uploads.discard(path)


KINDS: Mapping[str, Kind] = {"train": train, "prepare": prepare, "predict": predict}
