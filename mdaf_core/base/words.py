"""Counts and lists of names in sentences."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

ROOM = 120  # characters of names in a sentence that people still read


def plural(count: int, noun: str) -> str:
    """`1 seed`, `1,200 seeds`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def listed(names: Sequence[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    return f" {last} ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def some(names: Sequence[str], most: int = 3, room: int = 0) -> str:
    """The first names, and how many more there are: `a, b, c and 2 more`.

    Args:
        most: how many are named in any case; further ones while all named together take at most `room` characters.
    """
    fitting = bisect_right(list(accumulate(map(len, names[: room + 1]))), room)
    named = min(len(names), max(most, fitting))
    more = len(names) - named
    return ", ".join(names[:named]) + (f" and {more:,} more" if more > 0 else "")
