"""What the first values of a column look like: numbers, times, lists, ids, and what its name says of it."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import cached_property
from typing import cast

import polars as pl

from mdaf_core.base.errors import UsageError
from mdaf_core.data.propose import words
from mdaf_core.data.reading.table_columns import is_written_list, plain, split_lists
from mdaf_core.data.reading.time_forms import UNKNOWN_WORDS, Reading, likely_formats, likely_numbers, nearly_all
from mdaf_core.data.reading.times import iso_moments, read_times
from mdaf_core.data.store.schema import TICKS, TimeUnit

_SHORT_OF_AN_ID = 64  # characters
_DAY, _HOUR = 86_400, 3_600
_ZONES = 14 * _HOUR  # two columns may be in different ones
_BEGINS_AS_ISO = r"^\d{4}-\d{2}-\d{2}([T ]|$)|^\d{8}T\d{6}"
_SEPARATORS = "^|;, "
_STAND_INS = (-1, -9, -99, -999, -9999, 999, 9999, 99999, 999999, 9999999)


def tokens_of(name: str) -> list[str]:
    """The words of a name: parted by marks and by capitals, in lower case."""
    parts = re.split(r"[\W_]+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", name)
    return [part.lower() for part in parts if part]


class Look:
    """What the first values of a column look like.

    Attributes:
        title: its name; tokens: the words of it; core: those without what only says that it is an id.
        size: values that are there; distinct: how many of them differ.
    """

    def __init__(self, values: pl.Series):
        self.title, self.values = values.name, plain(values)
        values = self.values
        self.tokens = tokens_of(self.title)
        self.nested = values.dtype.is_nested() or values.dtype == pl.Duration
        present = values.drop_nulls()
        self.size, self.rows = len(present), len(values)
        self.text = pl.Series(dtype=pl.String) if self.nested else present.cast(pl.String).str.strip_chars()
        self.distinct = self.text.n_unique() if self.size else 0

    @cached_property
    def core(self) -> str:
        kept = [token for token in self.tokens if token not in words.NOT_IN_A_NAME]
        return "".join(kept or self.tokens)

    @cached_property
    def numbers(self) -> pl.Series | None:
        """Float64, where all values are numbers."""
        if self.values.dtype.is_temporal() or not self.size or self.nested:
            return None
        numbers = self.text.cast(pl.Float64, strict=False)
        return None if numbers.null_count() or not numbers.is_finite().all() else numbers

    @property
    def is_whole(self) -> bool:
        return self.numbers is not None and bool((self.numbers == self.numbers.round()).all())

    @property
    def is_binary(self) -> bool:
        text = self.text.str.to_lowercase()
        return 0 < self.distinct <= 4 and bool(text.is_in(["0", "1", "0.0", "1.0", "true", "false"]).all())

    @property
    def is_signed(self) -> bool:
        """Holds 1 and -1, and nothing else."""
        return self.numbers is not None and set(self.numbers.unique()) == {-1.0, 1.0}

    @property
    def is_amount(self) -> bool:
        """A number to compute with: by its fractions, or its name; what is called an id is none."""
        if self.numbers is None or words.ID_WORDS.intersection(self.tokens):
            return False
        return not self.is_whole or bool(words.AMOUNTS.intersection(self.tokens))

    @cached_property
    def decimal_comma(self) -> bool:
        """Numbers such as 98,57, and no lists of two."""
        if self.nested or not self.size or words.PAST.intersection(self.tokens) or self._of_many:
            return False
        return bool(self.text.str.contains(r"^-?\d+(,\d+)?$").all()) and self._share(self.text.str.contains(",")) >= 0.5

    @property
    def is_called_time(self) -> bool:
        """Whether the name says that it is the time of the row, and not only that it has to do with time."""
        return self.core in words.TIMES or bool({"timestamp", "stamp", "datetime"}.intersection(self.tokens))

    @property
    def is_clock_part(self) -> bool:
        """An hour, a weekday or the number of a day, which come back and may be ids."""
        if self.numbers is None:
            return not self.nested and not self.text.str.contains(r"\d").any()  # 'noon'
        return self.is_whole and float(self.numbers.max()) <= 60  # type: ignore[arg-type]

    @cached_property
    def rises(self) -> bool:
        """Numbers that hardly ever come back and never fall from row to row: a clock, or the number of the row."""
        if self.numbers is None or self.size < 100 or 10 * self.distinct < 9 * self.size:
            return False
        return bool((self.numbers.diff().drop_nulls() >= 0).all())

    @cached_property
    def stand_in(self) -> str:
        """A number that may stand for an unknown one: far from all others, and in many rows. '' where there is none."""
        if self.numbers is None or self.size < 100:
            return ""
        for number in _STAND_INS:
            others = self.numbers.filter(self.numbers != number)
            if self.size - len(others) < self.size / 100 or len(others) < self.size / 20:
                continue
            low, high = float(others.min()), float(others.max())  # type: ignore[arg-type]
            if (number < 0 <= low and others.n_unique() > 2) or (number > 0 and low >= 0 and high < number / 5):
                return str(number)
        return ""

    @property
    def is_key(self) -> bool:
        """Another value in every row: the number of the row, or free text."""
        return self.size == 0 or (self.size >= 20 and self.distinct == self.size)

    @property
    def is_free_text(self) -> bool:
        if self.numbers is not None or not self.size or self.values.dtype.is_temporal() or self.time is not None:
            return False
        return float(self.text.str.len_chars().mean() or 0) > _SHORT_OF_AN_ID  # type: ignore[arg-type]

    @cached_property
    def separator(self) -> str:
        """What joins the ids of a list in text; '' for single values, '[' where the list is written as one."""
        if self.nested or not self.size or self.values.dtype.is_temporal():
            return ""
        if is_written_list(self.text):
            return "["
        if self.numbers is not None:
            return ""
        if self.decimal_comma:
            return ""
        shares = {mark: self._share(self.text.str.contains(mark, literal=True)) for mark in _SEPARATORS}
        best = max(shares, key=lambda mark: shares[mark])
        if best == "^" or words.PAST.intersection(self.tokens) or self._of_many:
            return best if shares[best] >= 0.2 else ""
        # Of a column whose name says nothing: whole numbers or codes one after the other.
        several = self.text.str.contains(r"^[\w-]+([\^|;, ] ?[\w-]+)+$") & self.text.str.contains(r"\d.*[\^|;, ].*\d")
        return best if shares[best] >= 0.5 and self._share(several) >= 0.5 and self.iso is None else ""

    @property
    def _of_many(self) -> bool:
        return bool(self.tokens) and (self.tokens[-1] in ("ids", "items", "clicks", "events"))

    @property
    def is_list(self) -> bool:
        return self.nested or self.separator != ""

    @cached_property
    def lists(self) -> pl.Series:
        """As lists of text; of a column that `is_list`."""
        if isinstance(self.values.dtype, pl.List | pl.Array) and not self.values.dtype.inner.is_nested():
            return self.values.cast(pl.List(pl.String)).fill_null([])
        if self.nested:
            return pl.Series(self.title, [[]] * self.rows, dtype=pl.List(pl.String))
        return split_lists(self.values.cast(pl.String).fill_null(""), self.separator)

    @cached_property
    def padding(self) -> tuple[str, int] | None:
        """An id that fills lists of one length at their ends, and how many lists hold it between others as well; None
        where there is none."""
        rows = [row for row in self.lists.to_list() if row] if self.is_list else []
        if len(rows) < 10 or len({len(row) for row in rows}) > 1 or len(rows[0]) < 2:
            return None
        for candidate in dict.fromkeys(end for row in rows for end in (row[-1], row[0]) if end):
            real = [[i for i, value in enumerate(row) if value != candidate] for row in rows]
            left = [places[-1] - places[0] + 1 if places else 0 for places in real]
            inside = sum(length > len(places) for length, places in zip(left, real, strict=True))
            padded = sum(length < len(row) for length, row in zip(left, rows, strict=True))
            if 10 * padded >= len(rows) and 20 * inside <= len(rows) and len(set(left)) > 2:
                return str(candidate), inside
        return None

    @cached_property
    def iso(self) -> str | None:
        """What says that these are moments: a type of their own, or ISO 8601."""
        if self.values.dtype.is_temporal() and self.values.dtype not in (pl.Duration, pl.Time):
            return "its type"
        known = self._known_text
        if self.nested or not len(known) or not known.str.contains(_BEGINS_AS_ISO).all():
            return None
        return "ISO 8601" if nearly_all(iso_moments(known, "UTC")[0].is_not_null()) else None

    @property
    def _known_text(self) -> pl.Series:
        return self.text.filter(~self.text.str.to_lowercase().is_in(list(UNKNOWN_WORDS)))

    @cached_property
    def time(self) -> Reading | None:
        """How these values are read as times; None where they are none."""
        if self.nested or not self.size or self.iso:
            return Reading(self.iso, {}) if self.iso else None
        numbers = self._known_text.cast(pl.Float64, strict=False)
        if numbers.is_empty():
            return None
        if not numbers.null_count():
            whole = bool((numbers == numbers.round()).all() and (numbers.abs() < 2.0**63).all())
            return likely_numbers(numbers.cast(pl.Int64) if whole else numbers)
        if numbers.null_count() < len(numbers):
            return None
        formats = likely_formats(self.text)
        return Reading(f"written as {' or '.join(formats)}", {"timestamp_format": formats[0]}) if formats else None

    @property
    def offset(self) -> str:
        """The offset from UTC that most of its ISO 8601 texts end with; '' where that is none or zero."""
        if self.iso != "ISO 8601":
            return ""
        ends = self.text.str.extract(r":\d\d(?:[.,]\d+)?([+-]\d\d(?::?\d\d)?)$").drop_nulls()
        ends = ends.filter(ends.str.contains("[1-9]"))
        return str(ends.value_counts(sort=True).row(0)[0]) if 2 * len(ends) > self.size else ""

    @cached_property
    def moments(self) -> pl.Series | None:
        """Its times as whole Unix seconds, null where unknown; None where it holds no moments."""
        if self.time is None or self.time.options.get("timestamp_unit") == "order":
            return None
        values, options = self.values, self.time.options
        if values.dtype == pl.Datetime:
            values = values.dt.replace_time_zone(None)  # midnight is that of the place
        with suppress(UsageError):
            unit = cast(TimeUnit, options.get("timestamp_unit", "s"))
            found = read_times(values, unit=unit, format=options.get("timestamp_format"), timezone="UTC")
            return found.values // TICKS[found.unit]
        return None

    def is_finer(self, other: Look) -> bool:
        """Whether its times are those of another column, which names days or hours alone."""
        fine, coarse = self.moments, other.moments
        if fine is None or coarse is None or fine.null_count() > coarse.null_count() or other.distinct < 2:
            return False
        step = next((step for step in (_DAY, _HOUR) if (coarse % step == 0).all()), 0)
        if not step or (fine % step == 0).all():
            return False
        behind = (fine - coarse).drop_nulls()
        return bool(behind.is_between(-_ZONES, step + _ZONES).all())

    @property
    def ambiguous_time(self) -> bool:
        return self.time is not None and " or " in self.time.words and self.time.words.startswith("written")

    def _share(self, true: pl.Series) -> float:
        return float(true.mean() or 0)  # type: ignore[arg-type]
