"""A text file as blocks of whole lines, clean and counted; files that are no text are refused."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mdaf_core.base.errors import BadInputError
from mdaf_core.data.reading import files
from mdaf_core.data.reading.layout import Layout

BLOCK_BYTES = 32 << 20
LONGEST = 64 << 20  # bytes of a line
_COUNTED = 1 << 18  # bytes that stay in the cache

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
    """{"bytes", "sha256", "md5"} of a file, unpacked."""
    sums = Sums()
    with files.open_input(path) as opened:
        while data := opened.read(BLOCK_BYTES):
            sums.update(data)
    return sums.fingerprint


class Sums:
    """The fingerprint of what it has been shown; md5, which is no safeguard, is what publishers give."""

    def __init__(self, md5: bool = True) -> None:
        self._size, self._sums = 0, {"sha256": hashlib.sha256()}
        if md5:
            self._sums["md5"] = hashlib.md5(usedforsecurity=False)

    def update(self, data: bytes | memoryview) -> None:
        self._size += len(data)
        for digest in self._sums.values():
            digest.update(data)

    @property
    def fingerprint(self) -> dict[str, Any]:
        return {"bytes": self._size} | {name: digest.hexdigest() for name, digest in self._sums.items()}


class Block(NamedTuple):
    """Whole lines of a file with '\\n' ends in UTF-8: the number of the first one, how many they are, and how much of
    the file has been read with them, from 0 to 1."""

    text: bytes
    first: int
    lines: int
    share: float


def occurrences(text: bytes, byte: bytes) -> int:
    """How often a byte occurs: as `text.count`, but as fast where it is frequent."""
    view, wanted = np.frombuffer(text, np.uint8), ord(byte)
    return sum(
        int(np.count_nonzero(view[start : start + _COUNTED] == wanted)) for start in range(0, len(view), _COUNTED)
    )


def ahead(blocks: Iterable[Block]) -> Iterator[Block]:
    """The same blocks, each read and hashed in a thread while the one before it is used."""
    following = iter(blocks)
    with ThreadPoolExecutor(1) as thread:
        block = thread.submit(next, following, None).result()
        while block is not None:
            after = thread.submit(next, following, None)
            yield block
            block = after.result()


class Blocks:
    """Iterates over the blocks of a file and hashes it on the way."""

    def __init__(self, path: Path, layout: Layout):
        self.path, self.layout = path, layout
        check_file(path, layout.expected or "a text file")
        self.name = path.name
        self.fingerprint: dict[str, Any] = {}

    def __iter__(self) -> Iterator[Block]:
        sums, size = Sums(), 0
        line = 1
        rest = b""
        with files.open_input(self.path) as opened:
            self.name = opened.name
            following = opened.read(BLOCK_BYTES)
            if not following:
                raise BadInputError(f"The file is empty; expected {self.layout.expected}.", self.path)
            while following or rest:
                data, following = following, opened.read(BLOCK_BYTES) if following else b""
                sums.update(data)
                size += len(data)
                share = 1.0 if not following else min(opened.share, 0.999)
                if size == len(data):
                    check_kind(data, self.path, self.layout.expected)
                    data = data.removeprefix(b"\xef\xbb\xbf")
                cut = data.rfind(b"\n") + 1 if following else len(data)
                if not cut:
                    rest += data
                    if len(rest) > LONGEST:
                        raise BadInputError(
                            f"The line is longer than {LONGEST >> 20} MB: this is no file of lines. Expected "
                            f"{self.layout.expected or 'lines of text'}.",
                            self.path,
                            line,
                        )
                    continue
                whole = b"".join((rest, memoryview(data)[:cut]))
                block, rest = self._clean(whole, last=not following), data[cut:]
                if block and line == 1 and self.layout.header:
                    block = self._check_header(block)
                    line = 2
                if block:
                    lines = occurrences(block, b"\n") + (not block.endswith(b"\n"))
                    yield Block(block, line, lines, share)
                    line += lines
        self.fingerprint = sums.fingerprint

    def _clean(self, block: bytes, last: bool) -> bytes:
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n")
        if last:
            block = block.rstrip(b"\r\n")
        if self.layout.latin1:
            try:
                block.decode("utf-8")
            except UnicodeDecodeError:
                block = block.decode("latin-1").encode("utf-8")
        return block

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


def check_header(path: Path, layout: Layout) -> None:
    """Refuse a file that does not begin with the header of `layout`.

    Raises:
        BadInputError: says which columns it must name.
    """
    next(iter(Blocks(path, layout)))
