"""From runs to the tidy frames of learning curves and of how train and validation come apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import polars as pl

from mdaf_core.runs.results import EpochMetrics

if TYPE_CHECKING:
    from mdaf_core.analysis.overfitting import AUCKind, EpochRule
    from mdaf_core.runs.tracking import RunRecord


_SCHEMA: dict[str, type[pl.DataType]] = {
    "run_id": pl.String,
    "configuration": pl.String,
    "seed": pl.Int64,
    "state": pl.String,
    "best": pl.Boolean,
    **{name: pl.Int64 if name == "epoch" else pl.Float64 for name in EpochMetrics.model_fields},
}
TITLES = {
    "train_loss": "Train loss", "val_loss": "Validation loss", "train_auc_online": "Train AUC, while training",
    "train_auc_eval": "Train AUC, evaluation mode", "val_auc": "Validation AUC", "val_logloss": "Validation log loss",
    "gap_online": "Gap, while training", "gap_eval": "Gap, evaluation mode", "lr": "Learning rate",
    "grad_norm": "Gradient norm", "gate_mean": "Mean g on validation rows", "seconds": "Seconds of an epoch",
    "rows_per_second": "Rows/s",
}  # fmt: skip
"""What is recorded of each epoch, as axes name it."""
AXES = {"epoch": "Epoch", "rows": "Training rows seen", "time": "Time, s"}
"""What learning curves can be drawn over; time is that of the epochs, evaluation included."""


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


def with_axes(frame: pl.DataFrame, rows: int | None) -> pl.DataFrame:
    """`epochs` with what curves can be drawn over beside the epoch: `time`, seconds since the run's first epoch began,
    and `rows`, those trained on so far.

    Args:
        rows: of training; None: not known (its data are gone), and neither is `rows`.
    """
    return frame.with_columns(
        time=pl.col("seconds").cum_sum().over("run_id", order_by="epoch"),
        rows=(pl.col("epoch") * rows).cast(pl.Float64) if rows is not None else pl.lit(None, pl.Float64),
    )


def smoothed(frame: pl.DataFrame, metrics: Sequence[str], weight: float) -> pl.DataFrame:
    """`epochs` with metrics smoothed within each run: the mean of the epochs so far, each counting `weight` times as
    much as the one after it. Weight 0 leaves them as they are."""
    if not weight:
        return frame
    return frame.with_columns(
        pl.col(name).ewm_mean(alpha=1 - weight, adjust=True, ignore_nulls=True).over("run_id", order_by="epoch")
        for name in metrics
    )


def best_epoch(run: RunRecord, recorded: Sequence[EpochMetrics]) -> int | None:
    """The epoch whose weights a run keeps; None before the first."""
    result = run.result
    if result is not None:
        return result.best_epoch
    measured = [e for e in recorded if e.val_auc is not None]
    return max(measured, key=lambda e: (e.val_auc or 0.0, -e.epoch)).epoch if measured else None


def curves(frame: pl.DataFrame, names: Mapping[str, str], axis: str = "epoch") -> tuple[pl.DataFrame, pl.DataFrame]:
    """Members and bands of some metrics, as `charts.learning_curves` takes them.

    The mean over seeds goes only as far as every seed of the configuration does: beyond, runs that stopped early would
    drop out and bend it. It is of the finished runs (of the running ones while none has finished); failed and cancelled
    runs are members without a part in it. `sd` is null with one seed.

    Args:
        frame: from `epochs`.
        names: metric (column) → name of its curve.
        axis: one of `AXES`, of `with_axes`; a band lies where its seeds are on average.
    """
    index = dict.fromkeys(["run_id", "configuration", "seed", "state", "epoch", "best", axis])
    members = (
        frame.unpivot(
            on=list(names),
            index=list(index),
            variable_name="metric",
            value_name="value",
        )
        .drop_nulls("value")
        .with_columns(curve=pl.col("metric").replace_strict(dict(names), return_dtype=pl.String))
        .drop("metric")
    )
    seeds = pl.col("run_id").n_unique()
    some_finished = (pl.col("state") == "finished").any().over("configuration")
    counted = pl.when(some_finished).then(pl.lit("finished")).otherwise(pl.lit("running"))
    sound = members.filter(pl.col("state") == counted)
    total = sound.group_by("configuration", "curve").agg(total=seeds)
    bands = (
        sound.group_by("configuration", "curve", "epoch", maintain_order=True)
        .agg(
            seeds=seeds,
            mean=pl.col("value").mean(),
            sd=pl.col("value").std(),
            **({} if axis == "epoch" else {axis: pl.col(axis).mean()}),
        )
        .join(total, on=["configuration", "curve"])
        .filter(pl.col("seeds") == pl.col("total"))
        .with_columns(low=pl.col("mean") - pl.col("sd"), high=pl.col("mean") + pl.col("sd"))
        .drop("total")
        .sort("configuration", "curve", "epoch")
    )
    return members, bands


def reported(names: Mapping[str, str]) -> pl.DataFrame:
    """The report's own curves of some metrics: label (says that it was not run here), curve, epoch, value."""
    from mdaf_core.analysis.reported import LABEL, reported_curves

    curve = pl.col("curve").replace_strict(dict(names), return_dtype=pl.String)
    model = pl.col("label").str.strip_suffix(f" ({LABEL})")
    return reported_curves(*names).with_columns(
        label=model + pl.lit(", reported, not run here"),
        curve=curve,
    )


def side_by_side(
    runs: Sequence[RunRecord], names: Sequence[str], rule: EpochRule, kind: AUCKind
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Configurations or reported curves by one epoch rule.

    Args:
        names: of configurations among the runs, or of `reported.CURVES` (their train AUC is `online`).

    Returns:
        One row a name: Curves, Runs, Epoch, Train AUC, Val AUC, Gap; and the curves (means over seeds as far as every
        seed goes): label, curve, epoch, value.
    """
    from mdaf_core.analysis import reported
    from mdaf_core.analysis.overfitting import EpochCurve, at_epoch

    rows, points = [], []
    for name in names:
        sides: Sequence[Sequence[EpochCurve]] = (
            [reported.CURVES[name]] if name in reported.CURVES else [r.epochs for r in runs if r.configuration == name]
        )
        found = at_epoch(name, sides, rule, kind)
        if found is None:
            continue
        rows.append((found.label, found.runs, found.epoch, found.train_auc, found.val_auc, found.gap))
        whole = [side for side in sides if side]
        for step in zip(*whole, strict=False):
            for curve, field in (("validation", "val_auc"), ("train", f"train_auc_{kind}")):
                values = [v for e in step if (v := getattr(e, field, None)) is not None]
                if len(values) == len(step):
                    points.append((name, curve, step[0].epoch, sum(values) / len(values)))
    columns = {"Curves": pl.String, "Runs": pl.Int64}
    columns |= dict.fromkeys(("Epoch", "Train AUC", "Val AUC", "Gap"), pl.Float64)
    schema = {"label": pl.String, "curve": pl.String, "epoch": pl.Int64, "value": pl.Float64}
    return pl.DataFrame(rows, schema=columns, orient="row"), pl.DataFrame(points, schema=schema, orient="row")


_OVERFITTING = {
    "best_epoch": "Best epoch",
    "best_val_auc": "Val AUC at best",
    "turn_down_epoch": "Turned at",
    "gap_best": "Gap at best",
    "gap_last": "Gap at last",
    "area_after_best": "Area after best",
    "kept_by_best": "Best minus last, bp",
    "epochs_after_best": "Epochs after best",
    "epochs_saved": "Epochs saved",
    "seconds_saved": "Time saved, s",
}


def overfitting(runs: Sequence[RunRecord], kind: str, each: bool) -> pl.DataFrame:
    """How each configuration (means over seeds), or each run, came apart; `kind` of train AUC: eval or online.

    Columns as people read them; AUC and gaps in AUC, `Best minus last` in bp.
    """
    from mdaf_core.analysis.overfitting import overfitting_table

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
