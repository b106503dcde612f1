"""Which of torch's two libraries forms float32 matrix products on the CPU, and whether their factors are rounded.

torch asks MKL, which on processors that are not Intel's keeps to vectors of 256 bits, or oneDNN, which does not: with
AVX-512 there it is about twice as quick. torch passes float32 products to oneDNN once it may round their factors to
bfloat16; where the processor has no tiles for that (AMX), oneDNN 3.12 goes on with float32. So where it is seen not to
round, that permission chooses the library and nothing else.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

MATMUL: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
CPUINFO = Path("/proc/cpuinfo")


def set_products(precision: str) -> None:
    """Let the matrix products that follow be of `float32` or `bf16` factors."""
    MATMUL.fp32_precision = "bf16" if precision == "bf16" or by_onednn() else "ieee"


@contextmanager
def products_as_before() -> Iterator[None]:
    """Products are set back to what they were, whatever happens within."""
    before = MATMUL.fp32_precision
    try:
        yield
    finally:
        MATMUL.fp32_precision = before


def rounded() -> bool:
    """Whether products of float32 have bfloat16 factors now."""
    return MATMUL.fp32_precision == "bf16" and rounds()


@cache
def rounds() -> bool:
    """Whether products of float32 matrices have bfloat16 factors once torch may round them.

    Seen on a product, not asked of the processor: see above.
    """
    if not torch.backends.mkldnn.is_available():
        return False
    cpu = torch.device("cpu")  # whatever is the default where this is asked first
    finer = torch.full((256, 64), 1 + 2**-10, device=cpu)  # 1 in bfloat16
    with products_as_before():
        MATMUL.fp32_precision = "bf16"
        return bool((F.linear(finer, torch.ones(64, 64, device=cpu)) == 64).all())


@cache
def by_onednn() -> bool:
    """Whether products of float32 are oneDNN's: AVX-512 on a processor that is not Intel's, without rounding."""
    return (
        torch.backends.mkldnn.is_available()
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and _vendor() not in ("", "GenuineIntel")
        and not rounds()
    )


def library(device: str) -> str:
    """Who forms products of float32 on a device (`cpu`, `cuda`, `mps`), as provenance has it."""
    if device != "cpu":
        return {"cuda": "cuBLAS"}.get(device, device)
    return "oneDNN" if by_onednn() else "MKL" if torch.backends.mkl.is_available() else "torch"


def _vendor() -> str:
    """The processor's maker as Linux tells it; empty elsewhere."""
    with contextlib.suppress(OSError):
        for line in CPUINFO.read_text(errors="replace").splitlines():
            if line.startswith("vendor_id"):
                return line.partition(":")[2].strip()
    return ""
