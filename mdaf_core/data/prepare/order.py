"""Stable orders of many rows by integer keys, in little memory."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

_WIDEST, _NARROWEST = 22, 11
"""Bits that are sorted by at a time, of many rows and of few: the counts of their values stay in the caches."""
_CHUNK = 1_000_000


def stable_order(*keys: np.ndarray) -> np.ndarray:
    """(N,) positions that sort rows by the last key, then the one before it, …, then input order (as `np.lexsort`).

    The bits in which keys differ are sorted by counting, one digit of them after another, the highest at the end; a
    first key that is in order already is left out. Beside the keys it needs one digit and twice the positions (int32
    where they fit).

    Args:
        keys: (N,) integers each, at least one.

    Raises:
        ValueError: keys of several lengths.
    """
    size = len(keys[0])
    if any(len(key) != size for key in keys):
        raise ValueError(f"keys of {', '.join(str(len(key)) for key in keys)} rows")
    order = np.arange(size, dtype=np.int32 if size < 2**31 else np.int64)
    for digit in _digits(keys, min(_WIDEST, max(size.bit_length(), _NARROWEST))):
        order = _by_counting(_values(digit, size), 1 << sum(part.bits for part in digit), order)
    return order


class _Part(NamedTuple):
    """Some bits of what a key is above its lowest."""

    key: np.ndarray
    low: int
    first: int
    bits: int


def _digits(keys: tuple[np.ndarray, ...], most: int) -> list[list[_Part]]:
    """The bits of keys, those of the first key first, in digits of at most so many; none where rows are in order."""
    digits: list[list[_Part]] = []
    room = 0
    for key in keys:
        if not digits and _is_ascending(key):
            continue
        low, high = int(key.min()), int(key.max())
        first, end = 0, (high - low).bit_length()
        while first < end:
            if not room:
                digits.append([])
                room = most
            bits = min(end - first, room)
            digits[-1].append(_Part(key, low, first, bits))
            first, room = first + bits, room - bits
    return digits


def _is_ascending(key: np.ndarray) -> bool:
    parts = (key[start : start + _CHUNK + 1] for start in range(0, len(key), _CHUNK))
    return all(bool((part[1:] >= part[:-1]).all()) for part in parts)


def _values(digit: list[_Part], size: int) -> np.ndarray:
    """(N,) uint32 a digit of all rows."""
    out = np.zeros(size, np.uint32)
    for start in range(0, size, _CHUNK):
        chunk, at = slice(start, start + _CHUNK), 0
        for key, low, first, bits in digit:
            part = key[chunk].astype(np.uint64)
            part -= np.uint64(low % 2**64)  # modulo 2^64: right even where a key spans all 64 bits
            part >>= np.uint64(first)
            part &= np.uint64((1 << bits) - 1)
            part <<= np.uint64(at)
            out[chunk] |= part.astype(np.uint32)
            at += bits
    return out


@numba.njit(nogil=True, cache=True)
def _by_counting(digit, size, order):  # type: ignore[no-untyped-def]  # pragma: no cover
    """An order brought into that of a digit below `size`; rows of one value stay as they follow each other."""
    place = np.zeros(size + 1, order.dtype)
    for value in digit:
        place[value + 1] += 1
    for value in range(size):
        place[value + 1] += place[value]
    out = np.empty_like(order)
    for position in order:
        value = digit[position]
        out[place[value]] = position
        place[value] += 1
    return out
