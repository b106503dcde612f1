"""Measuring how long a study's models take to answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel

from mdaf_core.base.errors import UsageError
from mdaf_core.predicting.measured import Measured, SpeedSettings, keep
from mdaf_core.queue import api, kind
from mdaf_core.queue.context import Context
from mdaf_core.queue.job import ACTIVE, Job, NewJob
from mdaf_core.studies import results, trainings
from mdaf_core.studies.store import Study, get_study

if TYPE_CHECKING:
    from mdaf_core.base.progress import Progress

NAME = "speed"


class Measuring(BaseModel):
    """What a measurement is given."""

    study: str
    settings: SpeedSettings = SpeedSettings()


def measure_study(study: Study, settings: SpeedSettings, progress: Progress | None = None) -> Measured:
    """Measure one finished run of each configuration, and keep the result with the study.

    Raises:
        UsageError, StudioError: as `predicting.speed.measure`.
    """
    from mdaf_core.predicting.speed import measure, one_run_each

    runs = one_run_each(results.study_runs(study))
    names = [run.configuration for run in runs]
    reference = study.reference if study.reference in names else next(iter(names), "")
    measured = measure(runs, settings, title=study.title, reference=reference, progress=progress)
    keep(study.id, measured)
    return measured


def run(context: Context, measuring: Measuring) -> None:
    """Measure; what was measured before stays until it is done."""
    measure_study(get_study(measuring.study), measuring.settings, kind.telling(context))


KIND = kind.Kind(name=NAME, payload=Measuring, progress=kind.Stage, run=run)


def submit_speed(study: Study, settings: SpeedSettings | None = None) -> int:
    """Queue the measurement of a study ahead of the trainings that wait; returns the job's id.

    Raises:
        UsageError: no run has finished, or it is being measured already.
    """
    if not any(run.state == "finished" for run in results.study_runs(study)):
        raise UsageError(f"No run of study {study.id} has finished: there is nothing to measure.")
    if there := active(study.id):
        raise UsageError(f"Study {study.id} is being measured already (job {there.id}).")
    job = NewJob(
        kind=NAME,
        title=f"speed of {study.id}",
        payload=Measuring(study=study.id, settings=settings or SpeedSettings()).model_dump(mode="json"),
        resource=study.dataset,
    )
    return api.submit([job], ahead_of=trainings.KIND)[0]


def active(study: str) -> Job | None:
    """The queued or running job that measures this study."""
    return next((job for job in api.list_jobs(ACTIVE, NAME) if job.payload.get("study") == study), None)


def last_of(study: str) -> Job | None:
    """The job that measured this study last, in whatever state."""
    jobs = [job for job in api.list_jobs(kind=NAME) if job.payload.get("study") == study]
    return max(jobs, key=lambda job: job.id, default=None)
