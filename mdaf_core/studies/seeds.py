"""Which seeds a study takes: as people write them, and as they follow each other until it is decided."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mdaf_core.analysis.sequential import UntilDecided
from mdaf_core.base.entries import whole_number
from mdaf_core.base.errors import UsageError
from mdaf_core.runs.config import LARGEST_SEED, check_seed


def parse_seeds(text: str) -> list[int]:
    """`42,43` or `42-46` as a list; seeds are below 2³², a range has at most 1,000.

    Raises:
        UsageError: anything else.
    """
    seeds: list[int] = []
    for part in text.split(","):
        low, dash, high = part.partition("-")
        first = whole_number(low)
        last = whole_number(high) if dash else first
        if first is None or last is None or last - first not in range(1000) or last > LARGEST_SEED:
            raise UsageError(f"Seeds look like 42,43,44 or 42-46, each at most {LARGEST_SEED}; got {text[:80]!r}.")
        seeds.extend(range(first, last + 1))
    return seeds


def seed_list(seeds: object) -> list[int]:
    """Seeds as a caller from Python names them, as plain whole numbers.

    Raises:
        UsageError: not a list or the like, or with something else in it.
    """
    if isinstance(seeds, str) or not isinstance(seeds, Iterable):
        raise UsageError(f"Seeds are a list of whole numbers, such as [42, 43]; they are {seeds!r}.")
    return [check_seed(seed) for seed in seeds]


def seeds_to_try(until: UntilDecided, seeds: Sequence[int]) -> list[int]:
    """The seeds that may be trained until decided: those named, then the numbers after the last, to the most.

    Raises:
        UsageError: no seed is named, or they would be too large.
    """
    named = list(dict.fromkeys(seeds))[: until.most]
    if not named:
        raise UsageError("Name a seed to begin with, such as 42.")
    following = range(max(named) + 1, max(named) + 1 + until.most - len(named))
    if following and following[-1] > LARGEST_SEED:
        raise UsageError(f"{until.most} seeds from {max(named)} on would be above {LARGEST_SEED}: begin lower.")
    return [*named, *following]
