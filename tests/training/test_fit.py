"""Whole runs on the embedded data: repeats, interruption and resumption, cancellation, what is kept."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.metrics.auc import auc
from mdaf_core.models import layers
from mdaf_core.models.weights import load_model
from mdaf_core.runs import progress, provenance, tracking
from mdaf_core.runs.config import RunConfig
from mdaf_core.runs.presets import get_preset
from mdaf_core.training import fit
from mdaf_core.training.fit import Cancelled, train
from mdaf_core.training.predict import predict

FAST = ["training.batch_size=2048", "training.max_epochs=3", "training.max_history=8"]
BRIEF = "training.batch_size=256"
SMALL = {
    "mdaf-full": ["model.sequential.hidden_dim=16", "model.sequential.blocks=1"],
    "mamba4rec-v2": ["model.hidden_dim=16", "model.blocks=1"],
}


def fast(preset: str, *more: str) -> RunConfig:
    return get_preset(preset).with_overrides([*FAST, *SMALL.get(preset, []), *more])


def comparable(result) -> dict:  # type: ignore[no-untyped-def]
    """All that must be equal between a run and its repeat: everything but times, memory and ids."""
    keep = result.model_dump(include={"best_epoch", "val", "test", "gate", "parameters"})
    timing = {"seconds", "rows_per_second"}
    keep["epochs"] = [e.model_dump(exclude=timing) for e in result.epochs]
    return keep


@pytest.mark.parametrize("preset", ["mdaf-full", "gbdt"])
def test_repeats_are_bit_identical(few: PreparedDataset, preset: str) -> None:
    first, second = (train(fast(preset, BRIEF), few, seed=7) for _ in range(2))
    assert comparable(first) == comparable(second)
    predictions = [pl.read_parquet(tracking.artifact(r.run_id, "predictions/test.parquet")) for r in (first, second)]
    assert predictions[0].equals(predictions[1])
    assert comparable(train(fast(preset, BRIEF), few, seed=8)) != comparable(first)


@pytest.mark.parametrize(("stop_after", "large", "average"), [(1, 4_000_000, 0), (2, 0, 0.5)])
def test_a_resumed_run_equals_an_uninterrupted_one(
    few: PreparedDataset, stop_after: int, large: int, average: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers, "LARGE_TABLE", large)  # 0: tables whose untouched rows take their steps later
    monkeypatch.setattr(progress, "REPORT_EVERY", 0)  # an epoch is over before half a second is
    config = fast("mdaf-full", "training.max_epochs=4", f"training.weight_average={average}", BRIEF)
    whole = train(config, few, seed=3)

    def enough() -> bool:
        running = [r for r in tracking.list_runs() if r.state == "running"]
        return bool(running) and len(running[0].epochs) >= stop_after

    with pytest.raises(Cancelled):
        train(config, few, seed=3, should_stop=enough)
    stopped = next(r for r in tracking.list_runs() if r.state == "cancelled")
    assert len(stopped.epochs) == stop_after
    monkeypatch.setattr(provenance, "code_version", lambda: "another")
    resumed = train(config, few, seed=3, run_id=stopped.run_id)
    assert resumed.run_id == stopped.run_id
    (before,) = resumed.provenance["earlier"]
    assert before["epochs"] == stop_after and before["code"] == whole.provenance["code"]
    assert resumed.provenance["code"] == "another"
    assert comparable(resumed) == comparable(whole)
    assert tracking.get_run(stopped.run_id).state == "finished"


def test_what_a_run_keeps(tiny: PreparedDataset) -> None:
    config = fast("mdaf-full")
    seen = []
    result = train(config, tiny, seed=1, on_progress=seen.append, provenance={"acknowledged": ["random-split"]})
    rows = tiny.rows("test")
    frame = pl.read_parquet(tracking.artifact(result.run_id, "predictions/test.parquet"))
    assert frame["row_id"].to_list() == rows.row_id.tolist()
    assert frame["label"].to_list() == rows.label.tolist()
    assert result.test.auc == auc(frame["label"].to_numpy(), frame["logit"].to_numpy())
    assert result.test.oracle_auc is not None and result.test.oracle_auc > result.test.auc
    assert frame["g"].is_between(0, 1).all()
    np.testing.assert_allclose(frame["probability"], 1 / (1 + np.exp(-frame["logit"].to_numpy())))
    assert frame["history_length"].max() == 8

    model = load_model(config.model, tiny.meta.features(), tracking.artifact(result.run_id, "weights.safetensors"))
    np.testing.assert_array_equal(predict(model, tiny, "test", config.training)["logit"], frame["logit"].to_numpy())

    record = tracking.get_run(result.run_id)
    assert record.state == "finished" and record.result == result
    assert record.config["training.max_epochs"] == "3"
    facts = json.loads(tracking.artifact(result.run_id, "provenance.json").read_text())
    assert facts["acknowledged"] == ["random-split"] and facts["scan"] == "numba" and facts["seed"] == 1
    assert seen and all(p.run_id == result.run_id for p in seen)
    assert not (record.directory / "checkpoint.ckpt").exists()
    assert [e.epoch for e in record.epochs] == [1, 2, 3]
    gap = record.epochs[-1]
    assert gap.gap_eval == pytest.approx(gap.train_auc_eval - gap.val_auc)


def test_sequential_models_need_a_history(tiny: PreparedDataset) -> None:
    tiny.meta.history_fields = []
    with pytest.raises(StudioError, match="history"):
        train(fast("mamba4rec-v2"), tiny, seed=1)
    assert tracking.list_runs() == []


@pytest.mark.parametrize("seed", [-1, 2**32, True, 1.5, "1", None])
def test_what_is_no_seed_is_refused_before_a_run_begins(tiny: PreparedDataset, seed: object) -> None:
    with pytest.raises(UsageError, match="whole number from 0 to 4294967295"):
        train(fast("lr"), tiny, seed)  # type: ignore[arg-type]
    assert tracking.list_runs() == []


def test_a_seed_of_numpy_is_its_number(tiny: PreparedDataset) -> None:
    result = train(fast("lr", "training.max_epochs=1"), tiny, np.int64(7))  # type: ignore[arg-type]
    assert tracking.get_run(result.run_id).seed == 7


@pytest.mark.parametrize(
    ("preset", "encoding", "differ"),
    [("lr", "window", False), ("mamba4rec-v2", "stream", False), ("mamba4rec-v2", "window", True)],
)
def test_onednn_keeps_little_where_sizes_are_ever_new(
    few: PreparedDataset, monkeypatch: pytest.MonkeyPatch, preset: str, encoding: str, differ: bool
) -> None:
    said: list[bool] = []
    monkeypatch.setattr(fit, "products_differ", lambda: said.append(True))
    train(fast(preset, "training.max_epochs=1", f"training.history_encoding={encoding}"), few, 1)
    assert bool(said) == differ


def test_an_error_closes_the_run_as_failed(tiny: PreparedDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise MemoryError("can't allocate memory")

    monkeypatch.setattr("mdaf_core.training.fit.write_predictions", broken)
    with pytest.raises(MemoryError):
        train(fast("lr"), tiny, seed=1)
    [record] = tracking.list_runs()
    assert record.state == "failed" and "allocate" in record.reason and len(record.epochs) == 3
