"""What layers do with the events in order, against definitions written out token by token in float64: outputs, the
gradients of every parameter and of the input, and the same of a history that is read in parts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mdaf_core.models.gru import GRU
from mdaf_core.models.hstu import COUNT, HSTUConfig, PointwiseAttention
from mdaf_core.models.layered import Mixer
from mdaf_core.models.mamba2 import Mamba2, Mamba2Config
from mdaf_core.models.mamba3 import Mamba3, Mamba3Config
from mdaf_core.models.mamba4rec import BothDirections, Mamba, Mamba4RecConfig
from mdaf_core.models.mean import MeanConfig, RunningMean
from mdaf_core.models.registry import build_model
from mdaf_core.models.sasrec import SelfAttention
from mdaf_core.ops import packed_attention
from mdaf_core.runs.presets import get_preset
from mdaf_core.studies.definitions import get_definition
from tests.models.batches import USUAL, gaps, random_batch

DIM, LENGTHS = 6, [4, 0, 1, 9, 3]


def running_mean(m: RunningMean, x_LD: Tensor, gap_L: Tensor) -> Tensor:
    w = m.in_proj.weight
    inner = len(w) // 2
    rows = []
    for t in range(len(x_LD)):
        mean = sum(w[:inner] @ x_LD[s] for s in range(t + 1)) / (t + 1)
        z = w[inner:] @ x_LD[t]
        rows.append(m.out_proj.weight @ (mean * z / (1 + torch.exp(-z))))
    return torch.stack(rows)


def gru(m: GRU, x_LD: Tensor, gap_L: Tensor) -> Tensor:
    w, u, b, c = (
        dict(m.gru.named_parameters())[f"{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    h, rows, n = x_LD.new_zeros(u.shape[1]), [], u.shape[1]
    for x in x_LD:
        a, d = w @ x + b, u @ h + c
        r, z = torch.sigmoid(a[:n] + d[:n]), torch.sigmoid(a[n : 2 * n] + d[n : 2 * n])
        h = (1 - z) * torch.tanh(a[2 * n :] + r * d[2 * n :]) + z * h
        rows.append(m.out_proj.weight @ h)
    return torch.stack(rows)


def self_attention(m: SelfAttention, x_LD: Tensor, gap_L: Tensor) -> Tensor:
    projected = x_LD @ m.qkv.weight.T + m.qkv.bias
    width, last, rows = DIM // m.heads, m.position_HP.shape[1] - 1, []
    for i in range(len(x_LD)):
        mixed = []
        for h in range(m.heads):
            part = [projected[:, k * DIM + h * width : k * DIM + (h + 1) * width] for k in range(3)]
            scores = [
                part[0][i] @ part[1][j] / math.sqrt(width) + m.position_HP[h, min(i - j, last)] for j in range(i + 1)
            ]
            share = torch.stack(scores).exp()
            mixed.append(share @ part[2][: i + 1] / share.sum())
        rows.append(m.out_proj.weight @ torch.cat(mixed) + m.out_proj.bias)
    return torch.stack(rows)


def pointwise(m: PointwiseAttention, x_LD: Tensor, gap_L: Tensor) -> Tensor:
    projected, v_dim, k_dim = silu(x_LD @ m.in_proj.weight.T), m.value_dim, m.key_dim
    u = projected[:, : m.heads * v_dim]
    rows = []
    for i in range(len(x_LD)):
        mixed = []
        for h in range(m.heads):
            v = projected[:, (m.heads + h) * v_dim : (m.heads + h + 1) * v_dim]
            q, k = (projected[:, 2 * m.heads * v_dim + (n * m.heads + h) * k_dim :][:, :k_dim] for n in (0, 1))
            total = x_LD.new_zeros(v_dim)
            for j in range(i + 1):
                score = q[i] @ k[j] + m.position_P[min(i - j, len(m.position_P) - 1)]
                if m.time_U is not None:
                    between = float(gap_L[j + 1 : i + 1].sum())
                    score = score + m.time_U[min(int(math.log(max(between, 1.0)) / 0.301), len(m.time_U) - 1)]
                total = total + silu(score) * v[j] / COUNT
            mixed.append(total)
        a = torch.cat(mixed)
        norm = (a - a.mean()) / torch.sqrt(a.var(correction=0) + 1e-6)
        rows.append(m.out_proj.weight @ (u[i] * norm) + m.out_proj.bias)
    return torch.stack(rows)


def silu(x: Tensor) -> Tensor:
    return x / (1 + torch.exp(-x))


def convolved(x_LD: Tensor, weight_DK: Tensor, bias_D: Tensor) -> list[Tensor]:
    last = weight_DK.shape[1] - 1
    return [
        silu(bias_D + sum(weight_DK[:, last - lag] * x_LD[t - lag] for lag in range(min(t, last) + 1)))
        for t in range(len(x_LD))
    ]


def mamba(m: Mamba, x_LD: Tensor, gap_L: Tensor) -> Tensor:
    inner, states = len(m.D_D), m.state_dim
    u_LD, z_LD = (x_LD @ m.in_proj.weight.T).split(inner, dim=1)
    h, rows = x_LD.new_zeros(inner, states), []
    for t, u in enumerate(convolved(u_LD, m.conv_DK, m.conv_bias_D)):
        low, B, C = (m.x_proj.weight @ u).split([m.rank, states, states])
        delta = m.dt_proj.weight @ low + m.dt_proj.bias
        if m.time_D is not None:
            delta = delta + m.time_D * math.log(1 + float(gap_L[t]) / 60)
        delta = torch.log1p(delta.exp())
        h = torch.exp(-delta[:, None] * m.A_log_DN.exp()) * h + torch.outer(delta * u, B)
        rows.append(m.out_proj.weight @ ((h @ C + m.D_D * u) * silu(z_LD[t])))
    return torch.stack(rows)


def both_directions(m: BothDirections, x_LD: Tensor, gap_L: Tensor) -> Tensor:
    back_L = torch.cat([gap_L[:1] * 0, gap_L[1:].flip(0)])
    return mamba(m.forwards, x_LD, gap_L) + mamba(m.backwards, x_LD.flip(0), back_L).flip(0)


def mamba2(m: Mamba2, x_LD: Tensor, gap_L: Tensor) -> Tensor:
    inner, states, heads = m.out_proj.in_features, m.parts[1], len(m.D_H)
    z_LD, mixed_LD, dt_LH = (x_LD @ m.in_proj.weight.T).split([inner, inner + 2 * states, heads], dim=1)
    h, rows, width = [x_LD.new_zeros(inner // heads, states)] * heads, [], inner // heads
    for t, mixed in enumerate(convolved(mixed_LD, m.conv_DK, m.conv_bias_D)):
        u, B, C = mixed.split([inner, states, states])
        out = []
        for i in range(heads):
            delta = torch.log1p(torch.exp(dt_LH[t, i] + m.step_bias_H[i]))
            own = u[i * width : (i + 1) * width]
            h[i] = torch.exp(-delta * m.A_log_H[i].exp()) * h[i] + delta * torch.outer(own, B)
            out.append(h[i] @ C + m.D_H[i] * own)
        y = torch.cat(out) * silu(z_LD[t])
        rows.append(m.out_proj.weight @ (y / torch.sqrt(y.square().mean() + 1e-5) * m.norm.weight))
    return torch.stack(rows)


def mamba3(m: Mamba3, x_LD: Tensor, gap_L: Tensor) -> Tensor:
    inner, heads, states = m.out_proj.in_features, len(m.D_H), m.B_bias_HN.shape[1]
    z_LD, u_LD, B_LN, C_LN, dt_LH, rate_LH, trap_LH, turn_LS = (x_LD @ m.in_proj.weight.T).split(m.sizes, dim=1)
    width, turning = inner // heads, states // 4

    def normed(v: Tensor, weight: Tensor) -> Tensor:
        return v / torch.sqrt(v.square().mean() + 1e-5) * weight

    rows, before = [], [None] * heads
    h, angle = [x_LD.new_zeros(width, states)] * heads, [x_LD.new_zeros(turning)] * heads
    for t in range(len(x_LD)):
        out = []
        for i in range(heads):
            delta = torch.log1p(torch.exp(dt_LH[t, i] + m.step_bias_H[i]))
            rate = 1 + rate_LH[t, i] if rate_LH[t, i] >= 0 else 1 / (1 - rate_LH[t, i])
            alpha, share = torch.exp(-rate * delta), torch.sigmoid(trap_LH[t, i])
            angle[i] = angle[i] + delta * math.pi * torch.tanh(turn_LS[t])
            turned = []
            for vector in (
                normed(B_LN[t], m.B_norm.weight) + m.B_bias_HN[i],
                normed(C_LN[t], m.C_norm.weight) + m.C_bias_HN[i],
            ):
                pairs = []
                for s in range(turning):
                    a, b, c, d = vector[2 * s], vector[2 * s + 1], torch.cos(angle[i][s]), torch.sin(angle[i][s])
                    pairs += [a * c - b * d, a * d + b * c]
                turned.append(torch.cat([torch.stack(pairs), vector[2 * turning :]]))
            key, query = turned
            u = u_LD[t, i * width : (i + 1) * width]
            h[i] = alpha * h[i] + share * delta * torch.outer(u, key)
            if before[i] is not None:
                h[i] = h[i] + (1 - share) * delta * alpha * torch.outer(*before[i])
            before[i] = u, key
            out.append(h[i] @ query + m.D_H[i] * u)
        rows.append(m.out_proj.weight @ (torch.cat(out) * silu(z_LD[t])))
    return torch.stack(rows)


@dataclass
class Case:
    make: Callable[[], Mixer]
    definition: Callable[..., Tensor]
    reads_time: bool = False
    causal: bool = True


_HSTU = {"heads": 2, "attention_dim": 3, "linear_dim": 4, "positions": 3}
_TWO = {"heads": 2, "state_dim": 8, "expand": 2}
CASES = {
    "mamba": Case(lambda: Mamba(DIM, 3, 4, 2, False), mamba),
    "mamba-time": Case(lambda: Mamba(DIM, 3, 4, 2, False, time_aware=True), mamba, True),
    "both-directions": Case(lambda: BothDirections(DIM, 3, 4, 1, False, True), both_directions, True, causal=False),
    "mamba2": Case(lambda: Mamba2(DIM, Mamba2Config(hidden_dim=DIM, **_TWO)), mamba2),
    "mamba3": Case(lambda: Mamba3(DIM, Mamba3Config(hidden_dim=DIM, **_TWO)), mamba3),
    "mean": Case(lambda: RunningMean(DIM, 5), running_mean),
    "gru": Case(lambda: GRU(DIM, 5), gru),
    "self-attention": Case(lambda: SelfAttention(DIM, 2, 4), self_attention),
    "pointwise": Case(lambda: PointwiseAttention(DIM, HSTUConfig(**_HSTU)), pointwise, True),
    "pointwise-without-time": Case(lambda: PointwiseAttention(DIM, HSTUConfig(time_aware=False, **_HSTU)), pointwise),
}
every_mixer = pytest.mark.parametrize("name", CASES)


def mixer(name: str) -> Mixer:
    torch.manual_seed(0)
    made = CASES[name].make().double()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return made


def tokens(lengths: list[int]) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(1)
    x_TD = torch.randn(sum(lengths), DIM, dtype=torch.float64, generator=draw)
    return x_TD, torch.tensor([0, *lengths]).cumsum(0).to(torch.int32), gaps(lengths, draw).double()


@every_mixer
def test_outputs_and_gradients_are_those_of_the_definition(name: str, monkeypatch) -> None:
    monkeypatch.setattr(packed_attention, "QUERIES", 4)
    m, (x_TD, cu, gap_T) = mixer(name), tokens(LENGTHS)
    x_TD.requires_grad_()
    wanted = [x_TD, *m.parameters()]
    weight_TD = torch.randn(x_TD.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    got = m(x_TD, cu, gap_T)
    slices = [slice(a, b) for a, b in pairwise(cu.tolist()) if a < b]
    expected = torch.cat([CASES[name].definition(m, x_TD[part], gap_T[part]) for part in slices])
    torch.testing.assert_close(got, expected, rtol=1e-8, atol=1e-10)
    gradients = [torch.autograd.grad((y * weight_TD).sum(), wanted) for y in (got, expected)]
    for mine, theirs in zip(*gradients, strict=True):
        assert theirs.abs().max() > 0
        torch.testing.assert_close(mine, theirs, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.causal])
@torch.inference_mode()
def test_a_sequence_read_in_parts_is_the_sequence(name: str) -> None:
    m, (x_TD, cu, gap_T) = mixer(name), tokens([11])
    whole = m(x_TD, cu, gap_T)
    for cuts in ([], [1], [0, 4, 4, 9], range(1, 11)):
        state = m.begin()
        parts = [m(x_TD[a:b], None, gap_T[a:b], state) for a, b in zip([0, *cuts], [*cuts, 11], strict=True)]
        torch.testing.assert_close(torch.cat(parts), whole, rtol=1e-9, atol=1e-10)
    assert m(x_TD[:0], torch.zeros(2, dtype=torch.int32), gap_T[:0]).shape == (0, DIM)


@every_mixer
@torch.inference_mode()
def test_times_reach_what_reads_them_and_nothing_else(name: str) -> None:
    m, (x_TD, cu, gap_T) = mixer(name), tokens(LENGTHS)
    other_T = gap_T[torch.randperm(len(gap_T), generator=torch.Generator().manual_seed(3))]
    assert torch.equal(m(x_TD, cu, gap_T), m(x_TD, cu, other_T)) != CASES[name].reads_time


def test_attention_over_long_sequences_is_that_of_one_block(monkeypatch) -> None:
    """Blocks of queries, and groups of sequences padded together, change nothing."""
    lengths = [300, 2, 270, 0, 31, 33, 29, 1]
    m, (x_TD, cu, gap_T) = mixer("pointwise"), tokens(lengths)
    x_TD.requires_grad_()
    found = []
    for queries, pairs in ((256, 1 << 22), (1000, 1), (7, 1 << 12)):
        monkeypatch.setattr(packed_attention, "QUERIES", queries)
        monkeypatch.setattr(packed_attention, "PAIRS", pairs)
        y = m(x_TD, cu, gap_T)
        found.append([y, *torch.autograd.grad(y.square().sum(), [x_TD, *m.parameters()])])
    for mine in found[1:]:
        for a, b in zip(mine, found[0], strict=True):
            torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-9)


@torch.inference_mode()
def test_the_mean_without_layers_is_mean_pooling() -> None:
    torch.manual_seed(0)
    model = build_model(MeanConfig(blocks=0, pooling="mean", target_aware=False), USUAL).eval()
    batch, encoder = random_batch(USUAL, [3, 0, 2]), model.encoder
    event_TE, _ = encoder.look_up(batch)
    projected = encoder.project[0](event_TE)
    normed = F.layer_norm(F.layer_norm(projected, projected.shape[1:]), projected.shape[1:])  # the norm's weights are 1
    expected = torch.stack([normed[:3].mean(0), torch.zeros(128), normed[3:].mean(0)])
    torch.testing.assert_close(encoder.pool(event_TE, None, batch), expected)


@pytest.mark.parametrize("preset", get_definition("sequence-models").presets)
def test_encoders_that_are_compared_are_equally_large(preset: str) -> None:
    """Of the layers alone: embeddings and head are the same."""
    definition = get_definition("sequence-models")
    built = [build_model(get_preset(name).model, USUAL) for name in (preset, definition.reference)]
    sizes = [[sum(p.numel() for p in part.parameters()) for part in (m.encoder.layers, m)] for m in built]
    assert sizes[0][0] == pytest.approx(sizes[1][0], rel=0.01)
    assert sizes[0][1] - sizes[0][0] == sizes[1][1] - sizes[1][0]


def test_weights_from_before_layers_could_be_of_several_kinds_are_read() -> None:
    model = build_model(Mamba4RecConfig(), USUAL)
    weights = {name.replace(".mixer.", ".mamba."): value + 1 for name, value in model.state_dict().items()}
    assert any(".mamba." in name for name in weights)
    model.load_state_dict(dict(weights))
    for name, value in model.state_dict().items():
        assert torch.equal(value, weights[name.replace(".mixer.", ".mamba.")])
