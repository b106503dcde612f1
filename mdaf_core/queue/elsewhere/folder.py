"""What a steward and the machine elsewhere tell each other: files in one folder an attempt, each written by one side.

handle.json   steward   how the executor calls what it started, for a steward that comes after a dead one
begun.json    node      a life: a process that has begun. One that was put back and begun again has another one
go.json       steward   which life is to go on: its job, plug-ins, what it is told, and what is carried
progress.json node
alive.json    steward   a count that goes on while it lives
stop          steward   asks to stop
log           node      what it prints; the steward copies it to the job's log
exit          holder    how the process ended
outcome.json  node      its last word
node.lock     node      held while it lives
"""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

from mdaf_core.base.files import write_json
from mdaf_core.base.locks import locked, wait_lock
from mdaf_core.base.settings import get_settings

ALIVE_EVERY = 5.0
"""Seconds between two signs of a steward's life."""
SILENT_FOR = 90.0
"""Seconds without one after which the other machine stops: nobody would know of what it does. Shared folders may show a
change a minute late."""


def attempts_dir() -> Path:
    return get_settings().jobs_dir / "elsewhere"


def of_job(job_id: int) -> list[Attempt]:
    """Attempts of a job whose folders are there."""
    return [Attempt(path) for path in sorted(attempts_dir().glob(f"{int(job_id)}-*"))]


class Attempt:
    """The folder of one attempt."""

    def __init__(self, path: Path):
        self.path = path

    def write(self, name: str, value: Any) -> None:
        """Replace one of its files at once."""
        write_json(self.path / f"{name}.json", value)

    def read(self, name: str) -> dict[str, Any] | None:
        """One of its files; None while it is not there, or cannot be read yet."""
        try:
            found = json.loads((self.path / f"{name}.json").read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def ask_to_stop(self) -> None:
        (self.path / "stop").touch()

    def asked_to_stop(self) -> bool:
        return (self.path / "stop").exists()

    def exit_status(self) -> int | None:
        """As `subprocess` tells it: negative for a signal; None while it has not ended, or nobody could tell."""
        try:
            return int((self.path / "exit").read_text("utf-8"))
        except (OSError, ValueError):
            return None

    def live(self, seconds: float) -> int | None:
        """Take the lock of those who live here, waiting so long for an earlier one; None where it is held."""
        return wait_lock(self.path / "node.lock", seconds)

    def is_deserted(self) -> bool:
        """Whether no process lives here."""
        if not self.path.exists():
            return True
        with locked(self.path / "node.lock") as free:
            return free

    def begin_anew(self) -> None:
        """Forget what the process before left: another one will begin."""
        for name in ("begun.json", "go.json", "outcome.json", "exit"):
            (self.path / name).unlink(missing_ok=True)

    def remove(self) -> None:
        """A process that lives here all the same stops when it finds no folder."""
        with contextlib.suppress(OSError):
            shutil.rmtree(self.path)
