"""The trainings of studies as tasks of the queue: what each is given, and how it is found again."""

from __future__ import annotations

from typing import Any, NamedTuple

from pydantic import BaseModel

from mdaf_core.base.files import check_name
from mdaf_core.queue import api
from mdaf_core.queue.job import Job, NewJob
from mdaf_core.runs.config import RunConfig

KIND = "train"


class Training(BaseModel):
    """What a training is given: the configuration, the name of a prepared data set, what its run is to carry along."""

    config: RunConfig
    dataset: str
    seed: int
    provenance: dict[str, Any] = {}


class Place(NamedTuple):
    """Of a run in its study."""

    study: str
    configuration: str
    seed: int


def training_job(
    study: str,
    config: RunConfig,
    dataset: str,
    seed: int,
    provenance: dict[str, Any] | None = None,
    after: int | NewJob | None = None,
    threads: int | None = None,
) -> NewJob:
    """A job that trains `config` on the prepared data set `dataset`, as part of `study`; there is one for each
    configuration and seed.

    Args:
        threads: as of `Job.threads`.
    """
    training = Training(
        config=config, dataset=check_name(dataset, "data set name"), seed=seed, provenance=provenance or {}
    )
    return NewJob(
        kind=KIND,
        title=f"{config.name}, seed {seed}",
        payload=training.model_dump(mode="json"),
        key=key(Place(check_name(study, "study"), config.name, seed)),
        resource=training.dataset,
        resumable=True,
        threads=threads,
        after=after,
    )


def key(place: Place) -> str:
    """The key of a training's job."""
    return f"{place.study}/{place.configuration}/{place.seed}"


def place(job: Job) -> Place | None:
    """Where in a study a job belongs; None for one of another kind."""
    if job.kind != KIND or job.key is None:
        return None
    study, _, rest = job.key.partition("/")
    configuration, _, seed = rest.rpartition("/")
    return Place(study, configuration, int(seed))


def of_study(study: str) -> dict[tuple[str, int], Job]:
    """Configuration and seed → job of a study."""
    jobs = {place(job): job for job in api.list_jobs(kind=KIND, group=study)}
    return {(found.configuration, found.seed): job for found, job in jobs.items() if found}
