"""Tests and intervals for differences. What each covers is part of its result; docs/statistics.md has the definitions.

Differences are in AUC (not basis points) here; margins that people set are in basis points (bp, 1e-4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, Field

from mdaf_core.base.errors import StudioError
from mdaf_core.metrics.auc import auc_errors, placements
from mdaf_core.metrics.jackknife import degrees_of_freedom, units_of_rarer_label
from mdaf_core.metrics.values import Floats, Undefined, checked, dense

LEVEL = 0.95
BP = 1e-4

Verdict = Literal[
    "better", "worse", "parity", "not shown", "interim", "one seed: no variance known", "reference", "not comparable"
]
ONE_SEED: Verdict = "one seed: no variance known"


class Component(BaseModel):
    """One source of variance of an estimate: its squared standard error and the degrees of freedom behind it."""

    name: Literal["rows", "users", "users and items", "seeds", "data sets", "all"]
    variance: float
    df: float | None = Field(None, description="None: many; the normal distribution.")

    def quantile(self, tail: float) -> float:
        """Standard errors that leave `tail` on one side."""
        from scipy.special import ndtri, stdtrit

        return -float(ndtri(tail) if self.df is None else stdtrit(self.df, tail))

    def tail(self, errors: float) -> float:
        """What lies beyond so many standard errors on one side."""
        from scipy.special import ndtr, stdtr

        return float(ndtr(-errors) if self.df is None else stdtr(self.df, -errors))


class Estimate(BaseModel):
    """A figure with its two-sided interval."""

    estimate: float
    se: float
    low: float
    high: float
    covers: str = Field(description="What varies from sample to sample in this interval.")
    level: float = LEVEL
    components: list[Component] = []

    @property
    def of_both_sources(self) -> bool:
        """Whether the interval covers other seeds and other rows or users at once: what a reader takes ± for."""
        return len({c.name for c in self.components}) > 1

    @property
    def covers_seeds(self) -> bool:
        """Whether other seeds are among what the interval covers."""
        return any(c.name == "seeds" for c in self.components)


class Difference(Estimate):
    """An estimated difference with its two-sided interval and test against zero."""

    p: float | None = Field(description="Two-sided; None where the standard error is 0 and the estimate is not.")
    method: str


class PairedTest(Difference):
    """Two scores of the same rows: AUC of `a` minus AUC of `b`."""

    auc_a: float
    auc_b: float
    rows: int


class SeedSummary(BaseModel):
    """Mean of one configuration over seeds. With one seed there is no spread, and the sentence says so."""

    n: int
    mean: float
    sd: float | None = None
    low: float | None = None
    high: float | None = None
    note: str = ""


class Equivalence(BaseModel):
    """Two one-sided tests (Schuirmann 1987): is the difference inside ± the margin?"""

    margin: float
    p: float
    low: float = Field(description="Interval of level 1 - 2 alpha; parity is shown when it lies inside the margin.")
    high: float


# --- one estimate whose variance has one or more sources -------------------------------------------------------------


def whole(components: Sequence[Component]) -> Component:
    """All sources as one: 1/df is the mean of theirs, weighted by variance."""
    variance = sum(c.variance for c in components)
    inverse = sum(c.variance / variance / c.df for c in components if c.df is not None) if variance > 0 else 0.0
    return Component(name="all", variance=variance, df=1 / inverse if inverse > 0 else None)


def half_width(components: Sequence[Component], alpha: float) -> float:
    """Half the width of the two-sided 1 − alpha interval of an estimate: the widest of Student's from each source alone
    and from all of them.

    With one source it is Student's t. With two, a further source of variance cannot make the interval narrower than it
    is without it, as Welch-Satterthwaite's is where few seeds happen to agree; docs/statistics.md has the levels.
    """
    return max(c.quantile(alpha / 2) * c.variance**0.5 for c in (*components, whole(components)))


def two_sided_p(distance: float, components: Sequence[Component]) -> float | None:
    """The smallest alpha whose interval excludes a value `distance` away; None: a distance, but no variance."""
    live = [c for c in components if c.variance > 0]
    if distance == 0:
        return 1.0
    if not live:
        return None
    return max(2 * c.tail(abs(distance) / c.variance**0.5) for c in (*live, whole(live)))


def interval(value: float, components: list[Component], covers: str, level: float = LEVEL) -> Estimate:
    """The interval of an estimate from its sources of variance."""
    width = half_width(components, 1 - level)
    se = float(np.sqrt(sum(c.variance for c in components)))
    return Estimate(
        estimate=value, se=se, low=value - width, high=value + width, covers=covers, level=level, components=components
    )


def difference(
    estimate: float, components: list[Component], covers: str, method: str, level: float = LEVEL
) -> Difference:
    """Interval and test of a difference from its sources of variance."""
    found = interval(estimate, components, covers, level)
    return Difference(**found.model_dump(), p=two_sided_p(estimate, components), method=method)


def equivalence(test: Difference, margin_bp: float) -> Equivalence:
    """TOST against ± `margin_bp`: p is the larger of the two one-sided p values, from the same variance as `test`."""
    if not margin_bp > 0:
        raise StudioError(f"The margin of an equivalence test must be above 0 bp; got {margin_bp:g}.")
    margin = margin_bp * BP

    def one_sided(distance: float) -> float:  # P of a shift this far above the margin's edge by chance
        p = two_sided_p(distance, test.components)
        if p is None:
            return 0.0 if distance > 0 else 1.0
        return p / 2 if distance > 0 else 1 - p / 2

    width = half_width(test.components, 2 * (1 - test.level))
    return Equivalence(
        margin=margin,
        p=max(one_sided(test.estimate + margin), one_sided(margin - test.estimate)),
        low=test.estimate - width,
        high=test.estimate + width,
    )


# --- models on the same rows ---------------------------------------------------------------------------------------


Sampled = Literal["rows", "users"]


def sampling_component(error: Floats, what: Sampled, units: int) -> Component:
    """Variance over rows or users of an estimate with these sampling errors, (K,); see `jackknife`.

    Args:
        units: users (rows) with the label that fewer of them have.
    """
    return Component(name=what, variance=float(error @ error), df=degrees_of_freedom(error, units))


@dataclass(frozen=True)
class AUCs:
    """AUCs of M models on the same rows, how they vary together, and the test of any two of them; see `delong`.

    Attributes:
        aucs: (M,).
        errors: (M, K), what each of K users (rows, without users) adds to the sampling error of each AUC.
        rows: how many; units: users (rows) with the label that fewer of them have; what: users or rows.
    """

    aucs: Floats
    errors: Floats = field(repr=False)
    rows: int
    units: int
    what: Sampled

    @property
    def covariance(self) -> Floats:
        """(M, M), of the AUCs over samples of users, or of rows."""
        return self.errors @ self.errors.T

    def difference(self, i: int, j: int, level: float = LEVEL) -> PairedTest:
        """AUC of model `i` minus AUC of model `j`: estimate, standard error, interval and two-sided p value.

        The variance is c_ii + c_jj − 2 c_ij, formed from the differences of errors: two models that rank nearly
        alike lose no digits to cancellation.
        """
        component = sampling_component(self.errors[i] - self.errors[j], self.what, self.units)
        if self.what == "rows":
            component = component.model_copy(update={"df": None})  # DeLong's own
        test = difference(
            float(self.aucs[i] - self.aucs[j]),
            [component],
            covers=f"other {self.what} from the same population, with these two trained models",
            method="DeLong" if self.what == "rows" else "jackknife over users",
            level=level,
        )
        return PairedTest(**test.model_dump(), auc_a=float(self.aucs[i]), auc_b=float(self.aucs[j]), rows=self.rows)


def delong(labels: ArrayLike, scores: ArrayLike, users: ArrayLike | None = None) -> AUCs:
    """AUCs of M models on the same rows with their covariance, in O(M n log n).

    Args:
        labels: (N,) 0 or 1.
        scores: (M, N) scores of each model; (N,) for one.
        users: (N,) rows of one user may depend on each other, and the covariance is the jackknife's that leaves out
            one user at a time, see `auc.auc_errors`; None: rows are independent, and it is that of DeLong et al.
            1988, as computed by Sun & Xu 2014.

    Raises:
        Undefined: one label only, or fewer than two rows (users) of a label.
        StudioError: shapes do not fit together, a label is neither 0 nor 1, or a score is not finite.
    """
    rows = np.atleast_2d(np.asarray(scores, np.float64))
    if rows.ndim != 2 or not len(rows):
        raise StudioError(f"Scores must be (models, rows), at least one model; got shape {np.shape(scores)}.")
    label = checked(labels, rows[0])[0]
    cluster = None if users is None else dense(users)
    if cluster is not None and cluster.shape != label.shape:
        raise StudioError(f"One user a row is needed; got {len(cluster):,} users for {len(label):,} rows.")
    found = [auc_errors(*checked(label, row), cluster) for row in rows]
    return AUCs(
        aucs=np.array([area for area, _ in found]),
        errors=np.stack([error for _, error in found]),
        rows=len(label),
        units=units_of_rarer_label(label, cluster),
        what="rows" if cluster is None else "users",
    )


def paired_auc(
    label: ArrayLike, a: ArrayLike, b: ArrayLike, user: ArrayLike | None = None, level: float = LEVEL
) -> PairedTest:
    """Difference of two AUCs of the same rows, `delong` for two models.

    Args:
        label: (N,) 0 or 1.
        a, b: (N,) scores of the two models.
        user: (N,), or None where rows are independent.

    Raises:
        Undefined: one label only, or fewer than two rows (users) of a label.
    """
    if np.shape(a) != np.shape(b):
        raise StudioError(f"Both models must score the same rows; got {np.size(a):,} and {np.size(b):,} scores.")
    return delong(label, np.stack([np.asarray(a, np.float64), np.asarray(b, np.float64)]), user).difference(0, 1, level)


def bootstrap_auc(
    label: ArrayLike,
    a: ArrayLike,
    b: ArrayLike,
    user: ArrayLike,
    replicates: int = 1000,
    seed: int = 0,
    level: float = LEVEL,
) -> PairedTest:
    """The same difference by resampling users with replacement; percentile interval.

    Each replicate draws as many users as there are and weighs every row by how often its user was drawn; scores are
    sorted once. The p value is twice the smaller share of replicates on one side of 0 (at least 1 / replicates).

    Raises:
        Undefined: fewer than two users, or too few of a label for most resamples to hold both.
    """
    from mdaf_core.analysis.bootstrap import draw_users, weighted_aucs

    y, score_a = checked(label, a)
    _, score_b = checked(label, b)
    cluster = dense(user)
    users = int(cluster.max()) + 1 if len(cluster) else 0
    if users < 2:
        raise Undefined("Resampling users takes at least two users.")
    _, auc_a = placements(y, score_a)
    _, auc_b = placements(y, score_b)
    rng = np.random.default_rng(seed)
    evaluate_a, evaluate_b = weighted_aucs(y, score_a, cluster), weighted_aucs(y, score_b, cluster)
    resamples: list[NDArray[np.float64]] = []
    while sum(map(len, resamples)) < replicates:
        drawn = draw_users(rng, users)
        resamples.append(evaluate_a(drawn) - evaluate_b(drawn))
    found = np.concatenate(resamples)[:replicates]
    valid = found[~np.isnan(found)]
    if len(valid) < 0.9 * replicates:
        raise Undefined("Too few users have a label of each kind: most resamples hold one label only.")
    low, high = np.quantile(valid, [(1 - level) / 2, (1 + level) / 2])
    if auc_a == auc_b and not valid.any():
        p = 1.0
    else:
        p = min(1.0, max(2 * min((valid <= 0).mean(), (valid >= 0).mean()), 1 / len(valid)))
    return PairedTest(
        estimate=auc_a - auc_b,
        se=float(valid.std(ddof=1)),
        low=float(low),
        high=float(high),
        p=float(p),
        covers="other users from the same population, with these two trained models",
        method=f"bootstrap over users ({replicates:,} replicates, seed {seed})",
        level=level,
        auc_a=auc_a,
        auc_b=auc_b,
        rows=len(y),
    )


# --- over seeds ------------------------------------------------------------------------------------------------------


def seed_summary(values: Sequence[float], level: float = LEVEL) -> SeedSummary:
    """Mean, standard deviation (n − 1) and t interval of the mean over seeds.

    Raises:
        Undefined: no values.
    """
    x = np.asarray(values, np.float64)
    if not len(x):
        raise Undefined("No seed has finished.")
    if len(x) == 1:
        return SeedSummary(n=1, mean=float(x[0]), note=ONE_SEED)
    component = seed_component(x)
    width = half_width([component], 1 - level)
    mean = float(x.mean())
    return SeedSummary(
        n=len(x), mean=mean, sd=float(x.std(ddof=1)), low=mean - width, high=mean + width, note=few_seeds(len(x))
    )


def seed_component(values: ArrayLike) -> Component:
    """Variance of a mean over seeds, n − 1 degrees of freedom. `values`: (n ≥ 2,) metrics, or paired differences."""
    x = np.asarray(values, np.float64)
    return Component(name="seeds", variance=float(x.var(ddof=1) / len(x)), df=len(x) - 1)


def shared_by_seeds(covariance: NDArray[np.float64]) -> float:
    """Variance over rows that further seeds do not average out: the mean covariance of two different seeds.

    The variance of the mean over S seeds is that of rows, of seeds, and of their interaction / S. The spread over seeds
    on given rows holds the last two; adding the whole variance over rows would count the interaction twice. What two
    seeds share is free of it, as in the analysis of several readers of the same cases (Obuchowski & Rockette 1995).

    Args:
        covariance: (S ≥ 2, S) over rows or users of the S seeds' estimates.
    """
    seeds = len(covariance)
    return max(0.0, float(covariance.sum() - np.trace(covariance)) / (seeds * (seeds - 1)))


def few_seeds(n: int) -> str:
    """What to know about an interval from so few seeds."""
    from scipy.special import stdtrit

    if n == 1:
        return ONE_SEED
    if n > 4:
        return ""
    t = -float(stdtrit(n - 1, (1 - LEVEL) / 2))
    return f"{n} seeds: an interval takes {t:.1f} of their standard errors to each side (1.96 with many), so it is wide"


def noise_floor(groups: Sequence[Sequence[float]]) -> float | None:
    """Pooled standard deviation over seeds within configurations; None where no configuration has two seeds."""
    arrays = [np.asarray(g, np.float64) for g in groups if len(g) > 1]
    if not arrays:
        return None
    squares = sum(float(((x - x.mean()) ** 2).sum()) for x in arrays)
    return float(np.sqrt(squares / sum(len(x) - 1 for x in arrays)))


# --- many comparisons, and the words ---------------------------------------------------------------------------------


def holm(p: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down adjustment (1979) over the comparisons that have a p value; None stays None."""
    known = [i for i, value in enumerate(p) if value is not None]
    out: list[float | None] = [None] * len(p)
    largest = 0.0
    for step, i in enumerate(sorted(known, key=lambda j: p[j])):  # type: ignore[arg-type, return-value]
        largest = max(largest, min(1.0, (len(known) - step) * p[i]))  # type: ignore[operator]
        out[i] = largest
    return out


def intervals_as_they_are(tests: int) -> str:
    """The clause that stands wherever intervals stand beside p values adjusted over several comparisons, or beside
    words that follow from these; empty for one comparison, whose p value is not changed.

    An interval of one comparison keeps its meaning, 95% for this difference; Holm's method gives no intervals that
    agree with its p values in every case. So an interval can exclude 0 where the adjusted p value shows nothing.
    """
    return "intervals are not adjusted for the number of comparisons" if tests > 1 else ""


def verdict(
    improvement: float, p: float | None, p_equivalence: float | None, seeds: int, alpha: float = 1 - LEVEL
) -> Verdict:
    """The word for a comparison: from these tests and from nothing else.

    Args:
        improvement: the difference, signed so that above 0 is better.
        p: two-sided p against no difference, adjusted.
        p_equivalence: TOST p, adjusted.
        seeds: seeds the two configurations share.
    """
    if seeds < 2:
        return ONE_SEED
    if p is not None and p < alpha:
        return "better" if improvement > 0 else "worse"
    if p_equivalence is not None and p_equivalence < alpha:
        return "parity"
    return "not shown"
