"""DIEN against its definition, written down row by row and event by event in float64: logits, loss, gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mdaf_core.models.dien import AUGRU, DIENConfig
from mdaf_core.models.registry import build_model
from tests.models.batches import RICH, USUAL, random_batch

LENGTHS = [3, 0, 12, 1, 5]


def built(features, **settings):  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    sizes = {"hidden_dim": 5, "item_dim": 3, "category_dim": 2, "static_dim": 2, "hidden_units": [4], "dropout": 0.0}
    model = build_model(DIENConfig(**sizes | settings), features).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def batch_of(features):  # type: ignore[no-untyped-def]
    batch = random_batch(features, LENGTHS, first_code=2)
    batch.numeric_BG, batch.match_BM = batch.numeric_BG.double(), batch.match_BM.double()
    return batch


def interests(encoder, events: Tensor) -> list[Tensor]:  # type: ignore[no-untyped-def]
    w, u, b, c = (
        dict(encoder.extract.named_parameters())[f"{n}_l0"] for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    n, found = u.shape[1], []
    h = events.new_zeros(n)
    for e in events:
        a, d = w @ e + b, u @ h + c
        r, z = torch.sigmoid(a[:n] + d[:n]), torch.sigmoid(a[n : 2 * n] + d[n : 2 * n])
        h = (1 - z) * torch.tanh(a[2 * n :] + r * d[2 * n :]) + z * h
        found.append(h)
    return found


def evolved(encoder, found: list[Tensor], target: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
    n = encoder.evolve.state.in_features
    state = target.new_zeros(n)
    if not found:
        return state
    weights = torch.softmax(torch.stack([(encoder.score.weight @ h) @ target for h in found]), dim=0)
    for h, weight in zip(found, weights, strict=True):
        a, d = encoder.evolve.given.weight @ h + encoder.evolve.given.bias, encoder.evolve.state.weight @ state
        u, r = torch.sigmoid(a[:n] + d[:n]), torch.sigmoid(a[n : 2 * n] + d[n : 2 * n])
        new = torch.tanh(a[2 * n :] + r * d[2 * n :])
        state = (1 - weight * u) * state + weight * u * new
    return state


@pytest.mark.parametrize("features", [USUAL, RICH], ids=["usual", "rich"])
def test_loss_and_gradients_are_those_of_the_definition(features) -> None:
    model, batch = built(features, auxiliary_weight=0.7).train(), batch_of(features)
    encoder, parameters = model.encoder, list(model.parameters())
    buffers = {name: value.clone() for name, value in model.named_buffers()}
    torch.manual_seed(5)
    output = model(batch)
    loss = model.loss(output, batch.label_B.double())
    mine = torch.autograd.grad(loss, parameters)

    model.load_state_dict(buffers, strict=False)
    torch.manual_seed(5)
    event_TE, target_BE = encoder.look_up(batch)
    cu = batch.cu_seqlens.tolist()
    pairs = [(cu[b] + t, cu[b] + t + 1) for b, length in enumerate(LENGTHS) for t in range(length - 1)]
    others = torch.randint(len(event_TE), (len(pairs),)).tolist()
    pooled, hidden = [], {}
    for b in range(len(LENGTHS)):
        found = interests(encoder, event_TE[cu[b] : cu[b + 1]])
        hidden |= {cu[b] + t: h for t, h in enumerate(found)}
        pooled.append(evolved(encoder, found, target_BE[b]))
    logit = model.out(encoder.represent(torch.stack(pooled), target_BE, batch)).squeeze(1)
    torch.testing.assert_close(output.logit_B, logit, rtol=1e-9, atol=1e-10)
    following = [F.logsigmoid(hidden[t] @ event_TE[after]) for t, after in pairs]
    codes = torch.stack(list(batch.history.values()), dim=1)
    apart = [
        F.logsigmoid(-(hidden[t] @ event_TE[other]))
        for (t, after), other in zip(pairs, others, strict=True)
        if not torch.equal(codes[other], codes[after])
    ]
    auxiliary = -torch.stack(following).mean() - torch.stack(apart).mean()
    expected = F.binary_cross_entropy_with_logits(logit, batch.label_B.double()) + 0.7 * auxiliary
    torch.testing.assert_close(loss, expected, rtol=1e-9, atol=1e-10)
    for got, wanted in zip(mine, torch.autograd.grad(expected, parameters), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-6, atol=1e-9)


def test_the_auxiliary_loss_is_of_training_alone_and_can_be_left_out() -> None:
    batch = batch_of(USUAL)
    assert built(USUAL).eval()(batch).parts is None
    assert built(USUAL, auxiliary_weight=0.0).train()(batch).parts is None
    model = built(USUAL).train()
    alone = random_batch(USUAL, [1, 0, 1])
    alone.match_BM = alone.match_BM.double()
    assert torch.isfinite(model.loss(model(alone), alone.label_B.double()))


def test_an_event_of_no_weight_changes_nothing() -> None:
    torch.manual_seed(0)
    layer, cu = AUGRU(3, 4), torch.tensor([0, 4, 4, 6], dtype=torch.int32)
    x, weight = torch.randn(6, 3), torch.tensor([0.5, 0.0, 0.3, 0.0, 0.0, 0.0])
    kept = torch.tensor([0, 2])
    expected = layer(x[kept], weight[kept], torch.tensor([0, 2], dtype=torch.int32))
    torch.testing.assert_close(layer(x, weight, cu), torch.cat([expected, torch.zeros(2, 4)]))
