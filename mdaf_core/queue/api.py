"""The door to the queue, for pages and the command line: submit, list, cancel, resume, retry, reorder, read logs."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from mdaf_core import plugins
from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.base.files import check_name, reading, writing
from mdaf_core.base.locks import try_lock
from mdaf_core.base.process import environment, module_command
from mdaf_core.base.settings import get_settings
from mdaf_core.queue import store
from mdaf_core.queue.store import ACTIVE, Job, JobState, NewJob, get_job
from mdaf_core.queue.supervisor import supervisor_lock_path
from mdaf_core.runs.config import RunConfig

__all__ = [
    "ACTIVE",
    "Job",
    "JobState",
    "NewJob",
    "cancel",
    "cancel_all",
    "ensure_supervisor",
    "follow_log",
    "get_job",
    "go_on",
    "list_jobs",
    "log_tail",
    "move",
    "prepare_job",
    "queue_position",
    "resume",
    "retry",
    "submit",
    "submit_prepare",
    "submit_train",
    "train_job",
    "wake",
]

SUPERVISOR: Sequence[str] = module_command("mdaf_core.queue.supervisor")
FOLLOW_EVERY = 0.5
_children: list[subprocess.Popen] = []


def ensure_supervisor() -> None:
    """Start the supervisor unless there is one. Cheap (one file lock); call it whenever a job is added or looked at.

    The caller takes the supervisor's lock and the new process inherits it, so that there is no moment between looking
    and starting at which another caller could start a second one.

    Raises:
        StudioError: it cannot be started: the folder may not be written, or its disk is full.
    """
    _children[:] = [child for child in _children if child.poll() is None]
    with writing(supervisor_lock_path()):
        lock = try_lock(supervisor_lock_path())
        if lock is not None:
            _start_supervisor(lock)


def _start_supervisor(lock: int) -> None:
    try:
        with (get_settings().jobs_dir / "supervisor.log").open("ab") as log:
            child = subprocess.Popen(
                [*SUPERVISOR, "--lock", str(lock)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(lock,),
                start_new_session=True,
                env=environment(),
            )
        _children.append(child)
    finally:
        os.close(lock)


def wake() -> None:
    """Start the supervisor if there is work and nobody serves it: for those who look at anything at all. Where that is
    not possible (a folder that may only be read), looking goes on.
    """
    with suppress(StudioError):
        if any(store.work()):
            ensure_supervisor()


def train_job(
    study: str,
    config: RunConfig,
    dataset: str,
    seed: int,
    provenance: dict[str, Any] | None = None,
    after: int | NewJob | None = None,
) -> NewJob:
    """A job that trains `config` on the prepared data set `dataset`, as part of `study`."""
    return NewJob(
        kind="train",
        title=f"{config.name}, seed {seed}",
        study=check_name(study, "study"),
        configuration=config.name,
        seed=seed,
        after=after,
        payload={
            "config": config.model_dump(mode="json"),
            "dataset": check_name(dataset, "data set name"),
            "seed": seed,
            "provenance": provenance or {},
        },
    )


def prepare_job(
    source: str,
    path: Path | str | None = None,
    name: str | None = None,
    options: dict[str, Any] | None = None,
    *,
    memory_limit: int | None = None,
    again: bool = False,
    force: bool = False,
) -> NewJob:
    """A job that prepares a data set from raw files; without a name it gets the source's default. For the limit and
    `again` see `data.prepare.prepare`; `force` replaces a data set of that name even if runs refer to it.

    Raises:
        UsageError: unknown source or option, or a bad name: what can be refused now does not wait for its turn.
        BadInputError: there is nothing at the path, or not the files that the source reads.
    """
    from mdaf_core.data.formats.base import check_path, parse_options
    from mdaf_core.data.formats.registry import get_source
    from mdaf_core.data.prepare.pipeline import default_name

    found = get_source(source)
    checked = check_path(found, Path(path) if path else None)
    absolute = checked.resolve() if checked else None
    chosen = parse_options(found, options or {})
    if absolute is not None and found.check is not None:
        found.check(absolute, chosen)
    name = check_name(name or default_name(found, absolute, chosen), "data set name")
    return NewJob(
        kind="prepare",
        title=f"prepare {name}",
        payload={
            "source": source,
            "path": str(absolute) if absolute else None,
            "name": name,
            "options": options or {},
            "memory_limit": memory_limit,
            "again": again,
            "force": force,
        },
    )


def submit(jobs: list[NewJob], ahead_of: str | None = None) -> list[int]:
    """Queue all of `jobs`, or none (see `store.add`), and see to it that someone serves them; returns their ids.

    The plug-ins that are named here are theirs too.
    """
    named = [str(file) for file in plugins.files()]
    for job in jobs:
        if named:
            job.payload["plugins"] = named
    ids = store.add(jobs, ahead_of)
    ensure_supervisor()
    return ids


def submit_train(
    study: str,
    config: RunConfig,
    dataset: str,
    seed: int,
    provenance: dict[str, Any] | None = None,
    depends_on: int | None = None,
) -> int:
    """Queue one training; returns the job's id."""
    return submit([train_job(study, config, dataset, seed, provenance, depends_on)])[0]


def submit_prepare(
    source: str,
    path: Path | str | None = None,
    name: str | None = None,
    options: dict[str, Any] | None = None,
    *,
    memory_limit: int | None = None,
    again: bool = False,
    force: bool = False,
) -> int:
    """Queue the preparation of a data set; returns the job's id.

    It goes before all trainings that are queued: somebody waits for it, and it is short beside them.

    Raises:
        UsageError: as `prepare_job`, or a data set of that name is being prepared already.
    """
    job = prepare_job(source, path, name, options, memory_limit=memory_limit, again=again, force=force)
    active = active_prepare(job.payload["name"])
    if active is not None:
        raise UsageError(f"Data set {job.payload['name']!r} is being prepared already (job {active.id}).")
    return submit([job], ahead_of="train")[0]


def active_prepare(name: str) -> Job | None:
    """The queued or running job that prepares this data set."""
    jobs = list_jobs(states=ACTIVE, kind="prepare")
    return next((job for job in jobs if job.payload.get("name") == name), None)


def inputs_in_use() -> list[Path]:
    """What jobs that are queued or running read."""
    return [Path(job.payload["path"]) for job in store.list_jobs(None, ACTIVE) if job.payload.get("path")]


def list_jobs(study: str | None = None, states: Iterable[JobState] | None = None, kind: str | None = None) -> list[Job]:
    """Jobs, running first, then queued in their order, then ended ones, latest first.

    Whoever looks wakes the supervisor where it should be at work but is dead.
    """
    jobs = store.list_jobs(study, states, kind)
    if any(job.state in ACTIVE for job in jobs):
        wake()
    return jobs


def cancel(job_id: int) -> Job:
    """Cancel a queued job at once, a running one within seconds; finished epochs are kept."""
    job = store.cancel(job_id)
    if job.state == "running":
        ensure_supervisor()
    return job


def retry(job_id: int) -> Job:
    """Run a failed or cancelled job again from scratch: a new run. See `store.requeue` for errors."""
    job = store.requeue(job_id, resume=False)
    ensure_supervisor()
    return job


def resume(job_id: int) -> Job:
    """Continue a failed or cancelled training after its last finished epoch. See `store.requeue` for errors."""
    job = store.requeue(job_id, resume=True)
    ensure_supervisor()
    return job


def cancel_all(jobs: Iterable[Job]) -> None:
    """Cancel each of these jobs."""
    for job in jobs:
        cancel(job.id)


def go_on(jobs: Iterable[Job]) -> None:
    """Resume each of these ended jobs where there is something to go on from, and retry the others."""
    for job in jobs:
        if get_job(job.id).can_retry:  # a dependency may have brought it back already
            store.requeue(job.id, resume=job.can_resume)
    ensure_supervisor()


def move(job_id: int, where: Literal["up", "down", "first"]) -> Job:
    """Change a queued job's place in the queue."""
    return store.move(job_id, where)


def queue_position(job_id: int) -> int | None:
    """1 for the job that starts next; None for a job that is not queued."""
    queued = [job.id for job in store.list_jobs(states=["queued"])]
    return queued.index(job_id) + 1 if job_id in queued else None


def follow_log(job_id: int, lines: int = 200) -> Iterator[str]:
    """The last lines of a job's log, then each new one as it is written, until the job has ended."""
    yield from log_tail(job_id, lines)
    path = store.log_path(job_id)
    place = path.stat().st_size if path.exists() else 0
    rest = b""
    while True:
        over = get_job(job_id).state not in ACTIVE
        if path.exists():
            with reading(path, "Allow reading it, or remove it."), path.open("rb") as log:
                log.seek(place)
                rest += log.read()
                place = log.tell()
        *whole, rest = rest.split(b"\n")
        for line in whole:
            yield line.decode("utf-8", "replace").rsplit("\r", 1)[-1]
        if over:
            return
        wake()
        time.sleep(FOLLOW_EVERY)


def log_tail(job_id: int, lines: int = 200) -> list[str]:
    """The last lines of a job's log; empty while it has none."""
    get_job(job_id)
    path = store.log_path(job_id)
    if not path.exists():
        return []
    with reading(path, "Allow reading it, or remove it."), path.open("rb") as log:
        size = log.seek(0, os.SEEK_END)
        log.seek(max(0, size - 400 * lines))
        text = log.read().decode("utf-8", "replace")
    # A progress bar rewrites its line: only what it last said counts.
    return [line.rsplit("\r", 1)[-1] for line in text.rstrip("\r\n").split("\n")[-lines:]]
