"""From a source to a prepared data set: split, code, slice histories, write, audit."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from mdaf_core.data import resources
from mdaf_core.data.audit import audit_dataset, check_unaltered, content_hashes
from mdaf_core.data.dataset import ColumnFile, OrderedFiles, PreparedDataset, list_datasets
from mdaf_core.data.history import earlier_ends, first_events
from mdaf_core.data.negatives import add_negatives
from mdaf_core.data.order import stable_order
from mdaf_core.data.progress import with_time_left
from mdaf_core.data.schema import IDENTITY, SPLITS, DatasetMeta, FieldSpec, SplitCounts
from mdaf_core.data.sources.base import Progress, RawTable, Source, check_path, get_source, no_progress, parse_options
from mdaf_core.data.sources.stages import stages_in
from mdaf_core.data.split import assign_splits
from mdaf_core.data.statistics import write_statistics
from mdaf_core.data.vocabulary import Vocabulary
from mdaf_core.data.work import request_of, work_folder
from mdaf_core.errors import BadInputError, StudioError
from mdaf_core.files import check_name, new_folder, replace_folder, write_json
from mdaf_core.settings import get_settings


def prepare(
    source: str,
    *,
    path: Path | None = None,
    name: str | None = None,
    options: dict[str, Any] | None = None,
    progress: Callable[[float, str], None] | None = None,
    memory_limit: int | None = None,
    again: bool = False,
) -> PreparedDataset:
    """Prepare a data set and open it. One of the same name is replaced, at the end and at once.

    The same input with the same options is not prepared twice: what is there is used, under the new name too. A
    preparation that was interrupted goes on from its last finished stage.

    Args:
        source: see `sources.base.source_names`.
        path: the input, where the source needs one.
        name: of the data set; default: made of the source and its main option.
        options: of the source (see its options class).
        progress: called with a share from 0 to 1 and a sentence.
        memory_limit: bytes; default: the setting `data_memory_limit`, else half of the machine's memory.
        again: prepare even what is prepared already.

    Raises:
        UsageError: unknown source or option, bad name, a split the rows do not allow, or too little memory allowed.
        BadInputError: the input cannot be read as it is.
        StudioError: too little space on the disk.
    """
    found = get_source(source)
    chosen = parse_options(found, options or {})
    path = check_path(found, path)
    name = check_name(name or found.default_name(path, chosen), "data set name")
    limit = resources.memory_limit(memory_limit)
    report = with_time_left(progress or no_progress)

    report(0.0, f"Looking at {path.name}" if path else "Generating")
    request = request_of(found, path, chosen, _part(report, 0.0, 0.02))
    same = None if again else prepared_as(request, name)
    if same is not None:
        return _reuse(same, name, report)
    resources.check(resources.estimate(found, path, chosen), limit)

    def watched(share: float, message: str) -> None:
        resources.guard(limit)
        report(share, message)

    with _disk_errors_in_words(), work_folder(request) as work:
        folder = work / "prepared"
        if not (folder / "dataset.json").exists():
            with stages_in(work / "read"):
                raw = found.read(path, chosen, _part(watched, 0.02, 0.4))
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            meta = _write(folder, name, found, chosen, raw, _part(watched, 0.4, 0.7))
            watched(0.7, "Taking fingerprints")
            meta.fingerprint, meta.request = _fingerprint(folder, raw.inputs), request
            del raw
            write_json(folder / "dataset.json", meta.model_dump(mode="json"))
        _rename(folder, name)
        shutil.rmtree(work / "read", ignore_errors=True)
        dataset = PreparedDataset(folder)
        audit = audit_dataset(dataset, _part(watched, 0.72, 0.95))
        write_json(folder / "audit.json", audit.model_dump(mode="json"))
        watched(0.95, "Computing statistics")
        write_statistics(dataset)
        replace_folder(folder, get_settings().datasets_dir / name)
    report(1.0, f"Prepared {name}")
    return PreparedDataset.open(name)


def prepared_as(request: str, prefer: str = "") -> PreparedDataset | None:
    """A data set that this request made and that is as it was written; the one named `prefer`, if it is among them."""
    for name in sorted(list_datasets(), key=lambda other: other != prefer):
        with suppress(StudioError, OSError):  # one of an older format, or being replaced just now
            dataset = PreparedDataset.open(name)
            if dataset.meta.request == request:
                check_unaltered(dataset)
                return dataset
    return None


def _reuse(same: PreparedDataset, name: str, report: Progress) -> PreparedDataset:
    """The data set under `name`: its files once more under that name, without a copy where the disk can do that."""
    if same.name == name:
        report(1.0, f"{name} is prepared already, from the same input with the same options")
        return same
    with new_folder(get_settings().datasets_dir / name) as folder:
        shutil.copytree(same.path, folder, copy_function=_link, dirs_exist_ok=True)
        _rename(folder, name)
    report(1.0, f"{same.name} is prepared already from the same input with the same options: {name} is the same")
    return PreparedDataset.open(name)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _rename(folder: Path, name: str) -> None:
    """Write the name into the folder's JSON files (anew: they may be links)."""
    for file, key in (("dataset.json", "name"), ("audit.json", "dataset")):
        if (folder / file).exists():
            content = json.loads((folder / file).read_text("utf-8"))
            if content[key] != name:
                write_json(folder / file, content | {key: name})


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
    """Write rows, events and vocabularies, and let go of `raw`'s frames on the way: beside them, little more than the
    orders of rows and events and one field at a time is in memory."""
    rows, has_time, has_user = raw.rows, "timestamp" in raw.rows.columns, "user" in raw.rows.columns
    if rows.is_empty():
        raise BadInputError("The input holds no row that can be used: take another, or other options.")
    raw.rows = rows.clear()
    users = Vocabulary.build(rows["user"]) if has_user else Vocabulary(pl.Series([""]))

    progress(0.0, "Splitting")
    split, split_parameters = _assign(raw, rows, options, users if has_user else None)
    if raw.negatives is not None:
        rows, split = add_negatives(rows, split, raw.negatives)
    label, timestamp = rows["label"].cast(pl.UInt8).to_numpy(), _timestamps(rows)
    if label.min() == label.max():
        raise BadInputError(
            f"All {len(label):,} rows have the label {label[0]} ({raw.label}): there is nothing to tell apart. "
            "Take an input, or options of the source, with both labels."
        )
    user_index = users.index(rows["user"]) if has_user else np.zeros(len(rows), np.int32)

    progress(0.08, "Ordering the event log")
    log = _event_log(raw, users, user_index, timestamp)

    progress(0.3, "Collecting ids")
    training = pl.Series(split == 0)
    vocabularies = {
        spec.name: Vocabulary.build(rows[spec.name].filter(training), options.min_count)
        for spec in raw.fields
        if spec.kind == "categorical"
    }
    del training
    told_apart = [
        name
        for name in (raw.history_fields if log else ())
        if vocabularies[name].lacks_some(rows[name]) and log and vocabularies[name].lacks_some(log.frame[name])
    ]

    progress(0.42, "Ordering rows")
    order = stable_order(*([timestamp] if has_time else []), split)
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
    counts = _counts(label, timestamp, order, sizes, has_time)
    del label, timestamp, user_index
    users.ids.cast(pl.String).alias("id").to_frame().write_ipc(folder / "users.arrow", compression="uncompressed")

    fields: list[FieldSpec] = []
    (folder / "vocabulary").mkdir()
    for i, spec in enumerate(raw.fields):
        progress(0.55 + 0.45 * i / len(raw.fields), f"Coding {spec.name}")
        values = rows.drop_in_place(spec.name)
        if spec.kind == "numeric":
            parts.put(spec.name, values.cast(pl.Float32).fill_null(float("nan")).to_numpy())
            fields.append(spec)
            continue
        vocabulary = vocabularies.pop(spec.name)
        codes = vocabulary.encode(values)
        parts.put(spec.name, codes)
        if log and events and spec.name in raw.history_fields:
            past = log.frame.drop_in_place(spec.name)
            past_codes = vocabulary.encode(past)
            events.put(spec.name, past_codes)
            if spec.name in told_apart:
                same, past_same = vocabulary.identities((values, codes), (past, past_codes))
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
        has_time=has_time,
        has_user=has_user,
        has_oracle="true_probability" in extras,
        timezone=raw.timezone,
        label=raw.label,
        split=split_parameters,
        splits=counts,
        users=len(users.ids) if has_user else 0,
        events=len(log.order) if log else 0,
        skipped_rows=raw.skipped_rows,
        notes=raw.notes,
        ready_made_history=bool(log and not log.by_user),
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
    label: np.ndarray, timestamp: np.ndarray, order: np.ndarray, sizes: list[int], has_time: bool
) -> dict[str, SplitCounts]:
    counts: dict[str, SplitCounts] = {}
    begin = 0
    for part, size in zip(SPLITS, sizes, strict=True):
        members = order[begin : begin + size]
        counts[part] = SplitCounts(
            rows=size,
            positives=int(np.count_nonzero(label[members])),
            first_time=int(timestamp[members[0]]) if has_time else None,
            last_time=int(timestamp[members[-1]]) if has_time else None,
        )
        begin += size
    return counts


def _timestamps(rows: pl.DataFrame) -> np.ndarray:
    """(N,) Unix seconds as 32- or 64-bit integers, or positions in the input where rows carry no time."""
    if "timestamp" not in rows.columns:
        return np.arange(len(rows), dtype=np.int64)
    times = rows["timestamp"]
    return (times if times.dtype == pl.Int32 else times.cast(pl.Int64)).to_numpy()


def _assign(
    raw: RawTable, rows: pl.DataFrame, options: Any, users: Vocabulary | None
) -> tuple[np.ndarray, dict[str, Any]]:
    chosen = options.model_fields_set & {"split", "fractions", "val_from", "test_from", "split_seed"}
    if "split" in rows.columns and not chosen:
        given = rows["split"].cast(pl.String).replace_strict(dict(zip(SPLITS, range(3), strict=True)))
        return given.cast(pl.UInt8).to_numpy(), {"kind": "given"}
    return assign_splits(
        options,
        label=rows["label"].to_numpy(),
        timestamp=_timestamps(rows),
        user=users.index(rows["user"]) if users and options.split == "leave-last-out" else None,
        has_time="timestamp" in rows.columns,
        timezone=raw.timezone,
    )


@dataclass
class _Log:
    """The event log in input order, its order on disk, and each row's slice of it.

    Attributes:
        user (E,) int32, time (E,) Unix seconds; frame: raw ids of the history fields, and `positive` where known;
        order (E,): by user, then time.
        first: (users + 1,) where each user's events begin; where histories came ready-made (`by_user` is false),
            (N,) where each row's begin.
        end: (N,) where each row's slice ends.
    """

    user: np.ndarray
    time: np.ndarray
    frame: pl.DataFrame
    order: np.ndarray
    first: np.ndarray
    end: np.ndarray
    by_user: bool = True

    def create(self, path: Path, fields: list[str], told_apart: list[str]) -> OrderedFiles:
        """The file, to be filled with the fields' codes; all else is written and let go."""
        integer = np.dtype(np.int32)
        columns: dict[str, np.dtype | list[str]] = {"user_index": integer, "timestamp": np.dtype(np.int64)}
        for name in fields:
            columns |= dict.fromkeys((name, name + IDENTITY) if name in told_apart else (name,), integer)
        if "positive" in self.frame.columns:
            columns["positive"] = np.dtype(np.uint8)
        file = OrderedFiles([ColumnFile(path, columns, len(self.order))], self.order)
        file.put("user_index", self.user)
        file.put("timestamp", self.time)
        if "positive" in self.frame.columns:
            file.put("positive", self.frame.drop_in_place("positive").cast(pl.UInt8).to_numpy())
        self.user = self.time = self.end = np.empty(0, np.int64)
        return file


def _event_log(raw: RawTable, users: Vocabulary, user_index: np.ndarray, timestamp: np.ndarray) -> _Log | None:
    events, raw.events = raw.events, None  # its columns are let go one by one
    if events is None or not raw.history_fields:
        return None
    if "row" in events.columns:
        return _ready_made(events, user_index, timestamp)
    user = users.index(events["user"])
    if user.min(initial=0) < 0:  # of a user without rows
        known = user >= 0
        events, user = events.filter(pl.Series(known)), user[known]
    time = _timestamps(events)
    order = stable_order(time, user)
    first = first_events(user, len(users.ids))
    end = earlier_ends(first, time[order], user_index, timestamp)
    return _Log(user, time, events.drop("user", "timestamp"), order, first, end)


def _ready_made(events: pl.DataFrame, user_index: np.ndarray, timestamp: np.ndarray) -> _Log:
    """One block of events a row, in the order of the rows. Their times are unknown: the newest is put one second
    before its row, the one before it two seconds, and so on, which keeps their order and claims nothing else."""
    events = events.sort("row", maintain_order=True)
    row = events["row"].to_numpy().astype(np.int64)
    counts = np.bincount(row, minlength=len(user_index))
    end = np.cumsum(counts)
    order = np.arange(len(row))
    time = timestamp[row] - (end[row] - order)
    return _Log(user_index[row], time, events.drop("row"), order, end - counts, end, by_user=False)


def _fingerprint(folder: Path, inputs: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What was read (bytes and sha256 of each file) and what was written (sha256 of each, and of all together)."""
    content = content_hashes(folder)
    together = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return {"sha256": together, "inputs": inputs, "content": content}
