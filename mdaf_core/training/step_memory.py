"""How much memory training a model takes, before it is trained: measured on a few rows, for batches of any size.

What the tensors of a step take grows by row, by event, and where histories are padded to the longest of a batch by rows
times the longest: three small batches tell how much of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mdaf_core.data.batches.shapes import Shape
from mdaf_core.data.store.schema import FeatureSpec
from mdaf_core.models.base import ModelSettings
from mdaf_core.models.summary import probe_batch, small_model, unallocated

FRAGMENTS = 1.45
_FLOAT = 4  # bytes
_ROWS = 64
_LONGEST = 24  # events of the shorter histories measured, at most


def training_bytes(
    config: ModelSettings,
    features: FeatureSpec,
    step: Shape,
    evaluation: Shape,
    shared: bool = False,
    averaged: bool = False,
) -> int:
    """Estimated peak memory of training in bytes: weights, gradients and Adam's two moments (four floats a parameter,
    three in large tables, whose gradients are kept by rows; one more of averaged weights), and the most that the
    tensors of a training step take at any moment, and those of an evaluation step (`step_bytes`). The two are added,
    and multiplied by what fragments and the libraries' own buffers were seen to add: evaluation finds the heap cut to
    the sizes of training. Interpreter, libraries and data come on top.

    Args:
        step, evaluation: the largest batches; shared: rows share their events; averaged: weights are averaged.
    """
    from mdaf_core.models.layers import Table

    model = unallocated(config, features)
    by_rows = sum(m.weight.numel() for m in model.modules() if isinstance(m, Table) and m.large)
    floats = (5 if averaged else 4) * sum(p.numel() for p in model.parameters()) - by_rows
    tensors = step_bytes(config, features, step, True, shared) + step_bytes(config, features, evaluation, False, shared)
    return round(_FLOAT * floats + FRAGMENTS * tensors)


def step_bytes(config: ModelSettings, features: FeatureSpec, shape: Shape, training: bool, shared: bool) -> float:
    """The most that the tensors made in a step on such a batch take at any moment; parameters and their gradients do
    not count."""
    if not shape.rows:
        return 0.0
    mean = shape.events / shape.rows
    if not shape.events:
        return _peak_bytes(config, features, [0] * _ROWS, None, training) / _ROWS * shape.rows
    if shared:
        short = min(max(round(_ROWS * mean / 2), 8), 32 * _LONGEST)
        few, many = (_peak_bytes(config, features, [n], _ROWS, training) for n in (short, 3 * short))
        by_event = (many - few) / (2 * short)
        return max((few - by_event * short) / _ROWS * shape.rows, 0.0) + by_event * shape.events
    short = min(max(round(mean / 2), 1), _LONGEST)
    long = 3 * short
    even, longer, one_long = (
        _peak_bytes(config, features, lengths, None, training)
        for lengths in ([short] * _ROWS, [long] * _ROWS, [long, *[short] * (_ROWS - 1)])
    )
    both = (longer - even) / (_ROWS * (long - short))
    padded = min(max(((one_long - even) / (long - short) - both) / (_ROWS - 1), 0.0), both)
    by_row = even / _ROWS - both * short
    return max(by_row * shape.rows + (both - padded) * shape.events + padded * shape.rows * shape.longest, 0.0)


def _peak_bytes(
    config: ModelSettings, features: FeatureSpec, lengths: Sequence[int], readers: int | None, training: bool
) -> float:
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

    model, batch = small_model(config, features), probe_batch(features, lengths, readers)
    model.train(training)
    outside = {p.untyped_storage().data_ptr() for p in model.parameters()}
    own = sum(p.numel() for p in model.parameters()) * _FLOAT  # gradients, which appear among the tensors
    with torch.random.fork_rng(devices=[]), torch.set_grad_enabled(training), Peak() as peak:
        output = model(batch)
        if training:
            model.loss(output, batch.label_B).backward()
    return float(max(peak.most - (own if training else 0), 0))
