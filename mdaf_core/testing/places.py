"""Where in a model two runs part: the innermost module whose inputs agree and whose output does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from mdaf_core.data.batches.loader import Batch
from mdaf_core.models.base import CTRModel
from mdaf_core.testing.base import largest_difference, tolerance
from mdaf_core.testing.data import clone
from mdaf_core.testing.subject import watchable

Trace = list[tuple[str, list[Tensor], list[Tensor]]]
"""Of each call of a module, in the order in which they end: name, tensors in, tensors out."""


def place_of_difference(model: CTRModel, first: Batch, second: Batch, kept_B: Tensor | None = None) -> str:
    """Where the rows `kept_B` (default: all), which are the same in both batches of the same shape, become different.

    Returns: "in module encoder.pool (MeanPool)", or "in MyModel.forward".
    """
    traces = []
    for batch in (first, second):
        with _recorded(model) as trace, torch.inference_mode():
            torch.manual_seed(0)
            model(clone(batch))
        traces.append(trace)
    kept_B = torch.ones(len(first), dtype=torch.bool) if kept_B is None else kept_B
    modules = dict(model.named_modules())
    for (name, ins, outs), (other, other_ins, other_outs) in zip(*traces, strict=False):
        if name != other:
            break
        if name and not _differ(ins, other_ins, first, kept_B) and _differ(outs, other_outs, first, kept_B):
            return f"in module {name} ({type(modules[name]).__name__})"
    return f"in {type(model).__name__}.forward"


@contextmanager
def _recorded(model: nn.Module) -> Iterator[Trace]:
    trace: Trace = []

    def note(name: str) -> Any:
        return lambda _m, args, kwargs, out: trace.append((name, _tensors((args, kwargs)), _tensors(out)))

    hooks = [m.register_forward_hook(note(n), with_kwargs=True) for n, m in watchable(model)]
    try:
        yield trace
    finally:
        for hook in hooks:
            hook.remove()


def _tensors(values: Any) -> list[Tensor]:
    found: list[Tensor] = []
    for value in tree_leaves(values):
        if isinstance(value, Batch):
            own = [value.categorical_BF, value.numeric_BG, value.match_BM, value.outcome_BK]
            value = [*own, value.history_age_T, value.equal_TH, value.gap_T, *value.history.values()]
        elif not isinstance(value, Tensor) and hasattr(value, "__dict__") and not isinstance(value, nn.Module):
            value = [v for v in vars(value).values() if isinstance(v, Tensor)]
        found += [v.detach().clone() for v in (value if isinstance(value, list) else [value]) if isinstance(v, Tensor)]
    return found


def _differ(first: list[Tensor], second: list[Tensor], batch: Batch, kept_B: Tensor) -> bool:
    kept_T = torch.repeat_interleave(kept_B, batch.lengths_B)
    for a, b in zip(first, second, strict=False):
        if a.shape != b.shape:
            return True
        if len(a.shape) and len(a) == len(kept_B):
            a, b = a[kept_B], b[kept_B]
        elif len(a.shape) and len(a) == len(kept_T):
            a, b = a[kept_T], b[kept_T]
        elif not bool(kept_B.all()):
            continue  # whose rows these are cannot be told
        a, b = a.flatten().double(), b.flatten().double()
        if largest_difference(a, b) > tolerance(a, b):
            return True
    return False
