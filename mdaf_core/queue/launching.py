"""The supervisor's end of its launchers, and whether they still are the program that is on disk: which files are the
program, and whether two copies of it are the same."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import select
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mdaf_core.base.settings import PACKAGE

_DASHBOARD = "dashboard"  # of an installed package alone; a clone has it beside the package


def sources(folder: Path = PACKAGE) -> Iterator[Path]:
    """The Python files below a folder, in no order."""
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names if name.endswith(".py"))


def digest(folder: Path = PACKAGE) -> str:
    """SHA-256 of the program's sources: equal for a clone and an installed package of the same version. The dashboard
    is left out, which computes nothing.

    Raises:
        OSError: one of them cannot be read.
    """
    files = {path.relative_to(folder).as_posix(): path for path in sources(folder)}
    found = hashlib.sha256()
    for name in sorted(files):
        if not name.startswith(f"{_DASHBOARD}/"):
            found.update(f"{name}\0".encode() + hashlib.sha256(files[name].read_bytes()).digest())
    return found.hexdigest()


PROGRAM = PACKAGE
LOOK_EVERY = 2.0  # seconds between two looks at the program's files


class Events:
    """What a launcher tells: one JSON object a line."""

    def __init__(self, file: int):
        self.file, self._buffer = file, b""

    def read(self, seconds: float) -> list[dict[str, Any]] | None:
        """Events that arrived, waiting up to `seconds` for the first; None where no more will come."""
        if not select.select([self.file], [], [], seconds)[0]:
            return []
        chunk = os.read(self.file, 65536)
        *lines, self._buffer = (self._buffer + chunk).split(b"\n")
        return [json.loads(line) for line in lines] if chunk else None


class Launcher:
    """A launcher process, which is started."""

    def __init__(self, command: Sequence[str]):
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, bufsize=0
        )
        self.ready = False
        self.elsewhere: tuple[str, ...] = ()  # kinds that may run on another machine
        assert self.process.stdout
        self._events = Events(self.process.stdout.fileno())

    def send(self, **command: Any) -> bool:
        """Whether the command could be delivered."""
        assert self.process.stdin
        try:
            self.process.stdin.write(json.dumps(command).encode() + b"\n")
        except OSError:
            return False
        return True

    def events(self, seconds: float) -> list[dict[str, Any]]:
        """Events that arrived, waiting up to `seconds` for the first."""
        found = self._events.read(seconds)
        if found is None:  # it is dying: do not spin until it is dead
            time.sleep(0.05)
        return found or []

    def close(self) -> None:
        """Let it go: it leaves without starting an heir."""
        self.send(do="leave")
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(2)

    def retire(self) -> Retired:
        """Let it tell of the workers that it has, and start no more."""
        assert self.process.stdin and self.process.stdout
        self.send(do="retire")
        return Retired(self.process.pid, self.process.stdin.fileno(), self.process.stdout.fileno())


class Retired:
    """A launcher of the program as it was, known by its process and its pipes; it leaves once its workers have ended.

    Its pipe of commands is kept open: closed, it would say that the supervisor has died.
    """

    def __init__(self, pid: int, commands: int, events: int):
        self.pid, self.commands, self._events = pid, commands, Events(events)
        self.over = False

    @classmethod
    def parse(cls, text: str) -> Retired:
        """From what `str` made of it, in a process that has inherited its pipes."""
        pid, commands, events = map(int, text.split(","))
        for file in (commands, events):
            os.set_inheritable(file, False)  # workers' pipes are nobody else's
        return cls(pid, commands, events)

    def __str__(self) -> str:
        return f"{self.pid},{self.commands},{self._events.file}"

    def inherit(self) -> None:
        """Leave its pipes to the program that takes this process over."""
        for file in (self.commands, self._events.file):
            os.set_inheritable(file, True)

    def events(self) -> list[dict[str, Any]]:
        """Events that arrived. After the last one it is over."""
        found = [] if self.over else self._events.read(0.0)
        if found is None:
            self.over = True
            os.close(self.commands)
            os.close(self._events.file)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, 0)
        return found or []


class Program:
    """Whether the program's files are those that this process was started from.

    Attributes:
        changing: they are not, as of the last look.
        changed: nor will they change further for now: between the last two looks they stayed as they are.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.own = self.seen = self._written()
        self.looked = time.monotonic()
        self.changing = self.changed = False

    def _written(self) -> frozenset[tuple[str, int, int]]:
        found = set()
        for path in sources(self.folder):
            with contextlib.suppress(OSError):
                stat = path.stat()
                found.add((str(path), stat.st_mtime_ns, stat.st_size))
        return frozenset(found)

    def look(self, again: bool = False) -> None:
        """Look at the files, unless that was a moment ago and need not be done `again`."""
        since = time.monotonic() - self.looked
        if again or since > LOOK_EVERY:
            before, self.seen, self.looked = self.seen, self._written(), time.monotonic()
            self.changing = self.seen != self.own
            self.changed = self.changing and self.seen == before and since > LOOK_EVERY
