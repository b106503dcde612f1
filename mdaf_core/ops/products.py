"""Which of torch's two libraries forms float32 matrix products on the CPU, and whether their factors are rounded.

torch asks MKL, which on processors that are not Intel's keeps to vectors of 256 bits, or oneDNN, which does not: with
AVX-512 there it is quicker, by a tenth (Zen 4) to twice (Zen 5). torch passes float32 products to oneDNN once it may
round their factors to bfloat16; where the processor has no tiles for that (AMX), oneDNN 3.12 goes on with float32. So
where it is seen not to round, that permission chooses the library and nothing else, and what is to be of bfloat16
factors is given such factors: with AVX-512 BF16 their product takes half the time. torch stores its sums as bfloat16
too.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

MATMUL: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
CPUINFO = Path("/proc/cpuinfo")
NARROW = 32
"""Rows, columns and terms of a product from which on its factors are converted: with fewer that takes what it saves."""

PREPARED = 24
"""Products that oneDNN stays prepared for in a process whose sizes differ, in each of two lists, torch's and its own.
For each number of rows it prepares itself anew, and keeps half a megabyte, between a step's large tensors, whose places
then do not fit those of the next step: with 1,024, as both lists have it by themselves, a training whose batches each
have their own number of events grows without need, from 3 to 16 GB within an hour. Preparing anew costs such a step
little (RESULTS.md), a request for one user much."""
_LISTS = "LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY"  # read when the first product is formed
_bounds: dict[str, str] = {}


def products_differ() -> None:
    """Say, before the first product, that those of this process have ever new sizes: oneDNN is to keep few prepared."""
    _bounds.update(dict.fromkeys(_LISTS, str(PREPARED)))


def float32_products() -> None:
    """Let the matrix products that follow be of float32 factors, by the quicker library."""
    MATMUL.fp32_precision = "bf16" if by_onednn() else "ieee"


@contextmanager
def products_of(precision: str) -> Iterator[None]:
    """Products within, their gradients' too, are of `float32` or `bf16` factors; afterwards, whatever happens, of what
    they were of before."""
    before, outer = MATMUL.fp32_precision, _converting()
    _here.converting = precision == "bf16" and converts()
    try:
        float32_products()
        if precision == "bf16" and rounds():
            MATMUL.fp32_precision = "bf16"
        with _Converted() if _converting() else contextlib.nullcontext():
            yield
    finally:
        MATMUL.fp32_precision, _here.converting = before, outer


def rounded() -> bool:
    """Whether products of float32 have bfloat16 factors now."""
    return (MATMUL.fp32_precision == "bf16" and rounds()) or _converting()


@cache
def rounds() -> bool:
    """Whether products of float32 matrices have bfloat16 factors once torch may round them.

    Seen on a product, not asked of the processor: see above.
    """
    if not torch.backends.mkldnn.is_available():
        return False
    cpu = torch.device("cpu")  # whatever is the default where this is asked first
    finer, before = torch.full((256, 64), 1 + 2**-10, device=cpu), MATMUL.fp32_precision  # 1 in bfloat16
    given = {name: size for name, size in _bounds.items() if name not in os.environ}
    try:
        os.environ.update(given)
        MATMUL.fp32_precision = "bf16"
        return bool((F.linear(finer, torch.ones(64, 64, device=cpu)) == 64).all())
    finally:
        MATMUL.fp32_precision = before
        for name in given:
            del os.environ[name]


@cache
def converts() -> bool:
    """Whether factors can be given as bfloat16: AVX-512 BF16, on a processor that does not round them by itself."""
    return torch.backends.mkldnn.is_available() and torch.cpu._is_avx512_bf16_supported() and not rounds()


@cache
def by_onednn() -> bool:
    """Whether products of float32 are oneDNN's: AVX-512 on a processor that is not Intel's, without rounding."""
    return (
        torch.backends.mkldnn.is_available()
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and _vendor() not in ("", "GenuineIntel")
        and not rounds()
    )


def library(device: str, precision: str = "float32") -> str:
    """Who forms products on a device (`cpu`, `cuda`, `mps`), and what is rounded, as provenance has it."""
    if device != "cpu":
        return {"cuda": "cuBLAS"}.get(device, device)
    if precision == "bf16":
        return "oneDNN, bf16 factors" + (" and sums" if converts() else "")
    return "oneDNN" if by_onednn() else "MKL" if torch.backends.mkl.is_available() else "torch"


_here = threading.local()


def _converting() -> bool:
    return getattr(_here, "converting", False)


class _Converted(TorchFunctionMode):
    """torch's products of float32 matrices take bfloat16 factors within, and so do their gradients. Their sums are of
    float32, stored as bfloat16 and given back as float32; a bias is added to them."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not _converting():  # float32 was asked for within
            return func(*args, **kwargs)
        if func is F.linear:
            x, weight, bias = _of_linear(*args, **kwargs)
            if _wide(x, weight.T):
                return _shifted(F.linear(x.bfloat16(), weight.bfloat16()), bias)
        elif func is torch.addmm and len(args) == 3 and not kwargs and _wide(*args[1:]):
            return _shifted(torch.mm(args[1].bfloat16(), args[2].bfloat16()), args[0])
        elif func in _PRODUCTS and len(args) == 2 and not kwargs and _wide(*args):
            return func(args[0].bfloat16(), args[1].bfloat16()).float()
        return func(*args, **kwargs)


_PRODUCTS = {torch.matmul, torch.mm, torch.bmm, Tensor.matmul, Tensor.__matmul__, Tensor.mm, Tensor.bmm}


def _of_linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor | None]:
    """The arguments of `F.linear`, however they are given."""
    return input, weight, bias


def _wide(left: Tensor, right: Tensor) -> bool:
    """Whether factors (…, rows, terms) and (…, terms, columns) are of float32 on the CPU and worth converting."""
    return (
        all(x.dtype == torch.float32 and x.device.type == "cpu" and x.ndim > 1 for x in (left, right))
        and min(left.numel() // left.shape[-1] if left.shape[-1] else 0, *right.shape[-2:]) >= NARROW
    )


def _shifted(sums: Tensor, bias: Tensor | None) -> Tensor:
    """Sums as float32, a bias of float32 added."""
    return sums.float() if bias is None else bias + sums


def _vendor() -> str:
    """The processor's maker as Linux tells it; empty elsewhere."""
    with contextlib.suppress(OSError):
        for line in CPUINFO.read_text(errors="replace").splitlines():
            if line.startswith("vendor_id"):
                return line.partition(":")[2].strip()
    return ""
