"""Wilcoxon's signed-rank test over seeds."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, Field

from mdaf_core.analysis.significance import LEVEL
from mdaf_core.metrics.values import Undefined


class SignedRank(BaseModel):
    """Wilcoxon's signed-rank test of paired differences: no assumption of normality, only of symmetry."""

    n: int = Field(description="Differences that are not 0; the others are left out.")
    above: int = Field(description="How many of them are above 0.")
    estimate: float = Field(description="Hodges-Lehmann: the median of the means of all pairs.")
    low: float | None = Field(None, description="None: so few differences allow no interval of this level.")
    high: float | None = None
    p: float = Field(description="Two-sided, exact.")
    floor: float = Field(description="The smallest p that so many differences can give: 2^(1−n).")
    level: float = LEVEL


def signed_rank(values: ArrayLike, level: float = LEVEL) -> SignedRank:
    """Wilcoxon's signed-rank test (1945) of paired differences, exact also with ties (mid-ranks; zeros left out).

    The interval is Hodges and Lehmann's: order statistics of the means of all pairs (those with themselves included).

    Args:
        values: (n,) paired differences, one a seed.

    Raises:
        Undefined: no values.
    """
    from scipy.stats import rankdata

    x = np.asarray(values, np.float64)
    if not len(x):
        raise Undefined("No seed has finished for both.")
    first, second = np.triu_indices(len(x))
    means = np.sort((x[first] + x[second]) / 2)
    signs = x[x != 0]
    n = len(signs)
    doubled = np.rint(2 * rankdata(np.abs(signs))).astype(np.int64)  # twice the mid-ranks: integers
    chance = _sums(doubled)
    positive = int(doubled[signs > 0].sum())
    p = min(1.0, 2 * min(chance[: positive + 1].sum(), chance[positive:].sum()))
    steps = np.cumsum(_sums(np.arange(1, len(x) + 1))) <= (1 - level) / 2 + 1e-15
    cut = int(steps.sum())  # means to leave out at each end
    return SignedRank(
        n=n,
        above=int((signs > 0).sum()),
        estimate=float(np.median(means)),
        low=float(means[cut - 1]) if cut else None,
        high=float(means[len(means) - cut]) if cut else None,
        p=float(p),
        floor=min(1.0, 2.0 ** (1 - n)),
        level=level,
    )


def _sums(ranks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Probability of each sum of a random half of `ranks`, every one in or out by a fair coin."""
    chance = np.zeros(int(ranks.sum()) + 1)
    chance[0] = 1.0
    for rank in ranks:
        shifted = np.zeros_like(chance)
        shifted[rank:] = chance[: len(chance) - rank]
        chance = (chance + shifted) / 2
    return chance


def few_for_ranks(n: int, tests: int = 1, alpha: float = 1 - LEVEL) -> str:
    """Why a signed-rank test of `n` seeds, one of `tests` comparisons, can show nothing; empty where it can."""
    if 2.0 ** (1 - n) * tests < alpha:
        return ""
    enough = next(k for k in range(1, 100) if 2.0 ** (1 - k) * tests < alpha)
    over = "" if tests == 1 else f", {tests * 2.0 ** (1 - n):.3g} after Holm over {tests} comparisons"
    return (
        f"{n} seeds: p of the signed-rank test cannot be below {2.0 ** (1 - n):.4g}{over}, "
        f"so it can show nothing here; it takes {enough} seeds"
    )
