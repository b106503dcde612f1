"""The gradient-boosted baseline: LightGBM on target encodings and counts (Ke et al. 2017, LightGBM).

An "epoch" of this model is a batch of trees, so that its curves, its early stopping and its tables are those of the
other models.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import polars as pl

from mdaf_core.base.files import keep, write_text
from mdaf_core.data.batches.gather import match_features, match_names
from mdaf_core.data.batches.outcomes import outcome_names
from mdaf_core.data.batches.variants import with_histories_of
from mdaf_core.data.store.dataset import PreparedDataset, Rows
from mdaf_core.data.store.schema import EVALUATED, UNKNOWN, DatasetMeta, Split
from mdaf_core.metrics.auc import auc
from mdaf_core.metrics.log_loss import log_loss
from mdaf_core.metrics.values import Undefined
from mdaf_core.models.gbdt import GBDTConfig
from mdaf_core.runs.config import RunConfig
from mdaf_core.runs.progress import Monitor, Progress
from mdaf_core.runs.results import EpochMetrics
from mdaf_core.runs.schedule import best_epoch, quality, stop_reason, trees_by_epoch
from mdaf_core.training.replaced import history_columns
from mdaf_core.training.trainer import sample_of_training_rows

MODEL = "model.txt"


def feature_names(config: GBDTConfig, dataset: PreparedDataset) -> list[str]:
    """Names of the columns of `features`, each once, as LightGBM takes them."""
    spec = dataset.meta.features()
    encoded = [f"{name}_{what}" for name in spec.categorical for what in ("click_rate", "log_rows")]
    matches = match_names(spec.history) if config.match_features else []
    if config.match_features and config.outcomes:
        matches += outcome_names(spec.history, dataset.meta.outcomes)
    return _for_lightgbm([*encoded, *spec.numeric, *matches])


def _for_lightgbm(names: Iterable[str]) -> list[str]:
    """Names that LightGBM takes: it refuses one that stands twice (a number of the user's that is called
    `history_length`) and marks of JSON (in words of the data, such as outcomes), and writes '_' for a blank."""
    found: dict[str, None] = {}
    for name in names:
        plain = re.sub(r'[\s",:\[\]{}]', "_", name)
        apart, n = plain, 2
        while apart in found:
            apart, n = f"{plain}_{n}", n + 1
        found[apart] = None
    return list(found)


def features(
    config: GBDTConfig, dataset: PreparedDataset, split: Split, max_history: int, match_events: int | None = None
) -> np.ndarray:
    """Inputs of one split, (N, features) float32.

    For each categorical field the smoothed click rate and the log count of the row's id (Micci-Barreca 2001), counted
    over training rows. A training row counts only training rows **strictly earlier** than itself (those before it in
    file order where rows carry no time), so that neither its own label nor a later one enters its inputs: ordered
    target statistics (Prokhorenkova et al. 2018, CatBoost, section 3.2). Then numeric fields and match features.
    """
    meta, train = dataset.meta, dataset.rows("train")
    matches = None
    if config.match_features and meta.history_fields:
        matches = match_features(
            dataset, split, max_history=max_history, match_events=match_events, outcomes=config.outcomes
        )
    if split != "train":
        return inputs(config, meta, dataset.rows(split), Encodings.of(dataset), matches)
    prior = _prior(train.label)
    counts = (
        _earlier_counts(train.columns[name], train.label, train.timestamp, meta.has_time) for name in meta.categorical
    )
    return _matrix(config, meta, train, counts, prior, matches)


@dataclass(frozen=True)
class Encodings:
    """What training rows tell of ids: the share of clicks, and by field the clicks and the rows of each code."""

    prior: float
    clicks: dict[str, np.ndarray]
    rows: dict[str, np.ndarray]

    @classmethod
    def of(cls, dataset: PreparedDataset) -> Encodings:
        train, sizes = dataset.rows("train"), dataset.meta.categorical
        columns = {name: train.columns[name] for name in sizes}
        return cls(
            _prior(train.label),
            {name: np.bincount(codes, train.label, sizes[name]) for name, codes in columns.items()},
            {name: np.bincount(codes, minlength=sizes[name]).astype(np.float64) for name, codes in columns.items()},
        )

    def counts(self, name: str, code: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N,) clicks and rows of these codes; 0 where the id is unknown."""
        known = code > UNKNOWN
        return np.where(known, self.clicks[name][code], 0.0), np.where(known, self.rows[name][code], 0.0)


def inputs(
    config: GBDTConfig, meta: DatasetMeta, rows: Rows, encodings: Encodings, matches: np.ndarray | None
) -> np.ndarray:
    """`features` of rows that are not training rows; `matches`: their match features, where the model reads them."""
    counts = (encodings.counts(name, rows.columns[name]) for name in meta.categorical)
    return _matrix(config, meta, rows, counts, encodings.prior, matches)


def _prior(label: np.ndarray) -> float:
    return float(np.mean(label)) if len(label) else 0.5


def _matrix(
    config: GBDTConfig,
    meta: DatasetMeta,
    rows: Rows,
    counts: Iterable[tuple[np.ndarray, np.ndarray]],
    prior: float,
    matches: np.ndarray | None,
) -> np.ndarray:
    columns = []
    for clicks, count in counts:
        columns += [(clicks + config.smoothing * prior) / (count + config.smoothing + 1e-12), np.log1p(count)]
    columns += [rows.columns[name].astype(np.float64) for name in meta.numeric]
    matrix = np.stack(columns, axis=1).astype(np.float32) if columns else np.empty((len(rows), 0), np.float32)
    return matrix if matches is None else np.concatenate([matrix, matches], axis=1)


def _earlier_counts(
    code: np.ndarray, label: np.ndarray, timestamp: np.ndarray, has_time: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Clicks and rows with the same code at strictly earlier times, for each row; float64 (N,)."""
    time_key = timestamp if has_time else np.arange(len(code))
    frame = pl.DataFrame({"code": code, "time": time_key, "label": label.astype(np.int64)}).with_row_index("row")
    moments = (
        frame.group_by("code", "time")
        .agg(pl.len().alias("n"), pl.col("label").sum().alias("clicks"))
        .sort("code", "time")
        .with_columns(
            (pl.col("n").cum_sum().over("code") - pl.col("n")).alias("before"),
            (pl.col("clicks").cum_sum().over("code") - pl.col("clicks")).alias("clicks_before"),
        )
    )
    joined = frame.join(moments, on=["code", "time"], how="left").sort("row")
    return joined["clicks_before"].to_numpy().astype(np.float64), joined["before"].to_numpy().astype(np.float64)


def train_gbdt(
    config: RunConfig,
    dataset: PreparedDataset,
    seed: int,
    directory: Path,
    *,
    threads: int,
    run_id: str,
    epochs: list[EpochMetrics],
    monitor: Monitor,
    on_epoch: Callable[[list[EpochMetrics]], None],
) -> tuple[dict[Split, dict[str, np.ndarray]], int, float]:
    """Train; returns columns as `predict` does of `val` and `test`, leaves as parameter count, and rows per second.

    An interrupted training starts again: it takes seconds, and gives the same trees.
    """
    model = config.model
    assert isinstance(model, GBDTConfig)
    epochs.clear()
    reads = config.training.max_history, config.training.match_events
    monitor.tick(lambda: Progress(run_id=run_id, phase="encoding"), force=True)
    x = {split: features(model, dataset, split, *reads) for split in ("train", "val", "test")}
    y = {split: dataset.rows(split).label for split in ("train", "val")}
    sample = sample_of_training_rows(dataset)
    rounds, total = trees_by_epoch(model.max_rounds)
    parameters: dict[str, Any] = {
        "objective": "binary",
        "metric": "none",
        "num_leaves": model.num_leaves,
        "learning_rate": model.learning_rate,
        "min_data_in_leaf": model.min_data_in_leaf,
        "feature_fraction": 0.8,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "seed": seed % 2**31,  # LightGBM's are 32 bits with a sign
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": threads,
        "verbosity": -1,
    }
    data = lgb.Dataset(x["train"], y["train"], feature_name=feature_names(model, dataset), free_raw_data=False)
    booster = lgb.Booster(parameters, data)
    spent = 0.0
    while not epochs or stop_reason(epochs, config.training, total) is None:
        start = time.perf_counter()
        for _ in range(rounds):
            booster.update()
            monitor.tick(
                lambda: Progress(
                    run_id=run_id,
                    epoch=len(epochs) + 1,
                    max_epochs=total,
                    step=booster.current_iteration(),
                    steps=total * rounds,
                    best_val_auc=max((quality(e) for e in epochs if e.val_auc is not None), default=None),
                )
            )
        trained = time.perf_counter() - start
        spent += trained
        logit = {
            "train": np.asarray(booster.predict(x["train"][sample], raw_score=True)),
            "val": np.asarray(booster.predict(x["val"], raw_score=True)),
        }
        train_auc, val_auc = _auc(y["train"][sample], logit["train"]), _auc(y["val"], logit["val"])
        loss = log_loss(y["val"], logit["val"])
        epochs.append(
            EpochMetrics(
                epoch=len(epochs) + 1,
                lr=model.learning_rate,
                train_loss=log_loss(y["train"][sample], logit["train"]),
                val_loss=loss,
                train_auc_eval=train_auc,
                val_auc=val_auc,
                val_logloss=loss,
                gap_eval=None if train_auc is None or val_auc is None else train_auc - val_auc,
                seconds=time.perf_counter() - start,
                rows_per_second=len(x["train"]) * rounds / trained,
            )
        )
        on_epoch(epochs)
    trees = best_epoch(epochs) * rounds
    text = booster.model_to_string(num_iteration=trees)
    keep(directory / MODEL, lambda: write_text(directory / MODEL, text))
    columns: dict[Split, dict[str, np.ndarray]] = {
        split: predict_gbdt(booster, config, dataset, split, x[split], trees) for split in EVALUATED
    }
    leaves = sum(tree["num_leaves"] for tree in booster.dump_model(num_iteration=trees)["tree_info"])
    return columns, leaves, len(x["train"]) * len(epochs) * rounds / spent


def predict_gbdt(
    booster: lgb.Booster,
    config: RunConfig,
    dataset: PreparedDataset,
    split: Split,
    inputs: np.ndarray | None = None,
    trees: int | None = None,
) -> dict[str, np.ndarray]:
    """What `predict` returns for a neural model, of the first `trees` (all); `inputs`: `features`, where known."""
    model, rows = config.model, dataset.rows(split)
    most, apart = config.training.max_history, config.training.match_events
    assert isinstance(model, GBDTConfig)
    known = features(model, dataset, split, most, apart) if inputs is None else inputs

    def ask(matrix: np.ndarray) -> np.ndarray:
        return np.asarray(booster.predict(matrix, raw_score=True, num_iteration=trees), np.float64)

    def with_histories(donor: np.ndarray | None) -> np.ndarray:
        given = with_histories_of(rows, donor)
        matches = match_features(dataset, split, None, most, given, apart, model.outcomes)
        return ask(np.concatenate([known[:, : -matches.shape[1]], matches], axis=1))

    columns = {"logit": ask(known)}
    if model.match_features and dataset.meta.history_fields and len(rows):
        columns |= history_columns(with_histories, rows.label, rows.user)
    return columns


def _auc(label: np.ndarray, logit: np.ndarray) -> float | None:
    try:
        return auc(label, logit)
    except Undefined:
        return None
