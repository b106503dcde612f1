"""Progress as shares and sentences, and how long something will still take, from how long it has taken so far."""

from __future__ import annotations

import time
from collections.abc import Callable

Progress = Callable[[float, str], None]
"""Called with a share from 0 to 1 and a sentence."""

_SILENT_SECONDS, _SILENT_SHARE = 3.0, 0.05  # too early to say anything


def with_time_left(progress: Progress) -> Progress:
    """Shares that never go back, and sentences with the time left."""
    start = time.monotonic()
    most = 0.0

    def report(share: float, message: str) -> None:
        nonlocal most
        most = max(most, share)
        elapsed = time.monotonic() - start
        if elapsed > _SILENT_SECONDS and _SILENT_SHARE < most < 1:
            message += f", about {duration(elapsed * (1 - most) / most)} left"
        progress(most, message)

    return report


def duration(seconds: float) -> str:
    """Seconds in round words: `20 s`, `3 min`, `1.5 h`."""
    if seconds < 55:
        return f"{max(5, round(seconds / 5) * 5)} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def no_progress(_fraction: float, _message: str) -> None:
    """Progress of someone who does not ask."""
