"""Columns of a table as labels, ids, numbers, times and lists; what is not as it should be is marked."""

from __future__ import annotations

import re

import polars as pl

from mdaf_core.base.errors import BadInputError, UsageError
from mdaf_core.data.reading.parts import PARTS, WORDS
from mdaf_core.data.reading.table_file import HINT
from mdaf_core.data.reading.table_files import TableFiles
from mdaf_core.data.reading.text import EXAMPLES, Examples, add_examples
from mdaf_core.data.reading.times import NumberUnit, read_times
from mdaf_core.data.store.schema import SPLITS, TimeUnit

_LABELS = {"1": 1, "0": 0, "true": 1, "false": 0}
_ROUNDED = r"^-?\d\.\d+[eE]\+?(1[5-9]|[2-9]\d)$|^-?\d[eE]\+(1[5-9]|[2-9]\d)$"  # 1.2e+18: fewer digits than an id has
_LISTED = r"""'[^']*'|"[^"]*"|[^\s,\[\]()]+"""


class CheckedColumns:
    """Columns with their types checked; remembers which rows are bad, or raises at the first.

    Attributes:
        unlabelled: rows may lack their label: it is null there.
        frame: as read from `file`; bad: (N,) whether a row is to be left out; examples: the first of those;
        notes: what of that deserves a sentence.
    """

    def __init__(self, frame: pl.DataFrame, file: TableFiles, unlabelled: bool = False):
        self.frame, self.file = frame.select(_usual(plain(values)).alias(values.name) for values in frame), file
        self.unlabelled = unlabelled
        self.bad = pl.Series([False]).new_from_index(0, len(frame))
        self.examples: Examples = {}
        self.notes: list[str] = []

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
            raise BadInputError(f"{problem}. {HINT}", *self.file.place(row), shown)
        at = (bad & ~self.bad).arg_true().head(EXAMPLES)
        found = {
            **self.file.records(at),
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
        values = plain(self.frame[column])
        self._refuse_lists(values, "an id")
        if values.dtype.is_integer():
            return values
        if values.dtype.is_float():
            self.mark(values.is_infinite().fill_null(False), f"The field {column} must be an id, not infinite", values)
        return self._exact(values, column)

    def _exact(self, values: pl.Series, column: str) -> pl.Series:
        """Ids as integers or text; whole floats, as a column with gaps turns into, as the integers they were.

        Raises:
            BadInputError: ids beyond what floating-point numbers hold: several ids have become one on the way.
        """
        if values.dtype.is_integer():
            return values
        if values.dtype.is_float():
            limit = 2.0 ** (53 if values.dtype == pl.Float64 else 24)
            self._refuse_rounded(values.filter(values.is_finite().fill_null(False) & (values.abs() >= limit)), column)
            values = pl.select(pl.when(values.is_finite()).then(values).alias(column)).to_series()
            whole = values.drop_nulls()
            return values.cast(pl.Int64) if (whole == whole.round()).all() else values.cast(pl.String)
        text = values.cast(pl.String)
        self._refuse_rounded(text.filter(text.str.contains(_ROUNDED).fill_null(False)), column)
        present = text.drop_nulls()
        if len(present) and present.str.contains(r"^-?\d+\.0$").all():
            return text.str.strip_suffix(".0")
        return text

    def _refuse_rounded(self, found: pl.Series, column: str) -> None:
        if len(found):
            digits = "7" if found.dtype == pl.Float32 else "15 to 16"
            raise BadInputError(
                f"The column {column!r} holds ids as floating-point numbers, such as {found[0]}, which keep {digits} "
                "digits at most: longer ids have become one. Write the column anew as integers or text, from where "
                "the ids are whole.",
                self.file.path,
            )

    def _refuse_lists(self, values: pl.Series, what: str) -> None:
        if values.dtype.is_nested():
            raise BadInputError(
                f"The column {values.name!r} holds lists or records, but {what} is one value: choose another column "
                "(lists can be ready-made histories).",
                self.file.path,
            )

    def label(self, column: str, positive_from: float | None, positive_values: list[str] | None = None) -> pl.Series:
        """0 or 1; of numbers, 1 from `positive_from` on; of `positive_values`, 1 where one of them stands. Of a column
        of 1 and -1 alone, -1 is 0. Of rows that may lack it, null where it is empty or there is no such column."""
        if self.unlabelled and column not in self.frame.columns:
            return pl.Series(column, [None], pl.UInt8).new_from_index(0, len(self.frame))
        values = plain(self.frame[column])
        given = self._given(values)
        if positive_from is not None:
            numbers = self.number(column)
            self.mark(numbers.is_null() & given, f"The label {column} is empty", values)
            return _where(given, numbers >= positive_from)
        self._refuse_lists(values, "a label")
        words = values.cast(pl.String).str.strip_chars().str.to_lowercase().str.replace(r"^(-?\d+)\.0+$", "${1}")
        if positive_values:
            self.mark((words.is_null() | (words == "")) & given, f"The label {column} is empty", values)
            wanted = [re.sub(r"^(-?\d+)\.0+$", r"\1", value.strip().lower()) for value in positive_values]
            absent = [value for value, word in zip(positive_values, wanted, strict=True) if not (words == word).any()]
            if absent and not self.unlabelled:
                held = ", ".join(words.drop_nulls().unique().sort().head(10))
                raise UsageError(
                    f"The label column {column!r} holds no {absent[0]!r}, which positive_values names. Held: {held}; "
                    "choose among those."
                )
            return _where(given, words.is_in(wanted))
        self.mark((words.is_null() | (words == "")) & given, f"The label {column} is empty", values)
        known = _LABELS if (words == "0").any() else _LABELS | {"-1": 0}
        label = words.replace_strict(known, default=None, return_dtype=pl.UInt8)
        self.mark(
            label.is_null() & given,
            f"The label {column} must be 0 or 1 (for ratings, set positive_from to a threshold; for other values, set "
            "positive_values to those that are positive)",
            values,
        )
        return _where(given, label)

    def _given(self, values: pl.Series) -> pl.Series:
        """(N,) where there must be a label: everywhere, but for empty values of rows that may lack it."""
        empty = values.is_null()
        if self.unlabelled and values.dtype == pl.String:
            empty = empty | (values.str.strip_chars() == "").fill_null(False)
        return ~empty if self.unlabelled else pl.Series([True]).new_from_index(0, len(values))

    def parts(self, column: str, named: list[str]) -> pl.Series:
        """The part of each row, of type `PARTS`; `named`: what the column calls training, (validation) and test rows
        where not by the usual words."""
        values = plain(self.frame[column])
        self._refuse_lists(values, "a part")
        words = values.cast(pl.String).str.strip_chars()
        ours = [split for split in SPLITS if len(named) != 2 or split != "val"]
        known = dict(zip(named, ours, strict=True)) if named else dict(WORDS)
        words = words if named else words.str.to_lowercase()
        found = words.replace_strict(known, default=None, return_dtype=PARTS)
        called = f"one of {', '.join(known)}" if named else "train, val or test (for other words, set part_values)"
        self.mark(found.is_null(), f"The part {column} must be {called}", values)
        return found.fill_null("train")

    def number(self, column: str) -> pl.Series:
        """Float64, null where missing."""
        values = plain(self.frame[column])
        if values.dtype.is_nested() or values.dtype.is_temporal():
            raise BadInputError(f"The column {column!r} does not hold numbers: choose another.", self.file.path)
        if values.dtype.is_numeric() or values.dtype == pl.Boolean:
            numbers = values.cast(pl.Float64).fill_nan(None)
        else:
            numbers = values.str.strip_chars().cast(pl.Float64, strict=False)
            self.mark(values.is_not_null() & numbers.is_null(), f"The field {column} must be a number", values)
        self.mark(~numbers.is_finite().fill_null(True), f"The field {column} must be a finite number", values)
        return numbers

    def timestamp(
        self, column: str, unit: NumberUnit, timezone: str, format: str | None = None
    ) -> tuple[pl.Series, TimeUnit]:
        """Int64 Unix time, and the unit it is in (see `times.read_times`), or an order. Rows whose time is unknown are
        marked, and noted."""
        values = plain(self.frame[column])
        self._refuse_lists(values, "a time")
        if values.dtype in (pl.Duration, pl.Time, pl.Boolean):
            raise BadInputError(f"The column {column!r} does not hold moments in time: choose another.", self.file.path)
        found = read_times(values, unit=unit, format=format, timezone=timezone)
        total = int(found.unknown.sum())
        if total:
            what = ", ".join(f"{word} in {count:,}" for word, count in found.counts.items())
            said = f"The time {column} is unknown in {total:,} of {len(values):,} rows ({what})"
            self.mark(found.unknown, said, values)
            self.notes.append(f"{said}: these rows were left out.")
        unread = found.values.is_null() & ~found.unknown
        self.mark(unread, f"The time {column} must be {found.expected}", values)
        return found.values.fill_null(0), found.unit

    def lists(self, column: str, separator: str) -> pl.Series:
        """A column of ready-made histories as lists of ids; null becomes empty. Lists that are written as such,
        `[1, 2]` or `['a' 'b']`, are read whatever the separator."""
        values = plain(self.frame[column])
        if isinstance(values.dtype, pl.List | pl.Array):
            inner = values.dtype.inner
            if inner.is_nested():
                raise BadInputError(
                    f"The column {column!r} does not hold lists of ids: choose another as history.", self.file.path
                )
            listed = values.cast(pl.List(inner)).fill_null([])
            if not inner.is_float():
                return listed
            ids = self._exact(listed.explode(), column)  # its type is that of all of them
            return listed.cast(pl.List(ids.dtype))
        if values.dtype.is_nested():
            raise BadInputError(
                f"The column {column!r} does not hold lists of ids: choose another as history.", self.file.path
            )
        found = split_lists(values.cast(pl.String).fill_null(""), separator)
        ids = found.explode().drop_nulls()
        self._refuse_rounded(ids.filter(ids.str.contains(_ROUNDED)), column)
        return found


def _where(given: pl.Series, label: pl.Series) -> pl.Series:
    """The label as 0 or 1, null where none is given."""
    label = label.cast(pl.UInt8).fill_null(0)
    return pl.select(pl.when(given).then(label).alias(label.name)).to_series()


def split_lists(text: pl.Series, separator: str) -> pl.Series:
    """Lists of ids from text: written as lists (`[1, 2]`), else joined by `separator`; blanks around ids are none of
    them."""
    text = text.str.strip_chars(" ")
    if is_written_list(text):
        return text.str.extract_all(_LISTED).list.eval(pl.element().str.strip_chars("'\""))
    text = text.str.strip_chars(separator)
    if separator == " ":
        text = text.str.replace_all(" +", " ")
    parts = text.str.split(separator).list.eval(pl.element().str.strip_chars(" "))
    return pl.select(
        pl.when(text == "").then(pl.lit([], pl.List(pl.String))).otherwise(parts).alias(text.name)
    ).to_series()


def is_written_list(text: pl.Series) -> bool:
    """Whether texts are lists as programs write them, in brackets; empty texts say nothing."""
    present = text.filter(text != "")
    return len(present) > 0 and bool(present.str.contains(r"^[\[(].*[\])]$").all())


def without_padding(lists: dict[str, pl.Series], padding: str) -> dict[str, pl.Series]:
    """Lists without the padding at both ends of the first of them; the others are cut at the same places.

    Args:
        lists: (N,) lists of ids each, equally long; padding: the id that fills them, as text.
    """
    real = next(iter(lists.values())).list.eval(pl.element().cast(pl.String).fill_null("") != padding)
    places = pl.DataFrame({"real": real}).select(
        some=pl.col("real").list.any(),
        first=pl.col("real").list.arg_max().cast(pl.Int64),
        after=pl.col("real").list.len().cast(pl.Int64) - pl.col("real").list.reverse().list.arg_max().cast(pl.Int64),
    )
    length = pl.when(pl.col("some")).then(pl.col("after") - pl.col("first")).otherwise(0).fill_null(0)
    first = pl.col("first").fill_null(0)
    return {
        name: places.with_columns(ids).select(pl.col(name).list.slice(first, length))[name]
        for name, ids in ((name, values.alias(name)) for name, values in lists.items())
    }


def plain(values: pl.Series) -> pl.Series:
    """A column under a name that Polars takes for one: `*` and `^…$` stand for all columns, and for those that fit,
    also in what is asked of the column alone. They get a space behind them."""
    name = values.name
    return values.alias(f"{name} ") if name == "*" or (name[:1], name[-1:]) == ("^", "$") else values


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
