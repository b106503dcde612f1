"""What a source is, and what it hands to `prepare`: a table of rows, a log of events, and words about both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import polars as pl
from pydantic import ValidationError

from mdaf_core.base.errors import BadInputError, UsageError
from mdaf_core.base.progress import Progress
from mdaf_core.base.validation import problems
from mdaf_core.data.formats.options import SourceOptions
from mdaf_core.data.reading.files import exists, expand, find, is_folder
from mdaf_core.data.store.scaling import Transform
from mdaf_core.data.store.schema import WEEKDAYS, FieldSpec, Role, TimeUnit
from mdaf_core.forms.fields import nested

EventRule = Literal["rows", "positives", "none"]
"""Which rows are events of later histories."""

RESERVED_COLUMNS = frozenset(
    ("label", "timestamp", "user_index", "row_id", "history_start", "history_end", "true_probability", "split")
)


@dataclass(frozen=True)
class NegativeSampling:
    """Turn rows that are all positive into positives and sampled negatives, once the split is known.

    Attributes:
        per_positive: negatives of each positive (k).
        alpha: an item is drawn with probability proportional to (its rows in the same split) ** alpha.
        seed: of the draw.
        columns: what a drawn item brings along (its own columns); all other columns are the positive's.
    """

    per_positive: int
    alpha: float
    seed: int
    columns: tuple[str, ...] = ("item", "category")


@dataclass
class RawTable:
    """What a source read. `prepare` splits, codes and writes it.

    Attributes:
        rows: one row an impression, in input order. Columns: `label` (0/1 integer); `timestamp` (integer Unix time in
            `time_unit`; absent: input order is time order); `user` (absent: no users, no histories); one column each of
            `fields`: raw ids of any integer or string type (null is an id of its own, ''), or numbers (null: missing);
            `user` doubles as the user field. Optional `split` ('train' | 'val' | 'test', best as `PARTS`) if the files
            give parts or the source assigns them; a split that the user chose wins. Without 'val', a validation part
            is made of training rows (`prepare/split.py`). Further columns (`true_probability`, a planted segment) are
            stored with the rows and are never model inputs.
        fields: the inputs in column order; `vocabulary_size` is filled in by `prepare`.
        history_fields: names of the categorical fields recorded for each event; empty: no histories.
        events: columns `user`, `timestamp`, each history field (same raw ids as in `rows`) and, where known,
            `positive` (whether the event was a click) and `outcome` (what came of it: a word of few, or an Enum). A
            row's history is every event of its user with a strictly earlier timestamp. Or, for ready-made histories:
            `row` (index into `rows`) instead of `user` and `timestamp`, each row's events oldest first. Or `history` in
            its place, a number from 0 on: `rows` have a column of that name, and all rows of a number, of one user,
            read its events; those may have a `timestamp`, and then a row reads the strictly earlier ones alone.
        as_text: field → how ids that are kept as numbers are written in the input; their order as numbers is kept.
        titles: field → frame with columns `id` (as in the input) and `title`, for people.
        title: the data set in words; label: what a label of 1 means.
        numeric_scaling: of the numeric fields, whose columns hold the source's own numbers.
        time_unit: of timestamps in rows and events: fine enough that no two moments of the input fall together.
        calendar: whether times are moments; false: they order rows, and neither hours nor days are known.
        timezone: of hours and weekdays; `timezone_assumed` if nothing in the data says so.
        window: first and last+1 second (Unix) the data is said to cover; `outside_window` rows lay outside, and
            `outside_window_kept` says whether they are still in `rows`.
        inputs: file name → {"bytes", "sha256", "md5"}; skipped_rows: bad rows left out on request.
        examples: the first lines that were `skipped` and the first rows `outside` the window, for people.
        notes: sentences on what in the input deserves a look; the audit warns with them.
        unread: columns of the input that no option names; None: of a format whose columns are known.
        negatives: sample negatives after splitting (all rows must be positive).
    """

    rows: pl.DataFrame
    fields: list[FieldSpec]
    history_fields: list[str] = field(default_factory=list)
    events: pl.DataFrame | None = None
    as_text: dict[str, Callable[[pl.Series], pl.Series]] = field(default_factory=dict)
    titles: dict[str, pl.DataFrame] = field(default_factory=dict)
    title: str = ""
    label: str = "label"
    numeric_scaling: Transform = "standard"
    time_unit: TimeUnit = "s"
    calendar: bool = True
    timezone: str = "UTC"
    timezone_assumed: bool = False
    window: tuple[int, int] | None = None
    outside_window: int = 0
    outside_window_kept: bool = True
    inputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    skipped_rows: int = 0
    examples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    unread: list[str] | None = None
    negatives: NegativeSampling | None = None

    def with_calendar(self) -> RawTable:
        """It, with hour and weekday of the rows' times as fields behind the others; rows may have their columns."""
        if "hour" not in self.rows.columns:
            self.rows = self.rows.with_columns(calendar_columns(self.timezone, self.time_unit))
        self.fields += calendar_fields()
        self.titles["dayofweek"] = weekday_titles()
        return self


@dataclass(frozen=True)
class Size:
    """How large an input and what is made of it are, before anything is read: estimates.

    Attributes:
        lines: of the input; read: bytes a line once it is read.
        rows, events: of the data set.
        fields: inputs of a row; history_fields: those recorded for each event.
        held: bytes a row that are in memory beside what every source needs.
    """

    lines: int
    read: float
    rows: int
    events: int
    fields: int
    history_fields: int
    held: float = 0.0


def files_below(path: Path, _options: Any) -> list[Path]:
    """`path`, or the files of that folder and of the folders in it."""
    if not path.is_dir():
        return [path if path.exists() else find(path).file]
    return sorted(file for pattern in ("*", "*/*") for file in path.glob(pattern) if file.is_file())


@dataclass(frozen=True)
class Source:
    """A kind of input. Each module of this folder that exposes one as `SOURCE` is a source (`registry.py`).

    Attributes:
        name: as on the command line.
        title: one line for people.
        path_help: what `path` must be, as a phrase; empty: the source needs no path.
        options: pydantic class of its options.
        read: reads a path (None of a source that needs none); reports progress from 0 to 1.
        default_name: name of the prepared data set when none is given.
        files: those that `read` will read, or more.
        check: refuses a path that does not hold the files it reads, at once and without reading them.
        main_file: where the input is a folder, the file that holds the rows.
        event_rule: which rows of a plain table (one whose columns are named as the fields) are events of later
            histories, where the source's own files are not at hand.
        numbers: ids that are numbers in such a table, and `from_numbers` what makes ids of them, as vocabularies
            write them.
        sums: md5 by file name, unpacked, where the publisher gives them for what is at the path.
        is_own: of a source whose files name columns as its fields: whether a file is one of them, and no plain table.
        size: estimates how large the data set will be; None: cannot say.
        place: where lists show it.
        code: hash of the plug-in that brings it; empty for the program's own.
    """

    name: str
    title: str
    path_help: str
    options: type[SourceOptions]
    read: Callable[[Any, Any, Progress], RawTable]
    default_name: Callable[[Path | None, Any], str]
    files: Callable[[Path, Any], list[Path]] = files_below
    size: Callable[[Path, Any], Size | None] | None = None
    check: Callable[[Path, Any], None] | None = None
    sums: Callable[[Path, Any], dict[str, str]] = lambda _path, _options: {}
    main_file: Callable[[Path], str] | None = None
    event_rule: Callable[[Any], EventRule] = lambda _options: "none"
    numbers: Callable[[Any], Sequence[str]] = lambda _options: ()
    from_numbers: Callable[[pl.Expr], pl.Expr] = lambda numbers: numbers
    is_own: Callable[[Path], bool] = lambda _path: False
    place: float = 60
    code: str = ""


def parse_options(source: Source, options: dict[str, Any]) -> Any:
    """Validated options of `source`.

    Raises:
        UsageError: an unknown option (the message lists the known ones) or a value it does not take.
    """
    unknown = [key for key in options if key.partition(".")[0] not in source.options.model_fields]
    if unknown:
        raise UsageError(
            f"The source {source.name!r} has no option {unknown[0]!r}. Known: {', '.join(source.options.model_fields)}."
        )
    try:
        return source.options.model_validate(raw := nested(source.options, options))
    except ValidationError as error:
        first = problems(error, raw)[0]
        where = ".".join(first.path)
        raise UsageError(first.sentence(where and f"The option {where}")) from None


def expect_files(path: Path, names: Sequence[str], expected: str) -> None:
    """Refuse a folder or an archive that lacks one of these files.

    Raises:
        BadInputError: says which, and what is there.
    """
    if not is_folder(path):
        return
    missing = [name for name in names if not exists(path / name)]
    if missing:
        held = sorted(child.name for child in path.iterdir())[:8] if path.is_dir() else []
        there = f" It holds {', '.join(held)}." if held else " It holds nothing." if path.is_dir() else ""
        raise BadInputError(f"There is no {' and no '.join(missing)} here; expected {expected}.{there}", path)


def check_path(source: Source, path: Path | None, options: Any = None) -> Path | None:
    """The path that `source` will read; where there is none, the training file that its options name.

    Raises:
        UsageError: it needs one and there is none, or the other way round.
        BadInputError: there is nothing there.
    """
    if not source.path_help:
        if path is not None:
            raise UsageError(f"The source {source.name!r} reads no file: leave the path out.")
        return None
    if path is None and getattr(options, "train_path", None):
        path = Path(options.train_path)
    if path is None:
        raise UsageError(f"The source {source.name!r} needs a path: {source.path_help}.")
    path = expand(path)
    if not exists(path):
        raise BadInputError(f"There is nothing at this path; expected {source.path_help}.", path)
    return path


def id_fields(item: str, category: str = "") -> list[FieldSpec]:
    """The fields item, category (where there are words for it) and user, each with what it is in words."""
    roles: list[tuple[Role, str]] = [("item", item), ("category", category), ("user", "User")]
    return [FieldSpec(name=role, role=role, description=words) for role, words in roles if words]


def rows_as_events(rows: pl.DataFrame, rule: EventRule, names: Sequence[str]) -> pl.DataFrame:
    """The rows, or with the rule `positives` those with label 1, as events with these columns."""
    shown = rows.filter(pl.col("label") == 1) if rule == "positives" else rows
    return shown.select("user", "timestamp", *names, positive="label")


def calendar_columns(timezone: str, unit: TimeUnit = "s") -> list[pl.Expr]:
    """`hour` (0 to 23) and `dayofweek` (1 Monday to 7 Sunday) of `timestamp` in a timezone."""
    local = pl.from_epoch(pl.col("timestamp").cast(pl.Int64), time_unit=unit).dt.replace_time_zone("UTC")
    local = local.dt.convert_time_zone(timezone)
    return [local.dt.hour().cast(pl.Int8).alias("hour"), local.dt.weekday().cast(pl.Int8).alias("dayofweek")]


def calendar_fields() -> list[FieldSpec]:
    return [FieldSpec(name="hour", description="Hour of the day"), FieldSpec(name="dayofweek", description="Weekday")]


def weekday_titles() -> pl.DataFrame:
    return pl.DataFrame({"id": pl.Series(range(1, 8), dtype=pl.Int8), "title": list(WEEKDAYS)})
