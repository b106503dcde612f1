"""Building blocks shared by the models: embedding tables, vectors of fields, towers, tokens joining a history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn

from mdaf_core.base.errors import StudioError
from mdaf_core.data.store.schema import FIRST_ID, FeatureSpec
from mdaf_core.ops.dropout import Dropout
from mdaf_core.ops.kernels import multiplies
from mdaf_core.ops.look_up import look_up
from mdaf_core.ops.segments import segment_ids
from mdaf_core.ops.tower import tower

LARGE_TABLE = 1_500_000
"""Weights from which on a table's gradient is kept by rows: below, one of the whole table is as quick."""

NARROW = 256
"""Inputs of a tower up to which it is quicker as one operation: of wider ones products are most of it, and a library's
own are quicker than ours."""


class Table(nn.Embedding):
    """Embeddings of one or several fields of one width in a single matrix, so that a batch is one gather.

    Rows start normal with deviation `std`, but those of the two reserved codes start at zero: an id never seen in
    training keeps the vector it was given at the start, and zero is the one vector that adds nothing to a dot product,
    a cross or a sum. Training moves the unknown code's vector where unknown ids occur in training rows.

    Args:
        sizes: vocabulary size of each field, reserved codes included.
        dim: width of the vectors.
        std: standard deviation of the initial vectors.
        frequent: its ids have many rows each; they are penalised as all other weights (`training.weight_decay`), not
            as ids that may have been seen once.

    Attributes:
        before_lookup: called with the rows about to be read, where an optimiser keeps some of their steps for later.
    """

    def __init__(self, sizes: Sequence[int], dim: int, std: float, frequent: bool = False):
        self.before_lookup: Callable[[Tensor], None] | None = None
        self.frequent = frequent
        super().__init__(sum(sizes), dim, _weight=torch.empty(sum(sizes), dim))
        starts = [0, *accumulate(sizes)][:-1]
        self.offsets_F: Tensor
        self.register_buffer("offsets_F", torch.tensor(starts, dtype=torch.int64), persistent=False)
        with torch.no_grad():
            self.weight.normal_(0.0, std)
            for start, size in zip(starts, sizes, strict=True):
                self.weight[start : start + min(size, FIRST_ID)] = 0.0

    @property
    def large(self) -> bool:
        return self.weight.numel() >= LARGE_TABLE

    def forward(self, codes_NF: Tensor) -> Tensor:
        """Vectors (N, F, dim) of codes whose columns are the fields in the order of `sizes`."""
        rows_NF = codes_NF + self.offsets_F
        if self.before_lookup is not None:
            self.before_lookup(rows_NF)
        return super().forward(rows_NF) if self.sparse else look_up(self.weight, rows_NF)


class NumericVectors(nn.Module):
    """Each numeric field enters as value × learned vector; a missing value (NaN) has a learned vector of its own."""

    def __init__(self, fields: int, dim: int, std: float):
        super().__init__()
        self.vector_GD = nn.Parameter(torch.empty(fields, dim).normal_(0.0, std))
        self.missing_GD = nn.Parameter(torch.zeros(fields, dim))

    def forward(self, numeric_BG: Tensor) -> Tensor:
        """Vectors (B, G, dim) of values (B, G)."""
        missing_BG1 = numeric_BG.isnan().unsqueeze(-1)
        value_BG1 = numeric_BG.nan_to_num(nan=0.0).unsqueeze(-1)
        return torch.where(missing_BG1, self.missing_GD, value_BG1 * self.vector_GD)


class FieldVectors(nn.Module):
    """One vector a field of a row, categorical fields first, then numeric ones; all of one width.

    Args:
        features: the data set's fields.
        dim: width of the vectors.
        std: standard deviation of the initial vectors.
        names: categorical fields to use; default all.

    Attributes:
        count: number of fields.
    """

    def __init__(self, features: FeatureSpec, dim: int, std: float, names: Sequence[str] | None = None):
        super().__init__()
        names = list(features.categorical) if names is None else list(names)
        self.count = len(names) + len(features.numeric)
        self.columns = [list(features.categorical).index(name) for name in names]
        self.all_columns = len(names) == len(features.categorical)
        self.table = Table([features.categorical[name] for name in names], dim, std) if names else None
        self.numeric = NumericVectors(len(features.numeric), dim, std) if features.numeric else None
        self.dim = dim

    def forward(self, codes_BF: Tensor, numeric_BG: Tensor) -> Tensor:
        """Vectors (B, count, dim)."""
        parts = []
        if self.table is not None:
            parts.append(self.table(codes_BF if self.all_columns else codes_BF[:, self.columns]))
        if self.numeric is not None:
            parts.append(self.numeric(numeric_BG))
        if not parts:
            return numeric_BG.new_zeros(len(codes_BF), 0, self.dim)
        return torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]


class ReLU(nn.ReLU):
    """Made for a width, as activations are that keep something for each unit."""

    def __init__(self, dim: int):
        super().__init__()


class MLP(nn.Module):
    """Linear, activation, dropout for each of `hidden`; the identity where there is none.

    With ReLU and narrow inputs all of it is one operation on the CPU (`ops.tower`).

    Attributes:
        out_dim: width of the output.
    """

    def __init__(
        self, in_dim: int, hidden: Sequence[int], dropout: float, activation: Callable[[int], nn.Module] = ReLU
    ):
        super().__init__()
        widths = [in_dim, *hidden]
        layers: list[nn.Module] = []
        for narrow, wide in pairwise(widths):
            layers += [nn.Linear(narrow, wide), activation(wide), Dropout(dropout)]
        self.layers = nn.Sequential(*layers)
        self.linears = [layer for layer in layers if isinstance(layer, nn.Linear)] if activation is ReLU else []
        self.dropout = dropout
        self.out_dim = widths[-1]

    def forward(self, x: Tensor) -> Tensor:
        if not self.linears or x.shape[1] > NARROW or not multiplies(x):
            return self.layers(x)
        weights, biases = [layer.weight for layer in self.linears], [layer.bias for layer in self.linears]
        return tower(x, weights, biases, self.dropout if self.training else 0.0)


def spread(x: Tensor, knots: int) -> Tensor:
    """Numbers in [0, 1] as weights of `knots` evenly spaced points, (…, knots): the two nearest share 1 by distance.

    A linear map of the result is any piecewise linear function of the number (linear splines), from the first step on.
    """
    place = x.unsqueeze(-1) * (knots - 1) - torch.arange(knots, device=x.device, dtype=x.dtype)
    return (1 - place.abs()).clamp(min=0)


def append_token(x_TD: Tensor, last_BD: Tensor, cu_seqlens: Tensor) -> tuple[Tensor, Tensor]:
    """One more token at the end of each packed sequence: tokens (T + B, D) and their `cu_seqlens`."""
    rows = len(last_BD)
    joined = torch.cat([x_TD, last_BD])
    order = torch.cat(
        [
            torch.arange(len(x_TD), device=x_TD.device) + segment_ids(cu_seqlens),
            cu_seqlens[1:].long() + torch.arange(rows, device=x_TD.device),
        ]
    )
    grown = cu_seqlens + torch.arange(rows + 1, device=cu_seqlens.device, dtype=cu_seqlens.dtype)
    return torch.empty_like(joined).index_copy(0, order, joined), grown


def require_fields(features: FeatureSpec) -> None:
    """Raise StudioError if the data set has no field at all."""
    if not features.categorical and not features.numeric:
        raise StudioError("The data set has no input fields: a model needs at least one. Prepare it with some.")
