"""Any CSV, Parquet or JSON lines file: say which columns are label, user, time, item and so on."""

from __future__ import annotations

import re
from datetime import time
from pathlib import Path
from typing import Any, Literal, Self
from zoneinfo import available_timezones

import polars as pl
from pydantic import Field, JsonValue, field_validator, model_validator

from mdaf_core.base.errors import BadInputError, UsageError
from mdaf_core.base.progress import Progress
from mdaf_core.data.formats.base import (
    RESERVED_COLUMNS,
    RawTable,
    Size,
    Source,
    calendar_columns,
    calendar_fields,
    rows_as_events,
    weekday_titles,
)
from mdaf_core.data.formats.options import Implied, numeric_scaling
from mdaf_core.data.formats.parts import PartsOptions, files_of_parts, part_files
from mdaf_core.data.reading.reczoo_sets import misread
from mdaf_core.data.reading.table_columns import CheckedColumns, without_padding
from mdaf_core.data.reading.table_file import TableFile, rows_of
from mdaf_core.data.reading.table_files import TableFiles
from mdaf_core.data.reading.text import EXAMPLES
from mdaf_core.data.reading.time_forms import names_a_day
from mdaf_core.data.reading.times import NumberUnit, check_format, stated_zone
from mdaf_core.data.store.scaling import Transform
from mdaf_core.data.store.schema import TICKS, FieldSpec, Role, TimeUnit

# Options that name columns of the file: a form offers the columns there are.
COLUMN: dict[str, JsonValue] = {"column": True}
DAY = 86_400


class TableOptions(PartsOptions):
    """Options of `table`. Columns are named as in the files."""

    names: list[str] = Field(
        [], description="Names of the columns in order, comma-separated, where the file has no header."
    )
    label: str = Field("label", json_schema_extra=COLUMN, description="Column of the label: 0 or 1, or true and false.")
    positive_from: float | None = Field(
        None, description="Take the label column as a number, and values of at least this as positive (ratings)."
    )
    positive_values: list[str] = Field(
        [], description="Values of the label column that are positive, comma-separated; all others are negative."
    )
    user: str | None = Field(
        None, json_schema_extra=COLUMN, description="Column of the user; without it there are no histories and no gAUC."
    )
    timestamp: str | None = Field(
        None,
        json_schema_extra=COLUMN,
        description="Column of the time: Unix time, ISO 8601, or as timestamp_format says. Without it file order is "
        "time order.",
    )
    timestamp_unit: NumberUnit = Field(
        "s",
        description="What a numeric time counts since 1970: seconds, milli-, micro- or nanoseconds. order: it "
        "puts rows in order and says nothing of hours or days (a clock that starts anywhere, a sequence number).",
    )
    timestamp_format: str | None = Field(
        None,
        description="How times are written, as strftime has it: %y%m%d%H for 14102100, %Y%m%d for 20141021, "
        "%m/%d/%Y %I:%M:%S %p for 11/9/2019 7:21:07 PM.",
        json_schema_extra={"with": {"timestamp_unit": ["s"]}},
    )
    timezone: str = Field("UTC", description="For hours and weekdays, and for times that name no zone.")
    item: str | None = Field(None, json_schema_extra=COLUMN, description="Column of the target item.")
    category: str | None = Field(None, json_schema_extra=COLUMN, description="Column of the item's category.")
    categorical: list[str] = Field(
        [], json_schema_extra=COLUMN, description="Further columns that are ids, comma-separated."
    )
    numeric: list[str] = Field(
        [],
        json_schema_extra=COLUMN,
        description="Columns that are numbers, comma-separated; values may be missing.",
    )
    numeric_scaling: Transform = numeric_scaling("standard")
    calendar: bool = Field(True, description="Add hour and weekday where there is a time.")
    history: Literal["rows", "positives", "none"] = Field(
        "rows", description="Histories from the user's earlier rows, from those with label 1 only, or none."
    )
    history_item: str | None = Field(
        None,
        json_schema_extra=COLUMN,
        description="Column with ready-made histories of items, oldest first: lists, or ids joined by a separator.",
    )
    history_category: str | None = Field(
        None, json_schema_extra=COLUMN, description="Column with the categories of the ready-made histories."
    )
    history_separator: str = Field("^", min_length=1, description="What joins the ids of a ready-made history.")
    history_padding: str | None = Field(
        None, description="Id that only fills the ends of ready-made histories up to one length (often 0): taken away."
    )
    delimiter: str = Field(",", min_length=1, max_length=1, description="Of a CSV file; .tsv files take a tab.")
    part: str | None = Field(
        None,
        json_schema_extra=COLUMN,
        description="Column that says the part of each row, kept row for row (split given): train, val (valid, "
        "validation, dev) or test.",
    )
    part_values: list[str] = Field(
        [],
        description="What the part column calls training, validation and test rows, in this order, comma-separated; "
        "two values: training and test.",
    )

    @classmethod
    def implied(cls, chosen: dict[str, Any]) -> dict[str, Implied]:
        return super().implied(chosen) or ({"split": Implied("given", "part", False)} if chosen.get("part") else {})

    def at(self, path: Path | None) -> Self:
        if path is None or not path.is_dir() or self.model_fields_set & {"split", "part"}:
            return self
        return self.model_copy(update={"split": "given"})

    @model_validator(mode="after")
    def _check_part(self) -> Self:
        if self.part and (self.val_path or self.test_path):
            raise ValueError("part names a column and val_path and test_path name files of the parts: take one")
        if self.part_values and not self.part:
            raise ValueError("part_values needs part, the column that they are of")
        if self.part_values and (
            len(self.part_values) not in (2, 3) or len(set(self.part_values)) < len(self.part_values)
        ):
            raise ValueError("part_values takes two or three different values: training, validation if any, test")
        return self

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError("not the name of a timezone, such as UTC or Asia/Shanghai")
        return value

    @field_validator("timestamp_format")
    @classmethod
    def _usable_format(cls, value: str | None) -> str | None:
        try:
            return value if value in (None, "%s") else check_format(value)
        except UsageError as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _one_label(self) -> Self:
        if self.positive_from is not None and self.positive_values:
            raise ValueError("positive_from is a threshold, positive_values names values: take one")
        return self

    @model_validator(mode="after")
    def _one_way_to_write_times(self) -> Self:
        if self.timestamp_format and self.timestamp_unit != "s":
            raise ValueError("timestamp_format says how times are written, timestamp_unit what numbers count: take one")
        return self


def read(path: Path, options: TableOptions, progress: Progress) -> RawTable:
    """Read a file, or those of the parts, with the columns that `options` name."""
    used, parts = used_columns(options), part_files(path, options)
    progress(0.0, f"Reading {path.name}")
    file = TableFiles([(split, _open(one, options)) for split, one in parts])
    if options.new_rows and options.label not in file.columns():
        used.remove(options.label)
    frame = file.read(used)
    progress(0.6, "Checking columns")
    table = CheckedColumns(frame, file, unlabelled=options.new_rows)
    if not options.new_rows:
        table.notes += misread(file.columns(), _roles(options), options.timestamp_unit == "order")
    columns = {"label": table.label(options.label, options.positive_from, options.positive_values)}
    if options.part and not options.new_rows:
        columns["split"] = table.parts(options.part, options.part_values)
    elif (splits := file.splits()) is not None:
        columns["split"] = splits
    fields: list[FieldSpec] = []

    def add(name: str, values: pl.Series, column: str, role: Role = "context") -> None:
        columns[name] = values
        fields.append(FieldSpec(name=name, role=role, description=f"Column {column}"))

    if options.item:
        add("item", table.required(options.item), options.item, "item")
    if options.category:
        add("category", table.ids(options.category), options.category, "category")
    if options.user:
        add("user", table.required(options.user), options.user, "user")
    names = _field_names([*options.categorical, *options.numeric])
    for column in options.categorical:
        add(names[column], table.ids(column), column)
    for column in options.numeric:
        columns[names[column]] = table.number(column)
        fields.append(FieldSpec(name=names[column], kind="numeric", description=f"Column {column}"))
    time_unit: TimeUnit = "s"
    if options.timestamp:
        columns["timestamp"], time_unit = table.timestamp(
            options.timestamp, options.timestamp_unit, options.timezone, options.timestamp_format
        )
    assumed = "timezone" not in options.model_fields_set
    if options.timestamp and assumed and (zone := stated_zone(frame.schema[options.timestamp])):
        assumed = False
        table.notes.append(
            f"The times {options.timestamp} are in {zone} by their type, hours and weekdays in {options.timezone}: set "
            f"timezone={zone} for those of its clocks."
        )
    histories = _histories(table, options)

    good = ~table.bad
    rows = pl.DataFrame(columns).filter(good)
    if rows.is_empty():
        raise BadInputError("The file holds no row that can be used.", path)
    moments = bool(options.timestamp) and options.timestamp_unit != "order"
    if moments and options.calendar:
        rows = rows.with_columns(calendar_columns(options.timezone, time_unit))
        fields += calendar_fields()
        if why := _no_hour(rows, TICKS[time_unit], options.timezone):
            rows, fields = rows.drop("hour"), [field for field in fields if field.name != "hour"]
            table.notes.append(f"{why} (column {options.timestamp}): there is no field hour.")
        if options.timestamp_format and not names_a_day(options.timestamp_format):
            rows, fields = rows.drop("dayofweek"), [field for field in fields if field.name != "dayofweek"]
            table.notes.append(f"The time {options.timestamp} names months without a day: there is no field dayofweek.")
    if not fields and not options.new_rows:
        raise UsageError("Nothing goes into a model: name item, category, user, categorical or numeric columns.")
    read_columns = set(used)
    events, history_fields = _events(rows, {name: lists.filter(good) for name, lists in histories.items()}, options)
    return RawTable(
        rows=rows,
        fields=fields,
        history_fields=history_fields,
        events=events,
        titles={"dayofweek": weekday_titles()},
        title=path.name,
        label=_label_words(options),
        numeric_scaling=options.numeric_scaling,
        time_unit=time_unit,
        calendar=moments or not options.timestamp,
        timezone=options.timezone,
        timezone_assumed=assumed,
        inputs=file.fingerprints(),
        skipped_rows=file.ragged + int(table.bad.sum()),
        examples={"skipped": (file.examples + table.examples.get("skipped", []))[:EXAMPLES]},
        notes=table.notes,
        unread=[column for column in file.columns() if column not in read_columns],
    )


def _label_words(options: TableOptions) -> str:
    if options.positive_from is not None:
        return f"{options.label} is at least {options.positive_from:g}"
    return f"{options.label} is {' or '.join(options.positive_values or ['1'])}"


def used_columns(options: TableOptions) -> list[str]:
    """Columns of the file that `options` name.

    Raises:
        UsageError: one is named twice, or lacks what it needs.
    """
    single = (
        options.label, options.user, options.timestamp, options.item, options.category,
        options.history_item, options.history_category, None if options.new_rows else options.part,
    )  # fmt: skip
    used = [column for column in (*single, *options.categorical, *options.numeric) if column]
    double = next((column for column in used if used.count(column) > 1), None)
    if double is not None:
        raise UsageError(f"The column {double!r} is named twice; each column has one part to play.")
    if options.history_item and not options.item:
        raise UsageError("history_item needs item: histories share the codes of the target item.")
    if options.history_category and not options.category:
        raise UsageError("history_category needs category: histories share the codes of the target's category.")
    return used


def _roles(options: TableOptions) -> dict[str, list[str]]:
    """What columns were taken for, by option; the label and the part are left out."""
    single = ("user", "timestamp", "item", "category", "history_item", "history_category")
    named = {name: [getattr(options, name)] for name in single if getattr(options, name)}
    return named | {"categorical": options.categorical, "numeric": options.numeric}


def _field_names(columns: list[str]) -> dict[str, str]:
    """A field name for each column: letters, digits and '_', and none that already means something."""
    taken = {*RESERVED_COLUMNS, "item", "category", "user", "hour", "dayofweek", "positive", "row"}
    names: dict[str, str] = {}
    for column in columns:
        base = re.sub(r"[^A-Za-z0-9]+", "_", column).strip("_")[:60] or "column"
        name, n = base, 2
        while name.lower() in taken:
            name, n = f"{base}_{n}", n + 1
        taken.add(name.lower())
        names[column] = name
    return names


def _no_hour(rows: pl.DataFrame, ticks: int, timezone: str) -> str:
    """Why the hour says nothing although the rows span a day or more; empty where it does.

    Args:
        ticks: of `timestamp` in a second.
    """
    times, hours = rows["timestamp"], rows["hour"].to_numpy()
    day = DAY * ticks
    if (times.max() - times.min()) < day:  # type: ignore[operator]
        return ""
    if not (times % day).to_numpy().any():
        named = "The times name days without an hour"
        if not hours.any():
            return named
        return f"{named}, midnight in UTC: in {timezone} they may be of the day before; timezone=UTC keeps the days"
    if (hours != hours[0]).any():
        return ""
    local = pl.from_epoch(times // ticks).dt.replace_time_zone("UTC").dt.convert_time_zone(timezone).dt.time()
    if (local == time(0)).all():
        return "The times name days without an hour"
    return f"All times are of the hour {hours[0]:02d} of the day"


def _histories(table: CheckedColumns, options: TableOptions) -> dict[str, pl.Series]:
    """Ready-made histories by field, where there are any."""
    found: dict[str, pl.Series] = {}
    if options.history_item:
        found["item"] = table.lists(options.history_item, options.history_separator)
    if options.history_category:
        found["category"] = table.lists(options.history_category, options.history_separator)
    if options.history_item and options.history_category:
        table.mark(
            found["item"].list.len() != found["category"].list.len(),
            f"{options.history_item} and {options.history_category} must be equally long",
            table.frame[options.history_category],
        )
    if any(_may_be_empty(lists) for lists in found.values()):
        found = without_padding(found, "")
    if found and options.history_padding is not None:
        found = without_padding(found, options.history_padding)
    return found


def _may_be_empty(lists: pl.Series) -> bool:
    """Whether lists can hold ids that are none: '' and null, which are no events at their ends."""
    return lists.dtype.inner == pl.String or bool(lists.list.eval(pl.element().is_null()).list.any().any())  # type: ignore[attr-defined]


def _events(
    rows: pl.DataFrame, histories: dict[str, pl.Series], options: TableOptions
) -> tuple[pl.DataFrame | None, list[str]]:
    if histories:
        lists = pl.DataFrame(histories).with_row_index("row")
        names = list(histories)
        return lists.filter(pl.col(names[0]).list.len() > 0).explode(names), names
    names = [name for name in ("item", "category") if name in rows.columns]
    if options.history == "none" or not options.item or not {"user", "timestamp"} <= set(rows.columns):
        return None, []
    return rows_as_events(rows, options.history, names), names


def require_columns(path: Path, options: TableOptions) -> None:
    """Refuse a file that is no table, or lacks one of the columns."""
    needed = [name for name in used_columns(options) if not (options.new_rows and name == options.label)]
    for _, file in part_files(path, options):
        _open(file, options).require(needed)


def _open(path: Path, options: TableOptions) -> TableFile:
    return TableFile(path, options.delimiter, options.skip_bad_rows, options.names)


def _size(path: Path, options: TableOptions) -> Size | None:
    """None where histories come with the rows: how long they are is seen when they are read."""
    if options.history_item or options.history_category:
        return None
    used = len(used_columns(options))
    sizes = [rows_of(file) for _, file in part_files(path, options)]
    rows = sum(size for size, _ in sizes)
    # A column of text takes 20 bytes a value, and a file is there twice while it is parsed; typed ones take 15.
    held = 15 * used if sizes[0][1] is None else 20 * used + 2 * max(unpacked or 0 for _, unpacked in sizes) / rows
    has_history = options.history != "none" and options.user and options.timestamp and options.item
    return Size(
        lines=rows, read=0, rows=rows, events=rows if has_history else 0, fields=used, history_fields=2, held=held
    )


SOURCE = Source(
    name="table",
    title="Any CSV, Parquet or JSON lines file with a column for the label",
    path_help="a CSV or JSON lines file (plain, .gz or .zip), a Parquet file, or a folder with train and test files",
    options=TableOptions,
    read=read,
    default_name=lambda path, _options: _name_of(path),
    files=lambda path, options: files_of_parts(part_files(path, options)),
    size=_size,
    check=require_columns,
    event_rule=lambda options: options.history,
    place=90,
)


def _name_of(path: Path | None) -> str:
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-._") if path else ""
    return f"table-{stem or 'data'}"[:80]
