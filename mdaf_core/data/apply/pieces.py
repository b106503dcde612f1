"""A file cut into pieces that its reader takes one by one, so that a table is never in memory as a whole."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mdaf_core.base.errors import BadInputError
from mdaf_core.base.files import reading
from mdaf_core.data.reading.files import is_packed, open_input
from mdaf_core.data.reading.json_lines import looks_like_json_lines
from mdaf_core.data.reading.table_file import LONGEST

PIECE_BYTES = 16 << 20
PIECE_ROWS = 100_000


@dataclass(frozen=True)
class Piece:
    """A part of a file, as a file.

    Attributes:
        path: where it is (of a file in one piece, the file); of: the file.
        before: lines (of Parquet: rows) of the file that come before the piece's own, less a header it repeats.
        share: how much of the file lies behind its end, from 0 to 1.
    """

    path: Path
    of: Path
    before: int = 0
    share: float = 1.0

    @contextmanager
    def told_of_the_file(self) -> Iterator[None]:
        """What is wrong with the piece becomes wrong with the file, at the file's own line."""
        try:
            yield
        except BadInputError as error:
            if error.path is None or Path(error.path) != self.path:
                raise
            line = None if error.line is None else error.line + self.before
            raise BadInputError(error.problem, self.of, line, error.text) from None


def cut(path: Path, folder: Path, columns: list[str], header: bool, delimiter: str = ",") -> Iterator[Piece]:
    """The pieces of a table, each removed when the next is asked for. JSON lines, and what is small, stay whole.

    Args:
        folder: for pieces; exists.
        columns: that are wanted, of a Parquet file.
        header: whether the first line of text names the columns.
    """
    with open_input(path) as opened:
        start, name = opened.read(PIECE_BYTES), opened.name
    parquet = start.startswith(b"PAR1")
    whole = is_packed(path) if parquet else len(start) < PIECE_BYTES or looks_like_json_lines(start[:65536])
    if whole:
        yield Piece(path, path)
        return
    text = () if parquet else _of_text(path, folder, header, delimiter, Path(name).suffix)
    for piece in _of_parquet(path, folder, columns) if parquet else text:
        try:
            yield piece
        finally:
            if piece.path != path:
                piece.path.unlink(missing_ok=True)


def _of_parquet(path: Path, folder: Path, columns: list[str]) -> Iterator[Piece]:
    with reading(path, "It may be cut short; copy or write it again, or take a CSV file."):
        file = pq.ParquetFile(path)
        done, total = 0, max(file.metadata.num_rows, 1)
        if file.metadata.num_rows <= PIECE_ROWS:
            file.close()
            yield Piece(path, path)
            return
        present = [name for name in columns if name in file.schema_arrow.names]
        for number, batch in enumerate(file.iter_batches(PIECE_ROWS, columns=present)):
            piece = folder / f"piece-{number:05}.parquet"
            pq.write_table(pa.Table.from_batches([batch]), piece)
            yield Piece(piece, path, done, (done + len(batch)) / total)
            done += len(batch)


def _of_text(path: Path, folder: Path, header: bool, delimiter: str, suffix: str) -> Iterator[Piece]:
    with open_input(path) as opened:
        rest, first, before, number, more = b"", b"", 0, 0, True
        while more:
            block = opened.read(PIECE_BYTES)
            more = bool(block)
            rest += block
            end = _end_of_records(rest, delimiter) if more else len(rest)
            if not end and len(rest) > LONGEST + PIECE_BYTES:  # longer than any row: for the file's reader to say
                end = len(rest)
            if not end or (more and header and not number and end == len(_first_record(rest, delimiter))):
                continue
            if number and not rest[:end].strip(b"\r\n"):  # nothing but empty lines at the end
                continue
            content, rest = rest[:end], rest[end:]
            piece = folder / f"piece-{number:05}{suffix}"
            piece.write_bytes(first + content)
            yield Piece(piece, path, before, opened.share)
            if header and not number:
                # A quoted name may span lines.
                first = _first_record(content, delimiter)
                before -= first.count(b"\n")
            before += content.count(b"\n")
            number += 1


def _end_of_records(block: bytes, delimiter: str) -> int:
    """Where the last record that surely ends in the block ends; 0 where none does. An empty line stays with the record
    behind it: at the end of a file it would count for nothing."""
    if b'"' in block:
        *_, end = _ends(block, delimiter)
    else:
        end = block.rfind(b"\n") + 1
    while end and block[:end].rstrip(b"\r\n") != block[:end].removesuffix(b"\n").removesuffix(b"\r"):
        end = block.rfind(b"\n", 0, end - 1) + 1
    return end


def _first_record(block: bytes, delimiter: str) -> bytes:
    ends = _ends(block, delimiter)
    next(ends)
    return block[: next(ends)]


def _ends(block: bytes, delimiter: str) -> Iterator[int]:
    """Where records begin (0 first), which is where those before them end; a quoted value may span lines."""
    lines, exhausted = io.BytesIO(block), False

    def whole_lines() -> Iterator[str]:
        nonlocal exhausted
        for line in lines:
            if line.endswith(b"\n"):
                yield line.decode("utf-8", "surrogateescape")
        exhausted = True

    yield 0
    with suppress(csv.Error):  # for the file's reader to say
        for _ in csv.reader(whole_lines(), delimiter=delimiter):
            if exhausted:  # a quote is not closed here: the record may go on
                return
            yield lines.tell()
