"""When a training has diverged, and what to say of it: a result that is none must not look like one."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from mdaf_core.base.errors import StudioError
from mdaf_core.data.audit.scales import LARGE, largest_inputs
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.metrics.log_loss import log_loss

TIMES_WORSE = 10.0
"""A log loss so many times that of a constant prediction is no result."""


class Diverged(StudioError):
    """Loss, gradient or predictions are not finite, or far worse than a constant."""


def require_finite(dataset: PreparedDataset, what: str, values: float | np.ndarray, epoch: int | None = None) -> None:
    """Raise Diverged unless all `values` (`what`, as a noun in the singular) are finite."""
    if not np.isfinite(values).all():
        when = f" in epoch {epoch}" if epoch else ""
        raise Diverged(f"The training diverged{when}: the {what} is not a finite number. {advice(dataset)}")


def require_sense(dataset: PreparedDataset, where: str, label: np.ndarray, logit: np.ndarray) -> None:
    """Raise Diverged where predictions of a part (`where`, in words) are not finite, or their log loss is more than
    `TIMES_WORSE` times that of the click rate of these rows as a constant, and above 2 ln 2: twice a coin's, below
    which a model that has learned little of rare clicks is still one."""
    require_finite(dataset, f"prediction of some {where} rows", logit)
    loss, rate = log_loss(label, logit), float(np.mean(label))
    constant = -sum(p * math.log(p) for p in (rate, 1 - rate) if p > 0)
    if loss > max(TIMES_WORSE * constant, 2 * math.log(2)):
        raise Diverged(
            f"The training diverged: the log loss on {where} rows is {loss:,.4g}, where the click rate alone as a "
            f"prediction has {constant:.4g}. {advice(dataset)}"
        )


def advice(dataset: PreparedDataset) -> str:
    """What to do, naming the numeric fields with the largest inputs."""
    largest = sorted(largest_inputs(dataset).items(), key=lambda pair: -pair[1])
    slower = "a lower training.learning_rate, or training.gradient_clip"
    if not largest:
        return f"Try {slower}."
    if largest[0][1] <= LARGE:
        return f"The numeric inputs are not to blame (all within ±{largest[0][1]:.3g}): try {slower}."
    return (
        f"Its largest inputs are those of {_named((name, size) for name, size in largest if size > LARGE)}: prepare "
        f"the data with numeric_scaling=standard. If that is not it, try {slower}."
    )


def _named(fields: Iterable[tuple[str, float]]) -> str:
    shown = [f"{name} (up to {size:.3g})" for name, size in fields]
    return ", ".join(shown[:5]) + (f" and {len(shown) - 5} more numeric fields" if len(shown) > 5 else "")
