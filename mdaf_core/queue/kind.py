"""A kind of task: what the queue asks of whoever adds one (`mdaf_core.tasks` holds the program's own)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel

from mdaf_core.queue.context import Context
from mdaf_core.queue.job import Job


class Progress(BaseModel):
    """How far a task is. A kind has its own, with defaults for what earlier versions of it did not tell."""

    def share(self) -> float | None:
        """Share that is done, from 0 to 1; None while that is not known."""
        return None

    def words(self) -> str:
        """What it is doing, as a phrase."""
        return "starting"


class Stage(Progress):
    """Of a task that tells its share and a sentence."""

    fraction: float = 0.0
    message: str = ""

    def share(self) -> float | None:
        """As told, within bounds."""
        return min(max(self.fraction, 0.0), 1.0) if self.message else None

    def words(self) -> str:
        """As told."""
        return self.message or "starting"


Payload = TypeVar("Payload", bound=BaseModel)
Settle = Callable[[Job, Literal["failed", "cancelled"], str], bool]


@dataclass(frozen=True)
class Kind(Generic[Payload]):
    """What a kind of task is given, does and tells.

    Attributes:
        name: as `Job.kind` holds it.
        payload: what a task is given; the queue keeps it as JSON.
        progress: what it reports.
        run: does it. It may raise; it asks `Context.should_stop` now and then.
        settle: for tasks that leave something open where they end badly (`Job.resumable`): closes it under this state
            and reason, and returns whether it turned out to be finished. Called by a process that holds the job's lock,
            again where it raised.
    """

    name: str
    payload: type[Payload]
    progress: type[Progress]
    run: Callable[[Context, Payload], None]
    settle: Settle | None = None
