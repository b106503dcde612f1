"""A CSV or Parquet file as a frame of the columns that are asked for, and where each of its rows stands."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from mdaf_core.data.sources import files
from mdaf_core.data.sources.text import EXAMPLES, MOST_TEXT, check_file, check_kind
from mdaf_core.errors import BadInputError

_NO_ROWS = "The file holds no rows below its header: take another."
HINT = "Correct the file, or prepare with skip_bad_rows=true to leave out such rows."
_EXPECTED = "a CSV file with a header, or a Parquet file"
_REWRITE = "it may be cut short; copy or write it again, or take a CSV file."


def read_head(path: Path, rows: int) -> tuple[pl.DataFrame, str]:
    """The first rows of a file as they are (of CSV: as text, '' as null), and what parts the fields of its header.

    Raises:
        BadInputError: it is no such file, or damaged.
    """
    file = TableFile(path)
    if not file.parquet:
        header = file.first_line()
        marks = {mark: header.count(mark) for mark in (file.delimiter, *",\t;|")}
        file.delimiter = max(marks, key=lambda mark: marks[mark])
    return file.head(rows), file.delimiter


class TableFile:
    """Reads the file and knows where each of its rows stands.

    Attributes:
        parquet: whether it is a Parquet file; delimiter: what parts the fields of a CSV file.
        ragged: records (the header is 1) with a wrong number of fields, where `skip_bad_rows` leaves them out.

    Raises:
        BadInputError: there is no such file, it is of another kind, or it cannot be read.
    """

    def __init__(self, path: Path, delimiter: str = ",", skip_bad_rows: bool = False):
        check_file(path, _EXPECTED)
        self.path, self.skip_bad_rows = path, skip_bad_rows
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
        self.delimiter = "\t" if path.suffix.lower() == ".tsv" and delimiter == "," else delimiter
        self.ragged: list[int] = []
        self.examples: list[dict[str, Any]] = []  # of those

    def _open(self) -> BinaryIO:
        return self.path.open("rb") if self._unpacked is None else io.BytesIO(self._unpacked)

    def _open_text(self, errors: str = "replace") -> TextIO:
        return io.TextIOWrapper(self._open(), encoding="utf-8-sig", errors=errors, newline="")

    def columns(self) -> list[str]:
        return self._parquet_columns() if self.parquet else self._csv_columns()

    def read(self, used: list[str]) -> pl.DataFrame:
        """The columns `used`: of CSV as text, empty values null."""
        names = self.columns()
        missing = [column for column in used if column not in names]
        if missing:
            shown = ", ".join(names[:40]) + (", …" if len(names) > 40 else "")
            raise BadInputError(
                f"There is no column {missing[0]!r}. Columns of the file: {shown}.{self._hint(missing[0], names)}",
                self.path,
            )
        frame = self._read_parquet(used) if self.parquet else self._read_csv(used)
        if frame.is_empty():
            raise BadInputError(_NO_ROWS, self.path)
        return frame

    def _hint(self, wanted: str, names: list[str]) -> str:
        """What most likely keeps a column from being found."""
        if not "".join(names).strip():
            return " The first line is empty: remove it."
        mark = max("\t;|,", key=names[0].count)
        if len(names) == 1 and mark != self.delimiter and wanted in (name.strip() for name in names[0].split(mark)):
            return f" Its header is parted by {mark!r}: set delimiter to it."
        if wanted in (name.strip() for name in names):
            return " There are spaces around that name in the file: remove them, or name it with them."
        return ""

    def first_line(self) -> str:
        with self._open_text() as file:
            return file.readline(1 << 20)

    def head(self, rows: int) -> pl.DataFrame:
        """The first rows; of CSV, records with another number of fields than the header are left out."""
        names = self.columns()
        if self.parquet:
            return self._read_parquet(None, rows)
        with self._open_text() as file:
            records = csv.reader(file, delimiter=self.delimiter)
            next(records, None)
            kept = [record for record, _ in zip(records, range(rows), strict=False) if len(record) == len(names)]
        columns = {name: [record[i] or None for record in kept] for i, name in enumerate(names)}
        return pl.DataFrame(columns, schema=dict.fromkeys(names, pl.String))

    def line(self, row: int) -> int:
        """1-based line (of CSV) or row (of Parquet) of a position in the frame."""
        return self.record(row) if self.parquet else self._line_of_record(self.record(row))

    def record(self, row: int) -> int:
        """1-based record of a position in the frame; the header of a CSV file is one."""
        if self.parquet:
            return row + 1
        record = row + 2
        for ragged in self.ragged:
            record += ragged <= record
        return record

    def _line_of_record(self, record: int) -> int:
        """A record may span lines, where a quoted value does."""
        before = 0
        with self._open_text() as file:
            lines = csv.reader(file, delimiter=self.delimiter)
            for number, _ in enumerate(lines, 1):
                if number == record:
                    break
                before = lines.line_num
        return before + 1

    def _parquet_columns(self) -> list[str]:
        with self._parquet_errors_in_words():
            return list(pa.parquet.read_schema(self._open()).names)

    def _read_parquet(self, used: list[str] | None, rows: int | None = None) -> pl.DataFrame:
        with self._parquet_errors_in_words():
            return pl.read_parquet(self._open(), columns=used, n_rows=rows)

    @contextmanager
    def _parquet_errors_in_words(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, pl.exceptions.PolarsError, OSError) as error:
            words = " ".join(str(error).split()).rstrip(".")
            raise BadInputError(f"The Parquet file cannot be read ({words}): {_REWRITE}", self.path) from None

    def _csv_columns(self) -> list[str]:
        try:
            with self._open_text(errors="strict") as file:
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
            if len(self.examples) < EXAMPLES:
                problem = f"The line must have {row.expected_columns} fields, it has {row.actual_columns}"
                self.examples.append({"record": row.number, "problem": problem, "text": row.text[:MOST_TEXT]})
            return "skip" if self.skip_bad_rows else "error"

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
