"""A CSV, Parquet or JSON lines file as a frame of the columns that are asked for, and where its rows stand."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TextIO
from zoneinfo import available_timezones

import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from polars.datatypes import DataTypeClass

from mdaf_core.base.errors import BadInputError
from mdaf_core.data.reading import files
from mdaf_core.data.reading.blocks import check_file, check_kind
from mdaf_core.data.reading.json_lines import looks_like_json_lines, read_json_lines
from mdaf_core.data.reading.text import EXAMPLES, MOST_TEXT

_JSON_ROWS = 1000  # that tell the keys of JSON lines
_TOO_LONG = "The line is longer than 64 MB: this is no table, or a quote in it is not closed. Correct it."
_UNCLOSED = "The row that begins here has a field of more than 64 MB: a quote in it is not closed. Correct it."
_NO_ROWS = "The file holds no rows below its header: take another."
HINT = "Correct the file, or prepare with skip_bad_rows=true to leave out such rows."
_EXPECTED = "a CSV file with a header, a Parquet file or JSON lines"
LONGEST = 64 << 20  # bytes of a line
_HEAD_CELLS = 2_000_000  # of the first rows
csv.field_size_limit(LONGEST)
_REWRITE = "it may be cut short; copy or write it again, or take a CSV file."


def read_head(path: Path, rows: int) -> TableFile:
    """The file with `first`, its first rows as they are (all but Parquet: as text, '' as null), and `delimiter`, what
    parts the fields of its header; `names` where it has no header.

    Raises:
        BadInputError: it is no such file, or damaged.
    """
    file = TableFile(path)
    if file.text:
        file.delimiter = delimiter_of(file.first_line(), file.delimiter)
        file.names = made_up_names(file.first_records(50))
    file.first = file.head(rows)
    return file


def delimiter_of(header: str, usual: str = ",") -> str:
    """What parts the fields of a header: of the usual marks the most frequent; a blank where there is no other."""
    if "::" in header:
        return ":"
    bare = re.sub(r'"[^"]*"', "", header)
    marks = {mark: bare.count(mark) for mark in (usual, *",\t;|")}
    best = max(marks, key=lambda mark: marks[mark])
    return " " if not marks[best] and re.fullmatch(r"\S+( \S+)+", bare.strip()) else best


def made_up_names(records: list[list[str]]) -> list[str]:
    """Names for the columns of a file whose first record holds values; none where it holds names."""
    if not records:
        return []
    first, others = records[0], [record for record in records[1:] if len(record) == len(records[0])]
    if [value.strip() for value in first] in (
        [str(i) for i in range(len(first))],
        ["", *map(str, range(len(first) - 1))],
    ):
        return []  # the numbers of columns, as pandas writes them
    if any(value.strip() and not _is_number(value) and _all_numbers(others, i) for i, value in enumerate(first)):
        return []  # a word above numbers
    numbers = sum(map(_is_number, first))
    again = sum(any(record[i] == value for record in others) for i, value in enumerate(first) if value)
    if not (2 * numbers >= len(first) or (numbers and again) or 2 * again >= len(first) > 0):
        return []
    return [f"column_{i + 1}" for i in range(len(first))]


def _is_number(value: str) -> bool:
    return _VALUE.fullmatch(value.strip()) is not None


def _all_numbers(records: list[list[str]], column: int) -> bool:
    values = [record[column] for record in records if record[column].strip()]
    return bool(values) and all(map(_is_number, values))


_VALUE = re.compile(r"[-+]?\d+([.,]\d+)?([eE][-+]?\d+)?|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*|\[.*\]")


class TableFile:
    """Reads the file and knows where each of its rows stands.

    Attributes:
        kind: csv, parquet or json (lines); delimiter: what parts the fields of a CSV file; names: of its columns where
            it has no header.
        ragged: records (the header is 1) with a wrong number of fields, where `skip_bad_rows` leaves them out.

    Raises:
        BadInputError: there is no such file, it is of another kind, or it cannot be read.
    """

    def __init__(self, path: Path, delimiter: str = ",", skip_bad_rows: bool = False, names: list[str] | None = None):
        check_file(path, _EXPECTED)
        self.path, self.skip_bad_rows, self.names = path, skip_bad_rows, names or []
        self.first = pl.DataFrame()
        self._unpacked: bytes | None = None  # of an archive; a table is read whole in any case
        with files.open_input(path) as opened:
            start = opened.read(65536)
            if files.is_packed(path):
                self._unpacked = start + b"".join(iter(lambda: opened.read(16 << 20), b""))
            path = path.with_name(opened.name)
        self.kind = "parquet" if start.startswith(b"PAR1") else "csv"
        if self.kind == "csv":
            check_kind(start, path, _EXPECTED)
            if path.suffix.lower() == ".parquet":
                raise BadInputError("The file is named .parquet, but it is not one.", path)
            if looks_like_json_lines(start):
                self.kind = "json"
            elif start.lstrip().startswith(b"[") and path.suffix.lower() == ".json":
                raise BadInputError("This is one JSON array: write it as JSON lines, one object a line.", path)
        self.delimiter = "\t" if path.suffix.lower() == ".tsv" and delimiter == "," else delimiter
        self.ragged: list[int] = []
        self.examples: list[dict[str, Any]] = []  # of those

    def _open(self) -> BinaryIO:
        return self.path.open("rb") if self._unpacked is None else io.BytesIO(self._unpacked)

    def _open_text(self, errors: str = "replace") -> TextIO:
        return io.TextIOWrapper(self._open(), encoding="utf-8-sig", errors=errors, newline="")

    def columns(self) -> list[str]:
        if self.kind == "parquet":
            return list(self._parquet_columns())
        return self.head(_JSON_ROWS).columns if self.kind == "json" else self._csv_columns()

    @property
    def text(self) -> bool:
        """Whether it is a CSV file."""
        return self.kind == "csv"

    def read(self, used: list[str]) -> pl.DataFrame:
        """The columns `used`: of CSV as text, empty values null."""
        names = self.columns()
        missing = [column for column in used if column not in names]
        if missing and self.kind != "json":
            self._refuse_missing(missing[0], names)
        if self.kind == "json":
            frame = self._read_json(used)
            missing = [column for column in missing if frame[column].null_count() == len(frame)]
            if missing and len(frame):
                self._refuse_missing(missing[0], names)
        else:
            frame = self._read_parquet(used) if self.kind == "parquet" else self._read_csv(used)
        if frame.is_empty():
            raise BadInputError(_NO_ROWS, self.path)
        return frame

    def require(self, used: list[str]) -> None:
        """Refuse a file whose header lacks one of these columns; of JSON lines, only reading all of them tells.

        Raises:
            BadInputError: says which columns there are.
        """
        names = self.columns()
        missing = [column for column in used if column not in names]
        if missing and self.kind != "json":
            self._refuse_missing(missing[0], names)

    def _refuse_missing(self, wanted: str, names: list[str]) -> None:
        shown = ", ".join(name[:60] for name in names[:40]) + (", …" if len(names) > 40 else "")
        raise BadInputError(
            f"There is no column {wanted!r}. Columns of the file: {shown}.{self._hint(wanted, names)}", self.path
        )

    def _hint(self, wanted: str, names: list[str]) -> str:
        """What most likely keeps a column from being found."""
        if not "".join(names).strip():
            return " The first line is empty: remove it."
        mark = max("\t;|, ", key=names[0].count)
        if len(names) == 1 and mark != self.delimiter and wanted in (name.strip() for name in names[0].split(mark)):
            return f" Its header is parted by {mark!r}: set delimiter to it (--set 'delimiter={mark}')."
        if self.text and not self.names and made_up_names(self.first_records(50)):
            return " Its first line looks like values: where there is no header, set names to those of the columns."
        within = next((name for name in names if name.startswith(f"{wanted}.")), None)
        if within is not None:
            return f" What is in an object is a column of its own, such as {within}: name that."
        if wanted in (name.strip() for name in names):
            return " There are spaces around that name in the file: remove them, or name it with them."
        return ""

    def first_line(self) -> str:
        with self._open_text() as file:
            return file.readline(1 << 20)

    def first_records(self, count: int) -> list[list[str]]:
        """The first records of a CSV file, its header among them."""
        return [record for _, record in islice(self._records(), count)]

    def _records(self, errors: str = "replace") -> Iterator[tuple[int, list[str]]]:
        """Each record of a CSV file with the number of its first line: a quoted value may span lines.

        Raises:
            BadInputError: it is no CSV there, or longer than any row of a table.
        """
        line = 1
        with self._open_text(errors) as file:
            reader = csv.reader(self._lines(file), delimiter=self.delimiter)
            try:
                for record in reader:
                    yield line, record
                    line = reader.line_num + 1
            except csv.Error as error:
                words = f"The CSV file cannot be read ({str(error).rstrip('.')}): correct or take another."
                raise BadInputError(_UNCLOSED if "field limit" in words else words, self.path, line) from None

    def _lines(self, file: TextIO) -> Iterator[str]:
        """Its lines, none of which is held whole if it is too long."""
        number = 0
        while line := file.readline(LONGEST + 1):
            number += 1
            if len(line) > LONGEST:
                raise BadInputError(_TOO_LONG, self.path, number)
            yield line

    def _read_json(self, used: list[str] | None, rows: int | None = None) -> pl.DataFrame:
        def problem(number: int, words: str, text: str) -> None:
            if not self.skip_bad_rows and rows is None:
                raise BadInputError(f"{words}. {HINT}", self.path, number, text[:MOST_TEXT] or None)
            self.ragged.append(number)
            if len(self.examples) < EXAMPLES:
                self.examples.append({"record": number, "problem": words, "text": text[:MOST_TEXT]})

        self.ragged, self.examples = [], []
        with self._open() as file:
            return read_json_lines(file, used, problem, rows=rows, longest=LONGEST)

    def head(self, rows: int) -> pl.DataFrame:
        """The first rows; of CSV, records with another number of fields than the header are left out."""
        if self.kind == "json":
            return self._read_json(None, rows)
        names = self.columns()
        rows = max(20, min(rows, _HEAD_CELLS // max(len(names), 1)))
        if self.kind == "parquet":
            return self._read_parquet(None, rows)
        records = self.first_records(rows + 1)[0 if self.names else 1 :]
        kept = [record for record in records if len(record) == len(names)]
        columns = {name: [record[i] or None for record in kept] for i, name in enumerate(names)}
        return pl.DataFrame(columns, schema=dict.fromkeys(names, pl.String))

    def line(self, row: int) -> int:
        """1-based line (of CSV) or row (of Parquet) of a position in the frame."""
        return self._line_of_record(self.record(row)) if self.text else self.record(row)

    def record(self, row: int) -> int:
        """1-based record of a position in the frame; the header of a CSV file is one."""
        record = row + (2 if self.text and not self.names else 1)
        for ragged in self.ragged:
            record += ragged <= record
        return record

    def _line_of_record(self, record: int) -> int:
        return next((line for number, (line, _) in enumerate(self._records(), 1) if number == record), record)

    def _parquet_columns(self) -> dict[str, tuple[int, tuple[str, ...]]]:
        """By name: the place of the column, and of what is in records the fields that lead to it."""
        with self._parquet_errors_in_words():
            schema = pl.read_parquet_schema(self._open())  # pyarrow knows no integers beyond 64 bits
        return {
            name: (place, fields)
            for place, (column, dtype) in enumerate(schema.items())
            for name, fields in _within(column, dtype)
        }

    def _read_parquet(self, used: list[str] | None, rows: int | None = None) -> pl.DataFrame:
        """Columns by their places: as a name `*` is all of them."""
        found = self._parquet_columns()
        wanted = list(found) if used is None else used
        places = sorted({found[name][0] for name in wanted})
        with self._parquet_errors_in_words():
            held = dict(zip(places, pl.read_parquet(self._open(), columns=places, n_rows=rows), strict=True))
        columns = []
        for name in wanted:
            place, fields = found[name]
            values = reduce(lambda values, field: values.struct.field(field), fields, held[place])
            columns.append(_usable(values).alias(name))
        return pl.DataFrame(columns)

    @contextmanager
    def _parquet_errors_in_words(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, pl.exceptions.PolarsError, OSError) as error:
            words = " ".join(str(error).split()).rstrip(".")
            raise BadInputError(f"The Parquet file cannot be read ({words}): {_REWRITE}", self.path) from None

    def _csv_columns(self) -> list[str]:
        try:
            names = next((record for _, record in self._records(errors="strict")), [])
        except UnicodeDecodeError:
            self._refuse_encoding()
        if self.names:
            if len(self.names) != len(names):
                raise BadInputError(
                    f"The option names has {len(self.names)} names, and the first line {len(names)} fields: set one "
                    "for each.",
                    self.path,
                    1,
                )
            names = self.names
        double = next((name for name, count in Counter(names).items() if count > 1), None)
        if double is not None and not self.names and made_up_names(self.first_records(50)):
            raise BadInputError(
                "The first line looks like values, not like a header: set names to those of the columns, in order.",
                self.path,
                1,
            )
        if double is not None:
            raise BadInputError(f"Two columns are named {double!r}: rename one.", self.path, 1)
        return names

    def _read_csv(self, used: list[str]) -> pl.DataFrame:
        first: list[pa.csv.InvalidRow] = []

        def ragged(row: pa.csv.InvalidRow) -> str:
            first.append(row)
            self.ragged.append(row.number)
            if len(self.examples) < EXAMPLES:
                problem = f"The line must have {row.expected_columns} fields, it has {row.actual_columns}"
                self.examples.append({"record": row.number, "problem": problem, "text": row.text[:MOST_TEXT]})
            return "skip" if self.skip_bad_rows else "error"

        try:
            table = pa.csv.read_csv(
                self._open(),
                # Rows are numbered without threads only; a line must fit into a block.
                read_options=pa.csv.ReadOptions(use_threads=False, block_size=LONGEST, column_names=self.names or None),
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
            if "Empty CSV" in str(error):
                raise BadInputError(_NO_ROWS, self.path) from None
            if first:
                row = first[0]
                raise BadInputError(
                    f"The line must have {row.expected_columns} fields, as the header has; it has "
                    f"{row.actual_columns}. {HINT}",
                    self.path,
                    self._line_of_record(row.number),
                    row.text,
                ) from None
            self._refuse_long_record()
            self._refuse_encoding()
            raise BadInputError(f"The CSV file cannot be read ({error}).", self.path) from None
        frame = pl.DataFrame(pl.from_arrow(table))
        return frame.head(len(frame) - self._empty_lines_at_end())

    def _refuse_long_record(self) -> None:
        """Raise with the first record that is longer than any row of a table, if there is one."""
        for _ in self._records():
            pass

    def _empty_lines_at_end(self) -> int:
        with self._open() as file:
            file.seek(max(0, file.seek(0, io.SEEK_END) - 65536))
            tail = file.read().replace(b"\r\n", b"\n")
        return max(0, len(tail) - len(tail.rstrip(b"\n")) - 1)

    def _refuse_encoding(self) -> None:
        """Raise with the first line that is not UTF-8, if there is one."""
        with self._open() as file:
            for number, line in enumerate(iter(lambda: file.readline(LONGEST + 1), b""), 1):
                if len(line) > LONGEST:
                    raise BadInputError(_TOO_LONG, self.path, number)
                try:
                    line.decode("utf-8")
                except UnicodeDecodeError:
                    shown = line.decode("utf-8", "backslashreplace").rstrip("\r\n")
                    raise BadInputError(
                        "The line is not UTF-8 text: save the file as UTF-8.", self.path, number, shown
                    ) from None


def _within(column: str, dtype: pl.DataType | DataTypeClass) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The column itself, or of records each that is in them (`user.id`), with the fields that lead to it."""
    if not isinstance(dtype, pl.Struct) or not dtype.fields:
        yield column, ()
        return
    for field in dtype.fields:
        for name, fields in _within(f"{column}.{field.name}", field.dtype):
            yield name, (field.name, *fields)


def _usable(values: pl.Series) -> pl.Series:
    """A column in a type that all steps take: moments whose timezone is an offset in UTC; bytes as the text they are,
    or in hexadecimal, value by value (a hash of 8 bytes is an id, too)."""
    dtype = values.dtype
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None and dtype.time_zone not in available_timezones():
        return values.cast(pl.Datetime(dtype.time_unit, "UTC"))
    if dtype != pl.Binary:
        return values
    try:
        return values.cast(pl.String)
    except pl.exceptions.ComputeError:
        return pl.Series([None if value is None else _word(value) for value in values], dtype=pl.String)


def _word(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.hex()


def rows_of(path: Path) -> tuple[int, int | None]:
    """About how many rows a table has, and the bytes of its text unpacked (of Parquet None).

    Raises:
        BadInputError: it cannot be read.
    """
    with files.open_input(path) as opened:
        parquet = opened.read(4) == b"PAR1"
    if not parquet:
        return max(1, files.count_lines(path) - 1), files.unpacked_size(path)
    try:
        return max(1, int(pa.parquet.read_metadata(path).num_rows)), None
    except (pa.ArrowException, OSError) as error:  # in an archive, too
        raise BadInputError(f"The Parquet file cannot be read ({str(error).rstrip('.')}).", path) from None


def values_of(path: Path, column: str) -> int:
    """How many values the lists of a column of a Parquet file hold, those of empty lists counted as one.

    Raises:
        BadInputError: it cannot be read, or has no such column.
    """
    try:
        groups = pa.parquet.read_metadata(path)
        chunks = [
            groups.row_group(i).column(j) for i in range(groups.num_row_groups) for j in range(groups.num_columns)
        ]
    except (pa.ArrowException, OSError) as error:
        raise BadInputError(f"The Parquet file cannot be read ({str(error).rstrip('.')}).", path) from None
    return sum(chunk.num_values for chunk in chunks if chunk.path_in_schema.split(".")[0] == column)
