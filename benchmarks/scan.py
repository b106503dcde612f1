"""The CPU scan against its reference, and packed against padded sequences: `python -m benchmarks.scan`.

Ratios of medians measured in one run; 2,048 histories (median 4, at most 50 events), 256 channels, 16 states.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch

from mdaf_core.ops.scan_numba import scan
from mdaf_core.ops.selective_scan import scan_reference

CHANNELS, STATES = 256, 16


def inputs(lengths: np.ndarray) -> list[torch.Tensor]:
    """u, delta, A, B, C, D, z and cu_seqlens for sequences of these lengths."""
    tokens = int(lengths.sum())
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    leaves = [
        normal(tokens, CHANNELS),
        torch.nn.functional.softplus(normal(tokens, CHANNELS)),
        -torch.exp(normal(CHANNELS, STATES)),
        normal(tokens, STATES),
        normal(tokens, STATES),
        normal(CHANNELS),
        normal(tokens, CHANNELS),
    ]
    cu_seqlens = torch.tensor(np.concatenate([[0], np.cumsum(lengths)]), dtype=torch.int32)
    return [*(x.requires_grad_() for x in leaves), cu_seqlens]


def seconds(function: Callable[..., torch.Tensor], arguments: list[torch.Tensor], repeats: int) -> float:
    """Median time of a forward and a backward pass."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        y = function(*arguments)
        torch.autograd.grad(y, arguments[:-1], y.detach())
        times.append(time.perf_counter() - start)
    return median(times[1:])  # the first one compiles or loads the kernel


def main() -> None:
    rng = np.random.default_rng(0)
    lengths = np.minimum(50, rng.lognormal(1.4, 1.0, 2048).astype(int))
    packed, padded = inputs(lengths), inputs(np.full_like(lengths, lengths.max()))
    fast = seconds(scan, packed, 7)
    slow = seconds(scan_reference, packed, 2)
    full = seconds(scan, padded, 3)
    print(f"{int(lengths.sum()):,} events packed, {len(lengths) * int(lengths.max()):,} padded; forward + backward")
    print(f"numba, packed      {fast:8.3f} s")
    print(f"reference, packed  {slow:8.3f} s   {slow / fast:5.1f} times numba's")
    print(f"numba, padded      {full:8.3f} s   {full / fast:5.1f} times packed")


if __name__ == "__main__":
    main()
