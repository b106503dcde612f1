"""Brier score: mean squared difference between probability and label."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mdaf_core.metrics.jackknife import mean_errors
from mdaf_core.metrics.metric import Metric
from mdaf_core.metrics.values import Undefined, checked, sigmoid


def brier(label: ArrayLike, logit: ArrayLike) -> float:
    """Mean squared difference between probability and label (Brier 1950)."""
    y, z = checked(label, logit)
    if not len(y):
        raise Undefined("There are no rows.")
    return float(np.mean((sigmoid(z) - y) ** 2))


METRIC = Metric(
    "brier",
    "Brier score",
    -1,
    value=lambda rows: brier(rows.label, rows.logit),
    errors=lambda rows: mean_errors((rows.probability - rows.label) ** 2, rows.unit),
    words="Brier score",
    definition="mean (p − y)²",
    undefined="no rows",
    gain=lambda value, base_rate: base_rate * (1 - base_rate) - value,
    gain_words="base-rate Brier score − Brier score",
    place=5,
)
