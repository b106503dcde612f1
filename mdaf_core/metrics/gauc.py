"""AUC within each user, averaged over users."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mdaf_core.base.errors import StudioError
from mdaf_core.metrics.jackknife import errors, mean_errors
from mdaf_core.metrics.metric import Metric
from mdaf_core.metrics.values import (
    NO_USER,
    Bools,
    Codes,
    Floats,
    Scored,
    Undefined,
    both_labels,
    checked,
    pairs_within,
)


class GroupedAUC(NamedTuple):
    """gAUC and the share of rows it covers (rows whose user has both labels)."""

    value: float
    coverage: float


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


def _value(rows: Scored) -> float:
    if rows.user is None:
        raise Undefined(NO_USER)
    return gauc(rows.label, rows.logit, rows.user).value


def _errors(rows: Scored) -> Floats:
    if rows.user is None:
        raise Undefined(NO_USER)
    if rows.unit is None or np.array_equal(rows.unit, rows.user):  # a user takes their whole AUC with them
        return mean_errors(user_auc(rows.label, rows.logit, rows.user), rows.user)
    return errors(unit_changes(rows.label, rows.logit, rows.user, rows.unit))


def unit_changes(y: Bools, s: Floats, user: Codes, unit: Codes) -> Floats:
    """(K,) changes of gAUC without each unit that is no user (an item, a pair of both), exact.

    Without the rows that unit k has of user u, who wins Tᵤ of mᵤnᵤ pairs, R pairs are lost that these rows' positives
    win, C that are won against their negatives, and w within them was counted twice, as in `auc.auc_errors`:

        AUC_u₋ₖ = (Tᵤ − R − C + w) / ((mᵤ − m)(nᵤ − n))

    Raises:
        Undefined: without one of the units no user has both labels.
    """
    cell, first, of_cell = np.unique(user * (int(unit.max()) + 1) + unit, return_index=True, return_inverse=True)
    owner, taken = user[first], unit[first]  # (C,) of each cell, the rows of one user and one unit
    whole, within = pairs_within(y, s, user), pairs_within(y, s, of_cell)
    won = np.bincount(of_cell, weights=_twice_won(y, s, user), minlength=len(cell))
    m, n = within.positives, within.negatives
    left = (whole.positives[owner] - m, whole.negatives[owner] - n)
    twice = whole.twice[owner] - won + within.twice

    def weighted(twice: Any, positives: Any, negatives: Any) -> tuple[Floats, Floats]:
        """Rows of those with both labels, and rows times AUC."""
        pairs = positives * negatives
        rows = np.where(pairs > 0, positives + negatives, 0).astype(np.float64)
        return rows, rows * twice / np.maximum(2 * pairs, 1)

    rows, sums = weighted(whole.twice, whole.positives, whole.negatives)
    kept_rows, kept_sums = weighted(twice, *left)
    units = int(unit.max()) + 1
    rows_left = rows.sum() + np.bincount(taken, weights=kept_rows - rows[owner], minlength=units)
    sums_left = sums.sum() + np.bincount(taken, weights=kept_sums - sums[owner], minlength=units)
    if not (rows_left > 0).all():
        raise Undefined("Without one of the units no user has rows of both labels.")
    return sums_left / rows_left - sums.sum() / rows.sum()


def _twice_won(y: Bools, s: Floats, user: Codes) -> Floats:
    """(N,) twice the pairs within its user that each row wins (a positive) or loses (a negative); ties a half."""
    order = np.lexsort((s, user))
    hit, owner, score = y[order].astype(np.int64), user[order], s[order]
    start = np.flatnonzero(np.r_[True, (owner[1:] != owner[:-1]) | (score[1:] != score[:-1])])
    size = np.diff(np.r_[start, len(hit)])
    positives = np.add.reduceat(hit, start)
    negatives = size - positives
    begins = np.flatnonzero(np.r_[True, owner[start][1:] != owner[start][:-1]])  # first group of each user
    groups = np.diff(np.r_[begins, len(start)])

    def before(count: Any) -> Any:
        """Of each group: how many of its user lie in groups of a lower score."""
        total = np.cumsum(count) - count
        return total - np.repeat(total[begins], groups)

    above = np.repeat(np.add.reduceat(positives, begins), groups) - before(positives) - positives
    out = np.empty(len(y))
    of_positive, of_negative = 2 * before(negatives) + negatives, 2 * above + positives
    out[order] = np.where(hit == 1, np.repeat(of_positive, size), np.repeat(of_negative, size))
    return out


METRIC = Metric(
    "gauc",
    "gAUC",
    1,
    value=_value,
    errors=_errors,
    definition="Σ_u N_u AUC_u / Σ_u N_u over users with both labels",
    undefined="no such user",
    gain=lambda value, base_rate: value - 0.5,
    gain_words="gAUC − 0.5",
    in_bp=True,
    hint="gAUC: AUC of each user with both labels, weighted by rows.",
    place=2,
    in_results=True,
)
