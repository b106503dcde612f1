"""Reading a prepared data set: memory-mapped columns, nothing copied until a batch gathers it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from mdaf_core.base import notices
from mdaf_core.base.errors import DamagedFileError, StudioError, UsageError
from mdaf_core.base.files import check_name, read_json, reading
from mdaf_core.base.settings import get_settings
from mdaf_core.data.store.columns import read_columns
from mdaf_core.data.store.schema import SCHEMA_VERSION, DatasetMeta, Split

AGAIN = "Prepare the data set again, or delete its folder."


class Rows:
    """The rows of one split: columns, memory-mapped or made in memory (`variants.py`).

    Attributes:
        label (N,) uint8; timestamp (N,) int64 Unix time in `DatasetMeta.time_unit`; user (N,) int32 dense index of the
        raw user (the group of gAUC, never a model input); row_id (N,) int64; history_start, history_end (N,) int64
        slice of the event log; true_probability (N,) float64 or None; `columns[name]` a field: int32 codes, or float32
        model inputs of a numeric field (NaN: missing; `FieldSpec.numbers` gives them back as the source did).
    """

    def __init__(self, columns: dict[str, np.ndarray]):
        self.columns = columns
        self.label = self.columns["label"]
        self.timestamp = self.columns["timestamp"]
        self.user = self.columns["user_index"]
        self.row_id = self.columns["row_id"]
        self.history_start = self.columns["history_start"]
        self.history_end = self.columns["history_end"]
        self.true_probability = self.columns.get("true_probability")

    def __len__(self) -> int:
        return len(self.label)


class PreparedDataset:
    """A folder `artifacts/datasets/<name>/` written by `mdaf_core.data.prepare.pipeline`."""

    def __init__(self, path: Path):
        self.path = path
        with self._reading(path / "dataset.json"):
            raw = read_json(path / "dataset.json", AGAIN)
            self.meta = DatasetMeta.model_validate(raw)
        if self.meta.schema_version != SCHEMA_VERSION:
            raise StudioError(
                f"Data set {self.meta.name!r} has format {self.meta.schema_version}, "
                f"this version reads {SCHEMA_VERSION}: prepare it again."
            )

    @classmethod
    def open(cls, name: str) -> PreparedDataset:
        """Open a prepared data set of this artifacts folder by name.

        Raises:
            UsageError: there is none of that name; the message lists those there are.
        """
        root = get_settings().datasets_dir
        path = root / check_name(name, "data set name")
        if not (path / "dataset.json").exists():
            known = ", ".join(list_datasets()) or "none yet"
            raise UsageError(f"There is no prepared data set {name!r}. Prepared: {known}.")
        return cls(path)

    @staticmethod
    def _reading(path: Path) -> AbstractContextManager[None]:
        return reading(path, AGAIN)

    @property
    def name(self) -> str:
        return self.meta.name

    def rows(self, split: Split) -> Rows:
        """The rows of a split.

        Raises:
            DamagedFileError: their file cannot be read. So do the other readers below.
        """
        path = self._rows_of(split)
        with self._reading(path):
            return Rows(read_columns(path))

    def row_ids(self, split: Split) -> np.ndarray:
        """(N,) `row_id` of a split's rows alone."""
        path = self._rows_of(split)
        with self._reading(path):
            return read_columns(path, ["row_id"])["row_id"]

    def changed(self, split: Split) -> int:
        """When a split's rows were last written, in ns of Unix time."""
        path = self._rows_of(split)
        with self._reading(path):
            return path.stat().st_mtime_ns

    def _rows_of(self, split: Split) -> Path:
        return self.path / "rows" / f"{split}.arrow"

    @cached_property
    def events(self) -> dict[str, np.ndarray]:
        """Columns of the event log: `timestamp` int64 and one int32 column a history field; empty without histories."""
        path = self.path / "events.arrow"
        if not path.exists() and not self.meta.history_fields:
            return {}
        with self._reading(path):
            return read_columns(path)

    def vocabulary(self, field: str) -> pl.DataFrame:
        """Columns `code` int32, `id` str (the raw id) and `title` str or null, for real ids only (codes from 2)."""
        path = self.path / "vocabulary" / f"{field}.arrow"
        with self._reading(path):
            return pl.read_ipc(path)

    def unseen(self, field: str) -> pl.DataFrame:
        """As `vocabulary`, of the ids that validation or test rows and events hold and training rows do not: `code` is
        what stands for them in the columns `:identity`. Empty where there are none, or where the data set was prepared
        before they were kept."""
        path = self.path / "unseen" / f"{field}.arrow"
        if not path.exists():
            return pl.DataFrame(schema={"code": pl.Int32, "id": pl.String, "title": pl.String})
        with self._reading(path):
            return pl.read_ipc(path)

    @cached_property
    def users(self) -> pl.Series:
        """Raw user ids by `user_index`."""
        path = self.path / "users.arrow"
        with self._reading(path):
            return pl.read_ipc(path)["id"]

    @property
    def audit(self) -> dict[str, Any]:
        path = self.path / "audit.json"
        if not path.exists():
            return {}
        with self._reading(path):
            found: dict[str, Any] = read_json(path, AGAIN)
            if not isinstance(found, dict):
                raise ValueError("not an object")
            return found


def list_datasets() -> list[str]:
    """Names of the prepared data sets, sorted. A folder that has lost its `dataset.json` is noted."""
    root = get_settings().datasets_dir
    if not root.exists():
        return []
    found = []
    with reading(root, "Allow reading it."):
        for folder in sorted(root.iterdir()):
            if folder.name.startswith(".") or not folder.is_dir():
                continue
            if (folder / "dataset.json").exists():
                found.append(folder.name)
            elif folder.exists():  # not deleted meanwhile
                notices.add(DamagedFileError(folder / "dataset.json", "there is none", AGAIN))
    return found


def readable_datasets() -> tuple[list[DatasetMeta], list[DamagedFileError]]:
    """What the prepared data sets are, sorted by name, and what is wrong with those that cannot be read."""
    found, damaged = [], []
    for name in list_datasets():
        try:
            found.append(PreparedDataset.open(name).meta)
        except DamagedFileError as damage:
            damaged.append(damage)
        except StudioError as error:  # of another format
            damaged.append(DamagedFileError(get_settings().datasets_dir / name / "dataset.json", str(error), AGAIN))
    return found, damaged
