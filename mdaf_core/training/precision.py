"""Matrix products of bfloat16 factors, where the processor has instructions for them.

Factors are rounded to 8 significant bits as a product begins; its sums, and everything else (weights, optimiser, scan,
normalisation, loss), stay float32. Evaluation is float32 throughout: a prediction does not depend on how training was
made faster.
"""

from __future__ import annotations

from mdaf_core.base.errors import StudioError
from mdaf_core.ops.products import rounds


def require_products(precision: str, device: str) -> None:
    """Raise a StudioError if training on this device cannot have products of this precision, with the reason."""
    if precision == "float32":
        return
    if device != "cpu":
        raise StudioError(
            f"training.precision={precision} is for training on the CPU, and this run would train on {device}. "
            "Use training.precision=float32."
        )
    if not rounds():
        raise StudioError(
            "training.precision=bf16 needs a processor on which torch rounds the factors of a product to bfloat16 (one "
            "with AMX); on this one it leaves them float32. Use training.precision=float32."
        )
