"""Streams over logs of up to 10,000 events: what windows say where they hold as much, a prediction of the row alone
across the places where encoding begins, and a run that goes on after an interruption."""

from __future__ import annotations

import shutil

import numpy as np
import polars as pl
import pytest
import torch

from mdaf_core.data.batches.loader import BatchLoader
from mdaf_core.data.batches.stream import GRID, StreamLoader
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.models.registry import build_model
from mdaf_core.models.weights import load_model
from mdaf_core.runs import progress, tracking
from mdaf_core.runs.presets import get_preset
from mdaf_core.runs.progress import Cancelled
from mdaf_core.training.fit import train
from mdaf_core.training.predict import predict

SMALL = [
    *("model.hidden_dim=16", "model.item_dim=8", "model.category_dim=8", "model.static_dim=4"),
    "model.hidden_units=[16]",
    *("training.history_encoding=stream", "training.warmup_epochs=0", "training.batch_size=512"),
]
TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}
"""Of logits: sums of float32 over thousands of events in another order."""


def config_of(preset: str, *settings: str):  # type: ignore[no-untyped-def]
    return get_preset(preset).with_overrides([*SMALL, *settings])


def model_of(preset: str, dataset: PreparedDataset):  # type: ignore[no-untyped-def]
    """With random weights in the layers that start at zero, and a state that remembers thousands of events; in
    evaluation mode."""
    torch.manual_seed(1)
    model = build_model(config_of(preset).model, dataset.meta.features())
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
            if name.endswith("A_log_DN"):
                parameter.fill_(-6.0)
    return model.eval()


def lengths(dataset: PreparedDataset) -> np.ndarray:
    rows = dataset.rows("test")
    return np.asarray(rows.history_end - rows.history_start)


@pytest.mark.parametrize("preset", ["mdaf-sequential", "mamba4rec-v2-report"])
@pytest.mark.parametrize("most", [200, 1000, 10_000])
@torch.inference_mode()
def test_stream_and_window_agree_where_the_window_holds_the_log(long_logs, preset, most):
    model, length, rng = model_of(preset, long_logs), lengths(long_logs), np.random.default_rng(most)
    whole = np.flatnonzero(length <= most)
    near = whole[np.argsort(length[whole])[-4:]]  # of logs nearly as long as the window
    index = np.unique(np.r_[near, rng.choice(whole, min(len(whole), 40 if most < 5000 else 4), replace=False)])
    own = model(BatchLoader(long_logs, "test", 1, max_history=most).gather(index)).logit_B
    shared = model(StreamLoader(long_logs, "test", 1, max_history=most).gather(index)).logit_B
    torch.testing.assert_close(shared, own, **TOLERANCE)


@torch.inference_mode()
def test_a_longer_log_than_the_window_is_remembered_by_the_stream_alone(long_logs):
    model, index = model_of("mdaf-sequential", long_logs), np.flatnonzero(lengths(long_logs) > 1200)[:20]
    own = model(BatchLoader(long_logs, "test", 1, max_history=200).gather(index)).logit_B
    shared = model(StreamLoader(long_logs, "test", 1, max_history=200).gather(index)).logit_B
    assert (own - shared).abs().max() > 1e-4


@pytest.mark.parametrize("most", [200, 1000, 10_000])
@torch.inference_mode()
def test_rows_about_the_grid_say_the_same_alone_and_together(long_logs, most):
    """Rows before and behind the place where encoding begins anew, in any batch."""
    model, length, rng = model_of("mdaf-sequential", long_logs), lengths(long_logs), np.random.default_rng(most)
    grid = max(GRID, most)
    turns = [k * grid + most for k in range(1, 10_000 // grid)] or [most]
    near = np.unique([np.argsort(np.abs(length - turn), kind="stable")[:3] for turn in turns])
    loader = StreamLoader(long_logs, "test", 1, max_history=most)
    together = dict(zip(near, model(loader.gather(near)).logit_B, strict=True))
    for index in (near[:1], rng.permutation(near)[: len(near) // 2 + 1], np.r_[near[-2:], np.flatnonzero(length < 60)]):
        for row, logit in zip(index, model(loader.gather(index)).logit_B, strict=True):
            if row in together:
                torch.testing.assert_close(logit, together[row], **TOLERANCE)


@torch.inference_mode()
def test_nothing_later_than_a_row_reaches_it_in_a_long_log(long_logs):
    model = model_of("mdaf-sequential", long_logs)
    row = int(np.argsort(np.abs(lengths(long_logs) - 5000))[0])
    batch = StreamLoader(long_logs, "test", 1, max_history=1000).gather(np.r_[row, lengths(long_logs).argmax()])
    assert batch.slices is not None
    before = model(batch).logit_B[0].item()
    later = torch.arange(int(batch.cu_seqlens[-1])) >= batch.slices.end_B[0]
    for codes_T in batch.history.values():
        codes_T[later] = 2 + torch.arange(int(later.sum())) % 3
    assert later.any() and model(batch).logit_B[0].item() == before


def test_a_stream_of_long_logs_goes_on_where_it_was_interrupted(home, long_logs, monkeypatch):
    monkeypatch.setattr(progress, "REPORT_EVERY", 0)  # an epoch may be over before half a second is
    shutil.copytree(long_logs.path, home / "datasets" / "long")
    dataset = PreparedDataset.open("long")
    few = "training.max_epochs=2", "training.max_history=1000", "training.stream_block=16", "model.blocks=1"
    config = config_of("mdaf-sequential", *few)
    whole = train(config, dataset, seed=3)

    def enough() -> bool:
        running = [run for run in tracking.list_runs() if run.state == "running"]
        return bool(running) and len(running[0].epochs) >= 1

    with pytest.raises(Cancelled):
        train(config, dataset, seed=3, should_stop=enough)
    stopped = next(run for run in tracking.list_runs() if run.state == "cancelled")
    resumed = train(config, dataset, seed=3, run_id=stopped.run_id)
    facts = ("val", "test", "best_epoch", "multiply_adds")
    assert [getattr(resumed, name) for name in facts] == [getattr(whole, name) for name in facts]
    assert [e.train_loss for e in resumed.epochs] == [e.train_loss for e in whole.epochs]
    model = load_model(config.model, dataset.meta.features(), tracking.artifact(resumed.run_id, "weights.safetensors"))
    found = pl.read_parquet(tracking.artifact(resumed.run_id, "predictions/test.parquet"))
    again = predict(model, dataset, "test", config.training)["logit"]
    np.testing.assert_array_equal(again, found["logit"].to_numpy())
    assert found["history_length"].max() == 1000
