"""Who likes what: a vector of the user times one of the target's category, dimension by dimension."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mdaf_core.data.batches.loader import Batch
from mdaf_core.data.store.schema import FeatureSpec
from mdaf_core.models.layers import Table

STD = 0.3
"""Deviation of the initial vectors: of a product of two small vectors neither would have a gradient to begin with."""


class Affinity(nn.Module):
    """p_u ⊙ q_c of the row's user u and its target's category c (of the first field that events have, where that has
    none): what matrix factorisation sums (Koren et al. 2009, doi:10.1109/MC.2009.263).

    The vectors are no other part's. They are penalised as other weights are (`Table.frequent`): of a user with a
    hundred rows there is more to learn than a penalty leaves that is made for ids seen once. Unknown ids start at zero.

    Args:
        features: the data set's fields, one of which has the role user.
        dim: width of the vectors, and of the output.
    """

    def __init__(self, features: FeatureSpec, dim: int):
        super().__init__()
        assert features.user is not None
        field = features.category if features.category in features.history else features.history[0]
        names = list(features.categorical)
        self.columns = [names.index(features.user), names.index(field)]
        sizes = [features.categorical[name] for name in (features.user, field)]
        self.tables = nn.ModuleList(Table([size], dim, STD, frequent=True) for size in sizes)

    def forward(self, batch: Batch) -> Tensor:
        """(B, dim)."""
        codes_B1 = (batch.categorical_BF[:, column].unsqueeze(1) for column in self.columns)
        user_BD, category_BD = (table(codes).squeeze(1) for table, codes in zip(self.tables, codes_B1, strict=True))
        return torch.mul(user_BD, category_BD)
