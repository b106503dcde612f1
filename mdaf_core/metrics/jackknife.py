"""How a metric would vary over other users: each user left out in turn. docs/statistics.md has the formulas.

Every metric gives one vector of sampling errors, a number a user (a row, where rows have no users). The variance of
the metric is the sum of their squares, the covariance of two metrics of the same rows their dot product, and the errors
of a difference are the difference of the errors.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mdaf_core.metrics.values import Bools, Codes, Floats, Scored, Undefined

TOO_FEW = "A standard error takes at least two rows, of two users."
ONE_USERS_LABEL = "A standard error over users takes two users with rows of each label."
RECOMPUTED_ROWS = 200_000_000  # that a metric without errors of its own is computed on again, all together
FEWEST_GROUPS = 100


def errors(change: Floats, taking_part: Bools | None = None) -> Floats:
    """Sampling errors from what leaving out each unit changes.

    Args:
        change: (K,) metric without the unit minus the metric of all.
        taking_part: (K,) units that the metric is of, or None: all. The errors of others are 0.

    Raises:
        Undefined: fewer than two units.
    """
    units = len(change) if taking_part is None else int(taking_part.sum())
    if units < 2:
        raise Undefined(TOO_FEW)
    if taking_part is None:
        return np.sqrt((units - 1) / units) * (change - change.mean())
    out = np.zeros(len(change))
    out[taking_part] = errors(change[taking_part])
    return out


def left_out(value: Callable[[Scored], float], rows: Scored) -> Floats:
    """(K,) sampling errors of any metric: it is computed again without each unit in turn, K passes over the rows.

    Where that were more than `RECOMPUTED_ROWS` the units are dealt at random into fewer groups, and each group is left
    out as one unit (the delete-a-group jackknife, Kott 2001): (`groups_of`,) errors of the same variance.

    Args:
        value: the metric of rows.

    Raises:
        Undefined: it is, of all rows or without one of the units, or there are fewer than two.
    """
    unit = rows.units
    units = int(unit.max(initial=-1)) + 1
    if units < 2:
        raise Undefined(TOO_FEW)
    groups = groups_of(units, len(unit))
    if groups < units:
        unit = (np.random.default_rng(0).permutation(units) % groups)[unit]
    whole = value(rows)
    return errors(np.array([value(rows.where(unit != one)) - whole for one in range(groups)]))


def groups_of(units: int, rows: int) -> int:
    """How many groups of units `left_out` leaves out in turn; as many as there are units: each by itself."""
    return min(units, max(FEWEST_GROUPS, RECOMPUTED_ROWS // max(rows, 1)))


def groups_words(units: int, rows: int, what: str) -> str:
    """A sentence where `left_out` leaves out groups; empty where each unit by itself.

    Args:
        what: what the units are, in words ("users").
    """
    groups = groups_of(units, rows)
    if groups == units:
        return ""
    return (
        f"The metric's sampling error is from leaving out {groups} groups of {what} in turn, dealt at random: it has "
        f"no formula for it, and computing it again without each of {units:,} {what} would take too long."
    )


def degrees_of_freedom(error: Floats, units: int) -> float:
    """Behind a variance Σ e²: those of Satterthwaite (1946), 3 (Σ e²)² / Σ e⁴, at least 1, at most `units` − 1.

    For normal errors of users of variances σᵤ² they are 2 (Σ σᵤ²)² / Var(Σ e²), e⁴ standing for 3 σᵤ⁴: about as many as
    there are users where all are alike, few where few users make up the variance.
    docs/statistics.md says how it was chosen.

    Args:
        units: users with the label that fewer of them have; see `units_of_rarer_label`.
    """
    square = error**2
    fourth = float(square @ square)
    effective = 3 * float(square.sum()) ** 2 / fourth if fourth > 0 else float("inf")
    return max(1.0, min(effective, units - 1.0))


def units_of_rarer_label(label: Bools, cluster: Codes | None = None) -> int:
    """Users (rows, without users) that have the label that fewer of them have."""
    if cluster is None:
        return int(min(label.sum(), (~label).sum()))
    return min(len(np.unique(cluster[mask])) for mask in (label, ~label))


def mean_errors(value: Floats, cluster: Codes | None) -> Floats:
    """Sampling errors of the mean of `value`, (N,), over the rows that have one (not NaN).

    Raises:
        Undefined: fewer than two users (rows) with a value.
    """
    unit = np.arange(len(value)) if cluster is None else cluster
    covered = ~np.isnan(value)
    units = int(unit.max(initial=-1)) + 1
    count = np.bincount(unit[covered], minlength=units)
    present = count > 0
    if present.sum() < 2:
        raise Undefined(TOO_FEW)
    rows = int(count.sum())
    residual = np.bincount(unit[covered], weights=value[covered] - value[covered].mean(), minlength=units)
    return errors(-residual / (rows - count), present)
