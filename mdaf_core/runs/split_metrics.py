"""All metrics of one run on one split."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mdaf_core.data.store.sample import sample_of
from mdaf_core.metrics.jackknife import auc_se
from mdaf_core.metrics.values import Undefined, auc, brier, checked, ece, gauc, log_loss, normalised_entropy, pr_auc
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
    y, z = checked(label, logit)
    found: dict[str, Any] = {}
    undefined: dict[str, str] = {}

    def put(name: str, compute: Callable[[], float]) -> None:
        try:
            value = compute()
            if not np.isfinite(value):
                raise Undefined(f"The {name} of these predictions is not a finite number.")
            found[name] = value
        except Undefined as reason:
            undefined[name] = str(reason)

    put("auc", lambda: auc(y, z))
    put("auc_se", lambda: auc_se(y, z, user))
    put("logloss", lambda: log_loss(y, z))
    put("normalised_entropy", lambda: normalised_entropy(y, z))
    put("brier", lambda: brier(y, z))
    put("ece", lambda: ece(y, z))
    put("pr_auc", lambda: pr_auc(y, z))
    if user is None:
        undefined["gauc"] = "The rows of this data set have no user."
    else:
        try:
            found["gauc"], found["gauc_coverage"] = gauc(y, z, user)
        except Undefined as reason:
            undefined["gauc"] = str(reason)
    if true_probability is not None:
        put("oracle_auc", lambda: auc(y, true_probability))
        if "oracle_auc" in found and found["oracle_auc"] > 0.5:
            found["oracle_share"] = (found["auc"] - 0.5) / (found["oracle_auc"] - 0.5)
        else:
            undefined["oracle_share"] = "The true probabilities do not rank these rows better than chance."
    if user is not None:
        found |= sample_of(user).model_dump(exclude={"rows"})
    return SplitMetrics(rows=len(y), positives=int(y.sum()), undefined=undefined, **found)
