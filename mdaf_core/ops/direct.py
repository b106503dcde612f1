"""The CPU's kernels as torch's operators, and called at once where nobody needs to see an operator.

An operator of `torch.library` is what counters of operations, fake tensors and compilers know; passing through it
takes a tenth to a quarter of a millisecond a call, a fifth of a small model's step. Without any of them the same code
runs as an `autograd.Function`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.autograd.function import once_differentiable
from torch.utils._python_dispatch import is_in_torch_dispatch_mode


def watched() -> bool:
    """Whether something looks on that knows operators alone."""
    return is_in_torch_dispatch_mode() or torch.compiler.is_compiling()


def operator(name: str) -> Callable[[Callable[..., Any]], Operator]:
    """Make a function of tensors, lists of tensors and numbers, none of which it changes, the operator `mdaf::name`."""
    return lambda run: Operator(name, run)


class Operator:
    """Called as its function; `register_fake` and `register_autograd` are those of `torch.library.CustomOpDef`."""

    def __init__(self, name: str, run: Callable[..., Any]):
        self.run = run
        self.registered = torch.library.custom_op(f"mdaf::{name}", run, mutates_args=(), device_types="cpu")
        self._apply: Callable[..., Any] | None = None

    def register_fake(self, fake: Callable[..., Any]) -> Any:
        return self.registered.register_fake(fake)

    def register_autograd(self, differentiate: Callable[..., Any], *, setup_context: Callable[..., None]) -> None:
        self.registered.register_autograd(differentiate, setup_context=setup_context)
        run = self.run

        class Direct(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, lengths: Sequence[int], *flat: Any) -> Any:
                ctx.lengths = lengths
                given = _nested(lengths, flat)
                found = run(*given)
                setup_context(ctx, given, found)
                return found

            @staticmethod
            @once_differentiable  # type: ignore[untyped-decorator]
            def backward(ctx: Any, *slopes: Any) -> Any:
                found = differentiate(ctx, *slopes)
                return None, *_flat(ctx.lengths, found if isinstance(found, tuple) else (found,))

        self._apply = Direct.apply

    def __call__(self, *given: Any) -> Any:
        if watched():
            return self.registered(*given)
        if self._apply is None or not torch.is_grad_enabled():
            return self.run(*given)
        lengths = [len(one) if isinstance(one, (list, tuple)) else -1 for one in given]
        return self._apply(lengths, *_flat(lengths, given))


def _flat(lengths: Sequence[int], given: Sequence[Any]) -> list[Any]:
    """Lists' parts one by one, as `autograd.Function` sees tensors; None for a list is None for each of its parts."""
    flat: list[Any] = []
    for length, one in zip(lengths, given, strict=True):
        flat += [one] if length < 0 else [None] * length if one is None else one
    return flat


def _nested(lengths: Sequence[int], flat: Sequence[Any]) -> tuple[Any, ...]:
    left = iter(flat)
    return tuple(next(left) if length < 0 else [next(left) for _ in range(length)] for length in lengths)
