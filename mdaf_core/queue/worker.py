"""A worker: one process, one job. It is forked by the launcher and outlives it, the supervisor and the app."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from mdaf_core import plugins
from mdaf_core.base import notices
from mdaf_core.base.errors import StudioError
from mdaf_core.base.files import full_sentence, is_full, with_patience
from mdaf_core.base.locks import wait_lock
from mdaf_core.base.settings import get_settings
from mdaf_core.base.validation import describe_validation_error
from mdaf_core.plugins import PluginError
from mdaf_core.queue import memory, turns
from mdaf_core.queue.context import Context, Stopped
from mdaf_core.queue.job import Job, JobState, lock_path, log_path
from mdaf_core.queue.kind import Kind
from mdaf_core.queue.slots import elsewhere


def run(job_id: int, token: str, kinds: Mapping[str, Kind[Any]], node: str = "") -> int:
    """Run one job from confirmation to its last word, here or (`node`, see `launcher.main`) on another machine; returns
    the exit code of this process.

    The lock is never released here: it goes with the process, after everything else.
    """
    _redirect_output(log_path(job_id))
    memory.offer_to_oom_killer()
    if wait_lock(lock_path(job_id), 10) is None:
        print(f"Job {job_id} is held by another worker: this one leaves.", flush=True)
        return 0
    claimed = turns.claimed(job_id, token)
    kind = None if claimed is None else kinds.get(claimed.kind)
    if claimed is not None and kind is not None and kind.elsewhere and node and elsewhere():
        return _keep_watch(claimed, kind, kinds, node)
    job = turns.confirm(job_id, token, os.getpid())
    if job is None:
        print(f"Job {job_id} was given to another worker: this one leaves.", flush=True)
        return 0
    notices.log(f"Job {job_id} ({job.title}), attempt {job.attempts}, process {os.getpid()}.")
    return _to_its_end(job, kinds, lambda context: _do(context, kinds))


def _keep_watch(claimed: Job, kind: Kind[Any], kinds: Mapping[str, Kind[Any]], node: str) -> int:
    """As `run`, of a job that is done on another machine: it is confirmed when it has begun there."""
    from mdaf_core.queue.elsewhere.steward import Steward

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that it ends what it has started
    assert claimed.token
    steward: Steward | None = None
    problem: Exception | None = None
    try:
        try:
            plugins.name(claimed.payload.get("plugins", ()))
            steward = Steward(claimed, kind, payload(claimed, kind), node)
            if not steward.place():
                notices.log("It was cancelled, or given to another worker, before it began.")
                return 0
        except Exception as error:  # it is told once the job is ours
            problem = error
        job = turns.confirm(claimed.id, claimed.token, os.getpid(), steward.machine if steward else "")
        if job is None:
            return 0

        def do(context: Context) -> None:
            try:
                if problem is not None:
                    raise problem
                assert steward is not None
                steward.run(context)
            finally:  # first it ends there, then the queue is told so
                if steward is not None:
                    steward.leave()

        return _to_its_end(job, kinds, do)
    finally:
        if steward is not None:
            steward.leave()


def _to_its_end(job: Job, kinds: Mapping[str, Kind[Any]], do: Callable[[Context], None]) -> int:
    context = Context(job)
    state, reason = _work(job, context, do)
    context.flush()
    with_patience(lambda: turns.end(job, state, reason))
    word = state.capitalize()
    notices.log(f"{word}." if not reason else reason if reason.startswith(word) else f"{word}: {reason}")
    if state != "finished":
        return settle_locked(job.id, kinds)
    return 0


def _do(context: Context, kinds: Mapping[str, Kind[Any]]) -> None:
    job = context.job
    if job.kind not in kinds:
        raise StudioError(f"This program knows no jobs of the kind {job.kind!r}: update it, or cancel the job.")
    plugins.name(job.payload.get("plugins", ()))
    kind = kinds[job.kind]
    kind.run(context, payload(job, kind))


def _work(job: Job, context: Context, do: Callable[[Context], None]) -> tuple[JobState, str]:
    """Do the job; how it ended, and why."""
    try:
        do(context)
        return "finished", ""
    except BaseException as error:
        if with_patience(lambda: turns.cancel_requested(job)):
            return "cancelled", turns.CANCELLED_REASON
        trace(error)
        return "failed", describe(error)


def trace(error: BaseException) -> None:
    """Put the traceback into the log where the program, or a plug-in, is at fault, and only there."""
    mine = isinstance(error, StudioError | Stopped) and not isinstance(error, PluginError)
    if not mine and not is_full(error):
        with contextlib.suppress(OSError):
            traceback.print_exception(error)


def payload(job: Job, kind: Kind[Any]) -> BaseModel:
    """What the queue holds for the job's kind; a StudioError where that cannot be used."""
    try:
        return kind.payload.model_validate(job.payload)
    except ValidationError as error:
        what = f"What the queue holds of job {job.id} cannot be used: cancel it, and queue it again"
        raise StudioError(describe_validation_error(error, what)) from None


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


def settle(job_id: int, kinds: Mapping[str, Kind[Any]]) -> int:
    """Close what an ended job's worker left open; returns an exit code, 1 where that failed."""
    _redirect_output(log_path(job_id))
    return 0 if wait_lock(lock_path(job_id), 10) is None else settle_locked(job_id, kinds)


def settle_locked(job_id: int, kinds: Mapping[str, Kind[Any]]) -> int:
    """As `settle`, with the job's lock held: no worker of this job can be at work. The queue keeps why it failed."""
    try:
        found = turns.settlement(job_id)
        if found is not None:
            job, state, reason = found
            settle = kinds[job.kind].settle if job.kind in kinds else None
            turns.settled(job_id, settle is not None and settle(job, state, reason))
        return 0
    except StudioError as error:
        notices.log(f"The run cannot be closed in the run store: {error}")
        with contextlib.suppress(StudioError):
            turns.not_settled(job_id, str(error))
        return 1


def _redirect_output(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(ValueError, OSError):
            stream.flush()
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
