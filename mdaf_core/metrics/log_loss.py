"""Log loss: the mean of what each label costs."""

from __future__ import annotations

import math

from numpy.typing import ArrayLike

from mdaf_core.metrics.jackknife import mean_errors
from mdaf_core.metrics.metric import Metric
from mdaf_core.metrics.values import Undefined, row_loss


def log_loss(label: ArrayLike, logit: ArrayLike) -> float:
    """Mean of `row_loss`."""
    loss = row_loss(label, logit)
    if not len(loss):
        raise Undefined("There are no rows.")
    return float(loss.mean())


def entropy(rate: float) -> float:
    """Log loss of predicting the base rate `rate` for every row, in nats."""
    return -(rate * math.log(rate) + (1 - rate) * math.log(1 - rate))


METRIC = Metric(
    "logloss",
    "Log loss",
    -1,
    value=lambda rows: log_loss(rows.label, rows.logit),
    errors=lambda rows: mean_errors(row_loss(rows.label, rows.logit), rows.unit),
    definition="mean of −ln p(y), from logits, in nats",
    undefined="no rows",
    gain=lambda value, base_rate: entropy(base_rate) - value,
    gain_words="base-rate log loss − log loss",
    place=3,
    in_results=True,
)
