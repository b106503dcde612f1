"""Training with sparse gradients and postponed steps is training with Adam on whole tables."""

from __future__ import annotations

import copy

import pytest
import torch

from mdaf_core.models import layers
from mdaf_core.models.registry import build_model
from mdaf_core.runs.config import TrainingConfig
from mdaf_core.runs.presets import get_preset
from mdaf_core.training import optimizer
from mdaf_core.training.optimizer import Adam, build_optimizer, clip_gradients
from tests.models.batches import USUAL, random_batch

CONFIG = TrainingConfig(weight_decay=1e-3, embedding_decay=2e-2, learning_rate=0.01)


def train(model, steps, clip):  # type: ignore[no-untyped-def]
    made = build_optimizer(model, CONFIG)
    norms = []
    model.train()
    for step in range(steps):
        batch = random_batch(USUAL, [3, 0, 5, 1], seed=step)
        torch.manual_seed(step)

        def closure():  # type: ignore[no-untyped-def]
            made.zero_grad()
            loss = model.loss(model(batch), batch.label_B)  # noqa: B023
            loss.backward()
            norms.append(clip_gradients(model, clip))
            return loss

        made.param_groups[0]["lr"] = made.param_groups[1]["lr"] = 0.01 / (1 + step % 3)
        made.step(closure)
    made.finish()
    return made, norms


@pytest.mark.parametrize("clip", [None, 0.05])
@pytest.mark.parametrize("preset", ["mamba4rec-v2", "dcnv2", "lr"])
def test_large_tables_are_trained_as_small_ones(preset, clip, monkeypatch):  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    small = build_model(get_preset(preset).model, USUAL).double()
    large = copy.deepcopy(small)
    _, expected = train(small, 25, clip)
    monkeypatch.setattr(layers, "LARGE_TABLE", 0)
    made, norms = train(large, 25, clip)
    assert made.tables and all(p.grad is None for p in made.tables)
    assert norms == pytest.approx(expected, rel=1e-6)
    for (name, a), b in zip(large.state_dict().items(), small.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-9, msg=lambda m, name=name: f"{name}: {m}")


def test_state_goes_on_where_it_was(monkeypatch):  # type: ignore[no-untyped-def]
    monkeypatch.setattr(layers, "LARGE_TABLE", 0)
    torch.manual_seed(0)
    model = build_model(get_preset("dcnv2").model, USUAL)
    made, _ = train(model, 5, None)
    kept, weights = copy.deepcopy(made.state_dict()), copy.deepcopy(model.state_dict())
    again = build_model(get_preset("dcnv2").model, USUAL)
    again.load_state_dict(weights)
    other = build_optimizer(again, CONFIG)
    other.load_state_dict(kept)
    for some_model, some in ((model, made), (again, other)):
        batch = random_batch(USUAL, [2, 2], seed=99)
        some_model.eval()  # no dropout
        some.zero_grad()
        some_model.loss(some_model(batch), batch.label_B).backward()
        some.step()
        some.finish()
    for a, b in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)


def test_clipping_is_torchs() -> None:
    """But for the order in which the norm's squares are summed."""
    torch.manual_seed(0)
    model = build_model(get_preset("dcnv2").model, USUAL)
    batch = random_batch(USUAL, [2, 2])
    model.loss(model(batch), batch.label_B).backward()
    other = copy.deepcopy(model)
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        q.grad = p.grad.clone()
    norm = clip_gradients(model, 1e-3)
    assert norm == pytest.approx(float(torch.nn.utils.clip_grad_norm_(other.parameters(), 1e-3)), rel=1e-6)
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, rtol=1e-5, atol=0)


def test_a_step_is_torchs(monkeypatch):  # type: ignore[no-untyped-def]
    """Of all weights in one pass, against `torch.optim.Adam` in float64; and where torch has to take it."""
    torch.manual_seed(0)
    weights = [torch.randn(n, dtype=torch.float64, requires_grad=True) for n in (1, 70, 40_000)]
    others = [w.detach().clone().requires_grad_() for w in weights]
    ours, theirs = (
        Adam([{"params": weights, "weight_decay": 0.1}], 0.01),
        torch.optim.Adam(others, 0.01, weight_decay=0.1),
    )
    for step in range(6):
        if step == 4:
            monkeypatch.setattr(optimizer, "takes", lambda _: False)
        for i, (w, other) in enumerate(zip(weights, others, strict=True)):
            w.grad = torch.randn_like(w) if i != 1 or step % 2 else None  # a weight that a step does not use
            other.grad = None if w.grad is None else w.grad.clone()
        ours.step()
        theirs.step()
        if step == 2:
            ours.load_state_dict(copy.deepcopy(ours.state_dict()))
    for w, other in zip(weights, others, strict=True):
        torch.testing.assert_close(w, other, rtol=1e-12, atol=1e-14)
