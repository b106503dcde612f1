"""What starts, watches and ends processes on other machines, and knows nothing of the queue."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from mdaf_core.base.errors import StudioError


@dataclass(frozen=True)
class Request:
    """A process that is wanted: `python -P -m module folder` with this environment beside the machine's own."""

    name: str
    module: str
    folder: str
    environment: dict[str, str] = field(repr=False)
    cores: int
    gpus: int
    memory: int


@dataclass(frozen=True)
class Gone:
    """The process has ended, or will never begin.

    Attributes:
        reason: as a sentence.
        again: it was not its fault: its machine was lost or wanted for something else, or its time was up.
    """

    reason: str
    again: bool = False


@dataclass(frozen=True)
class Waiting:
    """The process waits for a machine, again where it had begun."""


class Executor(Protocol):
    """One process elsewhere.

    Attributes:
        name: as `MDAF_EXECUTOR` takes it.
        waits_for: what a process that has not begun waits for, as a phrase.
    """

    name: str
    waits_for: str

    def start(self, request: Request) -> str:
        """Ask for the process; returns how a later `end_of` finds it.

        Raises:
            StudioError: that cannot be asked for.
        """

    def look(self) -> Gone | Waiting | None:
        """How it stands; None while it runs, or where that cannot be told just now."""

    def end(self) -> None:
        """End it, now, and return when it has ended or a few seconds have passed."""

    def end_of(self, handle: str) -> None:
        """As `end`, of a process that a dead steward started."""


def missing(package: str, executor: str) -> StudioError:
    """To be raised where an executor's package is not installed."""
    return StudioError(
        f'MDAF_EXECUTOR={executor} needs the package {package}: `pip install "mdaf-studio[{executor}]"`, in a clone '
        f"`pip install -r requirements-{executor}.txt`."
    )
