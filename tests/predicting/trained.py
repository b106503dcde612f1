"""Runs with a model in their folder, as a training leaves it: weights as they are drawn, trees grown in a moment."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from mdaf_core.base.files import write_json, write_text
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.runs.presets import get_preset
from mdaf_core.runs.provenance import fingerprint
from mdaf_core.runs.tracking import RunRecord, run_directory
from mdaf_core.training.predict import predict, write_predictions


def make_run(
    dataset: PreparedDataset, preset: str, seed: int = 1, /, settings: dict[str, Any] | None = None, **record: Any
) -> RunRecord:
    """A finished run with configuration, model and test predictions, without the run store."""
    config = get_preset(preset).with_overrides({"training.max_history": 7} | (settings or {}))
    run_id = f"{len(record)}{seed}{abs(hash((dataset.name, preset))):030x}"[:32]
    directory = run_directory(run_id)
    write_json(directory / "config.json", config.model_dump(mode="json"))
    columns = _trees(config, dataset, directory) if config.model.grown else _network(config, dataset, seed, directory)
    write_predictions(directory / "predictions" / "test.parquet", dataset.rows("test"), columns, 7)
    facts = {
        "run_id": run_id, "study": "single-runs", "configuration": config.name, "preset": preset,
        "model": config.model.kind, "seed": seed, "dataset": dataset.name, "fingerprint": fingerprint(dataset),
        "state": "finished", "reason": "", "started": 0.0, "ended": 1.0,
    }  # fmt: skip
    return RunRecord(**facts | record)


def _network(config: Any, dataset: PreparedDataset, seed: int, directory: Any) -> dict[str, np.ndarray]:
    import torch

    from mdaf_core.models.registry import build_model
    from mdaf_core.models.weights import save_weights

    torch.manual_seed(seed)
    model = build_model(config.model, dataset.meta.features())
    with torch.no_grad():  # what starts at zero would hide what it reads
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    save_weights(model, directory / "weights.safetensors")
    return predict(model, dataset, "test", config.training)


def _trees(config: Any, dataset: PreparedDataset, directory: Any) -> dict[str, np.ndarray]:
    import lightgbm as lgb

    from mdaf_core.training.gbdt import MODEL, features

    x = {split: features(config.model, dataset, split, config.training.max_history) for split in ("train", "test")}
    settings = {"objective": "binary", "num_leaves": 7, "min_data_in_leaf": 5, "num_threads": 1, "verbosity": -1}
    booster = lgb.train(settings, lgb.Dataset(x["train"], dataset.rows("train").label), 15)
    write_text(directory / MODEL, booster.model_to_string())
    return {"logit": np.asarray(booster.predict(x["test"], raw_score=True), np.float64)}


def stored(run: RunRecord) -> pl.DataFrame:
    return pl.read_parquet(run_directory(run.run_id) / "predictions" / "test.parquet")
