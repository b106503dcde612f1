"""Files of other people's runs as one frame of text: tables, FuxiCTR's result lines, TensorBoard's scalars, folders."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from mdaf_core.base.errors import BadInputError
from mdaf_core.base.words import some
from mdaf_core.data.reading.blocks import check_file
from mdaf_core.data.reading.table_file import TableFile, delimiter_of
from mdaf_core.runs.published import fuxictr, tensorboard
from mdaf_core.runs.published.columns import FILE, number

EXPECTED = "a CSV, TSV, JSON lines or Parquet table of runs, FuxiCTR's result lines, or TensorBoard's scalars"
_ENDINGS = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".parquet")
_SEED_COLUMN = re.compile(
    r"(?:(?P<before>.*?)[\s_.-]+)?(?P<word>seed|run|fold|rep|repeat|trial)[\s_.#=-]*(?P<number>\d+)(?P<after>[\s_.-].*)?",
    re.IGNORECASE,
)
_MOST_FILES, _MOST_LINES = 5000, 1_000_000


@dataclass(frozen=True)
class RawRuns:
    """Runs as they were given: a line each, all text, empty values null.

    Attributes:
        form: what was recognised: a table, FuxiCTR's result lines, TensorBoard's scalars.
        notes: what was left out or done on reading, a sentence each.
    """

    frame: pl.DataFrame
    form: str
    notes: list[str] = field(default_factory=list)


def read_runs(path: Path) -> RawRuns:
    """The runs of a file, or of all files of a folder.

    Raises:
        BadInputError: it is not there, is none of these, or holds no run; the message says which file.
    """
    path = path.expanduser()
    if not path.is_dir():
        check_file(path, EXPECTED)
        return _of_files([path], path.parent)
    files = sorted(
        file
        for file in path.rglob("*")
        if file.is_file()
        and file.suffix.lower() in _ENDINGS
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
    )
    if not files:
        raise BadInputError(f"The folder holds no file that ends in {', '.join(_ENDINGS)}.", path)
    if len(files) > _MOST_FILES:
        raise BadInputError(f"The folder holds {len(files):,} files; at most {_MOST_FILES:,} are read.", path)
    return _of_files(files, path)


def _of_files(files: Sequence[Path], root: Path) -> RawRuns:
    starts = {file: _start(file) for file in files}
    lines = [file for file in files if fuxictr.is_result(starts[file])]
    if lines:
        frame, notes = fuxictr.read(lines, root)
        form, used = "FuxiCTR's result lines", lines
    else:
        scalars = [file for file in files if tensorboard.is_scalars(starts[file])]
        if scalars:
            frame, notes = tensorboard.read(scalars, root)
            form, used = "TensorBoard's scalars, one file a run and tag", scalars
        else:
            frame, notes = _tables(files, root)
            form, used = "a table with a header", list(files)
    others = [str(file.relative_to(root)) for file in files if file not in used]
    if others:
        notes.append(
            f"{len(others):,} of {len(files):,} files are of another form and are not read: {some(others, 5)}."
        )
    if len(frame) > _MOST_LINES:
        raise BadInputError(f"These are {len(frame):,} lines of runs; at most {_MOST_LINES:,} are read.", root)
    return RawRuns(frame, form, notes)


def _start(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(1 << 16).decode("utf-8-sig", "replace")
    except OSError as error:
        raise BadInputError(f"The file cannot be read ({error.strerror or error}).", file) from None


def _tables(files: Sequence[Path], root: Path) -> tuple[pl.DataFrame, list[str]]:
    frames = {}
    for file in files:
        frame = _table(file)
        frames[file] = (
            frame.with_columns(pl.lit(file.stem).alias(FILE)) if len(files) > 1 and FILE not in frame.columns else frame
        )
    heads = {tuple(sorted(frame.columns)) for frame in frames.values()}
    notes = []
    if len(heads) > 1:
        notes.append(f"The {len(files):,} files have {len(heads)} different headers; a column a file lacks is empty.")
    whole, told = _seeds_as_lines(pl.concat(frames.values(), how="diagonal"))
    return whole, notes + told


def _seeds_as_lines(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """A table whose columns are seeds (`auc_seed1`, `auc_seed2`; `run 1`, `run 2`) with a line for each of them."""
    found = {column: match for column in frame.columns if (match := _SEED_COLUMN.fullmatch(column.strip()))}
    numbers = sorted({match["number"] for match in found.values()}, key=lambda n: (len(n), n))
    if len(numbers) < 2 or not all(any(number(v) is not None for v in frame[column]) for column in found):
        return frame, []
    name = next(iter(found.values()))["word"].lower()
    others = [column for column in frame.columns if column not in found]
    parts = []
    for seed in numbers:
        own = {
            c: f"{m['before'] or ''} {m['after'] or ''}".strip(" _-.") for c, m in found.items() if m["number"] == seed
        }
        renamed = [pl.col(column).alias(metric or "score") for column, metric in own.items()]
        parts.append(frame.select(*others, pl.lit(seed).alias(name), *renamed))
    which = f"{', '.join(list(found)[:4])}{' …' * (len(found) > 4)}"
    return pl.concat(parts, how="diagonal"), [f"The columns {which} are taken as {len(numbers)} {name}s of each line."]


def _table(file: Path) -> pl.DataFrame:
    table = TableFile(file)
    if table.text:
        table.delimiter = delimiter_of(table.first_line(), table.delimiter)
    names = table.columns()
    frame = table.read(names)
    if table.text:
        frame.columns = [name if name.strip() else f"column {i + 1}" for i, name in enumerate(names)]
    plain = [name for name in frame.columns if not frame[name].dtype.is_nested() and frame[name].dtype != pl.Binary]
    text = frame.select(pl.col(name).cast(pl.String).str.strip_chars() for name in plain)
    return text.with_columns(pl.when(pl.all() != "").then(pl.all()))
