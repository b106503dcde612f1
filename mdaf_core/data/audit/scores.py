"""How well one score tells the labels apart."""

from __future__ import annotations

import math

import numpy as np

from mdaf_core.data.store.counts import tally


def auc(label: np.ndarray, score: np.ndarray) -> float:
    """Probability that a positive's score exceeds a negative's, ties half (Mann-Whitney); missing values lowest."""
    score = np.asarray(score)
    if score.dtype not in (np.int32, np.float32):  # as they are, these are in the same order in half the memory
        score = score.astype(np.float64, copy=False)
    if not np.isfinite(score).all():
        score = np.nan_to_num(score.astype(np.float64), nan=-np.inf)  # missing values tie, below all others
    if score.dtype == np.int32 and len(score):
        low, high = int(score.min()), int(score.max())
        if high - low < len(score):
            return _auc_of_counts(*tally(score - low, label == 1, high - low + 1))
    positive = label == 1
    up, down = np.sort(score[positive]), np.sort(score[~positive])
    pairs = len(up) * len(down)
    if len(up) <= len(down):
        wins = int(np.searchsorted(down, up, "left").sum()) + int(np.searchsorted(down, up, "right").sum())
    else:
        losses = int(np.searchsorted(up, down, "left").sum()) + int(np.searchsorted(up, down, "right").sum())
        wins = 2 * pairs - losses
    return wins / 2 / pairs


def _auc_of_counts(rows: np.ndarray, positives: np.ndarray) -> float:
    """As `auc`, of rows and positives by score, the lowest first; in whole numbers, so to the last bit."""
    negatives = rows - positives
    below = np.cumsum(negatives) - negatives
    wins = int((positives * (2 * below + negatives)).sum())
    return wins / 2 / (int(positives.sum()) * int(negatives.sum()))


def auc_error(label: np.ndarray) -> float:
    """Standard error of the AUC of a score that says nothing."""
    positives = int(label.sum())
    negatives = len(label) - positives
    return math.sqrt((len(label) + 1) / (12 * positives * negatives))


def rates_of(codes: np.ndarray, past: np.ndarray, label: np.ndarray) -> np.ndarray:
    """(N,) positive rate of each code among past rows, smoothed towards that of all."""
    return Rates(past, label).of(codes)


class Rates:
    """The positive rate of each code among past rows, smoothed towards that of all; that of all for other codes."""

    def __init__(self, past: np.ndarray, label: np.ndarray):
        size, base = 1 + int(past.max(initial=0)), float(label.mean())
        count, positives = tally(past, label, size)
        self._table = np.append((positives + base) / (count + 1), base)

    def of(self, codes: np.ndarray) -> np.ndarray:
        """(N,) rate of each code."""
        return self._table[np.minimum(codes, len(self._table) - 1)]


def cell_auc(order: np.ndarray, count: np.ndarray, positives: np.ndarray) -> float:
    """AUC of rows in cells, each row scored with its cell's `order`; `count` rows of a cell, `positives` among them."""
    value, cell = np.unique(order, return_inverse=True)
    up = np.bincount(cell, positives, len(value))
    down = np.bincount(cell, count - positives, len(value))
    below = np.cumsum(down) - down
    return float((up * (below + down / 2)).sum() / (up.sum() * down.sum()))
