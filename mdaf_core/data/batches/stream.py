"""Batches in which each event stands once: rows of a user are drawn together and point to slices of one sequence.

Consecutive rows of a user share almost all events of their histories. A causal encoder, whose output at an event
depends on nothing later, can read a log once: row b takes the outputs of its newest events, the last of which is the
newest one before the row.

Where the encoder begins is a function of the row alone, so that a prediction never depends on which other rows are in
the batch: at the user's first event, or in a long log at the last multiple of `GRID` events that leaves the row its
whole history. (A window begins at the first event that the row reads: the outputs differ by what a state remembers from
before.)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mdaf_core.data.batches.events import Events, targets
from mdaf_core.data.batches.gather import gaps, matches, own_columns
from mdaf_core.data.batches.loader import Batch, BatchLoader, Slices, as_batch, as_tensors
from mdaf_core.data.store.dataset import PreparedDataset, Rows

GRID = 256
"""Events between two places of a long log where encoding begins, at least; as many as a row reads if those are more."""


def beginnings(first_B: np.ndarray, end_B: np.ndarray, max_history: int) -> np.ndarray:
    """(B,) where in the log the encoding of a row's history begins.

    Args:
        first_B: the user's first event; end_B: behind the last event that the row may read.
    """
    return first_B + unread(end_B - first_B, max_history)


def unread(length: Any, max_history: int) -> Any:
    """Events of a log of this length (a number or an array) before the place where encoding begins."""
    size = grid(max_history)
    return np.maximum(length - max_history, 0) // size * size


def grid(max_history: int) -> int:
    """Events between two places where encoding begins."""
    return max(GRID, max_history)


class StreamLoader(BatchLoader):
    """As `BatchLoader`, with each event of a batch once.

    Rows that read the same log follow each other: a pass in order goes from user to user, not in the order of the
    split (`order` says which row is where); a shuffled one draws blocks of `block` consecutive rows of a user. Events
    are filled up to a `multiple` by padding, a last sequence that no row reads.
    """

    def __init__(self, *args: Any, block: int = 1, multiple: int = 1, **options: Any):
        super().__init__(*args, **options)
        self.block, self.multiple = block, multiple
        own = np.asarray(self.rows.history_start)[self.indices], np.asarray(self.rows.history_end)[self.indices]
        self.indices = self.indices[np.lexsort(own[::-1])]

    @property
    def drawn_together(self) -> float:
        """Of n rows of a user, whose first block begins at random, 1 + (n - 1) / block blocks are made on average."""
        users, rows = int(self._new_user().sum()), len(self.indices)
        return rows / (users + (rows - users) / self.block) if rows else 1.0

    def _new_user(self) -> np.ndarray:
        """(N,) whether a row in order is its user's first."""
        first = np.asarray(self.rows.history_start)[self.indices]
        return np.r_[True, first[1:] != first[:-1]][: len(first)]

    def order(self) -> np.ndarray:
        if self.shuffle_seed is None:
            return self.indices
        rng = np.random.default_rng(self.shuffle_seed)
        new_user = self._new_user()
        place = np.arange(len(new_user))
        since = place - np.maximum.accumulate(np.where(new_user, place, 0))
        shift = rng.integers(self.block, size=int(new_user.sum()))[np.cumsum(new_user) - 1]
        new_block = new_user | ((since + shift) % self.block == 0)
        begin = np.flatnonzero(new_block)
        blocks = rng.permutation(len(begin))
        size = np.diff(np.r_[begin, len(place)])[blocks]
        start = np.repeat(begin[blocks] - np.r_[0, np.cumsum(size)[:-1]], size)
        return self.indices[start + place]

    def events_in(self, index_B: np.ndarray) -> int:
        events = int(sequences(self.rows, index_B, self.max_history)[1].sum())
        return events + -events % self.multiple

    def gather(self, index_B: np.ndarray) -> Batch:
        arrays = gather_stream(self.dataset, self.rows, index_B, self.max_history, self.multiple, self.match_events)
        slices = Slices(**as_tensors(arrays.pop("slices")))
        return as_batch(arrays, slices=slices)


def sequences(rows: Rows, index_B: np.ndarray, max_history: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where in the log the sequences begin that these rows share (S,), how long each is (S,), and which one each row
    reads (B,)."""
    first_B = np.asarray(rows.history_start)[index_B].astype(np.int64)
    end_B = np.asarray(rows.history_end)[index_B].astype(np.int64)
    begin_S, sequence_B = np.unique(beginnings(first_B, end_B, max_history), return_inverse=True)
    behind_S = begin_S.copy()
    np.maximum.at(behind_S, sequence_B, end_B)
    return begin_S, behind_S - begin_S, sequence_B


def gather_stream(
    dataset: PreparedDataset,
    rows: Rows,
    index_B: np.ndarray,
    max_history: int,
    multiple: int = 1,
    match_events: int | None = None,
) -> dict[str, Any]:
    """The rows of a split at these positions and the events they read, each once: the arrays of a `loader.Batch`.

    Args:
        multiple: that many events, or twice so many, …: the rest is padding (code 0), one more sequence.
        match_events: as of `gather.gather`.
    """
    features, ticks = dataset.meta.features(), dataset.meta.ticks
    first_B = np.asarray(rows.history_start)[index_B].astype(np.int64)
    end_B = np.asarray(rows.history_end)[index_B].astype(np.int64)
    begin_B = np.maximum(first_B, end_B - max_history)
    sequence_S, length_S, sequence_B = sequences(rows, index_B, max_history)
    cu = np.r_[0, np.cumsum(length_S)]
    event_T = np.repeat(sequence_S - cu[:-1], length_S) + np.arange(cu[-1])
    offset_B = (cu[:-1] - sequence_S)[sequence_B]

    events, own = Events.of(dataset, event_T), own_columns(dataset, rows, index_B)
    asked = targets(rows, index_B, features.history)
    spans = {"begin_B": begin_B + offset_B, "end_B": end_B + offset_B}
    ids, known = list(zip(events.identity, asked, strict=True)), (events.outcome_T, events.time_T)
    read = known, *spans.values(), own["timestamp_B"], ticks, match_events or max_history
    match_BM, outcome_BK = matches(ids, features.outcomes, *read)
    padding, gap_T, identity_TH = -len(events) % multiple, gaps(events.time_T, cu, ticks), events.identity_TH
    if padding:
        cu = np.r_[cu, cu[-1] + padding]
        identity_TH = np.pad(identity_TH, ((0, padding), (0, 0)))
    return own | {
        "cu_seqlens": cu.astype(np.int32),
        "history": {name: np.pad(codes_T, (0, padding)) for name, codes_T in events.history.items()},
        "history_age_T": np.empty(0, np.float32),
        "gap_T": np.pad(gap_T, (0, padding)),
        "equal_TH": np.empty((0, len(features.history)), np.bool_),
        "match_BM": match_BM,
        "outcome_BK": outcome_BK,
        "slices": spans | {"identity_TH": identity_TH, "target_BH": np.stack(asked, axis=1)},
    }
