"""Waiting that is bound to progress, not to seconds: a busy machine is slow, a fault stands still."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from mdaf_core.base.files import below

STILL = 300.0
"""Seconds without any change after which a wait is in vain."""
MOST = 3 * 3600.0
"""Seconds after which even what still moves is taken for a fault."""
LOOK = 2.0
"""Seconds between two looks for a change: listing a folder takes time from those that are waited for."""
PATIENT = 1800
"""Seconds for single steps that show no progress: a page's script, a process that starts."""


def wait_until(
    done: Callable[[], object], watch: Callable[[], object], *, still: float = STILL, every: float = 0.05
) -> None:
    """Return once `done()` is true; fail once `watch()` has not changed for `still` seconds.

    Args:
        watch: anything observable that changes while there is progress.
    """
    begin = changed = looked = time.monotonic()
    seen = watch()
    while not done():
        now = time.monotonic()
        if now - looked > LOOK:
            looked = now
            if (found := watch()) != seen:
                seen, changed = found, now
        assert now - changed < still, f"waited in vain: nothing has changed for {still:.0f} s; last seen: {seen}"
        assert now - begin < MOST, f"waited in vain for {MOST / 3600:.0f} hours; last seen: {seen}"
        time.sleep(every)


def traces(home: Path) -> Callable[[], object]:
    """What can be seen of the jobs of an artifacts folder: the sizes and times of its files."""
    return lambda: hash(tuple(sorted((str(path), stat.st_size, stat.st_mtime_ns) for path, stat in below(home))))
