"""Figures about a prepared data set, computed once at preparation, so that large data shows at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
from pydantic import BaseModel, Field

from mdaf_core.base.files import write_text
from mdaf_core.data.store.counts import occurrences, tally
from mdaf_core.data.store.dataset import PreparedDataset, Rows
from mdaf_core.data.store.describe import local_clock
from mdaf_core.data.store.sample import Sample, sample_of_counts
from mdaf_core.data.store.schema import EVALUATED, FIRST_ID, MAX_HISTORY, SPLITS, UNKNOWN, DatasetMeta, Split

_BINS = 72
_POINTS = 60
_SEEN = ((0, 0), (1, 4), (5, 19), (20, None))  # how often training knows an id
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_WIDTHS = (
    *(_MINUTE * n for n in (1, 5, 15)),
    *(_HOUR * n for n in (1, 2, 3, 6, 12)),
    *(_DAY * n for n in (1, 2, 7, 14, 28, 91, 182, 365, 1826)),
)


class FieldStatistics(BaseModel):
    """One input. Rates are shares of rows, by split."""

    name: str
    kind: str
    role: str
    description: str = ""
    vocabulary_size: int
    unknown: dict[str, float] = Field({}, description="Share of rows whose id is unknown.")
    missing: dict[str, float] = Field({}, description="Share of rows without a number.")
    enters: str = Field("", description="How numbers become model inputs, in words.")
    mean: float | None = Field(
        None, description="Mean over training rows of a numeric field, as the source gave it; so are the next three."
    )
    std: float | None = None
    low: float | None = None
    high: float | None = None


class TimeBin(BaseModel):
    """Rows of one split in one interval. `start` is Unix seconds, or the row number where rows carry no time."""

    split: str
    start: int
    rows: int
    positives: int


class ClockBin(BaseModel):
    """Rows of all parts at one local hour (0 to 23) or on one weekday (1 Monday to 7 Sunday)."""

    clock: str = Field(description="hour or weekday")
    value: int
    rows: int
    positives: int


class PopularityPoint(BaseModel):
    """The `ids` most frequent ids of a field make up `rows` of the training rows (shares)."""

    field: str
    ids: float
    rows: float


class ColdShare(BaseModel):
    """Share of a part's rows whose id occurs `least` to `most` times in training rows (`most` None: without end)."""

    field: str
    split: str
    least: int
    most: int | None
    share: float


class Statistics(BaseModel):
    """`statistics.json` of a prepared data set."""

    history_lengths: dict[str, list[int]] = Field(
        {}, description="By split, rows with a history of 0, 1, … 50 events; the last counts all longer ones too."
    )
    mean_history: dict[str, float] = {}
    bin_is_time: bool = Field(True, description="Bins of `over_time` are seconds; else of an order, or row numbers.")
    bin_width: int = 1
    over_time: list[TimeBin] = []
    outside_bins: int = Field(0, description="Rows left out of `over_time`: far from all others in time.")
    fields: list[FieldStatistics] = []
    users: dict[str, int] = Field({}, description="By split, users with a row there.")
    samples: dict[str, Sample] = Field({}, description="By split; empty in statistics of earlier versions.")
    by_clock: list[ClockBin] = []
    popularity: list[PopularityPoint] = Field([], description="Of items and users, most frequent first.")
    cold: list[ColdShare] = Field([], description="Validation and test rows by what training knows of item and user.")


def compute_statistics(dataset: PreparedDataset) -> Statistics:
    """Read the written files and count."""
    meta = dataset.meta
    rows = {split: dataset.rows(split) for split in SPLITS}
    out = Statistics()
    for split, part in rows.items():
        if meta.has_user:
            of_user = occurrences(part.user, 1 + int(part.user.max(initial=-1)))
            out.users[split] = int(np.count_nonzero(of_user))
            out.samples[split] = sample_of_counts(of_user)
        if meta.history_fields:
            lengths = np.minimum(part.history_end - part.history_start, MAX_HISTORY)
            out.history_lengths[split] = occurrences(lengths, MAX_HISTORY + 1).tolist()
            out.mean_history[split] = float(lengths.mean())
    _count_over_time(out, meta, rows)
    for field in meta.fields:
        figures = FieldStatistics(**field.model_dump())
        if field.kind == "categorical":
            figures.unknown = {split: float((p.columns[field.name] == UNKNOWN).mean()) for split, p in rows.items()}
        else:
            values = field.numbers(rows["train"].columns[field.name])
            figures.enters = field.scaling.words if field.scaling else ""
            figures.missing = {split: float(np.isnan(p.columns[field.name]).mean()) for split, p in rows.items()}
            present = values[~np.isnan(values)]
            if len(present):
                figures.mean, figures.std = float(present.mean()), float(present.std())
                figures.low, figures.high = float(present.min()), float(present.max())
        out.fields.append(figures)
    if meta.has_calendar:
        out.by_clock = _by_clock(meta, rows)
    for name, seen, ids in _identifiers(dataset, rows):
        out.popularity += _popularity(name, seen)
        out.cold += [
            ColdShare(field=name, split=split, least=low, most=high, share=float(_between(n, low, high).mean()))
            for split, n in ((split, seen[ids[split]]) for split in EVALUATED)
            for low, high in _SEEN
        ]
    return out


def _count_over_time(out: Statistics, meta: DatasetMeta, rows: dict[Split, Rows]) -> None:
    """Rows and positives in bins of time, of all but the outermost rows."""
    times = np.concatenate([meta.seconds(part.timestamp) for part in rows.values()])
    size = len(times)
    ends = np.quantile(times, (0.0005, 0.9995), method="nearest", overwrite_input=True) if size else (0, 0)
    del times
    first, last = int(ends[0]), int(ends[1])
    if meta.has_calendar:
        width = next((w for w in _WIDTHS if (last - first) / w <= _BINS), _WIDTHS[-1])
    else:
        if not meta.has_time:
            first, last = 0, size - 1
        width = max(1, -(-(last - first + 1) // _BINS))
    out.bin_is_time, out.bin_width = meta.has_calendar, width
    # Bins begin at local midnight, so that a day's bin is a day.
    shift = _offset(first, meta.timezone) if meta.has_calendar else 0
    origin = (first + shift) // width * width - shift
    bins = (last - origin) // width + 1
    for split, part in rows.items():
        at = (meta.seconds(part.timestamp) - origin) // width
        inside = (at >= 0) & (at < bins)
        outside = len(at) - int(np.count_nonzero(inside))
        out.outside_bins += outside
        counts = tally(at[inside], part.label[inside], bins) if outside else tally(at, part.label, bins)
        out.over_time += [
            TimeBin(split=split, start=origin + width * number, rows=int(counts[0][number]), positives=positives)
            for number, positives in enumerate(counts[1].tolist())
            if counts[0][number]
        ]


def _by_clock(meta: DatasetMeta, rows: dict[Split, Rows]) -> list[ClockBin]:
    found: list[ClockBin] = []
    local = {split: local_clock(part.timestamp, meta.timezone, meta.time_unit) for split, part in rows.items()}
    for i, (clock, size) in enumerate((("hour", 24), ("weekday", 8))):
        count, positives = np.zeros(size, np.int64), np.zeros(size, np.int64)
        for split, part in rows.items():
            of_rows = tally(local[split][i], part.label, size)
            count, positives = count + of_rows[0], positives + of_rows[1]
        found += [
            ClockBin(clock=clock, value=value, rows=int(count[value]), positives=int(positives[value]))
            for value in np.flatnonzero(count).tolist()
        ]
    return found


def _identifiers(
    dataset: PreparedDataset, rows: dict[Split, Rows]
) -> Iterator[tuple[str, np.ndarray, dict[Split, np.ndarray]]]:
    """Item and user, where there are: name, training rows of each id, and by split the id of each row.

    Items are codes (all unknown ones share one, with no training row); users are known even where they have no code.
    """
    item = next((field.name for field in dataset.meta.fields if field.role == "item"), None)
    if item:
        codes = {split: part.columns[item] for split, part in rows.items()}
        counts = occurrences(codes["train"], 1 + max(int(c.max(initial=0)) for c in codes.values()))
        counts[:FIRST_ID] = 0
        yield "item", counts, codes
    if dataset.meta.has_user:
        users = {split: part.user for split, part in rows.items()}
        yield "user", occurrences(users["train"], dataset.meta.users), users


def _between(counts: np.ndarray, low: int, high: int | None) -> np.ndarray:
    return counts >= low if high is None else (counts >= low) & (counts <= high)


def _popularity(name: str, counts: np.ndarray) -> list[PopularityPoint]:
    """The curve at up to `_POINTS` numbers of ids, evenly spaced in their logarithm."""
    ordered = np.sort(counts[counts > 0])[::-1]
    if not len(ordered):
        return []
    share = np.cumsum(ordered) / ordered.sum()
    ranks = np.unique(np.geomspace(1, len(ordered), _POINTS).round().astype(np.int64))
    return [
        PopularityPoint(field=name, ids=rank / len(ordered), rows=float(share[rank - 1])) for rank in ranks.tolist()
    ]


def write_statistics(dataset: PreparedDataset) -> None:
    """Compute and store beside the data set."""
    write_text(dataset.path / "statistics.json", compute_statistics(dataset).model_dump_json(indent=1) + "\n")


def read_statistics(dataset: PreparedDataset) -> Statistics:
    """The stored statistics, computed now where they are missing or of another version."""
    path = dataset.path / "statistics.json"
    try:
        return Statistics.model_validate_json(path.read_text("utf-8"))
    except (OSError, ValueError):
        return compute_statistics(dataset)


def _offset(timestamp: int, timezone: str) -> int:
    """Seconds east of UTC at a moment."""
    moment = pl.from_epoch(pl.Series([timestamp]), time_unit="s").dt.replace_time_zone("UTC")
    local = moment.dt.convert_time_zone(timezone)
    return int((local.dt.base_utc_offset() + local.dt.dst_offset()).dt.total_seconds()[0])
