"""Columns of a table as labels, ids, numbers, times and lists; what is not as it should be is marked."""

from __future__ import annotations

import polars as pl

from mdaf_core.data.schema import TICKS, TimeUnit
from mdaf_core.data.sources.table_file import HINT, TableFile
from mdaf_core.data.sources.text import EXAMPLES, TIME_RANGE, Examples, add_examples
from mdaf_core.errors import BadInputError, UsageError

_NANOS = 1_000_000_000
_FAR_FUTURE = 100_000_000_000  # the year 5138 in seconds, 1973 in milliseconds
_LABELS = {"1": 1, "0": 0, "1.0": 1, "0.0": 0, "true": 1, "false": 0}


class CheckedColumns:
    """Columns with their types checked; remembers which rows are bad, or raises at the first.

    Attributes:
        frame: as read from `file`; bad: (N,) whether a row is to be left out; examples: the first of those.
    """

    def __init__(self, frame: pl.DataFrame, file: TableFile):
        self.frame, self.file = frame.select(_usual(values) for values in frame), file
        self.bad = pl.Series([False]).new_from_index(0, len(frame))
        self.examples: Examples = {}

    def mark(self, bad: pl.Series, problem: str, text: pl.Series) -> None:
        """Take note of bad rows.

        Raises:
            BadInputError: for the first of them, unless bad rows are to be skipped.
        """
        if not bad.any():
            return
        if not self.file.skip_bad_rows:
            row = int(bad.arg_max() or 0)
            value = text[row]
            shown = None if value is None else str(value)
            raise BadInputError(f"{problem}. {HINT}", self.file.path, self.file.line(row), shown)
        at = (bad & ~self.bad).arg_true().head(EXAMPLES)
        found = {
            "record": [self.file.record(row) for row in at],
            "problem": problem,
            "text": text.gather(at).cast(pl.String),
        }
        add_examples(self.examples, "skipped", pl.DataFrame(found))
        self.bad = self.bad | bad

    def required(self, column: str) -> pl.Series:
        values = self.ids(column)
        self.mark(values.is_null() | (values.cast(pl.String) == ""), f"The field {column} is empty", values)
        return values

    def ids(self, column: str) -> pl.Series:
        """A column of ids as integers or text."""
        values = self.frame[column]
        self._refuse_lists(values, "an id")
        if values.dtype.is_integer():
            return values
        if values.dtype.is_float():
            self.mark(values.is_infinite().fill_null(False), f"The field {column} must be an id, not infinite", values)
            values = pl.select(pl.when(values.is_finite()).then(values).alias(column)).to_series()
        if values.dtype.is_float() and (values.drop_nulls() == values.drop_nulls().round()).all():
            return values.cast(pl.Int64)
        return values.cast(pl.String)

    def _refuse_lists(self, values: pl.Series, what: str) -> None:
        if values.dtype.is_nested():
            raise BadInputError(
                f"The column {values.name!r} holds lists or records, but {what} is one value: choose another column "
                "(lists can be ready-made histories).",
                self.file.path,
            )

    def label(self, column: str, positive_from: float | None) -> pl.Series:
        """0 or 1; of numbers, 1 from `positive_from` on."""
        values = self.frame[column]
        if positive_from is not None:
            numbers = self.number(column)
            self.mark(numbers.is_null(), f"The label {column} is empty", values)
            return (numbers >= positive_from).cast(pl.UInt8).fill_null(0)
        self._refuse_lists(values, "a label")
        words = values.cast(pl.String).str.to_lowercase().str.strip_chars()
        label = words.replace_strict(_LABELS, default=None, return_dtype=pl.UInt8)
        self.mark(
            label.is_null(),
            f"The label {column} must be 0 or 1 (for ratings, set positive_from to a threshold)",
            values,
        )
        return label.fill_null(0)

    def number(self, column: str) -> pl.Series:
        """Float64, null where missing."""
        values = self.frame[column]
        if values.dtype.is_nested() or values.dtype.is_temporal():
            raise BadInputError(f"The column {column!r} does not hold numbers: choose another.", self.file.path)
        if values.dtype.is_numeric() or values.dtype == pl.Boolean:
            numbers = values.cast(pl.Float64).fill_nan(None)
        else:
            numbers = values.str.strip_chars().cast(pl.Float64, strict=False)
            self.mark(values.is_not_null() & numbers.is_null(), f"The field {column} must be a number", values)
        self.mark(~numbers.is_finite().fill_null(True), f"The field {column} must be a finite number", values)
        return numbers

    def timestamp(self, column: str, unit: TimeUnit, timezone: str) -> tuple[pl.Series, TimeUnit]:
        """Int64 Unix time, and the unit it is in: the coarsest that keeps all moments apart as the input does.

        Args:
            unit: of numbers; timezone: of times that name none.
        """
        values = self.frame[column]
        self._refuse_lists(values, "a time")
        if values.dtype in (pl.Duration, pl.Time, pl.Boolean):
            raise BadInputError(f"The column {column!r} does not hold moments in time: choose another.", self.file.path)
        if values.dtype == pl.Date:
            values = values.cast(pl.Datetime("us"))
        if isinstance(values.dtype, pl.Datetime):
            seconds, nanos = _epoch(values, timezone)
        elif values.dtype.is_numeric():
            seconds, nanos = _scaled(values, unit)
        else:
            text = values.cast(pl.String).str.strip_chars()
            whole = text.cast(pl.Int64, strict=False)
            if len(text) and whole.null_count() < len(text) / 2:
                seconds, nanos = _scaled(whole, unit)
            else:
                seconds, nanos = _parse_times(text, timezone)
        seconds = pl.select(pl.when(seconds.is_between(*TIME_RANGE)).then(seconds)).to_series()
        self.mark(seconds.is_null(), f"The time {column} must be Unix time or ISO 8601", values)
        latest = seconds.max()
        if unit == "s" and isinstance(latest, int) and latest > _FAR_FUTURE:
            raise UsageError(
                f"The time column {column!r} holds values such as {latest}, thousands of years ahead as seconds: "
                "set timestamp_unit to ms, us or ns."
            )
        return _joined(seconds.fill_null(0), nanos.fill_null(0))

    def lists(self, column: str, separator: str) -> pl.Series:
        """A column of ready-made histories as lists of ids; null becomes empty."""
        values = self.frame[column]
        single = values.dtype.inner if isinstance(values.dtype, pl.List | pl.Array) else values.dtype  # type: ignore[union-attr]
        if single.is_nested():
            raise BadInputError(
                f"The column {column!r} does not hold lists of ids: choose another as history.", self.file.path
            )
        if isinstance(values.dtype, pl.List | pl.Array):
            return values.cast(pl.List(values.dtype.inner)).fill_null([])  # type: ignore[union-attr]
        text = values.cast(pl.String).fill_null("")
        parts = text.str.split(separator)
        return pl.select(pl.when(text == "").then(pl.lit([], pl.List(pl.String))).otherwise(parts)).to_series()


def _joined(seconds: pl.Series, nanos: pl.Series) -> tuple[pl.Series, TimeUnit]:
    """One integer a moment, in the coarsest unit without a remainder that 64 bits hold."""
    longest = int(seconds.abs().max() or 0)  # type: ignore[arg-type]
    unit: TimeUnit = "s"
    for finer in TICKS:
        if longest >= TIME_RANGE[1] // TICKS[finer]:
            break
        unit = finer
        if (nanos % (_NANOS // TICKS[unit]) == 0).all():
            break
    return seconds * TICKS[unit] + nanos // (_NANOS // TICKS[unit]), unit


def _scaled(values: pl.Series, unit: TimeUnit) -> tuple[pl.Series, pl.Series]:
    """Whole seconds, rounded down, and the nanoseconds after; of fractions, microseconds are what 64 bits hold."""
    ticks = TICKS[unit]
    if not values.dtype.is_float():
        values = values.cast(pl.Int64)
        return values // ticks, values % ticks * (_NANOS // ticks)
    numbers = values.cast(pl.Float64) / ticks
    whole = numbers.floor()
    micros = ((numbers - whole) * 1_000_000).round().cast(pl.Int64, strict=False)
    seconds = whole.cast(pl.Int64, strict=False) + micros // 1_000_000
    return seconds, micros % 1_000_000 * 1_000


def _epoch(moments: pl.Series, timezone: str) -> tuple[pl.Series, pl.Series]:
    if getattr(moments.dtype, "time_zone", None) is None:
        moments = moments.dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null")
    return _scaled(moments.to_physical(), moments.dtype.time_unit)  # type: ignore[attr-defined]


def _parse_times(text: pl.Series, timezone: str) -> tuple[pl.Series, pl.Series]:
    """ISO 8601 with 'T' or a space, with or without seconds, fractions and zone; or a date alone."""
    iso = text.str.replace("T", " ", literal=True).str.replace(r"Z$", "+00:00")
    zoned = iso.str.contains(r"[+-]\d{2}:?\d{2}$") & iso.str.contains(":")
    seconds = nanos = pl.Series([None], dtype=pl.Int64).new_from_index(0, len(text))

    def take(moments: pl.Series) -> None:
        nonlocal seconds, nanos
        found = _epoch(moments, timezone)
        seconds, nanos = seconds.fill_null(found[0]), nanos.fill_null(found[1])

    for form in ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d"):
        take(iso.str.to_datetime(form, time_unit="us", strict=False, exact=True))
    if zoned.any():
        only = pl.select(pl.when(zoned).then(iso)).to_series()
        take(only.str.to_datetime("%Y-%m-%d %H:%M:%S%.f%:z", time_unit="us", strict=False))
    return seconds, nanos


def _usual(values: pl.Series) -> pl.Series:
    """A column in a type that all steps take: NaN is missing, decimals are floats, integers beyond 64 bits are text."""
    if values.dtype.is_decimal():
        return values.cast(pl.Float64)
    if values.dtype.is_float():
        return values.fill_nan(None)
    if values.dtype in (pl.UInt64, pl.Int128, pl.UInt128):
        return values.cast(
            pl.String if (values.cast(pl.Int64, strict=False).is_null() & values.is_not_null()).any() else pl.Int64
        )
    return values
