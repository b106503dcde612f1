"""Reading delimited text without quoting: block by block, strictly, and with the line number of what is wrong.

One pass reads, checks and fingerprints a file. A block that Polars' fast parser takes whole is done; any other is
halved until the line at fault stands alone, so that a good file costs nothing and a bad one names its line. Where such
lines are left out, one tolerant look takes most of them out first.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import polars as pl

from mdaf_core.base.errors import BadInputError
from mdaf_core.base.progress import Progress
from mdaf_core.data.reading import stages
from mdaf_core.data.reading.blocks import Blocks, ahead, occurrences
from mdaf_core.data.reading.layout import DTYPES, Layout, hint, problem

EXAMPLES = 20  # of what is left out
MOST_TEXT = 200  # characters of a line in an example
_LEAF_LINES = 16
T = TypeVar("T")
_UNIT = b"\x1f"

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
        fingerprint: {"bytes", "sha256", "md5"} of the text, unpacked.
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
    blocks = Blocks(path, layout)
    frames: list[pl.DataFrame] = []
    bad: list[dict[str, Any]] = []
    skipped = dropped = rows = 0
    start = time.monotonic()
    for block in ahead(blocks):
        numbers = range(block.first, block.first + block.lines)
        for piece in _parse(block.text, numbers, path, layout, skip_bad_rows):
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
            progress(block.share, f"Reading {blocks.name}: {rows + dropped:,} rows, {rate:,.0f} rows/s")
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


class _Skipped(NamedTuple):
    """A line that is left out, and why."""

    line: int
    problem: str
    text: str


def _parse(
    block: bytes, numbers: Sequence[int], path: Path, layout: Layout, skip: bool
) -> Iterator[pl.DataFrame | _Skipped]:
    """Frames of the good lines in order, and the skipped ones; `numbers` are those of the block's lines."""
    frame = _parse_fast(block, layout, len(numbers))
    if frame is not None:
        yield frame
        return
    if layout.least is not None and (padded := _pad(block, layout)) != block:
        yield from _parse(padded, numbers, path, layout, skip)
        return
    lines = block.removesuffix(b"\n").split(b"\n")
    if len(lines) <= _LEAF_LINES:
        yield from _parse_each(lines, numbers, path, layout, skip)
        return
    if skip:  # many lines may be at fault: those that one look tells are taken out at once
        bad = {at: found for at in _suspects(lines, layout) if (found := problem(lines[at], layout))[0] is not None}
        for at, (words, text) in bad.items():
            yield _Skipped(numbers[at], str(words), text[:MOST_TEXT])
        if len(bad) == len(lines):
            return
        if bad:
            lines, numbers = _without(bad, lines), _without(bad, numbers)
            yield from _parse(b"\n".join(lines) + b"\n", numbers, path, layout, skip)
            return
    middle = len(lines) // 2
    for part in (slice(None, middle), slice(middle, None)):
        yield from _parse(b"\n".join(lines[part]) + b"\n", numbers[part], path, layout, skip)


def _parse_each(
    lines: list[bytes], numbers: Sequence[int], path: Path, layout: Layout, skip: bool
) -> Iterator[pl.DataFrame | _Skipped]:
    for line, raw in zip(numbers, lines, strict=True):
        words, text = problem(raw, layout)
        if words is None:
            alone = _parse_fast(raw, layout, 1)
            if alone is not None:
                yield alone
                continue
            words, text = "The line cannot be read", raw.decode("utf-8", "replace")
            if layout.rule is not None and _parse_fast(raw, replace(layout, rule=None), 1) is not None:
                words = layout.rule[1]
        if not skip:
            raise BadInputError(f"{words}. {hint(line, raw, layout)}", path, line, text)
        yield _Skipped(line, words, text[:MOST_TEXT])


def _pad(block: bytes, layout: Layout) -> bytes:
    """Give lines that lost their empty fields at the end these fields back."""
    assert layout.least is not None
    separator, most = layout.separator.encode(), len(layout.columns) - 1
    ended = block.endswith(b"\n")
    lines = block.removesuffix(b"\n").split(b"\n")
    missing = [most - line.count(separator) for line in lines]
    allowed = range(1, len(layout.columns) - layout.least + 1)
    padded = [line + separator * n if n in allowed else line for line, n in zip(lines, missing, strict=True)]
    return b"\n".join(padded) + (b"\n" if ended else b"")


def _parse_fast(block: bytes, layout: Layout, lines: int) -> pl.DataFrame | None:
    """The whole block of so many lines by Polars, or None where anything about it is not as it should be."""
    separator = layout.separator
    parting = block.count(separator.encode()) if len(separator) > 1 else occurrences(block, separator.encode())
    if parting != (len(layout.columns) - 1) * lines or b"\0" in block:
        return None
    if len(separator) > 1 and _UNIT in block:
        return None
    digits = [column.name for column in layout.columns if column.kind == "hex"]
    schema = {column.name: DTYPES[column.kind] for column in layout.columns} | dict.fromkeys(digits, pl.String)
    nulls = {column.name: column.null for column in layout.columns if column.null}
    try:
        frame = _read(block, separator, schema, null_values=nulls or None)
        if digits:
            whole = pl.col(digits).str.len_bytes() == 8
            if any(sign in block for sign in b"+ABCDEF"):  # the conversion below would take these, too
                whole = pl.col(digits).str.contains("^[0-9a-f]{8}$")
            if not frame.select(pl.all_horizontal(whole.all())).item():
                return None
            frame = frame.with_columns(pl.col(digits).str.to_integer(base=16, dtype=pl.UInt32))
    except (pl.exceptions.PolarsError, UnicodeDecodeError):
        return None
    if len(frame) != lines:
        return None
    sound = [column.sound(pl.col(column.name), pl.lit(True)) for column in layout.columns]
    sound += [layout.rule[0]] if layout.rule is not None else []
    return frame if all(frame.select(check.all().alias(str(i)) for i, check in enumerate(sound)).row(0)) else None


def _suspects(lines: list[bytes], layout: Layout) -> list[int]:
    """Positions of lines that are at fault as far as one tolerant look tells, and of some that are not."""
    separator, most = layout.separator.encode(), len(layout.columns) - 1
    odd = [at for at, line in enumerate(lines) if line.count(separator) != most]
    if len(odd) == len(lines):
        return odd
    kept, at = _without(odd, lines), _without(odd, range(len(lines)))
    block = b"\n".join(kept)
    if b"\0" in block or _UNIT in block:  # as in no text that is meant
        return odd + [i for i, line in zip(at, kept, strict=True) if b"\0" in line or _UNIT in line]
    schema = {column.name: pl.String for column in layout.columns}
    frame = _read(block, layout.separator, schema, encoding="utf8-lossy")
    if len(frame) != len(kept):
        return odd
    sound = []
    for column in layout.columns:
        values = text = pl.col(column.name)
        empty = text.is_null() | (text == column.null)
        if column.kind == "text":
            sound.append(~text.str.contains("\ufffd", literal=True).fill_null(False))  # what is not UTF-8
        elif column.kind == "hex":
            values = pl.when(text.str.contains("^[0-9a-f]{8}$")).then(text)
        else:
            values = text.cast(DTYPES[column.kind], strict=False)
        sound.append(column.sound(pl.when(~empty).then(values), empty))
    bad = frame.select(~pl.all_horizontal(sound)).to_series()
    return sorted([*odd, *(at[i] for i in bad.arg_true())])


def _without(positions: Collection[int], values: Sequence[T]) -> list[T]:
    """The values at all other positions."""
    keep = bytearray(b"\1") * len(values)
    for at in positions:
        keep[at] = 0
    return list(compress(values, keep))


def _read(block: bytes, separator: str, schema: dict[str, Any], **options: Any) -> pl.DataFrame:
    """Polars takes one byte as a separator: `_UNIT` does not occur in text."""
    if len(separator) > 1:
        block, separator = block.replace(separator.encode(), _UNIT), _UNIT.decode()
    return pl.read_csv(
        io.BytesIO(block), has_header=False, schema=schema, separator=separator, quote_char=None, **options
    )
