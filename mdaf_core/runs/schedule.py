"""Learning rate and early stopping as plain functions of the epoch: nothing to save, nothing to restore."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mdaf_core.runs.config import TrainingConfig
from mdaf_core.runs.results import EpochMetrics


def learning_rate(epoch: int, config: TrainingConfig) -> float:
    """Learning rate of an epoch (1-based): linear warm-up, then a cosine that starts at its peak.

    The report's schedule: with 2 warm-up epochs of 20, rate 1e-3 and floor 1e-4 the epochs get 0.0005, 0.001, 0.001,
    0.000993, 0.000973, … (Loshchilov & Hutter 2017, arXiv:1608.03983, for the cosine).
    """
    if epoch <= config.warmup_epochs:
        return config.learning_rate * epoch / config.warmup_epochs
    if config.schedule == "constant":
        return config.learning_rate
    span = max(config.max_epochs - config.warmup_epochs, 1)
    progress = (epoch - config.warmup_epochs - 1) / span
    floor = min(config.min_learning_rate, config.learning_rate)
    return floor + (config.learning_rate - floor) * (1 + math.cos(math.pi * progress)) / 2


def quality(epoch: EpochMetrics) -> float:
    """What early stopping watches: validation AUC; where that is undefined (one label), minus the log loss."""
    if epoch.val_auc is not None:
        return epoch.val_auc
    return -math.inf if epoch.val_logloss is None else -epoch.val_logloss


def watched(epoch: EpochMetrics) -> str:
    """In words, what early stopping watches."""
    return "a higher validation AUC" if epoch.val_auc is not None else "a lower validation log loss"


def best_epoch(epochs: Sequence[EpochMetrics]) -> int:
    """The epoch of the highest `quality`, the first of equals; its weights are the run's result."""
    return max(epochs, key=lambda e: (quality(e), -e.epoch)).epoch


TREE_EPOCHS = 20
"""A full training of trees is cut into about this many epochs."""


def trees_by_epoch(max_rounds: int) -> tuple[int, int]:
    """Trees that make an epoch, and how many such epochs there are at most."""
    trees = max(max_rounds // TREE_EPOCHS, 1)
    return trees, -(-max_rounds // trees)


def epochs_without_better(epochs: Sequence[EpochMetrics], min_delta: float) -> int:
    """Epochs since the last one that was better than all before it by more than `min_delta`, in `quality`."""
    best, since = -math.inf, 0
    for epoch in epochs:
        if quality(epoch) > best + min_delta or best == -math.inf:
            best, since = quality(epoch), 0
        else:
            since += 1
    return since


def stop_reason(epochs: Sequence[EpochMetrics], config: TrainingConfig, max_epochs: int | None = None) -> str | None:
    """Why training ends after these epochs, as a sentence, or None to go on; patience: `epochs_without_better`."""
    since = epochs_without_better(epochs, config.min_delta)
    if since >= config.patience:
        return f"Early stop after epoch {epochs[-1].epoch}: {since} epochs without {watched(epochs[-1])}."
    if len(epochs) >= (max_epochs or config.max_epochs):
        return f"All {len(epochs)} epochs done."
    return None
