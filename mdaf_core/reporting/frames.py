"""From runs to the tidy frames that charts draw. Nothing is estimated here beyond a mean and a standard deviation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import polars as pl

from mdaf_core.training.results import EpochMetrics

if TYPE_CHECKING:
    from mdaf_core.studies.store import Study
    from mdaf_core.tracking import RunRecord

_SCHEMA: dict[str, type[pl.DataType]] = {
    "run_id": pl.String,
    "configuration": pl.String,
    "seed": pl.Int64,
    "state": pl.String,
    "best": pl.Boolean,
    **{name: pl.Int64 if name == "epoch" else pl.Float64 for name in EpochMetrics.model_fields},
}


def study_runs(study: Study) -> list[RunRecord]:
    """The run that stands for each configuration and seed of a study, configurations outermost, without repeats."""
    from mdaf_core import tracking
    from mdaf_core.studies.status import cells

    by_id = {run.run_id: run for run in tracking.list_runs(study.id)}
    return [by_id[cell.run_id] for cell in cells(study) if cell.run_id in by_id]


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
    drop out and bend it. Failed and cancelled runs are members without a part in the mean. `sd` is null with one seed.

    Args:
        frame: from `epochs`.
        names: metric (column) → name of its curve.
    """
    members = (
        frame.unpivot(
            on=list(names),
            index=["run_id", "configuration", "seed", "state", "epoch", "best"],
            variable_name="metric",
            value_name="value",
        )
        .drop_nulls("value")
        .with_columns(curve=pl.col("metric").replace_strict(dict(names), return_dtype=pl.String))
        .drop("metric")
    )
    seeds = pl.col("run_id").n_unique()
    sound = members.filter(pl.col("state").is_in(["finished", "running"]))
    total = sound.group_by("configuration", "curve").agg(total=seeds)
    bands = (
        sound.group_by("configuration", "curve", "epoch", maintain_order=True)
        .agg(seeds=seeds, mean=pl.col("value").mean(), sd=pl.col("value").std())
        .join(total, on=["configuration", "curve"])
        .filter(pl.col("seeds") == pl.col("total"))
        .with_columns(low=pl.col("mean") - pl.col("sd"), high=pl.col("mean") + pl.col("sd"))
        .drop("total")
        .sort("configuration", "curve", "epoch")
    )
    return members, bands


def reported(names: Mapping[str, str]) -> pl.DataFrame:
    """The report's own curves of some metrics: label (says that it was not run here), curve, epoch, value."""
    from mdaf_core.evaluation.reported import LABEL, reported_curves

    curve = pl.col("curve").replace_strict(dict(names), return_dtype=pl.String)
    model = pl.col("label").str.strip_suffix(f" ({LABEL})")
    return reported_curves(*names).with_columns(
        label=pl.concat_str(model, curve.str.replace(",.*", ""), separator=" ") + pl.lit(", reported, not run here"),
        curve=curve,
    )


_OVERFITTING = {
    "best_epoch": "Best epoch",
    "best_val_auc": "Val AUC at best",
    "turn_down_epoch": "Turned down at",
    "gap_best": "Gap at best",
    "gap_last": "Gap at last",
    "area_after_best": "Area after best",
    "kept_by_best": "Kept by best, bp",
    "epochs_after_best": "Epochs after best",
    "epochs_saved": "Epochs saved",
    "seconds_saved": "Time saved, s",
}


def overfitting(runs: Sequence[RunRecord], kind: str, each: bool) -> pl.DataFrame:
    """How each configuration (means over seeds), or each run, came apart; `kind` of train AUC: eval or online.

    Columns as people read them; AUC and gaps in AUC, `Kept by best` in bp.
    """
    from mdaf_core.evaluation.overfitting import overfitting_table

    table = overfitting_table(runs).rename(
        {f"gap_{kind}_best": "gap_best", f"gap_{kind}_last": "gap_last", f"area_{kind}_after_best": "area_after_best"}
    )
    table = table.with_columns(pl.col("kept_by_best") * 1e4)
    head = {"configuration": "Configuration", "seed": "Seed"}
    if not each:
        table = table.group_by("configuration", maintain_order=True).agg(
            pl.len().alias("seed"), pl.col(*_OVERFITTING).mean()
        )
        head["seed"] = "Seeds"
    return table.select(*head, *_OVERFITTING).rename(head | _OVERFITTING)


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
