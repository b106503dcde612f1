"""The event log of a data set that is being prepared, and each row's slice of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from mdaf_core.data.batches.history import earlier_ends, first_events
from mdaf_core.data.formats.base import RawTable
from mdaf_core.data.prepare.order import stable_order
from mdaf_core.data.prepare.vocabulary import Vocabulary
from mdaf_core.data.store.columns import ColumnFile, OrderedFiles
from mdaf_core.data.store.outcomes import outcome_codes, outcomes_of
from mdaf_core.data.store.schema import IDENTITY, OUTCOME, TICKS


@dataclass
class EventLog:
    """The event log in input order, its order on disk, and each row's slice of it.

    Attributes:
        user (E,) int32, time (E,) in the rows' unit; frame: raw ids of the history fields, and
            `positive` and `outcome` where known;
        order (E,): by user, then time.
        first: (users + 1,) where each user's events begin; where histories came ready-made (`by_user` is false),
            (N,) where each row's begin.
        end: (N,) where each row's slice ends.
        timed: whether times are the events' own.
        outcomes: what came of them; see `outcomes_of`.
    """

    user: np.ndarray
    time: np.ndarray
    frame: pl.DataFrame
    order: np.ndarray
    first: np.ndarray
    end: np.ndarray
    by_user: bool = True
    timed: bool = True
    outcomes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.outcomes = outcomes_of(self.frame)

    def create(self, path: Path, fields: list[str], told_apart: list[str]) -> OrderedFiles:
        """The file, to be filled with the fields' codes; all else is written and let go."""
        integer = np.dtype(np.int32)
        columns: dict[str, np.dtype | list[str]] = {"user_index": integer, "timestamp": np.dtype(np.int64)}
        for name in fields:
            columns |= dict.fromkeys((name, name + IDENTITY) if name in told_apart else (name,), integer)
        if "positive" in self.frame.columns:
            columns["positive"] = np.dtype(np.uint8)
        if self.outcomes:
            columns[OUTCOME] = np.dtype(np.uint8)
        file = OrderedFiles([ColumnFile(path, columns, len(self.order))], self.order)
        file.put("user_index", self.user)
        file.put("timestamp", self.time)
        if self.outcomes:
            file.put(OUTCOME, outcome_codes(self.frame, self.outcomes))
        self.frame = self.frame.drop("outcome", strict=False)
        if "positive" in self.frame.columns:
            file.put("positive", self.frame.drop_in_place("positive").cast(pl.UInt8).to_numpy())
        self.user = self.time = self.end = np.empty(0, np.int64)
        return file


def event_log(
    raw: RawTable, rows: pl.DataFrame, users: Vocabulary, user_index: np.ndarray, timestamp: np.ndarray
) -> EventLog | None:
    """The log of the users there are, taken out of `raw` (and `history` out of `rows`, where it says which one a row
    reads); None where rows have no histories."""
    events, raw.events = raw.events, None  # its columns are let go one by one
    if events is None or not raw.history_fields:
        return None
    if "user" not in events.columns:
        shared = rows.drop_in_place("history") if "history" in events.columns else None
        return ready_made(events, shared, user_index, timestamp, TICKS[raw.time_unit])
    user = users.index(events["user"])
    if user.min(initial=0) < 0:  # of a user without rows
        known = user >= 0
        events, user = events.filter(pl.Series(known)), user[known]
    time = timestamps(events)
    order = stable_order(time, user)
    first = first_events(user, len(users.ids))
    end = earlier_ends(first, time[order], user_index, timestamp)
    return EventLog(user, time, events.drop("user", "timestamp"), order, first, end)


def ready_made(
    events: pl.DataFrame, shared: pl.Series | None, user_index: np.ndarray, timestamp: np.ndarray, second: int
) -> EventLog:
    """One block of events a row, or a number that rows share (see `RawTable.events`), one after another. Where their
    times are unknown, the newest is put one second before the first of its rows, the one before it two seconds, and so
    on, which keeps their order and claims nothing else.

    Args:
        shared: (N,) the number of each row; None: events have `row`, and each row a block of its own.
        second: in the unit of `timestamp`.
    """
    timed, name = "timestamp" in events.columns, "row" if shared is None else "history"
    events = events.sort(name, *(["timestamp"] if timed else []), maintain_order=True)
    whose = events.drop_in_place(name).to_numpy().astype(np.int64)
    block, owner, before = np.arange(len(user_index)), user_index, timestamp
    if shared is not None:
        block = shared.to_numpy().astype(np.int64)
        owner = np.full(1 + max(int(block.max(initial=-1)), int(whose.max(initial=-1))), -1, np.int32)
        before = np.full(len(owner), np.iinfo(np.int64).max)
        owner[block] = user_index
        np.minimum.at(before, block, timestamp)
        if (owner[whose] < 0).any():  # of no row
            kept = owner[whose] >= 0
            events, whose = events.filter(pl.Series(kept)), whose[kept]
    bounds, order = first_events(whose, len(owner)), np.arange(len(whose))
    if timed:
        time = timestamps(events)
        end = earlier_ends(bounds, time, block, timestamp)
    else:
        time = before[whose] - second * (bounds[whose + 1] - order)
        end = bounds[block + 1]
    frame = events.drop("timestamp", strict=False)
    return EventLog(owner[whose], time, frame, order, bounds[block], end, by_user=False, timed=timed)


def timestamps(rows: pl.DataFrame) -> np.ndarray:
    """(N,) times in their unit as 32- or 64-bit integers, or positions in the input where rows carry no time."""
    if "timestamp" not in rows.columns:
        return np.arange(len(rows), dtype=np.int64)
    times = rows["timestamp"]
    return (times if times.dtype == pl.Int32 else times.cast(pl.Int64)).to_numpy()
