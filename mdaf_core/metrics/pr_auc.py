"""Average precision, the area under the precision-recall curve."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mdaf_core.metrics.jackknife import ONE_USERS_LABEL, errors
from mdaf_core.metrics.metric import Metric
from mdaf_core.metrics.values import Bools, Codes, Floats, Undefined, both_labels, checked, rank

EXACT_ROWS = 20_000_000  # rows that average precision is recomputed on, all users left out taken together


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


METRIC = Metric(
    "pr_auc",
    "PR-AUC",
    1,
    value=lambda rows: pr_auc(rows.label, rows.logit),
    errors=lambda rows: errors(pr_auc_changes(rows.label, rows.logit, rows.units)),
    definition="average precision: Σ (recall step) · precision over distinct scores",
    undefined="one label only",
    gain=lambda value, base_rate: value - base_rate,
    gain_words="PR-AUC − base rate",
    in_bp=True,
    place=7,
)
