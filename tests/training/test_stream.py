"""Models that read a user's log once: the same predictions where both encodings begin at the same event, and a
prediction that depends on its row alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mdaf_core.data.batches.loader import BatchLoader
from mdaf_core.data.batches.stream import StreamLoader
from mdaf_core.models.registry import build_model
from mdaf_core.models.summary import unallocated
from mdaf_core.runs.config import TrainingConfig
from mdaf_core.runs.presets import get_preset
from mdaf_core.training.batches import embedding_rate, loader_for
from mdaf_core.training.fit import train
from mdaf_core.training.predict import predict, scores
from mdaf_core.training.trainer import Trainer

ALL = 1000
"""More events than any user of the data has: a window then begins where the stream does."""
CAUSAL = ("mdaf-sequential", "mamba4rec-v2-report", "mdaf-full", "mdaf-gate-vector")
STREAM = TrainingConfig(history_encoding="stream", max_history=ALL)


def trained(name: str, tiny):  # type: ignore[no-untyped-def]
    """A model with random weights in its layers that start at zero, in evaluation mode."""
    torch.manual_seed(1)
    model = build_model(get_preset(name).model, tiny.meta.features())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model.eval()


@pytest.mark.parametrize("name", CAUSAL)
@torch.inference_mode()
def test_both_encodings_agree_where_the_window_holds_the_whole_log(tiny, name):
    model, index = trained(name, tiny), np.arange(300)
    own = model(BatchLoader(tiny, "test", 300, max_history=ALL).gather(index)).logit_B
    shared = model(StreamLoader(tiny, "test", 300, max_history=ALL).gather(index)).logit_B
    torch.testing.assert_close(shared, own, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("most", [3, 50])
@torch.inference_mode()
def test_a_prediction_depends_on_its_row_alone(tiny, most):
    model, rng = trained("mdaf-full", tiny), np.random.default_rng(0)
    loader = StreamLoader(tiny, "test", 64, max_history=most)
    whole = model(loader.gather(np.arange(256))).logit_B
    for rows in (np.arange(5), rng.permutation(256)[:40], np.array([200])):
        torch.testing.assert_close(model(loader.gather(rows)).logit_B, whole[rows], rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_a_window_that_cuts_the_log_differs(tiny):
    """The two encodings are not the same thing: what came before the window stays in the state."""
    model, index = trained("mdaf-sequential", tiny), np.arange(300)
    own = model(BatchLoader(tiny, "test", 300, max_history=3).gather(index)).logit_B
    shared = model(StreamLoader(tiny, "test", 300, max_history=3).gather(index)).logit_B
    assert (own - shared).abs().max() > 1e-3


@pytest.mark.parametrize("name", ["mdaf-full", "mdaf-sequential"])
def test_predictions_stand_in_row_order(tiny, name):
    model = trained(name, tiny)
    stream, window = (predict(model, tiny, "test", config) for config in (STREAM, TrainingConfig(max_history=ALL)))
    assert stream.keys() == window.keys()
    for column in ("logit", "g", "logit_sequential", "logit_g_median", "logit_no_history", "placement_other_history"):
        if column in window:
            steps = (
                3 / (tiny.rows("test").label == 0).sum()
            )  # of a placement, where rounding swaps scores that are alike
            close = {"rtol": 1e-3, "atol": steps if column.startswith("placement") else 1e-4}
            np.testing.assert_allclose(stream[column], window[column], **close)
    asked = list(scores(model, loader_for(model, tiny, "test", STREAM, 100)))
    np.testing.assert_allclose(np.concatenate([part["logit"] for part in asked]), stream["logit"], rtol=1e-4, atol=1e-5)


def test_a_model_that_is_not_causal_keeps_its_windows(tiny):
    model = build_model(get_preset("bst").model, tiny.meta.features())
    assert type(loader_for(model, tiny, "train", STREAM, 8)) is BatchLoader


def test_gradients_reach_every_parameter_that_windows_reach(tiny):
    index = np.arange(200)
    reached = []
    for loader in (BatchLoader, StreamLoader):
        model = trained("mdaf-full", tiny).train()
        batch = loader(tiny, "train", 200, max_history=50).gather(index)
        model.loss(model(batch), batch.label_B).backward()
        reached.append({name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()})
    assert reached[0] == reached[1]


def test_ids_whose_rows_are_drawn_together_move_at_a_higher_rate(tiny, monkeypatch):
    """As far as with single rows: by the root of how many rows of a user stand beside each other."""
    config = get_preset("mdaf-sequential").with_overrides(
        {"training.max_epochs": 2, "training.history_encoding": "stream", "training.stream_block": 8}
        | {"model.blocks": 1, "model.hidden_dim": 16, "model.item_dim": 8}
    )
    model = unallocated(config.model, tiny.meta.features())

    def rate(**settings):  # type: ignore[no-untyped-def]
        training = config.training.model_copy(update=settings)
        return embedding_rate(training, loader_for(model, tiny, "train", training, 64))

    root = math.sqrt(loader_for(model, tiny, "train", config.training, 64).drawn_together)
    assert rate() == root > 1.2 and rate(embedding_rate=3.0) == 3.0
    assert rate(history_encoding="window") == rate(stream_block=1) == 1.0

    seen = []
    start = Trainer._start

    def look(self):  # type: ignore[no-untyped-def]
        start(self)
        groups = self.optimizer.param_groups
        seen.append(groups[1]["lr"] / groups[0]["lr"])

    monkeypatch.setattr(Trainer, "_start", look)
    found = [
        train(config.with_overrides({"training.embedding_rate": given}), tiny, seed=7).epochs[1].val_loss
        for given in (None, root, 1)
    ]
    assert seen == pytest.approx([root] * 4 + [1] * 2)
    assert found[0] == found[1] != found[2]
