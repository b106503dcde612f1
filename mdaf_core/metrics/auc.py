"""Area under the ROC curve and its sampling error: DeLong over rows, the exact jackknife over users."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdaf_core.metrics.jackknife import ONE_USERS_LABEL, errors
from mdaf_core.metrics.metric import Metric
from mdaf_core.metrics.values import (
    Bools,
    Codes,
    Floats,
    Undefined,
    both_labels,
    checked,
    clusters,
    pairs_within,
    rank,
)


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


def auc_se(label: ArrayLike, score: ArrayLike, user: NDArray[Any] | ArrayLike | None = None) -> float:
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


METRIC = Metric(
    "auc",
    "AUC",
    1,
    value=lambda rows: auc(rows.label, rows.logit),
    errors=lambda rows: auc_errors(rows.label, rows.logit, rows.unit)[1],
    definition="P(z₊ > z₋) + ½ P(z₊ = z₋) over all m·n pairs",
    undefined="one label only",
    gain=lambda value, base_rate: value - 0.5,
    gain_words="AUC − 0.5",
    in_bp=True,
    place=1,
    in_results=True,
)
