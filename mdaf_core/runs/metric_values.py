"""A metric of a finished run: as its file holds it, else from its predictions."""

from __future__ import annotations

import polars as pl
from pydantic import BaseModel

from mdaf_core.base.cache import cached
from mdaf_core.base.errors import StudioError
from mdaf_core.data.store.schema import Split
from mdaf_core.metrics.registry import definition, metric
from mdaf_core.metrics.values import Scored, Undefined, clusters
from mdaf_core.runs.predictions import ScoredRun, load_predictions
from mdaf_core.runs.results import SplitMetrics
from mdaf_core.runs.tracking import RunRecord, artifact


class MetricValue(BaseModel):
    """A value, or the reason why there is none."""

    value: float | None = None
    reason: str = ""


def metric_of(run: RunRecord, split: Split, key: str) -> float | None:
    """A metric of a run at its best epoch; None where it is undefined, or the run has not finished."""
    return metric_value(run, split, key).value


def metric_value(run: RunRecord, split: Split, key: str) -> MetricValue:
    """A metric of a run at its best epoch. What its file does not hold (a metric or a definition newer than the run, or
    a plug-in's) is computed from its stored predictions, and kept on disk."""
    found = run.metrics(split)
    if found is None:
        return MetricValue(reason="The run has no result.")
    if isinstance(run, ScoredRun) and not found.holds(metric(key)):
        return _of(run.scores, key)
    return stored_value(run.run_id, found, split, key)


def stored_value(run_id: str, found: SplitMetrics, split: Split, key: str) -> MetricValue:
    """`metric_value` of the run on disk whose file holds `found`."""
    one = metric(key)
    if found.holds(one):
        return MetricValue(value=found.value(key), reason=found.undefined.get(key, ""))
    try:
        changed = artifact(run_id, f"predictions/{split}.parquet").stat().st_mtime_ns
        place = [run_id, split, definition(key), changed]
        return cached("metrics", place, MetricValue, lambda: _of(load_predictions(run_id, split), key))
    except (StudioError, OSError) as error:
        reason = f"the run's file does not hold it, and there are no predictions to compute it from: {error}"
        return MetricValue(reason=reason)


def _of(frame: pl.DataFrame, key: str) -> MetricValue:
    label, logit, user = (frame[name].to_numpy() for name in ("label", "logit", "user"))
    try:
        return MetricValue(value=metric(key).of(Scored.of(label, logit, clusters(user))))
    except Undefined as reason:
        return MetricValue(reason=str(reason))
