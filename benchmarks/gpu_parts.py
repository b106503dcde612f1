"""What `benchmarks.gpu` measures, part by part: rows of its table as they are measured."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.models.base import smooth_targets
from mdaf_core.models.registry import build_model
from mdaf_core.ops import causal_conv, parallel_scan, selective_scan, slices, ssd
from mdaf_core.ops.dropout import Dropout
from mdaf_core.runs.presets import get_preset, preset_names
from mdaf_core.training.batches import loader_for
from mdaf_core.training.optimizer import build_optimizer, clip_gradients
from mdaf_core.training.warm import compile_kernels

Row = dict[str, Any]

SHAPE = (256, 50, 256, 16)
"""Sequences, tokens of each, channels, states: the report's scan."""
EPOCH = 20.0
"""Seconds of an epoch that are measured, at most."""
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def machine(_small: bool) -> Iterator[Row]:
    """What there is."""
    yield {"what": "torch", "note": f"{torch.__version__}, CUDA {torch.version.cuda or 'not built in'}"}
    if torch.cuda.is_available():
        found = torch.cuda.get_device_properties(0)
        yield {
            "what": "GPU",
            "note": f"{found.name}, {found.total_memory >> 20} MB, compute {found.major}.{found.minor}",
        }
    else:
        yield {"what": "GPU", "note": "none: what needs one is skipped"}
    names = [name for name in ("mamba_ssm", "selective_scan_cuda", "causal_conv1d") if find_spec(name)]
    yield {"what": "packages", "note": ", ".join(names) or "no mamba-ssm"}


def warm(small: bool) -> Iterator[Row]:
    """The CPU's kernels, for what the GPU is compared with."""
    row = {"what": "the CPU's kernels", "on": "cpu"}
    if small:
        yield row | {"note": "compiled as they are used"}
        return
    start = time.perf_counter()
    compile_kernels()
    yield row | {"seconds": time.perf_counter() - start}


def kernels(small: bool) -> Iterator[Row]:
    """Scan, convolution, Mamba-2's and -3's scan and the pooling of slices, as devices without the CPU's kernels
    compute them, against their definitions in float64."""
    sequences, length, channels, states = (5, 20, 16, 4) if small else SHAPE
    torch.manual_seed(0)
    tokens = sequences * length
    cu = torch.arange(0, tokens + 1, length, dtype=torch.int32)
    u, z, wide = (torch.randn(tokens, channels, dtype=torch.float64) for _ in range(3))
    delta = torch.rand(tokens, channels, dtype=torch.float64) * 0.1
    A = -torch.rand(channels, states, dtype=torch.float64) * 4 - 0.5
    B, C = (torch.randn(tokens, states, dtype=torch.float64) for _ in range(2))
    D, filters = torch.randn(channels, dtype=torch.float64), torch.randn(channels, 4, dtype=torch.float64)
    x, decay = u.view(tokens, -1, 4), -torch.rand(tokens, channels // 4, dtype=torch.float64)
    begin = torch.arange(0, tokens - length, length // 4)
    ids = torch.randint(2, 5, (tokens, 2)), torch.randint(2, 5, (len(begin), 2))
    scores = [torch.tensor([3.0, 2.0]).double(), torch.tensor(0.1).double(), torch.tensor(1.0).double()]
    query = torch.randn(len(begin), channels, dtype=torch.float64)

    def pooled(attend: Callable[..., Any]) -> Callable[..., Any]:
        def run(q: Any, t: Any, equal: Any, recency: Any, nothing: Any) -> Any:
            places = [part.to(q.device) for part in (*ids, begin, begin + length)]
            return attend(q, t, *places[:2], equal, recency, nothing, *places[2:])[0]

        return run

    def on(function: Callable[..., Any], *behind: Any) -> Callable[..., Any]:
        return lambda *given: function(*given, cu.to(given[0].device), *behind)

    def parallel(u: Any, delta: Any, A: Any, B: Any, C: Any, D: Any, z: Any, cu: Any) -> Any:
        return selective_scan._skip_and_gate(parallel_scan.scan_parallel(u, delta, A, B, C, cu), u, D, z)

    convolve = causal_conv.convolve_reference
    scan, sums = (u, delta, A, B, C, D, z), (x, decay, B.unsqueeze(1), C.unsqueeze(1))
    by_shift = (lambda x, w, cu: convolve(x, w, None, True, cu)), (u, filters)
    cases: list[tuple[str, Callable[..., Any], Callable[..., Any], tuple[Any, ...]]] = [
        ("scan, whole-tensor operations", on(parallel), on(selective_scan.scan_reference), scan),
        ("scan, mamba-ssm", on(selective_scan._scan_mamba_ssm), on(selective_scan.scan_reference), scan),
        ("convolution", on(by_shift[0]), on(by_shift[0]), by_shift[1]),
        ("scan of Mamba-2", on(ssd.ssd_chunked), on(ssd.ssd_reference), sums),
        ("scan of Mamba-3", on(ssd.ssd_chunked, False), on(ssd.ssd_reference, False), sums),
        (
            "pooling of slices",
            pooled(slices._by_parts),
            pooled(slices.slice_attention_reference),
            (query, wide, *scores),
        ),
    ]
    for name, function, definition, given in cases:
        if name == "scan, mamba-ssm" and not _has_scan():
            yield {"what": name, "note": "skipped: no GPU, or no mamba-ssm with its scan"}
            continue
        weight = torch.randn_like(given[0] if "pooling" in name else u.view_as(given[0]))
        exact = _with_gradients(definition, given, weight)
        for precision in (torch.float32, torch.bfloat16):
            yield _attempt(name, precision, lambda: _compared(function, given, weight, exact, precision))  # noqa: B023


def _has_scan() -> bool:
    return torch.cuda.is_available() and selective_scan.implementation("cuda") == "mamba_ssm"


def _attempt(what: str, precision: Any, measure: Callable[[], Row]) -> Row:
    """A row, or why there is none: the next one is measured all the same."""
    row = {"what": what, "on": DEVICE, "precision": str(precision).removeprefix("torch.")}
    try:
        return row | measure()
    except Exception as error:
        return row | {"note": f"failed: {type(error).__name__}: {str(error).splitlines()[0][:120]}"}


def _with_gradients(function: Callable[..., Any], given: Any, weight: Tensor) -> list[Tensor]:
    leaves = [value.detach().clone().requires_grad_() for value in given]
    y = function(*leaves)
    return [y.detach(), *torch.autograd.grad((y * weight).sum(), leaves)]


def _compared(function: Callable[..., Any], given: Any, weight: Tensor, exact: list[Tensor], precision: Any) -> Row:
    there, weight = [value.to(DEVICE, precision) for value in given], weight.to(DEVICE, precision)
    found = _with_gradients(function, there, weight)
    seconds, memory = _timed(lambda: _with_gradients(function, there, weight))
    apart = [_apart(mine, true) for mine, true in zip(found, exact, strict=True)]
    return {"deviation": apart[0], "of gradients": max(apart[1:]), "seconds": seconds, "peak memory, MB": memory}


def _apart(mine: Tensor, true: Tensor) -> float:
    mine, true = mine.detach().cpu().double(), true.detach().cpu().double()
    return float((mine - true).abs().max() / true.abs().max().clamp(min=1e-30))


def _timed(function: Callable[[], Any]) -> tuple[float, float | None]:
    """Seconds, and on a GPU the peak of memory allocated in MB."""
    if not torch.cuda.is_available():
        start = time.perf_counter()
        function()
        return time.perf_counter() - start, None
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    function()
    torch.cuda.synchronize()
    return time.perf_counter() - start, torch.cuda.max_memory_allocated() / 2**20


def models(small: bool) -> Iterator[Row]:
    """Every preset on the same rows with the same weights: a GPU's float32 and bf16 (autocast) beside the CPU's
    float32."""
    if not torch.cuda.is_available():
        yield {"what": "every preset", "note": "skipped: no GPU"}
        return
    dataset = _prepared("tiny")
    for name in preset_names():
        if not get_preset(name).model.network:
            continue
        for precision in (torch.float32, torch.bfloat16):
            yield _attempt(name, precision, lambda: _model_compared(name, dataset, precision, 64 if small else 512))  # noqa: B023


def _model_compared(name: str, dataset: Any, precision: Any, rows: int) -> Row:
    config = get_preset(name).with_overrides({"training.history_encoding": "stream"})
    torch.manual_seed(0)
    model = build_model(config.model, dataset.meta.features()).train()
    for part in model.modules():  # what is drawn is drawn otherwise on a GPU
        if isinstance(part, Dropout | nn.Dropout):
            part.p = 0.0
        for drawn in ("dropout", "auxiliary_weight"):
            if isinstance(getattr(part, drawn, None), float):
                setattr(part, drawn, 0.0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    batch = next(iter(loader_for(model, dataset, "train", config.training, rows)))

    def answers(model: Any, batch: Any) -> list[Any]:
        model.zero_grad()
        output = model(batch)
        model.loss(output, batch.label_B.float()).backward()
        return [output.logit_B, torch.cat([p.grad.reshape(-1) for p in model.parameters() if p.grad is not None])]

    expected = answers(model, batch)
    there, on_gpu = copy.deepcopy(model).to("cuda"), batch.to("cuda")
    with torch.autocast("cuda", torch.bfloat16, enabled=precision == torch.bfloat16):
        found = answers(there, on_gpu)
        seconds, memory = _timed(lambda: answers(there, on_gpu))
    apart = [_apart(mine, true) for mine, true in zip(found, expected, strict=True)]
    return {
        "deviation": apart[0],
        "of gradients": apart[1],
        "seconds": seconds,
        "rows/s": len(batch) / seconds,
        "peak memory, MB": memory,
    }


def report(small: bool) -> Iterator[Row]:
    """An epoch of `synthetic report` with the models of the report."""
    yield from _epochs("tiny" if small else "report", ("mdaf-full", "mdaf-sequential", "dcnv2"), {}, small)


def stream(small: bool) -> Iterator[Row]:
    """An epoch of `synthetic long`, each event once."""
    settings = {"training.history_encoding": "stream", "training.max_history": 2000, "training.batch_size": 128}
    yield from _epochs("tiny" if small else "long", ("mdaf-sequential", "mamba2", "mean"), settings, small)


def _prepared(size: str) -> PreparedDataset:
    prepare("synthetic", name=size, options={"size": size})
    return PreparedDataset.open(size)


def _epochs(size: str, presets: tuple[str, ...], settings: dict[str, Any], small: bool) -> Iterator[Row]:
    start = time.perf_counter()
    dataset = _prepared(size)
    yield {"what": f"synthetic {size} is prepared", "on": "cpu", "seconds": time.perf_counter() - start}
    for name in presets:
        most, settings = (2, settings | {"training.batch_size": 64}) if small else (None, settings)
        yield _attempt(f"epoch of {name}", torch.float32, lambda: _epoch(name, dataset, settings, most))  # noqa: B023


def _epoch(name: str, dataset: Any, settings: dict[str, Any], most: int | None) -> Row:
    """Training steps over the rows as the trainer takes them: so many, or as many as `EPOCH` seconds allow."""
    config = get_preset(name).with_overrides(settings)
    torch.manual_seed(0)
    training = config.training
    model = build_model(config.model, dataset.meta.features()).to(DEVICE).train()
    optimizer = build_optimizer(model, training)
    batches = loader_for(model, dataset, "train", training, training.batch_size, shuffle_seed=(0, 0))
    counted = {"rows": 0, "steps": 0, "loss": 0.0}

    def steps() -> None:
        for batch in islice(batches, most):
            batch = batch.to(DEVICE, non_blocking=True)
            optimizer.zero_grad()
            loss = model.loss(model(batch), smooth_targets(batch.label_B, training.label_smoothing))
            loss.backward()
            clip_gradients(model, training.gradient_clip)
            optimizer.step()
            counted["rows"], counted["steps"] = counted["rows"] + len(batch), counted["steps"] + 1
            counted["loss"] = float(loss.detach())
            if most is None and time.perf_counter() - start > EPOCH:
                return

    start = time.perf_counter()
    seconds, memory = _timed(steps)
    note = f"{counted['steps']} of {len(batches)} steps, last loss {counted['loss']:.4f}"
    return {"seconds": seconds, "rows/s": counted["rows"] / seconds, "peak memory, MB": memory, "note": note}
