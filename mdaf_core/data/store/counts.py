"""Counting many rows by a code, in one pass that lets other threads run."""

from __future__ import annotations

import numba
import numpy as np


def occurrences(codes: np.ndarray, size: int) -> np.ndarray:
    """(size,) int64 how often each code occurs.

    Raises:
        IndexError: a code is none of 0 to size - 1.
    """
    counts = np.zeros(size, np.int64)
    _refuse(_count(_plain(codes), counts), size)
    return counts


def tally(codes: np.ndarray, label: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each code its rows and its positives, (size,) int64 each.

    Args:
        codes: (N,) integers; label: (N,) integers, 0 or 1.

    Raises:
        IndexError: a code is none of 0 to size - 1.
    """
    if len(codes) != len(label):
        raise IndexError(f"{len(codes)} codes and {len(label)} labels")
    rows, positives = np.zeros(size, np.int64), np.zeros(size, np.int64)
    _refuse(_tally(_plain(codes), label.astype(np.uint8, copy=False), rows, positives), size)
    return rows, positives


def _plain(codes: np.ndarray) -> np.ndarray:
    """In one of the two types that are compiled for."""
    return codes if codes.dtype in (np.int32, np.int64) else codes.astype(np.int64)


def _refuse(at: int, size: int) -> None:
    if at >= 0:
        raise IndexError(f"the code at position {at} is none of the {size} there are")


@numba.njit(nogil=True, cache=True)
def _count(codes, counts):  # type: ignore[no-untyped-def]  # pragma: no cover
    for i in range(len(codes)):
        code = codes[i]
        if code < 0 or code >= len(counts):
            return i
        counts[code] += 1
    return -1


@numba.njit(nogil=True, cache=True)
def _tally(codes, label, rows, positives):  # type: ignore[no-untyped-def]  # pragma: no cover
    for i in range(len(codes)):
        code = codes[i]
        if code < 0 or code >= len(rows):
            return i
        rows[code] += 1
        positives[code] += label[i]
    return -1
