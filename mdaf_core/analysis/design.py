"""Factorial designs: which components are on in which configuration, and which effects its runs cannot tell apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations, product

from pydantic import BaseModel

from mdaf_core.base.errors import UsageError

MOST_FACTORS = 8


def fraction(factors: int, halvings: int) -> list[tuple[int, ...]]:
    """The words of a 2^(k-p) design's generators: products of factors (by number) that are +1 in every run.

    Of all choices that write the last p factors as products of the others the one of largest resolution, then with the
    fewest shortest words (minimum aberration, Fries & Hunter 1980).

    Raises:
        UsageError: no such design, or one in which main effects are mixed up with each other.
    """
    if not 1 <= factors <= MOST_FACTORS:
        raise UsageError(f"A factorial takes 1 to {MOST_FACTORS} components; got {factors}.")
    if halvings == 0:
        return []
    basic = factors - halvings
    words = [frozenset(c) for n in range(2, basic + 1) for c in combinations(range(basic), n)]
    best: tuple[tuple[int, ...], tuple[frozenset[int], ...]] | None = None
    for chosen in combinations(words, halvings) if halvings > 0 else ():
        generators = tuple(word | {basic + i} for i, word in enumerate(chosen))
        lengths = [len(word) for word in group(generators)]
        pattern = tuple(lengths.count(n) for n in range(1, factors + 1))
        if best is None or pattern < best[0]:
            best = pattern, generators
    if best is None or any(best[0][:2]):
        many = 2 ** max(basic, 0)
        raise UsageError(f"{factors} components cannot be told apart in {many} configurations: halve less often.")
    return [tuple(sorted(word)) for word in best[1]]


def group(generators: Sequence[frozenset[int]]) -> list[frozenset[int]]:
    """All products of the generators but the empty one: the defining relation."""
    out: list[frozenset[int]] = []
    for n in range(1, len(generators) + 1):
        for chosen in combinations(generators, n):
            word: frozenset[int] = frozenset()
            for one in chosen:
                word ^= one
            out.append(word)
    return out


class Design(BaseModel):
    """Which components are on in which configuration.

    Attributes:
        factors: name of each component → the settings that switch it off, `path=value`.
        generators: products of components (by number) that are +1 in every run; none: all combinations are run.
        levels: configuration → +1 (on) or -1 (off) of each component.
    """

    factors: dict[str, list[str]]
    generators: list[tuple[int, ...]] = []
    levels: dict[str, list[int]] = {}

    @property
    def words(self) -> str:
        """`2^(5-1)`: how many combinations of how many are run."""
        k, p = len(self.factors), len(self.generators)
        return f"2^{k}" if not p else f"2^({k}-{p})"

    @property
    def resolution(self) -> int | None:
        """Length of the shortest word that is always +1; None for a full design."""
        return min(map(len, group([frozenset(g) for g in self.generators])), default=None)

    def aliases(self, effect: frozenset[int]) -> list[str]:
        """Main effects and interactions of two that the runs cannot tell from this one."""
        words = [effect ^ word for word in group([frozenset(g) for g in self.generators])]
        return [self.name(word) for word in words if 0 < len(word) <= 2]

    def name(self, effect: frozenset[int]) -> str:
        names = list(self.factors)
        return " × ".join(names[i] for i in sorted(effect))


def combinations_of(factors: int, halvings: int) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """The generators, and the levels of each run: all on first.

    Raises:
        UsageError: as `fraction`.
    """
    generators = fraction(factors, halvings)
    levels = [
        run for run in product((1, -1), repeat=factors) if all(math.prod([run[i] for i in g]) == 1 for g in generators)
    ]
    return generators, levels
