"""A worker: one process, one job. It is forked by the launcher and outlives it, the supervisor and the app."""

from __future__ import annotations

import contextlib
import os
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mdaf_core.errors import StudioError
from mdaf_core.jobs import memory, store
from mdaf_core.jobs.kinds import Kind
from mdaf_core.jobs.store import Job
from mdaf_core.locks import wait_lock

REPORT_EVERY, ASK_EVERY = 0.5, 0.25  # seconds between writes of progress and between looks at the cancel flag


class Stopped(Exception):
    """The job was asked to stop and did."""


class Context:
    """What a kind of job is given: the job, and how to talk to the queue meanwhile."""

    def __init__(self, job: Job):
        self.job = job
        self._pending: tuple[dict[str, Any], str | None] | None = None
        self._reported = self._asked = 0.0
        self._run_id: str | None = None
        self._stop = False

    def report(self, progress: dict[str, Any], run_id: str | None = None) -> None:
        """Show `progress`; what comes faster than twice a second is thinned out, but a new run id goes at once."""
        self._pending = progress, run_id
        if run_id != self._run_id or time.monotonic() - self._reported >= REPORT_EVERY:
            self._run_id = run_id
            self.flush()

    def flush(self) -> None:
        if self._pending is not None:
            store.report(self.job, *self._pending)
            self._pending, self._reported = None, time.monotonic()

    def should_stop(self) -> bool:
        """Whether someone cancelled the job."""
        if not self._stop and time.monotonic() - self._asked >= ASK_EVERY:
            self._stop = store.get_job(self.job.id).cancel_requested is not None
            self._asked = time.monotonic()
        return self._stop

    def stop_if_asked(self) -> None:
        if self.should_stop():
            raise Stopped


def run(job_id: int, token: str, kinds: Mapping[str, Kind]) -> int:
    """Run one job from confirmation to its last word; returns the exit code of this process.

    The lock is never released here: it goes with the process, after everything else.
    """
    _redirect_output(store.log_path(job_id))
    memory.offer_to_oom_killer()
    if wait_lock(store.lock_path(job_id), 10) is None:
        print(f"Job {job_id} is held by another worker: this one leaves.", flush=True)
        return 0
    job = store.confirm(job_id, token, os.getpid())
    if job is None:
        print(f"Job {job_id} was given to another worker: this one leaves.", flush=True)
        return 0
    print(f"{_now()} Job {job_id} ({job.title}), attempt {job.attempts}, process {os.getpid()}.", flush=True)
    context = Context(job)
    try:
        kinds[job.kind](context)
        context.flush()
        store.end(job, "finished")
        print(f"{_now()} Finished.", flush=True)
        return 0
    except BaseException as error:
        if not isinstance(error, Stopped):
            traceback.print_exc()
        if store.get_job(job_id).cancel_requested is not None:
            state, reason = "cancelled", store.CANCELLED_REASON
        else:
            state, reason = "failed", describe(error)
        print(f"{_now()} {state.capitalize()}: {reason}", flush=True)
        store.end(job, state, reason)  # type: ignore[arg-type]
        _settle_locked(job_id)
        return 0


def describe(error: BaseException) -> str:
    """The reason shown for a job that ended with this exception."""
    if isinstance(error, StudioError):
        return str(error)
    message = str(error).strip().split("\n")[0]
    if memory.ran_out_of_memory(error):
        return f"Ran out of memory ({message or type(error).__name__}): use smaller batches or fewer slots."
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def settle(job_id: int) -> int:
    """Close what an ended job's worker left open in the run store; returns an exit code."""
    _redirect_output(store.log_path(job_id))
    if wait_lock(store.lock_path(job_id), 10) is not None:
        _settle_locked(job_id)
    return 0


def _settle_locked(job_id: int) -> None:
    """As `settle`, with the job's lock held: no worker of this job can be at work.

    A study has one job for each configuration and seed, so every run of that pair that is still open is this job's.
    """
    found = store.settlement(job_id)
    if found is None:
        return
    from mdaf_core import tracking

    job, settlement = found
    finished = False
    for record in tracking.list_runs(job.study):
        if record.configuration != job.configuration or record.seed != job.seed:
            continue
        if record.state == "running":
            tracking.close_run(record.run_id, settlement["state"], settlement["reason"])  # type: ignore[arg-type]
        finished = finished or (record.run_id == job.run_id and record.state == "finished")
    store.settled(job_id, finished)


def _redirect_output(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(ValueError, OSError):
            stream.flush()
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")
