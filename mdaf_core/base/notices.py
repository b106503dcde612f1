"""What had to be left out, and why: lists go on without a damaged file, and whoever shows them says so.

A reader that can do without something calls `add`; the command line and the pages `collect` what was said meanwhile. A
job, which nobody watches, has a log instead.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar

_collected: ContextVar[dict[str, None] | None] = ContextVar("notices", default=None)


def add(*sentences: object) -> None:
    """Note what was left out, as sentences that name the file and the remedy; each said once, however often it is met.

    Where nobody collects (a job), they go to the log.
    """
    found = _collected.get()
    for sentence in sentences:
        if found is None:
            log(sentence)
        else:
            found[str(sentence)] = None


def log(sentence: object) -> None:
    """A line with the time on standard error, which is a job's log. A full disk loses the line, not the job."""
    with suppress(OSError, ValueError):
        print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {sentence}", file=sys.stderr, flush=True)


def said() -> list[str]:
    """What has been noted so far inside the innermost `collect`."""
    return list(_collected.get() or ())


@contextmanager
def collect() -> Iterator[dict[str, None]]:
    """Keep what is noted inside the block, in order, each sentence once."""
    found: dict[str, None] = {}
    token = _collected.set(found)
    try:
        yield found
    finally:
        _collected.reset(token)
