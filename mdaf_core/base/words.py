"""Lists of names in sentences."""

from __future__ import annotations

from collections.abc import Sequence

ROOM = 120  # characters of names in a sentence that people still read


def some(names: Sequence[str], most: int = 3, room: int = 0) -> str:
    """The first names, and how many more there are: `a, b, c and 2 more`.

    Args:
        most: how many are named in any case; further ones while all named together take at most `room` characters.
    """
    named = max((n for n in range(len(names) + 1) if n <= most or sum(map(len, names[:n])) <= room), default=0)
    more = len(names) - named
    return ", ".join(names[:named]) + (f" and {more} more" if more > 0 else "")
