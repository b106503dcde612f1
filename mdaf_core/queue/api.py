"""The door to the queue, for pages and the command line: submit, list, cancel, resume, retry, reorder, read logs."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Literal

from mdaf_core import plugins
from mdaf_core.base.errors import StudioError
from mdaf_core.base.files import reading, writing
from mdaf_core.base.locks import try_lock
from mdaf_core.base.process import environment, module_command
from mdaf_core.base.settings import get_settings
from mdaf_core.queue import store
from mdaf_core.queue.job import ACTIVE, Job, JobState, NewJob, log_path
from mdaf_core.queue.store import count_jobs, get_job
from mdaf_core.queue.supervisor import supervisor_lock_path

__all__ = [
    "ACTIVE",
    "Job",
    "JobState",
    "NewJob",
    "cancel",
    "cancel_all",
    "count_jobs",
    "ensure_supervisor",
    "follow_log",
    "get_job",
    "go_on",
    "list_jobs",
    "log_tail",
    "move",
    "queue_position",
    "resume",
    "retry",
    "serve_by",
    "submit",
    "wake",
]

SUPERVISOR: Sequence[str] = module_command("mdaf_core.queue.supervisor")
FOLLOW_EVERY = 0.5
_children: list[subprocess.Popen[bytes]] = []
_launcher: tuple[str, ...] = ()


def serve_by(launcher: Sequence[str]) -> None:
    """Say which program runs the jobs: one that calls `launcher.main` with the kinds it knows. The queue knows none;
    importing `mdaf_core.tasks` names the program's own.
    """
    global _launcher
    _launcher = tuple(launcher)


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
        if not _launcher:
            raise RuntimeError("No program is named that runs the jobs: see `queue.api.serve_by`.")
        with (get_settings().jobs_dir / "supervisor.log").open("ab") as log:
            child = subprocess.Popen(
                [*SUPERVISOR, "--lock", str(lock), "--", *_launcher],
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


def submit(jobs: list[NewJob], ahead_of: str | None = None, serve: bool = True) -> list[int]:
    """Queue all of `jobs`, or none (see `store.add`), and see to it that someone serves them; returns their ids.

    The plug-ins that are named here are theirs too.

    Args:
        serve: False for a job that queues others: who serves it serves them, and a supervisor that it started would
            have its threads and its GPU.
    """
    named = [str(file) for file in plugins.files()]
    for job in jobs:
        if named:
            job.payload["plugins"] = named
    ids = store.add(jobs, ahead_of)
    if serve:
        ensure_supervisor()
    return ids


def list_jobs(
    states: Iterable[JobState] | None = None,
    kind: str | None = None,
    group: str | None = None,
    resource: str | None = None,
    most: int | None = None,
) -> list[Job]:
    """Jobs as of `store.list_jobs`. Whoever looks wakes the supervisor where it should be at work but is dead."""
    jobs = store.list_jobs(states, kind, group, resource, most)
    if any(job.state in ACTIVE for job in jobs):
        wake()
    return jobs


def cancel(job_id: int) -> Job:
    """Cancel a queued job at once, a running one within seconds; what it finished is kept."""
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
    """Continue a failed or cancelled job from where it was, where its kind can. See `store.requeue` for errors."""
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
    path = log_path(job_id)
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
    path = log_path(job_id)
    if not path.exists():
        return []
    with reading(path, "Allow reading it, or remove it."), path.open("rb") as log:
        size = log.seek(0, os.SEEK_END)
        log.seek(max(0, size - 400 * lines))
        text = log.read().decode("utf-8", "replace")
    # A progress bar rewrites its line: only what it last said counts.
    return [line.rsplit("\r", 1)[-1] for line in text.rstrip("\r\n").split("\n")[-lines:]]
