"""The event log and each row's slice of it."""

from __future__ import annotations

import numpy as np


def earlier_events(
    event_user: np.ndarray, event_time: np.ndarray, row_user: np.ndarray, row_time: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """For each row the slice of the log that holds its user's events with a strictly earlier time.

    Args:
        event_user, event_time: (E,) the log, sorted by user, then time; user indices ≥ 0.
        row_user, row_time: (N,) in any order.

    Returns:
        start, end: (N,) int64; `start` is the user's first event.
    """
    if len(event_user) == 0 or len(row_user) == 0:
        return np.zeros(len(row_user), np.int64), np.zeros(len(row_user), np.int64)
    first, last = int(event_time.min()), int(event_time.max())
    users = int(max(event_user.max(), row_user.max())) + 1
    span = last - first + 2
    if users * span < 2**63:
        event_offset = event_time - first
        row_offset = np.clip(row_time, first, last + 1) - first
    else:  # times too far apart for one integer key a (user, time): use their ranks
        times = np.unique(event_time)
        event_offset, row_offset = np.searchsorted(times, event_time), np.searchsorted(times, row_time)
        span = len(times) + 1
    key = event_user.astype(np.int64) * span + event_offset
    end = np.searchsorted(key, row_user.astype(np.int64) * span + row_offset, side="left")
    starts = np.searchsorted(event_user, np.arange(users + 1))
    return starts[row_user].astype(np.int64), end.astype(np.int64)
