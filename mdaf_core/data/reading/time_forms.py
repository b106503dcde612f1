"""What numbers and texts called a time most likely are: Unix time, a calendar in digits or words, or an order."""

from __future__ import annotations

import re
from typing import NamedTuple

import polars as pl

from mdaf_core.base.errors import UsageError
from mdaf_core.data.store.schema import TICKS

UNKNOWN_NUMBERS = (0, -1)
"""What stands for an unknown time among Unix times: midnight of 1 January 1970, and the second before it."""
UNKNOWN_WORDS = ("", "nat", "nan", "null", "none", "na", "n/a", r"\n", "0000-00-00", "0000-00-00 00:00:00")
EARLIEST, LATEST = 630_000_000, 4_200_000_000  # 1990 and 2103, in seconds: a clock from 0 is not long within
_SAMPLE = 20_000
_FEW = 2  # strays of a small sample
_STRAY = 0.02  # of a sample that may be anything

# Digits that are read like a calendar: format, how people write it, number of digits.
_DIGITS = (
    ("%Y%m%d%H%M%S%3f", "YYYYMMDDhhmmss and milliseconds", 17),
    ("%Y%m%d%H%M%S", "YYYYMMDDhhmmss", 14),
    ("%Y%m%d%H%M", "YYYYMMDDhhmm", 12),
    ("%y%m%d%H%M%S", "YYMMDDhhmmss", 12),
    ("%Y%m%d%H", "YYYYMMDDhh", 10),
    ("%y%m%d%H%M", "YYMMDDhhmm", 10),
    ("%Y%m%d", "YYYYMMDD", 8),
    ("%y%m%d%H", "YYMMDDhh", 8),
    ("%d%m%Y", "DDMMYYYY", 8),
    ("%m%d%Y", "MMDDYYYY", 8),
    ("%Y%j", "YYYYDDD, a year and the number of its day", 7),
    ("%Y%m", "YYYYMM", 6),
    ("%y%m%d", "YYMMDD", 6),
)
ORDER = {"timestamp_unit": "order"}
_DAYS_OF_1970 = (10_957, 32_873)  # 2000 to 2060; from there on, days of a spreadsheet
_ENOUGH_DAYS = 10
"""Days of several months that are all dates in digits: of numbers that count days, 69 of a hundred are none."""
_DATES = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y%m%d",
    "%d %b %Y", "%d-%b-%Y", "%d/%b/%Y", "%b %d, %Y", "%b %d %Y", "%m/%d/%y", "%d/%m/%y", "%d.%m.%y",
)  # fmt: skip
_CLOCKS = ("", " %H:%M:%S", " %H:%M", " %H:%M:%S%.f", " %I:%M:%S %p", " %I:%M %p", ":%H:%M:%S", "T%H:%M:%S", " %H")
_WHOLE_TEXTS = (
    "%a %b %d %H:%M:%S %Y", "%a, %d %b %Y %H:%M:%S", "%a %b %d %H:%M:%S %z %Y", "%a, %d %b %Y %H:%M:%S %z",
    "%d/%b/%Y:%H:%M:%S %z", "%Y/%m/%d %H:%M:%S %z",
)  # fmt: skip


class Reading(NamedTuple):
    """What numbers or texts most likely are.

    Attributes:
        words: of people, as a phrase; example: the first value in these words, or ''.
        options: of the source `table` that read them so; none: they are no moments at all.
    """

    words: str
    options: dict[str, str]
    example: str = ""

    @property
    def advice(self) -> str:
        """What to set, as on the command line."""
        if not self.options:
            return "name another column as timestamp, or none"
        return "set " + " and ".join(f"{name}={value}" for name, value in self.options.items())


def likely_numbers(numbers: pl.Series) -> Reading:
    """What numbers that are called a time are: Unix time, a calendar in digits, or an order.

    Args:
        numbers: without nulls.
    """
    sample = known_sample(numbers)
    if sample.is_empty():
        return Reading("nothing", {})
    distinct = sample.unique(maintain_order=True)
    whole = sample.dtype.is_integer() or bool((sample == sample.round()).all())
    units = [unit for unit in TICKS if of_unit(sample, unit)]
    if whole:
        text = distinct.cast(pl.Int64, strict=False).cast(pl.String)
        longest = int(text.str.len_bytes().max() or 0)  # type: ignore[arg-type]
        for format, words, width in _DIGITS:
            short = width - 1 if format.startswith(("%y", "%d", "%m")) else width
            if not short <= longest <= width or (units and len(distinct) < 4):
                continue
            moments = parse(text.str.zfill(width), format)
            if of_calendar(moments):
                days = longest == 5 and nearly_all(distinct.is_between(*_DAYS_OF_1970))
                if days and not (len(distinct) >= _ENOUGH_DAYS and (distinct // 100).n_unique() > 1):
                    return Reading("days since 1970, or YYMMDD of 2000 to 2009", ORDER)
                if format == "%Y%m" and of_calendar(parse(text, "%y%m%d")):
                    return Reading("YYYYMM or YYMMDD, which these values do not tell apart", ORDER)
                return Reading(words, {"timestamp_format": format}, f"{moments.drop_nulls()[0]:%Y-%m-%d %H:%M}")
    if units:
        unit = units[0]
        return Reading(f"Unix time in {unit}", {"timestamp_unit": unit})
    if whole and len(distinct) <= 32 and float(distinct.max()) <= 31:  # type: ignore[arg-type]
        return Reading("an hour, a weekday or the number of a day (only the last is an order)", ORDER)
    if whole and longest in (3, 4):
        if nearly_all(distinct.is_between(1900, 2100)) and longest == 4:
            return Reading("a year", ORDER)
        month, day = distinct // 100, distinct % 100
        if nearly_all(month.is_between(1, 12) & day.is_between(1, 31)):
            return Reading("MMDD, a day without its year", ORDER)
        if nearly_all(month.is_between(0, 23) & day.is_between(0, 59)):
            return Reading("hhmm, a time of day without its day", {})
    if whole and longest in (5, 6):
        month, day, hour = distinct // 10000, distinct // 100 % 100, distinct % 100
        if nearly_all(month.is_between(1, 12) & day.is_between(1, 31) & hour.is_between(0, 23)):
            return Reading("MMDDhh, an hour without its year", ORDER)
    if nearly_all(sample.is_between(32_874, 55_153)) and float(sample.max()) - float(sample.min()) < 15_000:  # type: ignore[arg-type]
        return Reading(
            "days since 1900 of a spreadsheet (write them as YYYY-MM-DD hh:mm:ss to have hours and weekdays)",
            ORDER,
        )
    if nearly_all(sample.is_between(*_DAYS_OF_1970)) and float(sample.max()) - float(sample.min()) < 5_000:  # type: ignore[arg-type]
        return Reading("days since 1970 (write them as YYYY-MM-DD to have weekdays)", ORDER)
    return Reading("a clock that starts somewhere, or a mere order", ORDER)


def likely_formats(text: pl.Series) -> list[str]:
    """Formats in which all of these texts are times; more than one where days and months cannot be told apart."""
    sample = text.drop_nulls().str.strip_chars()
    sample = sample.filter(~sample.str.to_lowercase().is_in(list(UNKNOWN_WORDS))).unique(maintain_order=True).head(500)
    if sample.is_empty():
        return []
    found = [format for format in (_with_clock(sample, date) for date in _DATES) if format]
    found += [format for format in _WHOLE_TEXTS if of_calendar(parse(sample, format))]
    return [format for format in found if format.replace("%y", "%Y") == format or len(found) == 1] or found


def _with_clock(sample: pl.Series, date: str) -> str | None:
    """The format of this date and some clock in which all of the texts are times."""
    first = sample.head(1)
    fitting = (date + clock for clock in _CLOCKS if of_calendar(parse(first, date + clock)))
    return next((format for format in fitting if of_calendar(parse(sample, format))), None)


def names_a_day(format: str) -> bool:
    """Whether a format says which day it is, and not the month alone."""
    return re.search(r"%-?d|%e|%D|%F|%j|%x|%c|%s|%\+|%[uwaA]", format) is not None


def parse(text: pl.Series, format: str) -> pl.Series:
    """Datetimes of a format; what it does not name is the first of its kind; null where a text is not of the format.

    Raises:
        UsageError: the format is none.
    """
    if not names_a_day(format):
        text, format = text + " 01", format + " %d"
    if re.search(r"%-?[HkIl]", format) and not re.search(r"%-?M|%R|%T|%X|%c|%r", format):
        text, format = text + " 00", format + " %M"
    try:
        return text.str.to_datetime(format, time_unit="us", strict=False, exact=True)
    except pl.exceptions.PolarsError:
        raise UsageError(f"The time format {format!r} cannot be used.") from None


def known_sample(numbers: pl.Series) -> pl.Series:
    """A sample without what stands for an unknown time."""
    kept = numbers.drop_nulls()
    for number in UNKNOWN_NUMBERS:
        kept = kept.filter(kept != number)
    return kept.gather_every(max(1, len(kept) // _SAMPLE))


def of_unit(sample: pl.Series, unit: str) -> bool:
    per = TICKS.get(unit)  # type: ignore[call-overload]
    if per is None:
        return False
    inside = int(sample.is_between(EARLIEST * per, LATEST * per).sum())
    strays = len(sample) - inside
    return 20 * strays <= len(sample) or (strays <= _FEW and 5 * strays <= len(sample))


def of_calendar(moments: pl.Series) -> bool:
    """Whether these are times of a calendar of our days."""
    return nearly_all(moments.dt.year().is_between(1970, 2100).fill_null(False))


def nearly_all(true: pl.Series) -> bool:
    return len(true) > 0 and float(true.mean()) >= 1 - _STRAY  # type: ignore[arg-type]
