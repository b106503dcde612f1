"""Any CSV or Parquet file: say which columns are the label, the user, the time, the item, and what else goes in."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import BinaryIO, Literal
from zoneinfo import available_timezones

import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from pydantic import Field, JsonValue, field_validator

from mdaf_core.data.schema import FieldSpec
from mdaf_core.data.sources import files
from mdaf_core.data.sources.base import (
    RESERVED_COLUMNS,
    Progress,
    RawTable,
    Source,
    SourceOptions,
    calendar_columns,
    calendar_fields,
    weekday_titles,
)
from mdaf_core.data.sources.text import check_file, check_kind, fingerprint_file
from mdaf_core.errors import BadInputError, UsageError

_EXPECTED = "a CSV file with a header, or a Parquet file"
_HINT = "Correct the file, or prepare with skip_bad_rows=true to leave out such rows."
_REWRITE = "it may be cut short; copy or write it again, or take a CSV file."
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_FAR_FUTURE = 100_000_000_000  # the year 5138 in seconds, 1973 in milliseconds
_LABELS = {"1": 1, "0": 0, "1.0": 1, "0.0": 0, "true": 1, "false": 0}
Role = Literal["item", "category", "user", "context"]


# Options that name columns of the file: a form offers the columns there are.
COLUMN: dict[str, JsonValue] = {"column": True}


class TableOptions(SourceOptions):
    """Options of `table`. Columns are named as in the file."""

    label: str = Field("label", json_schema_extra=COLUMN, description="Column of the label: 0 or 1, or true and false.")
    positive_from: float | None = Field(
        None, description="Take the label column as a number, and values of at least this as positive (ratings)."
    )
    user: str | None = Field(
        None, json_schema_extra=COLUMN, description="Column of the user; without it there are no histories and no gAUC."
    )
    timestamp: str | None = Field(
        None,
        json_schema_extra=COLUMN,
        description="Column of the time: Unix time or ISO 8601. Without it file order is time order.",
    )
    timestamp_unit: Literal["s", "ms", "us", "ns"] = Field("s", description="Unit of a numeric time.")
    timezone: str = Field("UTC", description="For hours and weekdays, and for times that name no zone.")
    item: str | None = Field(None, json_schema_extra=COLUMN, description="Column of the target item.")
    category: str | None = Field(None, json_schema_extra=COLUMN, description="Column of the item's category.")
    categorical: list[str] = Field(
        [], json_schema_extra=COLUMN, description="Further columns that are ids, comma-separated."
    )
    numeric: list[str] = Field(
        [],
        json_schema_extra=COLUMN,
        description="Columns that are numbers, comma-separated; values may be missing.",
    )
    calendar: bool = Field(True, description="Add hour and weekday where there is a time.")
    history: Literal["rows", "positives", "none"] = Field(
        "rows", description="Histories from the user's earlier rows, from those with label 1 only, or none."
    )
    history_item: str | None = Field(
        None,
        json_schema_extra=COLUMN,
        description="Column with ready-made histories of items, oldest first: a list, or ids joined by '^'.",
    )
    history_category: str | None = Field(
        None, json_schema_extra=COLUMN, description="Column with the categories of the ready-made histories."
    )
    history_separator: str = Field("^", min_length=1, description="What joins the ids of a ready-made history.")
    delimiter: str = Field(",", min_length=1, max_length=1, description="Of a CSV file; .tsv files take a tab.")

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError("not the name of a timezone, such as UTC or Asia/Shanghai")
        return value


def read(path: Path | None, options: TableOptions, progress: Progress) -> RawTable:
    """Read one file with the columns that `options` name."""
    assert path is not None
    check_file(path, _EXPECTED)
    used = _used_columns(options)
    reader = _Reader(path, options)
    progress(0.0, f"Reading {path.name}")
    frame = reader.read(used)
    progress(0.6, "Checking columns")
    table = _Checked(frame, reader, options)
    columns: dict[str, pl.Series] = {"label": table.label()}
    fields: list[FieldSpec] = []

    def add(name: str, values: pl.Series, column: str, role: Role = "context") -> None:
        columns[name] = values
        fields.append(FieldSpec(name=name, role=role, description=f"Column {column}"))

    if options.item:
        add("item", table.required(options.item), options.item, "item")
    if options.category:
        add("category", table.ids(options.category), options.category, "category")
    if options.user:
        add("user", table.required(options.user), options.user, "user")
    names = _field_names([*options.categorical, *options.numeric])
    for column in options.categorical:
        add(names[column], table.ids(column), column)
    for column in options.numeric:
        columns[names[column]] = table.number(column)
        fields.append(FieldSpec(name=names[column], kind="numeric", description=f"Column {column}"))
    if options.timestamp:
        columns["timestamp"] = table.timestamp(options.timestamp)
    histories = _histories(table, options)

    good = ~table.bad
    rows = pl.DataFrame(columns).filter(good)
    if rows.is_empty():
        raise BadInputError("The file holds no row that can be used.", path)
    if options.timestamp and options.calendar:
        rows = rows.with_columns(calendar_columns(options.timezone))
        fields += calendar_fields()
    if not fields:
        raise UsageError("Nothing goes into a model: name item, category, user, categorical or numeric columns.")
    events, history_fields = _events(rows, {name: lists.filter(good) for name, lists in histories.items()}, options)
    threshold = options.positive_from
    return RawTable(
        rows=rows,
        fields=fields,
        history_fields=history_fields,
        events=events,
        titles={"dayofweek": weekday_titles()},
        title=path.name,
        label=f"{options.label} is 1" if threshold is None else f"{options.label} is at least {threshold:g}",
        timezone=options.timezone,
        timezone_assumed="timezone" not in options.model_fields_set,
        inputs={path.name: fingerprint_file(path)},
        skipped_rows=len(reader.ragged) + int(table.bad.sum()),
    )


def read_head(path: Path, rows: int) -> tuple[pl.DataFrame, str]:
    """The first rows of a file as they are (of CSV: as text, '' as null), and what parts the fields of its header.

    Raises:
        BadInputError: as `read`.
    """
    check_file(path, _EXPECTED)
    reader = _Reader(path, TableOptions())
    if not reader.parquet:
        header = reader.first_line()
        marks = {mark: header.count(mark) for mark in (reader.delimiter, *",\t;|")}
        reader.delimiter = max(marks, key=lambda mark: marks[mark])
    return reader.head(rows), reader.delimiter


def _used_columns(options: TableOptions) -> list[str]:
    single = (
        options.label, options.user, options.timestamp, options.item, options.category,
        options.history_item, options.history_category,
    )  # fmt: skip
    used = [column for column in (*single, *options.categorical, *options.numeric) if column]
    double = next((column for column in used if used.count(column) > 1), None)
    if double is not None:
        raise UsageError(f"The column {double!r} is named twice; each column has one part to play.")
    if options.history_item and not options.item:
        raise UsageError("history_item needs item: histories share the codes of the target item.")
    if options.history_category and not options.category:
        raise UsageError("history_category needs category: histories share the codes of the target's category.")
    return used


def _field_names(columns: list[str]) -> dict[str, str]:
    """A field name for each column: letters, digits and '_', and none that already means something."""
    taken = {*RESERVED_COLUMNS, "item", "category", "user", "hour", "dayofweek", "positive", "row"}
    names: dict[str, str] = {}
    for column in columns:
        base = re.sub(r"[^A-Za-z0-9]+", "_", column).strip("_")[:60] or "column"
        name, n = base, 2
        while name.lower() in taken:
            name, n = f"{base}_{n}", n + 1
        taken.add(name.lower())
        names[column] = name
    return names


class _Reader:
    """Reads the file and knows where each of its rows stands."""

    def __init__(self, path: Path, options: TableOptions):
        self.path, self.options = path, options
        self._unpacked: bytes | None = None  # of an archive; a table is read whole in any case
        with files.open_input(path) as opened:
            start = opened.read(65536)
            if files.is_packed(path):
                self._unpacked = start + b"".join(iter(lambda: opened.read(16 << 20), b""))
            path = path.with_name(opened.name)
        self.parquet = start.startswith(b"PAR1")
        if not self.parquet:
            check_kind(start, path, _EXPECTED)
            if path.suffix.lower() == ".parquet":
                raise BadInputError("The file is named .parquet, but it is not one.", path)
        self.delimiter = "\t" if path.suffix.lower() == ".tsv" and options.delimiter == "," else options.delimiter
        self.ragged: list[int] = []  # records (the header is 1) with a wrong number of fields

    def _open(self) -> BinaryIO:
        return self.path.open("rb") if self._unpacked is None else io.BytesIO(self._unpacked)

    def columns(self) -> list[str]:
        return self._parquet_columns() if self.parquet else self._csv_columns()

    def read(self, used: list[str]) -> pl.DataFrame:
        """The columns `used`: of CSV as text, empty values null."""
        names = self.columns()
        missing = [column for column in used if column not in names]
        if missing:
            shown = ", ".join(names[:40]) + (", …" if len(names) > 40 else "")
            raise BadInputError(f"There is no column {missing[0]!r}. Columns of the file: {shown}.", self.path)
        frame = self._read_parquet(used) if self.parquet else self._read_csv(used)
        if frame.is_empty():
            raise BadInputError("The file holds no rows below its header.", self.path)
        return frame

    def first_line(self) -> str:
        with self.path.open(encoding="utf-8-sig", errors="replace") as file:
            return file.readline(1 << 20)

    def head(self, rows: int) -> pl.DataFrame:
        """The first rows; of CSV, records with another number of fields than the header are left out."""
        names = self.columns()
        if self.parquet:
            return pl.read_parquet(self.path, n_rows=rows)
        with self.path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            records = csv.reader(file, delimiter=self.delimiter)
            next(records, None)
            kept = [record for record, _ in zip(records, range(rows), strict=False) if len(record) == len(names)]
        columns = {name: [record[i] or None for record in kept] for i, name in enumerate(names)}
        return pl.DataFrame(columns, schema=dict.fromkeys(names, pl.String))

    def line(self, row: int) -> int:
        """1-based line (of CSV) or row (of Parquet) of a position in the frame."""
        if self.parquet:
            return row + 1
        record = row + 2
        for ragged in self.ragged:
            record += ragged <= record
        return self._line_of_record(record)

    def _line_of_record(self, record: int) -> int:
        """A record may span lines, where a quoted value does."""
        before = 0
        with io.TextIOWrapper(self._open(), encoding="utf-8-sig", errors="replace", newline="") as file:
            lines = csv.reader(file, delimiter=self.delimiter)
            for number, _ in enumerate(lines, 1):
                if number == record:
                    break
                before = lines.line_num
        return before + 1

    def _parquet_columns(self) -> list[str]:
        try:
            return list(pa.parquet.read_schema(self._open()).names)
        except (pa.ArrowException, OSError) as error:
            raise BadInputError(
                f"The Parquet file cannot be read ({str(error).rstrip('.')}): {_REWRITE}", self.path
            ) from None

    def _read_parquet(self, used: list[str]) -> pl.DataFrame:
        try:
            return pl.read_parquet(self._open(), columns=used)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise BadInputError(
                f"The Parquet file cannot be read ({str(error).rstrip('.')}): {_REWRITE}", self.path
            ) from None

    def _csv_columns(self) -> list[str]:
        try:
            with io.TextIOWrapper(self._open(), encoding="utf-8-sig", newline="") as file:
                names = next(csv.reader(file, delimiter=self.delimiter), [])
        except UnicodeDecodeError:
            self._refuse_encoding()
        double = next((name for name in names if names.count(name) > 1), None)
        if double is not None:
            raise BadInputError(f"Two columns are named {double!r}: rename one.", self.path, 1)
        return names

    def _read_csv(self, used: list[str]) -> pl.DataFrame:
        first: list[pa.csv.InvalidRow] = []

        def ragged(row: pa.csv.InvalidRow) -> str:
            first.append(row)
            self.ragged.append(row.number)
            return "skip" if self.options.skip_bad_rows else "error"

        try:
            table = pa.csv.read_csv(
                self._open(),
                read_options=pa.csv.ReadOptions(use_threads=False),  # only then rows are numbered
                parse_options=pa.csv.ParseOptions(
                    delimiter=self.delimiter,
                    newlines_in_values=True,
                    ignore_empty_lines=False,
                    invalid_row_handler=ragged,
                ),
                convert_options=pa.csv.ConvertOptions(
                    include_columns=used,
                    column_types=dict.fromkeys(used, pa.string()),
                    strings_can_be_null=True,
                    null_values=[""],
                ),
            )
        except (pa.ArrowException, UnicodeDecodeError) as error:
            if first:
                row = first[0]
                raise BadInputError(
                    f"The line must have {row.expected_columns} fields, as the header has; it has "
                    f"{row.actual_columns}. {_HINT}",
                    self.path,
                    self._line_of_record(row.number),
                    row.text,
                ) from None
            self._refuse_encoding()
            raise BadInputError(f"The CSV file cannot be read ({error}).", self.path) from None
        frame = pl.DataFrame(pl.from_arrow(table))
        return frame.head(len(frame) - self._empty_lines_at_end())

    def _empty_lines_at_end(self) -> int:
        with self._open() as file:
            file.seek(max(0, file.seek(0, io.SEEK_END) - 65536))
            tail = file.read().replace(b"\r\n", b"\n")
        return max(0, len(tail) - len(tail.rstrip(b"\n")) - 1)

    def _refuse_encoding(self) -> None:
        """Raise with the first line that is not UTF-8, if there is one."""
        with self._open() as file:
            for number, line in enumerate(file, 1):
                try:
                    line.decode("utf-8")
                except UnicodeDecodeError:
                    shown = line.decode("utf-8", "backslashreplace").rstrip("\r\n")
                    raise BadInputError(
                        "The line is not UTF-8 text: save the file as UTF-8.", self.path, number, shown
                    ) from None


class _Checked:
    """Columns with their types checked; remembers which rows are bad, or raises at the first."""

    def __init__(self, frame: pl.DataFrame, reader: _Reader, options: TableOptions):
        self.frame, self.reader, self.options = frame, reader, options
        self.bad = pl.Series([False]).new_from_index(0, len(frame))

    def mark(self, bad: pl.Series, problem: str, text: pl.Series) -> None:
        """Take note of bad rows.

        Raises:
            BadInputError: for the first of them, unless bad rows are to be skipped.
        """
        if not bad.any():
            return
        if not self.options.skip_bad_rows:
            row = int(bad.arg_max() or 0)
            value = text[row]
            shown = None if value is None else str(value)
            raise BadInputError(f"{problem}. {_HINT}", self.reader.path, self.reader.line(row), shown)
        self.bad = self.bad | bad

    def required(self, column: str) -> pl.Series:
        values = self.ids(column)
        self.mark(values.is_null() | (values.cast(pl.String) == ""), f"The field {column} is empty", values)
        return values

    def ids(self, column: str) -> pl.Series:
        """A column of ids as integers or text."""
        values = self.frame[column]
        if values.dtype.is_nested():
            raise BadInputError(
                f"The column {column!r} holds lists, but an id is one value: choose another column "
                "(lists can be ready-made histories).",
                self.reader.path,
            )
        if values.dtype.is_integer():
            return values
        if values.dtype.is_float() and (values.drop_nulls() == values.drop_nulls().round()).all():
            return values.cast(pl.Int64)
        return values.cast(pl.String)

    def label(self) -> pl.Series:
        """0 or 1."""
        column = self.options.label
        values = self.frame[column]
        if self.options.positive_from is not None:
            numbers = self.number(column)
            self.mark(numbers.is_null(), f"The label {column} is empty", values)
            return (numbers >= self.options.positive_from).cast(pl.UInt8).fill_null(0)
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
            raise BadInputError(f"The column {column!r} does not hold numbers.", self.reader.path)
        if values.dtype.is_numeric() or values.dtype == pl.Boolean:
            numbers = values.cast(pl.Float64).fill_nan(None)
        else:
            numbers = values.str.strip_chars().cast(pl.Float64, strict=False)
            self.mark(values.is_not_null() & numbers.is_null(), f"The field {column} must be a number", values)
        self.mark(~numbers.is_finite().fill_null(True), f"The field {column} must be a finite number", values)
        return numbers

    def timestamp(self, column: str) -> pl.Series:
        """Int64 Unix seconds."""
        values = self.frame[column]
        if values.dtype == pl.Date:
            values = values.cast(pl.Datetime("us"))
        if isinstance(values.dtype, pl.Datetime):
            seconds = self._epoch(values)
        elif values.dtype.is_numeric():
            seconds = self._scaled(values.cast(pl.Float64) if values.dtype.is_float() else values)
        else:
            text = values.cast(pl.String).str.strip_chars()
            whole = text.cast(pl.Int64, strict=False)
            if len(text) and whole.null_count() < len(text) / 2:
                seconds = self._scaled(whole)
            else:
                seconds = self._parse_times(text)
        self.mark(seconds.is_null(), f"The time {column} must be Unix time or ISO 8601", values)
        latest = seconds.max()
        if self.options.timestamp_unit == "s" and isinstance(latest, int) and latest > _FAR_FUTURE:
            raise UsageError(
                f"The time column {column!r} holds values such as {latest}, thousands of years ahead as seconds: "
                "set timestamp_unit to ms, us or ns."
            )
        return seconds.fill_null(0)

    def _scaled(self, values: pl.Series) -> pl.Series:
        return (values // _PER_SECOND[self.options.timestamp_unit]).cast(pl.Int64, strict=False)

    def _epoch(self, moments: pl.Series) -> pl.Series:
        if getattr(moments.dtype, "time_zone", None) is None:
            moments = moments.dt.replace_time_zone(self.options.timezone, ambiguous="earliest", non_existent="null")
        return moments.dt.epoch("s")

    def _parse_times(self, text: pl.Series) -> pl.Series:
        """ISO 8601 with 'T' or a space, with or without seconds, fractions and zone; or a date alone."""
        iso = text.str.replace("T", " ", literal=True).str.replace(r"Z$", "+00:00")
        zoned = iso.str.contains(r"[+-]\d{2}:?\d{2}$") & iso.str.contains(":")
        local, absolute = pl.Series([None], dtype=pl.Int64).new_from_index(0, len(text)), None
        for form in ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d"):
            moments = iso.str.to_datetime(form, time_unit="us", strict=False, exact=True)
            local = local.fill_null(self._epoch(moments))
        if zoned.any():
            only = pl.select(pl.when(zoned).then(iso)).to_series()
            absolute = only.str.to_datetime("%Y-%m-%d %H:%M:%S%.f%:z", time_unit="us", strict=False).dt.epoch("s")
            local = local.fill_null(absolute)
        return local

    def lists(self, column: str) -> pl.Series:
        """A column of ready-made histories as lists of ids; null becomes empty."""
        values = self.frame[column]
        if isinstance(values.dtype, pl.List | pl.Array):
            return values.cast(pl.List(values.dtype.inner)).fill_null([])  # type: ignore[union-attr]
        text = values.cast(pl.String).fill_null("")
        parts = text.str.split(self.options.history_separator)
        return pl.select(pl.when(text == "").then(pl.lit([], pl.List(pl.String))).otherwise(parts)).to_series()


def _histories(table: _Checked, options: TableOptions) -> dict[str, pl.Series]:
    """Ready-made histories by field, where there are any."""
    found: dict[str, pl.Series] = {}
    if options.history_item:
        found["item"] = table.lists(options.history_item)
    if options.history_category:
        found["category"] = table.lists(options.history_category)
    if options.history_item and options.history_category:
        table.mark(
            found["item"].list.len() != found["category"].list.len(),
            f"{options.history_item} and {options.history_category} must be equally long",
            table.frame[options.history_category],
        )
    return found


def _events(
    rows: pl.DataFrame, histories: dict[str, pl.Series], options: TableOptions
) -> tuple[pl.DataFrame | None, list[str]]:
    if histories:
        lists = pl.DataFrame(histories).with_row_index("row")
        names = list(histories)
        return lists.filter(pl.col(names[0]).list.len() > 0).explode(names), names
    names = [name for name in ("item", "category") if name in rows.columns]
    if options.history == "none" or not options.item or not {"user", "timestamp"} <= set(rows.columns):
        return None, []
    shown = rows if options.history == "rows" else rows.filter(pl.col("label") == 1)
    return shown.select("user", "timestamp", *names, positive="label"), names


SOURCE = Source(
    name="table",
    title="Any CSV or Parquet file with a column for the label",
    path_help="a CSV file with a header (plain, .gz or .zip), or a Parquet file",
    options=TableOptions,
    read=read,
    default_name=lambda path, _options: _name_of(path),
)


def _name_of(path: Path | None) -> str:
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-._") if path else ""
    return f"table-{stem or 'data'}"[:80]
