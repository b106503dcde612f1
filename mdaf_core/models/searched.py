"""What the models for long histories share: a cheap search for the events that concern the target, and attention over
those that were found alone."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from mdaf_core.models.base import HiddenUnits, divides
from mdaf_core.models.history import SequenceConfig


class SearchedConfig(SequenceConfig):
    """Of long histories a few events are searched out for the target; the newest ones are read in any case."""

    hidden_dim: int = Field(64, ge=4, le=1024, description="Width of the attention over the events that were found.")
    hidden_units: HiddenUnits = Field([200, 80], description="MLP on top.")
    heads: int = Field(4, ge=1, le=16, description="Attention heads.")
    found: int = Field(50, ge=1, le=10_000, description="Events that the search keeps of a history, at most.")
    recent: int = Field(20, ge=1, le=10_000, description="Newest events that are read whether found or not.")

    @property
    def lacks_state(self) -> str:
        return "searches the history for each target: of the events alone there is little to compute ahead"

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        divides("heads", self.heads, "hidden_dim", self.hidden_dim)
        return self


import math
from dataclasses import replace

import torch
from torch import Tensor, nn

from mdaf_core.data.batches.loader import Batch
from mdaf_core.data.store.schema import FeatureSpec
from mdaf_core.models.din import ActivationUnit, Dice
from mdaf_core.models.history import HistoryEncoder, event_widths
from mdaf_core.models.layers import Table
from mdaf_core.ops.segments import lengths, positions, segment_ids, segment_softmax, segment_sum

UNIT_DIM = 36  # of DIN's activation unit
AGES = 64
"""Buckets of an event's age, each 1.35 times as old as the one before; the last begins at 7 years."""
AGE_STEP = 0.3


def newest(chosen_T: Tensor, rank_T: Tensor, cu_seqlens: Tensor, most: int) -> Tensor:
    """Of the chosen tokens of each sequence those with the `most` largest ranks, ties to the newest: (T,) bool."""
    row_T = segment_ids(cu_seqlens)
    order_T = torch.argsort(rank_T, stable=True)  # newer ones come later among equals
    order_T = order_T[torch.argsort(row_T[order_T] * 2 + chosen_T[order_T].long(), stable=True)]
    place_T = torch.empty_like(order_T)
    place_T[order_T] = positions(cu_seqlens)
    return chosen_T & (place_T >= lengths(cu_seqlens)[row_T] - most)


class SearchedEncoder(HistoryEncoder):
    """[Σ_j a(e_j, v) e_j over the newest events ‖ attention of the target v over those that were found].

    The first is DIN's sum, the second multi-head attention with keys and values from [event ‖ its age]. Only events
    that are read are embedded for training; a history without any, or in which nothing is found, gives zeros.
    """

    activation = Dice

    def __init__(self, config: SearchedConfig, features: FeatureSpec):
        width = sum(event_widths(config, features))
        super().__init__(config, features, True, pooled_dim=width + config.hidden_dim)
        self.found, self.recent, self.heads = config.found, config.recent, config.heads
        self.weigh = ActivationUnit(width, UNIT_DIM)
        self.ages = Table([AGES], config.static_dim, 0.05)
        self.query = nn.Linear(width, config.hidden_dim)
        self.key_value = nn.Linear(width + config.static_dim, 2 * config.hidden_dim)

    def search(self, batch: Batch) -> Tensor:
        """Which events concern their row's target, (T,) bool: at most `found` of each row."""
        raise NotImplementedError

    def multiply_adds_per_event(self) -> int:
        """One score and one weighted vector; the products of the layers are counted as such."""
        return 2 * self.query.out_features

    def forward(self, batch: Batch) -> Tensor:
        row_T = segment_ids(batch.cu_seqlens)
        recent_T = positions(batch.cu_seqlens) >= lengths(batch.cu_seqlens)[row_T] - self.recent
        found_T = self.search(batch)
        read_T = recent_T | found_T
        read = _only(batch, read_T)
        event_TE, target_BE = self.look_up(read)
        assert target_BE is not None
        row_T = segment_ids(read.cu_seqlens)
        recent_T, found_T = recent_T[read_T], found_T[read_T]
        short_TE = self.weigh(event_TE[recent_T], target_BE[row_T[recent_T]]) * event_TE[recent_T]
        short_BE = segment_sum(short_TE, _boundaries(recent_T, read.cu_seqlens))
        age_TA = self.ages(age_bucket(read.history_age_T[found_T]).unsqueeze(1)).squeeze(1)
        long_BD = self.attend(
            torch.cat([event_TE[found_T], age_TA], dim=1), target_BE, _boundaries(found_T, read.cu_seqlens)
        )
        return self.represent(torch.cat([short_BE, long_BD], dim=1), target_BE, batch)

    def attend(self, found_TE: Tensor, target_BE: Tensor, cu_seqlens: Tensor) -> Tensor:
        """Attention of the target over events that were found, (B, hidden_dim); zeros where there are none."""
        key_TD, value_TD = self.key_value(found_TE).chunk(2, dim=1)
        query_TD = self.query(target_BE)[segment_ids(cu_seqlens)]
        score_TH = (query_TD * key_TD).unflatten(1, (self.heads, -1)).sum(2)
        weight_TH = segment_softmax(score_TH / math.sqrt(key_TD.shape[1] / self.heads), cu_seqlens)
        value_THV = value_TD.unflatten(1, (self.heads, -1))
        return segment_sum((weight_TH.unsqueeze(2) * value_THV).flatten(1), cu_seqlens)


def age_bucket(age_T: Tensor) -> Tensor:
    """⌊ln(seconds) / 0.3⌋ in 0 … 63, int64."""
    begins = torch.exp(AGE_STEP * torch.arange(1, AGES, dtype=torch.float64, device=age_T.device))
    return torch.bucketize(age_T.double(), begins, right=True)


def _boundaries(kept_T: Tensor, cu_seqlens: Tensor) -> Tensor:
    """(S + 1,) of the sequences when only these tokens are kept."""
    before = torch.cat([kept_T.new_zeros(1, dtype=torch.int64), kept_T.long().cumsum(0)])
    return before[cu_seqlens.long()].to(cu_seqlens.dtype)


def _only(batch: Batch, kept_T: Tensor) -> Batch:
    """The batch with these events alone; match features stay those of the whole histories."""
    return replace(
        batch,
        cu_seqlens=_boundaries(kept_T, batch.cu_seqlens),
        history={name: codes_T[kept_T] for name, codes_T in batch.history.items()},
        history_age_T=batch.history_age_T[kept_T],
        gap_T=batch.gap_T[kept_T],
        equal_TH=batch.equal_TH[kept_T],
    )
