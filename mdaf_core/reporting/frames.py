"""From runs to the tidy frames that charts draw. Nothing is estimated here beyond a mean and a standard deviation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import polars as pl

from mdaf_core.training.results import EpochMetrics

if TYPE_CHECKING:
    from mdaf_core.tracking import RunRecord

_SCHEMA: dict[str, type[pl.DataType]] = {
    "run_id": pl.String,
    "configuration": pl.String,
    "seed": pl.Int64,
    "state": pl.String,
    "best": pl.Boolean,
    **{name: pl.Int64 if name == "epoch" else pl.Float64 for name in EpochMetrics.model_fields},
}


def epochs(runs: Sequence[RunRecord]) -> pl.DataFrame:
    """One row a run and epoch: run_id, configuration, seed, state, best, and every field of `EpochMetrics`.

    `best` marks the epoch whose weights were kept: of a finished run its `best_epoch`, else the highest validation AUC
    so far.
    """
    rows = []
    for run in runs:
        recorded = run.epochs
        best = best_epoch(run, recorded)
        for epoch in recorded:
            rows.append(
                {"run_id": run.run_id, "configuration": run.configuration, "seed": run.seed, "state": run.state}
                | {"best": epoch.epoch == best}
                | epoch.model_dump()
            )
    return pl.DataFrame(rows, schema=_SCHEMA)


def best_epoch(run: RunRecord, recorded: Sequence[EpochMetrics]) -> int | None:
    """The epoch whose weights a run keeps; None before the first."""
    result = run.result
    if result is not None:
        return result.best_epoch
    measured = [e for e in recorded if e.val_auc is not None]
    return max(measured, key=lambda e: (e.val_auc or 0.0, -e.epoch)).epoch if measured else None


def curves(frame: pl.DataFrame, names: Mapping[str, str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Members and bands of some metrics, as `charts.learning_curves` takes them.

    The mean over seeds goes only as far as every seed of the configuration does: beyond, runs that stopped early would
    drop out and bend it. `sd` is null with one seed.

    Args:
        frame: from `epochs`.
        names: metric (column) → name of its curve.
    """
    members = (
        frame.unpivot(
            on=list(names),
            index=["run_id", "configuration", "seed", "epoch", "best"],
            variable_name="metric",
            value_name="value",
        )
        .drop_nulls("value")
        .with_columns(curve=pl.col("metric").replace_strict(dict(names), return_dtype=pl.String))
        .drop("metric")
    )
    seeds = pl.col("run_id").n_unique()
    total = members.group_by("configuration", "curve").agg(total=seeds)
    bands = (
        members.group_by("configuration", "curve", "epoch", maintain_order=True)
        .agg(seeds=seeds, mean=pl.col("value").mean(), sd=pl.col("value").std())
        .join(total, on=["configuration", "curve"])
        .filter(pl.col("seeds") == pl.col("total"))
        .with_columns(low=pl.col("mean") - pl.col("sd"), high=pl.col("mean") + pl.col("sd"))
        .drop("total")
        .sort("configuration", "curve", "epoch")
    )
    return members, bands


def final_metrics(runs: Sequence[RunRecord], split: str) -> pl.DataFrame:
    """One row a finished run: run_id, configuration, seed, and every metric of the best epoch's weights on `split`."""
    rows = []
    for run in runs:
        result = run.result
        if result is None:
            continue
        metrics = (result.val if split == "val" else result.test).model_dump(exclude={"undefined"})
        rows.append({"run_id": run.run_id, "configuration": run.configuration, "seed": run.seed} | metrics)
    return pl.DataFrame(rows, infer_schema_length=None)
