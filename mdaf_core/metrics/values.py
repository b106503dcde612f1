"""Metrics of one run on one split: exact, in float64, defined for ties. See docs/statistics.md for every definition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdaf_core.base.errors import StudioError

CALIBRATION_BINS = 15
ECE_BIAS = (
    "The calibration error is biased upward: of a perfectly calibrated model at a click rate of 5% it is about 0.03 on "
    "500 rows, 0.009 on 5,000 and 0.003 on 50,000."
)

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Codes = NDArray[np.integer]


class Undefined(StudioError):
    """The metric has no value on these rows. The reason is a sentence."""


class GroupedAUC(NamedTuple):
    """gAUC and the share of rows it covers (rows whose user has both labels)."""

    value: float
    coverage: float


@dataclass(frozen=True)
class Ranking:
    """Rows grouped by equal score, lowest first; G groups.

    Attributes:
        order: (N,) indices that sort the rows by score.
        start: (G,) first sorted position of each group.
        positives, negatives: (G,) int64 counts in each group.
    """

    order: NDArray[np.int64]
    start: NDArray[np.int64]
    positives: NDArray[np.int64]
    negatives: NDArray[np.int64]

    @property
    def sizes(self) -> NDArray[np.int64]:
        return self.positives + self.negatives

    @property
    def negatives_below(self) -> NDArray[np.int64]:
        return np.cumsum(self.negatives) - self.negatives

    @property
    def positives_above(self) -> NDArray[np.int64]:
        return self.positives.sum() - np.cumsum(self.positives)


def checked(label: ArrayLike, score: ArrayLike) -> tuple[Bools, Floats]:
    """Labels as booleans and scores as float64, both (N,).

    Raises:
        StudioError: lengths differ, a label is neither 0 nor 1, or a score is not finite.
    """
    y, s = np.asarray(label), np.asarray(score, np.float64)
    if y.ndim != 1 or y.shape != s.shape:
        raise StudioError(f"Labels and scores must be two equally long columns; got shapes {y.shape} and {s.shape}.")
    if y.dtype != np.bool_ and not np.isin(y, (0, 1)).all():
        raise StudioError("Labels must be 0 or 1.")
    bad = len(s) - int(np.isfinite(s).sum())
    if bad:
        raise StudioError(
            f"{bad:,} of {len(s):,} predictions are not finite: the training diverged. "
            "Look at the sizes of its numeric inputs, lower the learning rate or clip the gradient, then train again."
        )
    return y.astype(np.bool_), s


def both_labels(y: Bools) -> tuple[int, int]:
    """How many positives and negatives.

    Raises:
        Undefined: no rows, or one label only.
    """
    positives = int(y.sum())
    negatives = len(y) - positives
    if not len(y):
        raise Undefined("There are no rows.")
    if not positives or not negatives:
        raise Undefined(f"All {len(y):,} rows have label {int(positives > 0)}: it takes both labels to rank them.")
    return positives, negatives


def rank(y: Bools, s: Floats) -> Ranking:
    """Sort rows by score and group ties: O(n log n), the only sort that AUC, DeLong and the curves need."""
    order = np.argsort(s, kind="stable")
    sorted_score = s[order]
    start = np.flatnonzero(np.r_[True, sorted_score[1:] != sorted_score[:-1]])
    positives = np.add.reduceat(y[order].astype(np.int64), start)
    return Ranking(order, start, positives, np.diff(np.r_[start, len(s)]) - positives)


def auc(label: ArrayLike, score: ArrayLike) -> float:
    """Area under the ROC curve: P(score of a positive > score of a negative) + ½ P(equal), over all pairs.

    Exact (the pairs are counted in integers, one division at the end); O(n log n); ties count a half, so the value
    depends neither on the order of rows nor on a monotone transform of the scores.

    Args:
        label: (N,) 0 or 1.
        score: (N,) finite numbers; larger means more likely positive.

    Raises:
        Undefined: no rows, or one label only.
        StudioError: see `checked`.
    """
    y, s = checked(label, score)
    positives, negatives = both_labels(y)
    ranking = rank(y, s)
    twice = int(ranking.positives @ (2 * ranking.negatives_below + ranking.negatives))
    return twice / (2 * positives * negatives)


def placements(label: ArrayLike, score: ArrayLike) -> tuple[Floats, float]:
    """Placement values of DeLong et al. 1988 and the AUC, their mean.

    The placement of a positive is the share of negatives it beats, of a negative the share of positives that beat it;
    ties count a half.

    Returns:
        ((N,) placement of each row, AUC).

    Raises:
        Undefined: no rows, or one label only.
    """
    y, s = checked(label, score)
    positives, negatives = both_labels(y)
    ranking = rank(y, s)
    of_positive = (ranking.negatives_below + 0.5 * ranking.negatives) / negatives
    of_negative = (ranking.positives_above + 0.5 * ranking.positives) / positives
    value = np.empty(len(y))
    value[ranking.order] = np.where(
        y[ranking.order], np.repeat(of_positive, ranking.sizes), np.repeat(of_negative, ranking.sizes)
    )
    twice = int(ranking.positives @ (2 * ranking.negatives_below + ranking.negatives))
    return value, twice / (2 * positives * negatives)


def dense(group: ArrayLike) -> NDArray[np.int64]:
    """Codes 0…U−1 of arbitrary group labels."""
    return np.unique(np.asarray(group), return_inverse=True)[1].reshape(-1)


def clusters(user: ArrayLike) -> NDArray[np.int64] | None:
    """(N,) codes 0…U−1 of the rows' users; None where there is one alone: rows of data without users are stored so,
    and are taken as independent."""
    codes = dense(user)
    return codes if codes.any() else None


class PairsWithin(NamedTuple):
    """Pairs of a positive and a negative of the same user, U users in order of their code.

    Attributes:
        order: (N,) indices that sort the rows by user and score.
        twice: (U,) int64, twice the pairs that the positive wins; ties count a half.
        positives, negatives: (U,) int64 counts.
    """

    order: NDArray[np.int64]
    twice: NDArray[np.int64]
    positives: NDArray[np.int64]
    negatives: NDArray[np.int64]


def pairs_within(y: Bools, s: Floats, group: NDArray[Any]) -> PairsWithin:
    """Count the pairs within each user, (N ≥ 1,) rows; one sort by (user, score)."""
    order = np.lexsort((s, group))
    y, s, group = y[order], s[order], group[order]
    new_user = np.r_[True, group[1:] != group[:-1]]
    start = np.flatnonzero(new_user | np.r_[True, s[1:] != s[:-1]])  # groups of equal (user, score)
    positives = np.add.reduceat(y.astype(np.int64), start)
    negatives = np.diff(np.r_[start, len(y)]) - positives

    first = np.flatnonzero(new_user[start])  # first group of each user
    before = np.cumsum(negatives) - negatives
    below = before - np.repeat(before[first], np.diff(np.r_[first, len(start)]))
    twice = np.add.reduceat(positives * (2 * below + negatives), first)
    return PairsWithin(order, twice, np.add.reduceat(positives, first), np.add.reduceat(negatives, first))


def user_auc(label: ArrayLike, score: ArrayLike, user: ArrayLike) -> Floats:
    """(N,) the AUC within each row's user; NaN where the user has one label only. One sort by (user, score)."""
    y, s = checked(label, score)
    group = np.asarray(user)
    if group.shape != y.shape:
        raise StudioError(f"One user a row is needed; got {len(group):,} users for {len(y):,} rows.")
    if not len(y):
        return np.empty(0)
    within = pairs_within(y, s, group)
    pairs = within.positives * within.negatives
    value = np.divide(within.twice, 2 * pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
    out = np.empty(len(y))
    out[within.order] = np.repeat(value, within.positives + within.negatives)
    return out


def gauc(label: ArrayLike, score: ArrayLike, user: ArrayLike) -> GroupedAUC:
    """AUC within each user, averaged with the users' row counts as weights; users with one label are skipped.

    Other definitions in use weight by positives, or not at all, or count single-label users as 0.5; see
    docs/statistics.md.

    Args:
        label, score: as for `auc`.
        user: (N,) integers.

    Raises:
        Undefined: no user has both labels.
    """
    y, s = checked(label, score)
    both_labels(y)
    value = user_auc(y, s, user)
    covered = ~np.isnan(value)
    if not covered.any():
        raise Undefined("No user has rows of both labels, so nothing can be ranked within a user.")
    return GroupedAUC(float(value[covered].mean()), float(covered.mean()))


def sigmoid(logit: ArrayLike) -> Floats:
    """1 / (1 + e^−z) without overflow."""
    z = np.asarray(logit, np.float64)
    small = np.exp(-np.abs(z))
    return np.where(z >= 0, 1.0, small) / (1.0 + small)


def log_odds(probability: ArrayLike) -> Floats:
    """(N,) ln(p / (1 − p)), finite also where p is 0 or 1: as if those were 2⁻⁵⁴ from it, or half the smallest p."""
    p = np.asarray(probability, np.float64)
    edge = min(2.0**-54, float(p[p > 0].min(initial=1.0)) / 2)
    with np.errstate(divide="ignore"):
        z = np.log(p) - np.log1p(-p)
    return np.where(p == 0, np.log(edge), np.where(p == 1, 54 * np.log(2.0), z))


def row_loss(label: ArrayLike, logit: ArrayLike) -> Floats:
    """(N,) −ln p(label) in nats, from logits: ln(1 + e^∓z), stable for any size of logit."""
    y, z = checked(label, logit)
    return np.logaddexp(0.0, np.where(y, -z, z))


def log_loss(label: ArrayLike, logit: ArrayLike) -> float:
    """Mean of `row_loss`."""
    loss = row_loss(label, logit)
    if not len(loss):
        raise Undefined("There are no rows.")
    return float(loss.mean())


def normalised_entropy(label: ArrayLike, logit: ArrayLike) -> float:
    """Log loss / entropy of the base rate (He et al. 2014, "Practical Lessons…", section 2): 1 is no better than it.

    Raises:
        Undefined: one label only (the base rate has no entropy).
    """
    y, _ = checked(label, logit)
    positives, negatives = both_labels(y)
    p = positives / (positives + negatives)
    return log_loss(y, logit) / -(p * np.log(p) + (1 - p) * np.log1p(-p))


def brier(label: ArrayLike, logit: ArrayLike) -> float:
    """Mean squared difference between probability and label (Brier 1950)."""
    y, z = checked(label, logit)
    if not len(y):
        raise Undefined("There are no rows.")
    return float(np.mean((sigmoid(z) - y) ** 2))


def mass_bins(probability: Floats, bins: int = CALIBRATION_BINS) -> NDArray[np.int64]:
    """(N,) bin of each row: `bins` bins of equal mass by probability; equal probabilities share a bin."""
    inner = np.sort(probability)[len(probability) * np.arange(1, bins) // bins]
    return np.searchsorted(inner, probability, side="right")


def ece(label: ArrayLike, logit: ArrayLike, bins: int = CALIBRATION_BINS) -> float:
    """Expected calibration error: Σ share of rows · |mean probability − positive rate| over bins of equal mass.

    Equal-mass bins as in Nguyen & O'Connor 2015; at click rates of a few percent, equal-width bins would put nearly
    all rows into one.
    """
    y, z = checked(label, logit)
    if not len(y):
        raise Undefined("There are no rows.")
    p = sigmoid(z)
    index = mass_bins(p, bins)
    gap = np.bincount(index, weights=p - y, minlength=bins)
    return float(np.abs(gap).sum() / len(y))


def pr_auc(label: ArrayLike, score: ArrayLike) -> float:
    """Average precision: Σ (recall step) · precision over distinct scores, without interpolation.

    Raises:
        Undefined: no rows, or one label only.
    """
    y, s = checked(label, score)
    both_labels(y)
    order = np.argsort(-s, kind="stable")
    return precision_recall(y[order], s[order])


def precision_recall(y: Bools, s: Floats) -> float:
    """Average precision of rows sorted by score, highest first."""
    last = np.flatnonzero(np.r_[s[1:] != s[:-1], True])  # of each group of equal scores
    hits = np.cumsum(y)[last]
    return float((np.diff(hits, prepend=0) * hits / (last + 1)).sum() / hits[-1])
