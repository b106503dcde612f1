"""The selective scan on the CPU against a plain recurrence and `mambapy`'s parallel scan: `python -m benchmarks.scan`.

Shapes are (batch, length, channels, states). (256, 50, 256, 16) and (8, 2048, 256, 16) are full; in (2048, 7, 256, 16)
lengths are skewed as in an impression log (mean near 7, at most 50): there ours gets packed histories, the others are
padded to 50 (an eighth of the rows, times eight: all would not fit into memory). All scan with softplus, skip and gate
inside; forward, and forward plus backward. `mamba2` is our scan with one decay a head (four heads), with the same
around it, `mamba3` the same with a key and a query a head, as Mamba-3's SISO has them, after they are turned. Ratios
are from one run. Extra memory: what a forward and a backward pass hold at most beyond inputs, outputs and gradients.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.measure import memory_kib, parser, report, seconds
from mdaf_core.ops.kernels import set_threads

HEADS = 4
WHO = ("ours", "mamba2", "mamba3", "mambapy", "sequential")
SHARE = {"full": 1, "skewed": 8, "long": 1}  # what part of the rows the others get
TOO_SLOW = {("long", "sequential")}  # backward: the gradient of each step's slice is as large as the whole; minutes
SHAPES = {"full": (256, 50, 256, 16), "skewed": (2048, 7, 256, 16), "long": (8, 2048, 256, 16)}


def lengths(shape: tuple[int, ...], skewed: bool) -> np.ndarray:
    batch, length = shape[:2]
    if not skewed:
        return np.full(batch, length)
    return np.clip(np.random.default_rng(0).lognormal(1.5, 0.95, batch).astype(int), 0, 50)


def inputs(shape: tuple[int, ...], tokens: int, lead: tuple[int, ...]) -> list[Tensor]:
    """u, delta, A, B, C, D, z; leading dimensions `lead` with `tokens` tokens in all."""
    assert np.prod(lead) == tokens
    channels, states = shape[2:]
    generator = torch.Generator().manual_seed(0)

    def normal(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator)

    u, z, delta = normal(*lead, channels), normal(*lead, channels), normal(*lead, channels) - 4
    A, B, C = -torch.exp(normal(channels, states)), normal(*lead, states), normal(*lead, states)
    return [x.requires_grad_() for x in (u, delta, A, B, C, normal(channels), z)]


def heads_inputs(tokens: int, channels: int, states: int, sets: int) -> list[Tensor]:
    """As `inputs`, with steps and decays by head, and B, C by set of heads."""
    generator = torch.Generator().manual_seed(0)

    def normal(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator)

    u, z = (normal(tokens, HEADS, channels // HEADS) for _ in range(2))
    B, C = (normal(tokens, sets, states) for _ in range(2))
    given = [u, normal(tokens, HEADS) - 4, -torch.exp(normal(HEADS)), B, C, normal(HEADS), z]
    return [x.requires_grad_() for x in given]


def by_heads(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, z: Tensor, cu_seqlens: Tensor, own: bool
) -> Tensor:
    """Softplus, `ssd`, skip and gate; without `own` the token's own term is added behind, as `models.mamba3` does."""
    from mdaf_core.ops.ssd import ssd

    step = F.softplus(delta)
    y = ssd(u * step.unsqueeze(2), A * step, B, C, cu_seqlens, own)
    same = D if own else D + step * (B * C).sum(2)
    return (y + same.unsqueeze(-1) * u) * F.silu(z)


def contenders(name: str) -> dict[str, tuple[Callable[..., Tensor], list[Tensor]]]:
    from benchmarks.padded_mamba import parallel_scan, sequential_scan
    from mdaf_core.ops.scan_numba import scan

    shape = SHAPES[name]
    channels, states = shape[2:]
    length = lengths(shape, name == "skewed")
    tokens, longest = int(length.sum()), 50 if name == "skewed" else shape[1]
    cu_seqlens = torch.tensor(np.concatenate([[0], np.cumsum(length)]), dtype=torch.int32)
    rows = shape[0] // SHARE[name]
    padded = inputs(shape, rows * longest, (rows, longest))
    return {
        "ours": (lambda *x: scan(*x, cu_seqlens, delta_softplus=True), inputs(shape, tokens, (tokens,))),
        "mamba2": (lambda *x: by_heads(*x, cu_seqlens, own=True), heads_inputs(tokens, channels, states, 1)),
        "mamba3": (lambda *x: by_heads(*x, cu_seqlens, own=False), heads_inputs(tokens, channels, states, HEADS)),
        "mambapy": (parallel_scan, padded),
        "sequential": (sequential_scan, padded),
    }


def extra_memory(name: str) -> float:
    """Peak memory of our forward and backward pass beyond inputs, outputs and gradients, in multiples of u's bytes.

    Measured in a process of its own, by its largest resident size (Linux).
    """
    code = f"from benchmarks.scan import _extra_memory; print(_extra_memory({name!r}))"
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def _extra_memory(name: str) -> float:
    from mdaf_core.ops.scan_numba import scan

    shape = SHAPES[name]
    small = inputs(shape, 4, (4,))
    torch.autograd.grad(scan(*small, torch.tensor([0, 4], dtype=torch.int32), True).sum(), small)  # load the kernels
    tokens = shape[0] * shape[1]
    arguments = inputs(shape, tokens, (tokens,))
    cu_seqlens = torch.arange(0, tokens + 1, shape[1], dtype=torch.int32)
    gradient = torch.ones(tokens, shape[2])
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = memory_kib("VmRSS")
    y = scan(*arguments, cu_seqlens, True)
    kept = torch.autograd.grad(y, arguments, gradient)
    given_back = sum(x.numel() * 4 for x in (y, *kept))
    return ((memory_kib("VmHWM") - before) * 1024 - given_back) / (arguments[0].numel() * 4)


def measure(name: str, steps: int, chosen: list[str], clock: Callable[[], float]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for who, (function, arguments) in contenders(name).items():
        if who not in chosen:
            continue
        packed = who in ("ours", "mamba2", "mamba3")
        repeats = steps if packed else max(2, steps // 4)

        def forward(function: Any = function, arguments: Any = arguments) -> None:
            with torch.no_grad():
                function(*arguments)

        def both(function: Any = function, arguments: Any = arguments) -> None:
            y = function(*arguments)
            torch.autograd.grad(y, arguments, y.detach())

        times = 1 if packed else SHARE[name]
        found[who] = {"forward": times * seconds(forward, repeats, clock)}
        if (name, who) not in TOO_SLOW:
            found[who]["both"] = times * seconds(both, repeats, clock)
    return found


def main() -> None:
    arguments = parser(__doc__, steps=12)
    arguments.add_argument("--shapes", default=",".join(SHAPES), help=f"some of {', '.join(SHAPES)}")
    arguments.add_argument("--who", default=",".join(WHO), help=f"some of {', '.join(WHO)}")
    arguments.add_argument("--cpu", action="store_true", help="seconds of computing, on one thread, not of the clock")
    args = arguments.parse_args()
    if args.cpu:
        set_threads(1)
    result: dict[str, Any] = {}
    rows: list[list[Any]] = [["shape", "who", "forward, s", "ratio", "forward + backward, s", "ratio"]]
    memory: list[list[Any]] = [["shape", "extra memory / bytes of u"]]
    for name in args.shapes.split(","):
        clock = time.process_time if args.cpu else time.perf_counter
        found = measure(name, args.steps, ["ours", *args.who.split(",")], clock)
        for who, times in found.items():
            ratios = {kind: times[kind] / found["ours"][kind] for kind in times}
            both = [times.get("both", "not measured"), ratios.get("both", "")]
            rows.append([str(SHAPES[name]), who, times["forward"], ratios["forward"], *both])
        extra = extra_memory(name) if name != "skewed" else None
        if extra is not None:
            memory.append([str(SHAPES[name]), extra])
        result[name] = {"shape": SHAPES[name], "seconds": found, "extra_memory_over_u": extra}
    report(result, {"Seconds, and ratio to ours": rows, "Extra memory of ours": memory}, args.json)


if __name__ == "__main__":
    main()
