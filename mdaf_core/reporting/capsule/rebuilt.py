"""A study's material from a record and predictions alone, in a folder of its own: the code of pages and papers runs on
it as on any study, and finds nothing else."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from mdaf_core.analysis.items import remember_items
from mdaf_core.base.settings import artifacts_in
from mdaf_core.metrics.values import clusters
from mdaf_core.reporting.capsule.record import CarriedRun, Record
from mdaf_core.reporting.capsule.scores import Columns, frame_of
from mdaf_core.reporting.material import Known, Material
from mdaf_core.runs.files import run_directory, write_result
from mdaf_core.runs.results import SplitMetrics
from mdaf_core.runs.split_metrics import split_metrics


@contextmanager
def rebuilt(record: Record, scores: Mapping[str, Columns]) -> Iterator[Material]:
    """The material of a capsule's study, while its files are there. Metrics are computed from the predictions."""
    with tempfile.TemporaryDirectory(prefix="capsule-") as folder, artifacts_in(Path(folder)):
        for run in record.scored:
            _write(run, record, scores[run.facts["run_id"]])
        records = record.records()
        if record.items is not None and (first := next((r for r in records if r.state == "finished"), None)):
            remember_items(first, record.split, record.items)
        known = Known(
            records=records, ledger=pl.DataFrame(record.ledger, infer_schema_length=None),
            conditions=record.conditions, data=record.data, audit=record.audit, budgets=record.budgets,
        )  # fmt: skip
        yield Material(record.study, split=record.split, metric=record.metric, margin=record.margin, known=known)


def _write(run: CarriedRun, record: Record, columns: Columns) -> None:
    run_id = run.facts["run_id"]
    path = run_directory(run_id) / "predictions" / f"{record.split}.parquet"
    path.parent.mkdir(parents=True)
    frame_of(columns).write_parquet(path)
    assert run.result is not None
    write_result(run_id, run.result.model_copy(update={record.split: metrics_of(columns)}))


def metrics_of(columns: Columns) -> SplitMetrics:
    """All metrics of a run from its predictions."""
    user = columns["user"]
    return split_metrics(columns["label"], columns["logit"], None if clusters(user) is None else user)
