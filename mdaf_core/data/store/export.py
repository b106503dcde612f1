"""Rows of a data set for other programs: raw ids, labels, fields, histories; written in parts, however many."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from mdaf_core.base.errors import UsageError
from mdaf_core.base.files import new_file, writing
from mdaf_core.data.store.columns import free_name, identities
from mdaf_core.data.store.dataset import PreparedDataset, Rows
from mdaf_core.data.store.describe import describe_outcomes
from mdaf_core.data.store.schema import FIRST_ID, MAX_HISTORY, SPLITS, UNKNOWN, FieldSpec, Split

KINDS = ("parquet", "csv", "tsv")
"""Endings of one file, which say its format."""
_CHUNK = 100_000
_CELLS = 2_000_000  # of a chunk, with its histories


def export_rows(
    dataset: PreparedDataset,
    splits: Sequence[Split],
    path: Path,
    *,
    labels: bool = True,
    history: bool = False,
    max_history: int = MAX_HISTORY,
    progress: Callable[[float, str], None] | None = None,
) -> int:
    """Write rows in the data set's order, which is the order that scores without ids are imported in.

    Columns: row_id; split where several are asked for; user (raw id) where there are users; timestamp (in
    `DatasetMeta.time_unit`) where rows have times; label; each field as its raw id or number, empty where it is missing
    or the data set does not keep it (of some ids that training rows do not have); with `history` a list
    `history_<field>` of the newest `max_history` events before the row, oldest first (in CSV as a JSON array), and
    `history_outcome` where it is recorded what came of them; with '_' at its end where a field has that name. The file
    appears when it is complete.

    Args:
        path: its ending says the format: .parquet, .csv or .tsv.

    Returns:
        The number of rows.

    Raises:
        UsageError: another ending, no split, or a data set without histories is asked for them.
        StudioError: the disk refuses it.
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in KINDS:
        raise UsageError(f"{path.name} should end in .parquet, .csv or .tsv, which says the format.")
    if path.is_dir():
        raise UsageError(f"{path} is a folder: name a file.")
    if history and not dataset.meta.history_fields:
        raise UsageError(f"Data set {dataset.name!r} has no histories.")
    wanted, most = [split for split in SPLITS if split in splits], max_history if history else 0
    total, done = sum(dataset.meta.splits[split].rows for split in wanted), 0
    if not wanted:
        raise UsageError("Name the split to export: train, val or test.")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with new_file(path) as aside, _writer(aside, kind) as write:
            for split in wanted:
                for frame in frames(dataset, split, labels, most, several=len(wanted) > 1):
                    write(frame)
                    done += len(frame)
                    if progress:
                        progress(done / max(total, 1), f"{done:,} of {total:,} rows written")
    return done


def check_new(folder: Path) -> None:
    """Refuse a folder that holds something, which would be lost.

    Raises:
        UsageError: it does, or is a file.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there already: name a folder that is new or empty.")


def slices(rows: Rows, most: int) -> Iterator[slice]:
    """Consecutive rows whose columns, each with a history of up to `most` events, are no burden; one at least."""
    step = min(_CHUNK, max(1, _CELLS // most)) if most else _CHUNK
    return (slice(start, start + step) for start in range(0, max(len(rows), 1), step))


def history_events(rows: Rows, at: slice, most: int) -> tuple[np.ndarray, np.ndarray]:
    """The newest `most` events of each row at `at`, oldest first.

    Returns:
        (E,) which of these rows, from 0; (E,) position in the event log.
    """
    end = np.array(rows.history_end[at])
    start = np.maximum(np.array(rows.history_start[at]), end - most)
    length = end - start
    before = np.concatenate([[0], np.cumsum(length)[:-1]]) if len(length) else length
    return np.repeat(np.arange(len(length)), length), np.repeat(start - before, length) + np.arange(int(length.sum()))


def frames(dataset: PreparedDataset, split: Split, labels: bool, most: int, several: bool) -> Iterator[pl.DataFrame]:
    """The columns of `export_rows` for all rows of a split, in parts; at least one part, though it be empty.

    Args:
        most: events of each history; 0 for none. several: whether a column names the split.
    """
    rows, meta = dataset.rows(split), dataset.meta
    fields = [field for field in meta.fields if not (field.role == "user" and meta.has_user)]
    words = {f.name: _words(dataset, f.name) for f in meta.fields if f.kind == "categorical"}
    users = dataset.users if meta.has_user else None
    names = {field.name for field in fields}
    of_user = free_name("user_id" if "user" in names else "user", names)
    for at in slices(rows, most):
        columns: dict[str, pl.Series] = {"row_id": pl.Series(np.array(rows.row_id[at]))}
        if several:
            columns["split"] = pl.Series([split], dtype=pl.String).new_from_index(0, len(columns["row_id"]))
        if users is not None:
            columns[of_user] = users.gather(np.array(rows.user[at]))
        if meta.has_time:
            columns["timestamp"] = pl.Series(np.array(rows.timestamp[at]))
        if labels:
            columns["label"] = pl.Series(np.array(rows.label[at]))
        for field in fields:
            columns[field.name] = _field(field, rows, at, words)
        if most:
            lists = histories(dataset, rows, at, most, words) | outcome_lists(dataset, rows, at, most)
            for name, events in lists.items():
                columns[free_name(f"history_{name}", columns.keys())] = events
        yield pl.DataFrame(columns)


def _words(dataset: PreparedDataset, field: str) -> pl.Series:
    """Raw ids by code, or by what tells ids apart that have none; null of padding, unknown and missing ones."""
    ids = pl.concat([dataset.vocabulary(field)["id"], dataset.unseen(field)["id"]])
    known = pl.select(pl.when(ids != "").then(ids)).to_series()
    return pl.concat([pl.Series([None] * FIRST_ID, dtype=pl.String), known.cast(pl.String)])


def _field(field: FieldSpec, rows: Rows, at: slice, words: dict[str, pl.Series]) -> pl.Series:
    if field.kind == "categorical":
        return words_of(rows.columns, field.name, at, words[field.name])
    return pl.Series(field.numbers(np.array(rows.columns[field.name][at]))).fill_nan(None)


def words_of(columns: Mapping[str, np.ndarray], name: str, at: slice | np.ndarray, words: pl.Series) -> pl.Series:
    """`words` by the code of a field in rows or events; that of unknown ids where there is none."""
    codes = np.array(identities(columns, name)[at])
    return words.gather(np.where(codes < len(words), codes, UNKNOWN))


def histories(
    dataset: PreparedDataset, rows: Rows, at: slice, most: int, words: Mapping[str, pl.Series]
) -> dict[str, pl.Series]:
    """A list a row of each history field: words of its newest `most` events, oldest first."""
    row, position = history_events(rows, at, most)
    return {
        name: _lists(row, words_of(dataset.events, name, position, words[name]), len(rows.label[at]))
        for name in dataset.meta.history_fields
    }


def outcome_lists(dataset: PreparedDataset, rows: Rows, at: slice, most: int) -> dict[str, pl.Series]:
    """As `histories`, as `outcome`: what came of the events (null: not known); empty where that is not recorded."""
    row, position = history_events(rows, at, most)
    told = describe_outcomes(dataset, position)
    return {name: _lists(row, words, len(rows.label[at])) for name, words in told.items()}


def _lists(row: np.ndarray, event: pl.Series, rows: int) -> pl.Series:
    """The events of each of so many rows."""
    lists = pl.DataFrame({"row": row, "event": event}).group_by("row", maintain_order=True).agg("event")
    every = pl.DataFrame({"row": np.arange(rows)})
    return every.join(lists, on="row", how="left", maintain_order="left")["event"].fill_null([])


@contextmanager
def _writer(path: Path, kind: str) -> Iterator[Callable[[pl.DataFrame], None]]:
    if kind == "parquet":
        parquet: list[pq.ParquetWriter] = []

        def write(frame: pl.DataFrame) -> None:
            table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
            if not parquet:
                parquet.append(pq.ParquetWriter(path, table.schema))
            parquet[0].write_table(table)

        try:
            yield write
        finally:
            for writer in parquet:
                writer.close()
        return
    with path.open("wb") as file:
        first = True

        def write_text(frame: pl.DataFrame) -> None:
            nonlocal first
            lists = [name for name, dtype in frame.schema.items() if dtype.is_nested()]
            flat = frame.with_columns(_json(frame[name]) for name in lists)
            flat.write_csv(file, include_header=first, separator="\t" if kind == "tsv" else ",")
            first = False

        yield write_text


def _json(lists: pl.Series) -> pl.Series:
    return pl.Series(
        lists.name, [json.dumps(values, ensure_ascii=False) for values in lists.to_list()], dtype=pl.String
    )
