"""The log of the users of new rows: a data set's own events and those of the new file, each event once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from mdaf_core.data.apply.columns import GrowingColumns
from mdaf_core.data.apply.known import Events, Known, ranges
from mdaf_core.data.batches.history import earlier_ends, first_events
from mdaf_core.data.prepare.order import stable_order
from mdaf_core.data.store.columns import identities
from mdaf_core.data.store.schema import IDENTITY, OUTCOME

_USERS = 20_000
"""Whose events are merged at once."""


@dataclass
class MergedLog:
    """Events by user, then time; at one time those of the log first, then those of the file in its order.

    Attributes:
        events: columns `user` (position among the users of the new rows), `timestamp`, each history field, what
            tells its ids apart, and what came of it.
        log, new, known: events of the log that are kept; of the file; of the file that the log has already.
    """

    events: Events
    log: int = 0
    new: int = 0
    known: int = 0


def merged_log(
    known: Known,
    folder: Path,
    events: Events,
    users: np.ndarray,
    known_users: int,
    spans: tuple[np.ndarray, np.ndarray],
    factor: int,
    max_history: int,
) -> MergedLog:
    """Merge the events of these users.

    An event that the log has n times (same user, time, ids of the history fields, and label where all events have one)
    is taken from the file from its n + 1st time on. Of the log, only what a row can read is kept: the newest
    `max_history` events before a user's first row, and those up to its last.

    Args:
        folder: is made, for the columns.
        events: of the file, in its order: `user` (as numbered when they were read), `timestamp`, history fields,
            `:identity` columns, `positive` (-1: not known).
        users: (U,) their numbers, ascending; the first `known_users` of them are the data set's own.
        spans: (U,) first and last time of each user's rows.
        factor: units of the rows' times in one of the log's.
    """
    names = known.meta.history_fields
    order = np.empty(0, np.int64)
    if events:
        place = np.searchsorted(users, events["user"])
        here = users[np.minimum(place, len(users) - 1)] == events["user"] if len(users) else np.zeros(len(place), bool)
        order = np.flatnonzero(here)
        order = order[np.argsort(place[order], kind="stable")]
        place = place[order]
    merged = GrowingColumns(folder)
    made = MergedLog({})
    keys = ["user", "timestamp", *(name + IDENTITY if len(known.unseen(name)) else name for name in names)]
    if events and (events["positive"] >= 0).all():
        keys.append("positive")
    for begin in range(0, len(users), _USERS):
        end = min(begin + _USERS, len(users))
        own = known.events_of(users[begin : min(end, known_users)]) if begin < known_users else {}
        log = _columns(own, names, bool(known.meta.outcomes))
        log["user"] = np.searchsorted(users[begin:end], own["user_index"]) if own else np.empty(0, np.int64)
        log["timestamp"] = log["timestamp"] * factor
        fresh = {}
        if len(order):
            rows = order[slice(*np.searchsorted(place, (begin, end)))]
            fresh = {name: values[rows] for name, values in events.items()}
            fresh["user"] = np.searchsorted(users[begin:end], fresh["user"])
            new = ~_is_known(log, fresh, keys)
            made.known += int(np.count_nonzero(~new))
            made.new += int(np.count_nonzero(new))
            fresh = {name: values[new] for name, values in fresh.items()}
        kept = _readable(log, end - begin, tuple(span[begin:end] for span in spans), max_history)
        made.log += len(kept)
        both = {name: np.concatenate([log[name][kept], *([fresh[name]] if fresh else [])]) for name in log}
        by_time = stable_order(both["timestamp"], both["user"])
        both = {name: values[by_time] for name, values in both.items() if name != "positive"}
        merged.add(both | {"user": (both["user"] + begin).astype(np.int32)})
    made.events = merged.arrays()
    return made


def _columns(log: Events, names: list[str], outcomes: bool) -> Events:
    """The log's columns as the file's are; empty ones where there is no log."""
    none = np.empty(0, np.int32)
    columns: Events = {"timestamp": log.get("timestamp", np.empty(0, np.int64))}
    for name in names:
        columns[name] = log.get(name, none)
        columns[name + IDENTITY] = identities(log, name) if log else none
    if outcomes:
        columns[OUTCOME] = log.get(OUTCOME, np.empty(0, np.uint8))
    positive = log["positive"].astype(np.int8) if "positive" in log else np.full(len(columns["timestamp"]), -1, np.int8)
    return columns | {"positive": positive}


def _is_known(log: Events, fresh: Events, keys: list[str]) -> np.ndarray:
    """(n,) whether the log has an event of the file already; of equal ones, as often as it has it."""
    if (log["positive"] < 0).any():  # a log that does not say
        keys = [key for key in keys if key != "positive"]
    mine = pl.DataFrame({key: fresh[key] for key in keys})
    theirs = pl.DataFrame({key: log[key] for key in keys}).cast(mine.schema)
    counted = theirs.join(mine, on=keys, how="semi").group_by(keys).agg(pl.len().alias("times"))
    nth = mine.with_columns(nth=pl.int_range(pl.len()).over(keys))
    times = nth.join(counted, on=keys, how="left", maintain_order="left")["times"].fill_null(0)
    return (nth["nth"] < times).to_numpy()


def _readable(log: Events, users: int, spans: tuple[np.ndarray, ...], max_history: int) -> np.ndarray:
    """Positions of the log's events that rows of these users can read."""
    everyone, (first_time, last_time) = np.arange(users), spans
    first = first_events(log["user"], users)
    oldest = earlier_ends(first, log["timestamp"], everyone, first_time).astype(np.int64)
    newest = earlier_ends(first, log["timestamp"], everyone, last_time).astype(np.int64)
    return ranges(np.maximum(first[:-1], oldest - max_history), newest)
