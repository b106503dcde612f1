"""What a source is, and what it hands to `prepare`: a table of rows, a log of events, and words about both."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator, model_validator

from mdaf_core.base.errors import BadInputError, UsageError
from mdaf_core.base.validation import in_words, label, problems
from mdaf_core.data.formats.files import exists, expand, find, is_folder
from mdaf_core.data.prepare.scaling import Transform
from mdaf_core.data.store.schema import FieldSpec, TimeUnit

Progress = Callable[[float, str], None]
SplitKind = Literal["time", "last-day", "leave-last-out", "random"]
EventRule = Literal["rows", "positives", "none"]
"""Which rows are events of later histories."""

RESERVED_COLUMNS = frozenset(
    ("label", "timestamp", "user_index", "row_id", "history_start", "history_end", "true_probability", "split")
)
RANDOM_SPLIT: dict[str, Any] = {"with": {"split": ["random"]}}
TIME_SPLIT: dict[str, Any] = {"with": {"split": ["time"]}}
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class Implied(NamedTuple):
    """The value that another option gives an option; `fixed`: it cannot be set beside that one."""

    value: Any
    by: str
    fixed: bool


def numeric_scaling(default: Transform, **effect: Any) -> Any:
    """The option of sources that have numeric fields; `effect` as in `SourceOptions`."""
    return Field(
        default,
        description="How numbers enter models. standard: sign(x) ln(1 + |x|), then standardised on training rows. log: "
        "the first alone. none: as they are, which large numbers make training diverge.",
        json_schema_extra=effect or None,
    )


class SourceOptions(BaseModel):
    """Options every source has; a source's own class adds to them.

    `json_schema_extra={"with": {"split": ["random"]}}` says that an option has an effect with these values of another
    one alone.
    """

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)

    split: SplitKind = Field(
        "time",
        description="time: earliest rows train, latest test. last-day: the last day is the test, the day before it "
        "validation. leave-last-out: each user's last row is test, the one before validation. random: only to "
        "reproduce work that did so; the audit marks it.",
    )
    fractions: tuple[float, float, float] = Field(
        (0.8, 0.1, 0.1),
        description="Shares of train, validation and test rows (splits time and random).",
        json_schema_extra={"with": {"split": ["time", "random"]}},
    )
    val_from: datetime | None = Field(
        None,
        description="Split time: first moment of validation, in the data set's timezone, instead of fractions.",
        json_schema_extra=TIME_SPLIT,
    )
    test_from: datetime | None = Field(
        None,
        description="Split time: first moment of test, in the data set's timezone, instead of fractions.",
        json_schema_extra=TIME_SPLIT,
    )
    split_seed: int = Field(42, ge=0, description="Seed of the random split.", json_schema_extra=RANDOM_SPLIT)
    min_count: int = Field(
        1, ge=1, description="Training rows an id needs to get a code of its own; rarer ids are 'unknown'."
    )
    skip_bad_rows: bool = Field(False, description="Leave out rows that cannot be read, and count them.")
    _new_rows: bool = PrivateAttr(False)

    @property
    def new_rows(self) -> bool:
        """Whether `read` reads rows that are to be predicted: their labels may be missing (null), none is sampled or
        left out for its time, and what the rows lack as a whole is no fault."""
        return self._new_rows

    def for_new_rows(self, skip_bad_rows: bool = False) -> Self:
        """These options for rows that are to be predicted."""
        options = self.model_copy(update={"skip_bad_rows": skip_bad_rows})
        options._new_rows = True
        return options

    @classmethod
    def implied(cls, _chosen: dict[str, Any]) -> dict[str, Implied]:
        """What the chosen options decide about others; a source with such options says so."""
        return {}

    @classmethod
    def has_effect(cls, name: str, chosen: dict[str, Any]) -> bool:
        """Whether an option changes anything beside those chosen (the others are at their defaults)."""
        extra = cls.model_fields[name].json_schema_extra
        needed: Any = extra.get("with", {}) if isinstance(extra, dict) else {}
        return all(chosen.get(key, cls.model_fields[key].get_default()) in values for key, values in needed.items())

    @field_validator("*", mode="before")
    @classmethod
    def _split_lists(cls, value: Any, info: Any) -> Any:
        """Lists may be given as text: `0.8,0.1,0.1`, `80/10/10` or `pv,cart`."""
        if isinstance(value, str) and info.field_name is not None:
            annotation = str(cls.model_fields[info.field_name].annotation)
            if annotation.startswith("list") and value.lstrip().startswith("["):
                with suppress(ValueError, RecursionError):
                    return json.loads(value)
            if annotation.startswith(("tuple", "list")):
                parts = value.replace("/", ",") if annotation.startswith("tuple[float") else value
                return [part.strip() for part in parts.split(",") if part.strip()]
            if value == "" and "None" in annotation:
                return None
        return value

    @field_validator("fractions")
    @classmethod
    def _check_fractions(cls, value: tuple[float, float, float]) -> tuple[float, float, float]:
        total = sum(value)
        if min(value) <= 0 or not (abs(total - 1) < 1e-6 or abs(total - 100) < 1e-6):
            raise ValueError("take three positive shares that add up to 1 (or to 100), for instance 0.8,0.1,0.1")
        return (value[0] / total, value[1] / total, value[2] / total)

    @model_validator(mode="after")
    def _check_dates(self) -> Self:
        if (self.val_from is None) != (self.test_from is None):
            raise ValueError("val_from and test_from go together: give both or neither")
        if self.val_from is not None and self.test_from is not None:
            if self.split != "time":
                raise ValueError("val_from and test_from belong to split=time")
            if self.val_from.replace(tzinfo=None) >= self.test_from.replace(tzinfo=None):
                raise ValueError("val_from must be before test_from")
        return self


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
            `user` doubles as the user field. Optional `split` ('train' | 'val' | 'test') if the source assigns it;
            a split that the user chose wins. Further columns (`true_probability`, a planted segment) are stored with
            the rows and are never model inputs.
        fields: the inputs in column order; `vocabulary_size` is filled in by `prepare`.
        history_fields: names of the categorical fields recorded for each event; empty: no histories.
        events: columns `user`, `timestamp`, each history field (same raw ids as in `rows`) and, where known,
            `positive` (whether the event was a click). A row's history is every event of its user with a strictly
            earlier timestamp. Or, for ready-made histories: `row` (index into `rows`) instead of `user` and
            `timestamp`, each row's events oldest first.
        as_text: field → how ids that are kept as numbers are written in the input; their order as numbers is kept.
        titles: field → frame with columns `id` (as in the input) and `title`, for people.
        title: the data set in words; label: what a label of 1 means.
        numeric_scaling: of the numeric fields, whose columns hold the source's own numbers.
        time_unit: of timestamps in rows and events: fine enough that no two moments of the input fall together.
        calendar: whether times are moments; false: they order rows, and neither hours nor days are known.
        timezone: of hours and weekdays; `timezone_assumed` if nothing in the data says so.
        window: first and last+1 second (Unix) the data is said to cover; `outside_window` rows lay outside, and
            `outside_window_kept` says whether they are still in `rows`.
        inputs: file name → {"bytes", "sha256"}; skipped_rows: bad rows left out on request.
        examples: the first lines that were `skipped` and the first rows `outside` the window, for people.
        notes: sentences on what in the input deserves a look; the audit warns with them.
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
    negatives: NegativeSampling | None = None


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
    """A kind of input. Each module of this package exposes one as `SOURCE`.

    Attributes:
        name: as on the command line.
        title: one line for people.
        path_help: what `path` must be, as a phrase; empty: the source needs no path.
        options: pydantic class of its options.
        read: reads `path`; reports progress from 0 to 1.
        default_name: name of the prepared data set when none is given.
        files: those that `read` will read, or more.
        check: refuses a path that does not hold the files it reads, at once and without reading them.
        main_file: where the input is a folder, the file that holds the rows.
        event_rule: which rows of a plain table (one whose columns are named as the fields) are events of later
            histories, where the source's own files are not at hand.
        numbers: ids that are numbers in such a table, and `from_numbers` what makes ids of them.
        size: estimates how large the data set will be; None: cannot say.
    """

    name: str
    title: str
    path_help: str
    options: type[SourceOptions]
    read: Callable[[Path | None, Any, Progress], RawTable]
    default_name: Callable[[Path | None, Any], str]
    files: Callable[[Path, Any], list[Path]] = files_below
    size: Callable[[Path, Any], Size | None] | None = None
    check: Callable[[Path, Any], None] | None = None
    main_file: Callable[[Path], str] | None = None
    event_rule: Callable[[Any], EventRule] = lambda _options: "none"
    numbers: Callable[[Any], Sequence[str]] = lambda _options: ()
    from_numbers: Callable[[pl.Expr], pl.Expr] = lambda numbers: numbers


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


_MODULES = {
    "synthetic": "synthetic",
    "user-behavior": "user_behavior",
    "taobao-ads": "taobao_ads",
    "movielens": "movielens",
    "criteo": "criteo",
    "table": "table",
}


def source_names() -> list[str]:
    return list(_MODULES)


def get_source(name: str) -> Source:
    """The source of that name.

    Raises:
        UsageError: there is none; the message lists those there are.
    """
    if name not in _MODULES:
        raise UsageError(f"There is no source {name!r}. Known: {', '.join(_MODULES)}.")
    source: Source = import_module(f"mdaf_core.data.formats.{_MODULES[name]}").SOURCE
    return source


def parse_options(source: Source, options: dict[str, Any]) -> Any:
    """Validated options of `source`.

    Raises:
        UsageError: an unknown option (the message lists the known ones) or a value it does not take.
    """
    unknown = [key for key in options if key not in source.options.model_fields]
    if unknown:
        raise UsageError(
            f"The source {source.name!r} has no option {unknown[0]!r}. Known: {', '.join(source.options.model_fields)}."
        )
    try:
        return source.options.model_validate(options)
    except ValidationError as error:
        first = problems(error)[0]
        where = ".".join(first.path)
        raise UsageError(first.sentence(where and f"The option {where}")) from None


def refused_options(options: type[SourceOptions], given: dict[str, Any]) -> dict[str, str]:
    """Why values are not taken, by option, in the words of a form ('': options that do not go together). Options that
    are needed and not given yet are left out: `parse_options` asks for them."""
    try:
        options.model_validate(given)
    except ValidationError as error:
        found = [problem for problem in problems(error) if not problem.path or problem.path[0] in given]
        named = [(problem.path[0] if problem.path else "", problem) for problem in found]
        return {name: in_words(problem, lambda path: label(path[0])) for name, problem in reversed(named)}
    return {}


def check_path(source: Source, path: Path | None) -> Path | None:
    """The path that `source` will read.

    Raises:
        UsageError: it needs one and there is none, or the other way round.
        BadInputError: there is nothing there.
    """
    if not source.path_help:
        if path is not None:
            raise UsageError(f"The source {source.name!r} reads no file: leave the path out.")
        return None
    if path is None:
        raise UsageError(f"The source {source.name!r} needs a path: {source.path_help}.")
    path = expand(path)
    if not exists(path):
        raise BadInputError(f"There is nothing at this path; expected {source.path_help}.", path)
    return path


def calendar_columns(timezone: str, unit: TimeUnit = "s") -> list[pl.Expr]:
    """`hour` (0 to 23) and `dayofweek` (1 Monday to 7 Sunday) of `timestamp` in a timezone."""
    local = pl.from_epoch(pl.col("timestamp").cast(pl.Int64), time_unit=unit).dt.replace_time_zone("UTC")
    local = local.dt.convert_time_zone(timezone)
    return [local.dt.hour().cast(pl.Int8).alias("hour"), local.dt.weekday().cast(pl.Int8).alias("dayofweek")]


def calendar_fields() -> list[FieldSpec]:
    return [FieldSpec(name="hour", description="Hour of the day"), FieldSpec(name="dayofweek", description="Weekday")]


def weekday_titles() -> pl.DataFrame:
    return pl.DataFrame({"id": pl.Series(range(1, 8), dtype=pl.Int8), "title": list(WEEKDAYS)})


def no_progress(_fraction: float, _message: str) -> None:
    """Progress of someone who does not ask."""
