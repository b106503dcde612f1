"""Weighted AUCs in one pass over sorted rows: what a bootstrap evaluates a thousand times."""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np
from numpy.typing import NDArray

from mdaf_core.metrics.values import Bools, Floats, rank

LANES = 16  # resamples evaluated in one pass: their weights of one user lie in one cache line


@numba.njit(cache=True)
def _areas(label, cluster, new_score, weight):  # type: ignore[no-untyped-def]  # pragma: no cover
    positives = np.zeros(LANES, np.int64)
    below = np.zeros(LANES, np.int64)
    twice = np.zeros(LANES, np.int64)
    group_positives = np.zeros(LANES, np.int64)
    group_negatives = np.zeros(LANES, np.int64)
    some_positive = False
    rows = len(label)
    for i in range(rows + 1):
        if i == rows or new_score[i]:  # the group of equal scores before row i is complete
            if some_positive:
                for k in range(LANES):
                    twice[k] += group_positives[k] * (2 * below[k] + group_negatives[k])
                    positives[k] += group_positives[k]
                    group_positives[k] = 0
                some_positive = False
            for k in range(LANES):
                below[k] += group_negatives[k]
                group_negatives[k] = 0
            if i == rows:
                break
        w = weight[cluster[i]]
        if label[i]:
            some_positive = True
            for k in range(LANES):
                group_positives[k] += w[k]
        else:
            for k in range(LANES):
                group_negatives[k] += w[k]
    out = np.full(LANES, np.nan)
    for k in range(LANES):
        if positives[k] and below[k]:
            out[k] = twice[k] / (2.0 * positives[k] * below[k])
    return out


def weighted_aucs(label: Bools, score: Floats, cluster: NDArray[np.int64]) -> Callable[[NDArray[np.uint8]], Floats]:
    """A function from integer weights of the clusters, (U, LANES), to the (LANES,) AUCs of rows so weighted.

    NaN where one label has no weight. Pairs are counted in integers. Sorting is done here, once; each call is one pass
    over the rows.
    """
    ranking = rank(label, score)
    new_score = np.zeros(len(label), np.bool_)
    new_score[ranking.start] = True
    sorted_label, sorted_cluster = label[ranking.order], cluster[ranking.order].astype(np.int32)
    return lambda weight: _areas(sorted_label, sorted_cluster, new_score, weight)


@numba.njit(cache=True)
def _count(drawn, lane, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    for user in drawn:
        out[user, lane] += 1


def draw_users(rng: np.random.Generator, users: int) -> NDArray[np.uint8]:
    """(users, LANES): how often each user is drawn in each of LANES resamples with replacement of as many users.

    A count is nearly Poisson with mean 1, far from the limit of a byte.
    """
    out = np.zeros((users, LANES), np.uint8)
    for lane in range(LANES):
        _count(rng.integers(0, users, users, dtype=np.int32), lane, out)
    return out
