"""Reading a prepared data set: memory-mapped columns, nothing copied until a batch gathers it."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from pydantic import ValidationError

from mdaf_core.data.columns import read_columns
from mdaf_core.data.schema import SCHEMA_VERSION, DatasetMeta, Split
from mdaf_core.errors import StudioError, UsageError
from mdaf_core.files import check_name
from mdaf_core.settings import get_settings


class Rows:
    """The rows of one split, as memory-mapped columns.

    Attributes:
        label (N,) uint8; timestamp (N,) int64 Unix time in `DatasetMeta.time_unit`; user (N,) int32 dense index of the
        raw user (the group of gAUC, never a model input); row_id (N,) int64; history_start, history_end (N,) int64
        slice of the event log; true_probability (N,) float64 or None; `columns[name]` a field: int32 codes or float32
        values (NaN: missing).
    """

    def __init__(self, path: Path):
        self.columns = read_columns(path)
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
    """A folder `artifacts/datasets/<name>/` written by `mdaf_core.data.prepare`."""

    def __init__(self, path: Path):
        self.path = path
        try:
            raw = json.loads((path / "dataset.json").read_text("utf-8"))
            self.meta = DatasetMeta.model_validate(raw)
        except (OSError, json.JSONDecodeError, ValidationError) as error:
            raise StudioError(
                f"{path} is not a prepared data set ({type(error).__name__}): prepare it again."
            ) from error
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

    @property
    def name(self) -> str:
        return self.meta.name

    def rows(self, split: Split) -> Rows:
        return Rows(self.path / "rows" / f"{split}.arrow")

    @cached_property
    def events(self) -> dict[str, np.ndarray]:
        """Columns of the event log: `timestamp` int64 and one int32 column a history field; empty without histories."""
        path = self.path / "events.arrow"
        return read_columns(path) if path.exists() else {}

    def vocabulary(self, field: str) -> pl.DataFrame:
        """Columns `code` int32, `id` str (the raw id) and `title` str or null, for real ids only (codes from 2)."""
        return pl.read_ipc(self.path / "vocabulary" / f"{field}.arrow")

    @cached_property
    def users(self) -> pl.Series:
        """Raw user ids by `user_index`."""
        return pl.read_ipc(self.path / "users.arrow")["id"]

    @property
    def audit(self) -> dict:
        path = self.path / "audit.json"
        return json.loads(path.read_text("utf-8")) if path.exists() else {}


def list_datasets() -> list[str]:
    """Names of the prepared data sets, sorted."""
    root = get_settings().datasets_dir
    if not root.exists():
        return []
    return sorted(p.name for p in root.iterdir() if not p.name.startswith(".") and (p / "dataset.json").exists())
