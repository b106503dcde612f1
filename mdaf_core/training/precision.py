"""Matrix products of bfloat16 factors, where the processor has instructions for them.

Factors are rounded to 8 significant bits as a product begins; its sums, and everything else (weights, optimiser, scan,
normalisation, loss), stay float32. Evaluation is float32 throughout: a prediction does not depend on how training was
made faster.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch.nn import functional as F

from mdaf_core.base.errors import StudioError

MATMUL: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]


def require_products(precision: str, device: str) -> None:
    """Raise a StudioError if training on this device cannot have products of this precision, with the reason."""
    if precision == "float32":
        return
    if device != "cpu":
        raise StudioError(
            f"training.precision={precision} is for training on the CPU, and this run would train on {device}. "
            "Use training.precision=float32."
        )
    if not has_products():
        raise StudioError(
            "training.precision=bf16 needs a processor on which torch rounds the factors of a product to bfloat16 (one "
            "with AMX); on this one it leaves them float32. Use training.precision=float32."
        )


@cache
def has_products() -> bool:
    """Whether products of float32 matrices have bfloat16 factors once torch is asked for them.

    Seen on a product, not asked of the processor: oneDNN 3.12 takes the setting and goes on with float32 where there
    are instructions for bfloat16 (AVX-512 BF16) but none for tiles of it (AMX).
    """
    if not torch.backends.mkldnn.is_available():
        return False
    finer = torch.full((256, 64), 1 + 2**-10)  # 1 in bfloat16
    with products_as_before():
        set_products("bf16")
        return bool((F.linear(finer, torch.ones(64, 64)) == 64).all())


def set_products(precision: str) -> None:
    """Let the matrix products that follow be of `float32` or `bf16` factors."""
    MATMUL.fp32_precision = "bf16" if precision == "bf16" else "ieee"


@contextmanager
def products_as_before() -> Iterator[None]:
    """Products are set back to what they were, whatever happens within."""
    before = MATMUL.fp32_precision
    try:
        yield
    finally:
        MATMUL.fp32_precision = before
