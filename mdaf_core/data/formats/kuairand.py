"""KuaiRand (Kuaishou, 2022): videos that a feed showed, and a log of videos that chance put into it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

import polars as pl
from pydantic import Field, field_validator

from mdaf_core.base.errors import BadInputError
from mdaf_core.base.progress import Progress
from mdaf_core.data.formats.base import (
    EventRule,
    RawTable,
    Size,
    Source,
    id_fields,
    rows_as_events,
)
from mdaf_core.data.formats.options import SourceOptions, SplitKind, numeric_scaling
from mdaf_core.data.reading.blocks import check_header
from mdaf_core.data.reading.described import positions, undescribed
from mdaf_core.data.reading.files import count_lines, find, is_folder
from mdaf_core.data.reading.kuairand_files import (
    AFTER,
    LOG,
    RANDOM,
    STANDARD,
    STATISTICS,
    USERS,
    VIDEOS,
    compact,
    find_all,
    read_described,
    read_log,
)
from mdaf_core.data.reading.parts import Part, read_parts
from mdaf_core.data.reading.taobao import TIMEZONE, midnight
from mdaf_core.data.reading.text import EXAMPLES, Text
from mdaf_core.data.store.scaling import Transform
from mdaf_core.data.store.schema import FieldSpec
from mdaf_core.forms.text import as_list

Label = Literal[
    "is_click", "long_view", "is_like", "is_follow", "is_comment", "is_forward", "is_hate", "is_profile_enter"
]  # fmt: skip
UserField = Literal[
    "user_active_degree", "is_lowactive_period", "is_live_streamer", "is_video_author", "follow_user_num_range",
    "fans_user_num_range", "friend_user_num_range", "register_days_range", "onehot_feat0", "onehot_feat1",
    "onehot_feat2", "onehot_feat3", "onehot_feat4", "onehot_feat5", "onehot_feat6", "onehot_feat7", "onehot_feat8",
    "onehot_feat9", "onehot_feat10", "onehot_feat11", "onehot_feat12", "onehot_feat13", "onehot_feat14",
    "onehot_feat15", "onehot_feat16", "onehot_feat17",
]  # fmt: skip
VideoField = Literal[
    "tag", "author_id", "video_type", "upload_type", "music_id", "music_type", "server_width", "server_height"
]  # fmt: skip
NO_INPUTS: dict[str, str] = (
    dict.fromkeys(AFTER, "is known only after the video was shown, and is no input")
    | {"date": "is the day of time_ms, and is no input"}
    | {"hourmin": "is the hour of time_ms times 100, without minutes, and is no input: the field hour has it"}
    | {"time_ms": "is the time of the row; the fields hour and dayofweek are made of it"}
    | {"visible_status": "says whether the video can be seen now, after all rows, and is no input"}
    | {"is_rand": "says which log a row is of, and is no input"}
)
"""Columns that are none, and why, as the end of a sentence."""
WINDOW = (midnight(2022, 4, 8), midnight(2022, 5, 9))
"""The period that the files are named by: 8 April to 8 May 2022."""
_LABELS: dict[Label, str] = {
    "is_click": "clicked; in the feed of one column, watched to the end or for over 7 s",
    "long_view": "watched to the end or for 18 s",
    "is_like": "liked",
    "is_follow": "followed its author",
    "is_comment": "commented on",
    "is_forward": "forwarded",
    "is_hate": "marked as disliked",
    "is_profile_enter": "entered the profile of its author",
}


class KuaiRandOptions(SourceOptions):
    """Options of `kuairand`."""

    split: SplitKind = Field(
        "time",
        description="time and so on: of the standard logs alone; the random log is not read. given: the random log, in "
        "which chance chose the videos, is the test; rows of the standard logs before its first one train and "
        "validate; those beside it in time are events of histories alone.",
    )
    label: Label = Field("is_click", description="What a label of 1 means; all of these are known only afterwards.")
    history: EventRule = Field(
        "positives",
        description="Histories of earlier videos with label 1, of all that were shown (rows), or none. Videos of the "
        "random log are never in them.",
    )
    user_fields: list[UserField] = Field(
        [
            "user_active_degree", "is_live_streamer", "is_video_author", "follow_user_num_range",
            "fans_user_num_range", "friend_user_num_range", "register_days_range",
        ],
        description="Inputs from user_features: the state of users at one moment, which is not stated.",
    )  # fmt: skip
    video_fields: list[VideoField] = Field(
        ["tag", "author_id", "video_type", "upload_type", "music_type"],
        description="Inputs from video_features_basic; of a video's tags the first, as its category.",
    )
    statistics: list[str] = Field(
        [],
        description="Numbers from video_features_statistic, such as like_cnt. They are means over the whole month, "
        "that of the test rows included, so they know the future: only to reproduce work that took them.",
    )
    numeric_scaling: Transform = numeric_scaling("standard")

    def at(self, path: Path | None) -> Self:
        """Without the fields of files that are not there, unless they were asked for by name."""
        files = {"user_fields": USERS, "video_fields": VIDEOS}
        absent = [name for name, stem in files.items() if path is not None and not find_all(path, stem)]
        return self.model_copy(update={name: [] for name in absent if name not in self.model_fields_set})

    @field_validator("user_fields", "video_fields", "statistics", mode="before")
    @classmethod
    def _no_outcomes(cls, value: Any) -> Any:
        names = as_list(value) if isinstance(value, str) else value
        for name in names if isinstance(names, list) else []:
            if name in NO_INPUTS:
                raise ValueError(f"{name} {NO_INPUTS[name]}")
        return names


def read(path: Path, options: KuaiRandOptions, progress: Progress) -> RawTable:
    """Read the logs of a folder, or one log, with what the files beside them say of users and videos."""
    notes: list[str] = []

    def read_file(log: Path, _stage: str, progress: Progress) -> Text:
        text, found = read_log(
            log, options.label, progress, skip_bad_rows=options.skip_bad_rows, new_rows=options.new_rows
        )
        notes.extend(found)
        return text

    text, inputs = read_parts([Part(None, log) for log in _logs(path, options)], read_file, progress)
    shown = text.frame
    rows, chosen = _rows(shown, path, options)
    past = shown.filter(~pl.col("random"))
    raw = RawTable(
        rows=rows.drop("random"),
        fields=[
            *id_fields("Video"),
            FieldSpec(name="tab", description="Scenario in the app"),
            FieldSpec(name="duration_ms", kind="numeric", description="Length of the video, ms"),
        ],
        history_fields=[] if options.history == "none" else ["item"],
        events=None if options.history == "none" else rows_as_events(past, options.history, ["item"]),
        title=f"KuaiRand ({', '.join(inputs)})",
        label=_LABELS[options.label],
        numeric_scaling=options.numeric_scaling,
        time_unit="ms",
        timezone=TIMEZONE,
        window=WINDOW,
        inputs=inputs,
        skipped_rows=text.skipped,
        examples=text.examples,
        notes=notes + chosen,
    ).with_calendar()
    if not (options.user_fields or options.video_fields):
        raw.notes.append("Rows have no inputs of users and videos but their ids: their files are not beside the log.")
    _describe(raw, path, options)
    return raw


def _rows(shown: pl.DataFrame, path: Path, options: KuaiRandOptions) -> tuple[pl.DataFrame, list[str]]:
    """The rows of the data set, with `split` where the random log is the test; and notes.

    Raises:
        BadInputError: none is left.
    """
    random = shown["random"]
    count = int(random.sum())
    if options.new_rows:
        return shown, []
    if options.split != "given":
        if count == len(shown):
            raise BadInputError(
                "All rows are of the random log (is_rand is 1), which is there to test on: take the folder with the "
                "standard logs, with split=given.",
                path,
            )
        notes = [f"{log.name} is not read: it is there to test on (split=given)." for log in find_all(path, RANDOM)]
        if not count:
            return shown, notes if is_folder(path) else []
        note = (
            f"{count:,} rows that chance chose (is_rand is 1) were left out: they are there to test on (split=given)."
        )
        return shown.filter(~random), [note]
    begin = shown["timestamp"].filter(random).min()
    if begin is None:
        raise BadInputError(
            f"split=given tests on the random log, and there is none ({RANDOM}_…csv, is_rand 1): take the folder that "
            "holds it, or split=time.",
            path,
        )
    earlier = shown["timestamp"] < begin
    beside = int((~random & ~earlier).sum())
    if not (earlier & ~random).any():
        raise BadInputError(
            f"No row of a standard log is earlier than the random log, so there is nothing to train on: add "
            f"{STANDARD[0]}_…csv, or take split=time.",
            path,
        )
    note = (
        f"{beside:,} rows of the standard logs are as late as the random log, on which is tested: they are no rows, "
        "and events of later histories alone."
    )
    part = pl.when(random).then(pl.lit("test")).otherwise(pl.lit("train")).alias("split")
    return shown.with_columns(part).filter(random | earlier), [note] if beside else []


def _describe(raw: RawTable, path: Path, options: KuaiRandOptions) -> None:
    """Add what the files beside the logs say of users and videos, as far as the options ask for it."""
    described: list[tuple[str, str, str, Sequence[str], Sequence[str]]] = [
        (USERS, "user", "user_id", options.user_fields, ()),
        (VIDEOS, "item", "video_id", options.video_fields, ()),
        (STATISTICS, "item", "video_id", (), options.statistics),
    ]
    for stem, column, key, ids, numbers in described:
        if not (ids or numbers):
            continue
        paths = find_all(path, stem)
        frame, table = read_described(paths, key, ids, numbers, options.skip_bad_rows)
        raw.inputs |= table.file.fingerprints()
        raw.skipped_rows += table.file.ragged + int(table.bad.sum())
        left_out = [*table.file.examples, *table.examples.get("skipped", [])]
        raw.examples["skipped"] = (raw.examples.get("skipped", []) + left_out)[:EXAMPLES]
        if "tag" in ids:
            first = frame["tag"].cast(pl.String).str.split(",").list.first()
            frame = frame.drop("tag").with_columns(compact(first).alias("category"))
        at = positions(raw.rows[column].cast(pl.Int64), frame[key], paths[0])
        raw.notes += undescribed(paths[0].name, "user" if column == "user" else "video", raw.rows[column], at)
        names = [name for name in frame.columns if name != key]
        raw.rows = raw.rows.with_columns(frame[name].gather(at) for name in names)
        raw.fields += [
            FieldSpec(name="category", role="category", description="First tag of the video")
            if name == "category"
            else FieldSpec(
                name=name, kind="numeric" if name in numbers else "categorical", description=f"{stem}: {name}"
            )
            for name in names
        ]
        if "category" in names and raw.events is not None:
            past = positions(raw.events["item"].cast(pl.Int64), frame[key], paths[0])
            raw.events = raw.events.with_columns(frame["category"].gather(past))
            raw.history_fields.append("category")
    if options.user_fields:
        raw.notes.append(f"{USERS} says how users were at one moment, which is not stated: it may be later than a row.")
    if options.statistics:
        raw.notes.append(
            f"{STATISTICS} ({', '.join(options.statistics)}) are means over the whole month, the time of validation "
            "and test rows included: they know the future."
        )


def _logs(path: Path, options: KuaiRandOptions) -> list[Path]:
    if not is_folder(path):
        return [path]
    stems = [*STANDARD, RANDOM] if options.split == "given" or options.new_rows else STANDARD
    return [log for stem in stems for log in find_all(path, stem)]


def _check(path: Path, options: KuaiRandOptions) -> None:
    if not _logs(path, options):
        random = f" There is {RANDOM} alone, which is there to test on." if find_all(path, RANDOM) else ""
        raise BadInputError(f"There is no log of KuaiRand here; expected {_EXPECTED}.{random}", path)
    if not is_folder(path):
        check_header(path, LOG)
    for stem, option in ((USERS, "user_fields"), (VIDEOS, "video_fields"), (STATISTICS, "statistics")):
        if option in options.model_fields_set and getattr(options, option) and not find_all(path, stem):
            raise BadInputError(f"There is no file {stem}_…csv beside the logs, which {option} needs: add it.", path)


def _files(path: Path, options: KuaiRandOptions) -> list[Path]:
    stems = [
        stem
        for stem, names in (
            (USERS, options.user_fields),
            (VIDEOS, options.video_fields),
            (STATISTICS, options.statistics),
        )
        if names
    ]
    files = [*_logs(path, options), *(file for stem in stems for file in find_all(path, stem))]
    return list(dict.fromkeys(find(file).file for file in files))


def _default_name(path: Path | None, _options: KuaiRandOptions) -> str:
    found = (
        re.search(r"_(pure|1k|27k)(?=[_.]|$)", " ".join(log.name for log in _logs(path, _options))) if path else None
    )
    return f"kuairand-{found[1]}" if found else "kuairand"


def _size(path: Path, options: KuaiRandOptions) -> Size:
    rows = sum(map(count_lines, _logs(path, options)))
    described = len(options.video_fields) + 2 * len(options.statistics)
    fields = 6 + len(options.user_fields) + len(options.video_fields) + len(options.statistics)
    events = {"none": 0, "positives": rows // 2, "rows": rows}[options.history]
    videos = sum(map(count_lines, find_all(path, VIDEOS))) if described else 0
    # The rows with all their columns, the events, and what is read of the videos, as text and as ids.
    held = 40 + 4 * fields + 4 * len(options.statistics) + (20 * events + 30 * (1 + described) * videos) / max(rows, 1)
    return Size(lines=rows, read=26, rows=rows, events=events, fields=fields, history_fields=2, held=held)


_EXPECTED = "the folder of KuaiRand-Pure or KuaiRand-1K (or its folder data), or one of its logs"


SOURCE = Source(
    name="kuairand",
    title="KuaiRand: shown videos, with a log of videos chosen by chance to test on",
    path_help=_EXPECTED,
    options=KuaiRandOptions,
    read=read,
    default_name=_default_name,
    files=_files,
    size=_size,
    check=_check,
    event_rule=lambda options: options.history,
    place=42,
)
