"""From a source to a prepared data set: split, code, slice histories, write, audit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
from mdaf_core.data.schema import IDENTITY, SPLITS, UNKNOWN, DatasetMeta, FieldSpec, SplitCounts
from mdaf_core.data.sources.base import Progress, RawTable, Source, check_path, get_source, no_progress, parse_options
from mdaf_core.data.split import assign_splits
from mdaf_core.data.statistics import write_statistics
from mdaf_core.data.vocabulary import Vocabulary
from mdaf_core.errors import BadInputError, StudioError
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
    with _disk_errors_in_words(), new_folder(get_settings().datasets_dir / name) as folder:
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


@contextmanager
def _disk_errors_in_words() -> Iterator[None]:
    """A full disk, or a folder that may not be written, as a sentence."""
    try:
        yield
    except OSError as error:
        home = get_settings().datasets_dir
        words = (error.strerror or str(error)).split("Detail: ")[-1].rstrip(".")
        raise StudioError(
            f"The data set could not be written to {home} ({words}): free some space, allow writing there, or set "
            "MDAF_HOME to another disk. Nothing of it was left behind."
        ) from error


def _part(progress: Progress, start: float, end: float) -> Progress:
    return lambda fraction, message: progress(start + (end - start) * fraction, message)


def _write(folder: Path, name: str, source: Source, options: Any, raw: RawTable, progress: Progress) -> DatasetMeta:
    rows, has_time, has_user = raw.rows, "timestamp" in raw.rows.columns, "user" in raw.rows.columns
    if rows.is_empty():
        raise BadInputError("The input holds no row that can be used: take another, or other options.")
    label = rows["label"].to_numpy().astype(np.uint8)
    users = Vocabulary.build(rows["user"]) if has_user else Vocabulary(pl.Series([""]))

    progress(0.0, "Splitting")
    timestamp = _timestamps(rows)
    split, split_parameters = _assign(raw, options, label, timestamp, users, has_time, has_user)
    if raw.negatives is not None:
        rows, split = add_negatives(rows, split, raw.negatives)
        label, timestamp = rows["label"].to_numpy(), _timestamps(rows)
    if label.min() == label.max():
        raise BadInputError(
            f"All {len(label):,} rows have the label {label[0]} ({raw.label}): there is nothing to tell apart. "
            "Take an input, or options of the source, with both labels."
        )
    user_index = users.index(rows["user"]) if has_user else np.zeros(len(rows), np.int32)
    known = {"label", "timestamp", "user", "split", *(field.name for field in raw.fields)}
    extras = {column: rows[column].to_numpy() for column in rows.columns if column not in known}

    progress(0.1, "Ordering the event log")
    log = _event_log(raw, users, user_index, timestamp)
    raw.events = None  # its memory is needed below

    progress(0.3, "Coding ids")
    columns: dict[str, np.ndarray] = {}
    fields: list[FieldSpec] = []
    (folder / "vocabulary").mkdir()
    training = pl.Series(split == 0)
    events: dict[str, np.ndarray] = {"user_index": log.user, "timestamp": log.time} if log else {}
    for i, spec in enumerate(raw.fields):
        if spec.kind == "numeric":
            columns[spec.name] = rows.drop_in_place(spec.name).cast(pl.Float32).fill_null(float("nan")).to_numpy()
            fields.append(spec)
        else:
            values = rows.drop_in_place(spec.name)
            vocabulary = Vocabulary.build(values.filter(training), options.min_count)
            codes = columns[spec.name] = vocabulary.encode(values)
            if log and spec.name in raw.history_fields:
                past = log.frame.drop_in_place(spec.name)
                past_codes = events[spec.name] = vocabulary.encode(past)
                if (codes == UNKNOWN).any() and (past_codes == UNKNOWN).any():
                    same = vocabulary.identities((values, codes), (past, past_codes))
                    columns[spec.name + IDENTITY], events[spec.name + IDENTITY] = same
                del past
            del values
            vocabulary.write(folder / "vocabulary" / f"{spec.name}.arrow", raw.titles.get(spec.name))
            fields.append(spec.model_copy(update={"vocabulary_size": vocabulary.size}))
        progress(0.3 + 0.4 * (i + 1) / len(raw.fields), f"Coded {spec.name}")

    if log:
        if "positive" in log.frame.columns:
            events["positive"] = log.frame["positive"].cast(pl.UInt8).to_numpy()
        write_columns(folder / "events.arrow", events)
    users.ids.cast(pl.String).alias("id").to_frame().write_ipc(folder / "users.arrow", compression="uncompressed")

    zeros = np.zeros(len(label), np.int64)
    columns = (
        {
            "label": label,
            "timestamp": timestamp,
            "user_index": user_index,
            "row_id": np.arange(len(label), dtype=np.int64),
            "history_start": log.start if log else zeros,
            "history_end": log.end if log else zeros,
        }
        | columns
        | extras
    )
    counts = _write_rows(folder / "rows", columns, split, has_time, _part(progress, 0.7, 1.0))

    return DatasetMeta(
        name=name,
        source=source.name,
        options=options.model_dump(mode="json"),
        title=raw.title,
        fields=fields,
        history_fields=raw.history_fields if log else [],
        has_time=has_time,
        has_user=has_user,
        has_oracle="true_probability" in extras,
        timezone=raw.timezone,
        label=raw.label,
        split=split_parameters,
        splits=counts,
        users=len(users.ids) if has_user else 0,
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


def _write_rows(
    folder: Path, columns: dict[str, np.ndarray], split: np.ndarray, has_time: bool, progress: Progress
) -> dict[str, SplitCounts]:
    """Write each part's rows, by time, then input order."""
    folder.mkdir()
    counts: dict[str, SplitCounts] = {}
    for number, name in enumerate(SPLITS):
        progress(number / len(SPLITS), f"Writing {name} rows")
        members = np.flatnonzero(split == number)
        order = members[np.argsort(columns["timestamp"][members], kind="stable")]
        table = {column: values[order] for column, values in columns.items()}
        write_columns(folder / f"{name}.arrow", table)
        counts[name] = SplitCounts(
            rows=len(order),
            positives=int(table["label"].sum()),
            first_time=int(table["timestamp"][0]) if has_time else None,
            last_time=int(table["timestamp"][-1]) if has_time else None,
        )
    return counts


def _timestamps(rows: pl.DataFrame) -> np.ndarray:
    """(N,) int64 Unix seconds, or positions in the input where rows carry no time."""
    if "timestamp" not in rows.columns:
        return np.arange(len(rows), dtype=np.int64)
    return rows["timestamp"].cast(pl.Int64).to_numpy()


def _assign(
    raw: RawTable,
    options: Any,
    label: np.ndarray,
    timestamp: np.ndarray,
    users: Vocabulary,
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
        user=users.index(raw.rows["user"]) if has_user else None,
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


def _event_log(raw: RawTable, users: Vocabulary, user_index: np.ndarray, timestamp: np.ndarray) -> _Log | None:
    if raw.events is None or not raw.history_fields:
        return None
    if "row" in raw.events.columns:
        return _ready_made(raw.events, user_index, timestamp)
    events = raw.events.with_columns(pl.Series("user", users.index(raw.events["user"])))
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
