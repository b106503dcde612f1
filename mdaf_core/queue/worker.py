"""A worker: one process, one job. It is forked by the launcher and outlives it, the supervisor and the app."""

from __future__ import annotations

import contextlib
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mdaf_core import plugins
from mdaf_core.base import notices
from mdaf_core.base.errors import StudioError
from mdaf_core.base.files import full_sentence, is_full, with_patience
from mdaf_core.base.locks import wait_lock
from mdaf_core.base.settings import get_settings
from mdaf_core.plugins import PluginError
from mdaf_core.queue import memory, store
from mdaf_core.queue.database import QueueError
from mdaf_core.queue.store import Job, JobState

REPORT_EVERY, ASK_EVERY = 0.5, 0.25  # seconds between writes of progress and between looks at the cancel flag
BUSY_SECONDS, LET_BE_SECONDS = 0.5, 5.0  # how long a report waits for a locked queue, and until the next one tries


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
        self._not_before, self._missed = 0.0, ""

    def report(self, progress: dict[str, Any], run_id: str | None = None) -> None:
        """Show `progress`; what comes faster than twice a second is thinned out, but a new run id goes at once."""
        self._pending = progress, run_id
        if run_id != self._run_id or time.monotonic() - self._reported >= REPORT_EVERY:
            self._run_id = run_id
            self.flush()

    def flush(self) -> None:
        """Tell the queue what is pending. Best effort: where it is locked or its disk full, the next report tells."""
        if self._pending is not None and self._reachable():
            try:
                store.report(self.job, *self._pending, timeout=BUSY_SECONDS)
                self._pending = None
            except QueueError as error:
                self._miss(error)
            self._reported = time.monotonic()

    def should_stop(self) -> bool:
        """Whether someone cancelled the job, as far as the queue can be asked."""
        if not self._stop and time.monotonic() - self._asked >= ASK_EVERY and self._reachable():
            try:
                self._stop = store.cancel_requested(self.job, timeout=BUSY_SECONDS)
            except QueueError as error:
                self._miss(error)
            self._asked = time.monotonic()
        return self._stop

    def _reachable(self) -> bool:
        return time.monotonic() >= self._not_before

    def _miss(self, error: QueueError) -> None:
        """Let the queue be for a while, so that waiting for it does not slow the job down."""
        self._not_before = time.monotonic() + LET_BE_SECONDS
        if str(error) != self._missed:
            self._missed = str(error)
            notices.log(f"{error} The job goes on; its progress is shown again later.")

    def stop_if_asked(self) -> None:
        if self.should_stop():
            raise Stopped


Kind = Callable[[Context], None]
"""What a kind of job does."""


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
    notices.log(f"Job {job_id} ({job.title}), attempt {job.attempts}, process {os.getpid()}.")
    context = Context(job)
    state, reason = _work(job, context, kinds)
    context.flush()
    with_patience(lambda: store.end(job, state, reason))
    word = state.capitalize()
    notices.log(f"{word}." if not reason else reason if reason.startswith(word) else f"{word}: {reason}")
    if state != "finished":
        return settle_locked(job_id)
    return 0


def _work(job: Job, context: Context, kinds: Mapping[str, Kind]) -> tuple[JobState, str]:
    """Do the job; how it ended, and why. A traceback goes to the log only where the program, or a plug-in,
    is at fault."""
    try:
        plugins.name(job.payload.get("plugins", ()))
        kinds[job.kind](context)
        return "finished", ""
    except BaseException as error:
        if with_patience(lambda: store.cancel_requested(job)):
            return "cancelled", store.CANCELLED_REASON
        mine = isinstance(error, StudioError | Stopped) and not isinstance(error, PluginError)
        if not mine and not is_full(error):
            with contextlib.suppress(OSError):
                traceback.print_exc()
        return "failed", describe(error)


def describe(error: BaseException) -> str:
    """The reason shown for a job that ended with this exception."""
    if isinstance(error, StudioError):
        return str(error)
    message = str(error).strip().split("\n")[0]
    if is_full(error):
        name = getattr(error, "filename", None)
        return full_sentence(Path(os.fsdecode(name)) if name else get_settings().home / "runs")
    if memory.ran_out_of_memory(error):
        return f"Ran out of memory ({message or type(error).__name__}): use smaller batches or fewer slots."
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def settle(job_id: int) -> int:
    """Close what an ended job's worker left open in the run store; returns an exit code, 1 where that failed."""
    _redirect_output(store.log_path(job_id))
    return 0 if wait_lock(store.lock_path(job_id), 10) is None else settle_locked(job_id)


def settle_locked(job_id: int) -> int:
    """As `settle`, with the job's lock held: no worker of this job can be at work. The queue keeps why it failed."""
    try:
        _settle(job_id)
        return 0
    except StudioError as error:
        notices.log(f"The run cannot be closed in the run store: {error}")
        with contextlib.suppress(StudioError):
            store.not_settled(job_id, str(error))
        return 1


def _settle(job_id: int) -> None:
    """A study has one job a configuration and seed, so that every run of that pair that is still open is this job's."""
    found = store.settlement(job_id)
    if found is None:
        return
    from mdaf_core.runs import tracking

    job, settlement = found
    finished = False
    for record in tracking.list_runs(job.study):
        if record.configuration != job.configuration or record.seed != job.seed:
            continue
        state = record.state
        if state == "running":
            state = tracking.close_or_finish(record.run_id, settlement["state"], settlement["reason"])  # type: ignore[arg-type]
        finished = finished or (record.run_id == job.run_id and state == "finished")
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
