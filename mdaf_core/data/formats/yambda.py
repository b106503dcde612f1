"""Yambda (Yandex Music, 2025): who listened to how much of which track, on a clock that starts anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import Field

from mdaf_core.base.errors import BadInputError, UsageError
from mdaf_core.base.progress import Progress
from mdaf_core.data.formats.base import EventRule, RawTable, Size, Source, id_fields, rows_as_events
from mdaf_core.data.formats.options import SourceOptions, SplitKind, numeric_scaling
from mdaf_core.data.reading.blocks import fingerprint_file
from mdaf_core.data.reading.files import exists, find, is_folder
from mdaf_core.data.reading.layout import ID_RANGE
from mdaf_core.data.reading.table_columns import CheckedColumns
from mdaf_core.data.reading.table_file import TableFile, rows_of
from mdaf_core.data.reading.table_files import TableFiles
from mdaf_core.data.reading.text import EXAMPLES
from mdaf_core.data.store.scaling import Transform
from mdaf_core.data.store.schema import SPLITS, FieldSpec

LAST, DAY, GAP = 26_000_000, 86_400, 1_800  # seconds; see docs/data.md
TEST_FROM = LAST - DAY
VAL_FROM, VAL_TO = TEST_FROM - GAP - DAY, TEST_FROM - GAP
_STEP = 5
_ALL = "multi_event.parquet"
_FILES = {"listens": ("listens.parquet",), "likes": ("likes.parquet", "dislikes.parquet")}
_COLUMNS = ("uid", "timestamp", "item_id", "is_organic")
_PLAYED, _LENGTH = "played_ratio_pct", "track_length_seconds"


class YambdaOptions(SourceOptions):
    """Options of `yambda`."""

    split: SplitKind = Field(
        "given",
        description="given: the official split. The last day (from 25,913,600 s) is the test, the day before it "
        "validation; 30 minutes before each are no rows; users without training rows are left out. time, "
        "leave-last-out and random: of all rows.",
    )
    task: Literal["listens", "likes"] = Field(
        "listens",
        description="listens: a row is a listen, 1 where enough of the track was played. likes: a row is a like (1) or "
        "a dislike (0).",
    )
    positive_from: int = Field(
        50,
        ge=1,
        description="Listens to at least so many per cent of the track are positives (50 is half of it; replayed "
        "parts count, so there are more than 100).",
        json_schema_extra={"with": {"task": ["listens"]}},
    )
    history: EventRule = Field(
        "positives", description="Histories of earlier positives, of all earlier rows of the task, or none."
    )
    numeric_scaling: Transform = numeric_scaling("standard", **{"with": {"task": ["listens"]}})


def read(path: Path, options: YambdaOptions, progress: Progress) -> RawTable:
    """Read listens.parquet (or likes and dislikes, or multi_event.parquet), or the folder `flat/50m` that holds it."""
    listens = options.task == "listens"
    raw = RawTable(
        rows=pl.DataFrame(),
        fields=[
            *id_fields("Track"),
            FieldSpec(name="is_organic", description="Whether the user found it (1) or it was recommended (0)"),
        ],
        titles={"is_organic": pl.DataFrame({"id": [0, 1], "title": ["recommended", "found by the user"]})},
        title=f"Yambda, {options.task}",
        label=f"played to {options.positive_from}% or more" if listens else "liked (0: disliked)",
        numeric_scaling=options.numeric_scaling,
        calendar=False,
    )
    if listens:
        raw.fields.append(FieldSpec(name="track_length_seconds", kind="numeric", description="Length of the track, s"))
    files = _files(path, options)
    parts = []
    for i, file in enumerate(files):
        progress(i / len(files), f"Reading {file.name}")
        parts.append(_read(file, options, raw))
        raw.inputs[file.name] = fingerprint_file(file)
    rows = pl.concat(parts, rechunk=False)
    del parts
    if options.history != "none":
        raw.events, raw.history_fields = rows_as_events(rows, options.history, ["item"]), ["item"]
    raw.rows = _official(rows, raw.notes) if options.split == "given" and not options.new_rows else rows
    return raw


def _read(file: Path, options: YambdaOptions, raw: RawTable) -> pl.DataFrame:
    """Columns label, user, item, timestamp, is_organic and, of listens, track_length_seconds.

    Raises:
        BadInputError: a column is missing, or holds what it cannot.
    """
    source = TableFiles([(None, TableFile(file, skip_bad_rows=options.skip_bad_rows))])
    held, listens = source.columns(), options.task == "listens"
    wanted = [*_COLUMNS, *(["event_type"] if "event_type" in held else [])]
    wanted += [_LENGTH] if listens else []
    wanted += [_PLAYED] if listens and not (options.new_rows and _PLAYED not in held) else []
    table = CheckedColumns(source.read(wanted), source)
    event = table.frame["event_type"].cast(pl.String) if "event_type" in wanted else None
    positive, *others = ("listen",) if listens else ("like", "dislike")
    of_task = (
        pl.Series([True]).new_from_index(0, len(table.frame)) if event is None else event.is_in([positive, *others])
    )

    def number(column: str, between: tuple[int, int], missing: bool = False) -> pl.Series:
        values = table.frame[column]
        if values.dtype.is_nested():
            raise BadInputError(f"The column {column!r} holds lists, one row a user: take the file of flat/.", file)
        whole = values.cast(pl.Int64, strict=False)
        bad = ~whole.is_between(*between).fill_null(missing) & of_task
        low, high = between
        table.mark(bad, f"The field {column} must be a whole number from {low:,} to {high:,}", values)
        return whole.fill_null(0).cast(pl.Int32) if not missing else whole.cast(pl.Int32)

    columns = {
        "user": number("uid", ID_RANGE),
        "item": number("item_id", ID_RANGE),
        "timestamp": number("timestamp", (0, ID_RANGE[1] if options.new_rows else LAST)),
        "is_organic": number("is_organic", (0, 1)).cast(pl.Int8),
    }
    if listens:
        columns[_LENGTH] = number(_LENGTH, ID_RANGE, missing=True)
    if _PLAYED in wanted:
        played = number(_PLAYED, ID_RANGE, missing=options.new_rows)
        largest = played.filter(of_task).max()
        if largest is not None and largest <= 1 and not options.new_rows:  # type: ignore[operator]
            raise BadInputError(f"{_PLAYED} is at most 1 here: it must be per cent, as published, and no share.", file)
        columns["label"] = (played >= options.positive_from).cast(pl.UInt8)
    elif listens:
        columns["label"] = pl.Series([None], dtype=pl.UInt8).new_from_index(0, len(table.frame))
    elif event is not None:
        columns["label"] = (event == positive).cast(pl.UInt8)
    else:
        columns["label"] = pl.Series([int("dislike" not in file.name)], dtype=pl.UInt8).new_from_index(
            0, len(table.frame)
        )
    rows = pl.DataFrame(columns).filter(of_task & ~table.bad)
    raw.skipped_rows += int(table.bad.sum()) + source.ragged
    raw.examples["skipped"] = (raw.examples.get("skipped", []) + table.examples.get("skipped", []))[:EXAMPLES]
    odd = int((rows["timestamp"] % _STEP != 0).sum())
    if odd:
        raw.notes.append(
            f"{file.name}: {odd:,} times are no multiples of {_STEP} s, as those of the published files are."
        )
    return rows


def _official(rows: pl.DataFrame, notes: list[str]) -> pl.DataFrame:
    """The rows of the official split, with `split`. Where no row is of the day of validation, there is none, and
    training goes on to the gap before the test, as where the benchmark takes no validation part."""
    time = pl.col("timestamp")
    has_val = not rows.filter(time.is_between(VAL_FROM, VAL_TO, closed="left")).is_empty()
    train_to = VAL_FROM - GAP if has_val else VAL_TO
    part = (
        pl.when(time < train_to).then(pl.lit("train"))
        .when(time.is_between(VAL_FROM, VAL_TO, closed="left")).then(pl.lit("val"))
        .when(time >= TEST_FROM).then(pl.lit("test"))
    )  # fmt: skip
    kept = rows.with_columns(part.cast(pl.Enum(SPLITS)).alias("split")).filter(pl.col("split").is_not_null())
    training = kept.filter(pl.col("split") == "train")["user"].unique()
    known = kept.filter(pl.col("user").is_in(training.implode()))
    if len(training) == 0 or known.filter(pl.col("split") == "test").is_empty():
        raise UsageError(
            f"The official split tests on rows from {TEST_FROM:,} s on, of users with rows before {train_to:,} s, and "
            "there are none: take split=time."
        )
    if len(kept) < len(rows):
        notes.append(
            f"{len(rows) - len(kept):,} rows of the 30 minutes before the test and before validation are no rows, as "
            "the official split has it, and events of later histories alone."
        )
    if len(known) < len(kept):
        notes.append(
            f"{len(kept) - len(known):,} validation or test rows of users without training rows were left out, as the "
            "official split has it."
        )
    return known


def _files(path: Path, options: YambdaOptions) -> list[Path]:
    """The files of the task; `path` itself where it is one.

    Raises:
        BadInputError: they are not there.
    """
    if not is_folder(path):
        return [path]
    for names in (_FILES[options.task], (_ALL,)):
        if all(exists(path / name) for name in names):
            return [path / name for name in names]
    raise BadInputError(
        f"There is no {' and no '.join(_FILES[options.task])} here, and no {_ALL}; expected {_EXPECTED}.", path
    )


def _check(path: Path, options: YambdaOptions) -> None:
    for file in _files(path, options):
        columns = TableFile(file).columns()
        missing = [name for name in _COLUMNS if name not in columns]
        if missing:
            raise BadInputError(f"The file has no column {missing[0]!r}, so it is none of Yambda's flat files.", file)
        if file == path and options.task == "likes" and "event_type" not in columns:
            raise BadInputError("task=likes needs likes and dislikes: take the folder, or multi_event.parquet.", file)


def _size(path: Path, options: YambdaOptions) -> Size:
    rows = sum(rows_of(file)[0] for file in _files(path, options))
    events = 0 if options.history == "none" else rows
    # What is read and the rows made of it, once more where parts are taken, and the events.
    return Size(lines=rows, read=0, rows=rows, events=events, fields=4, history_fields=1, held=40)


_EXPECTED = "listens.parquet or multi_event.parquet of Yambda's flat files, or the folder flat/50m"


SOURCE = Source(
    name="yambda",
    title="Yambda: listens to tracks, and likes, on a clock that starts anywhere",
    path_help=_EXPECTED,
    options=YambdaOptions,
    read=read,
    default_name=lambda _path, options: f"yambda-{options.task}",
    files=lambda path, options: [find(file).file for file in _files(path, options)],
    size=_size,
    check=_check,
    is_own=lambda path: {*_COLUMNS} <= {*TableFile(path).columns()},
    event_rule=lambda options: options.history,
    place=44,
)
