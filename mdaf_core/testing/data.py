"""The small data that a model is examined on: made here, held in memory, with everything that real data have.

Users with no history, with one event and with more than are kept; several rows of a user in one batch, so that the next
row's events are later ones; ids that training never saw; numbers that are missing. No code is 0, as in real data.
"""

from __future__ import annotations

from dataclasses import fields as fields_of
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mdaf_core.data.batches.history import earlier_events
from mdaf_core.data.batches.loader import Batch, BatchLoader, Slices
from mdaf_core.data.batches.stream import StreamLoader
from mdaf_core.data.store.dataset import PreparedDataset, Rows
from mdaf_core.data.store.schema import (
    FIRST_ID,
    MAX_HISTORY,
    OUTCOME,
    SPLITS,
    UNKNOWN,
    DatasetMeta,
    FeatureSpec,
    FieldSpec,
    Split,
    SplitCounts,
)

SIZES = {"user": 41, "item": 67, "category": 13, "brand": 19}
"""Codes of each field, the two reserved ones included; no two alike, so that a table tells which field it is of."""
ROLES = {"user": "user", "item": "item", "category": "category"}
ROWS: dict[Split, int] = {"train": 520, "val": 200, "test": 200}
OUTCOMES = ("viewed", "kept", "bought", "returned")
NUMERIC = ("price", "age")
SPAN = 1_000_000
"""Seconds that the log covers."""

LAYOUTS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "all kinds of fields": (tuple(SIZES), NUMERIC, ("item", "category")),
    "no numbers": (tuple(SIZES), (), ("item", "category")),
    "no category": (("user", "item", "brand"), NUMERIC, ("item",)),
    "no history": (tuple(SIZES), NUMERIC, ()),
    "no users and no history": (("item", "category"), (), ()),
    "numbers alone": ((), NUMERIC, ()),
}
"""Name → categorical fields, numeric fields, fields recorded for each event."""


class GeneratedData(PreparedDataset):
    """A data set in memory, of one of the `LAYOUTS`; the same for the same layout."""

    def __init__(self, layout: str = "all kinds of fields"):
        categorical, numeric, history = LAYOUTS[layout]
        self.path = Path("generated")
        rng = np.random.default_rng(20_240_506)
        users, taste = SIZES["user"] - FIRST_ID, rng.normal(size=(SIZES["user"], SIZES["category"]))
        counts = rng.permutation([0, 0, 0, 1, 1, 2, *np.linspace(3, 90, users - 6).astype(int)])
        event_user = np.repeat(np.arange(users), counts)
        event_time = rng.integers(0, SPAN, len(event_user))
        order = np.lexsort((event_time, event_user))
        log = self._ids(rng, len(event_user)) | {"timestamp": event_time[order].astype(np.int64)}
        log[OUTCOME] = np.random.default_rng(7).integers(0, len(OUTCOMES) + 1, len(event_user)).astype(np.uint8)
        self._events = {name: log[name] for name in (*history, "timestamp", OUTCOME)} if history else {}

        total = sum(ROWS.values())
        user = rng.integers(0, users, total)
        time = np.sort(rng.integers(SPAN // 4, SPAN, total))
        start, end = earlier_events(event_user, log["timestamp"], user, time)
        codes = self._ids(rng, total) | {"user": (user + FIRST_ID).astype(np.int32)}
        again = (end > start) & (rng.random(total) < 0.5)  # half of the rows are about the newest event's item
        for name in ("item", "category"):
            codes[name][again] = log[name][end[again] - 1]
        numbers = {name: rng.normal(size=total).astype(np.float32) for name in NUMERIC}
        score = 1.5 * taste[user, codes["category"]] + numbers["price"] + again - 0.5
        label = (rng.random(total) < 1 / (1 + np.exp(-score))).astype(np.uint8)
        for name in NUMERIC:
            numbers[name][rng.random(total) < 0.1] = np.nan
        for name in SIZES:  # ids that training never saw
            codes[name][(rng.random(total) < 0.05) & (np.arange(total) >= ROWS["train"])] = UNKNOWN
        columns = {
            "label": label,
            "timestamp": time.astype(np.int64),
            "user_index": (user if "user" in categorical else np.zeros(total)).astype(np.int32),
            "row_id": np.arange(total, dtype=np.int64),
            "history_start": start if history else np.zeros(total, np.int64),
            "history_end": end if history else np.zeros(total, np.int64),
            **{name: codes[name] for name in categorical},
            **{name: numbers[name] for name in numeric},
        }
        bounds = np.cumsum([0, *ROWS.values()])
        parts = {split: slice(a, b) for split, a, b in zip(SPLITS, bounds[:-1], bounds[1:], strict=True)}
        self._rows = {split: Rows({k: v[part] for k, v in columns.items()}) for split, part in parts.items()}
        self.meta = DatasetMeta(
            name="examination",
            source="generated",
            fields=[
                *(
                    FieldSpec(name=name, role=ROLES.get(name, "context"), vocabulary_size=SIZES[name])
                    for name in categorical
                ),
                *(FieldSpec(name=name, kind="numeric") for name in numeric),
            ],
            history_fields=list(history),
            outcomes=list(OUTCOMES) if history else [],
            has_user="user" in categorical,
            splits={s: SplitCounts(rows=len(r), positives=int(r.label.sum())) for s, r in self._rows.items()},
            users=users,
            events=len(event_user),
        )

    @staticmethod
    def _ids(rng: np.random.Generator, count: int) -> dict[str, NDArray[np.int32]]:
        return {name: rng.integers(FIRST_ID, size, count).astype(np.int32) for name, size in SIZES.items()}

    def rows(self, split: Split) -> Rows:
        return self._rows[split]

    @property
    def events(self) -> dict[str, NDArray[Any]]:
        return self._events

    def without_gaps(self) -> GeneratedData:
        """This data set with 0 in the place of every missing number."""
        for rows in self._rows.values():
            for name in self.meta.numeric:
                rows.columns[name] = np.nan_to_num(rows.columns[name])
        return self

    def batch(self, split: Split, index: NDArray[np.integer] | None = None, max_history: int = MAX_HISTORY) -> Batch:
        """The rows of a split at these positions (default: all)."""
        loader = BatchLoader(self, split, batch_size=1, max_history=max_history)
        return loader.gather(np.arange(len(self.rows(split))) if index is None else np.asarray(index))

    def shared_batch(self, split: Split, index: NDArray[np.integer], max_history: int) -> Batch:
        """The rows with each event of their users' logs once (`Batch.slices`)."""
        return StreamLoader(self, split, batch_size=1, max_history=max_history).gather(np.asarray(index))

    def by_user(self, split: Split, count: int) -> NDArray[np.int64]:
        """Positions of `count` rows, user by user, each user's in the order of time: the next row's history goes on
        where a row's ended, so that its last events are later than the row."""
        rows = self.rows(split)
        order = np.lexsort((rows.timestamp, rows.user))
        several = np.bincount(rows.user, minlength=self.meta.users)[rows.user[order]] > 1
        chosen: NDArray[np.int64] = order[several][:count] if several.any() else order[:count]
        return chosen


def clone(batch: Batch, **changed: Tensor | dict[str, Tensor] | Slices) -> Batch:
    """A copy that shares no memory, with some tensors replaced."""
    copies = {field.name: _copy(getattr(batch, field.name)) for field in fields_of(batch)}
    return replace(batch, **(copies | changed))


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: tensor.clone() for name, tensor in value.items()}
    if isinstance(value, Slices):
        return Slices(**{field.name: getattr(value, field.name).clone() for field in fields_of(value)})
    return None if value is None else value.clone()


def take(batch: Batch, rows: list[int]) -> Batch:
    """These rows of a batch, in this order, with their histories."""
    spans = [torch.arange(int(batch.cu_seqlens[r]), int(batch.cu_seqlens[r + 1])) for r in rows]
    events = torch.cat([torch.zeros(0, dtype=torch.int64), *spans])
    ends = torch.tensor([0, *(len(span) for span in spans)]).cumsum(0).to(torch.int32)
    return replace(
        batch,
        **{name: getattr(batch, name)[rows].clone() for name in _BY_ROW},
        cu_seqlens=ends,
        history={name: codes_T[events] for name, codes_T in batch.history.items()},
        history_age_T=batch.history_age_T[events],
        gap_T=batch.gap_T[events],
        equal_TH=batch.equal_TH[events],
    )


_BY_ROW = ("label_B", "categorical_BF", "numeric_BG", "match_BM", "outcome_BK", "row_id_B", "user_B", "timestamp_B")


def others_replaced(batch: Batch, kept_B: Tensor, features: FeatureSpec, seed: int = 0) -> Batch:
    """The batch with everything of the rows not kept drawn anew, far from what it was; lengths stay.

    Args:
        kept_B: bool, the rows that stay as they are.
        features: of the data set that the batch is of.
    """
    draw = torch.Generator().manual_seed(seed)
    changed = clone(batch)
    gone_B = ~kept_B
    gone_T = torch.repeat_interleave(gone_B, batch.lengths_B)
    for column, size in enumerate(features.categorical.values()):
        changed.categorical_BF[gone_B, column] = _codes(int(gone_B.sum()), size, draw)
    changed.numeric_BG[gone_B] = 30 + 30 * torch.rand(changed.numeric_BG[gone_B].shape, generator=draw)
    for name, codes_T in changed.history.items():
        codes_T[gone_T] = _codes(int(gone_T.sum()), features.event_sizes[name], draw)
    changed.gap_T[gone_T] = changed.gap_T[gone_T] * 50 + 1e6
    changed.history_age_T[gone_T] = changed.history_age_T[gone_T] * 50 + 1e6
    changed.equal_TH[gone_T] = ~changed.equal_TH[gone_T]
    changed.match_BM[gone_B] = 1 - changed.match_BM[gone_B]
    changed.outcome_BK[gone_B] = 1 - changed.outcome_BK[gone_B]
    changed.label_B[gone_B] = 1 - changed.label_B[gone_B]
    for name in ("row_id_B", "user_B", "timestamp_B"):
        getattr(changed, name)[gone_B] += 7
    return changed


def _codes(count: int, size: int, draw: torch.Generator) -> Tensor:
    return torch.randint(min(FIRST_ID, size - 1), size, (count,), generator=draw)


def without_histories(batch: Batch) -> Batch:
    """The same rows, every history empty."""
    return clone(
        batch,
        cu_seqlens=torch.zeros_like(batch.cu_seqlens),
        history={name: codes_T[:0] for name, codes_T in batch.history.items()},
        history_age_T=batch.history_age_T[:0],
        gap_T=batch.gap_T[:0],
        equal_TH=batch.equal_TH[:0],
        match_BM=torch.zeros_like(batch.match_BM),
        outcome_BK=torch.zeros_like(batch.outcome_BK),
    )


def with_lengths(batch: Batch, length: int) -> Batch:
    """The same rows, every history `length` events long, of events drawn from all of the batch's."""
    if not batch.history:
        return clone(batch)
    events = torch.arange(len(batch) * length) % max(len(batch.history_age_T), 1)
    return clone(
        batch,
        cu_seqlens=torch.arange(len(batch) + 1, dtype=torch.int32) * length,
        history={name: codes_T[events] for name, codes_T in batch.history.items()},
        history_age_T=batch.history_age_T[events],
        gap_T=batch.gap_T[events],
        equal_TH=batch.equal_TH[events],
    )
