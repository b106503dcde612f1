"""Tensors that say they are on another device, and are computed with on the CPU: which code runs on a GPU, and whether
it computes the same, without one.

As on a GPU, no operation takes tensors of both devices (but for single numbers), and no array can be made of one.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("meta")
"""Autograd works on its tensors wherever torch was built, which it does not on those of "cuda"."""
MOVES = ("aten._to_copy", "aten.copy_", "aten._local_scalar_dense")


class Elsewhere(torch.Tensor):
    """A tensor on that device."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> Elsewhere:
        made: Elsewhere = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=DEVICE,
        )
        made.inner = inner
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})

    def tolist(self) -> Any:
        return self.inner.tolist()

    def __getitem__(self, index: Any) -> Any:
        parts = index if isinstance(index, tuple) else (index,)
        there = tuple(Elsewhere(torch.tensor(part)) if isinstance(part, list) else part for part in parts)
        return super().__getitem__(there)


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
    there = [x for x in tensors if isinstance(x, Elsewhere)]
    name, wanted = str(func), kwargs.get("device")
    if there and name.startswith("mdaf."):
        raise AssertionError(f"{name}, a kernel of the CPU, was called on another device.")
    if there and not name.startswith(MOVES):
        here = [x for x in tensors if not isinstance(x, Elsewhere) and x.dim()]
        assert not here, f"{name} takes tensors of two devices: {[tuple(x.shape) for x in here]} on the CPU."
    ends_there = bool(there) if wanted is None else torch.device(wanted) == DEVICE
    if wanted is not None:
        kwargs = kwargs | {"device": torch.device("cpu")}
    result = func(*tree_map(_inner, args), **tree_map(_inner, kwargs))
    known = {id(x.inner): x for x in there}  # what an operation in place returns is its argument
    return tree_map(lambda x: known.get(id(x), _wrapped(x)), result) if ends_there else result


def _inner(x: Any) -> Any:
    return x.inner if isinstance(x, Elsewhere) else x


def _wrapped(x: Any) -> Any:
    return Elsewhere(x) if isinstance(x, Tensor) else x


class OtherDevice(TorchDispatchMode):
    """While it lasts, tensors can be made on `DEVICE`."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


def move(module: torch.nn.Module) -> torch.nn.Module:
    """Its parameters and buffers, copied there."""
    for part in module.modules():
        for name, parameter in list(part._parameters.items()):
            if parameter is not None:
                setattr(part, name, torch.nn.Parameter(Elsewhere(parameter.detach().clone())))
        for name, buffer in list(part._buffers.items()):
            if buffer is not None:
                part._buffers[name] = Elsewhere(buffer.clone())
    return module
