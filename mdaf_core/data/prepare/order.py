"""Stable orders of many rows by integer keys, in little memory."""

from __future__ import annotations

import numpy as np

_CHUNK = 1_000_000


def stable_order(*keys: np.ndarray) -> np.ndarray:
    """(N,) positions that sort rows by the last key, then the one before it, …, then input order (as `np.lexsort`).

    Keys and positions are packed into numbers of 64 bits, which numpy sorts by the vector instructions of the machine.
    What does not fit into one number is sorted digit by digit, the highest one last. Beside the keys it needs those
    numbers and the positions (int32 where they fit).

    Args:
        keys: (N,) integers each, at least one.
    """
    size = len(keys[0])
    positions = np.dtype(np.int32 if size < 2**31 else np.int64)
    place = max(size - 1, 1).bit_length()
    order: np.ndarray | None = None
    digits: list[tuple[np.ndarray, int, int, int]] = []  # key, its lowest value, first bit, bits
    width = place
    for key in keys if size else ():
        low, high = int(key.min()), int(key.max())
        bits = (high - low).bit_length()
        for first in range(0, bits, 64 - place):
            own = min(bits - first, 64 - place)
            if width + own > 64:
                order, digits, width = _sorted(digits, order, size, place).astype(positions), [], place
            digits.append((key, low, first, own))
            width += own
    return np.arange(size, dtype=positions) if not digits else _sorted(digits, order, size, place).astype(positions)


def _sorted(
    digits: list[tuple[np.ndarray, int, int, int]], order: np.ndarray | None, size: int, place: int
) -> np.ndarray:
    """(N,) the order, brought into that of some digits, the last one first, which fit into a number with a position."""
    packed = np.arange(size, dtype=np.uint64)
    for start in range(0, size, _CHUNK):
        chunk, width = slice(start, start + _CHUNK), place
        for key, low, first, bits in digits:
            part = (key[chunk] if order is None else key[order[chunk]]).astype(np.uint64)
            part -= np.uint64(low % 2**64)  # modulo 2^64: right even where a key spans all 64 bits
            part >>= np.uint64(first)
            part &= np.uint64((1 << bits) - 1)
            part <<= np.uint64(width)
            packed[chunk] |= part
            width += bits
    packed.sort()
    packed &= np.uint64((1 << place) - 1)
    return packed if order is None else order[packed]
