"""On a device without the kernels every model computes what it does with them."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from mdaf_core.data.batches.loader import Slices
from mdaf_core.models.registry import build_model
from mdaf_core.ops.dropout import Dropout
from mdaf_core.runs.presets import get_preset, preset_names
from tests.models.batches import USUAL, random_batch
from tests.models.elsewhere import DEVICE, Elsewhere, OtherDevice, move

PRESETS = [name for name in preset_names() if get_preset(name).model.network]
LENGTHS = [3, 0, 70, 1]


def trained(name: str):  # type: ignore[no-untyped-def]
    """The model with all weights moved, so that all parts matter, and no part that is drawn."""
    config = get_preset(name).model
    torch.manual_seed(0)
    model = build_model(config, USUAL).train()
    for part in model.modules():
        if isinstance(part, Dropout | nn.Dropout):
            part.p = 0.0
        for drawn in ("dropout", "auxiliary_weight"):
            if isinstance(getattr(part, drawn, None), float):
                setattr(part, drawn, 0.0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def as_stream(batch):  # type: ignore[no-untyped-def]
    """The same events, of which two rows read the same."""
    cu = batch.cu_seqlens.long()
    begin_B, end_B = cu[:-1].clone(), cu[1:].clone()
    begin_B[0], end_B[0] = begin_B[2] + 5, end_B[2] - 9
    target_BH = torch.stack([batch.categorical_BF[:, list(USUAL.categorical).index(name)] for name in USUAL.history], 1)
    slices = Slices(begin_B, end_B, torch.stack(list(batch.history.values()), dim=1), target_BH)
    return replace(batch, slices=slices)


def answers(model, batch):  # type: ignore[no-untyped-def]
    output = model(batch)
    model.loss(output, batch.label_B).backward()
    found = {"logit": output.logit_B.detach()} | {
        name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None
    }
    return {name: x.inner if isinstance(x, Elsewhere) else x for name, x in found.items()}


@pytest.mark.parametrize("name", PRESETS)
def test_logits_and_gradients_are_those_of_the_kernels(name: str) -> None:
    model = trained(name)
    batch = random_batch(USUAL, LENGTHS)
    if model.causal:
        batch = as_stream(batch)
    other = move(copy.deepcopy(model))
    expected = answers(model, batch)
    with OtherDevice():
        there = batch.to(DEVICE)
        found = answers(other, there)
        with pytest.raises(RuntimeError):
            there.label_B.numpy()
    assert found.keys() == expected.keys()
    for part, mine in found.items():
        scale = float(expected[part].abs().max())
        apart = float((mine - expected[part]).abs().max())
        assert apart <= 1e-4 * scale + 1e-6, f"{part}: {apart:.2g} apart, of {scale:.2g}"


def test_what_would_fail_on_a_gpu_fails() -> None:
    with OtherDevice():
        there = torch.ones(3, device=DEVICE)
        with pytest.raises(AssertionError, match="kernel of the CPU"):
            torch.ops.mdaf.dropout(there, 0.5, torch.tensor(1))
        with pytest.raises(AssertionError, match="two devices"):
            there + torch.ones(3)
        assert (there + 1).tolist() == [2, 2, 2] and there.sum().item() == 3
