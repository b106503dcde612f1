"""What g means, and that asking for another g is answered truthfully."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from mdaf_core.base.errors import StudioError
from mdaf_core.models.bst import BSTConfig
from mdaf_core.models.mdaf import MDAF, MDAFConfig
from tests.models.batches import USUAL, random_batch

GATED = ["gate", "gate-vector", "fixed", "attention"]
LENGTHS = [3, 0, 50, 1, 7]


def build(**settings) -> MDAF:
    torch.manual_seed(0)
    model = MDAF(MDAFConfig(**settings), USUAL)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


@pytest.mark.parametrize("fusion", GATED)
@pytest.mark.parametrize("sequential", [{}, {"sequential": BSTConfig()}], ids=["mamba4rec", "bst"])
def test_branch_logits_are_those_of_g_zero_and_one(fusion, sequential) -> None:
    model, batch = build(fusion=fusion, **sequential).eval(), random_batch(USUAL, LENGTHS)
    with torch.no_grad():
        output = model(batch)
        rows = len(batch)
        assert output.gate_B.shape == (rows,) and ((output.gate_B > 0) & (output.gate_B < 1)).all()
        torch.testing.assert_close(model(batch, gate_B=torch.zeros(rows)).logit_B, output.logit_static_B)
        torch.testing.assert_close(model(batch, gate_B=torch.ones(rows)).logit_B, output.logit_sequential_B)
        learned = output.gate_B if output.gate_BD is None else output.gate_BD
        torch.testing.assert_close(model(batch, gate_B=learned).logit_B, output.logit_B)
        assert not torch.allclose(output.logit_static_B, output.logit_sequential_B)


@pytest.mark.parametrize("fusion", GATED)
def test_fused_vector_is_the_weighted_sum(fusion) -> None:
    model, batch = build(fusion=fusion).eval(), random_batch(USUAL, LENGTHS)
    with torch.no_grad():
        static, sequential = model.branches(batch)
        output = model(batch)
        g = output.gate_BD if fusion == "gate-vector" else output.gate_B.unsqueeze(1)
        torch.testing.assert_close(model.logit((1 - g) * static + g * sequential), output.logit_B)
        if fusion == "fixed":
            assert (g == 0.5).all()
        if fusion == "gate":
            first, _, second = model.fusion.net
            hidden = F.relu(torch.cat([static, sequential], 1) @ first.weight.T + first.bias)
            torch.testing.assert_close(g, 1 / (1 + torch.exp(-(hidden @ second.weight.T + second.bias))))
        if fusion == "gate-vector":
            assert g.shape == static.shape
            torch.testing.assert_close(output.gate_B, g.mean(dim=1))
        if fusion == "attention":
            scores = torch.cat([model.fusion.score(static), model.fusion.score(sequential)], dim=1)
            torch.testing.assert_close(g, scores.softmax(dim=1)[:, 1:])


def test_concat_has_no_gate() -> None:
    model, batch = build(fusion="concat").eval(), random_batch(USUAL, LENGTHS)
    output = model(batch)
    assert output.gate_B is None and output.logit_static_B is None and output.logit_sequential_B is None
    torch.testing.assert_close(model.logit(torch.cat(model.branches(batch), dim=1)), output.logit_B)
    with pytest.raises(StudioError, match="no gate"):
        model(batch, gate_B=torch.zeros(len(batch)))


def test_static_branch_is_blind_to_the_history_and_the_other_is_not() -> None:
    model = build().eval()
    batch, other = random_batch(USUAL, LENGTHS, seed=0), random_batch(USUAL, LENGTHS, seed=1)
    other.categorical_BF = batch.categorical_BF
    with torch.no_grad():
        first, second = model(batch), model(other)
    torch.testing.assert_close(first.logit_static_B, second.logit_static_B)
    assert not torch.allclose(first.logit_sequential_B, second.logit_sequential_B)


@pytest.mark.parametrize("weight", [0.0, 0.3])
def test_branch_loss(weight) -> None:
    model, batch = build(branch_loss_weight=weight, dropout=0.0), random_batch(USUAL, LENGTHS)
    output = model.eval()(batch)
    bce = F.binary_cross_entropy_with_logits
    expected = bce(output.logit_B, batch.label_B) + weight * (
        bce(output.logit_static_B, batch.label_B) + bce(output.logit_sequential_B, batch.label_B)
    )
    torch.testing.assert_close(model.loss(output, batch.label_B), expected)
    assert (model.train()(batch).logit_static_B is None) == (weight == 0.0)


def test_normalised_branches_are_what_the_gate_sees_and_mixes() -> None:
    model, batch = build(normalise=True).eval(), random_batch(USUAL, LENGTHS)
    with torch.no_grad():
        for norm in (model.static_norm, model.sequential_norm):
            norm.weight.fill_(1.0)
            norm.bias.zero_()
        static, sequential = model.branches(batch)
        raw = model.static_map(model.static(batch)).double()
        mean, deviation = raw.mean(1, keepdim=True), (raw.var(1, keepdim=True, unbiased=False) + 1e-5).sqrt()
        torch.testing.assert_close(static.double(), (raw - mean) / deviation, rtol=1e-4, atol=1e-4)
        g = model.fusion(static, sequential)
        torch.testing.assert_close(model.logit((1 - g) * static + g * sequential), model(batch).logit_B)
