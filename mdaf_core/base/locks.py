"""Advisory file locks. The kernel frees a lock when its holder dies, however it dies, whatever becomes of its pid."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def try_lock(path: Path) -> int | None:
    """Take the exclusive lock on `path` without waiting.

    Returns:
        A file descriptor that holds the lock until it is closed, or None where another one holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def wait_lock(path: Path, seconds: float) -> int | None:
    """As `try_lock`, trying for up to `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        descriptor = try_lock(path)
        if descriptor is not None or time.monotonic() >= deadline:
            return descriptor
        time.sleep(0.02)


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Whether the lock on `path` was free; it is held inside the block if so."""
    descriptor = try_lock(path)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock on `path` inside the block, waiting for it as long as it takes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
