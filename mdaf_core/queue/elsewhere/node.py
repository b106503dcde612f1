"""On the other machine: does one job, and tells of it in the files of its folder (`folder.py`)."""

from __future__ import annotations

import ctypes
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mdaf_core import plugins
from mdaf_core.base import notices
from mdaf_core.base.settings import PACKAGE
from mdaf_core.queue import worker
from mdaf_core.queue.context import Context
from mdaf_core.queue.elsewhere.folder import SILENT_FOR, Attempt
from mdaf_core.queue.job import Job
from mdaf_core.queue.kind import Kind
from mdaf_core.queue.launching import digest

LOOK_EVERY = 1.0
LEFT_ALONE = 75
"""Exit code of a process whose steward is gone."""
_DIES_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def die_with_holder() -> None:
    """Have the kernel end this process with the one that holds it (`hold`), however that ends."""
    held_by = os.environ.get("MDAF_HELD_BY")
    if held_by:
        ctypes.CDLL(None).prctl(_DIES_WITH_PARENT, signal.SIGKILL)
        if os.getppid() != int(held_by):  # it was faster
            os._exit(LEFT_ALONE)


def work(path: Path, kinds: Mapping[str, Kind[Any]]) -> int:
    """Wait to be told to go on, do the job, and say how it ended; returns an exit code."""
    attempt = Attempt(path)
    if not path.is_dir() or attempt.live(60) is None:
        notices.log("This job was taken back, or another process does it: this one leaves.")
        return 1
    life = secrets.token_hex(8)
    machine = socket.gethostname()
    threading.Thread(target=_leave_when_alone, args=(attempt,), daemon=True).start()
    own = {"program": digest(), "folder": str(PACKAGE)}
    attempt.write("begun", {"life": life, "machine": machine, "pid": os.getpid(), **own})
    go = _go(attempt, life)
    job = Job(**go["job"])
    notices.log(f"Job {job.id} ({job.title}) on {machine}, process {os.getpid()}.")
    state, reason, result = _do(attempt, job, go, kinds)
    attempt.write("outcome", {"life": life, "state": state, "reason": reason, "result": result})
    return 0


def _go(attempt: Attempt, life: str) -> dict[str, Any]:
    while (go := attempt.read("go")) is None or go["life"] != life:
        time.sleep(0.1)  # until it comes, or `_leave_when_alone` ends this
    return go


def _do(
    attempt: Attempt, job: Job, go: dict[str, Any], kinds: Mapping[str, Kind[Any]]
) -> tuple[str, str, dict[str, Any]]:
    context = Context(job, _Desk(attempt))
    try:
        kind = kinds[job.kind]
        assert kind.elsewhere is not None
        plugins.name(go["plugins"])
        result = kind.elsewhere.work(context, worker.payload(job, kind), go["told"])
        context.flush()
        return "finished", "", result
    except BaseException as error:
        if attempt.asked_to_stop():
            return "stopped", str(error), {}
        worker.trace(error)
        return "failed", worker.describe(error), {}


@dataclass
class _Desk:
    """See `context.Desk`. Memory was asked of the executor."""

    attempt: Attempt

    def report(self, job: Job, progress: str, run_id: str | None, timeout: float = 0.0) -> None:
        try:
            self.attempt.write("progress", {"progress": progress, "run_id": run_id})
        except OSError as error:
            notices.log(f"Progress cannot be told: {error}.")

    def cancel_requested(self, job: Job, timeout: float = 0.0) -> bool:
        return self.attempt.asked_to_stop()

    def reserve(self, job: Job, memory: int, together: int) -> bool:
        return True


def _leave_when_alone(attempt: Attempt) -> None:
    """End this process when its steward has given no sign for long, or has taken the folder away: its job may be begun
    elsewhere then."""
    seen, since = attempt.read("alive"), time.monotonic()
    while True:
        time.sleep(LOOK_EVERY)
        now = attempt.read("alive")
        if now != seen and now is not None:
            seen, since = now, time.monotonic()
        silent = time.monotonic() - since > SILENT_FOR
        if silent or not attempt.path.exists():
            why = "has given no sign of life" if silent else "has ended"
            notices.log(f"What watches over this job {why}: stopped. Finished epochs are kept.")
            os._exit(LEFT_ALONE)
