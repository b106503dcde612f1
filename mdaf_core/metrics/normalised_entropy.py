"""Log loss in units of the base rate's entropy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mdaf_core.metrics.jackknife import ONE_USERS_LABEL, errors
from mdaf_core.metrics.log_loss import log_loss
from mdaf_core.metrics.metric import Metric
from mdaf_core.metrics.values import Bools, Codes, Floats, Undefined, both_labels, checked, row_loss


def normalised_entropy(label: ArrayLike, logit: ArrayLike) -> float:
    """Log loss / entropy of the base rate (He et al. 2014, "Practical Lessons…", section 2): 1 is no better than it.

    Raises:
        Undefined: one label only (the base rate has no entropy).
    """
    y, _ = checked(label, logit)
    positives, negatives = both_labels(y)
    p = positives / (positives + negatives)
    return log_loss(y, logit) / -(p * np.log(p) + (1 - p) * np.log1p(-p))


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


METRIC = Metric(
    "normalised_entropy",
    "Normalised entropy",
    -1,
    value=lambda rows: normalised_entropy(rows.label, rows.logit),
    errors=lambda rows: errors(entropy_changes(rows.label, row_loss(rows.label, rows.logit), rows.units)),
    definition="log loss / entropy of the base rate (He et al. 2014)",
    undefined="one label only",
    gain=lambda value, base_rate: 1 - value,
    gain_words="1 − normalised entropy",
    place=4,
)
