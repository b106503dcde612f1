"""ROC, precision-recall and calibration curves as points to draw: few, and where the curve bends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import ArrayLike
from pydantic import BaseModel

from mdaf_core.analysis.significance import Component
from mdaf_core.base.cache import cached
from mdaf_core.base.entries import known_entry
from mdaf_core.data.store.schema import Split
from mdaf_core.metrics.ece import CALIBRATION_BINS, mass_bins
from mdaf_core.metrics.jackknife import degrees_of_freedom, mean_errors
from mdaf_core.metrics.values import Bools, Codes, Floats, Undefined, checked, clusters, dense, rank, sigmoid
from mdaf_core.runs.predictions import imported_without, load_predictions
from mdaf_core.runs.tracking import RunRecord

MOST_POINTS = 500
CurveKind = Literal["roc", "pr", "calibration"]


def thin(x: Floats, y: Floats, most: int = MOST_POINTS) -> np.ndarray:
    """Indices of at most `most` vertices of a curve, both ends among them, evenly spaced along its length."""
    if len(x) <= most:
        return np.arange(len(x))
    length = np.r_[0.0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))]
    wanted = np.linspace(0, length[-1], most)
    return np.unique(np.r_[np.searchsorted(length, wanted).clip(max=len(x) - 1), len(x) - 1])[-most:]


def roc_points(label: ArrayLike, score: ArrayLike) -> pl.DataFrame:
    """Columns fpr, tpr, threshold (null at the origin): vertices of the ROC curve, at most 500.

    Raises:
        Undefined: one label only.
    """
    y, s = checked(label, score)
    if not 0 < y.sum() < len(y):
        raise Undefined("A ROC curve takes rows of both labels.")
    ranking = rank(y, s)
    tpr = np.r_[0.0, np.cumsum(ranking.positives[::-1]) / y.sum()]
    fpr = np.r_[0.0, np.cumsum(ranking.negatives[::-1]) / (~y).sum()]
    threshold = np.r_[np.nan, s[ranking.order[ranking.start]][::-1]]
    keep = thin(fpr, tpr)
    return pl.DataFrame({"fpr": fpr[keep], "tpr": tpr[keep], "threshold": threshold[keep]}).with_columns(
        pl.col("threshold").fill_nan(None)
    )


def pr_points(label: ArrayLike, score: ArrayLike) -> pl.DataFrame:
    """Columns recall, precision, threshold: one point a distinct score, at most 500.

    Raises:
        Undefined: one label only.
    """
    y, s = checked(label, score)
    if not 0 < y.sum() < len(y):
        raise Undefined("A precision-recall curve takes rows of both labels.")
    ranking = rank(y, s)
    hits = np.cumsum(ranking.positives[::-1])
    recall, precision = hits / y.sum(), hits / np.cumsum(ranking.sizes[::-1])
    threshold = s[ranking.order[ranking.start]][::-1]
    keep = thin(recall, precision)
    return pl.DataFrame({"recall": recall[keep], "precision": precision[keep], "threshold": threshold[keep]})


def calibration_points(
    label: ArrayLike, logit: ArrayLike, user: ArrayLike | None = None, bins: int = CALIBRATION_BINS
) -> pl.DataFrame:
    """Bins of equal mass: predicted (mean), observed (rate), low, high (95% interval of the rate), rows.

    The interval is Wilson's for as many independent rows as the bin's rows of users are worth, see `_worth`.
    """
    y, z = checked(label, logit)
    if not len(y):
        raise Undefined("There are no rows.")
    p = sigmoid(z)
    index = mass_bins(p, bins)
    rows = np.bincount(index, minlength=bins)
    filled = rows > 0
    n = rows[filled].astype(np.float64)
    predicted = np.bincount(index, weights=p, minlength=bins)[filled] / n
    observed = np.bincount(index, weights=y, minlength=bins)[filled] / n
    cluster = None if user is None else clusters(user)
    worth = (
        n if cluster is None else np.array([_worth(y[index == b], cluster[index == b]) for b in np.flatnonzero(filled)])
    )
    z2 = 1.959963984540054**2
    centre = (observed + z2 / (2 * worth)) / (1 + z2 / worth)
    half = np.sqrt(z2 * (observed * (1 - observed) / worth + z2 / (4 * worth**2))) / (1 + z2 / worth)
    return pl.DataFrame(
        {
            "predicted": predicted,
            "observed": observed,
            "low": np.minimum(centre - half, observed).clip(0),
            "high": np.maximum(centre + half, observed).clip(max=1),
            "rows": rows[filled].astype(np.int64),
        }
    )


def _worth(y: Bools, cluster: Codes) -> float:
    """Independent rows that give the rate of `y` as surely as these rows of users, at most as many.

    p (1 − p) over the jackknife's variance over users, less for Student's t (Korn & Graubard 1998). Where the rate is 0
    or 1, or one user has all rows, nothing shows how alike users' rows are: then as many as users of equal size.
    """
    user = dense(cluster)
    count = np.bincount(user).astype(np.float64)
    rate = y.mean()
    error = mean_errors(y.astype(np.float64), user) if len(count) > 1 and 0 < rate < 1 else np.zeros(1)
    variance = float(error @ error)
    if variance <= 0:
        return float(len(y) ** 2 / (count @ count))
    t = Component(name="users", variance=variance, df=degrees_of_freedom(error, len(count))).quantile(0.025)
    return float(min(len(y), rate * (1 - rate) / variance * (1.959963984540054 / t) ** 2))


class _Points(BaseModel):
    columns: dict[str, list[float | None]]
    reason: str | None = None


_KINDS: dict[str, tuple[Callable[..., pl.DataFrame], tuple[str, ...]]] = {
    "roc": (roc_points, ("fpr", "tpr", "threshold")),
    "pr": (pr_points, ("recall", "precision", "threshold")),
    "calibration": (calibration_points, ("predicted", "observed", "low", "high", "rows")),
}


def curve_points(runs: Sequence[RunRecord], kind: CurveKind, split: Split = "test") -> pl.DataFrame:
    """The curve of each run: run_id, configuration, seed, and the columns of `{roc,pr,calibration}_points`.

    Cached on disk by run. Runs whose curve is undefined, or that were imported without the split, give no rows.

    Raises:
        UsageError: a run has no predictions.
    """
    compute, names = known_entry(kind, _KINDS, "is no curve")
    frames = []
    for run in runs:
        if imported_without(run, split):
            continue

        def points(run: RunRecord = run) -> _Points:
            frame = load_predictions(run.run_id, split)
            try:
                users = (frame["user"].to_numpy(),) if kind == "calibration" else ()
                found = compute(frame["label"], frame["logit"], *users)
                return _Points(columns=found.to_dict(as_series=False))
            except Undefined as reason:
                return _Points(columns={}, reason=str(reason))

        found = cached("curves", [kind, split, run.run_id, run.ended], _Points, points)
        if found.reason is None:
            points_of_run = pl.DataFrame(found.columns, schema=dict.fromkeys(names, pl.Float64), strict=False)
            frames.append(
                points_of_run.select(
                    pl.lit(run.run_id).alias("run_id"),
                    pl.lit(run.configuration).alias("configuration"),
                    pl.lit(run.seed, pl.Int64).alias("seed"),
                    *names,
                )
            )
    who = {"run_id": pl.String, "configuration": pl.String, "seed": pl.Int64}
    empty = pl.DataFrame(schema={**who, **dict.fromkeys(names, pl.Float64)})
    return pl.concat([empty, *frames])
