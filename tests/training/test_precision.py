"""Products of bfloat16 factors: of training steps alone, where the processor has them, and refused elsewhere."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mdaf_core.base.errors import StudioError
from mdaf_core.data.batches.stream import StreamLoader
from mdaf_core.models.registry import build_model
from mdaf_core.ops import products as library
from mdaf_core.runs.presets import get_preset
from mdaf_core.training.batches import EVENTS, loader_for
from mdaf_core.training.fit import require_products, train
from mdaf_core.training.trainer import Trainer

needs_products = pytest.mark.skipif(
    not (library.rounds() or library.converts()), reason="this processor has no bfloat16 products"
)
BF16 = {"training.precision": "bf16", "training.max_epochs": 1, "training.batch_size": 1024}


@needs_products
def test_a_run_trains_with_them_evaluates_without_and_leaves_none_behind(tiny, monkeypatch):
    seen: dict[str, set[bool]] = {"training": set(), "validation": set()}
    for part, name in {"training": "_step", "validation": "_validate"}.items():
        does = getattr(Trainer, name)
        monkeypatch.setattr(
            Trainer, name, lambda self, *a, part=part, does=does: (seen[part].add(library.rounded()), does(self, *a))[1]
        )
    config = get_preset("mdaf-sequential").with_overrides(
        BF16 | {"training.history_encoding": "stream", "model.blocks": 1}
    )
    one, two = (train(config, tiny, seed=3) for _ in range(2))
    assert seen == {"training": {True}, "validation": {False}} and not library.rounded()
    assert one.test == two.test and one.epochs[0].train_loss == two.epochs[0].train_loss
    single = train(config.with_overrides({"training.precision": "float32"}), tiny, seed=3)
    assert single.epochs[0].train_loss == pytest.approx(one.epochs[0].train_loss, rel=1e-2)
    assert single.epochs[0].train_loss != one.epochs[0].train_loss
    assert one.provenance["products"].startswith("oneDNN, bf16 factors")


def test_a_processor_without_them_is_told(tiny, monkeypatch):
    for name in ("rounds", "converts"):
        monkeypatch.setattr(f"mdaf_core.training.fit.{name}", lambda: False)
    with pytest.raises(StudioError, match=r"multiplies bfloat16.*Use training.precision=float32"):
        train(get_preset("lr").with_overrides(BF16), tiny, seed=1)
    require_products("float32", "cpu")


def test_another_device_is_told():
    with pytest.raises(StudioError, match="would train on cuda"):
        require_products("bf16", "cuda")


@pytest.mark.parametrize(("precision", "onednn"), [("bf16", False), ("float32", True), ("float32", False)])
def test_events_are_of_few_sizes_where_onednn_prepares_itself_for_each(tiny, monkeypatch, precision, onednn):
    monkeypatch.setattr("mdaf_core.training.batches.by_onednn", lambda: onednn)
    config = get_preset("mdaf-sequential")
    training = config.training.model_copy(update={"history_encoding": "stream", "precision": precision})
    loader = loader_for(build_model(config.model, tiny.meta.features()), tiny, "test", training, 64)
    sizes = {int(batch.cu_seqlens[-1]) % EVENTS for batch in loader}
    assert (sizes == {0}) == (precision == "bf16" or onednn) and (len(sizes) > 3) != (sizes == {0})


@torch.inference_mode()
def test_padding_of_the_events_changes_no_prediction(tiny):
    config = get_preset("mdaf-full")
    torch.manual_seed(1)
    model = build_model(config.model, tiny.meta.features()).eval()
    training = config.training.model_copy(update={"history_encoding": "stream", "precision": "bf16"})
    padded = loader_for(model, tiny, "test", training, 64)
    plain = StreamLoader(tiny, "test", 64, max_history=50)
    for index in (np.arange(64), np.array([3])):
        more, less = padded.gather(index), plain.gather(index)
        events = int(less.cu_seqlens[-1])
        assert int(more.cu_seqlens[-1]) == len(more.history["item"]) == -(-events // EVENTS) * EVENTS
        assert torch.equal(more.history["item"][:events], less.history["item"])
        assert not more.history["item"][events:].any() and int(more.slices.end_B.max()) <= events
        torch.testing.assert_close(model(more).logit_B, model(less).logit_B, rtol=1e-4, atol=1e-5)
    none = SimpleNamespace(**vars(padded.gather(np.empty(0, int))))
    assert len(none.history["item"]) == 0
