"""Batches of rows with packed histories, as torch tensors."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mdaf_core.data.batches.gather import gather
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.schema import MAX_HISTORY, Split


@dataclass
class Slices:
    """Which events each row reads where a batch holds an event once, however many rows read it (`stream.py`).

    Attributes:
        begin_B, end_B: (B,) int64, row b's events are `[begin_b, end_b)`; they lie within one sequence.
        identity_TH, target_BH: int64, what tells the raw ids of events and targets apart, field by field.
    """

    begin_B: Tensor
    end_B: Tensor
    identity_TH: Tensor
    target_BH: Tensor


@dataclass
class Kept:
    """What an encoder made of one user's newest T events, in the place of the events: every row reads all of them.

    Attributes:
        output_TD: the encoder's outputs.
        identity_TH, target_BH: as of `Slices`.
    """

    output_TD: Tensor
    identity_TH: Tensor
    target_BH: Tensor


@dataclass
class Batch:
    """B rows whose histories, T events in all, lie one after another, oldest first.

    Row b's events are `[cu_seqlens[b], cu_seqlens[b + 1])`: the convention of variable-length attention kernels. A
    history may be empty. Suffixes: B rows, T history events, F categorical fields, G numeric fields,
    H history fields, M match features, K counts of outcomes.

    With `slices`, rows share events: the sequences are those of users, `slices` says what of them a row reads, and what
    belongs to a row and an event (`history_age_T`, `equal_TH`) is left out. With `kept`, rows are of one user whose
    events have been encoded before, and there are no events at all.

    Attributes:
        label_B: float32, 0 or 1.
        categorical_BF: int64 codes, columns in the order of `FeatureSpec.categorical`.
        numeric_BG: float32 values.
        cu_seqlens: (B + 1,) int32.
        history: field name → (T,) int64 codes; `:outcome`, where the data set records it, is what came of an event, 0
            where that is not known.
        history_age_T: float32 seconds from the event to its row, > 0.
        gap_T: float32 seconds from the event before it in its sequence; 0 for the first of a sequence.
        equal_TH: whether an event's raw id is the target's, field by field; ids unseen in training included.
        match_BM: float32 match features, see `gather.match_names`.
        outcome_BK: float32 counts of what came of a row's events, see `outcomes.outcome_names`; no columns where that
            is not recorded.
        row_id_B, user_B, timestamp_B (in the data set's unit): int64; for bookkeeping, never model inputs.
    """

    label_B: Tensor
    categorical_BF: Tensor
    numeric_BG: Tensor
    cu_seqlens: Tensor
    history: dict[str, Tensor]
    history_age_T: Tensor
    gap_T: Tensor
    equal_TH: Tensor
    match_BM: Tensor
    outcome_BK: Tensor
    row_id_B: Tensor
    user_B: Tensor
    timestamp_B: Tensor
    slices: Slices | None = None
    kept: Kept | None = None

    def __len__(self) -> int:
        return len(self.label_B)

    @property
    def lengths_B(self) -> Tensor:
        """Events in each row's history, int64."""
        if self.kept is not None:
            return torch.full((len(self),), len(self.kept.output_TD))
        if self.slices is not None:
            return self.slices.end_B - self.slices.begin_B
        return (self.cu_seqlens[1:] - self.cu_seqlens[:-1]).long()

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        moved: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, dict):
                moved[field.name] = {k: v.to(device, non_blocking=non_blocking) for k, v in value.items()}
            elif isinstance(value, Slices | Kept):
                parts = {part.name: getattr(value, part.name) for part in fields(value)}
                moved[field.name] = replace(
                    value, **{k: v.to(device, non_blocking=non_blocking) for k, v in parts.items()}
                )
            elif value is not None:
                moved[field.name] = value.to(device, non_blocking=non_blocking)
        return replace(self, **moved)


class BatchLoader:
    """Iterates over one split in batches; re-iterable.

    Args:
        dataset: the prepared data set.
        split: `train`, `val` or `test`.
        batch_size: rows a batch; the last one may be smaller.
        shuffle_seed: None keeps row order; a tuple of integers (for instance seed, epoch) fixes a permutation.
        max_history: newest events kept of each history.
        match_events: how many events match features tell apart; None: `max_history`.
        rows: indices to iterate over instead of the whole split.
    """

    def __init__(
        self,
        dataset: PreparedDataset,
        split: Split,
        batch_size: int,
        shuffle_seed: tuple[int, ...] | None = None,
        max_history: int = MAX_HISTORY,
        rows: np.ndarray | None = None,
        match_events: int | None = None,
    ):
        self.dataset, self.split = dataset, split
        self.batch_size, self.shuffle_seed, self.max_history = batch_size, shuffle_seed, max_history
        self.match_events = match_events
        self.rows = dataset.rows(split)
        self.indices = np.arange(len(self.rows)) if rows is None else np.asarray(rows)

    def __len__(self) -> int:
        return -(-len(self.indices) // self.batch_size)

    @property
    def drawn_together(self) -> float:
        """Rows of a user that a shuffled pass draws at a time, on average."""
        return 1.0

    def order(self) -> np.ndarray:
        """The rows (indices into the split) in the order of the next pass."""
        if self.shuffle_seed is None:
            return self.indices
        return np.random.default_rng(self.shuffle_seed).permutation(self.indices)

    def __iter__(self) -> Iterator[Batch]:
        order = self.order()
        with ThreadPoolExecutor(1) as ahead:  # the next batch while the caller works on this one
            waiting: deque[Future[Batch]] = deque()
            for start in range(0, len(order), self.batch_size):
                waiting.append(ahead.submit(self.gather, order[start : start + self.batch_size]))
                if len(waiting) > 1:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def events_in(self, index_B: np.ndarray) -> int:
        """Events in the batch of these rows."""
        length_B = self.rows.history_end[index_B] - self.rows.history_start[index_B]
        return int(np.minimum(length_B, self.max_history).sum())

    def gather(self, index_B: np.ndarray) -> Batch:
        """The batch of these rows (indices into the split)."""
        return as_batch(gather(self.dataset, self.rows, index_B, self.max_history, self.match_events))


def as_batch(arrays: dict[str, Any], **more: Any) -> Batch:
    """A batch of these arrays, by its attributes' names, and of what else it has."""
    given: dict[str, Any] = {name: torch.from_numpy(array) for name, array in arrays.items() if name != "history"}
    return Batch(history=as_tensors(arrays["history"]), **given, **more)


def as_tensors(arrays: dict[str, np.ndarray]) -> dict[str, Tensor]:
    """The same memory."""
    return {name: torch.from_numpy(array) for name, array in arrays.items()}
