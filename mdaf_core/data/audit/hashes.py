"""Hashes of rows: which rows share what, told in a few passes over all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numba
import numpy as np

_PIECE = 1 << 15
_BITS = 22
_PLACES = 8
"""Bits a hash has in the table by which those that come once are told: one in so many is taken for one of two."""


def hashed(columns: Sequence[np.ndarray]) -> Iterator[tuple[slice, np.ndarray]]:
    """(n,) uint64 hash of the rows of some columns of integers or float32 (splitmix64 between columns), piece by piece:
    what is worked out of a piece stays in the processor's cache."""
    numbers = [column.view(np.int32) if column.dtype == np.float32 else column for column in columns]
    for start in range(0, len(columns[0]), _PIECE):
        piece = slice(start, min(start + _PIECE, len(columns[0])))
        key = np.zeros(piece.stop - start, np.uint64)
        for column in numbers:
            _mix(key, column[piece])
        yield piece, key


def mixed_hash(columns: Sequence[np.ndarray]) -> np.ndarray:
    """(N,) as `hashed`, of all rows."""
    keys = np.empty(len(columns[0]), np.uint64)
    for piece, key in hashed(columns):
        keys[piece] = key
    return keys


def drawn_groups(columns: Sequence[np.ndarray], known: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Whole groups of rows that share all of some columns, about as many rows as `most`: the rows' positions, (n,)
    int64 ascending, and their hashes as `hashed`, (n,) uint64.

    Args:
        columns: (N,) integers or float32, one or two; known: (N,) bool, rows that are in a group.
    """
    share = int(np.count_nonzero(known)) // most + 1
    numbers = [column.view(np.int32) if column.dtype == np.float32 else column for column in columns]
    return _drawn(numbers[0], numbers[-1], len(numbers) > 1, known, np.uint64((2**64 - 1) // share))


def shared(hashes: np.ndarray) -> np.ndarray:
    """Those that occur more than once, ascending, each one time."""
    if len(hashes) < 2:
        return np.empty(0, np.uint64)
    places = 1 << (len(hashes) * _PLACES - 1).bit_length()
    some = np.sort(_perhaps_shared(hashes, np.uint64(64 - (places.bit_length() - 1)), np.zeros(places // 8, np.uint8)))
    return np.unique(some[1:][some[1:] == some[:-1]])


def among(hashes: np.ndarray, few: np.ndarray) -> np.ndarray:
    """Positions of those hashes that are among a few, which are sorted: most are told by their first bits."""
    if not len(few):
        return np.empty(0, np.int64)
    begins = np.zeros(1 << _BITS, np.bool_)
    shift = np.uint64(64 - _BITS)
    begins[few >> shift] = True
    at = np.flatnonzero(begins[hashes >> shift])
    found = hashes[at]
    return at[few[np.minimum(np.searchsorted(few, found), len(few) - 1)] == found]


@numba.njit(nogil=True, cache=True)
def _mixed(key, number):  # type: ignore[no-untyped-def]  # pragma: no cover
    mixed = key + np.uint64(np.int64(number)) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


@numba.njit(nogil=True, cache=True)
def _mix(key, numbers):  # type: ignore[no-untyped-def]  # pragma: no cover
    for i in range(len(key)):
        key[i] = _mixed(key[i], numbers[i])


@numba.njit(nogil=True, cache=True)
def _drawn(one, other, both, known, below):  # type: ignore[no-untyped-def]  # pragma: no cover
    rows, hashes = np.empty(len(one), np.int64), np.empty(len(one), np.uint64)  # of which what is written is taken
    count = 0
    for i in range(len(one)):
        key = _mixed(np.uint64(0), one[i])
        if both:
            key = _mixed(key, other[i])
        if known[i] and key <= below:
            rows[count], hashes[count] = i, key
            count += 1
    return rows[:count].copy(), hashes[:count].copy()


@numba.njit(nogil=True, cache=True)
def _perhaps_shared(hashes, shift, table):  # type: ignore[no-untyped-def]  # pragma: no cover
    """The hashes whose place, their first bits, another has too."""
    again = np.zeros_like(table)
    for key in hashes:
        place = key >> shift
        byte, bit = place >> np.uint64(3), np.uint8(1) << np.uint8(place & np.uint64(7))
        if table[byte] & bit:
            again[byte] |= bit
        table[byte] |= bit
    out = np.empty_like(hashes)  # of which the system gives what is written
    count = 0
    for key in hashes:
        place = key >> shift
        if again[place >> np.uint64(3)] & (np.uint8(1) << np.uint8(place & np.uint64(7))):
            out[count] = key
            count += 1
    return out[:count].copy()
