"""Carries files between an attempt's steward and a machine that shares no folder with it, while the process there runs.

The attempt's folder (`folder.py`) stays what the steward reads and writes: each file in it goes to, or comes from, the
folder of the same name there. What the task itself reads and writes is said by `go.json` (`kind.Carried`) and goes
before it; what it writes comes back while it runs, and all of it before `outcome.json`.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from mdaf_core.base import notices
from mdaf_core.base.errors import StudioError
from mdaf_core.base.files import PATIENCE, is_full, write_bytes
from mdaf_core.queue.elsewhere.folder import ALIVE_EVERY, Attempt
from mdaf_core.queue.elsewhere.outpost import LOG_PIECE

PIECE = 4 << 20
"""Bytes of a file that go at a time."""
POLL = 0.25
_ASIDE = ".carried"


class Far(Protocol):
    """The other machine: an `outpost.Outpost`, or what calls one there. What it raises beside OSError says that the
    machine is lost."""

    def begin(self, module: str, folder: str, environment: dict[str, str]) -> str: ...

    def sign(self, count: int) -> None: ...

    def look(self, log_from: int, kept: tuple[str, ...]) -> dict[str, Any]: ...

    def read(self, name: str, offset: int, size: int) -> bytes | None: ...

    def write(self, name: str, offset: int, piece: bytes, last: bool) -> None: ...

    def take(self, name: str, digest: str) -> bool | None: ...

    def put(self, piece: bytes, last: bool) -> bool: ...

    def close(self) -> None: ...


class Ended(Exception):
    """The steward has ended the process: nothing is carried any more."""


class Courier:
    """Of one process.

    Args:
        home: the folder of artifacts here.
    """

    def __init__(self, far: Far, attempt: Attempt, home: Path):
        self.far, self.attempt, self.home = far, attempt, home
        self.folder = attempt.path.relative_to(home).as_posix()
        self.there = ""
        self._kept: tuple[str, ...] = ()
        self._last: tuple[str, ...] = ()
        self._went = False
        self._stopped = False
        self._signs, self._next_sign = 0, 0.0
        self._notes: dict[str, bytes] = {}
        self._log_place = 0
        self._known: dict[str, Any] = {}
        self._ended = threading.Event()
        self._writing = threading.Lock()

    def run(self, module: str, environment: dict[str, str]) -> None:
        """Begin the process, and carry until it has ended and everything that it wrote is here.

        Raises:
            StudioError: a file could not be read or written (where a disk is full: for `files.PATIENCE` seconds), or is
                not what it should be.
            Ended: as `stop` asked.
        """
        try:
            self.there = self._patiently(lambda: self.far.begin(module, self.folder, environment))
            while not self._patiently(self._round):
                self._ended.wait(POLL)
        finally:
            with suppress(Exception):  # where it is lost, the next one that comes there removes what it left
                self.far.close()
            self._remove_asides()

    def stop(self) -> None:
        """From here on nothing is put in place on this machine."""
        with self._writing:
            self._ended.set()

    def _patiently(self, act: Callable[[], Any]) -> Any:
        """`act()`, again while a disk is full; signs of life go on meanwhile."""
        end, told = time.monotonic() + PATIENCE, ""
        while True:
            if self._ended.is_set():
                raise Ended
            try:
                return act()
            except OSError as error:
                said = f"{self._whose(error)} could not be read or written: {error.strerror or error}."
                if time.monotonic() > end or not is_full(error):
                    raise StudioError(said) from error
                if said != told:
                    told = said
                    notices.log(f"{said} Trying again.")
            self._ended.wait(1.0)

    def _whose(self, error: OSError) -> str:
        """The file of which an error speaks, and whether it is not on this machine."""
        name = str(error.filename or "A file")
        is_there = not self.there or name.startswith(str(Path(self.there).parents[1]))
        return f"{name} on the other machine" if is_there else name

    def _round(self) -> bool:
        """Carry what is new in both directions; whether the process had ended before."""
        self._give_signs()
        if not self._went and (go := self.attempt.read("go")) is not None:
            self._send_off(go)
        seen = self.far.look(self._log_place, self._kept)
        over = seen["status"] is not None and len(seen["log"]) < LOG_PIECE
        outcome = seen["notes"].pop("outcome.json", None)
        if seen["files"] is not None:
            self._fetch(seen["files"], final=outcome is not None)
        for name, content in seen["notes"].items():
            self._note(name, content)
        if seen["log"]:
            with self._writing, (self.attempt.path / "log").open("ab") as log:
                self._unless_ended()
                log.write(seen["log"])
            self._log_place += len(seen["log"])
        if outcome is not None:
            self._note("outcome.json", outcome)
        if over:
            self._note("exit", str(seen["status"]).encode())
        return over

    def _unless_ended(self) -> None:
        if self._ended.is_set():
            raise Ended

    # There

    def _give_signs(self) -> None:
        """What the steward says while the process runs: that it lives (as this is of its process, without its file,
        which a full disk may prevent), and that it should stop."""
        self._unless_ended()
        if (now := time.monotonic()) >= self._next_sign:
            self._next_sign = now + ALIVE_EVERY
            self._signs += 1
            self.far.sign(self._signs)
        if not self._stopped and self.attempt.asked_to_stop():
            self.far.write(f"{self.folder}/stop", 0, b"", True)
            self._stopped = True

    def _send_off(self, go: dict[str, Any]) -> None:
        """What the task needs, then the word to go on."""
        begun, carried = time.monotonic(), go["carried"]
        sent = there = 0
        plugins: list[str] = []
        for file in map(Path, go["plugins"]):
            plugins.append(f"plugins/{len(plugins)}/{file.name}")
            sent += self._send(file, plugins[-1])
        for name, digest in carried["read"].items():
            moved, size = self._give(name, digest)
            sent, there = sent + moved, there + size - moved
        self._kept, self._last = tuple(carried["kept"]), tuple(carried["last"])
        self._remove_asides()  # of a steward that was killed
        for folder in self._kept:
            for path in sorted((self.home / folder).rglob("*")):
                if path.is_file() and not path.name.startswith("."):
                    sent += self._send(path, path.relative_to(self.home).as_posix())
        self._known = self.far.look(self._log_place, self._kept)["files"] or {}
        go["plugins"] = [f"{self.there}/{name}" for name in plugins]
        self.far.write(f"{self.folder}/go.json", 0, json.dumps(go).encode(), True)
        self._went = True
        seconds = time.monotonic() - begun
        notices.log(f"Carried there: {_megabytes(sent)} in {seconds:.1f} s; {_megabytes(there)} were there.")

    def _send(self, path: Path, name: str) -> int:
        """Copy a file to this name there; returns its size."""
        place = 0
        with path.open("rb") as file:
            while True:
                piece = file.read(PIECE)
                last = len(piece) < PIECE
                self.far.write(name, place, piece, last)
                place += len(piece)
                if last:
                    return place
                self._give_signs()

    def _give(self, name: str, digest: str) -> tuple[int, int]:
        """Have a file of this digest there; how many bytes of it went, and its size.

        Raises:
            StudioError: it is another one now.
        """
        path, sent, waits = self.home / name, 0, False
        while not (there := self.far.take(name, digest)):
            if there is None:
                if not waits:
                    waits = True
                    notices.log(f"{name} is coming there for another training.")
                self._give_signs()
                self._ended.wait(POLL)
            else:
                sent = self._put(path, digest)
        return sent, path.stat().st_size

    def _put(self, path: Path, digest: str) -> int:
        """Send the pieces of a file that is wanted there; returns its size."""
        size, last, right = 0, False, True
        with path.open("rb") as file:
            while not last:
                piece = file.read(PIECE)
                last = len(piece) < PIECE
                right = self.far.put(piece, last)
                size += len(piece)
                self._give_signs()
        if not right:
            raise StudioError(
                f"{path} is not as it was when its SHA-256 was written down ({digest[:12]}…), so it is not used. Put "
                "it back from a copy, or make it anew."
            )
        return size

    # Here

    def _fetch(self, files: dict[str, Any], final: bool) -> None:
        """Bring what has changed of the kept folders; of one that has ended well (`final`) also what it has removed.

        A file that speaks of others is read before them, so that they are no older than it, and put in its place behind
        them.
        """
        changed = sorted((name for name in files if files[name] != self._known.get(name)), key=self._rank)
        here = [name for name in reversed(changed) if self._read(name)]
        for name in reversed(here):
            path = self.home / name
            with self._writing:
                self._unless_ended()
                path.with_name(f".{path.name}{_ASIDE}").replace(path)
            self._known[name] = files[name]
        if final:
            for name in self._known.keys() - files.keys():
                with self._writing:
                    self._unless_ended()
                    (self.home / name).unlink(missing_ok=True)
                del self._known[name]

    def _remove_asides(self) -> None:
        for folder in self._kept:
            for path in (self.home / folder).rglob(f".*{_ASIDE}"):
                path.unlink(missing_ok=True)

    def _rank(self, name: str) -> int:
        last = name.rpartition("/")[2]
        return self._last.index(last) + 1 if last in self._last else 0

    def _read(self, name: str) -> bool:
        """Copy a file beside its place; whether it was still there."""
        path = self.home / name
        if ".." in path.parts or not name.startswith(tuple(f"{folder}/" for folder in self._kept)):
            raise StudioError(f"The other machine offers a file {name!r}, which is none of this job's.")
        path.parent.mkdir(parents=True, exist_ok=True)
        place = 0
        with path.with_name(f".{path.name}{_ASIDE}").open("wb") as file:
            while True:
                piece = self.far.read(name, place, PIECE)
                if piece is None:
                    break
                file.write(piece)
                place += len(piece)
                if len(piece) < PIECE:
                    return True
                self._give_signs()
        Path(file.name).unlink()
        return False

    def _note(self, name: str, content: bytes) -> None:
        """Put a file of the attempt's folder in its place where it has changed."""
        if self._notes.get(name) != content:
            with self._writing:
                self._unless_ended()
                write_bytes(self.attempt.path / name, content)
            self._notes[name] = content


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
