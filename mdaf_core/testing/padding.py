"""Models that pad inside: what stands in the padding must not matter."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mdaf_core.data.batches.loader import Batch
from mdaf_core.data.store.schema import FIRST_ID, FeatureSpec
from mdaf_core.models.base import CTRModel
from mdaf_core.testing.base import Note, apart, check
from mdaf_core.testing.data import clone, take
from mdaf_core.testing.subject import Subject

aten = torch.ops.aten
_LOOKUPS = {aten.embedding.default: 1, aten.index_select.default: 2}
_NEW = (aten.zeros.default, aten.new_zeros.default, aten.zeros_like.default, aten.full.default, aten.new_full.default)
_PAD = aten.constant_pad_nd.default
_MARK = 1.4012984643248171e-43
"""A number so small that it is zero in every sum, and tells all the same what was never written."""
NOISE = 3.0
MORE = 13
_SIZE_AT = {aten.zeros.default: 0, aten.full.default: 0, aten.new_zeros.default: 1, aten.new_full.default: 1,
            aten.new_ones.default: 1, aten.ones.default: 0}  # fmt: skip


@check("padding", "Nothing depends on padding.")
def padding(subject: Subject) -> Iterable[str]:
    """Rows of a table that are looked up whatever the ids are (the padding's vector) get another value; so do places of
    a padded tensor that nothing was written to, and there are more of them; a row stands beside a longer history."""
    model, rows = subject.restored(moved=True), subject.batch()
    before = _ask(model, rows)
    for name, vectors in _constant_rows(model, subject, rows).items():
        weight = dict(model.named_parameters())[name]
        kept = weight.detach().clone()
        with torch.no_grad():
            weight[vectors] += NOISE * torch.randn(weight[vectors].shape, generator=torch.Generator().manual_seed(0))
        after = _ask(model, rows)
        with torch.no_grad():
            weight.copy_(kept)
        if gap := apart(before, after):
            yield (
                f"The vector of padding, {name}[{', '.join(map(str, vectors[:3]))}], enters predictions (they "
                f"move by up to "
                f"{gap:.2g} when it changes): mask the places behind a history's end."
            )
    with _Pads() as pads:
        _ask(model, rows)
    row_by_row = pads.calls >= len(rows) // 2
    with _Noise(rows, row_by_row) as noise:
        after = _ask(model, rows)
    if noise.filled and (gap := apart(before, after)):
        shapes = " and ".join(str(tuple(shape)) for shape in noise.filled[:2])
        more = _with_more_padding(model, rows, row_by_row)
        if more is None:
            yield Note(
                f"What stands in the padding of a tensor {shapes} enters predictions, unless it is zero; whether zeros "
                "do could not be tried. Mask padded places."
            )
        elif gap := apart(before, more):
            yield (
                f"The padding of a tensor {shapes} enters predictions (they move by up to {gap:.2g} when there "
                f"is more of "
                "it): leave padded places out of means, attention and last steps (a mask, or the true lengths)."
            )
    if rows.history:
        lengths = rows.lengths_B.tolist()
        longest = max(range(len(lengths)), key=lengths.__getitem__)
        short = [row for row, length in enumerate(lengths) if 0 < length < max(lengths)][:8]
        for row in short:
            both = _ask(model, take(rows, [row])), _ask(model, take(rows, [row, longest]))[:1]
            if gap := apart(*both):
                yield (
                    f"A row with {lengths[row]} events is predicted otherwise beside one with "
                    f"{lengths[longest]} (by {gap:.2g}): "
                    "the padding up to the longest history of the batch enters, or the other row does."
                )
                break


def _ask(model: CTRModel, rows: Batch) -> Tensor:
    """Logits without gradients, but not in inference mode: there a dispatch mode sees `pad_sequence`, `F.pad` and the
    like whole, and what they allocate and write not at all."""
    torch.manual_seed(0)
    with torch.no_grad():
        logit_B: Tensor = model(clone(rows)).logit_B.clone()
    return logit_B


def _with_more_padding(model: CTRModel, rows: Batch, row_by_row: bool) -> Tensor | None:
    """Logits with all padded tensors longer; None where the model cannot take that (a length it counts on itself)."""
    try:
        with _Longer(rows, row_by_row):
            return _ask(model, rows)
    except Exception:  # shapes that no longer fit: of the model's many ways to fail, none is a fault
        return None


def _constant_rows(model: CTRModel, subject: Subject, rows: Batch) -> dict[str, list[int]]:
    """Of tables that are looked up by id: the rows that are looked up for any ids, by the parameter's name.

    Two batches of the same lengths that share no id: what both look up stands for no id. A table in which both look up
    the same rows alone, such as one of positions, is none of ids.
    """
    names = {p.data_ptr(): name for name, p in model.named_parameters() if p.dim() == 2}
    seen = []
    for high in (False, True):
        with _Lookups(names) as lookups:
            _ask(model, _half_of_the_ids(rows, subject.features, high))
        seen.append(lookups.rows)
    found, silent = {}, _padding_rows(model)
    for name in seen[0].keys() & seen[1].keys():
        both = (seen[0][name] & seen[1][name]) - silent.get(name, set())
        if both and seen[0][name] != seen[1][name]:
            found[name] = sorted(both)
    return found


def _padding_rows(model: CTRModel) -> dict[str, set[int]]:
    """Rows that torch itself keeps at zero (`padding_idx`): they add nothing to a sum."""
    return {
        f"{name}.weight" if name else "weight": {int(module.padding_idx)}
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Embedding)
        and module.padding_idx is not None
        and not bool(module.weight[module.padding_idx].any())
    }


def _half_of_the_ids(rows: Batch, features: FeatureSpec, high: bool) -> Batch:
    changed = clone(rows)

    def moved(codes: Tensor, size: int) -> Tensor:
        half = max((size - FIRST_ID) // 2, 1)
        return FIRST_ID + codes % half + (half if high else 0)

    for column, size in enumerate(features.categorical.values()):
        changed.categorical_BF[:, column] = moved(rows.categorical_BF[:, column], size)
    for name, codes_T in rows.history.items():
        changed.history[name] = moved(codes_T, features.event_sizes[name])
    return changed


class _Lookups(TorchDispatchMode):
    """Which rows of which parameters are looked up."""

    def __init__(self, names: dict[int, str]):
        super().__init__()
        self.names, self.rows = names, {}  # type: ignore[var-annotated]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        index = args[_LOOKUPS[func]] if func in _LOOKUPS else None
        if func is aten.index.Tensor and args[1][0] is not None and args[1][0].dtype != torch.bool:
            index = args[1][0]
        if index is not None and (name := self.names.get(args[0].data_ptr())):
            self.rows.setdefault(name, set()).update(index.flatten().tolist())
        return func(*args, **(kwargs or {}))


class _Pads(TorchDispatchMode):
    """Counts calls of `F.pad`: as many as rows pad row by row; fewer may be those of a convolution."""

    calls = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls += func is _PAD
        return func(*args, **(kwargs or {}))


class _Noise(TorchDispatchMode):
    """Fills what was never written in tensors that histories were padded into.

    Such a tensor is made constant, (B, L, …) or (B · L, …) with L > 1, and tokens are copied into some of its places;
    when it is first read, the others get noise. Sums into a constant tensor are left alone.

    Attributes:
        filled: shapes of those tensors.
    """

    _WRITES = (
        "copy_",
        "index_put_",
        "index_put",
        "index_copy_",
        "index_copy",
        "_index_put_impl_",
        "masked_scatter_",
        "slice_scatter",
        "select_scatter",
        "scatter_",
        "scatter",
    )
    _VIEWS = (
        "view",
        "slice",
        "select",
        "unsqueeze",
        "squeeze",
        "expand",
        "t",
        "transpose",
        "permute",
        "_unsafe_view",
        "detach",
        "alias",
        "as_strided",
        "split",
        "unbind",
        "lift_fresh",
    )

    def __init__(self, batch: Batch, row_by_row: bool):
        super().__init__()
        self.rows, self.tokens = len(batch), int(batch.cu_seqlens[-1]) if batch.history else 0
        self.row_by_row = row_by_row
        self.waiting: dict[int, tuple[Tensor, bool]] = {}
        self.filled: list[torch.Size] = []
        self.draw = torch.Generator().manual_seed(0)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is _PAD and self.row_by_row:
            return self._padded_with_noise(func, *args, **(kwargs or {}))
        kwargs, name = kwargs or {}, func._schema.name.split("::")[-1]
        known = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor) and self._key(t) in self.waiting]
        target = args[0] if args and isinstance(args[0], Tensor) and self._key(args[0]) in self.waiting else None
        if name in self._WRITES and target is not None:
            base, _ = self.waiting[self._key(target)]
            known = [t for t in known if self._key(t) != self._key(target)]
            self._read(known)
            out = func(*args, **kwargs)
            self.waiting[self._key(base)] = (base, True)
            if isinstance(out, Tensor) and self._key(out) != self._key(base):
                self.waiting[self._key(out)] = (out, True)
            return out
        if name not in self._VIEWS:
            self._read(known)
        out = func(*args, **kwargs)
        if func in _NEW and isinstance(out, Tensor) and self._padded(out) and not bool(out.any()):
            out.fill_(_MARK)
            self.waiting[self._key(out)] = (out, False)
        return out

    def _padded_with_noise(self, func: Any, tokens: Tensor, amounts: list[int], value: float = 0) -> Tensor:
        out: Tensor = func(tokens, amounts, value)
        if out.is_floating_point() and out.dim() == 2 and len(out) > len(tokens):
            noise = NOISE * torch.randn(out.shape, generator=self.draw, dtype=out.dtype)
            out = torch.where(func(torch.ones_like(tokens), amounts, 0) == 0, noise, out)
            self.filled.append(out.shape)
        return out

    @staticmethod
    def _key(tensor: Tensor) -> int:
        return tensor.untyped_storage()._cdata

    def _padded(self, tensor: Tensor) -> bool:
        if tensor.dtype not in (torch.float32, torch.float64) or tensor.dim() < 2 or not self.tokens:
            return False
        by_row = tensor.shape[0] == self.rows and tensor.dim() >= 3 and tensor.shape[1] > 1
        flat = tensor.shape[0] > self.rows and tensor.shape[0] % self.rows == 0 and tensor.shape[0] > self.tokens
        return by_row or flat

    def _read(self, tensors: list[Tensor]) -> None:
        for tensor in tensors:
            base, written = self.waiting.pop(self._key(tensor), (None, False))
            if base is None:
                continue
            empty = base == _MARK
            if written and bool(empty.any()) and not bool(empty.all()):
                noise = NOISE * torch.randn(base.shape, generator=self.draw, dtype=base.dtype)
                base[empty] = noise[empty]
                self.filled.append(base.shape)
            else:
                base[empty] = 0.0


class _Longer(TorchDispatchMode):
    """Makes constant tensors (B, L, …), L at least the longest history, longer by `MORE` places."""

    def __init__(self, batch: Batch, row_by_row: bool):
        super().__init__()
        self.row_by_row = row_by_row
        self.rows, self.longest = len(batch), max(int(batch.lengths_B.max()), 2)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is _PAD and self.row_by_row and args[0].dim() <= 2:
            amounts = list(args[1])
            amounts[-1] += MORE
            args = (args[0], amounts, *args[2:])
        at = _SIZE_AT.get(func)
        if at is not None and self._padded(func, list(args[at]), args, kwargs or {}):
            size = list(args[at])
            size[1] += MORE
            args = (*args[:at], size, *args[at + 1 :])
        return func(*args, **(kwargs or {}))

    def _padded(self, func: Any, size: list[int], args: Any, kwargs: dict[str, Any]) -> bool:
        if len(size) < 2 or size[0] != self.rows or size[1] < self.longest:
            return False
        zero = "full" not in func._schema.name or not args[_SIZE_AT[func] + 1]
        kind = kwargs.get("dtype") or (args[0].dtype if isinstance(args[0], Tensor) else torch.get_default_dtype())
        return len(size) > 2 or not (zero and kind.is_floating_point)  # (B, D) of zeros: a sum's beginning
