"""What must be known of a prepared data set to code new rows as its own were: from its folder, or from a saved one."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl

from mdaf_core.base.files import read_json, reading, write_json
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.schema import DatasetMeta

_REMEDY = "Save the model again."
_ROW_GROUP = 200_000
_IDS = {"code": pl.Int32, "id": pl.String}

Events = dict[str, np.ndarray]
"""Columns of a log: `user_index`, `timestamp`, each history field, and what tells its ids apart (`:identity`)."""


class Known(Protocol):
    """What is known of a data set.

    `vocabulary` and `unseen` have columns `code` int32 and `id` text; `users` are raw ids by index; `events_of` are the
    events of these users (ascending indices), by user, then time.
    """

    @property
    def meta(self) -> DatasetMeta: ...
    @property
    def users(self) -> pl.Series: ...
    def vocabulary(self, field: str) -> pl.DataFrame: ...
    def unseen(self, field: str) -> pl.DataFrame: ...
    def events_of(self, users: np.ndarray) -> Events: ...


class Stored:
    """What a prepared data set of this artifacts folder knows."""

    def __init__(self, dataset: PreparedDataset):
        self.dataset, self.meta = dataset, dataset.meta

    @property
    def users(self) -> pl.Series:
        return self.dataset.users

    def vocabulary(self, field: str) -> pl.DataFrame:
        return self.dataset.vocabulary(field)

    def unseen(self, field: str) -> pl.DataFrame:
        return self.dataset.unseen(field)

    def events_of(self, users: np.ndarray) -> Events:
        events = self.dataset.events
        if not events or self.meta.ready_made_history:
            return {}
        begin, end = (np.searchsorted(events["user_index"], users, side) for side in ("left", "right"))
        return {name: values[ranges(begin, end)] for name, values in events.items()}


class Saved:
    """What `save_known` wrote.

    Raises:
        DamagedFileError: one of its files is missing or damaged (so do all readers).
    """

    def __init__(self, folder: Path):
        self.folder = folder
        path = folder / "dataset.json"
        with reading(path, _REMEDY):
            self.meta = DatasetMeta.model_validate(read_json(path, _REMEDY))

    @cached_property
    def users(self) -> pl.Series:
        return self._read("users.parquet")["id"]

    def vocabulary(self, field: str) -> pl.DataFrame:
        return self._read(f"vocabulary/{field}.parquet")

    def unseen(self, field: str) -> pl.DataFrame:
        optional = self.folder / f"unseen/{field}.parquet"
        return self._read(f"unseen/{field}.parquet") if optional.exists() else pl.DataFrame(schema=_IDS)

    def events_of(self, users: np.ndarray) -> Events:
        path = self.folder / "events.parquet"
        if not path.exists() or not len(users):
            return {}
        with reading(path, _REMEDY):
            wanted = pl.col("user_index").is_between(int(users[0]), int(users[-1]))
            frame = pl.scan_parquet(path).filter(wanted).collect()
        index = frame["user_index"].to_numpy()
        begin, end = (np.searchsorted(index, users, side) for side in ("left", "right"))
        rows = ranges(begin, end)
        return {name: frame[name].to_numpy()[rows] for name in frame.columns}

    def _read(self, name: str) -> pl.DataFrame:
        with reading(self.folder / name, _REMEDY):
            return pl.read_parquet(self.folder / name)


def save_known(dataset: PreparedDataset, folder: Path, with_log: bool) -> None:
    """Write what is known of a data set: `dataset.json`, and vocabularies, users and the event log as Parquet.

    Args:
        folder: exists and is empty.
        with_log: without it, histories of new rows hold new events alone, and raw users are not written.
    """
    meta = dataset.meta
    write_json(folder / "dataset.json", meta.model_dump(mode="json") | {"path": ""})  # whose disk is nobody's business
    for name in meta.categorical:
        for kind, frame in (("vocabulary", dataset.vocabulary(name)), ("unseen", dataset.unseen(name))):
            if kind == "vocabulary" or len(frame):
                (folder / kind).mkdir(exist_ok=True)
                frame.select("code", "id").write_parquet(folder / kind / f"{name}.parquet")
    log = with_log and bool(dataset.events) and not meta.ready_made_history
    (dataset.users if log else pl.Series("id", [], pl.String)).alias("id").to_frame().write_parquet(
        folder / "users.parquet"
    )
    if log:
        pl.DataFrame(dict(dataset.events)).write_parquet(folder / "events.parquet", row_group_size=_ROW_GROUP)


def ranges(begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Positions of [begin, end) of each pair, one after another."""
    length = end - begin
    first = np.cumsum(length) - length
    return np.repeat(begin - first, length) + np.arange(length.sum())
