"""The event log and each row's slice of it."""

from __future__ import annotations

import numba
import numpy as np

_CHUNK = 4_000_000


def first_events(event_user: np.ndarray, users: int) -> np.ndarray:
    """(users + 1,) int64: where each user's events begin in a log that is sorted by user, in any order of the input."""
    counts = np.zeros(users + 1, np.int64)
    for start in range(0, len(event_user), _CHUNK):
        counts[1:] += np.bincount(event_user[start : start + _CHUNK], minlength=users)
    return np.cumsum(counts)


def earlier_ends(first: np.ndarray, event_time: np.ndarray, row_user: np.ndarray, row_time: np.ndarray) -> np.ndarray:
    """(N,) position behind the last event of each row's user with a strictly earlier time (int32 where it fits).

    Args:
        first: as `first_events`; event_time: (E,) of the log, sorted by user, then time.
        row_user, row_time: (N,) in any order.
    """
    out = np.empty(len(row_user), np.int32 if len(event_time) < 2**31 else np.int64)
    _search(first, event_time, row_user, row_time, out)
    return out


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
    users = 1 + max((int(column.max()) for column in (event_user, row_user) if len(column)), default=-1)
    first = first_events(event_user, users)
    return first[row_user], earlier_ends(first, event_time, row_user, row_time).astype(np.int64)


@numba.njit(nogil=True, cache=True)
def _search(first, event_time, row_user, row_time, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    for i in range(len(row_user)):
        low, high, time = first[row_user[i]], first[row_user[i] + 1], row_time[i]
        while low < high:
            middle = (low + high) // 2
            if event_time[middle] < time:
                low = middle + 1
            else:
                high = middle
        out[i] = low
