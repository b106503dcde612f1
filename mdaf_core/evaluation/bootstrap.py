"""Weighted AUC in one pass over sorted rows: what a bootstrap evaluates a thousand times."""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np
from numpy.typing import NDArray

from mdaf_core.evaluation.metrics import Bools, Floats, rank


@numba.njit(cache=True)
def _area(label, cluster, new_score, weight):  # pragma: no cover - compiled
    positives = negatives = below = twice = 0
    group_positives = group_negatives = 0
    for i in range(len(label)):
        if new_score[i]:
            twice += group_positives * (2 * below + group_negatives)
            below += group_negatives
            group_positives = group_negatives = 0
        w = int(weight[cluster[i]])
        if label[i]:
            group_positives += w
            positives += w
        else:
            group_negatives += w
            negatives += w
    twice += group_positives * (2 * below + group_negatives)
    if positives == 0 or negatives == 0:
        return np.nan
    return twice / (2.0 * positives * negatives)


def weighted_auc(label: Bools, score: Floats, cluster: NDArray[np.int64]) -> Callable[[NDArray[np.int32]], float]:
    """A function from integer weights of the clusters, (U,) int32, to the AUC of rows so weighted; NaN for one label.

    Sorting is done here, once; each call is one pass over the rows.
    """
    ranking = rank(label, score)
    new_score = np.zeros(len(label), np.bool_)
    new_score[ranking.start] = True
    sorted_label, sorted_cluster = label[ranking.order], cluster[ranking.order].astype(np.int32)
    return lambda weight: float(_area(sorted_label, sorted_cluster, new_score, weight))
