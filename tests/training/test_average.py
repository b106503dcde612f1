"""The average of the weights is the one it is said to be, and what is validated and kept."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from mdaf_core.models.registry import build_model
from mdaf_core.runs.presets import get_preset
from mdaf_core.training.optimizer import AVERAGE_TIMES, averaged, enters_average
from tests.models.batches import USUAL


@pytest.mark.parametrize("epochs", [0.1, 1.0, 30.0])
def test_an_average_is_the_weighted_mean_of_what_entered(epochs: float) -> None:
    """In float64 from all weights at once: the newest counts 1, the one before e^(−1 / (16 epochs)), …"""
    torch.manual_seed(0)
    model = build_model(get_preset("dcnv2").model, USUAL).double()
    first = nn.utils.parameters_to_vector(model.parameters()).detach().clone()
    average, seen = averaged(model, epochs), []
    for _ in range(40):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        seen.append(nn.utils.parameters_to_vector(model.parameters()).detach().numpy())
        average.update_parameters(model)
    weight = np.exp(-np.arange(40)[::-1] / (AVERAGE_TIMES * epochs))
    expected = weight @ np.stack(seen) / weight.sum()
    found = nn.utils.parameters_to_vector(average.module.parameters())
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)
    assert not torch.equal(found, first) and not any(p.requires_grad for p in average.parameters())
    assert nn.utils.parameters_to_vector(model.parameters()).requires_grad


@pytest.mark.parametrize("steps", [1, 5, 16, 17, 1000])
def test_weights_enter_evenly_and_behind_the_last_step(steps: int) -> None:
    entered = [step for step in range(steps) if enters_average(step, steps)]
    assert len(entered) == min(steps, AVERAGE_TIMES) and entered[-1] == steps - 1
    apart = np.diff([-1, *entered])
    assert apart.min() >= math.floor(steps / AVERAGE_TIMES) and apart.max() <= math.ceil(steps / AVERAGE_TIMES)
