"""Is what the program says a model costs what it costs?"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from mdaf_core.data.batches.loader import Batch
from mdaf_core.data.batches.shapes import Shape
from mdaf_core.models.layers import Table
from mdaf_core.models.summary import count_parameters, multiply_adds, probe
from mdaf_core.testing.base import Note, check
from mdaf_core.testing.data import with_lengths
from mdaf_core.testing.subject import TRAINING, Subject, step_loss, watchable
from mdaf_core.training.optimizer import build_optimizer
from mdaf_core.training.step_memory import training_bytes

UNCOUNTED = frozenset({
    "mv", "dot", "vdot", "addmv", "addr", "addbmm", "inner", "_trilinear", "_cdist_forward",
    "_fft_r2c", "_fft_c2r", "_fft_c2c", "linalg_matrix_exp", "_linalg_svd", "linalg_inv_ex", "linalg_lu",
    "linalg_eigh", "_thnn_fused_lstm_cell", "_thnn_fused_gru_cell", "_sparse_mm", "_embedding_bag", "mkldnn_linear",
})  # fmt: skip
"""Operators of torch that multiply and add and that its counter has no formula for."""
LENGTH = 12
"""Events of each history where memory is measured: all alike, as the forecast takes them."""
MEMORY_ROWS = 192
MEMORY_RATIO = (0.8, 5.0)
"""Between which forecast / measured must lie. Above 1: the forecast adds the evaluation's tensors to the step's, and
45 % for fragments of the heap (`step_memory.training_bytes`), neither of which is in the allocator's own count:
together up to 2.9, more where what does not grow with the rows weighs. Below 1: what operators allocate within
themselves."""


@check("cost", "Parameters and multiply-adds are counted.")
def cost(subject: Subject) -> Iterable[str]:
    """The forecast, made without allocating and on tiny vocabularies, against the built model; operators that multiply
    and that the counter does not see."""
    model, kind = subject.build(), type(subject.build()).__name__
    real = sum(p.numel() for p in model.parameters())
    try:
        counted = count_parameters(subject.config, subject.features)
    except Exception as error:
        yield (
            f"The model cannot be built without memory (torch.device('meta')), which counts its parameters: "
            f"{subject.said(error)}"
        )
        return
    if counted.total != real:
        yield (
            f"{kind} has {real:,} parameters and {counted.total:,} are counted before it is built: build the "
            f"same every time."
        )
    plain = [n for n, m in model.named_modules() if isinstance(m, nn.Embedding) and not isinstance(m, Table)
             and m.num_embeddings in subject.features.categorical.values()]  # fmt: skip
    if plain:
        yield Note(
            f"{', '.join(plain[:3])}: nn.Embedding counts as dense weights and is decayed as such, and an "
            f"unknown id's vector "
            "starts at random. mdaf_core.models.layers.Table is the program's own."
        )
    length = min(LENGTH, subject.read)
    try:
        multiply_adds(subject.config, subject.features, length)
        small, batch = probe(subject.config, subject.features, length)
    except Exception as error:
        yield (
            f"With vocabularies of three codes, on which the cost is counted, the model fails: {subject.said(error)}"
        )
        return
    with _Operators(small) as seen, torch.no_grad():
        small.eval()(batch)
    for operator, place in sorted(seen.uncounted.items()):
        yield (
            f"The counter of multiply-adds does not see {operator} {place}: what the model costs is told too "
            f"low. Write it as a matrix "
            "product, register a formula (torch.utils.flop_counter.register_flop_formula), or give the module "
            "multiply_adds_per_event()."
        )


class _Operators(TorchDispatchMode):
    """Operators that multiply and that no formula counts, and where; a module with `multiply_adds_per_event` counts
    its own."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.uncounted: dict[str, str] = {}
        self.stack: list[tuple[str, nn.Module]] = []
        self.hooks: list[Any] = []
        for name, module in watchable(model):
            self.hooks.append(module.register_forward_pre_hook(lambda m, _a, n=name: self.stack.append((n, m))))
            self.hooks.append(module.register_forward_hook(lambda *_: self.stack.pop() and None))

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        for hook in self.hooks:
            hook.remove()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        space, name = func._schema.name.split("::")
        foreign = space not in ("aten", "prim", "prims", "profiler") and not name.endswith("dropout")
        known = func._overloadpacket in flop_registry or any(
            hasattr(m, "multiply_adds_per_event") for _, m in self.stack
        )
        if (foreign or name in UNCOUNTED) and not known:
            module = next((f"in module {n} ({type(m).__name__})" for n, m in reversed(self.stack) if n), "in forward")
            self.uncounted.setdefault(f"{space}::{name}", module)
        return func(*args, **(kwargs or {}))


@check("memory", "The forecast of memory holds.")
def memory(subject: Subject) -> Iterable[str]:
    """The forecast for a training against what torch's allocator counts in a step and an evaluation step of the small
    data, at two batch sizes: it must hold where it is made from few rows for many."""
    forecasts, measured = [], []
    length = min(LENGTH, subject.read)
    for rows in (MEMORY_ROWS // 4, MEMORY_ROWS):
        forecasts.append(training_bytes(subject.config, subject.features, *[Shape(rows, rows * length, length)] * 2))  # type: ignore[arg-type]
        measured.append(_measured(subject, rows, length))
    ratio = forecasts[-1] / measured[-1]
    low, high = MEMORY_RATIO
    if low <= ratio <= high:
        return
    growth = math.log(measured[-1] / measured[0]) / math.log(4)
    why = (
        f" Memory grows with the batch to the power of {growth:.1f}: something is as large as the batch squared."
        if ratio < low and growth > 1.15
        else " What is allocated depends on more than rows and events, such as ids or the longest history."
    )
    yield (
        f"For {MEMORY_ROWS} rows with {length} events the forecast is {forecasts[-1] / 1e6:.1f} MB and "
        f"{measured[-1] / 1e6:.1f} MB "
        f"were measured ({ratio:.2f} times; {low:g} to {high:g} is right).{why}"
    )


def _measured(subject: Subject, rows: int, length: int) -> float:
    """Peak bytes of weights, optimiser, a training step and an evaluation step, by the allocator's own events."""
    model = subject.build().train()
    batch = _even(subject, rows, length)
    optimizer = build_optimizer(model, TRAINING)
    for _ in range(2):  # the optimiser's moments, and what is built at first use
        optimizer.zero_grad()
        step_loss(model, batch).backward()
        optimizer.step()
    optimizer.zero_grad()
    held = sum(p.numel() * p.element_size() for p in model.parameters()) * 3
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # else the profiler writes lines of its own to stderr
    peaks = []
    for training in (True, False):
        model.train(training)
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen, torch.set_grad_enabled(training):
            if training:
                step_loss(model, batch).backward()
            else:
                model(batch)
        peaks.append(_peak(seen))
    return held + max(peaks)


def _peak(seen: Any) -> float:
    events = [e for e in seen.profiler.kineto_results.events() if e.name() == "[memory]"]
    total = most = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        total += event.nbytes()
        most = max(most, total)
    return float(most)


def _even(subject: Subject, rows: int, length: int) -> Batch:
    """Rows of the data with histories of one length."""
    chosen = subject.data.by_user("train", rows)
    return with_lengths(subject.data.batch("train", chosen, subject.read), length)
