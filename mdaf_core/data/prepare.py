"""From a source to a prepared data set: split, code, slice histories, write, audit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from mdaf_core.data.audit import audit_dataset, content_hashes
from mdaf_core.data.dataset import PreparedDataset, write_columns
from mdaf_core.data.history import earlier_events
from mdaf_core.data.negatives import add_negatives
from mdaf_core.data.schema import SPLITS, DatasetMeta, FieldSpec, SplitCounts
from mdaf_core.data.sources.base import Progress, RawTable, Source, check_path, get_source, no_progress, parse_options
from mdaf_core.data.split import assign_splits
from mdaf_core.data.statistics import write_statistics
from mdaf_core.data.vocabulary import Vocabulary
from mdaf_core.errors import BadInputError
from mdaf_core.files import check_name, new_folder, write_json
from mdaf_core.settings import get_settings


def prepare(
    source: str,
    *,
    path: Path | None = None,
    name: str | None = None,
    options: dict[str, Any] | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> PreparedDataset:
    """Prepare a data set and open it. One of the same name is replaced, at the end and at once.

    Args:
        source: see `sources.base.source_names`.
        path: the input, where the source needs one.
        name: of the data set; default: made of the source and its main option.
        options: of the source (see its options class).
        progress: called with a share from 0 to 1 and a sentence.

    Raises:
        UsageError: unknown source or option, bad name, or a split the rows do not allow.
        BadInputError: the input cannot be read as it is.
    """
    found = get_source(source)
    chosen = parse_options(found, options or {})
    path = check_path(found, path)
    name = check_name(name or found.default_name(path, chosen), "data set name")
    report = progress or no_progress

    report(0.0, f"Reading {path.name}" if path else "Generating")
    raw = found.read(path, chosen, _part(report, 0.0, 0.45))
    with new_folder(get_settings().datasets_dir / name) as folder:
        meta = _write(folder, name, found, chosen, raw, _part(report, 0.45, 0.8))
        meta.fingerprint = _fingerprint(folder, raw.inputs)
        del raw
        write_json(folder / "dataset.json", meta.model_dump(mode="json"))
        report(0.8, "Auditing")
        dataset = PreparedDataset(folder)
        write_json(folder / "audit.json", audit_dataset(dataset).model_dump(mode="json"))
        report(0.95, "Computing statistics")
        write_statistics(dataset)
    report(1.0, f"Prepared {name}")
    return PreparedDataset.open(name)


def _part(progress: Progress, start: float, end: float) -> Progress:
    return lambda fraction, message: progress(start + (end - start) * fraction, message)


@dataclass
class _Split:
    """Input positions of a split's rows, in their order on disk."""

    name: str
    order: np.ndarray


def _write(folder: Path, name: str, source: Source, options: Any, raw: RawTable, progress: Progress) -> DatasetMeta:
    rows, has_time, has_user = raw.rows, "timestamp" in raw.rows.columns, "user" in raw.rows.columns
    if rows.is_empty():
        raise BadInputError("The input holds no rows.")
    label = rows["label"].to_numpy().astype(np.uint8)
    users = rows["user"].unique().sort() if has_user else pl.Series("user", [""])

    progress(0.0, "Splitting")
    timestamp = _timestamps(rows)
    split, split_parameters = _assign(raw, options, label, timestamp, users, has_time, has_user)
    if raw.negatives is not None:
        rows, split = add_negatives(rows, split, raw.negatives)
        label, timestamp = rows["label"].to_numpy(), _timestamps(rows)
    user_index = _index(rows["user"], users) if has_user else np.zeros(len(rows), np.int32)
    parts = []
    for number, part_name in enumerate(SPLITS):
        members = np.flatnonzero(split == number)
        parts.append(_Split(part_name, members[np.argsort(timestamp[members], kind="stable")]))

    progress(0.1, "Ordering the event log")
    log = _event_log(raw, users, user_index, timestamp)

    progress(0.3, "Coding ids")
    columns: dict[str, np.ndarray] = {}
    fields: list[FieldSpec] = []
    (folder / "vocabulary").mkdir()
    training = split == 0
    events: dict[str, np.ndarray] = {"user_index": log.user, "timestamp": log.time} if log else {}
    for i, spec in enumerate(raw.fields):
        if spec.kind == "numeric":
            columns[spec.name] = rows[spec.name].cast(pl.Float32).to_numpy()
            fields.append(spec)
        else:
            vocabulary = Vocabulary.build(rows[spec.name].filter(pl.Series(training)), options.min_count)
            columns[spec.name] = vocabulary.encode(rows[spec.name])
            if log and spec.name in raw.history_fields:
                events[spec.name] = vocabulary.encode(log.frame[spec.name])
            vocabulary.write(folder / "vocabulary" / f"{spec.name}.arrow", raw.titles.get(spec.name))
            fields.append(spec.model_copy(update={"vocabulary_size": vocabulary.size}))
        progress(0.3 + 0.4 * (i + 1) / len(raw.fields), f"Coded {spec.name}")

    if log:
        if "positive" in log.frame.columns:
            events["positive"] = log.frame["positive"].cast(pl.UInt8).to_numpy()
        write_columns(folder / "events.arrow", events)
    users.cast(pl.String).alias("id").to_frame().write_ipc(folder / "users.arrow", compression="uncompressed")

    known = {"label", "timestamp", "user", "split", *(field.name for field in fields)}
    extras = [column for column in rows.columns if column not in known]
    (folder / "rows").mkdir()
    counts: dict[str, SplitCounts] = {}
    for i, part in enumerate(parts):
        progress(0.7 + 0.1 * i, f"Writing {part.name} rows")
        order = part.order
        zeros = np.zeros(len(order), np.int64)
        table = {
            "label": label[order],
            "timestamp": timestamp[order],
            "user_index": user_index[order],
            "row_id": order.astype(np.int64),
            "history_start": log.start[order] if log else zeros,
            "history_end": log.end[order] if log else zeros,
        } | {field: values[order] for field, values in columns.items()}
        for extra in extras:
            table[extra] = rows[extra].to_numpy()[order]
        write_columns(folder / "rows" / f"{part.name}.arrow", table)
        counts[part.name] = SplitCounts(
            rows=len(order),
            positives=int(table["label"].sum()),
            first_time=int(table["timestamp"][0]) if has_time else None,
            last_time=int(table["timestamp"][-1]) if has_time else None,
        )

    return DatasetMeta(
        name=name,
        source=source.name,
        options=options.model_dump(mode="json"),
        title=raw.title,
        fields=fields,
        history_fields=raw.history_fields if log else [],
        has_time=has_time,
        has_user=has_user,
        has_oracle="true_probability" in rows.columns,
        timezone=raw.timezone,
        label=raw.label,
        split=split_parameters,
        splits=counts,
        users=len(users) if has_user else 0,
        events=len(log.time) if log else 0,
        skipped_rows=raw.skipped_rows,
        notes=raw.notes,
        ready_made_history=bool(log and log.ready_made),
        timezone_assumed=raw.timezone_assumed,
        window=raw.window,
        outside_window=raw.outside_window,
        outside_window_kept=raw.outside_window_kept,
        versions={package: version(package) for package in ("polars", "numpy", "pyarrow")},
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _timestamps(rows: pl.DataFrame) -> np.ndarray:
    """(N,) int64 Unix seconds, or positions in the input where rows carry no time."""
    if "timestamp" not in rows.columns:
        return np.arange(len(rows), dtype=np.int64)
    return rows["timestamp"].cast(pl.Int64).to_numpy()


def _index(values: pl.Series, users: pl.Series) -> np.ndarray:
    """(N,) int32 position of each user in `users`, -1 where it is not there."""
    known = users.alias("user").to_frame().with_columns(index=pl.int_range(len(users), dtype=pl.Int32))
    found = values.alias("user").cast(users.dtype).to_frame().join(known, on="user", how="left", maintain_order="left")
    return found["index"].fill_null(-1).to_numpy()


def _assign(
    raw: RawTable,
    options: Any,
    label: np.ndarray,
    timestamp: np.ndarray,
    users: pl.Series,
    has_time: bool,
    has_user: bool,
) -> tuple[np.ndarray, dict[str, Any]]:
    chosen = options.model_fields_set & {"split", "fractions", "val_from", "test_from", "split_seed"}
    if "split" in raw.rows.columns and not chosen:
        given = raw.rows["split"].cast(pl.String).replace_strict(dict(zip(SPLITS, range(3), strict=True)))
        return given.cast(pl.UInt8).to_numpy(), {"kind": "given"}
    return assign_splits(
        options,
        label=label,
        timestamp=timestamp,
        user=_index(raw.rows["user"], users) if has_user else None,
        has_time=has_time,
        timezone=raw.timezone,
    )


@dataclass
class _Log:
    """The event log in its order on disk, and each row's slice of it.

    Attributes:
        user (E,) int32, time (E,) int64; frame: raw ids of the history fields; start, end (N,) int64.
    """

    user: np.ndarray
    time: np.ndarray
    frame: pl.DataFrame
    start: np.ndarray
    end: np.ndarray
    ready_made: bool = False


def _event_log(raw: RawTable, users: pl.Series, user_index: np.ndarray, timestamp: np.ndarray) -> _Log | None:
    if raw.events is None or not raw.history_fields:
        return None
    if "row" in raw.events.columns:
        return _ready_made(raw.events, user_index, timestamp)
    events = raw.events.with_columns(pl.Series("user", _index(raw.events["user"], users)))
    events = events.filter(pl.col("user") >= 0).sort("user", "timestamp", maintain_order=True)
    user, time = events["user"].to_numpy(), events["timestamp"].cast(pl.Int64).to_numpy()
    start, end = earlier_events(user, time, user_index, timestamp)
    return _Log(user, time, events.drop("user", "timestamp"), start, end)


def _ready_made(events: pl.DataFrame, user_index: np.ndarray, timestamp: np.ndarray) -> _Log:
    """One block of events a row, in the order of the rows. Their times are unknown: the newest is put one second
    before its row, the one before it two seconds, and so on, which keeps their order and claims nothing else."""
    events = events.sort("row", maintain_order=True)
    row = events["row"].to_numpy().astype(np.int64)
    counts = np.bincount(row, minlength=len(user_index))
    end = np.cumsum(counts)
    time = timestamp[row] - (end[row] - np.arange(len(row)))
    return _Log(user_index[row], time, events.drop("row"), end - counts, end, ready_made=True)


def _fingerprint(folder: Path, inputs: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What was read (bytes and sha256 of each file) and what was written (sha256 of each, and of all together)."""
    content = content_hashes(folder)
    together = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return {"sha256": together, "inputs": inputs, "content": content}
