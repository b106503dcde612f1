"""What a training will take, foreseen from the lengths of histories, against batches as they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from mdaf_core.base.errors import StudioError
from mdaf_core.data.batches.loader import BatchLoader
from mdaf_core.data.batches.shapes import Shape, largest, shapes_of
from mdaf_core.data.batches.stream import StreamLoader
from mdaf_core.data.store.schema import FeatureSpec
from mdaf_core.models import summary
from mdaf_core.models.registry import build_model
from mdaf_core.runs.presets import get_preset
from mdaf_core.testing.cost import _peak
from mdaf_core.training import cost, fit
from mdaf_core.training.step_memory import step_bytes

FEATURES = FeatureSpec.from_vocabulary({"item": 900, "category": 50, "user": 70})


@pytest.mark.parametrize("kind", [BatchLoader, StreamLoader])
@pytest.mark.parametrize("most", [10, 1000, 10_000])
def test_shapes_are_those_of_the_batches(long_logs, kind, most):
    loader = kind(long_logs, "test", 37, max_history=most)
    batches = list(loader) if most < 10_000 or kind is StreamLoader else [loader.gather(loader.order()[:37])]
    found = shapes_of(loader, most=10**6)[: len(batches)]
    assert found == [Shape(len(b), int(b.cu_seqlens[-1]), int(b.lengths_B.max())) for b in batches]
    few = shapes_of(kind(long_logs, "test", 5, max_history=most), most=3)
    assert len(few) == 3
    for name in ("rows", "events", "longest"):
        assert getattr(largest(found), name) == max(getattr(shape, name) for shape in found)


@pytest.mark.parametrize(
    ("preset", "kind", "most"),
    [
        ("bst", BatchLoader, 50),
        ("bst", BatchLoader, 1000),  # padded to the longest of the batch
        ("mamba4rec-v2", BatchLoader, 200),
        ("mamba4rec-v2", StreamLoader, 200),
        ("mdaf-full", StreamLoader, 10_000),
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_memory_of_a_step_is_foreseen_for_uneven_histories(long_logs, preset, kind, most, training):
    config, features = get_preset(preset).model, long_logs.meta.features()
    rng = np.random.default_rng(0)
    lengths = long_logs.rows("train").history_end - long_logs.rows("train").history_start
    short = rng.choice(np.flatnonzero(lengths < 250), 60)
    index = np.r_[short, rng.choice(np.flatnonzero(lengths > 1200), 12)]
    loader = kind(long_logs, "train", 100, max_history=most, rows=index)
    batch = loader.gather(loader.order())
    shape = Shape(len(batch), int(batch.cu_seqlens[-1]), int(batch.lengths_B.max()))
    foreseen = step_bytes(config, features, shape, training, kind is StreamLoader)
    torch.manual_seed(0)
    model = build_model(config, features).train(training)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen, torch.set_grad_enabled(training):
        if training:
            model.loss(model(batch), batch.label_B).backward()
        else:
            model(batch)
    measured = _peak(seen) - (4 * sum(p.numel() for p in model.parameters()) if training else 0)
    assert 0.75 < foreseen / measured < 1.35


@pytest.mark.parametrize("preset", ["bst", "din", "mamba4rec-v2"])
def test_arithmetic_of_long_histories_goes_on_from_short_ones(preset):
    config = get_preset(preset).model
    if preset == "bst":
        config = config.model_copy(update={"blocks": 2})  # one block alone is linear
    counted = summary._counted(config, FEATURES, [150] * 2) / 2
    assert summary.multiply_adds(config, FEATURES, 150) == pytest.approx(counted, rel=1e-9)


def test_arithmetic_of_a_stream_counts_an_event_once():
    """By hand: encoded events, the query through the key's weights, and a score and a weighted vector a pair."""
    config = get_preset("mamba4rec-v2").model
    window = summary.multiply_adds(config, FEATURES, 20)
    event = (96 * 128) + 2 * (128 * 512 + 256 * (4 + 4 * 16 + 3) + 256 * 40 + 8 * 256 + 256 * 128)
    top = summary.multiply_adds(config, FEATURES, 0)
    assert window == top + 20 * (event + 128 * 128 + 2 * 128)
    stream = summary.multiply_adds(config, FEATURES, 20, encoded=1.5)
    assert stream == top + 128 * 128 + 1.5 * event + 20 * 2 * 128


def test_a_run_that_cannot_fit_is_refused_with_what_to_do(long_logs, monkeypatch):
    monkeypatch.setattr(cost, "machine_memory", lambda: 2e9)
    config = get_preset("mdaf-sequential").with_overrides({"training.max_history": "all"})
    with pytest.raises(StudioError, match=r"takes about [\d.,]+ GB .* has 2.0 GB. Set training.history_enc"):
        fit.train(config, long_logs, seed=1)
    cost.require_memory(config.with_overrides({"training.history_encoding": "stream"}), long_logs)
    smaller = {"training.batch_size": 2, "training.eval_batch_size": 2}
    cost.require_memory(config.with_overrides(smaller), long_logs)
    bst = get_preset("bst").with_overrides({"training.max_history": 1000})
    with pytest.raises(StudioError, match=r"Set training.batch_size to [\d,]+ at most, or training.max_history to"):
        cost.require_memory(bst, long_logs)
