"""The predictions that runs left behind, and whether those of two runs are of the same rows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from pydantic import BaseModel

from mdaf_core.base.cache import cached, cached_array
from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.base.files import new_file, reading
from mdaf_core.data.store.dataset import PreparedDataset, Rows
from mdaf_core.data.store.schema import Split
from mdaf_core.metrics import registry
from mdaf_core.metrics.values import Codes, Floats, clusters
from mdaf_core.runs.files import again
from mdaf_core.runs.results import SplitMetrics
from mdaf_core.runs.split_metrics import split_metrics
from mdaf_core.runs.tracking import RunRecord, artifact

_DRAWN = ("static_only", "sequential_only", "g_shuffled", "g_within_user", "other_history")
REPLACED_COLUMNS = (
    "g", "logit_static", "logit_sequential", "contribution_static", "contribution_sequential", "logit_g_median",
    "logit_branches", "logit_g_additive", "logit_no_history",
    *(f"{kind}_{name}" for name in _DRAWN for kind in ("placement", "wins")),
)  # fmt: skip
"""What is kept of a model's answers beside its prediction; `replaced.py` says what each is."""

COLUMNS = ("row_id", "user", "label", "logit", "probability", "history_length", "timestamp")

Units = Literal["users", "items", "pairs of user and item"]


@dataclass(frozen=True, eq=False)
class ScoredRun(RunRecord):
    """Scores of any origin as a finished run: in memory alone, and of one set of rows, whatever split is asked for.

    Attributes:
        scores: row_id, user (codes; one alone: the rows have no users), label, logit, and item (codes) where it is
            known. Runs that are compared hold the same rows in the same order.
    """

    scores: pl.DataFrame = field(default_factory=pl.DataFrame, repr=False)
    kept: dict[Any, Any] = field(default_factory=dict, repr=False)

    def metrics(self, split: Split) -> SplitMetrics | None:
        if "metrics" not in self.kept:
            label, logit, user = (self.scores[name].to_numpy() for name in ("label", "logit", "user"))
            self.kept["metrics"] = split_metrics(label, logit, None if clusters(user) is None else user)
        return self.kept["metrics"]


def predictions_of(run: RunRecord, split: Split) -> pl.DataFrame:
    """`load_predictions` of a run, or the scores of one in memory."""
    return run.scores if isinstance(run, ScoredRun) else load_predictions(run.run_id, split)


def imported_without(run: RunRecord, split: Split) -> bool:
    """Whether a run was imported without predictions of a split: it has no part in what is shown of that split."""
    return run.imported and not (run.directory / "predictions" / f"{split}.parquet").exists()


def load_predictions(run_id: str, split: Split) -> pl.DataFrame:
    """Predictions of a run, one row a row of the split, in the data set's order.

    Columns: row_id, user, label, logit, probability, history_length, timestamp (in the data set's unit), and for gated
    models g, logit_static, logit_sequential, logit_g_mean, logit_g_permuted.

    Raises:
        UsageError: the run has none (yet).
        DamagedFileError: they cannot be read.
    """
    path = artifact(run_id, f"predictions/{split}.parquet")
    with reading(path, again(run_id)):
        return _read(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _read(path: Path, _mtime: int) -> pl.DataFrame:
    found = pl.read_parquet(path)
    missing = [name for name in COLUMNS if name not in found.columns]
    if missing:
        raise ValueError(f"no column {', '.join(missing)}")
    return found


def write_predictions(path: Path, rows: Rows, columns: dict[str, np.ndarray], max_history: int) -> None:
    """Predictions of one split as Parquet; row order is that of the data set."""
    logit = columns["logit"]
    length = np.minimum(rows.history_end - rows.history_start, max_history)
    frame = pl.DataFrame(
        {
            "row_id": rows.row_id.astype(np.int64),
            "user": rows.user.astype(np.int64),
            "label": rows.label.astype(np.uint8),
            "timestamp": rows.timestamp.astype(np.int64),
            "history_length": length.astype(np.int32),
            "logit": logit,
            "probability": np.exp(-np.logaddexp(0.0, -logit)),
            **{name: columns[name] for name in REPLACED_COLUMNS if name in columns},
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with new_file(path) as aside:
        frame.write_parquet(aside)


def difference_of_rows(run: RunRecord, other: RunRecord, split: Split) -> str | None:
    """Why the predictions of two runs cannot be compared, as a sentence, or None if they are of the same rows."""
    if run.fingerprint != other.fingerprint:
        return (
            f"Run {run.run_id[:8]} is on data set {run.dataset!r} ({run.fingerprint[:8]}), run {other.run_id[:8]} on "
            f"{other.dataset!r} ({other.fingerprint[:8]}): different data cannot be compared."
        )
    if isinstance(run, ScoredRun):
        return None
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


def dataset_of(run: RunRecord, split: Split) -> PreparedDataset:
    """The data set a run was trained on, made sure to be the same still.

    Raises:
        StudioError: it is gone, or was prepared anew with other content since.
    """
    try:
        dataset = PreparedDataset.open(run.dataset)
    except UsageError:
        raise StudioError(
            f"Data set {run.dataset!r} of run {run.run_id[:8]} is no longer here: what needs its ids cannot be shown."
        ) from None
    recorded = run.result.provenance.get("dataset", {}).get("fingerprint") if run.result else None
    ids, frame = dataset.row_ids(split), load_predictions(run.run_id, split)
    same = len(ids) == len(frame) and np.array_equal(ids, frame["row_id"].to_numpy())
    if not same or (recorded is not None and recorded != dataset.meta.fingerprint):
        raise StudioError(
            f"Data set {run.dataset!r} was prepared anew with other content since run {run.run_id[:8]} was trained: "
            "what needs its ids cannot be shown for this run."
        )
    return dataset


def sampling_errors(
    run: RunRecord, split: Split, metric: str, by: Units = "users", units: Codes | None = None
) -> Floats:
    """(K,) sampling errors of a metric of a run over users (rows, where there are none); see `jackknife`.

    Kept on disk, read-only; of a run in memory in memory.

    Args:
        by, units: other sampling units than users, and the (N,) codes of the rows' units.

    Raises:
        Undefined: there are none, as a sentence.
    """

    def compute() -> Floats:
        frame = predictions_of(run, split)
        label, logit, user = (frame[name].to_numpy() for name in ("label", "logit", "user"))
        return registry.sampling_errors(metric, label, logit, clusters(user), units)

    if isinstance(run, ScoredRun):
        if (metric, by) not in run.kept:
            run.kept[metric, by] = compute()
        return run.kept[metric, by]
    path = artifact(run.run_id, f"predictions/{split}.parquet")
    key = [run.run_id, split, registry.definition(metric), by, path.stat().st_mtime_ns]
    return cached_array("sampling-errors", key, compute)
