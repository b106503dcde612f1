"""Reading delimited text without quoting: block by block, strictly, and with the line number of what is wrong.

One pass reads, checks and fingerprints a file. A block that Polars' fast parser takes whole is done; any other is
halved until the line at fault stands alone, so that a good file costs nothing and a bad one names its line.
"""

from __future__ import annotations

import hashlib
import io
import math
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import polars as pl

from mdaf_core.base.errors import BadInputError
from mdaf_core.base.progress import Progress
from mdaf_core.data.reading import files, stages

BLOCK_BYTES = 32 << 20
ID_RANGE = (0, 2**31 - 1)
"""Ids as the published data sets have them: no negative ones, none beyond 32 bits."""
_LEAF_LINES = 16
_LONGEST = 64 << 20  # bytes of a line
EXAMPLES = 20  # of what is left out
MOST_TEXT = 200  # characters of a line in an example

_DTYPES: dict[str, Any] = {"int": pl.Int64, "float": pl.Float64, "text": pl.String, "hex": pl.UInt32}
_KIND_WORDS = {"int": "an integer", "float": "a number", "text": "text", "hex": "8 lowercase hexadecimal digits"}
_HEX = re.compile(r"[0-9a-f]{8}")
_INTEGER = re.compile(r"\s*[+-]?\d+", re.ASCII)
_SKIP_HINT = "Correct the line, or prepare with skip_bad_rows=true to leave out such lines."

_MAGIC = {
    b"PK\x03\x04": "an archive within an archive: unpack it first",
    b"\x1f\x8b": "an archive within an archive: unpack it first",
    b"BZh": "a bzip2 archive: unpack it first",
    b"7z\xbc\xaf": "a 7-Zip archive: unpack it first",
    b"\xfd7zXZ": "an xz archive: unpack it first",
    b"Rar!": "a RAR archive: unpack it first",
    b"PAR1": "a Parquet file; the source 'table' reads those",
    b"ARROW1": "an Arrow file, not text",
    b"\xff\xfe\0\0": "encoded in UTF-32: save it as UTF-8",
    b"\xff\xfe": "encoded in UTF-16: save it as UTF-8",
    b"\xfe\xff": "encoded in UTF-16: save it as UTF-8",
    b"SQLite format 3": "a SQLite database, not text",
    b"%PDF": "a PDF document, not text",
}


@dataclass(frozen=True)
class Column:
    """One column of the text: what its values must look like. Optional ones may be empty, or the word `null`; `width`
    is in characters, `between` the lowest and highest number; `hex`: 8 hexadecimal digits, read as a number."""

    name: str
    kind: Literal["int", "float", "text", "hex"] = "int"
    optional: bool = False
    null: str = ""
    choices: tuple[str, ...] = ()
    width: int | None = None
    between: tuple[float, float] | None = None

    def problem(self, value: str) -> str | None:
        """What is wrong with a value, or None."""
        if value in ("", self.null):
            return None if self.optional else f"The field {self.name} is empty"
        if self.choices and value not in self.choices:
            return f"The field {self.name} must be one of {', '.join(self.choices)}"
        if self.width and len(value) != self.width:
            return f"The field {self.name} must be {self.width} characters long"
        good = True
        if self.kind == "int":
            good = _INTEGER.fullmatch(value) is not None and -(2**63) <= int(value) < 2**63
        elif self.kind == "float":
            try:
                good = math.isfinite(float(value))
            except ValueError:
                good = False
        elif self.kind == "hex":
            good = _HEX.fullmatch(value) is not None
        if not good:
            return f"The field {self.name} must be {_KIND_WORDS[self.kind]}"
        if self.between and not self.between[0] <= float(value) <= self.between[1]:
            low, high = (f"{limit:,}" if isinstance(limit, int) else f"{limit:g}" for limit in self.between)
            return f"The field {self.name} must lie between {low} and {high}"
        return None


@dataclass(frozen=True)
class Layout:
    """How a file is written.

    Attributes:
        columns: in file order.
        separator: of one or two characters.
        header: the first line names the columns; it is checked.
        latin1: text that is not UTF-8 is taken as Latin-1 (as older GroupLens files are).
        rule: what must hold between the fields of a line, and the sentence where it does not.
        least: fewest fields of a line whose empty fields at the end were stripped; None: lines are always whole.
        expected: what the file should be, for messages.
    """

    columns: tuple[Column, ...]
    separator: str = ","
    header: bool = False
    latin1: bool = False
    least: int | None = None
    rule: tuple[pl.Expr, str] | None = None
    expected: str = ""

    def with_optional(self, *names: str) -> Layout:
        """The same layout, with these columns allowed to be empty."""
        columns = tuple(replace(c, optional=True) if c.name in names else c for c in self.columns)
        return replace(self, columns=columns)


Examples = dict[str, list[dict[str, Any]]]


def add_examples(examples: Examples, kind: str, rows: pl.DataFrame) -> None:
    """Keep the first rows of a kind, as plain values."""
    found = examples.setdefault(kind, [])
    found += rows.head(EXAMPLES - len(found)).to_dicts()


@dataclass
class Text:
    """What was read.

    Attributes:
        frame: what `keep` left, in file order.
        skipped: lines that could not be read.
        dropped: good lines that `keep` left out.
        name: of the file, without the endings of archives.
        fingerprint: {"bytes", "sha256"} of the text, unpacked.
        counted: what `keep` counted.
        examples: of lines that were `skipped`, and of what `keep` left out.
    """

    frame: pl.DataFrame
    skipped: int = 0
    dropped: int = 0
    name: str = ""
    fingerprint: dict[str, Any] = field(default_factory=dict)
    counted: dict[str, int] = field(default_factory=dict)
    examples: Examples = field(default_factory=dict)


def read_text(
    path: Path,
    layout: Layout,
    *,
    skip_bad_rows: bool = False,
    progress: Progress | None = None,
    keep: Callable[[pl.DataFrame], pl.DataFrame] = lambda frame: frame,
    counted: dict[str, int] | None = None,
    examples: Examples | None = None,
    stage: str | None = None,
) -> Text:
    """Read a delimited text file strictly, plain or compressed (see `files.py`).

    A byte order mark, Windows line ends and empty lines at the end are tolerated; nothing else is.

    Args:
        skip_bad_rows: leave out and count lines that are not as `layout` says, instead of raising.
        progress: called with the share of bytes read.
        keep: applied to each block, to drop or shrink what is not needed while the file streams.
        counted: numbers that `keep` adds up meanwhile; examples: what it leaves out, see `add_examples`.
        stage: keep the result on disk by this name while a preparation runs, and take it from there where an earlier
            attempt has read it; `keep` must then have no effect but on its frame, `counted` and `examples`.

    Raises:
        BadInputError: missing, empty or wrong kind of file, or a line at fault, with its number and text.
    """
    kept = stages.stage(stage)
    if kept is not None and kept.done:
        frame, facts = kept.load()
        return Text(frame, **facts)
    if kept is not None:
        kept.begin()
    blocks = _Blocks(path, layout)
    frames: list[pl.DataFrame] = []
    bad: list[dict[str, Any]] = []
    skipped = dropped = rows = 0
    start = time.monotonic()
    for block, line in blocks:
        for piece in _parse(block, line, path, layout, skip_bad_rows):
            if isinstance(piece, _Skipped):
                skipped += 1
                if len(bad) < EXAMPLES:
                    bad.append({"file": blocks.name, **piece._asdict()})
                continue
            frame = keep(piece)
            rows, dropped = rows + len(frame), dropped + len(piece) - len(frame)
            if kept is None:
                frames.append(frame)
            else:
                kept.add(frame)
        if progress:
            rate = (rows + dropped) / max(time.monotonic() - start, 0.001)
            progress(blocks.share, f"Reading {blocks.name}: {rows + dropped:,} rows, {rate:,.0f} rows/s")
    if not rows and skipped and not dropped:
        raise BadInputError(f"Not one of its {skipped:,} lines could be read. Is it {layout.expected}?", path)
    if not rows and not dropped:
        raise BadInputError(f"The file holds no line of data; expected {layout.expected or 'lines of text'}.", path)
    found: dict[str, Any] = {
        "skipped": skipped, "dropped": dropped, "name": blocks.name, "fingerprint": blocks.fingerprint,
        "counted": counted or {}, "examples": (examples or {}) | ({"skipped": bad} if bad else {}),
    }  # fmt: skip
    if kept is not None:
        kept.finish(found)
        return Text(kept.load()[0], **found)
    return Text(pl.concat(frames, how="vertical_relaxed", rechunk=False), **found)


def shrink(frame: pl.DataFrame) -> pl.DataFrame:
    """Integer columns as 32 bits where the block's values fit; blocks of both widths concatenate."""
    for name, dtype in frame.schema.items():
        if dtype == pl.Int64 and len(frame):
            low, high = frame[name].min(), frame[name].max()
            if low is None or (low >= -(2**31) and high < 2**31):  # type: ignore[operator]
                frame = frame.with_columns(pl.col(name).cast(pl.Int32))
    return frame


def check_file(path: Path, expected: str) -> int:
    """Size of an input file on disk (of its archive, where it is in one).

    Raises:
        BadInputError: it is missing, a folder, unreadable or empty.
    """
    try:
        found = files.find(path).file
        if found.is_dir():
            raise BadInputError(f"This is a folder; expected {expected}.", path)
        if not found.exists():
            raise BadInputError(f"There is no such file; expected {expected}.", path)
        if not found.is_file():
            raise BadInputError(f"This is no regular file; expected {expected}.", path)
        size = found.stat().st_size
        with found.open("rb") as file:
            head = file.read(1)
    except OSError as error:
        raise BadInputError(
            f"The file cannot be read: {error.strerror}. Allow reading it, or copy it to where you may.", path
        ) from None
    if not head:
        raise BadInputError(f"The file is empty; expected {expected}.", path)
    return size


def check_kind(start: bytes, path: Path, expected: str) -> None:
    """Refuse what is not UTF-8 or ASCII text, going by the beginning of the file.

    Raises:
        BadInputError: it is an archive, a binary file or UTF-16; says which, and what to do.
    """
    for magic, words in _MAGIC.items():
        if start.startswith(magic):
            raise BadInputError(f"This is {words}. Expected {expected}.", path)
    start = start[:65536]
    if start.count(b"\0") > len(start) / 4 and not start.startswith(b"\0\0\0\0"):
        raise BadInputError(f"This looks encoded in UTF-16 or UTF-32: save it as UTF-8. Expected {expected}.", path)
    if b"\0" in start:
        raise BadInputError(f"This is not a text file. Expected {expected}.", path)


def fingerprint_file(path: Path) -> dict[str, Any]:
    """{"bytes", "sha256"} of a file, unpacked."""
    digest, size = hashlib.sha256(), 0
    with files.open_input(path) as opened:
        while data := opened.read(BLOCK_BYTES):
            digest.update(data)
            size += len(data)
    return {"bytes": size, "sha256": digest.hexdigest()}


class _Blocks:
    """Iterates over (whole lines with '\\n' ends in UTF-8, number of the first line); hashes the file on the way."""

    def __init__(self, path: Path, layout: Layout):
        self.path, self.layout = path, layout
        check_file(path, layout.expected or "a text file")
        self.name, self.share = path.name, 0.0
        self.fingerprint: dict[str, Any] = {}

    def __iter__(self) -> Iterator[tuple[bytes, int]]:
        digest, size = hashlib.sha256(), 0
        line = 1
        rest = b""
        with files.open_input(self.path) as opened:
            self.name = opened.name
            following = opened.read(BLOCK_BYTES)
            if not following:
                raise BadInputError(f"The file is empty; expected {self.layout.expected}.", self.path)
            while following or rest:
                data, following = following, opened.read(BLOCK_BYTES) if following else b""
                digest.update(data)
                size += len(data)
                self.share = 1.0 if not following else min(opened.share, 0.999)
                if size == len(data):
                    check_kind(data, self.path, self.layout.expected)
                    data = data.removeprefix(b"\xef\xbb\xbf")
                cut = data.rfind(b"\n") + 1 if following else len(data)
                if not cut:
                    rest += data
                    if len(rest) > _LONGEST:
                        raise BadInputError(
                            f"The line is longer than {_LONGEST >> 20} MB: this is no file of lines. Expected "
                            f"{self.layout.expected or 'lines of text'}.",
                            self.path,
                            line,
                        )
                    continue
                block, rest = self._clean(rest + data[:cut], last=not following), data[cut:]
                if block and line == 1 and self.layout.header:
                    block = self._check_header(block)
                    line = 2
                if block:
                    yield self._pad(block), line
                    line += block.count(b"\n") + (not block.endswith(b"\n"))
        self.fingerprint = {"bytes": size, "sha256": digest.hexdigest()}

    def _clean(self, block: bytes, last: bool) -> bytes:
        if b"\r\n" in block:
            block = block.replace(b"\r\n", b"\n")
        if last:
            block = block.rstrip(b"\r\n")
        if self.layout.latin1:
            try:
                block.decode("utf-8")
            except UnicodeDecodeError:
                block = block.decode("latin-1").encode("utf-8")
        return block

    def _pad(self, block: bytes) -> bytes:
        """Give lines that lost their empty fields at the end these fields back."""
        separator, most = self.layout.separator.encode(), len(self.layout.columns) - 1
        if self.layout.least is None or block.count(separator) == most * (block.count(b"\n") + 1):
            return block
        ended = block.endswith(b"\n")
        lines = block.removesuffix(b"\n").split(b"\n")
        missing = [most - line.count(separator) for line in lines]
        allowed = range(1, len(self.layout.columns) - self.layout.least + 1)
        padded = [line + separator * n if n in allowed else line for line, n in zip(lines, missing, strict=True)]
        return b"\n".join(padded) + (b"\n" if ended else b"")

    def _check_header(self, block: bytes) -> bytes:
        first, _, others = block.partition(b"\n")
        names = [name.strip().strip('"') for name in first.decode("utf-8", "replace").split(self.layout.separator)]
        expected = [column.name for column in self.layout.columns]
        if names != expected:
            raise BadInputError(
                f"The header must name the columns {', '.join(expected)}.",
                self.path,
                1,
                first.decode("utf-8", "replace"),
            )
        return others


class _Skipped(NamedTuple):
    """A line that is left out, and why."""

    line: int
    problem: str
    text: str


def _parse(block: bytes, line: int, path: Path, layout: Layout, skip: bool) -> Iterator[pl.DataFrame | _Skipped]:
    """Frames of the good lines in order, and the skipped ones."""
    frame = _parse_fast(block, layout)
    if frame is not None:
        yield frame
        return
    lines = block.removesuffix(b"\n").split(b"\n")
    if len(lines) > _LEAF_LINES:
        middle = len(lines) // 2
        yield from _parse(b"\n".join(lines[:middle]) + b"\n", line, path, layout, skip)
        yield from _parse(b"\n".join(lines[middle:]) + b"\n", line + middle, path, layout, skip)
        return
    for offset, raw in enumerate(lines):
        problem, text = _problem(raw, layout)
        if problem is None:
            alone = _parse_fast(raw, layout)
            if alone is not None:
                yield alone
                continue
            problem, text = "The line cannot be read", raw.decode("utf-8", "replace")
            if layout.rule is not None and _parse_fast(raw, replace(layout, rule=None)) is not None:
                problem = layout.rule[1]
        if not skip:
            raise BadInputError(f"{problem}. {_hint(line + offset, raw, layout)}", path, line + offset, text)
        yield _Skipped(line + offset, problem, text[:MOST_TEXT])


def _parse_fast(block: bytes, layout: Layout) -> pl.DataFrame | None:
    """The whole block by Polars, or None where anything about it is not as it should be."""
    separator = layout.separator
    lines = block.count(b"\n") + (not block.endswith(b"\n"))
    if block.count(separator.encode()) != (len(layout.columns) - 1) * lines or b"\0" in block:
        return None
    if len(separator) > 1:  # Polars takes one byte; \x1f does not occur in text
        if b"\x1f" in block:
            return None
        block, separator = block.replace(separator.encode(), b"\x1f"), "\x1f"
    schema = {column.name: _DTYPES[column.kind] for column in layout.columns}
    digits = [column.name for column in layout.columns if column.kind == "hex"]
    if digits and any(sign in block for sign in b"+ABCDEF"):  # what the conversion below would take, too
        return None
    schema |= dict.fromkeys(digits, pl.String)
    nulls = {column.name: column.null for column in layout.columns if column.null}
    try:
        frame = pl.read_csv(
            io.BytesIO(block),
            has_header=False,
            schema=schema,
            separator=separator,
            quote_char=None,
            null_values=nulls or None,
        )
        if digits:
            whole = pl.col(digits).str.len_bytes() == 8
            if not frame.select(pl.all_horizontal(whole.all())).item():
                return None
            frame = frame.with_columns(pl.col(digits).str.to_integer(base=16, dtype=pl.UInt32))
    except (pl.exceptions.PolarsError, UnicodeDecodeError):
        return None
    if len(frame) != lines:
        return None
    for column in layout.columns:
        values = frame[column.name]
        if not column.optional and values.null_count():
            return None
        if column.kind == "float" and not values.is_finite().all():
            return None
        if column.choices and not values.drop_nulls().is_in(list(column.choices)).all():
            return None
        if column.between and not values.drop_nulls().is_between(*column.between).all():
            return None
        if column.width and not (values.drop_nulls().str.len_chars() == column.width).all():
            return None
    if layout.rule is not None and not frame.select(layout.rule[0].all()).item():
        return None
    return frame


def _problem(raw: bytes, layout: Layout) -> tuple[str | None, str]:
    """What is wrong with one line, and the text at fault."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return "The line is not UTF-8 text", raw.decode("utf-8", "backslashreplace")
    if not text.strip():
        return "The line is empty", text
    if "\0" in text:
        return "The line holds a NUL byte, which text does not", text
    values = text.split(layout.separator)
    if len(values) != len(layout.columns):
        return f"The line must have {len(layout.columns)} fields, it has {len(values)}", text
    for column, value in zip(layout.columns, values, strict=True):
        problem = column.problem(value)
        if problem:
            return problem, value
    return None, ""


def _hint(line: int, raw: bytes, layout: Layout) -> str:
    names = {column.name.lower() for column in layout.columns}
    found = {part.strip().lower() for part in raw.decode("utf-8", "replace").split(layout.separator)}
    if line == 1 and not layout.header and names & found:
        return "This looks like a header; the file as published has none: remove the first line."
    if names == found:
        return "This looks like a header once more, as where files were joined: remove the line."
    return (f"Expected {layout.expected}. " if layout.expected else "") + _SKIP_HINT
