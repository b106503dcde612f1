"""Static models against their sources: forward, loss and every gradient of a batch, row by row in float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from mdaf_core.base.errors import StudioError
from mdaf_core.data.batches.loader import Batch
from mdaf_core.models.base import ModelSettings
from mdaf_core.models.deepfm import DeepFMConfig
from mdaf_core.models.finalmlp import FinalMLPConfig
from mdaf_core.models.finalnet import BatchNorm, FinalNetConfig
from mdaf_core.models.gdcn import GDCNConfig
from mdaf_core.models.masknet import MaskNetConfig
from mdaf_core.models.registry import build_model
from mdaf_core.models.wukong import WukongConfig
from mdaf_core.models.xdeepfm import XDeepFMConfig
from tests.models.batches import NO_HISTORY, RICH, random_batch

Weights = dict[str, Tensor]
SIZES = RICH.categorical
ROWS = 6


def sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-x))


def relu(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, torch.zeros_like(x))


def normal(x: Tensor) -> Tensor:
    """Mean 0 and variance 1 over its last dimension, as LayerNorm before its gain."""
    mean = x.sum(-1, keepdim=True) / x.shape[-1]
    return (x - mean) / torch.sqrt(((x - mean) ** 2).sum(-1, keepdim=True) / x.shape[-1] + 1e-5)


def linear(w: Weights, name: str, x: Tensor) -> Tensor:
    y = w[f"{name}.weight"] @ x
    return y + w[f"{name}.bias"] if f"{name}.bias" in w else y


def dnn(w: Weights, name: str, x: Tensor, layers: int) -> Tensor:
    for i in range(layers):
        x = relu(linear(w, f"{name}.layers.{3 * i}", x))
    return x


def vectors(w: Weights, name: str, batch: Batch, row: int, ids: Sequence[str] = (*SIZES,), numbers: bool = True) -> Any:
    """Field by field: an embedding each, then value times vector, or the vector of what is missing."""
    found, start = [], 0
    for field in ids:
        code = int(batch.categorical_BF[row, list(SIZES).index(field)])
        found.append(w[f"{name}.table.weight"][start + code])
        start += SIZES[field]
    for g, number in enumerate(batch.numeric_BG[row]) if numbers else ():
        known = w[f"{name}.numeric.missing_GD"] if number.isnan() else number * w[f"{name}.numeric.vector_GD"]
        found.append(known[g])
    return found


def cross_entropy(logit_B: Tensor, target_B: Tensor) -> Tensor:
    p = sigmoid(logit_B)
    return -(target_B * torch.log(p) + (1 - target_B) * torch.log(1 - p)).sum() / len(p)


def by_row(logit: Callable[[Weights, Batch, int], Tensor]) -> Callable[[Weights, Batch, Tensor], tuple[Tensor, Tensor]]:
    """A model whose rows do not meet, with the plain loss."""

    def definition(w: Weights, batch: Batch, target_B: Tensor) -> tuple[Tensor, Tensor]:
        logit_B = torch.stack([logit(w, batch, row).squeeze() for row in range(ROWS)])
        return logit_B, cross_entropy(logit_B, target_B)

    return definition


def deepfm(layers: int) -> Any:
    def logit(w: Weights, batch: Batch, row: int) -> Tensor:
        v = vectors(w, "fields", batch, row)
        pairs = sum((a * b).sum() for a, b in combinations(v, 2))
        deep = w["out.weight"] @ dnn(w, "tower", torch.cat(v), layers) if layers else 0.0
        return w["bias"] + sum(vectors(w, "weights", batch, row)) + pairs + deep

    return by_row(logit)


def xdeepfm(cin_layers: int, layers: int) -> Any:
    def logit(w: Weights, batch: Batch, row: int) -> Tensor:
        v = vectors(w, "fields", batch, row)
        x, parts = v, []
        for k in range(cin_layers):
            weight = w[f"cin.maps.{k}.weight"]
            x = [sum(one[i * len(v) + j] * x[i] * v[j] for i in range(len(x)) for j in range(len(v))) for one in weight]
            parts += [vector.sum().unsqueeze(0) for vector in x]
        parts += [dnn(w, "tower", torch.cat(v), layers)] if layers else []
        return linear(w, "out", torch.cat(parts)) + sum(vectors(w, "weights", batch, row))

    return by_row(logit)


def gdcn(structure: str, layers: int) -> Any:
    def logit(w: Weights, batch: Batch, row: int) -> Tensor:
        x0 = torch.cat(vectors(w, "fields", batch, row))
        x = x0
        for i in range(2):
            gate = sigmoid(w[f"crosses.{i}.gate.weight"] @ x)
            x = x0 * linear(w, f"crosses.{i}.linear", x) * gate + x
        if structure == "stacked" or not layers:
            return linear(w, "out", dnn(w, "tower", x, layers))
        return linear(w, "out", torch.cat([x, dnn(w, "tower", x0, layers)]))

    return by_row(logit)


def masknet(structure: str) -> Any:
    def block(w: Weights, name: str, whole: Tensor, x: Tensor) -> Tensor:
        mask = linear(w, f"{name}.mask", dnn(w, f"{name}.aggregate", whole, 1))
        y = normal(w[f"{name}.linear.weight"] @ (mask * x))
        return relu(y * w[f"{name}.norm.weight"] + w[f"{name}.norm.bias"])

    def logit(w: Weights, batch: Batch, row: int) -> Tensor:
        v = vectors(w, "fields", batch, row)
        whole = torch.cat(v)
        first = torch.cat([normal(x) * w["norm.gain_FD"][f] + w["norm.shift_FD"][f] for f, x in enumerate(v)])
        if structure == "serial":
            x = first
            for i in range(2):
                x = block(w, f"blocks.{i}", whole, x)
            return linear(w, "out", x)
        side = torch.cat([block(w, f"blocks.{i}", whole, first) for i in range(2)])
        return linear(w, "out", dnn(w, "tower", side, 2))

    return by_row(logit)


def finalmlp(selection: str, heads: int) -> Any:
    item = ["item", "genre"]

    def logit(w: Weights, batch: Batch, row: int) -> Tensor:
        v = torch.cat(vectors(w, "fields", batch, row))
        streams = []
        for s, layers in enumerate((2, 1)):
            x = v
            if selection != "none":
                seen = [w[f"gates.{s}.learned_D"]] if selection == "learned" else None
                ids = [[name for name in SIZES if name not in item], item][s]
                seen = seen or vectors(w, f"gates.{s}.context", batch, row, ids, numbers=s == 0)
                hidden = dnn(w, f"gates.{s}.tower", torch.cat(seen), 1)
                x = 2 * sigmoid(linear(w, f"gates.{s}.out", hidden)) * v
            streams.append(dnn(w, f"towers.{s}", x, layers))
        product = sum(
            a @ w["fusion.W_HXY"][h] @ b
            for h, (a, b) in enumerate(zip(*(stream.chunk(heads) for stream in streams), strict=True))
        )
        return linear(w, "fusion.linear", torch.cat(streams)) + product

    return by_row(logit)


def wukong(w: Weights, batch: Batch, row: int) -> Tensor:
    x = torch.stack(vectors(w, "fields", batch, row))
    for i in range(2):
        name = f"layers.{i}"
        products = (x @ x.T) @ w[f"{name}.products.project_NK"]
        flat = normal(products.flatten()) * w[f"{name}.products.norm.weight"] + w[f"{name}.products.norm.bias"]
        made = linear(w, f"{name}.products.out", dnn(w, f"{name}.products.tower", flat, 1)).view(3, 4)
        kept = w[f"{name}.residual.weight"] @ x if f"{name}.residual.weight" in w else x
        x = normal(torch.cat([made, w[f"{name}.sums.weight"] @ x]) + kept)
        x = x * w[f"{name}.norm.weight"] + w[f"{name}.norm.bias"]
    return linear(w, "out", dnn(w, "tower", x.flatten(), 1))


def finalnet(config: FinalNetConfig, training: bool) -> Any:
    def block(w: Weights, name: str, x_BD: Tensor, layers: int) -> Tensor:
        per_layer = 2 + config.batch_norm + (config.activation == "relu")
        for i in range(layers):
            rows = []
            for x in x_BD:
                y = linear(w, f"{name}.layers.{per_layer * i}.linear", x)
                h, factor = y[: len(y) // 2], y[len(y) // 2 :]
                rows.append(h + h * factor if config.residual == "sum" else torch.cat([h, h * factor]))
            x_BD = torch.stack(rows)
            if config.batch_norm:
                norm = f"{name}.layers.{per_layer * i + 1}"
                mean, variance = w[f"{norm}.running_mean"], w[f"{norm}.running_var"]
                if training:
                    mean = x_BD.sum(0) / ROWS
                    variance = ((x_BD - mean) ** 2).sum(0) / ROWS
                x_BD = (x_BD - mean) / torch.sqrt(variance + 1e-5) * w[f"{norm}.weight"] + w[f"{norm}.bias"]
            x_BD = relu(x_BD) if config.activation == "relu" else x_BD
        return torch.stack([linear(w, f"{name}.out", x).squeeze() for x in x_BD])

    def weighed(w: Weights, v: list[Tensor]) -> list[Tensor]:
        weight, bias = w["gate.linear.weight"], w["gate.linear.bias"]
        return [x * (sum(weight[f, g] * y for g, y in enumerate(v)) + bias[f]) for f, x in enumerate(v)]

    def definition(w: Weights, batch: Batch, target_B: Tensor) -> tuple[Tensor, Tensor]:
        first, second = [], []
        for row in range(ROWS):
            v = vectors(w, "fields", batch, row)
            second.append(torch.cat(v))
            first.append(torch.cat([*v, *(weighed(w, v) if config.field_gate else ())]))
        one_B = block(w, "first", torch.stack(first), 2)
        if config.blocks == 1:
            return one_B, cross_entropy(one_B, target_B)
        two_B = block(w, "second", torch.stack(second), 1)
        logit_B = (one_B + two_B) / 2
        teacher_B = sigmoid(logit_B).detach()
        loss = cross_entropy(logit_B, target_B) + cross_entropy(one_B, teacher_B) + cross_entropy(two_B, teacher_B)
        return logit_B, loss

    return definition


SMALL: dict[str, Any] = {"embedding_dim": 4, "dropout": 0.0}
FINALNETS = [
    FinalNetConfig(**SMALL, hidden_units=[6, 4], second_hidden_units=[4], **settings)
    for settings in (
        {},
        {"residual": "concat", "activation": "relu"},
        {"batch_norm": False, "field_gate": False},
        {"blocks": 1},
    )
]
CASES: dict[str, tuple[ModelSettings, Any, bool]] = {
    "deepfm": (DeepFMConfig(**SMALL, hidden_units=[6, 5]), deepfm(2), True),
    "deepfm-no-dnn": (DeepFMConfig(**SMALL, hidden_units=[]), deepfm(0), True),
    "xdeepfm": (XDeepFMConfig(**SMALL, cin_layers=2, cin_maps=3, hidden_units=[6, 5]), xdeepfm(2, 2), True),
    "xdeepfm-no-dnn": (XDeepFMConfig(**SMALL, cin_layers=1, cin_maps=3, hidden_units=[]), xdeepfm(1, 0), True),
    "gdcn": (GDCNConfig(**SMALL, cross_layers=2, hidden_units=[6, 5]), gdcn("parallel", 2), True),
    "gdcn-stacked": (
        GDCNConfig(**SMALL, cross_layers=2, hidden_units=[6], structure="stacked"), gdcn("stacked", 1), True,
    ),
    "gdcn-no-dnn": (GDCNConfig(**SMALL, cross_layers=2, hidden_units=[]), gdcn("parallel", 0), True),
    "masknet": (MaskNetConfig(**SMALL, blocks=2, block_dim=5, hidden_units=[6, 3]), masknet("parallel"), True),
    "masknet-serial": (
        MaskNetConfig(**SMALL, blocks=2, block_dim=5, structure="serial", reduction=0.5), masknet("serial"), True,
    ),
    "wukong": (
        WukongConfig(
            **SMALL, layers=2, fm_tokens=3, linear_tokens=2, rank=3, fm_hidden_units=[6], hidden_units=[5]
        ),
        by_row(wukong),
        True,
    ),
    "finalnet-evaluated": (FINALNETS[0], finalnet(FINALNETS[0], False), False),
}  # fmt: skip
CASES |= {f"finalnet-{n}": (config, finalnet(config, True), True) for n, config in enumerate(FINALNETS)}
CASES |= {
    f"finalmlp-{selection}-{heads}": (
        FinalMLPConfig(
            **SMALL, hidden_units=[6, 4], second_hidden_units=[6], gate_hidden=5, selection=selection, heads=heads
        ),
        finalmlp(selection, heads),
        True,
    )
    for selection, heads in (("learned", 1), ("item", 2), ("none", 2))
}


@pytest.mark.parametrize("name", CASES)
def test_forward_loss_and_gradients_are_those_of_the_definition(name: str) -> None:
    config, definition, training = CASES[name]
    torch.manual_seed(0)
    model = build_model(config, RICH).double().train(training)
    with torch.no_grad():
        for value in [*model.parameters(), *(b for b in model.buffers() if b.is_floating_point())]:
            value.add_(0.6 * torch.rand_like(value) - 0.3)  # variances stay positive
    batch = random_batch(RICH, [0] * ROWS)
    batch.numeric_BG = batch.numeric_BG.double()
    target_B = (0.9 * batch.label_B + 0.05).double()
    weights = {key: value.detach().clone() for key, value in model.state_dict().items()}
    learned = {key: weights[key].requires_grad_() for key, _ in model.named_parameters()}
    logit_B, loss = definition(weights, batch, target_B)
    loss.backward()

    output = model(batch)
    found = model.loss(output, target_B)
    found.backward()
    exact: dict[str, Any] = {"rtol": 1e-8, "atol": 1e-12}
    torch.testing.assert_close(output.logit_B, logit_B, **exact)
    torch.testing.assert_close(found, loss, **exact)
    assert logit_B.std() > 1e-3
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None and learned[key].grad is not None, key
        torch.testing.assert_close(
            parameter.grad, learned[key].grad, **exact, msg=lambda text, key=key: f"{key}: {text}"
        )


def test_a_batch_of_one_row_is_normalised_as_when_evaluating() -> None:
    layer, row = BatchNorm(3).train(), torch.randn(1, 3)
    layer(torch.randn(5, 3))
    kept = layer.running_var.clone()
    torch.testing.assert_close(layer(row), layer.eval()(row))
    assert torch.equal(layer.running_var, kept)


def test_gates_on_the_item_need_one() -> None:
    with pytest.raises(StudioError, match=r"role item.*C1, C2.*learned or none"):
        build_model(FinalMLPConfig(selection="item"), NO_HISTORY)


@pytest.mark.parametrize(
    ("config", "settings", "message"),
    [
        (FinalMLPConfig, {"heads": 3}, "multiple of heads"),
        (FinalNetConfig, {"residual": "concat", "hidden_units": [7]}, "multiple of 2"),
    ],
)
def test_widths_that_cannot_be_cut_are_refused(config: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        config(**settings)
