"""A kind of task: what the queue asks of whoever adds one (`mdaf_core.tasks` holds the program's own)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

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


def telling(context: Context) -> Callable[[float, str], None]:
    """What tells a job's share and sentence as a `Stage`, and stops where the job was asked to."""

    def tell(fraction: float, message: str) -> None:
        context.report(Stage(fraction=fraction, message=message))
        context.stop_if_asked()

    return tell


Payload = TypeVar("Payload", bound=BaseModel)
Settle = Callable[[Job, Literal["failed", "cancelled"], str], bool]


@dataclass(frozen=True)
class Carried:
    """What goes to a machine that shares no folder with this one, and what comes back. Names are relative to the folder
    of artifacts.

    Attributes:
        read: files that a task reads, by name, with the SHA-256 of each.
        kept: folders that it reads and writes.
        last: names of files in those folders that speak of others, in the order in which they are written: none comes
            back before those that it speaks of.
    """

    read: dict[str, str]
    kept: tuple[str, ...]
    last: tuple[str, ...] = ()


@dataclass(frozen=True)
class Elsewhere(Generic[Payload]):
    """How a task is done on another machine, which reaches neither the queue nor the run store: what it is told, and
    what is made of what it tells. Both are JSON.

    Attributes:
        memory: bytes it is foreseen to take.
        begin: opens here what the task needs, before each time it is begun or goes on (`Job.resume`, `Job.run_id`);
            returns what the other machine is told beside the payload: `run_id`, and what the kind likes.
        work: does it there; may raise; returns what `conclude` is to know.
        carried: what it reads and writes there, given what `begin` returned; asked only where no folder is shared.
        done: how much of it is finished (epochs), looked at here now and then while it runs.
        conclude: what is left to do here when it has ended well.
    """

    memory: Callable[[Payload], int]
    begin: Callable[[Job, Payload], dict[str, Any]]
    work: Callable[[Context, Payload, dict[str, Any]], dict[str, Any]]
    carried: Callable[[Payload, dict[str, Any]], Carried]
    done: Callable[[dict[str, Any]], int]
    conclude: Callable[[Job, Payload, dict[str, Any], dict[str, Any]], None]


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
        elsewhere: for tasks that may run on another machine.
    """

    name: str
    payload: type[Payload]
    progress: type[Progress]
    run: Callable[[Context, Payload], None]
    settle: Settle | None = None
    elsewhere: Elsewhere[Payload] | None = None
