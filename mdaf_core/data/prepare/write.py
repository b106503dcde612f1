"""Writing a data set: split, code, slice histories, column by column."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from mdaf_core.base.errors import BadInputError
from mdaf_core.base.progress import Progress
from mdaf_core.data.formats.base import RawTable, Source
from mdaf_core.data.prepare.event_log import event_log, timestamps
from mdaf_core.data.prepare.negatives import add_negatives
from mdaf_core.data.prepare.order import stable_order
from mdaf_core.data.prepare.split import assign_splits, given_parts
from mdaf_core.data.prepare.vocabulary import Vocabulary, in_order
from mdaf_core.data.store.columns import ColumnFile, OrderedFiles
from mdaf_core.data.store.scaling import fit
from mdaf_core.data.store.schema import IDENTITY, SPLITS, TICKS, DatasetMeta, FieldSpec, SplitCounts


def write_dataset(
    folder: Path, name: str, source: Source, options: Any, raw: RawTable, progress: Progress
) -> DatasetMeta:
    """Write rows, events and vocabularies, and let go of `raw`'s frames on the way: beside them, little more than the
    orders of rows and events and one field at a time is in memory."""
    rows, has_time, has_user = raw.rows, "timestamp" in raw.rows.columns, "user" in raw.rows.columns
    if rows.is_empty():
        raise BadInputError("The input holds no row that can be used: take another, or other options.")
    raw.rows = rows.clear()
    users = Vocabulary.build(rows["user"]) if has_user else Vocabulary(pl.Series([""]))

    progress(0.0, "Splitting")
    split, split_parameters, made = _assign(raw, rows, options, users if has_user else None)
    if raw.negatives is not None:
        rows, split = add_negatives(rows, split, raw.negatives)
    label, timestamp = rows["label"].cast(pl.UInt8).to_numpy(), timestamps(rows)
    if label.min() == label.max():
        raise BadInputError(
            f"All {len(label):,} rows have the label {label[0]} ({raw.label}): there is nothing to tell apart. "
            "Take an input, or options of the source, with both labels."
        )
    user_index = users.index(rows["user"]) if has_user else np.zeros(len(rows), np.int32)

    progress(0.08, "Ordering the event log")
    with ThreadPoolExecutor(1) as beside:
        ordering = beside.submit(stable_order, *([timestamp] if has_time else []), split)
        log = event_log(raw, rows, users, user_index, timestamp)
    order = ordering.result()

    progress(0.3, "Collecting ids")
    training = pl.Series(split == 0)
    vocabularies = {
        spec.name: Vocabulary.build(rows[spec.name].filter(training), options.min_count)
        for spec in raw.fields
        if spec.kind == "categorical"
    }
    told_apart = [
        name
        for name in (raw.history_fields if log else ())
        if vocabularies[name].lacks_some(rows[name]) and log and vocabularies[name].lacks_some(log.frame[name])
    ]

    progress(0.42, "Ordering rows")
    sizes = np.bincount(split, minlength=len(SPLITS)).tolist()
    del split
    extras = _extras(rows, raw)
    parts = _row_files(folder / "rows", raw.fields, told_apart, extras, order, sizes)
    parts.put("label", label)
    parts.put("timestamp", timestamp)
    parts.put("user_index", user_index)
    parts.put_positions("row_id")
    for column, values in extras.items():
        parts.put(column, values.to_physical().to_numpy())
    events = None
    if log:
        parts.put("history_start", log.first[user_index if log.by_user else slice(None)])
        parts.put("history_end", log.end)
        events = log.create(folder / "events.arrow", raw.history_fields, told_apart)
    ticks = TICKS[raw.time_unit]
    counts = _counts(label, timestamp, order, sizes, ticks if has_time else None)
    del label, timestamp, user_index
    ids = in_order(users.ids.cast(pl.String)).alias("id")
    ids.to_frame().write_ipc(folder / "users.arrow", compression="uncompressed")

    fields: list[FieldSpec] = []
    for name in ("vocabulary", *(["unseen"] if told_apart else [])):
        (folder / name).mkdir()
    for i, spec in enumerate(raw.fields):
        progress(0.55 + 0.45 * i / len(raw.fields), f"Coding {spec.name}")
        values = rows.drop_in_place(spec.name)
        if spec.kind == "numeric":
            scaling = fit(values, training, raw.numeric_scaling)
            parts.put(spec.name, scaling.apply(values))
            fields.append(spec.model_copy(update={"scaling": scaling}))
            continue
        vocabulary = vocabularies.pop(spec.name)
        codes = vocabulary.encode(values)
        parts.put(spec.name, codes)
        if log and events and spec.name in raw.history_fields:
            past = log.frame.drop_in_place(spec.name)
            past_codes = vocabulary.encode(past)
            events.put(spec.name, past_codes)
            if spec.name in told_apart:
                (same, past_same), unseen = vocabulary.identities((values, codes), (past, past_codes))
                unseen.write(
                    folder / "unseen" / f"{spec.name}.arrow", as_text=raw.as_text.get(spec.name), first=vocabulary.size
                )
                parts.put(spec.name + IDENTITY, same)
                events.put(spec.name + IDENTITY, past_same)
                del same, past_same
            del past, past_codes
        del values, codes
        path = folder / "vocabulary" / f"{spec.name}.arrow"
        vocabulary.write(path, raw.titles.get(spec.name), raw.as_text.get(spec.name))
        fields.append(spec.model_copy(update={"vocabulary_size": vocabulary.size}))
    parts.close()
    if events:
        events.close()

    return DatasetMeta(
        name=name,
        source=source.name,
        options=options.model_dump(mode="json"),
        title=raw.title,
        fields=fields,
        history_fields=raw.history_fields if log else [],
        outcomes=log.outcomes if log else [],
        has_time=has_time,
        time_unit=raw.time_unit,
        calendar=raw.calendar,
        has_user=has_user,
        has_oracle="true_probability" in extras,
        timezone=raw.timezone,
        label=raw.label,
        split=split_parameters,
        splits=counts,
        users=len(users.ids) if has_user else 0,
        events=len(log.order) if log else 0,
        skipped_rows=raw.skipped_rows,
        examples=raw.examples,
        notes=raw.notes + made,
        unread=raw.unread,
        ready_made_history=bool(log and not log.by_user),
        history_times=bool(log and not log.by_user and log.timed),
        timezone_assumed=raw.timezone_assumed,
        window=raw.window,
        outside_window=raw.outside_window,
        outside_window_kept=raw.outside_window_kept,
        versions={package: version(package) for package in ("polars", "numpy", "pyarrow")},
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _row_files(
    folder: Path,
    fields: list[FieldSpec],
    told_apart: list[str],
    extras: dict[str, pl.Series],
    order: np.ndarray,
    sizes: list[int],
) -> OrderedFiles:
    """The files of the parts, to be filled: each by time, then input order."""
    integer, wide = np.dtype(np.int32), np.dtype(np.int64)
    columns: dict[str, np.dtype | list[str]] = {"label": np.dtype(np.uint8), "timestamp": wide, "user_index": integer}
    columns |= dict.fromkeys(("row_id", "history_start", "history_end"), wide)
    for spec in fields:
        columns[spec.name] = integer if spec.kind == "categorical" else np.dtype(np.float32)
        if spec.name in told_apart:
            columns[spec.name + IDENTITY] = integer
    for name, values in extras.items():
        texts = values.dtype.categories.to_list() if isinstance(values.dtype, pl.Enum) else None
        columns[name] = texts or values.head(0).to_numpy().dtype
    folder.mkdir()
    files = [ColumnFile(folder / f"{part}.arrow", columns, size) for part, size in zip(SPLITS, sizes, strict=True)]
    return OrderedFiles(files, order)


def _extras(rows: pl.DataFrame, raw: RawTable) -> dict[str, pl.Series]:
    """Columns that are stored beside the inputs: numbers as they are, texts with the list of those there are."""
    known = {"label", "timestamp", "user", "split", *(field.name for field in raw.fields)}
    extras = {}
    for name in rows.columns:
        if name not in known:
            values = rows[name]
            if not values.dtype.is_numeric():
                values = values.cast(pl.String).fill_null("")
                values = values.cast(pl.Enum(values.unique().sort()))
            extras[name] = values
    return extras


def _counts(
    label: np.ndarray, timestamp: np.ndarray, order: np.ndarray, sizes: list[int], ticks: int | None
) -> dict[str, SplitCounts]:
    counts: dict[str, SplitCounts] = {}
    begin = 0
    for part, size in zip(SPLITS, sizes, strict=True):
        members = order[begin : begin + size]
        counts[part] = SplitCounts(
            rows=size,
            positives=int(np.count_nonzero(label[members])),
            first_time=int(timestamp[members[0]]) // ticks if ticks else None,
            last_time=int(timestamp[members[-1]]) // ticks if ticks else None,
        )
        begin += size
    return counts


def _assign(
    raw: RawTable, rows: pl.DataFrame, options: Any, users: Vocabulary | None
) -> tuple[np.ndarray, dict[str, Any], list[str]]:
    """Parts of the rows, the split's parameters, and sentences on what was made beside what is given."""
    chosen = options.model_fields_set & {"split", "fractions", "val_from", "test_from", "split_seed"}
    by_default = options.split == "given" and "split" not in chosen
    if by_default and ("split" not in rows.columns or chosen - {"split_seed"}):
        options = options.model_copy(update={"split": "time"})  # no parts here, or shares of others are asked for
    label, timestamp, has_time = rows["label"].to_numpy(), timestamps(rows), "timestamp" in rows.columns
    if "split" in rows.columns and (options.split == "given" or not chosen):
        return given_parts(rows["split"], label=label, timestamp=timestamp, has_time=has_time, seed=options.split_seed)
    split, parameters = assign_splits(
        options,
        label=label,
        timestamp=timestamp,
        user=users.index(rows["user"]) if users and options.split == "leave-last-out" else None,
        has_time=has_time,
        calendar=raw.calendar,
        timezone=raw.timezone,
        unit=raw.time_unit,
    )
    return split, parameters, []
