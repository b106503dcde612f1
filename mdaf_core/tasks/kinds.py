"""The kinds of task by name, and how far a job is, as a number and in words: the same on pages and in a shell."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from mdaf_core.queue.job import Job
from mdaf_core.queue.kind import Kind, Progress
from mdaf_core.studies import trainings
from mdaf_core.tasks import message, predictions, prepare, speed, train

KINDS: Mapping[str, Kind[Any]] = {
    kind.name: kind for kind in (train.KIND, prepare.KIND, predictions.KIND, speed.KIND, message.KIND)
}


def progress(job: Job) -> Progress:
    """What a job last told of itself; of a kind that is not known here, or where the queue is damaged, nothing."""
    try:
        return KINDS[job.kind].progress.model_validate(job.progress)
    except (KeyError, ValidationError):
        return Progress()


def share_done(job: Job) -> float | None:
    """Share of a running job that is done, from 0 to 1; None while it says nothing yet."""
    return progress(job).share()


def progress_text(job: Job) -> str:
    """What a running job is doing."""
    if job.cancel_requested:
        return "stopping"
    return "waiting for another machine" if job.machine == "" else progress(job).words()


def to_dict(job: Job) -> dict[str, Any]:
    """Ready for JSON: what the queue knows, and the study, configuration and seed of a training (else null)."""
    place = trainings.place(job) or (None,) * len(trainings.Place._fields)
    return {**job.to_dict(), **dict(zip(trainings.Place._fields, place, strict=True))}


def standing(job: Job) -> str:
    """One line on a job: what it does, why it ended badly, or how long it took."""
    if job.state == "running":
        share, where = share_done(job), f" (on {job.machine})" if job.machine else ""
        return (progress_text(job) if share is None else f"{share:.0%}, {progress_text(job)}") + where
    if job.state == "finished" and job.started and job.ended:
        return f"{job.ended - job.started:.0f} s, ended {time.strftime('%Y-%m-%d %H:%M', time.localtime(job.ended))}"
    return job.reason
