"""A study while it runs, as lines."""

from __future__ import annotations

import time
from collections.abc import Iterator

from mdaf_core.queue import api as jobs
from mdaf_core.studies.store import Study
from mdaf_core.studies.tuning import search
from mdaf_core.tasks.kinds import standing

EVERY = 1.0  # seconds between two looks


def follow(study: Study) -> Iterator[str]:
    """What changes in the study's jobs, and in those they wait for, until none of them is queued or running."""
    return _follow(study.id)


def follow_search(search_id: str) -> Iterator[str]:
    """Likewise of a search, then of the study of its winners."""
    yield from _follow(search_id)
    if study := search.get(search_id).study:
        yield from _follow(study)


def _follow(group: str) -> Iterator[str]:
    said: dict[int, str] = {}
    while True:
        found = jobs.list_jobs(group=group)
        waited_for = {job.depends_on for job in found if job.depends_on and job.state == "queued"}
        for job in [*(jobs.get_job(i) for i in waited_for), *found]:
            line = f"{job.state}, {standing(job)}" if standing(job) else job.state
            if job.state != "queued" and said.get(job.id) != line:
                yield f"Job {job.id}, {job.title}: {line}"
                said[job.id] = line
        if not any(job.state in jobs.ACTIVE for job in found):
            return
        time.sleep(EVERY)
