"""On a machine that shares no folder with the steward's: has the process there do the job in a folder of its own, and
hands files in and out for the steward's courier (`courier.py`), who decides everything.

ROOT/attempts/NAME/         the folder of artifacts of one process; NAME.lock is held while it lives
ROOT/content/SHA-256        files that tasks read, each once, and there as long as it is used now and then

A file of `content` is verified while it comes; from then on its time of change is `VERIFIED`, so that one that was
written to is seen. When it was last used is its time of access. Like `hold.py` this needs nothing but Python.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from subprocess import Popen
from typing import IO, Any

from mdaf_core.queue.elsewhere import hold

UNUSED_DAYS = 30
"""After so long without a task that reads it, a file of `content` is removed."""
VERIFIED = 0
LOG_PIECE = 1 << 20
SYNC = 64 << 20
"""Bytes of a file that comes after which it is on disk: the whole at once could take longer than a sign of life may."""
NOTES = ("begun.json", "progress.json", "outcome.json")
"""What the process tells of itself, in the attempt's folder."""


class Outpost:
    """Of one process.

    Args:
        root: a folder on this machine; `~` is the home of whom the cluster runs as.
        name: of the process, given to no other.
    """

    def __init__(self, root: str, name: str):
        self._root, self._name = Path(root).expanduser(), name
        self._attempts, self._content = self._root / "attempts", self._root / "content"
        self.home = self._attempts / name
        self._folder = self.home
        self._child: Popen[bytes] | None = None
        self._open: dict[str, IO[bytes]] = {}
        self._coming: tuple[str, IO[bytes], Any] | None = None
        self._lock = -1

    def begin(self, module: str, folder: str, environment: dict[str, str]) -> str:
        """Start the process, with the attempt's folder at this name within the home, and remove what nobody uses any
        more; returns the home's path.

        Raises:
            OSError: the folder cannot be written.
        """
        self._content.mkdir(parents=True, exist_ok=True)
        self._attempts.mkdir(parents=True, exist_ok=True)
        with (self._root / "lock").open("a") as alone:  # a lock that was just made is not taken for one left behind
            fcntl.flock(alone, fcntl.LOCK_EX)
            self._sweep()
            if self._lock == -1:
                self._lock = _lock(self._attempts / f"{self._name}.lock")
        self._folder = self.home / folder
        self._folder.mkdir(parents=True, exist_ok=True)
        self.sign(0)
        paths = [environment.get("PYTHONPATH"), os.environ.get("PYTHONPATH")]
        own = {"MDAF_HOME": str(self.home), "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        self._child = hold.begin(module, self._folder, environment | own)
        return str(self.home)

    def sign(self, count: int) -> None:
        """Tell the process that its steward lives (`alive.json`): in place, as that goes on a full disk, too."""
        with os.fdopen(os.open(self._folder / "alive.json", os.O_WRONLY | os.O_CREAT, 0o644), "wb") as file:
            file.write(b'{"count": %12d}' % count)

    def look(self, log_from: int, kept: tuple[str, ...]) -> dict[str, Any]:
        """How it stands: `status` (of the process that has ended, else None), `notes` (name → bytes), `log` (what it
        printed from this byte on, at most LOG_PIECE), `files` (of the kept folders, name → size, time of change and
        inode; None where the home is gone). Each was looked at before those behind it.
        """
        status = None if self._child is None else self._child.poll()
        notes = {}
        for note in NOTES:
            with suppress(OSError):
                notes[note] = (self._folder / note).read_bytes()
        log = b""
        with suppress(OSError), (self._folder / "log").open("rb") as file:
            file.seek(log_from)
            log = file.read(LOG_PIECE)
        files = {name: stat for folder in kept for name, stat in self._files(folder)}
        return {"status": status, "notes": notes, "log": log, "files": files if self._folder.is_dir() else None}

    def _files(self, folder: str) -> list[tuple[str, tuple[int, int, int]]]:
        found = []
        for parent, _, names in os.walk(self.home / folder):
            for name in names:
                path = Path(parent, name)
                with suppress(OSError):
                    if not name.startswith("."):  # being written
                        stat = path.stat()
                        found.append((str(path.relative_to(self.home)), (stat.st_size, stat.st_mtime_ns, stat.st_ino)))
        return found

    def read(self, name: str, offset: int, size: int) -> bytes | None:
        """A piece of a file, shorter than `size` only at its end; None where there is none of that name. It stays the
        file that it was at offset 0, whatever takes its place until its end is read.
        """
        if offset == 0:
            try:
                file = (self.home / name).open("rb")
            except FileNotFoundError:
                return None
            if (former := self._open.pop(name, None)) is not None:
                former.close()
            self._open[name] = file
        self._open[name].seek(offset)
        piece = self._open[name].read(size)
        if len(piece) < size:
            self._open.pop(name).close()
        return piece

    def write(self, name: str, offset: int, piece: bytes, last: bool) -> None:
        """A piece of a file, which is in its place when the last one has come."""
        path = self.home / name
        aside = path.with_name(f".{path.name}.part")
        if offset == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("r+b" if offset else "wb") as file:
            file.seek(offset)
            file.write(piece)
        if last:
            aside.replace(path)

    def take(self, name: str, digest: str) -> bool | None:
        """Put a file of this SHA-256 in its place: True where that is done, False where its pieces are to come first
        (`put`), None where they are coming for another task: ask again.
        """
        self._drop()
        kept, path = self._content / digest, self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        try:
            if kept.stat().st_mtime_ns == VERIFIED:
                os.utime(kept, ns=(time.time_ns(), VERIFIED))
                try:
                    os.link(kept, path)
                except FileNotFoundError:
                    raise
                except OSError:  # a file system without links
                    shutil.copyfile(kept, path)
                return True
            kept.unlink()
        except FileNotFoundError:
            pass
        aside = self._content / f"{digest}.part"
        lock = _lock(aside)
        if lock == -1:
            return None
        file = os.fdopen(lock, "r+b")
        try:
            if not os.path.samestat(os.fstat(lock), aside.stat()):  # it came for another one just now
                raise FileNotFoundError
        except FileNotFoundError:
            file.close()
            return None
        file.truncate(0)
        self._coming = digest, file, hashlib.sha256()
        return False

    def put(self, piece: bytes, last: bool) -> bool:
        """The next piece of the file that `take` wants; False where the whole turns out to be another one, which is not
        kept."""
        assert self._coming is not None
        digest, file, found = self._coming
        file.write(piece)
        found.update(piece)
        size = file.tell()
        if last or size // SYNC != (size - len(piece)) // SYNC:
            file.flush()
            os.fsync(file.fileno())
        if not last:
            return True
        right = found.hexdigest() == digest
        if right:
            aside = self._content / f"{digest}.part"
            os.utime(aside, ns=(time.time_ns(), VERIFIED))
            aside.replace(self._content / digest)
        self._drop(right)
        return bool(right)

    def _drop(self, done: bool = False) -> None:
        """Let go of the file that comes, if any does."""
        if self._coming is not None:
            digest, file, _ = self._coming
            if not done:
                (self._content / f"{digest}.part").unlink(missing_ok=True)
            file.close()
            self._coming = None

    def close(self) -> None:
        """End the process, and leave nothing but `content`."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
        for file in self._open.values():
            file.close()
        self._open = {}
        self._drop()
        if self._lock != -1:
            _remove(self.home)
            os.close(self._lock)
            self._lock = -1

    def _sweep(self) -> None:
        """Remove homes whose process was killed with what held it, and content that was not used for long."""
        for path in self._attempts.glob("*.lock"):
            if (lock := _lock(path)) != -1:
                _remove(path.with_suffix(""))
                os.close(lock)
        before = time.time() - UNUSED_DAYS * 86400
        for path in self._content.iterdir():
            with suppress(OSError):
                stat = path.stat()
                if stat.st_nlink == 1 and max(stat.st_atime, stat.st_mtime) < before:
                    path.unlink()


def _lock(path: Path) -> int:
    """A descriptor that holds the lock on a file until it is closed; -1 where another one holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return -1
    return descriptor


def _remove(home: Path) -> None:
    """Remove a home, then its lock, which is held: nobody takes that name again."""
    shutil.rmtree(home, ignore_errors=True)
    with suppress(OSError):
        home.with_name(f"{home.name}.lock").unlink()
