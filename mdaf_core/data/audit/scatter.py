"""Does a score of groups follow the chance scatter of their labels, or their sizes?"""

from __future__ import annotations

import numpy as np
import polars as pl

from mdaf_core.data.audit.sample import drawn

FEWEST_GROUPS, _MOST_GROUPS = 8, 4_000
_FREE = 5
PRIORS = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 300.0)
_KNOTS = 6
_FEWEST_PAIRS = 200
_ALIKE = 0.98
_EXPLAINED, _BOUND = 3.0, 0.5
_SMALL, _GROUPS_A_COLUMN = 10, 25
"""A curve through few small groups follows their labels by itself."""
_TOWARDS = 2.0
"""Rows of the mean rate that a fitted rate is drawn towards where its variance is wanted: none is 0 or 1."""


def scatter(score: np.ndarray, rows: np.ndarray, positives: np.ndarray, chance: float) -> tuple[float, bool]:
    """How far the positive rates of groups scatter about a smooth function of the score, in units of what chance gives
    at the least; and whether that is improbably little.

    If the score was not computed from these labels, positives are binomial given it, at the fitted rates or others:
    the mean of (k - np)² / (np(1 - p)) is then 1 or more. If it was, it is near 0. Rates smoothed by rows
    of the mean (priors from 0 to 300) are tried. Mean and variance of the sum are
    matched by a scaled chi-squared.

    Args:
        score, rows, positives: (G,) of groups; those without rows are left out, and 4,000 of more are looked at.
        chance: probability of calling a score that knows nothing improbable.
    """
    from scipy.special import chdtr  # all of scipy.stats takes a second to load

    there = np.flatnonzero(rows)
    there = there[drawn(len(there), _MOST_GROUPS)]
    n, k, x = rows[there].astype(np.float64), positives[there].astype(np.float64), score[there]
    if len(n) < FEWEST_GROUPS or not 0 < k.sum() < n.sum() or x.std() == 0:
        return np.inf, False
    base = k.sum() / n.sum()
    plain = float(((k - n * base) ** 2 / (n * base * (1 - base))).sum())
    if plain < _BOUND * (len(n) - 1):
        return (
            np.inf,
            False,
        )  # labels that are bound to each other, as of one click on a page, scatter less than by chance
    curve = _curve(x)
    least, improbable = np.inf, False
    for prior in PRIORS:
        free = len(n) - curve.shape[1] - (prior > 0)
        if free < _FREE or (n.mean() < _SMALL and len(n) < _GROUPS_A_COLUMN * (len(n) - free)):
            continue
        groups = n, (k + prior * base) / (n + prior), base, prior
        shrunk = prior / (n + prior)
        total, unit = _misfit(*groups, np.column_stack([curve, shrunk]) if prior else curve)
        # Sizes alone may tell the rates, as where all positives are of days when groups were large.
        without = min(plain, _misfit(*groups, np.column_stack([np.ones_like(n), shrunk]))[0] if prior else plain)
        if without < max(_EXPLAINED * total, _BOUND * free):
            continue  # as with one click on every page: labels scatter less than by chance whatever the score
        if total / free < least:
            least, shape = total / free, 2 * free**2 / float((2 + (1 - 6 * unit) / (n * unit)).sum())
            with np.errstate(divide="ignore"):
                improbable = bool(np.log(chdtr(shape, total * shape / free)) < np.log(chance))
    return least, improbable


def _misfit(n: np.ndarray, rate: np.ndarray, base: float, prior: float, design: np.ndarray) -> tuple[float, np.ndarray]:
    """How far rates that are smoothed by `prior` rows of the mean `base` lie from what columns explain: a sum over the
    groups in units of what chance gives each, and (G,) the variance of a row's label."""
    weight = (n + prior) / np.sqrt(n)  # the inverse of the rate's error, but for a constant
    weighted = design * weight[:, None]
    normal = weighted.T @ weighted, weighted.T @ (rate * weight)
    fitted = design @ np.linalg.lstsq(*normal, rcond=None)[0]
    likely = np.clip((fitted * (n + prior) - prior * base + _TOWARDS * base) / (n + _TOWARDS), 0.01 * base, 1)
    unit = np.minimum(likely, 1 - 0.01 * (1 - base)) * np.maximum(1 - likely, 0.01 * (1 - base))
    return float((((rate - fitted) * (n + prior)) ** 2 / (n * unit)).sum()), unit


def _curve(x: np.ndarray) -> np.ndarray:
    """(G, 4 or more) columns of a smooth curve in x: a cubic, with knots where there are groups enough."""
    z = (x - x.mean()) / x.std()
    columns = [np.ones_like(z), z, z**2, z**3]
    if len(z) >= 100:
        knots = np.quantile(z, np.linspace(0, 1, _KNOTS + 2)[1:-1])
        columns += [np.maximum(z - knot, 0) ** 3 for knot in np.unique(knots)]
    return np.stack(columns, axis=1)


def function_of(score: np.ndarray, count: np.ndarray) -> bool:
    """Whether a score is the same for equal counts and rises, or falls, with them."""
    frame = pl.DataFrame({"count": count, "score": score}).with_columns(middle=pl.col("score").median().over("count"))
    by_count = frame.group_by("count").agg(pl.col("middle").first(), pl.len()).sort("count")
    if len(by_count) < 10 or int((by_count["len"] > 1).sum()) < 5:
        return False
    tolerance = 1e-4 * float(np.std(score))
    alike = float(((frame["score"] - frame["middle"]).abs() <= tolerance).mean())  # type: ignore[arg-type]
    steps = np.diff(by_count["middle"].to_numpy())
    return alike >= _ALIKE and max((steps > tolerance).mean(), (steps < -tolerance).mean()) >= _ALIKE


def inside(values: np.ndarray, group: np.ndarray, label: np.ndarray) -> float | None:
    """AUC of a number among the rows of one id, over all of them; None where there are too few pairs."""
    frame = pl.DataFrame({"group": group, "value": values, "label": label})
    frame = frame.with_columns(rank=pl.col("value").rank("average").over("group"))
    by_group = frame.group_by("group").agg(
        ups=(pl.col("rank") * pl.col("label")).sum(),
        k=pl.col("label").sum(),
        n=pl.len(),
        differ=pl.col("value").n_unique(),
    )
    by_group = by_group.filter((pl.col("k") > 0) & (pl.col("k") < pl.col("n")))
    if by_group.is_empty() or not (by_group["differ"] > 1).any():
        return None
    ups, k, n = (by_group[name].to_numpy().astype(np.float64) for name in ("ups", "k", "n"))
    pairs = float((k * (n - k)).sum())
    if pairs < _FEWEST_PAIRS or len(k) < FEWEST_GROUPS:
        return None
    return float((ups - k * (k + 1) / 2).sum() / pairs)
