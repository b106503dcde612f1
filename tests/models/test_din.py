"""DIN against its definition, written down row by row and event by event in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mdaf_core.models.din import MOMENTUM, Dice, DINConfig, DINEncoder
from mdaf_core.models.registry import build_model
from tests.models.batches import RICH, USUAL, random_batch

LENGTHS = [3, 0, 12, 1]


def dice(s: list[float], alpha: float, mean: float, variance: float) -> list[float]:
    shares = [1 / (1 + math.exp(-(value - mean) / math.sqrt(variance + 1e-8))) for value in s]
    return [p * value + (1 - p) * alpha * value for p, value in zip(shares, s, strict=True)]


@pytest.mark.parametrize("rows", [2, 3, 50])
def test_dice_while_training_and_after(rows: int) -> None:
    torch.manual_seed(rows)
    layer = Dice(4).double()
    with torch.no_grad():
        layer.alpha_D.copy_(torch.tensor([0.0, 0.3, -1.0, 1.0]))
    first, second = 2 * torch.randn(rows, 4, dtype=torch.float64) + 1, torch.randn(rows, 4, dtype=torch.float64)
    got = layer.train()(first)
    for d, alpha in enumerate(layer.alpha_D.tolist()):
        column = first[:, d].tolist()
        mean, variance = float(np.mean(column)), float(np.var(column))
        assert got[:, d].tolist() == pytest.approx(dice(column, alpha, mean, variance))
        kept = (MOMENTUM * mean, 1 - MOMENTUM + MOMENTUM * variance)
        assert layer.eval()(second)[:, d].tolist() == pytest.approx(dice(second[:, d].tolist(), alpha, *kept))


def test_dice_of_no_or_one_value_is_finite_and_of_alpha_one_is_the_identity() -> None:
    layer = Dice(3).train()
    assert layer(torch.zeros(0, 3)).shape == (0, 3) and torch.equal(layer.variance_D, torch.ones(3))
    single = torch.randn(1, 3, requires_grad=True)
    layer(single).sum().backward()
    assert single.grad is not None and torch.isfinite(single.grad).all()
    torch.nn.init.ones_(layer.alpha_D)
    values = torch.randn(20, 3)
    torch.testing.assert_close(layer(values), values)


@pytest.mark.parametrize("features", [USUAL, RICH], ids=["usual", "rich"])
@pytest.mark.parametrize("training", [True, False])
def test_the_pooled_history_is_the_weighted_sum(features, training: bool) -> None:
    torch.manual_seed(0)
    encoder = DINEncoder(DINConfig(hidden_dim=5), features).double().train(training)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    batch = random_batch(features, LENGTHS)
    event_TE, target_BE = encoder.look_up(batch)
    assert target_BE is not None
    first, activation, last = encoder.weigh.net
    pairs = [(row, event) for row, length in enumerate(LENGTHS) for event in range(length)]
    inputs = []
    for t, (row, _) in enumerate(pairs):
        e, v = event_TE[t].tolist(), target_BE[row].tolist()
        inputs.append(
            [*e, *v, *(a - b for a, b in zip(e, v, strict=True)), *(a * b for a, b in zip(e, v, strict=True))]
        )
    hidden = np.array(inputs) @ first.weight.detach().numpy().T + first.bias.detach().numpy()
    columns = []
    for d, alpha in enumerate(activation.alpha_D.tolist()):
        s = hidden[:, d].tolist()
        mean, variance = (np.mean(s), np.var(s)) if training else (0.0, 1.0)
        columns.append(dice(s, alpha, float(mean), float(variance)))
    weight = np.array(columns).T @ last.weight.detach().numpy()[0] + last.bias.item()
    expected = np.zeros((len(LENGTHS), encoder.event_dim))
    for t, (row, _) in enumerate(pairs):
        expected[row] += weight[t] * event_TE[t].detach().numpy()
    got = encoder.pool(event_TE, target_BE, batch).detach().numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)
    assert not got[1].any()


def test_weights_are_not_normalised_and_the_mlp_has_dice() -> None:
    """Twice the same history weighs twice as much; and nothing of ReLU is left."""
    torch.manual_seed(0)
    model = build_model(DINConfig(match_features=False), USUAL).eval()
    once = random_batch(USUAL, [4])
    pooled = []
    for times in (1, 2):
        event_TE, target_BE = model.encoder.look_up(once)
        batch = random_batch(USUAL, [4 * times])
        pooled.append(model.encoder.pool(event_TE.repeat(times, 1), target_BE, batch))
    torch.testing.assert_close(pooled[1], 2 * pooled[0])
    names = [type(module).__name__ for module in model.modules()]
    assert names.count("Dice") == 3 and "ReLU" not in names
