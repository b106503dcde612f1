"""One user's candidates as a batch where the user's events have been encoded before."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mdaf_core.data.batches.events import targets
from mdaf_core.data.batches.gather import matches, own_columns
from mdaf_core.data.batches.loader import Batch, Kept, as_batch
from mdaf_core.data.store.dataset import PreparedDataset, Rows
from mdaf_core.data.store.schema import OUTCOME


class Newest:
    """The newest `most` rows of all that were added, side by side in memory; adding costs the same at any length."""

    def __init__(self, most: int, like: Any):
        self.most, self._room, self._end = most, like[:0], 0

    def add(self, rows: Any) -> None:
        """Add rows, oldest first: an array or a tensor, as `like` was."""
        rows = rows[-self.most :]
        if self._end + len(rows) > len(self._room):
            held = self.rows()
            size = len(held) + len(rows) + min(len(held) + 64, self.most)
            shape = (size, *self._room.shape[1:])
            room = self._room.new_empty(shape) if isinstance(rows, Tensor) else np.empty(shape, self._room.dtype)
            room[: len(held)] = held
            self._room, self._end = room, len(held)
        self._room[self._end : self._end + len(rows)] = rows
        self._end += len(rows)

    def rows(self) -> Any:
        """They; a view."""
        return self._room[max(self._end - self.most, 0) : self._end]


def gather_kept(
    dataset: PreparedDataset,
    rows: Rows,
    index_B: np.ndarray,
    output_TD: Tensor,
    identity_TH: np.ndarray,
    time_T: np.ndarray,
    outcome_T: np.ndarray,
    match_events: int,
) -> Batch:
    """These rows as candidates for one user with these newest events, which a model has read (`CTRModel.read`).

    Their own fields and times are those of the rows; what the rows' own histories are does not matter.

    Args:
        match_events: how many events match features tell apart.
    """
    features, own = dataset.meta.features(), own_columns(dataset, rows, index_B)
    asked = targets(rows, index_B, features.history)
    begin_B, end_B = np.zeros(len(index_B), np.int64), np.full(len(index_B), len(time_T))
    ids, known = list(zip(identity_TH.T, asked, strict=True)), (outcome_T, time_T)
    read = known, begin_B, end_B, own["timestamp_B"], dataset.meta.ticks, match_events
    match_BM, outcome_BK = matches(ids, features.outcomes, *read)
    none, nothing = np.empty(0, np.int64), np.empty(0, np.float32)
    arrays = own | {
        "cu_seqlens": np.zeros(1, np.int32),
        "history": dict.fromkeys([*features.history, OUTCOME] if features.outcomes else features.history, none),
        "history_age_T": nothing,
        "gap_T": nothing,
        "equal_TH": np.empty((0, len(features.history)), np.bool_),
        "match_BM": match_BM,
        "outcome_BK": outcome_BK,
    }
    target_BH = torch.from_numpy(np.stack(asked, axis=1))
    return as_batch(arrays, kept=Kept(output_TD, torch.from_numpy(identity_TH), target_BH))
