"""A training that diverged says so, and of which numbers; it never leaves a result, nor a traceback."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.runs import tracking
from mdaf_core.runs.presets import get_preset
from mdaf_core.training.divergence import Diverged, advice, require_finite, require_sense
from mdaf_core.training.fit import train

SHORT = {"training.max_epochs": 2, "training.warmup_epochs": 0, "training.batch_size": 128}


def videos(folder: Path, scaling: str = "standard", rows: int = 800) -> PreparedDataset:
    """Impressions of videos with their duration in milliseconds."""
    draw = np.random.default_rng(3)
    duration = np.round(np.exp(draw.normal(11, 1.5, rows)))
    pl.DataFrame(
        {
            "clk": (draw.random(rows) < np.where(duration > np.exp(11), 0.6, 0.3)).astype(int),
            "uid": draw.integers(0, 20, rows),
            "when": 1_700_000_000 + 600 * np.arange(rows),
            "ad": draw.integers(0, 30, rows),
            "duration_ms": duration,
            "share": draw.random(rows),
        }
    ).write_csv(folder / "videos.csv")
    columns = {"label": "clk", "user": "uid", "timestamp": "when", "item": "ad", "numeric": "duration_ms,share"}
    return prepare("table", path=folder / "videos.csv", options=columns | {"numeric_scaling": scaling}, name=scaling)


@pytest.fixture
def unscaled(home: Path, tmp_path: Path) -> PreparedDataset:
    return videos(tmp_path, "none")


@pytest.mark.parametrize("preset", ["dcnv2", "dcnv3", "mdaf-full"])
def test_a_duration_in_milliseconds_as_it_is(unscaled: PreparedDataset, preset: str) -> None:
    with pytest.raises(Diverged, match="duration_ms") as told:
        train(get_preset(preset).with_overrides(SHORT), unscaled, 1)
    assert "numeric_scaling=standard" in str(told.value) and "share" not in str(told.value)
    run = tracking.list_runs()[0]
    assert run.state == "failed" and run.reason == str(told.value)
    for path in run.directory.rglob("*.json"):
        json.loads(path.read_text("utf-8"), parse_constant=pytest.fail)  # NaN, Infinity


@pytest.mark.parametrize("preset", ["lr", "gbdt", "dcnv2", "dcnv3", "mdaf-full"])
def test_the_same_duration_scaled(home: Path, tmp_path: Path, preset: str) -> None:
    settings = SHORT | ({"model.max_rounds": 40} if preset == "gbdt" else {})
    result = train(get_preset(preset).with_overrides(settings), videos(tmp_path), 1)
    assert result.test.logloss is not None and result.test.logloss < 1.0
    text = json.dumps(result.model_dump(mode="json"), allow_nan=False)
    assert json.loads(text)["test"]["logloss"] == result.test.logloss


def test_what_is_no_result(unscaled: PreparedDataset) -> None:
    label = np.array([0, 1] * 50)
    require_sense(unscaled, "test", label, np.zeros(100))
    require_sense(unscaled, "test", label, 4.0 * np.random.default_rng(0).normal(size=100))  # poor, but a result
    rare = (np.arange(10_000) == 0).astype(int)
    require_sense(unscaled, "test", rare, np.zeros(10_000))  # has learned nothing of rare clicks yet
    for logit in (np.where(label == 1, -1e8, 1e8), np.where(label == 1, -20.0, 20.0)):
        with pytest.raises(Diverged, match=r"log loss on test rows is .* duration_ms"):
            require_sense(unscaled, "test", label, logit)
    with pytest.raises(Diverged, match="prediction of some test rows is not a finite number"):
        require_sense(unscaled, "test", label, np.full(100, math.nan))
    with pytest.raises(Diverged, match="in epoch 3: the loss"):
        require_finite(unscaled, "loss", math.inf, 3)


def test_numbers_that_are_not_to_blame(home: Path, tmp_path: Path, tiny: PreparedDataset) -> None:
    assert "not to blame" in advice(videos(tmp_path)) and "learning_rate" in advice(videos(tmp_path))
    assert advice(tiny).startswith("Try a lower training.learning_rate")
