"""The files of KuaiRand: where they are, how a log is written, and what the others say of users and videos."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from mdaf_core.base.progress import Progress
from mdaf_core.data.reading.files import exists, is_folder
from mdaf_core.data.reading.layout import ID_RANGE, Column, Layout
from mdaf_core.data.reading.table_columns import CheckedColumns
from mdaf_core.data.reading.table_file import TableFile
from mdaf_core.data.reading.table_files import TableFiles
from mdaf_core.data.reading.text import Text, read_text, shrink
from mdaf_core.data.reading.times import TIME_RANGE, check_published

STANDARD = ("log_standard_4_08_to_4_21", "log_standard_4_22_to_5_08")
RANDOM = "log_random_4_22_to_5_08"
USERS, VIDEOS, STATISTICS = "user_features", "video_features_basic", "video_features_statistic"
_SIZES = ("_pure", "_1k", "_27k", "")
_HOUR_MS = 3_600_000
_OFFSET = 8  # hours of Asia/Shanghai, which has no summer time

SIGNALS = ("is_click", "is_like", "is_follow", "is_comment", "is_forward", "is_hate", "long_view")
LOG = Layout(
    (
        *(Column(name, between=ID_RANGE) for name in ("user_id", "video_id", "date", "hourmin")),
        Column("time_ms", between=TIME_RANGE),
        *(Column(name, "text", choices=("0", "1")) for name in SIGNALS),
        *(Column(name) for name in ("play_time_ms", "duration_ms", "profile_stay_time", "comment_stay_time")),
        *(Column(name, "text", choices=("0", "1")) for name in ("is_profile_enter", "is_rand")),
        Column("tab", between=ID_RANGE),
    ),
    header=True,
    expected="a log of KuaiRand with the header user_id,video_id,date,hourmin,time_ms,is_click,…,is_rand,tab",
)
AFTER = (*SIGNALS, "is_profile_enter", "play_time_ms", "profile_stay_time", "comment_stay_time")
"""Columns of a log that are known only after the video was shown."""


def find_all(path: Path, stem: str) -> list[Path]:
    """The file whose name begins so, or its parts; none where there is none. In `path`, its folder `data`, or in those
    of the one folder it holds."""
    for folder in _folders(path):
        for size in sorted(_SIZES, key=lambda size: size[1:] not in path.name.lower()):
            whole = folder / f"{stem}{size}.csv"
            if exists(whole):
                return [whole]
            parts = [folder / f"{stem}{size}_part{number}.csv" for number in (1, 2, 3)] if size == "_27k" else []
            if found := [part for part in parts if exists(part)]:
                return found
    return []


def _folders(path: Path) -> list[Path]:
    if not is_folder(path):
        return [path.parent]
    if not path.is_dir():  # an archive: files are found by their names
        return [path]
    inside = [child for child in sorted(path.iterdir()) if child.is_dir()]
    return [path, path / "data", *(inside + [child / "data" for child in inside] if len(inside) == 1 else [])]


def read_log(
    path: Path, label: str, progress: Progress, *, skip_bad_rows: bool, new_rows: bool
) -> tuple[Text, list[str]]:
    """Columns label (uint8), user, item, timestamp (ms), tab, duration_ms and random (whether chance chose the video);
    and notes.

    Raises:
        BadInputError: the file is no such log, or its times are no milliseconds.
    """
    counted: Counter[str] = Counter()

    def keep(block: pl.DataFrame) -> pl.DataFrame:
        hour = (pl.col("time_ms") // _HOUR_MS + _OFFSET) % 24
        counted["other hour"] += int(block.select((pl.col("hourmin") // 100 != hour).sum()).item())
        return shrink(
            block.select(
                (pl.col(label) == "1").cast(pl.UInt8).alias("label"),
                pl.col("user_id").alias("user"),
                pl.col("video_id").alias("item"),
                pl.col("time_ms").alias("timestamp"),
                "tab",
                "duration_ms",
                (pl.col("is_rand") == "1").alias("random"),
            )
        )

    layout = LOG.with_optional(*AFTER) if new_rows else LOG
    text = read_text(
        path, layout, skip_bad_rows=skip_bad_rows, progress=progress, keep=keep, counted=counted, stage=path.name
    )
    notes = check_published(text.frame["timestamp"].cast(pl.Int64), path, "ms")
    if other := text.counted["other hour"]:
        notes.append(
            f"{path.name}: hourmin is not the hour of time_ms in UTC+8 in {other:,} rows, as it is in the published "
            "files: the times were written anew, or changed. The hour is taken from time_ms."
        )
    return text, notes


def read_described(
    paths: Sequence[Path], key: str, ids: Sequence[str], numbers: Sequence[str], skip_bad_rows: bool
) -> tuple[pl.DataFrame, CheckedColumns]:
    """The columns `key` (Int64), ids (as `compact`) and numbers (Float64) of files with quoted values such as "(0,10]";
    and what was looked at, with the rows that were left out.

    Raises:
        BadInputError: a file lacks a column, or a line at fault, with its number and text.
    """
    file = TableFiles([(None, TableFile(path, skip_bad_rows=skip_bad_rows)) for path in paths])
    table = CheckedColumns(file.read([key, *ids, *numbers]), file)
    known = table.required(key).cast(pl.Int64, strict=False)
    table.mark(known.is_null(), f"The field {key} must be an integer", table.frame[key])
    columns = [known, *(compact(table.ids(name)) for name in ids), *(table.number(name) for name in numbers)]
    return pl.DataFrame(columns).filter(~table.bad), table


def compact(values: pl.Series) -> pl.Series:
    """Ids as integers, or where they are none as categories: four bytes each, however many rows have them."""
    whole = values.cast(pl.Int64, strict=False)
    if whole.null_count() == values.null_count():
        return shrink(whole.to_frame()).to_series()
    return values.cast(pl.Categorical)
