"""Stable orders of many rows by integer keys, in little memory."""

from __future__ import annotations

import numba
import numpy as np

_DIGIT = 16


def stable_order(*keys: np.ndarray) -> np.ndarray:
    """(N,) positions that sort rows by the last key, then the one before it, …, then input order (as `np.lexsort`).

    A radix sort by digits of 16 bits: time grows with N and the keys' ranges, and beside the keys it needs two arrays
    of N positions (int32 where they fit).

    Args:
        keys: (N,) integers each, at least one.
    """
    size = len(keys[0])
    positions = np.int32 if size < 2**31 else np.int64
    order = np.arange(size, dtype=positions)
    if size == 0:
        return order
    other = np.empty_like(order)
    for key in keys:
        low, high = int(key.min()), int(key.max())
        for shift in range(0, (high - low).bit_length(), _DIGIT):
            _sort_by_digit(key, np.int64(low), shift, order, other)
            order, other = other, order
    return order


@numba.njit(cache=True)
def _sort_by_digit(key, low, shift, order, out):  # pragma: no cover - compiled
    mask, width = np.uint64((1 << 16) - 1), np.uint64(shift)
    starts = np.zeros((1 << 16) + 1, np.int64)
    for i in range(len(key)):
        starts[np.int64((np.uint64(np.int64(key[i]) - low) >> width) & mask) + 1] += 1
    for digit in range(1 << 16):
        starts[digit + 1] += starts[digit]
    for position in order:
        at = np.int64((np.uint64(np.int64(key[position]) - low) >> width) & mask)
        out[starts[at]] = position
        starts[at] += 1
