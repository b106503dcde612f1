"""Seeds added one at a time until a comparison is decided: p values and intervals that hold although one looks after
every seed, and the chance that the seeds still to come will decide. docs/statistics.md, "Seeds until decided".

A group sequential test with one nominal level for every look (Pocock 1977), exact for Student's t: under no difference
the t statistics of 2, 3, … seeds are a Markov chain on the angle between the observations and their mean, so that the
probability that some look crosses its boundary is a chain of one-dimensional integrals (the recursion of Armitage,
McPherson & Rowe 1969 in that angle).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np
from pydantic import BaseModel, Field, model_validator

from mdaf_core.analysis.significance import Component
from mdaf_core.metrics.values import Floats

ALPHA = 0.05
MOST_SEEDS = 100
FUTILE = 0.05  # a comparison is given up when the chance that the seeds to come decide it is below this
DRAWS = 400
_ANGLES = 101


class UntilDecided(BaseModel):
    """When a comparison is looked at: after `first` seeds and after each further one, at most `most`."""

    first: int = Field(3, ge=2, description="Seeds of the first look.")
    most: int = Field(20, ge=3, le=MOST_SEEDS, description="Seeds of the last look.")

    @model_validator(mode="after")
    def _ordered(self) -> UntilDecided:
        if self.most < self.first:
            raise ValueError(f"the most seeds, {self.most}, are fewer than those of the first look, {self.first}")
        return self

    def adjusted(self, p: float | None, sides: int = 2) -> float | None:
        """The p value of the whole sequence of looks, from the smallest `p` of any look so far.

        Never above the chance of so small a p at some look where there is no difference, whenever one stops.

        Args:
            sides: 1 for one-sided p values, 2 for two-sided ones.
        """
        return None if p is None else crossing(p, self.first, self.most, sides)

    def nominal(self, alpha: float, sides: int = 2) -> float:
        """The level of each look whose whole sequence has level `alpha`."""
        return _nominal(alpha, self.first, self.most, sides)


class Look(BaseModel):
    """The program's test (seeds × users) after so many seeds, as if nobody had looked before."""

    seeds: int
    estimate: float
    p: float | None = Field(description="Two-sided, against no difference.")
    p_parity: float | None = Field(None, description="Of both one-sided tests against the margin, the larger.")


def smallest(found: Sequence[float | None]) -> float | None:
    """The smallest p value; None where there is none."""
    known = [p for p in found if p is not None]
    return min(known) if known else None


@lru_cache(maxsize=4096)
def crossing(p: float, first: int, most: int, sides: int = 2) -> float:
    """Probability that Student's t of the first n of `most` normal observations without a mean has, for some n from
    `first` to `most`, a p value of at most `p`; to about 1e-3 of its value (below 1e-4 to 1e-2).

    Args:
        sides: 1: one-sided p values; 2: two-sided.
    """
    if p <= 0:
        return 0.0
    if p >= 1:
        return 1.0
    from scipy.special import stdtrit

    bounds = {n: float(np.arcsin(_cosine(-float(stdtrit(n - 1, p / sides)), n))) for n in range(first, most + 1)}
    # After `first` observations the angle's density is proportional to cos^(first - 2): `near` 0.
    near = _near(first - 2)
    whole, weight_of_whole = _rule(np.array([-near]), np.array([near]), pieces=32)
    low, high = (-near if sides == 1 else -bounds[first]), bounds[first]
    at, weight = _rule(np.array([low]), np.array([high]), pieces=32)
    stays = np.cos(at) ** (first - 2) * weight / (np.cos(whole) ** (first - 2) * weight_of_whole).sum()
    return min(1.0, max(0.0, 1.0 - float((stays * _goes_on(bounds, sides)(at)).sum())))


def _goes_on(bounds: Mapping[int, float], sides: int) -> Callable[[Floats], Floats]:
    """The probability that no look after the first crosses, by the angle at the first one, within its bound.

    Args:
        bounds: angle of each look's boundary, by observations.
    """
    from scipy.interpolate import make_interp_spline

    def ones(angle: Floats) -> Floats:
        return np.ones_like(angle)

    dense = np.sin(np.linspace(-np.pi / 2, np.pi / 2, _ANGLES))  # near the bounds, where it falls
    later: Callable[[Floats], Floats] = ones
    for n in sorted(bounds)[-2::-1]:
        low = -bounds[n] if sides == 2 else -_near(n - 2)
        angle = (low + bounds[n] + (bounds[n] - low) * dense) / 2
        spline = make_interp_spline(angle, _one_more(np.sin(angle), n, bounds[n + 1], sides, later), k=3)

        def later(angle: Floats, spline: Callable[[Floats], Floats] = spline, low: float = low) -> Floats:
            return spline(np.maximum(angle, low))

    return later


def _near(power: int) -> float:
    """An angle beyond which lies no part of a density proportional to cos^power that counts (1e-13 of it)."""
    return float(min(np.pi / 2, 7.5 / np.sqrt(max(power, 1))))


def _cosine(t: float, n: int) -> float:
    """Cosine of the angle between n observations and their mean, from their t statistic."""
    return float(t / np.sqrt(n - 1 + t * t))


def _rule(low: Floats, high: Floats, pieces: int = 1) -> tuple[Floats, Floats]:
    """Gauss-Legendre nodes and weights on [low, high], (..., pieces · 16)."""
    nodes, weights = np.polynomial.legendre.leggauss(16)
    edges = low[..., None] + (high - low)[..., None] * np.linspace(0, 1, pieces + 1)
    middle, half = (edges[..., 1:] + edges[..., :-1]) / 2, (edges[..., 1:] - edges[..., :-1]) / 2
    at = middle[..., None] + half[..., None] * nodes
    weight = half[..., None] * weights
    shape = (*low.shape, -1)
    return at.reshape(shape), np.broadcast_to(weight, at.shape).reshape(shape)


def _one_more(cosine: Floats, n: int, bound: float, sides: int, later: Callable[[Floats], Floats]) -> Floats:
    """The chance to cross neither at n + 1 observations nor later, for each `cosine` after n.

    The further observation is tan φ times the length of those before, φ of density proportional to cos^(n - 1), and the
    new cosine is a · sin(φ + b) with tan b = √n · cosine: the range of φ is cut where it meets the bounds.

    Args:
        bound: angle of the boundary at n + 1; later: the chance to cross at no look after it, by the angle.
    """
    a = np.sqrt((n * cosine**2 + 1) / (n + 1))
    b = np.arctan(np.sqrt(n) * cosine)
    near, edge = _near(n - 1), np.sin(bound)
    meets = np.arcsin(np.clip(edge / a, -1.0, 1.0))
    cuts = [np.full_like(b, -near), meets - b, np.pi - meets - b, np.full_like(b, near)]
    if sides == 2:
        cuts += [-meets - b, meets - np.pi - b]
    edges = np.sort(np.clip(np.stack(cuts, -1), -near, near), axis=-1)
    at, weight = _rule(edges[:, :-1], edges[:, 1:], pieces=2)
    inside = a[:, None] * np.sin((edges[:, :-1] + edges[:, 1:]) / 2 + b[:, None])
    inside = (inside < edge) & ((sides == 1) | (inside > -edge))
    new = np.arcsin(np.clip(a[:, None, None] * np.sin(at + b[:, None, None]), -1, 1))
    value = np.cos(at) ** (n - 1) * later(new) * weight * inside[..., None]
    at, weight = _rule(np.array([-near]), np.array([near]), pieces=8)
    return value.sum((-2, -1)) / (np.cos(at) ** (n - 1) * weight).sum()


@lru_cache(maxsize=512)
def _nominal(alpha: float, first: int, most: int, sides: int) -> float:
    from scipy.optimize import brentq

    if first == most:
        return alpha
    # In logarithms: between the level itself and that divided among the looks.
    low, high = np.log(alpha / (2 * (most - first + 1))), np.log(alpha)
    root = brentq(lambda x: crossing(float(np.exp(x)), first, most, sides) - alpha, low, high, xtol=1e-3)
    return float(np.exp(root))


def chance_to_decide(
    differences: Sequence[float],
    users: Component | None,
    until: UntilDecided,
    level: float,
    margin: float | None = None,
    level_parity: float | None = None,
    draws: int = DRAWS,
) -> float:
    """The predictive probability that a comparison is decided, for a difference or for parity, by the seeds to come.

    Given what has been seen the further differences are drawn from their posterior under a flat prior (Spiegelhalter,
    Freedman & Blackburn 1986): σ² from its scaled inverse χ², the mean of all seeds given σ, then seed after seed, each
    look tested as the program tests it. The part of the users is the same at every look: no seed changes it.

    Args:
        differences: (S ≥ 2,) paired by seed, in the metric; users: their sampling variance that seeds share.
        level: nominal two-sided level of a look against no difference; level_parity: nominal one-sided, against the
            margin, which is in the metric.

    Returns:
        A share of `draws`, drawn with a fixed seed.
    """
    seen = np.asarray(differences, np.float64)
    n = len(seen)
    if n >= until.most:
        return 0.0
    rng = np.random.default_rng(n)
    sd = seen.std(ddof=1) * np.sqrt((n - 1) / rng.chisquare(n - 1, draws))
    mean = seen.mean() + sd / np.sqrt(n) * rng.normal(size=draws)
    future = mean[:, None] + sd[:, None] * rng.normal(size=(draws, until.most - n))
    count = np.arange(n + 1, until.most + 1, dtype=np.float64)
    total = seen.sum() + future.cumsum(1)
    square = (seen**2).sum() + (future**2).cumsum(1)
    at = total / count
    of_seeds = np.maximum(square - count * at**2, 0.0) / (count - 1) / count
    looks = count >= until.first
    decided = (np.abs(at) >= _half_widths(users, of_seeds, count - 1, level)) & looks
    if margin is not None and level_parity is not None:
        inside = np.abs(at) + _half_widths(users, of_seeds, count - 1, 2 * level_parity) <= margin
        decided |= inside & looks
    return float(decided.any(1).mean())


def _half_widths(users: Component | None, of_seeds: Floats, df: Floats, level: float) -> Floats:
    """`significance.half_width` of users and seeds for many variances of the seeds at once."""
    from scipy.special import stdtrit

    width = -stdtrit(df, level / 2) * np.sqrt(of_seeds)
    if users is None or users.variance == 0:
        return width
    both = of_seeds + users.variance
    inverse = of_seeds / both / df + (users.variance / both / users.df if users.df is not None else 0.0)
    together = -stdtrit(1 / np.maximum(inverse, 1e-12), level / 2) * np.sqrt(both)
    return np.maximum(np.maximum(width, together), users.quantile(level / 2) * users.variance**0.5)
