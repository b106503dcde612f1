"""Matrix products of bfloat16 factors, where the processor has instructions for them.

Factors are rounded to 8 significant bits as a product begins; its sums, and everything else (weights, optimiser, scan,
normalisation, loss), stay float32. Evaluation is float32 throughout: a prediction does not depend on how training was
made faster.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from mdaf_core.base.errors import StudioError

MATMUL: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
INSTRUCTIONS = ("amx_bf16", "avx512_bf16")


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
            "training.precision=bf16 needs a processor with bfloat16 products (AVX-512 BF16 or AMX), which this "
            "one lacks. Use training.precision=float32."
        )


def has_products() -> bool:
    """Whether the processor multiplies bfloat16 matrices, and torch knows how to ask it."""
    capabilities = torch.cpu.get_capabilities()
    return torch.backends.mkldnn.is_available() and any(capabilities.get(name, False) for name in INSTRUCTIONS)


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
