"""How a metric would vary over other users: each user left out in turn. docs/statistics.md has the formulas.

Every metric gives one vector of sampling errors, a number a user (a row, where rows have no users). The variance of
the metric is the sum of their squares, the covariance of two metrics of the same rows their dot product, and the errors
of a difference are the difference of the errors.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdaf_core.base.errors import StudioError
from mdaf_core.metrics.values import (
    Bools,
    Codes,
    Floats,
    Undefined,
    both_labels,
    checked,
    clusters,
    mass_bins,
    pairs_within,
    placements,
    precision_recall,
    rank,
    row_loss,
    sigmoid,
    user_auc,
)

METRICS = ("auc", "gauc", "logloss", "brier", "normalised_entropy", "pr_auc", "ece")
TOO_FEW = "A standard error takes at least two rows, of two users."
ONE_USERS_LABEL = "A standard error over users takes two users with rows of each label."
EXACT_ROWS = 20_000_000  # rows that average precision is recomputed on, all users left out taken together


def sampling_errors(metric: str, label: ArrayLike, logit: ArrayLike, cluster: Codes | None) -> Floats:
    """(K,) sampling errors of a metric, one a user, from the jackknife that leaves out one user at a time.

    With θ₋ᵤ the metric of the rows of all users but u: e_u = √((K−1)/K) · (θ₋ᵤ − their mean), so that Σ e_u² is the
    jackknife's variance (Efron & Stein 1981). Exact for every metric but PR-AUC, see `pr_auc_changes`; ECE keeps its
    bins. Without users each row is a unit of its own, and the AUC has DeLong's errors.

    Args:
        metric: one of `METRICS`.
        label, logit: (N,).
        cluster: (N,) codes 0…K−1 of the rows' users, each present, or None.

    Raises:
        Undefined: the metric is, or it is so without one of the users.
    """
    y, z = checked(label, logit)
    if metric == "auc":
        return auc_errors(y, z, cluster)[1]
    unit = np.arange(len(y)) if cluster is None else cluster
    if metric == "gauc":
        if cluster is None:
            raise Undefined("The rows of this data set have no user.")
        value = user_auc(y, z, cluster)
        return mean_errors(value, cluster)
    if metric == "logloss":
        return mean_errors(row_loss(y, z), cluster)
    if metric == "brier":
        return mean_errors((sigmoid(z) - y) ** 2, cluster)
    if metric == "normalised_entropy":
        return errors(entropy_changes(y, row_loss(y, z), unit))
    if metric == "pr_auc":
        return errors(pr_auc_changes(y, z, unit))
    if metric == "ece":
        return errors(ece_changes(y, z, unit))
    raise StudioError(f"There is no sampling error of {metric!r}. Known: {', '.join(METRICS)}.")


def errors(change: Floats, taking_part: Bools | None = None) -> Floats:
    """Sampling errors from what leaving out each unit changes.

    Args:
        change: (K,) metric without the unit minus the metric of all.
        taking_part: (K,) units that the metric is of, or None: all. The errors of others are 0.

    Raises:
        Undefined: fewer than two units.
    """
    units = len(change) if taking_part is None else int(taking_part.sum())
    if units < 2:
        raise Undefined(TOO_FEW)
    if taking_part is None:
        return np.sqrt((units - 1) / units) * (change - change.mean())
    out = np.zeros(len(change))
    out[taking_part] = errors(change[taking_part])
    return out


def degrees_of_freedom(error: Floats, units: int) -> float:
    """Behind a variance Σ e²: those of Satterthwaite (1946), 3 (Σ e²)² / Σ e⁴, at least 1, at most `units` − 1.

    For normal errors of users of variances σᵤ² they are 2 (Σ σᵤ²)² / Var(Σ e²), e⁴ standing for 3 σᵤ⁴: about as many as
    there are users where all are alike, few where few users make up the variance.
    docs/statistics.md says how it was chosen.

    Args:
        units: users with the label that fewer of them have; see `units_of_rarer_label`.
    """
    square = error**2
    fourth = float(square @ square)
    effective = 3 * float(square.sum()) ** 2 / fourth if fourth > 0 else float("inf")
    return max(1.0, min(effective, units - 1.0))


def units_of_rarer_label(label: Bools, cluster: Codes | None = None) -> int:
    """Users (rows, without users) that have the label that fewer of them have."""
    if cluster is None:
        return int(min(label.sum(), (~label).sum()))
    return min(len(np.unique(cluster[mask])) for mask in (label, ~label))


# --- AUC -------------------------------------------------------------------------------------------------------------


def auc_errors(y: Bools, s: Floats, cluster: Codes | None) -> tuple[float, Floats]:
    """AUC and its sampling errors: (K,) over users by the exact jackknife, (N,) over rows by DeLong et al. 1988.

    Without user u, who has mᵤ of the m positives and nᵤ of the n negatives: T pairs are won in all, of them Rᵤ by u's
    positives (against all negatives), Cᵤ against u's negatives (by all positives) and wᵤ within u, so

        AUC₋ᵤ = (T − Rᵤ − Cᵤ + wᵤ) / ((m − mᵤ)(n − nᵤ))

    R and C are sums of placements, w takes one sort by user and score.

    Raises:
        Undefined: one label only, fewer than two rows of a label, or all rows of a label are one user's.
    """
    value, area = placements(y, s)
    wins = None if cluster is None else pairs_within(y, s, cluster).twice / 2
    return area, placement_errors(y, area, value, wins, cluster)


def placement_errors(y: Bools, area: float, value: Floats, wins: Floats | None, cluster: Codes | None) -> Floats:
    """`auc_errors` from what of the scores enters them, linearly: so also of the mean of several AUCs.

    Args:
        area: the AUC; value: (N,) placements; wins: (K,) pairs won within each user, ties a half (None: no users).

    Raises:
        Undefined: as `auc_errors`.
    """
    positives, negatives = both_labels(y)
    if min(positives, negatives) < 2:
        raise Undefined("A standard error takes two rows of each label.")
    if cluster is None or wins is None:
        scale = np.where(y, positives * (positives - 1.0), negatives * (negatives - 1.0))
        return (value - area) / np.sqrt(scale)
    m, n = (np.bincount(cluster, weights=mask).astype(np.int64) for mask in (y, ~y))
    if m.max() == positives or n.max() == negatives:
        raise Undefined(ONE_USERS_LABEL)
    of_users = np.bincount(cluster, weights=value * np.where(y, negatives, positives))
    left_out = wins - of_users + area * (m * float(negatives) + n * float(positives) - m * n)
    return errors(left_out / ((positives - m) * (negatives - n.astype(np.float64))))


# --- means and their ratios ------------------------------------------------------------------------------------------


def mean_errors(value: Floats, cluster: Codes | None) -> Floats:
    """Sampling errors of the mean of `value`, (N,), over the rows that have one (not NaN).

    Raises:
        Undefined: fewer than two users (rows) with a value.
    """
    unit = np.arange(len(value)) if cluster is None else cluster
    covered = ~np.isnan(value)
    units = int(unit.max(initial=-1)) + 1
    count = np.bincount(unit[covered], minlength=units)
    present = count > 0
    if present.sum() < 2:
        raise Undefined(TOO_FEW)
    rows = int(count.sum())
    residual = np.bincount(unit[covered], weights=value[covered] - value[covered].mean(), minlength=units)
    return errors(-residual / (rows - count), present)


def entropy_changes(y: Bools, loss: Floats, unit: Codes) -> Floats:
    """(K,) changes of the normalised entropy, mean `loss` / entropy of the base rate, without each unit.

    Raises:
        Undefined: one label only, or without one of the units.
    """
    positives, negatives = both_labels(y)
    rows, m = np.bincount(unit), np.bincount(unit, weights=y)
    left, hit = len(y) - rows, positives - m
    if len(rows) < 2 or (hit <= 0).any() or (left - hit <= 0).any():
        raise Undefined(ONE_USERS_LABEL)

    def entropy(p: Any) -> Any:
        return -(p * np.log(p) + (1 - p) * np.log1p(-p))

    whole = loss.mean() / entropy(positives / (positives + negatives))
    return (loss.sum() - np.bincount(unit, weights=loss)) / left / entropy(hit / left) - whole


def ece_changes(y: Bools, z: Floats, unit: Codes) -> Floats:
    """(K,) changes of the expected calibration error without each unit, the bins being those of all rows."""
    p = sigmoid(z)
    index = mass_bins(p)
    rows = np.bincount(unit)
    if len(rows) < 2:
        raise Undefined(TOO_FEW)
    gap = np.bincount(index, weights=p - y)
    left = np.zeros(len(rows))
    for b in np.flatnonzero(np.bincount(index)):
        mine = index == b
        left += np.abs(gap[b] - np.bincount(unit[mine], weights=(p - y)[mine], minlength=len(rows)))
    return left / (len(y) - rows) - np.abs(gap).sum() / len(y)


# --- average precision -----------------------------------------------------------------------------------------------


def pr_auc_changes(y: Bools, s: Floats, unit: Codes) -> Floats:
    """(K,) changes of the average precision without each unit: recomputed for those with most rows, linear for others.

    Recomputing takes a pass over all rows for each unit, and is done for as many units as `EXACT_ROWS` allow. For the
    others, each with a small share of the rows, the influence function stands in (the infinitesimal jackknife, Efron
    1982), over the share of rows that are left.

    Raises:
        Undefined: one label only, or all rows of a label are one unit's.
    """
    positives, negatives = both_labels(y)
    rows, hits = np.bincount(unit), np.bincount(unit, weights=y)
    if hits.max() == positives or (rows - hits).max() == negatives:
        raise Undefined(ONE_USERS_LABEL)
    change = -np.bincount(unit, weights=pr_auc_influence(y, s)) / (1 - rows / len(y))
    many = np.argsort(-rows, kind="stable")[: EXACT_ROWS // len(y)]
    order = np.argsort(-s, kind="stable")
    hit, owner, score = y[order], unit[order], s[order]
    whole = precision_recall(hit, score)
    for u in many[rows[many] > 1] if len(rows) == len(y) else many:
        keep = owner != u
        change[u] = precision_recall(hit[keep], score[keep]) - whole
    return change


def pr_auc_influence(y: Bools, s: Floats) -> Floats:
    """(N,) derivatives of the average precision by the rows' weights.

    With P the precision and R the rows at or above a score, row k has Σ over positives i at or below it of
    (y_k − P_i) / R_i, and P_k − AP where it is positive itself, divided by the number of positives.
    """
    positives, _ = both_labels(y)
    ranking = rank(y, s)
    hit, shown = ranking.positives[::-1], np.cumsum(ranking.sizes[::-1])
    precision = np.cumsum(hit) / shown
    area = float((hit * precision).sum() / positives)
    below, precise_below = (np.cumsum((hit * x / shown)[::-1]) for x in (np.ones(len(hit)), precision))
    of_positive, of_any = precision[::-1] - area + below, precise_below  # by group, lowest score first
    out = np.empty(len(y))
    out[ranking.order] = y[ranking.order] * np.repeat(of_positive, ranking.sizes) - np.repeat(of_any, ranking.sizes)
    return out / positives


def auc_se(label: ArrayLike, score: ArrayLike, user: NDArray | ArrayLike | None = None) -> float:
    """Standard error of one AUC: DeLong's of independent rows, with several users the jackknife's over them.

    Raises:
        Undefined: fewer than two positives or two negatives, or than two users with one of them.
    """
    y, s = checked(label, score)
    return float(np.linalg.norm(auc_errors(y, s, None if user is None else clusters(user))[1]))


def hanley_mcneil_se(auc: float, positives: int, negatives: int) -> float:
    """Standard error of an AUC from its value and the counts alone (Hanley & McNeil 1982, Radiology 143).

    Scores are taken as if exponential, rows as independent; DeLong's needs the predictions and neither assumption
    about their distribution.
    """
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (positives - 1) * (q1 - auc**2) + (negatives - 1) * (q2 - auc**2)
    return math.sqrt(max(variance, 0.0) / (positives * negatives))
