"""Times as tables write them (numbers of a unit, texts of a format), and what numbers that are no such times may be.

As Unix time a number is believed only where it gives years that logs are of; anything else is refused with what it
most likely is, because hours and weekdays of 1970 look like any others.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal
from zoneinfo import available_timezones

import polars as pl

from mdaf_core.base.errors import BadInputError, UsageError
from mdaf_core.data.reading.time_forms import (
    EARLIEST,
    LATEST,
    UNKNOWN_NUMBERS,
    UNKNOWN_WORDS,
    known_sample,
    likely_formats,
    likely_numbers,
    of_unit,
    parse,
)
from mdaf_core.data.store.schema import TICKS, TimeUnit

NumberUnit = Literal["s", "ms", "us", "ns", "order"]
TIME_RANGE = (-(2**61), 2**61)
"""Times of any unit; beyond, differences of two do not fit into 64 bits."""

_NANOS = 1_000_000_000
_UTC = ("UTC", "Etc/UTC", "Etc/UCT", "Etc/GMT", "GMT", "UCT", "Zulu", "Etc/Zulu")
_WIDTHS = {"Y": 4, "j": 3, "3f": 3}
_ALL_DIGITS = re.compile(r"(%(3f|[YmdHMSyj]))+")


@dataclass(frozen=True)
class Times:
    """A column of times.

    Attributes:
        values: (N,) Int64 Unix time in `unit`, the coarsest that keeps all moments apart as the input does, or an
            order; null where it is not known or cannot be read.
        unknown: (N,) whether the input says that it does not know (empty, NaT, 0, -1); counts: how many by what
            stands there.
        expected: what a value must be, for messages.
    """

    values: pl.Series
    unit: TimeUnit
    unknown: pl.Series
    counts: dict[str, int]
    expected: str


Moments = tuple[pl.Series, pl.Series]
"""Whole Unix seconds, and nanoseconds after; null where there is none."""


def read_times(values: pl.Series, *, unit: NumberUnit, format: str | None, timezone: str) -> Times:
    """Read a column of numbers, dates or texts.

    Args:
        values: (N,) of a type that is neither nested nor a duration.
        unit: of numbers; `order`: they order rows, and nothing else is known of them.
        format: of texts (and of numbers, digit by digit), as strftime has it; '%s' is Unix seconds.
        timezone: of times that name none.

    Raises:
        UsageError: numbers that are no Unix time of this unit, or texts of another format; says what they may be.
    """
    name, text = values.name, None
    if values.dtype == pl.Date:
        values = values.cast(pl.Datetime("us"))
    if not (values.dtype.is_temporal() or values.dtype.is_numeric()):
        text = values.cast(pl.String).str.strip_chars()
        empty = text.is_null() | text.str.to_lowercase().is_in(list(UNKNOWN_WORDS))
    else:
        empty = values.is_null()
        if values.dtype.is_float():
            empty = empty | values.is_nan().fill_null(False)
    if format is not None and format != "%s":
        moments = epoch(parse(_digits(values if text is None else text, format), format), timezone)
        return _times(moments, empty, _stand_ins(values if text is None else text), f"written as {format}")
    if values.dtype.is_temporal():
        moments = epoch(values, timezone)
        return _times(moments, empty, {"": empty} if unit == "order" else {}, "a moment")
    numbers = _numbers(values if text is None else text)
    if (
        format is None and text is not None and 2 * int((numbers.is_null() & ~empty).sum()) > int((~empty).sum())
    ):  # no numbers
        moments = _of_text(text, empty, timezone, name)
        return _times(moments, empty, {"": empty} if unit == "order" else {}, "Unix time or ISO 8601")
    if unit == "order":
        return _with_unknown(_whole(numbers), "s", empty, {}, "a number")
    if format is None:
        _check_whole(values if text is None else text, unit, name)
        check_unix(numbers, unit, name)
    stand_ins = _stand_ins(numbers) | {"no year of 1990 to 2103": _stray(numbers, unit)}
    return _times(_scaled(numbers, unit), empty, stand_ins, "Unix time or ISO 8601")


def _check_whole(raw: pl.Series, unit: TimeUnit, name: str) -> None:
    """Refuse times that floating-point numbers or their text have rounded to more than a second.

    Raises:
        UsageError: says to what.
    """
    if raw.dtype == pl.Float32:
        largest = float(raw.abs().max() or 0)  # type: ignore[arg-type]
        step, why = 2.0 ** (math.floor(math.log2(max(largest, 1))) - 23), "stored in 32 bits"
    elif raw.dtype == pl.String:
        parts = raw.str.extract_groups(r"^[+-]?(\d)(?:\.(\d*))?[eE]\+?(\d{1,2})$").struct.unnest()
        parts = parts.drop_nulls(parts.columns[2])
        if parts.is_empty():
            return
        digits = int(parts[parts.columns[1]].fill_null("").str.len_chars().max() or 0)  # type: ignore[arg-type]
        step = 10.0 ** (int(parts[parts.columns[2]].cast(pl.Int64).max()) - digits)  # type: ignore[arg-type]
        why = f"written with {digits + 1} digits"
    else:
        return
    if step / TICKS[unit] > 1:
        raise UsageError(
            f"The time column {name!r} holds numbers such as {raw.drop_nulls()[0]}, {why}: they are rounded to "
            f"{step / TICKS[unit]:,.0f} s, and what came first is lost. Write the times anew with all digits."
        )


def _stray(numbers: pl.Series, unit: TimeUnit) -> pl.Series:
    """Where numbers among Unix times are no time of our days: 9999, say."""
    unknown = (numbers == 0) | (numbers == -1)  # UNKNOWN_NUMBERS, of any type
    return ~numbers.is_between(EARLIEST * TICKS[unit], LATEST * TICKS[unit]) & ~unknown


def check_unix(numbers: pl.Series, unit: TimeUnit, name: str) -> None:
    """Refuse numbers that are no Unix time of this unit.

    Raises:
        UsageError: with what they most likely are, and the option that reads them so.
    """
    wrong = doubt_unix(numbers, unit)
    if wrong is not None:
        raise UsageError(f"The time column {name!r} {wrong[0]} {wrong[1][:1].upper()}{wrong[1][1:]}.")


def check_published(times: pl.Series, path: Path, unit: TimeUnit = "s") -> list[str]:
    """Notes on unknown ones among the times of a published file, which has Unix time in `unit`.

    Raises:
        BadInputError: these are no such times; says what they may be.
    """
    sample, ticks = known_sample(times), TICKS[unit]
    inside = sample.is_between(EARLIEST * ticks, LATEST * ticks)
    most = 2 * int(inside.sum()) > len(sample)  # some are decades away, as published
    wrong = None if most else doubt_unix(times, unit)
    if wrong is not None:
        raise BadInputError(
            f"The column of times {wrong[0]} The file as published has Unix time in {unit}. Correct it, or take "
            f"the source 'table' and {wrong[1]}.",
            path,
        )
    counts = {number: int((times == number).sum()) for number in UNKNOWN_NUMBERS}
    return [
        f"{path.name}: the time is {number} in {count:,} rows, which stands for an unknown time and is taken as it is, "
        "1 January 1970: they are the earliest rows and lie in training."
        for number, count in counts.items()
        if count
    ]


def doubt_unix(numbers: pl.Series, unit: TimeUnit = "s") -> tuple[str, str] | None:
    """Why numbers are no Unix time of this unit, as the end of a sentence, and what to set; None where they are."""
    sample = known_sample(numbers)
    if sample.is_empty():
        return None
    likely = likely_numbers(sample)
    digits = likely.options.get("timestamp_format")
    if of_unit(sample, unit) and digits is None:
        return None
    first = sample[0]
    shown = f"{first:,.0f}".replace(",", "") if float(first) == int(first) else f"{first}"
    moment = pl.from_epoch(pl.Series([int(float(first) // TICKS[unit])]), time_unit="s")
    year = f"the year {moment.dt.year()[0]}" if abs(float(first)) / TICKS[unit] < 2e11 else "beyond all calendars"
    example = f" ({likely.example})" if likely.example else ""
    otherwise = "" if not (digits and of_unit(sample, unit)) else " (or timestamp_format=%s if it is Unix time)"
    return (
        f"holds numbers such as {shown}, which as Unix time in {unit} are {year}. They read like {likely.words}"
        f"{example}.",
        likely.advice + otherwise,
    )


def check_format(format: str) -> str:
    """The format, if it can be read back.

    Raises:
        UsageError: it is none, or does not name a year and a day or month.
    """
    moment = pl.Series([datetime(2019, 11, 1)])
    try:
        zoned = re.sub(r"%:?z", "+0000", format)  # these moments have no zone
        same = parse(moment.dt.strftime(zoned), format).dt.year()[0] == 2019
    except (pl.exceptions.PolarsError, UsageError):
        same = False
    if not same:
        raise UsageError(
            f"The time format {format!r} cannot be used: write it as strftime has it and with a year, such as "
            "%Y%m%d or %Y-%m-%d %H:%M:%S."
        )
    return format


def stated_zone(dtype: pl.DataType) -> str:
    """The timezone that a column's type names; '' where it names none, or UTC, in which times of any place are kept."""
    zone = getattr(dtype, "time_zone", None) or ""
    return zone if zone not in _UTC and zone in available_timezones() else ""


def epoch(moments: pl.Series, timezone: str) -> Moments:
    """Unix time of datetimes; of those without a zone, in `timezone`."""
    if getattr(moments.dtype, "time_zone", None) is None:
        moments = moments.dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null")
    return _scaled(moments.to_physical(), moments.dtype.time_unit)  # type: ignore[attr-defined]


def _scaled(values: pl.Series, unit: TimeUnit) -> Moments:
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


def _of_text(text: pl.Series, empty: pl.Series, timezone: str, name: str) -> Moments:
    """ISO 8601; where not one is, the name of the format that they are in."""
    moments = iso_moments(text, timezone)
    formats = likely_formats(text) if moments[0].null_count() == len(text) else []
    if formats:
        more = f" (or {', '.join(formats[1:])}, which these values do not tell apart)" if len(formats) > 1 else ""
        raise UsageError(
            f"The time column {name!r} holds times such as {text.filter(~empty)[0]!r}, which is not ISO 8601: set "
            f"timestamp_format={formats[0]}{more}."
        )
    return moments


def iso_moments(text: pl.Series, timezone: str) -> Moments:
    """ISO 8601 with 'T' or a space, with or without seconds, fractions and zone; or a date alone. So are its other
    spellings: a comma before the fraction, a zone of hours alone (PostgreSQL) or called UTC (BigQuery), no marks
    between digits. Null what is none of these."""
    seconds, nanos = _usual_iso(text, timezone)
    left = seconds.is_null() & text.is_not_null()
    if left.any():
        others = _usual_iso(_usually_written(pl.select(pl.when(left).then(text)).to_series()), timezone)
        seconds, nanos = seconds.fill_null(others[0]), nanos.fill_null(others[1])
    return seconds, nanos


def _usually_written(text: pl.Series) -> pl.Series:
    """Other spellings of ISO 8601 as `_usual_iso` takes them."""
    for other, usual in (
        (r"^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})", "${1}-${2}-${3} ${4}:${5}:${6}"),
        (r"(:\d{2}),(\d+)", "${1}.${2}"),
        (r" ?(Z|UTC|GMT)$", "+00:00"),
        (r"(:\S*) ?([+-]\d{2})$", "${1}${2}:00"),
        (r"^(\S{10}[T ]\d{2}:\d{2}) ?([+-]\d{2}:?\d{2})$", "${1}:00${2}"),
    ):
        text = text.str.replace(other, usual)
    return text


def _usual_iso(text: pl.Series, timezone: str) -> Moments:
    iso = text.str.replace("T", " ", literal=True).str.replace(r"Z$", "+00:00")
    zoned = iso.str.contains(r"[+-]\d{2}:?\d{2}$") & iso.str.contains(":")
    seconds = nanos = pl.Series([None], dtype=pl.Int64).new_from_index(0, len(text))

    def take(moments: pl.Series) -> None:
        nonlocal seconds, nanos
        found = epoch(moments, timezone)
        seconds, nanos = seconds.fill_null(found[0]), nanos.fill_null(found[1])

    for form in ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d"):
        take(iso.str.to_datetime(form, time_unit="us", strict=False, exact=True))
    if zoned.any():
        only = pl.select(pl.when(zoned).then(iso)).to_series()
        take(only.str.to_datetime("%Y-%m-%d %H:%M:%S%.f%:z", time_unit="us", strict=False))
    return seconds, nanos


def _stand_ins(raw: pl.Series) -> dict[str, pl.Series]:
    """Where numbers that stand for an unknown time are."""
    numbers = _numbers(raw)
    return {str(number): numbers == number for number in UNKNOWN_NUMBERS}


def _times(moments: Moments, empty: pl.Series, stand_ins: dict[str, pl.Series], expected: str) -> Times:
    """Moments as one integer each, in the coarsest unit without a remainder that 64 bits hold; without the first moment
    of all, which stands for an unknown one however it is written."""
    seconds, nanos = moments
    if not stand_ins:
        stand_ins = {"1 January 1970": (seconds == 0) & (nanos == 0)}
    within = seconds.is_between(*TIME_RANGE).fill_null(False)
    seconds = pl.select(pl.when(within).then(seconds)).to_series()
    longest = int(seconds.abs().max() or 0)  # type: ignore[arg-type]
    unit: TimeUnit = "s"
    for finer in TICKS:
        if longest >= TIME_RANGE[1] // TICKS[finer]:
            break
        unit = finer
        if (nanos % (_NANOS // TICKS[unit]) == 0).all():
            break
    joined = seconds * TICKS[unit] + nanos // (_NANOS // TICKS[unit])
    return _with_unknown(joined, unit, empty, stand_ins, expected)


def _with_unknown(
    values: pl.Series, unit: TimeUnit, empty: pl.Series, stand_ins: dict[str, pl.Series], expected: str
) -> Times:
    """Take empty values, and what stands for an unknown time, out."""
    unknown, counts = empty, {"empty": int(empty.sum())}
    for word, at in stand_ins.items():
        here = at.fill_null(False) & ~empty
        counts[word] = int(here.sum())
        unknown = unknown | here
    kept = pl.select(pl.when(~unknown).then(values)).to_series()
    return Times(kept, unit, unknown, {word: count for word, count in counts.items() if count}, expected)


def _numbers(values: pl.Series) -> pl.Series:
    """Int64 where all are whole, else Float64; null where there is none."""
    if values.dtype.is_float():
        finite = pl.select(pl.when(values.is_finite()).then(values)).to_series()
        # Whole numbers beyond 2**53 are not exact as floats: what they were is not known any more.
        whole = finite.drop_nulls()
        return finite.cast(pl.Int64) if (whole == whole.round()).all() and (whole.abs() < 2**62).all() else finite
    if values.dtype.is_numeric():
        return values.cast(pl.Int64, strict=False)
    whole = values.cast(pl.Int64, strict=False)
    if whole.null_count() == values.null_count():
        return whole
    floats = values.cast(pl.Float64, strict=False)
    floats = pl.select(pl.when(floats.is_finite()).then(floats)).to_series()
    return whole if floats.null_count() == whole.null_count() else floats


def _whole(numbers: pl.Series) -> pl.Series:
    """An order as integers: whole numbers as they are, others by their rank (equal ones stay equal)."""
    if numbers.dtype.is_integer() and numbers.is_between(*TIME_RANGE).all():
        return numbers
    return numbers.rank("dense").cast(pl.Int64)


def _digits(values: pl.Series, format: str) -> pl.Series:
    """Times as text; of a format of digits alone with the zeros in front that numbers lose."""
    if not (values.dtype.is_numeric() or _ALL_DIGITS.fullmatch(format)):
        return values
    numbers = values if values.dtype.is_numeric() else values.cast(pl.Float64, strict=False)
    values = pl.select(pl.when(numbers == numbers.round()).then(numbers)).to_series()
    width = sum(_WIDTHS.get(part, 2) for part in re.findall(r"%-?(3f|[A-Za-z])", format))
    digits = values.cast(pl.Int64, strict=False).cast(pl.String)
    return digits.str.zfill(width) if _ALL_DIGITS.fullmatch(format) else digits
