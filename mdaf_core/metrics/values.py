"""What metrics are computed from: labels, scores and users of rows, checked, ranked and grouped."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdaf_core.base.errors import StudioError

NO_USER = "The rows of this data set have no user."

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Codes = NDArray[np.integer]


class Undefined(StudioError):
    """The metric has no value on these rows. The reason is a sentence."""


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


@dataclass(frozen=True)
class Scored:
    """N rows with their labels and what a model says of them.

    Attributes:
        label: (N,) bool.
        logit: (N,) float64, finite log-odds.
        user: (N,) codes of the rows' users, or None: rows have no users.
        unit: (N,) codes 0…K−1, each present, of what may be left out, for sampling errors; None: each row.
    """

    label: Bools
    logit: Floats
    user: Codes | None = None
    unit: Codes | None = None

    @classmethod
    def of(cls, label: ArrayLike, logit: ArrayLike, user: ArrayLike | None = None, unit: Codes | None = None) -> Scored:
        """Columns of one length; `user`: any integers.

        Raises:
            StudioError: see `checked`; or not one user a row.
        """
        y, z = checked(label, logit)
        code = None if user is None else dense(user)
        if code is not None and code.shape != y.shape:
            raise StudioError(f"One user a row is needed; got {len(code):,} users for {len(y):,} rows.")
        return cls(y, z, code, unit)

    @property
    def probability(self) -> Floats:
        """(N,)."""
        return sigmoid(self.logit)

    @property
    def units(self) -> Codes:
        """(N,) codes of what is left out, rows being units of their own where there are no others."""
        return np.arange(len(self.label)) if self.unit is None else self.unit

    def where(self, keep: Bools) -> Scored:
        """The rows of a mask, (N,)."""
        user = None if self.user is None else self.user[keep]
        return replace(self, label=self.label[keep], logit=self.logit[keep], user=user, unit=None)
