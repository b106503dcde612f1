"""Runs made by hand: records and files as a training leaves them, without training and without the run store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.special import expit

from mdaf_core.base.files import write_json
from mdaf_core.runs.presets import get_preset
from mdaf_core.runs.results import EpochMetrics, RunResult
from mdaf_core.runs.split_metrics import split_metrics
from mdaf_core.runs.tracking import RunRecord, run_directory


@pytest.fixture
def make_run(home) -> Callable[..., RunRecord]:
    """A finished run with predictions on both splits (`label`, `logit`, `user` of the test split)."""
    made = 0

    def make(
        configuration: str,
        seed: int,
        label: np.ndarray,
        logit: np.ndarray,
        user: np.ndarray | None = None,
        preset: str = "mdaf-full",
        columns: dict[str, np.ndarray] | None = None,
        epochs: list[EpochMetrics] | None = None,
        fingerprint: str = "f" * 16,
        row_id: np.ndarray | None = None,
        timestamp: np.ndarray | None = None,
        history_length: np.ndarray | None = None,
        dataset: str = "toy",
        **record: Any,
    ) -> RunRecord:
        nonlocal made
        made += 1
        n = len(label)
        run_id = f"{made:032x}"
        user = np.arange(n) if user is None else user
        directory = run_directory(run_id)
        (directory / "predictions").mkdir(parents=True)
        frame = pl.DataFrame(
            {
                "row_id": np.arange(n) if row_id is None else row_id,
                "user": user.astype(np.int64),
                "label": label.astype(np.uint8),
                "timestamp": np.arange(n) if timestamp is None else timestamp,
                "history_length": np.zeros(n, np.int32) if history_length is None else history_length,
                "logit": logit,
                "probability": expit(logit),
                **(columns or {}),
            }
        )
        for split in ("val", "test"):
            frame.write_parquet(directory / "predictions" / f"{split}.parquet")
        config = get_preset(preset)
        config.name = configuration
        metrics = split_metrics(label, logit, user)
        result = RunResult(
            run_id=run_id,
            preset=preset,
            configuration=configuration,
            seed=seed,
            dataset=dataset,
            best_epoch=1,
            stopped="",
            epochs=epochs or [EpochMetrics(epoch=1, lr=0.001, val_auc=metrics.auc, train_auc_eval=0.6)],
            val=metrics,
            test=metrics,
            rows_per_second=1000.0,
            parameters=10,
        )
        write_json(directory / "result.json", result.model_dump(mode="json"))
        write_json(directory / "config.json", config.model_dump(mode="json"))
        write_json(directory / "epochs.json", [e.model_dump(mode="json") for e in result.epochs])
        fields = {
            "run_id": run_id,
            "study": "study",
            "configuration": configuration,
            "preset": preset,
            "model": config.model.kind,
            "seed": seed,
            "dataset": dataset,
            "fingerprint": fingerprint,
            "state": "finished",
            "reason": "",
            "started": float(made),
            "ended": float(made) + 1,
            "config": {"seed": str(seed), "model.kind": config.model.kind},
        }
        return RunRecord(**(fields | record))

    return make
