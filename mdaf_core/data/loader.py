"""Batches of rows with packed histories: vectorised gathers over memory-mapped columns, never a loop over rows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

from mdaf_core.data.dataset import PreparedDataset, identities
from mdaf_core.data.schema import MAX_HISTORY, Split

_LOG_CAP = math.log1p(50.0)
_LOG_MONTH = math.log1p(30 * 86400.0)


@dataclass
class Batch:
    """B rows whose histories, T events in all, lie one after another, oldest first.

    Row b's events are `[cu_seqlens[b], cu_seqlens[b + 1])`: the convention of variable-length attention kernels. A
    history may be empty. Suffixes: B rows, T history events, F categorical fields, G numeric fields,
    H history fields, M match features.

    Attributes:
        label_B: float32, 0 or 1.
        categorical_BF: int64 codes, columns in the order of `FeatureSpec.categorical`.
        numeric_BG: float32 values.
        cu_seqlens: (B + 1,) int32.
        history: field name → (T,) int64 codes.
        history_age_T: float32 seconds from the event to its row, > 0.
        equal_TH: whether an event's raw id is the target's, field by field; ids unseen in training included.
        match_BM: float32 match features, see `match_names`.
        row_id_B, user_B, timestamp_B: int64; for bookkeeping, never model inputs.
    """

    label_B: Tensor
    categorical_BF: Tensor
    numeric_BG: Tensor
    cu_seqlens: Tensor
    history: dict[str, Tensor]
    history_age_T: Tensor
    equal_TH: Tensor
    match_BM: Tensor
    row_id_B: Tensor
    user_B: Tensor
    timestamp_B: Tensor

    def __len__(self) -> int:
        return len(self.label_B)

    @property
    def lengths_B(self) -> Tensor:
        """Events in each row's history, int64."""
        return (self.cu_seqlens[1:] - self.cu_seqlens[:-1]).long()

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        moved: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, dict):
                moved[field.name] = {k: v.to(device, non_blocking=non_blocking) for k, v in value.items()}
            else:
                moved[field.name] = value.to(device, non_blocking=non_blocking)
        return replace(self, **moved)


def match_names(history: tuple[str, ...] | list[str]) -> list[str]:
    """Names of the match features of a data set with these history fields, in the order of `match_BM`'s columns.

    For each history field that the target shares: `seen` (0 or 1), `count` (log-scaled to [0, 1]), `recency` in
    events (1 / (1 + events since the last match)) and in time (1 just now, 0 a month ago, log-scaled; 0: never).
    Then the history's length (log-scaled) and the recency of its last event.
    """
    if not history:
        return []
    per_field = [f"{name}_{what}" for name in history for what in ("seen", "count", "recency", "time_recency")]
    return [*per_field, "history_length", "last_event_recency"]


@numba.njit(cache=True)
def _match(target_HB, event_HT, age_T, cu, equal_TH, out_BM):  # pragma: no cover - compiled
    log_cap, log_month = _LOG_CAP, _LOG_MONTH
    n_fields = event_HT.shape[0]
    for b in range(target_HB.shape[1]):
        start, end = cu[b], cu[b + 1]
        length = end - start
        for f in range(n_fields):
            count, last = 0, -1
            for t in range(start, end):
                if event_HT[f, t] == target_HB[f, b] and target_HB[f, b] > 1:
                    equal_TH[t, f] = True
                    count += 1
                    last = t
            if count > 0:
                out_BM[b, 4 * f] = 1.0
                out_BM[b, 4 * f + 1] = min(1.0, math.log1p(count) / log_cap)
                out_BM[b, 4 * f + 2] = 1.0 / (end - last)
                out_BM[b, 4 * f + 3] = max(0.0, 1.0 - math.log1p(age_T[last]) / log_month)
        if length > 0:
            out_BM[b, 4 * n_fields] = min(1.0, math.log1p(length) / log_cap)
            out_BM[b, 4 * n_fields + 1] = max(0.0, 1.0 - math.log1p(age_T[end - 1]) / log_month)


class BatchLoader:
    """Iterates over one split in batches; re-iterable.

    Args:
        dataset: the prepared data set.
        split: `train`, `val` or `test`.
        batch_size: rows a batch; the last one may be smaller.
        shuffle_seed: None keeps row order; a tuple of integers (for instance seed, epoch) fixes a permutation.
        max_history: newest events kept of each history.
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
    ):
        self.dataset, self.split = dataset, split
        self.batch_size, self.shuffle_seed, self.max_history = batch_size, shuffle_seed, max_history
        self.features = dataset.meta.features()
        self.rows = dataset.rows(split)
        self.indices = np.arange(len(self.rows)) if rows is None else np.asarray(rows)

    def __len__(self) -> int:
        return -(-len(self.indices) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        order = self.indices
        if self.shuffle_seed is not None:
            order = np.random.default_rng(self.shuffle_seed).permutation(order)
        for start in range(0, len(order), self.batch_size):
            yield self.gather(order[start : start + self.batch_size])

    def gather(self, index_B: np.ndarray) -> Batch:
        """The batch of these rows (indices into the split)."""
        rows, features = self.rows, self.features
        columns = rows.columns
        end_B = rows.history_end[index_B]
        start_B = np.maximum(rows.history_start[index_B], end_B - self.max_history)
        length_B = end_B - start_B
        cu = np.zeros(len(index_B) + 1, np.int64)
        np.cumsum(length_B, out=cu[1:])
        event_T = np.repeat(start_B - cu[:-1], length_B) + np.arange(cu[-1])
        timestamp_B = rows.timestamp[index_B]

        categorical_BF = np.empty((len(index_B), len(features.categorical)), np.int64)
        for f, name in enumerate(features.categorical):
            categorical_BF[:, f] = columns[name][index_B]
        numeric_BG = np.empty((len(index_B), len(features.numeric)), np.float32)
        for g, name in enumerate(features.numeric):
            numeric_BG[:, g] = columns[name][index_B]

        history = {name: np.empty(0, np.int64) for name in features.history}
        age_T = np.zeros(len(event_T), np.float32)
        equal_TH = np.zeros((len(event_T), len(features.history)), np.bool_)
        match_BM = np.zeros((len(index_B), len(match_names(features.history))), np.float32)
        if features.history:
            events = self.dataset.events
            event_HT = np.empty((len(features.history), len(event_T)), np.int32)
            target_HB = np.empty((len(features.history), len(index_B)), np.int32)
            for h, name in enumerate(features.history):
                history[name] = events[name][event_T].astype(np.int64)
                event_HT[h] = identities(events, name)[event_T]
                target_HB[h] = identities(columns, name)[index_B]
            age_T[:] = np.repeat(timestamp_B, length_B) - events["timestamp"][event_T]
            _match(target_HB, event_HT, age_T, cu, equal_TH, match_BM)

        return Batch(
            label_B=torch.from_numpy(rows.label[index_B].astype(np.float32)),
            categorical_BF=torch.from_numpy(categorical_BF),
            numeric_BG=torch.from_numpy(numeric_BG),
            cu_seqlens=torch.from_numpy(cu.astype(np.int32)),
            history={name: torch.from_numpy(codes_T) for name, codes_T in history.items()},
            history_age_T=torch.from_numpy(age_T),
            equal_TH=torch.from_numpy(equal_TH),
            match_BM=torch.from_numpy(match_BM),
            row_id_B=torch.from_numpy(rows.row_id[index_B].astype(np.int64)),
            user_B=torch.from_numpy(rows.user[index_B].astype(np.int64)),
            timestamp_B=torch.from_numpy(timestamp_B.astype(np.int64)),
        )
