"""What a job that runs is given: itself, and how to talk to the queue meanwhile."""

from __future__ import annotations

import time
from typing import Protocol

from pydantic import BaseModel

from mdaf_core.base import notices
from mdaf_core.queue import turns
from mdaf_core.queue.database import QueueError
from mdaf_core.queue.job import Job

REPORT_EVERY, ASK_EVERY = 0.5, 0.25  # seconds between writes of progress and between looks at the cancel flag
BUSY_SECONDS, LET_BE_SECONDS = 0.5, 5.0  # how long a report waits for a locked queue, and until the next one tries


class Stopped(Exception):
    """The job was asked to stop and did."""


class Desk(Protocol):
    """Where an attempt tells and asks: the queue itself (`turns`, which says what each is), or what stands for it on
    another machine."""

    def report(self, job: Job, progress: str, run_id: str | None, timeout: float = ...) -> None: ...

    def cancel_requested(self, job: Job, timeout: float = ...) -> bool: ...

    def reserve(self, job: Job, memory: int, together: int) -> bool: ...


class Context:
    """One attempt of a job."""

    def __init__(self, job: Job, desk: Desk = turns):
        self.job, self._desk = job, desk
        self._pending: tuple[BaseModel, str | None] | None = None
        self._reported = self._asked = 0.0
        self._run_id: str | None = None
        self._stop = False
        self._not_before, self._missed = 0.0, ""

    def report(self, progress: BaseModel, run_id: str | None = None) -> None:
        """Show `progress`, of the kind's own type. What comes faster than twice a second is thinned out; a new run id
        goes at once."""
        self._pending = progress, run_id
        if run_id != self._run_id or time.monotonic() - self._reported >= REPORT_EVERY:
            self._run_id = run_id
            self.flush()

    def flush(self) -> None:
        """Tell the queue what is pending. Best effort: where it is locked or its disk full, the next report tells."""
        if self._pending is not None and self._reachable():
            try:
                progress, run_id = self._pending
                self._desk.report(self.job, progress.model_dump_json(), run_id, timeout=BUSY_SECONDS)
                self._pending = None
            except QueueError as error:
                self._miss(error)
            self._reported = time.monotonic()

    def should_stop(self) -> bool:
        """Whether someone cancelled the job, as far as the queue can be asked."""
        if not self._stop and time.monotonic() - self._asked >= ASK_EVERY and self._reachable():
            try:
                self._stop = self._desk.cancel_requested(self.job, timeout=BUSY_SECONDS)
            except QueueError as error:
                self._miss(error)
            self._asked = time.monotonic()
        return self._stop

    def wait_for_memory(self, memory: int, together: int) -> None:
        """Wait until `memory` bytes fit beside what other jobs take (`turns.reserve`).

        Raises:
            Stopped: the job was asked to stop meanwhile.
        """
        said = False
        while not self._desk.reserve(self.job, memory, together):
            if not said:
                notices.log("Waits until other jobs leave enough memory.")
                said = True
            self.stop_if_asked()
            time.sleep(ASK_EVERY)

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
