"""The predictions that runs left behind, and whether those of two runs are of the same rows."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

import polars as pl
from pydantic import BaseModel

from mdaf_core.data.schema import Split
from mdaf_core.errors import StudioError
from mdaf_core.evaluation import metrics
from mdaf_core.evaluation.cache import cached, cached_array
from mdaf_core.evaluation.metrics import Floats
from mdaf_core.tracking import RunRecord, artifact

# Metrics that are means of a value a row has (the last two linearised): their sampling error over rows and users is
# known in closed form.
ROW_METRICS = ("auc", "gauc", "logloss", "brier", "normalised_entropy", "pr_auc")


def load_predictions(run_id: str, split: Split) -> pl.DataFrame:
    """Predictions of a run, one row a row of the split, in the data set's order.

    Columns: row_id, user, label, logit, probability, history_length, timestamp (in the data set's unit), and for gated
    models g, logit_static, logit_sequential, logit_g_mean, logit_g_permuted.

    Raises:
        UsageError: the run has none (yet).
    """
    path = artifact(run_id, f"predictions/{split}.parquet")
    return _read(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _read(path: Path, _mtime: int) -> pl.DataFrame:
    return pl.read_parquet(path)


def difference_of_rows(run: RunRecord, other: RunRecord, split: Split) -> str | None:
    """Why the predictions of two runs cannot be compared, as a sentence, or None if they are of the same rows."""
    if run.fingerprint != other.fingerprint:
        return (
            f"Run {run.run_id[:8]} is on data set {run.dataset!r} ({run.fingerprint[:8]}), run {other.run_id[:8]} on "
            f"{other.dataset!r} ({other.fingerprint[:8]}): different data cannot be compared."
        )
    mine, theirs = _rows_of(run.run_id, split), _rows_of(other.run_id, split)
    if mine.rows != theirs.rows or mine.ids != theirs.ids:
        return (
            f"The {split} rows of run {run.run_id[:8]} ({mine.rows:,}) are not those of run {other.run_id[:8]} "
            f"({theirs.rows:,}): only predictions of the same rows can be compared."
        )
    if mine.labels != theirs.labels:
        return f"The {split} rows of runs {run.run_id[:8]} and {other.run_id[:8]} have different labels."
    return None


class _RowDigest(BaseModel):
    """Which rows a run's predictions are of: their number, and digests of their ids in order and of their labels."""

    rows: int
    ids: str
    labels: str


def _rows_of(run_id: str, split: Split) -> _RowDigest:
    path = artifact(run_id, f"predictions/{split}.parquet")
    return _digest(run_id, split, path.stat().st_mtime_ns)


@lru_cache(maxsize=2000)
def _digest(run_id: str, split: Split, mtime: int) -> _RowDigest:
    def compute() -> _RowDigest:
        frame = load_predictions(run_id, split)
        ids, labels = (hashlib.sha256(frame[name].to_numpy().tobytes()).hexdigest() for name in ("row_id", "label"))
        return _RowDigest(rows=len(frame), ids=ids, labels=labels)

    return cached("rows", [run_id, split, mtime], _RowDigest, compute)


def row_values(run_id: str, split: Split, metric: str) -> Floats:
    """(N,) values whose mean over rows (those not NaN) is the metric: placements (AUC), users' AUCs, losses.

    For AUC the mean over the rows of either label is the AUC. Kept on disk, read-only.

    Raises:
        Undefined: AUC of one label.
    """
    path = artifact(run_id, f"predictions/{split}.parquet")
    return _row_values(run_id, split, metric, path.stat().st_mtime_ns)


@lru_cache(maxsize=24)
def _row_values(run_id: str, split: Split, metric: str, mtime: int) -> Floats:
    key = [run_id, split, metric, mtime]
    return cached_array("row-values", key, lambda: _compute_row_values(run_id, split, metric))


def _compute_row_values(run_id: str, split: Split, metric: str) -> Floats:
    frame = load_predictions(run_id, split)
    label, logit = frame["label"].to_numpy(), frame["logit"].to_numpy()
    if metric == "auc":
        return metrics.placements(label, logit)[0]
    if metric == "gauc":
        return metrics.user_auc(label, logit, frame["user"].to_numpy())
    if metric == "logloss":
        return metrics.row_loss(label, logit)
    if metric == "brier":
        return (metrics.sigmoid(logit) - label) ** 2
    if metric == "normalised_entropy":
        return metrics.normalised_entropy_values(label, logit)
    if metric == "pr_auc":
        return metrics.pr_auc_values(label, logit)
    raise StudioError(f"{metric!r} is not a mean over rows.")
