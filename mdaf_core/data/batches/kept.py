"""One user's candidates as a batch where the user's events have been encoded before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mdaf_core.data.batches.gather import match_names, match_scale, own_columns
from mdaf_core.data.batches.loader import Batch, Kept
from mdaf_core.data.batches.outcomes import count_outcomes
from mdaf_core.data.batches.stream import match_slices
from mdaf_core.data.store.columns import identities
from mdaf_core.data.store.dataset import PreparedDataset, Rows
from mdaf_core.data.store.schema import OUTCOME


@dataclass
class Events:
    """T events of one user, oldest first.

    Attributes:
        history: field → (T,) int64 codes.
        identity_TH: int64, as of `loader.Slices`; time_T: int64, in the data set's unit; outcome_T: uint8, what came of
            them (0: not known).
    """

    history: dict[str, Tensor]
    identity_TH: np.ndarray
    time_T: np.ndarray
    outcome_T: np.ndarray

    def __len__(self) -> int:
        return len(self.time_T)

    def __getitem__(self, part: slice) -> Events:
        history = {name: codes_T[part] for name, codes_T in self.history.items()}
        return Events(history, self.identity_TH[part], self.time_T[part], self.outcome_T[part])

    @classmethod
    def of(cls, dataset: PreparedDataset, begin: int, end: int) -> Events:
        """These events of a data set's log."""
        names, log = dataset.meta.history_fields, dataset.events
        history = {name: torch.from_numpy(np.asarray(log[name][begin:end]).astype(np.int64)) for name in names}
        outcome_T = np.zeros(end - begin, np.uint8)
        if dataset.meta.outcomes:
            outcome_T = np.asarray(log[OUTCOME][begin:end])
            history[OUTCOME] = torch.from_numpy(outcome_T.astype(np.int64))
        identity = [np.asarray(identities(log, name)[begin:end]).astype(np.int64) for name in names]
        time_T = np.asarray(log["timestamp"][begin:end]).astype(np.int64)
        return cls(history, np.stack(identity, axis=1), time_T, outcome_T)


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
    names = dataset.meta.history_fields
    target_BH = np.empty((len(index_B), len(names)), np.int64)
    for h, name in enumerate(names):
        target_BH[:, h] = identities(rows.columns, name)[index_B]
    own = own_columns(dataset, rows, index_B)
    match_BM = np.zeros((len(index_B), len(match_names(names))), np.float32)
    begin_B, end_B = np.zeros(len(index_B), np.int64), np.full(len(index_B), len(time_T))
    times, scale = (time_T, own["timestamp_B"], begin_B, end_B, dataset.meta.ticks), match_scale(match_events)
    match_slices(identity_TH, target_BH, *times, scale, match_BM)
    ids, outcomes = list(zip(identity_TH.T, target_BH.T, strict=True)), dataset.meta.features().outcomes
    outcome_BK = count_outcomes(ids, outcomes, (outcome_T, time_T), begin_B, end_B, times[1], times[4], scale)
    none = torch.empty(0, dtype=torch.int64)
    given: dict[str, Any] = {name: torch.from_numpy(array) for name, array in own.items()}
    return Batch(
        **given,
        cu_seqlens=torch.zeros(1, dtype=torch.int32),
        history=dict.fromkeys([*names, OUTCOME] if outcomes else names, none),
        history_age_T=torch.empty(0),
        gap_T=torch.empty(0),
        equal_TH=torch.empty(0, len(names), dtype=torch.bool),
        match_BM=torch.from_numpy(match_BM),
        outcome_BK=torch.from_numpy(outcome_BK),
        kept=Kept(output_TD, torch.from_numpy(identity_TH), torch.from_numpy(target_BH)),
    )
