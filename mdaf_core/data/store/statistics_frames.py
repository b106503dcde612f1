"""The statistics of a data set as tidy frames, for tables and charts."""

from __future__ import annotations

import numpy as np
import polars as pl

from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.describe import local_times
from mdaf_core.data.store.schema import MAX_HISTORY, WEEKDAYS
from mdaf_core.data.store.statistics import Statistics

_LONG = (100, 200, 500, 1000, 2000, 5000, 10_000)


def history_frame(statistics: Statistics, dataset: PreparedDataset | None = None) -> pl.DataFrame:
    """Rows by history length. Columns: part, events (50: that many or more), rows, at_most (share of the part's rows
    with at most so many events).

    Args:
        dataset: whose rows tell longer histories apart, where there are any: 50 is then 50 alone, 100 is 51 to 100, …,
            and the last those that are longer still.
    """
    longest = {} if dataset is None else {part: _lengths(dataset, part) for part in statistics.history_lengths}
    long = any(length_N.max(initial=0) > MAX_HISTORY for length_N in longest.values())
    frames = []
    for part, counts in statistics.history_lengths.items():
        events, rows = list(range(len(counts))), list(counts)
        if long:
            bounds = np.array([MAX_HISTORY, *_LONG])
            place = np.searchsorted(bounds, longest[part], side="left")
            events += _LONG
            rows = [*rows[:-1], int((longest[part] == MAX_HISTORY).sum())]
            rows += [int((place == i).sum()) for i in range(1, len(bounds))]
            rows[-1] += int((place == len(bounds)).sum())
        frame = pl.DataFrame({"part": part, "events": events, "rows": rows})
        frames.append(frame.with_columns(at_most=pl.col("rows").cum_sum() / max(1, sum(rows))))
    return pl.concat(frames) if frames else pl.DataFrame()


def _lengths(dataset: PreparedDataset, part: str) -> np.ndarray:
    rows = dataset.rows(part)  # type: ignore[arg-type]
    return np.asarray(rows.history_end - rows.history_start)


def time_frame(statistics: Statistics, timezone: str) -> pl.DataFrame:
    """Rows and positive rate over time. Columns: part, start, end (local times, or row numbers), rows, rate, and
    low, high: where the part's rows lie when the parts of one interval are stacked."""
    if not statistics.over_time:
        return pl.DataFrame()
    frame = pl.DataFrame([bin.model_dump() for bin in statistics.over_time]).rename({"split": "part"})
    frame = frame.with_columns(
        end=pl.col("start") + statistics.bin_width,
        rate=pl.col("positives") / pl.col("rows"),
        high=pl.col("rows").cum_sum().over("start"),
    ).with_columns(low=pl.col("high") - pl.col("rows"))
    if statistics.bin_is_time:
        frame = frame.with_columns(
            local_times(frame[name].to_numpy(), timezone, "s").alias(name) for name in ("start", "end")
        )
    return frame.select("part", "start", "end", "rows", "rate", "low", "high")


def clock_frame(statistics: Statistics) -> pl.DataFrame:
    """Rows and rate by hour and weekday. Columns: clock (hour, weekday), value (as text), order, rows, rate."""
    rows = [
        {
            "clock": bin.clock,
            "value": f"{bin.value:02d}" if bin.clock == "hour" else WEEKDAYS[bin.value - 1][:3],
            "order": bin.value,
            "rows": bin.rows,
            "rate": bin.positives / bin.rows,
        }
        for bin in statistics.by_clock
    ]
    return pl.DataFrame(rows)


def popularity_frame(statistics: Statistics) -> pl.DataFrame:
    """How unevenly training rows spread over ids. Columns: field (item, user), ids, rows (shares)."""
    return pl.DataFrame([point.model_dump() for point in statistics.popularity])


def cold_frame(statistics: Statistics) -> pl.DataFrame:
    """Rows by how well training knows their id. Columns: field, part, seen (as text), order, share, low, high (where
    the share lies when those of a part are stacked)."""
    rows = [
        {
            "field": cold.field,
            "part": cold.split,
            "seen": "never"
            if cold.most == 0
            else f"{cold.least}+"
            if cold.most is None
            else f"{cold.least}–{cold.most}",
            "order": cold.least,
            "share": cold.share,
        }
        for cold in statistics.cold
    ]
    if not rows:
        return pl.DataFrame()
    return (
        pl.DataFrame(rows)
        .with_columns(high=pl.col("share").cum_sum().over("field", "part"))
        .with_columns(low=pl.col("high") - pl.col("share"))
    )


def parts_frame(dataset: PreparedDataset, statistics: Statistics) -> pl.DataFrame:
    """One row a part: rows, positives, rate, first and last (local times), users, unseen users and items (shares)."""
    meta, checks = dataset.meta, {check["id"]: check["details"] for check in dataset.audit.get("checks", [])}
    rows = []
    for part, counts in meta.splits.items():
        row: dict[str, object] = {
            "part": part, "rows": counts.rows, "positives": counts.positives, "rate": counts.positive_rate
        }  # fmt: skip
        if meta.has_calendar:
            moments = np.array([counts.first_time, counts.last_time])
            row["first"], row["last"] = local_times(moments, meta.timezone, "s")
        if meta.has_user:
            row["users"] = statistics.users.get(part)
            sample = statistics.samples.get(part)
            row["effective users"] = sample and sample.effective_users
            row["largest user"] = sample and sample.largest_user
        for id in ("unseen-users", "unseen-items"):
            if id in checks:
                row[id.replace("-", " ")] = checks[id].get(part)
        if statistics.mean_history:
            row["mean history"] = statistics.mean_history.get(part)
        rows.append(row)
    return pl.DataFrame(rows, infer_schema_length=None)


def fields_frame(statistics: Statistics) -> pl.DataFrame:
    """One row a field: what it is, its codes, and how often it is unknown (or, for numbers, their range)."""
    rows = [
        {
            "field": f.name,
            "what it is": f.description,
            "kind": f.kind,
            "codes": f.vocabulary_size or None,
            "enters as": f.enters or None,
            "unknown in val": f.unknown.get("val"),
            "unknown in test": f.unknown.get("test"),
            "missing in train": f.missing.get("train"),
            "mean": f.mean,
            "std": f.std,
            "min": f.low,
            "max": f.high,
        }
        for f in statistics.fields
    ]
    frame = pl.DataFrame(rows, infer_schema_length=None)
    return frame[[column.name for column in frame if column.null_count() < len(frame)]]
