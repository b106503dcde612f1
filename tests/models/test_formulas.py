"""Layers against the papers' formulas, written out naively in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mdaf_core.models.autoint import AutoIntConfig
from mdaf_core.models.dcnv2 import DCNv2Config
from mdaf_core.models.dcnv3 import DCNv3Config, tri_bce
from mdaf_core.models.layered import TargetAttention
from mdaf_core.models.layers import append_token, spread
from mdaf_core.models.lr import LRConfig
from mdaf_core.models.mamba4rec import Mamba, Mamba4RecConfig, Mamba4RecEncoder
from mdaf_core.models.registry import build_model
from tests.models.batches import RICH, USUAL, random_batch


def built(config, features=USUAL, seed=0):
    torch.manual_seed(seed)
    model = build_model(config, features).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def weights(model) -> dict[str, np.ndarray]:
    return {key: value.detach().numpy() for key, value in model.state_dict().items()}


def field_vectors(w, prefix, batch, features) -> list[list[np.ndarray]]:
    """Row by row, field by field: an embedding a categorical field, value times vector a number."""
    rows = []
    for codes, numbers in zip(batch.categorical_BF.tolist(), batch.numeric_BG.tolist(), strict=True):
        vectors, start = [], 0
        for code, size in zip(codes, features.categorical.values(), strict=True):
            vectors.append(w[f"{prefix}.table.weight"][start + code])
            start += size
        for g, number in enumerate(numbers):
            missing = math.isnan(number)
            vectors.append(
                w[f"{prefix}.numeric.missing_GD"][g] if missing else number * w[f"{prefix}.numeric.vector_GD"][g]
            )
        rows.append(vectors)
    return rows


def as_double(batch):
    batch.numeric_BG, batch.match_BM = batch.numeric_BG.double(), batch.match_BM.double()
    return batch


def relu(x):
    return np.maximum(x, 0.0)


def tower(w, prefix, x, layers):
    for i in range(layers):
        x = relu(w[f"{prefix}.layers.{3 * i}.weight"] @ x + w[f"{prefix}.layers.{3 * i}.bias"])
    return x


def test_logistic_regression_is_a_sum_of_weights() -> None:
    model = built(LRConfig(), RICH)
    batch = as_double(random_batch(RICH, [2, 0, 5]))
    w = weights(model)
    expected = [w["bias"] + sum(v.item() for v in row) for row in field_vectors(w, "weights", batch, RICH)]
    np.testing.assert_allclose(model(batch).logit_B.detach().numpy(), expected, rtol=1e-10)


@pytest.mark.parametrize("structure", ["parallel", "stacked"])
def test_dcnv2_crosses(structure) -> None:
    model = built(DCNv2Config(embedding_dim=4, structure=structure, hidden_units=[6, 5]), RICH)
    batch = as_double(random_batch(RICH, [0] * 6))
    w, expected = weights(model), []
    for row in field_vectors(w, "fields", batch, RICH):
        x0 = np.concatenate(row)
        x = x0
        for i in range(3):
            x = x0 * (w[f"crosses.{i}.linear.weight"] @ x + w[f"crosses.{i}.linear.bias"]) + x
        top = np.concatenate([x, tower(w, "tower", x0, 2)]) if structure == "parallel" else tower(w, "tower", x, 2)
        expected.append(w["out.weight"][0] @ top + w["out.bias"][0])
    np.testing.assert_allclose(model(batch).logit_B.detach().numpy(), expected, rtol=1e-10)


def test_dcnv2_low_rank_mixture() -> None:
    model = built(DCNv2Config(embedding_dim=4, low_rank=3, experts=2, cross_layers=2, hidden_units=[]))
    batch = as_double(random_batch(USUAL, [0] * 6))
    w, expected = weights(model), []
    for row in field_vectors(w, "fields", batch, USUAL):
        x0 = np.concatenate(row)
        x = x0
        for i in range(2):
            score = w[f"crosses.{i}.gate.weight"] @ x
            share = np.exp(score) / np.exp(score).sum()
            total = x
            for e in range(2):
                v, c, u = (w[f"crosses.{i}.{key}"][e] for key in ("V_EDR", "C_ERR", "U_ERD"))
                inner = np.tanh(np.tanh(x @ v) @ c) @ u
                total = total + share[e] * x0 * (inner + w[f"crosses.{i}.bias_D"])
            x = total
        expected.append(w["out.weight"][0] @ x + w["out.bias"][0])
    np.testing.assert_allclose(model(batch).logit_B.detach().numpy(), expected, rtol=1e-10)


@pytest.mark.parametrize("heads", [1, 2])
def test_dcnv3_networks_and_heads(heads) -> None:
    model = built(DCNv3Config(embedding_dim=8, num_heads=heads, linear_layers=2, exponential_layers=3), RICH)
    batch = as_double(random_batch(RICH, [0] * 6))
    w, expected = weights(model), {"deep": [], "shallow": []}

    def network(name, layers, x0, exponential):
        x = x0
        for i in range(layers):
            half = w[f"networks.{name}.maps.{i}.weight"] @ x
            norm = (half - half.mean()) / np.sqrt(half.var() + 1e-5)
            norm = norm * w[f"networks.{name}.norms.{i}.weight"] + w[f"networks.{name}.norms.{i}.bias"]
            c = np.concatenate([half, half * relu(norm)])
            x = (x if exponential else x0) * (c + w[f"networks.{name}.biases.{i}"]) + x
        return w[f"{name}_out.weight"][0] @ x + w[f"{name}_out.bias"][0]

    size = 8 // heads
    for row in field_vectors(w, "networks.fields", batch, RICH):
        logits = {"deep": [], "shallow": []}
        for h in range(heads):
            parts = [vector[h * size : (h + 1) * size] for vector in row]
            x0 = np.concatenate([p[: size // 2] for p in parts] + [p[size // 2 :] for p in parts])
            logits["deep"].append(network("deep", 3, x0, True))
            logits["shallow"].append(network("shallow", 2, x0, False))
        for name, values in logits.items():
            expected[name].append(np.mean(values))
    output = model(batch)
    for name, values in expected.items():
        np.testing.assert_allclose(output.parts[name].detach().numpy(), values, rtol=1e-9)
    mean = (np.array(expected["deep"]) + np.array(expected["shallow"])) / 2
    np.testing.assert_allclose(output.logit_B.detach().numpy(), mean, rtol=1e-9)


def test_autoint_attention() -> None:
    heads, dim = 2, 6
    model = built(AutoIntConfig(embedding_dim=4, layers=2, heads=heads, attention_dim=dim, hidden_units=[5]), RICH)
    batch = as_double(random_batch(RICH, [0] * 6))
    w, expected = weights(model), []
    for row in field_vectors(w, "fields", batch, RICH):
        x = list(row)
        for i in range(2):
            qkv = w[f"attention.{i}.qkv.weight"].reshape(3, heads, dim // heads, -1)
            new = []
            for m in range(len(x)):
                mixed = []
                for h in range(heads):
                    scores = np.array([(qkv[0, h] @ x[m]) @ (qkv[1, h] @ x[k]) for k in range(len(x))])
                    alpha = np.exp(scores - scores.max())
                    alpha /= alpha.sum()
                    mixed.append(sum(a * (qkv[2, h] @ x[k]) for k, a in enumerate(alpha)))
                new.append(relu(np.concatenate(mixed) + w[f"attention.{i}.residual.weight"] @ x[m]))
            x = new
        top = np.concatenate([*x, tower(w, "tower", np.concatenate(row), 1)])
        expected.append(w["out.weight"][0] @ top + w["out.bias"][0])
    np.testing.assert_allclose(model(batch).logit_B.detach().numpy(), expected, rtol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_tri_bce(seed) -> None:
    draw = np.random.default_rng(seed)
    logits, target = draw.normal(0, 2, (3, 50)), draw.choice([0.025, 0.975], 50)

    def bce(x):
        p = 1 / (1 + np.exp(-x))
        return -(target * np.log(p) + (1 - target) * np.log(1 - p)).mean()

    total, deep, shallow = (bce(x) for x in logits)
    expected = total + max(0, deep - total) * deep + max(0, shallow - total) * shallow
    got = tri_bce(*torch.from_numpy(logits), torch.from_numpy(target))
    assert got.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("scalar", [True, False])
def test_mamba_block_one_step_at_a_time(scalar) -> None:
    torch.manual_seed(0)
    dim, states, width = 32, 4, 3
    block = Mamba(dim, states, width, expand=2, scalar_delta=scalar).double()
    w = {key: value.detach().numpy() for key, value in block.state_dict().items()}
    lengths = [5, 0, 1, 9]
    cu = torch.tensor([0, *lengths]).cumsum(0).to(torch.int32)
    x = torch.randn(sum(lengths), dim, dtype=torch.float64)
    got = block(x, cu).detach().numpy()

    def silu(v):
        return v / (1 + np.exp(-v))

    inner, rank = 2 * dim, block.rank
    assert rank == (1 if scalar else 2)
    for s, length in enumerate(lengths):
        h, inputs = np.zeros((inner, states)), []
        for t in range(length):
            u, z = np.split(w["in_proj.weight"] @ x[cu[s] + t].numpy(), 2)
            inputs.append(u)
            conv = w["conv_bias_D"].copy()
            for lag in range(width):
                if t - lag >= 0:
                    conv += w["conv_DK"][:, width - 1 - lag] * inputs[t - lag]
            u = silu(conv)
            projected = w["x_proj.weight"] @ u
            delta, B, C = projected[:rank], projected[rank : rank + states], projected[rank + states :]
            if not scalar:
                delta = w["dt_proj.weight"] @ delta + w["dt_proj.bias"]
            delta = np.log1p(np.exp(delta)) * np.ones(inner)
            A = -np.exp(w["A_log_DN"])
            h = np.exp(delta[:, None] * A) * h + (delta * u)[:, None] * B
            y = (h @ C + w["D_D"] * u) * silu(z)
            np.testing.assert_allclose(got[cu[s] + t], w["out_proj.weight"] @ y, rtol=1e-5, atol=1e-8)


def test_mamba_steps_start_log_uniform() -> None:
    torch.manual_seed(0)
    block = Mamba(dim=1024, state_dim=16, conv_width=4, expand=2, scalar_delta=False)
    step = torch.nn.functional.softplus(block.dt_proj.bias.double()).log10()
    assert step.min() > -3.001 and step.max() < -0.999
    assert step.mean().item() == pytest.approx(-2.0, abs=0.05)
    assert step.std().item() == pytest.approx(2 / math.sqrt(12), abs=0.03)
    assert torch.allclose(block.A_log_DN.exp(), torch.arange(1.0, 17.0).expand(2048, 16))
    assert (block.D_D == 1).all()


def test_target_attention() -> None:
    torch.manual_seed(0)
    dim, lengths = 5, [3, 0, 1, 8]
    attention = TargetAttention(fields=2, target_dim=4, dim=dim).double()
    with torch.no_grad():
        attention.recency.fill_(0.7)
        attention.equal_H.copy_(torch.tensor([1.2, 2.8]))
    cu = torch.tensor([0, *lengths]).cumsum(0).to(torch.int32)
    equal, target = torch.randint(0, 2, (sum(lengths), 2)).double(), torch.randn(4, 4).double()
    value = torch.randn(sum(lengths), dim).double()
    got = attention(equal, target, value, cu).detach().numpy()
    w = weights(attention)
    for row, length in enumerate(lengths):
        scores, values = [w["nothing_score"]], [w["nothing_D"]]
        query = w["query.weight"] @ target[row].numpy() + w["query.bias"]
        for t in range(int(cu[row]), int(cu[row]) + length):
            newer = int(cu[row]) + length - 1 - t
            similar = query @ (w["key.weight"] @ value[t].numpy()) / math.sqrt(dim)
            scores.append(similar + equal[t].numpy() @ w["equal_H"] - w["recency"] * math.log(1 + newer))
            values.append(value[t].numpy())
        alpha = np.exp(scores) / np.exp(scores).sum()
        np.testing.assert_allclose(got[row], alpha @ np.array(values), rtol=1e-9)


def test_an_equal_id_is_seen_before_any_training() -> None:
    """Of 50 events, the one with the target's item and category gets most of the events' weight."""
    torch.manual_seed(0)
    encoder = Mamba4RecEncoder(Mamba4RecConfig(), USUAL)
    batch = random_batch(USUAL, [50])
    equal = torch.zeros(50, 2)
    equal[17] = 1.0
    one_hot = torch.eye(50)[:, 17:18].expand(50, 128)
    with torch.no_grad():
        encoder.attention.nothing_D.zero_()
        encoder.attention.nothing_score.fill_(-torch.inf)
        pooled = encoder.attention(equal, torch.zeros(1, 96), one_hot, batch.cu_seqlens)
    assert pooled.min() > 0.8


def test_append_token_puts_it_last() -> None:
    x = torch.arange(5.0).unsqueeze(1)
    joined, cu = append_token(x, torch.tensor([[10.0], [11.0], [12.0]]), torch.tensor([0, 2, 2, 5], dtype=torch.int32))
    assert joined.squeeze(1).tolist() == [0, 1, 10, 11, 2, 3, 4, 12]
    assert cu.tolist() == [0, 3, 4, 8] and cu.dtype == torch.int32


def test_spread_shares_one_between_the_two_nearest_knots() -> None:
    x = torch.tensor([[0.0, 1.0, 0.5], [0.25, 0.3, 1 / 3]], dtype=torch.float64)
    weight = spread(x, 5)
    assert weight.shape == (2, 3, 5) and (weight >= 0).all() and ((weight > 0).sum(-1) <= 2).all()
    torch.testing.assert_close(weight.sum(-1), torch.ones_like(x))
    torch.testing.assert_close(weight @ torch.linspace(0, 1, 5, dtype=torch.float64), x)
    assert weight[0, 2].tolist() == [0, 0, 1, 0, 0]
