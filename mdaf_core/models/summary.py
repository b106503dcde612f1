"""What a model costs, before it is trained: parameters, multiply-adds a row, memory."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from mdaf_core.data.schema import FeatureSpec
from mdaf_core.models.config import ModelConfig
from mdaf_core.models.registry import build_model

_PROBE_ROWS = 8
_FLOAT = 4  # bytes


@dataclass(frozen=True)
class Parameters:
    """Numbers of parameters: all, those of embedding tables (one row an id), and the rest."""

    total: int
    embedding: int
    dense: int


def count_parameters(config: ModelConfig, features: FeatureSpec) -> Parameters:
    """Count without allocating.

    Raises:
        StudioError: as `build_model`.
    """
    model = _unallocated(config, features)
    total = sum(p.numel() for p in model.parameters())
    embedding = sum(p.numel() for p in model.embedding_parameters())
    return Parameters(total, embedding, total - embedding)


def _unallocated(config: ModelConfig, features: FeatureSpec) -> Any:
    """The model on torch's meta device: shapes without memory."""
    import torch

    with torch.device("meta"):
        return build_model(config, features)


def multiply_adds(config: ModelConfig, features: FeatureSpec, history_length: float) -> int:
    """Multiply-adds of one row's forward pass with a history of this many events.

    Measured, not restated: a copy of the model with tiny vocabularies (they do not matter here) runs a few rows while
    matrix products and attention are counted; convolution, scan and target attention add their closed forms.
    Elementwise work and look-ups are left out. A fractional length interpolates between its neighbours.
    """
    low = math.floor(history_length)
    share = history_length - low
    cost = _multiply_adds_at(config, features, low)
    if share > 0:
        cost += share * (_multiply_adds_at(config, features, low + 1) - cost)
    return round(cost)


def training_bytes(config: ModelConfig, features: FeatureSpec, batch_size: int, history_length: float) -> int:
    """Estimated memory of a training step in bytes: weights, gradients and Adam's two moments (four floats a
    parameter, three in large tables, whose gradients are kept by rows), and the activations kept for the backward
    pass, measured on a few rows. Interpreter, libraries, data and temporary buffers come on top.
    """
    from mdaf_core.models.layers import Table

    model = _unallocated(config, features)
    by_rows = sum(m.weight.numel() for m in model.modules() if isinstance(m, Table) and m.large)
    floats = 4 * sum(p.numel() for p in model.parameters()) - by_rows
    activations = _activation_bytes(config, features, math.ceil(history_length)) / _PROBE_ROWS
    return round(_FLOAT * floats + activations * batch_size)


def _probe(config: ModelConfig, features: FeatureSpec, length: int) -> tuple[Any, Any]:
    """The model with vocabularies of three codes and a batch of `_PROBE_ROWS` rows with `length` events each."""
    import torch

    from mdaf_core.data.gather import match_names
    from mdaf_core.data.loader import Batch

    small = replace(features, categorical={name: min(size, 3) for name, size in features.categorical.items()})
    rows, events = _PROBE_ROWS, _PROBE_ROWS * length
    whole = torch.zeros(rows, dtype=torch.int64)
    batch = Batch(
        label_B=torch.zeros(rows),
        categorical_BF=torch.zeros(rows, len(small.categorical), dtype=torch.int64),
        numeric_BG=torch.zeros(rows, len(small.numeric)),
        cu_seqlens=torch.arange(rows + 1, dtype=torch.int32) * length,
        history={name: torch.zeros(events, dtype=torch.int64) for name in small.history},
        history_age_T=torch.ones(events),
        equal_TH=torch.zeros(events, len(small.history), dtype=torch.bool),
        match_BM=torch.zeros(rows, len(match_names(small.history))),
        row_id_B=whole,
        user_B=whole,
        timestamp_B=whole,
    )
    with torch.random.fork_rng(devices=[]):
        model = build_model(config, small)
    return model, batch


def _multiply_adds_at(config: ModelConfig, features: FeatureSpec, length: int) -> float:
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    model, batch = _probe(config, features, length)
    model.train()  # as in training: MDAF's head runs for the branches only where their loss asks for it
    counter = FlopCounterMode(display=False)
    # Attention as plain matrix products: the counter does not know the CPU's fused kernel.
    with torch.random.fork_rng(devices=[]), torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        model(batch)
    by_event = sum(m.multiply_adds_per_event() for m in model.modules() if hasattr(m, "multiply_adds_per_event"))
    return counter.get_total_flops() / 2 / _PROBE_ROWS + by_event * length


def _activation_bytes(config: ModelConfig, features: FeatureSpec, length: int) -> int:
    import torch

    model, batch = _probe(config, features, length)
    model.train()
    weights = {p.data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.random.fork_rng(devices=[]), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = model.loss(model(batch), batch.label_B)
    del loss
    return sum(kept.values())
