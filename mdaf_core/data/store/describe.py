"""Rows and histories as people read them: raw ids, titles, local times."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl

from mdaf_core.base.files import reading
from mdaf_core.base.words import some
from mdaf_core.data.store.columns import free_name
from mdaf_core.data.store.dataset import AGAIN, PreparedDataset, Rows
from mdaf_core.data.store.schema import FIRST_ID, MAX_HISTORY, OUTCOME, TICKS, DatasetMeta, Split, TimeUnit

_MANY = 10_000
UNKNOWN_WORD = "unknown"
MISSING_WORD = "missing"


def field_word(name: str) -> str:
    """A field's name as people read it; columns of the reader's own keep their names."""
    return "day of week" if name == "dayofweek" else name


def describe_codes(dataset: PreparedDataset, field: str, codes: np.ndarray) -> pl.Series:
    """Text of each code: `Toy Story (1995)` where there is a title, else the raw id; `unknown`, `missing`."""
    table = _vocabulary(dataset.path / "vocabulary" / f"{field}.arrow", _changed(dataset, field))
    codes = np.asarray(codes, np.int64)
    known = pl.Series(codes >= FIRST_ID)
    unknown = pl.Series(field, [UNKNOWN_WORD], dtype=pl.String).new_from_index(0, len(codes))
    if table.is_empty():
        return unknown
    found = table[np.maximum(codes - FIRST_ID, 0)]
    text = pl.when(pl.col("id") == "").then(pl.lit(MISSING_WORD)).otherwise(pl.coalesce("title", "id"))
    return found.select(text.alias(field))[field].zip_with(known, unknown)


def describe_rows(
    dataset: PreparedDataset, split: Split, positions: Sequence[int] | np.ndarray, *, events: int = 5
) -> pl.DataFrame:
    """Rows at these positions of a split, for people.

    Columns: `row`, `time` (local), `label`, `user` (raw id) where there are users, each field as text or number (one
    that is called as another column is followed by `(field)`), `history length`, and `history`: its newest `events`
    events, newest first.
    """
    rows, meta = dataset.rows(split), dataset.meta
    of_history = {"history length", "history"} if meta.history_fields else set[str]()
    at = np.asarray(positions, np.int64)
    columns: dict[str, pl.Series] = {"row": pl.Series(rows.row_id[at])}
    if meta.has_time:
        columns["time"] = shown_times(meta, rows.timestamp[at])
    columns["label"] = pl.Series(rows.label[at])
    if meta.has_user:
        columns["user"] = dataset.users.gather(rows.user[at])
    for field in meta.fields:
        if field.role == "user" and meta.has_user:
            continue  # the raw id says more than a code that may be unknown
        values = rows.columns[field.name][at]
        columns[free_name(field_word(field.name), columns.keys() | of_history, " (field)")] = (
            describe_codes(dataset, field.name, values)
            if field.kind == "categorical"
            else pl.Series(field.numbers(values)).round_sig_figs(6)
        )
    if meta.history_fields:
        columns["history length"] = pl.Series((rows.history_end - rows.history_start)[at])
        columns["history"] = pl.Series([_history_text(dataset, rows, int(i), events) for i in at], dtype=pl.String)
    return pl.DataFrame(columns)


def describe_history(
    dataset: PreparedDataset, split: Split, position: int, *, limit: int = MAX_HISTORY
) -> pl.DataFrame:
    """The history of one row, oldest first.

    Columns: `time` (local; absent where it is not known), `age` (seconds before the row; absent where times
    are a mere order), each history field as text, and `outcome` where it is known.
    """
    return _history(dataset, dataset.rows(split), position, limit)


def describe_events(dataset: PreparedDataset, positions: Sequence[int] | np.ndarray) -> pl.DataFrame:
    """Entries of the event log at these positions. Columns: `user` (raw id), `time` (local; absent where histories came
    ready-made), each history field as text, and `positive` and `outcome` where they are known."""
    at, log = np.asarray(positions, np.int64), dataset.events
    columns = {"user": dataset.users.gather(log["user_index"][at])}
    if dataset.meta.has_event_times:
        columns["time"] = shown_times(dataset.meta, log["timestamp"][at])
    for name in dataset.meta.history_fields:
        columns[name] = describe_codes(dataset, name, log[name][at])
    if "positive" in log:
        columns["positive"] = pl.Series(log["positive"][at])
    return pl.DataFrame(columns | describe_outcomes(dataset, at))


def outcome_words(outcomes: list[str] | None) -> str:
    """`DatasetMeta.outcomes` as a phrase."""
    if outcomes is None:
        return "not recorded; prepare the data set again for it"
    return some(outcomes, 12) if outcomes else "nothing that tells them apart"


def describe_outcomes(dataset: PreparedDataset, at: np.ndarray | slice) -> dict[str, pl.Series]:
    """What came of the events at these places of the log, in words, as the column `outcome`; empty where nothing is
    recorded."""
    if not dataset.meta.outcomes:
        return {}
    words = pl.Series([None, *dataset.meta.outcomes], dtype=pl.String)
    return {"outcome": words.gather(dataset.events[OUTCOME][at].astype(np.int64))}


CLOCK = "%Y-%m-%d %H:%M:%S%.f"
"""How local times are written: fractions of a second where there are any."""


def shown_times(meta: DatasetMeta, timestamp: np.ndarray) -> pl.Series:
    """Times of a data set as local datetimes; as the numbers that they are where they are no moments."""
    if not meta.has_calendar:
        return pl.Series("time", timestamp)
    return local_times(timestamp, meta.timezone, meta.time_unit)


def local_times(timestamp: np.ndarray, timezone: str, unit: TimeUnit) -> pl.Series:
    """Unix time in a unit as local datetimes without zone."""
    ticks = pl.Series("time", np.asarray(timestamp, np.int64))
    found = _quarters(ticks, timezone, unit)
    if found is None:
        return _converted(ticks, timezone, unit)
    _, from_utc, at = found
    return pl.from_epoch(ticks, time_unit=unit) - from_utc.gather(at)


def local_clock(timestamp: np.ndarray, timezone: str, unit: TimeUnit) -> tuple[np.ndarray, np.ndarray]:
    """Of Unix time in a unit the local hour, 0 to 23, and weekday, 1 (Monday) to 7: (N,) int8 each."""
    ticks = pl.Series("time", np.asarray(timestamp, np.int64))
    found = _quarters(ticks, timezone, unit)
    if found is None:
        local = _converted(ticks, timezone, unit).dt
        return local.hour().to_numpy(), local.weekday().to_numpy()
    begins, from_utc, at = found
    local = (pl.from_epoch(begins, time_unit=unit) - from_utc).dt
    return local.hour().to_numpy()[at], local.weekday().to_numpy()[at]


def _quarters(ticks: pl.Series, timezone: str, unit: TimeUnit) -> tuple[pl.Series, pl.Series, np.ndarray] | None:
    """For many times the quarters of an hour that they lie in: their begins (Q,), by how much UTC is ahead of local
    time in each (Q,), and which one each time is of (N,). None where there are few, or clocks were set within one.

    Clocks are rarely set: what they show is worked out once a quarter, at its ends.
    """
    if len(ticks) < _MANY:
        return None
    quarter = TICKS[unit] * 900
    at = ticks.to_numpy() // quarter
    low, high = int(at.min()), int(at.max())
    if high - low > len(ticks):
        return None
    begins = pl.Series(np.arange(low, high + 1) * quarter)
    first, last = (
        pl.from_epoch(ends, time_unit=unit) - _converted(ends, timezone, unit)
        for ends in (begins, begins + (quarter - 1))
    )
    if (first != last).any():
        return None
    at -= low
    return begins, first, at


def _converted(ticks: pl.Series, timezone: str, unit: TimeUnit) -> pl.Series:
    moments = pl.from_epoch(ticks, time_unit=unit)
    return moments.dt.replace_time_zone("UTC").dt.convert_time_zone(timezone).dt.replace_time_zone(None)


def _history(dataset: PreparedDataset, rows: Rows, position: int, limit: int) -> pl.DataFrame:
    end = int(rows.history_end[position])
    start = max(int(rows.history_start[position]), end - limit)
    log, columns = dataset.events, {}
    if dataset.meta.has_event_times:
        meta, times = dataset.meta, log["timestamp"][start:end]
        columns["time"] = shown_times(meta, times)
        if meta.has_calendar:
            age = rows.timestamp[position] - times
            columns["age"] = pl.Series(age if meta.ticks == 1 else age / meta.ticks)
    for name in dataset.meta.history_fields:
        columns[name] = describe_codes(dataset, name, log[name][start:end])
    return pl.DataFrame(columns | describe_outcomes(dataset, slice(start, end)))


def _history_text(dataset: PreparedDataset, rows: Rows, position: int, events: int) -> str:
    length = int(rows.history_end[position] - rows.history_start[position])
    if not length:
        return "none"
    newest = _history(dataset, rows, position, events).reverse()
    shown = [
        text if not others else f"{text} ({', '.join(others)})"
        for text, *others in newest.select(dataset.meta.history_fields).iter_rows()
    ]
    return "; ".join(shown) + (f"; … {length - len(shown)} more" if length > len(shown) else "")


def _changed(dataset: PreparedDataset, field: str) -> int:
    path = dataset.path / "vocabulary" / f"{field}.arrow"
    with reading(path, AGAIN):
        return path.stat().st_mtime_ns


@lru_cache(maxsize=64)
def _vocabulary(path: Path, _changed: int) -> pl.DataFrame:
    with reading(path, AGAIN):
        return pl.read_ipc(path)
