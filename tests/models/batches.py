"""Random batches for the tests of the models."""

from __future__ import annotations

import torch

from mdaf_core.data.batches.gather import match_names
from mdaf_core.data.batches.loader import Batch
from mdaf_core.data.store.schema import FIRST_ID, FeatureSpec

USUAL = FeatureSpec.from_vocabulary({"item": 40, "category": 9, "user": 30, "hour": 26, "dayofweek": 9})
RICH = FeatureSpec(
    categorical={"user": 20, "item": 30, "genre": 7, "brand.name": 12, "items": 5},
    numeric=("age", "price"),
    history=("item", "genre", "brand.name"),
    item="item",
    category="genre",
    user="user",
)
NO_CATEGORY = FeatureSpec.from_vocabulary({"item": 40, "user": 30})
HISTORY_WITHOUT_ITEM = FeatureSpec(
    categorical={"item": 40, "category": 9, "user": 30},
    history=("category",),
    item="item",
    category="category",
    user="user",
)
NO_HISTORY = FeatureSpec(categorical={"C1": 12, "C2": 30}, numeric=("I1",))
ONLY_NUMERIC = FeatureSpec(categorical={}, numeric=("I1", "I2"))


def random_batch(features: FeatureSpec, lengths: list[int], seed: int = 0, first_code: int = 0) -> Batch:
    """Rows with histories of these lengths, all values random; every seventh number is missing."""
    draw = torch.Generator().manual_seed(seed)
    rows, events = len(lengths), sum(lengths)

    def codes(name: str, count: int) -> torch.Tensor:
        return torch.randint(first_code, features.categorical[name], (count,), generator=draw)

    numeric = torch.randn(rows, len(features.numeric), generator=draw)
    numeric.view(-1)[::7] = torch.nan
    columns = [codes(name, rows) for name in features.categorical]
    has_history = bool(features.history)
    history = {name: codes(name, events) for name in features.history}
    targets = [
        columns[list(features.categorical).index(name)].repeat_interleave(torch.tensor(lengths)) for name in history
    ]
    equal = [(h == t) & (h >= FIRST_ID) for h, t in zip(history.values(), targets, strict=True)]
    return Batch(
        label_B=torch.randint(0, 2, (rows,), generator=draw).float(),
        categorical_BF=torch.stack(columns, dim=1) if columns else torch.zeros(rows, 0, dtype=torch.int64),
        numeric_BG=numeric,
        cu_seqlens=torch.tensor([0, *lengths]).cumsum(0).to(torch.int32) * (1 if has_history else 0),
        history=history,
        gap_T=gaps(lengths if has_history else [], torch.Generator().manual_seed(seed)),
        history_age_T=torch.rand(events if has_history else 0, generator=draw) * 1e5 + 1,
        equal_TH=torch.stack(equal, dim=1) if equal else torch.zeros(0, 0, dtype=torch.bool),
        match_BM=torch.rand(rows, len(match_names(features.history)), generator=draw),
        outcome_BK=torch.zeros(rows, 0),
        row_id_B=torch.arange(rows),
        user_B=torch.arange(rows),
        timestamp_B=torch.arange(rows),
    )


def gaps(lengths: list[int], draw: torch.Generator) -> torch.Tensor:
    """Seconds since the event before, from seconds to weeks; 0 for the first of a history."""
    gap_T = torch.exp(torch.rand(sum(lengths), generator=draw) * 14).round()
    begin_B = torch.tensor([0, *lengths]).cumsum(0)[:-1]
    gap_T[begin_B[torch.tensor(lengths, dtype=torch.int64) > 0]] = 0
    return gap_T


def take(batch: Batch, rows: list[int]) -> Batch:
    """These rows of a batch, in this order, with their histories."""
    spans = [torch.arange(int(batch.cu_seqlens[r]), int(batch.cu_seqlens[r + 1])) for r in rows]
    events = torch.cat(spans)
    lengths = torch.tensor([0, *(len(span) for span in spans)])
    return Batch(
        label_B=batch.label_B[rows],
        categorical_BF=batch.categorical_BF[rows],
        numeric_BG=batch.numeric_BG[rows],
        cu_seqlens=lengths.cumsum(0).to(torch.int32),
        history={name: codes[events] for name, codes in batch.history.items()},
        history_age_T=batch.history_age_T[events],
        gap_T=batch.gap_T[events],
        equal_TH=batch.equal_TH[events] if batch.history else batch.equal_TH,
        match_BM=batch.match_BM[rows],
        outcome_BK=batch.outcome_BK[rows],
        row_id_B=batch.row_id_B[rows],
        user_B=batch.user_B[rows],
        timestamp_B=batch.timestamp_B[rows],
    )
