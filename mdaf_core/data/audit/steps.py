"""From one row of a user to the next one."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np


class Steps(NamedTuple):
    """Of each row but the last, in an order by user and time, what lies between it and the row after it.

    Attributes:
        same: (N - 1,) bool whether that is of the same user; later: (N - 1,) by how much it is later, in the unit of
            times, int32 where these hold it.
    """

    same: np.ndarray
    later: np.ndarray


def steps_of(order: np.ndarray, user: np.ndarray, time: np.ndarray) -> Steps:
    """Steps along an order.

    Args:
        order: (N,) positions; user, time: (N,) of the rows as they are in the files.
    """
    size = max(len(order) - 1, 0)
    span = int(time.max()) - int(time.min()) if len(time) else 0
    found = Steps(np.empty(size, np.bool_), np.empty(size, np.int32 if span < 2**31 else np.int64))
    _walk(order, user, time, *found)
    return found


@numba.njit(nogil=True, cache=True)
def _walk(order, user, time, same, later):  # type: ignore[no-untyped-def]  # pragma: no cover
    for i in range(len(same)):
        one, other = order[i], order[i + 1]
        same[i] = user[one] == user[other]
        later[i] = time[other] - time[one]
