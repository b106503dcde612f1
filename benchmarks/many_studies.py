"""AUCs and calibration errors of many simulated studies of the same users at once, with their jackknife over units.

What `metrics.auc.auc_errors` and `metrics.registry.sampling_errors("ece", …)` give study by study, for scores without
ties; both are compared in `tests/metrics/test_jackknife.py`. R studies, N rows, K units (users,
items, or pairs of both).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from mdaf_core.metrics.ece import CALIBRATION_BINS

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Codes = NDArray[np.int64]


def centred(left_out_RK: Floats) -> Floats:
    """(R, K) sampling errors from the metric without each unit."""
    units = left_out_RK.shape[1]
    return np.sqrt((units - 1) / units) * (left_out_RK - left_out_RK.mean(1, keepdims=True))


class Units:
    """Whose the rows are, sorted once for all studies. `code`: (N,) 0…K−1, each present."""

    def __init__(self, code: Codes) -> None:
        self.order = np.argsort(code, kind="stable")
        self.code = code[self.order]
        self.start = np.flatnonzero(np.r_[True, self.code[1:] != self.code[:-1]])
        self.rows = np.diff(np.r_[self.start, len(code)])

    def sums(self, value_RN: NDArray) -> Floats:
        """(R, K) sums over each unit's rows."""
        return np.add.reduceat(value_RN[:, self.order], self.start, axis=1, dtype=np.float64)

    def of_rarer_label(self, label_RN: Bools) -> Codes:
        """(R,) units that have the label that fewer of them have."""
        hits = self.sums(label_RN)
        return np.minimum((hits > 0).sum(1), (hits < self.rows).sum(1))


def aucs(label_RN: Bools, score_RN: Floats) -> tuple[Floats, Floats]:
    """(R,) AUCs, and (R, N) pairs that each row wins: of a positive against negatives, of a negative by positives."""
    order = np.argsort(score_RN, axis=1)
    y = np.take_along_axis(label_RN, order, 1)
    positives = y.sum(1, keepdims=True)
    won = np.where(y, np.cumsum(~y, axis=1), positives - np.cumsum(y, axis=1)).astype(np.float64)
    out = np.empty(won.shape)
    np.put_along_axis(out, order, won, 1)
    pairs = (positives * (y.shape[1] - positives))[:, 0]
    with np.errstate(invalid="ignore"):  # one label only: not a number
        return np.where(y, won, 0).sum(1) / pairs, out


def auc_errors(label_RN: Bools, score_RN: Floats, won_RN: Floats, units: Units) -> Floats:
    """(R, K) sampling errors of AUCs over units; not a number where a unit has all rows of a label."""
    y, s = label_RN[:, units.order], score_RN[:, units.order]
    spread = 2 * np.abs(s).max() + 1  # rows of a unit lie apart from those of every other
    inside = np.take_along_axis(y, np.argsort(s + spread * units.code, axis=1), 1)
    below = np.cumsum(~inside, axis=1)
    m, n = units.sums(label_RN), units.rows - units.sums(label_RN)
    before = below[:, units.start] - ~inside[:, units.start]
    within = np.add.reduceat(np.where(inside, below, 0), units.start, axis=1) - m * before
    positives, negatives = m.sum(1, keepdims=True), n.sum(1, keepdims=True)
    pairs = np.where(label_RN, won_RN, 0).sum(1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        left_out = (pairs - units.sums(won_RN) + within) / ((positives - m) * (negatives - n))
    return centred(np.where(np.isfinite(left_out), left_out, np.nan))


def eces(label_RN: Bools, logit_RN: Floats, units: Units) -> tuple[Floats, Floats]:
    """(R,) expected calibration errors over bins of equal mass, and their (R, K) sampling errors over units."""
    studies, rows = label_RN.shape
    p = expit(logit_RN)
    gap = p - label_RN
    bins = np.empty(p.shape, np.int64)
    firsts = rows * np.arange(1, CALIBRATION_BINS) // CALIBRATION_BINS
    edges = np.searchsorted(firsts, np.arange(rows), side="right")
    np.put_along_axis(bins, np.argsort(p, axis=1, kind="stable"), np.broadcast_to(edges, p.shape), 1)
    count = len(units.rows)
    code = np.empty(rows, np.int64)
    code[units.order] = np.repeat(np.arange(count), units.rows)
    cell = (np.arange(studies)[:, None] * count + code) * CALIBRATION_BINS + bins
    shape = (studies, count, CALIBRATION_BINS)
    of_unit = np.bincount(cell.ravel(), weights=gap.ravel(), minlength=int(np.prod(shape))).reshape(shape)
    whole = of_unit.sum(1)
    left_out = np.abs(whole[:, None] - of_unit).sum(2) / (rows - units.rows)
    return np.abs(whole).sum(1) / rows, centred(left_out)
