"""AUC within each user, averaged over users."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mdaf_core.base.errors import StudioError
from mdaf_core.metrics.jackknife import mean_errors
from mdaf_core.metrics.metric import Metric
from mdaf_core.metrics.values import NO_USER, Floats, Scored, Undefined, both_labels, checked, pairs_within


class GroupedAUC(NamedTuple):
    """gAUC and the share of rows it covers (rows whose user has both labels)."""

    value: float
    coverage: float


def user_auc(label: ArrayLike, score: ArrayLike, user: ArrayLike) -> Floats:
    """(N,) the AUC within each row's user; NaN where the user has one label only. One sort by (user, score)."""
    y, s = checked(label, score)
    group = np.asarray(user)
    if group.shape != y.shape:
        raise StudioError(f"One user a row is needed; got {len(group):,} users for {len(y):,} rows.")
    if not len(y):
        return np.empty(0)
    within = pairs_within(y, s, group)
    pairs = within.positives * within.negatives
    value = np.divide(within.twice, 2 * pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
    out = np.empty(len(y))
    out[within.order] = np.repeat(value, within.positives + within.negatives)
    return out


def gauc(label: ArrayLike, score: ArrayLike, user: ArrayLike) -> GroupedAUC:
    """AUC within each user, averaged with the users' row counts as weights; users with one label are skipped.

    Other definitions in use weight by positives, or not at all, or count single-label users as 0.5; see
    docs/statistics.md.

    Args:
        label, score: as for `auc`.
        user: (N,) integers.

    Raises:
        Undefined: no user has both labels.
    """
    y, s = checked(label, score)
    both_labels(y)
    value = user_auc(y, s, user)
    covered = ~np.isnan(value)
    if not covered.any():
        raise Undefined("No user has rows of both labels, so nothing can be ranked within a user.")
    return GroupedAUC(float(value[covered].mean()), float(covered.mean()))


def _value(rows: Scored) -> float:
    if rows.user is None:
        raise Undefined(NO_USER)
    return gauc(rows.label, rows.logit, rows.user).value


def _errors(rows: Scored) -> Floats:
    if rows.user is None:
        raise Undefined(NO_USER)
    return mean_errors(user_auc(rows.label, rows.logit, rows.user), rows.unit)


METRIC = Metric(
    "gauc",
    "gAUC",
    1,
    value=_value,
    errors=_errors,
    definition="Σ_u N_u AUC_u / Σ_u N_u over users with both labels",
    undefined="no such user",
    gain=lambda value, base_rate: value - 0.5,
    gain_words="gAUC − 0.5",
    in_bp=True,
    hint="gAUC: AUC of each user with both labels, weighted by rows.",
    place=2,
    in_results=True,
)
