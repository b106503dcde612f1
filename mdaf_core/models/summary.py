"""What a model costs, before it is trained: parameters, multiply-adds a row, memory."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from mdaf_core.data.store.schema import FeatureSpec
from mdaf_core.models.base import ModelSettings
from mdaf_core.models.registry import build_model

_PROBE_ROWS = 64
_FLOAT = 4  # bytes
_FRAGMENTS = 1.45


@dataclass(frozen=True)
class Parameters:
    """Numbers of parameters: all, those of embedding tables (one row an id), and the rest."""

    total: int
    embedding: int
    dense: int


def count_parameters(config: ModelSettings, features: FeatureSpec) -> Parameters:
    """Count without allocating.

    Raises:
        StudioError: as `build_model`.
    """
    model = _unallocated(config, features)
    total = sum(p.numel() for p in model.parameters())
    embedding = sum(p.numel() for p in model.embedding_parameters())
    return Parameters(total, embedding, total - embedding)


def _unallocated(config: ModelSettings, features: FeatureSpec) -> Any:
    """The model on torch's meta device: shapes without memory."""
    import torch

    with torch.device("meta"):
        return build_model(config, features)


def multiply_adds(config: ModelSettings, features: FeatureSpec, history_length: float) -> int:
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


def training_bytes(
    config: ModelSettings, features: FeatureSpec, batch_size: int, eval_batch_size: int, history_length: float
) -> int:
    """Estimated peak memory of training in bytes: weights, gradients and Adam's two moments (four floats a parameter,
    three in large tables, whose gradients are kept by rows), and the most that the tensors of a training step take at
    any moment, and those of an evaluation step, measured on a few rows. The two are added, and multiplied by what
    fragments and the libraries' own buffers were seen to add: evaluation finds the heap cut to the sizes of training.
    Interpreter, libraries and data come on top.
    """
    from mdaf_core.models.layers import Table

    model = _unallocated(config, features)
    by_rows = sum(m.weight.numel() for m in model.modules() if isinstance(m, Table) and m.large)
    floats = 4 * sum(p.numel() for p in model.parameters()) - by_rows
    length = math.ceil(history_length)
    step = _peak_bytes(config, features, length, training=True) * batch_size
    evaluation = _peak_bytes(config, features, length, training=False) * eval_batch_size
    return round(_FLOAT * floats + _FRAGMENTS * (step + evaluation))


def probe(config: ModelSettings, features: FeatureSpec, length: int) -> tuple[Any, Any]:
    """The model with vocabularies of three codes and a batch of `_PROBE_ROWS` rows with `length` events each."""
    import torch

    from mdaf_core.data.batches.gather import match_names
    from mdaf_core.data.batches.loader import Batch

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


def _multiply_adds_at(config: ModelSettings, features: FeatureSpec, length: int) -> float:
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    model, batch = probe(config, features, length)
    model.train()  # as in training: MDAF's head runs for the branches only where their loss asks for it
    counter = FlopCounterMode(display=False, custom_mapping=uncounted_by_torch())
    # Attention as plain matrix products: the counter does not know the CPU's fused kernel.
    with torch.random.fork_rng(devices=[]), torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        model(batch)
    by_event = sum(m.multiply_adds_per_event() for m in model.modules() if hasattr(m, "multiply_adds_per_event"))
    return counter.get_total_flops() / 2 / _PROBE_ROWS + by_event * length


def uncounted_by_torch() -> dict[Any, Any]:
    """Operators that torch's counter has no formula for, with one: the CPU's fused recurrent layer (nn.LSTM)."""
    import torch

    def recurrent(inputs: Any, by_input: Any, by_state: Any, *_: Any, **__: Any) -> int:
        """Each step multiplies its input and the state before by a matrix each."""
        return 2 * math.prod(inputs[:-1]) * (math.prod(by_input) + math.prod(by_state))

    return {torch.ops.aten.mkldnn_rnn_layer: recurrent}


def _peak_bytes(config: ModelSettings, features: FeatureSpec, length: int, training: bool) -> float:
    """The most that tensors made in a step take at any moment, a row; parameters and their gradients do not count."""
    import torch
    from torch.multiprocessing.reductions import StorageWeakRef
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    class Peak(TorchDispatchMode):
        def __init__(self) -> None:
            super().__init__()
            self.alive: dict[int, tuple[StorageWeakRef, int]] = {}
            self.most = 0

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = func(*args, **(kwargs or {}))
            for tensor in tree_leaves(out):
                if isinstance(tensor, torch.Tensor) and tensor.untyped_storage().data_ptr() not in outside:
                    storage = tensor.untyped_storage()
                    self.alive[storage._cdata] = (StorageWeakRef(storage), storage.nbytes())
            self.alive = {key: entry for key, entry in self.alive.items() if not entry[0].expired()}
            self.most = max(self.most, sum(size for _, size in self.alive.values()))
            return out

    model, batch = probe(config, features, length)
    model.train(training)
    outside = {p.untyped_storage().data_ptr() for p in model.parameters()}
    own = sum(p.numel() for p in model.parameters()) * _FLOAT  # gradients, which appear among the tensors
    with torch.random.fork_rng(devices=[]), torch.set_grad_enabled(training), Peak() as peak:
        output = model(batch)
        if training:
            model.loss(output, batch.label_B).backward()
    return max(peak.most - (own if training else 0), 0) / _PROBE_ROWS
