"""All metrics of one run on one split."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mdaf_core.data.store.sample import sample_of
from mdaf_core.metrics.auc import auc, auc_se
from mdaf_core.metrics.gauc import gauc
from mdaf_core.metrics.metric import FIRST_DEFINITION
from mdaf_core.metrics.registry import metrics
from mdaf_core.metrics.values import Scored, Undefined
from mdaf_core.runs.results import SplitMetrics


def split_metrics(
    label: ArrayLike, logit: ArrayLike, user: ArrayLike | None = None, true_probability: ArrayLike | None = None
) -> SplitMetrics:
    """All metrics of one split; those without a value are None, with the reason in `undefined`.

    Args:
        label: (N,) 0 or 1.
        logit: (N,) log-odds.
        user: (N,) integers for gAUC, or None where rows have no user.
        true_probability: (N,) probability each label was drawn with (synthetic data), or None.

    Raises:
        StudioError: a logit is not finite, or the columns do not fit together.
    """
    rows = Scored.of(label, logit, user)
    found: dict[str, Any] = {}
    undefined: dict[str, str] = {}

    def put(name: str, compute: Callable[[], float]) -> None:
        try:
            value = compute()
            if not np.isfinite(value):
                raise Undefined(f"The {name} of these predictions is not a finite number.")
            found[name] = value
        except Undefined as reason:
            found[name], undefined[name] = None, str(reason)

    for key, metric in metrics().items():
        put(key, partial(metric.of, rows))
    put("auc_se", lambda: auc_se(rows.label, rows.logit, user))
    if rows.user is not None and found["gauc"] is not None:
        found["gauc_coverage"] = gauc(rows.label, rows.logit, rows.user).coverage
    if true_probability is not None:
        put("oracle_auc", lambda: auc(rows.label, true_probability))
        if found["oracle_auc"] is not None and found["oracle_auc"] > 0.5:
            found["oracle_share"] = (found["auc"] - 0.5) / (found["oracle_auc"] - 0.5)
        else:
            undefined["oracle_share"] = "The true probabilities do not rank these rows better than chance."
    if user is not None:
        found |= sample_of(user).model_dump(exclude={"rows"})
    definitions = {key: one.identity for key, one in metrics().items() if one.identity != FIRST_DEFINITION}
    return SplitMetrics(
        rows=len(rows.label), positives=int(rows.label.sum()), undefined=undefined, definitions=definitions, **found
    )
