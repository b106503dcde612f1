"""Reading a prepared data set: memory-mapped columns, nothing copied until a batch gathers it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np
import polars as pl
import pyarrow as pa
from pydantic import ValidationError

from mdaf_core.data.schema import IDENTITY, SCHEMA_VERSION, DatasetMeta, Split
from mdaf_core.errors import StudioError, UsageError
from mdaf_core.files import check_name
from mdaf_core.settings import get_settings

_CHUNK = 4_000_000
"""Rows that are put at once."""


def read_columns(path: Path) -> dict[str, np.ndarray]:
    """Columns of an Arrow IPC file as numpy arrays over the memory map (copied only where a column is chunked)."""
    table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    out = {}
    for name in table.column_names:
        column = table.column(name)
        array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
        out[name] = array.to_numpy(zero_copy_only=False)
    return out


def write_columns(path: Path, columns: dict[str, np.ndarray]) -> None:
    """Write equally long arrays as one record batch, so that reading maps every column without a copy."""
    with pa.OSFile(str(path), "wb") as sink:
        _write_batch(sink, columns)


class ColumnFile:
    """A file as `write_columns` makes it, filled part by part: no more than a part needs to be in memory.

    What is never put is 0.

    Args:
        dtypes: of each column: numbers; or the texts a column of texts takes, and what is put are positions in them.
    """

    def __init__(self, path: Path, dtypes: Mapping[str, np.dtype | list[str]], rows: int):
        self.rows = rows
        with path.open("wb") as file:
            _write_batch(pa.PythonFile(_Sparse(file)), {name: _zeros(rows, dtype) for name, dtype in dtypes.items()})
            file.truncate()
        with pa.memory_map(str(path)) as source:
            begin = source.read_buffer(source.size()).address
            source.seek(0)
            batch = pa.ipc.open_file(source).get_batch(0)
            self._columns = {}
            for name in dtypes:
                column = batch.column(name)
                numbers = column.indices if isinstance(column, pa.DictionaryArray) else column
                self._columns[name] = numbers.buffers()[1].address - begin, numbers.type.to_pandas_dtype()
            del batch, column, numbers
        self._file = path.open("r+b")

    def put(self, name: str, values: np.ndarray, at: int = 0) -> None:
        """Write `values` to the rows of a column from `at` on."""
        begin, dtype = self._columns[name]
        self._file.seek(begin + at * np.dtype(dtype).itemsize)
        self._file.write(np.ascontiguousarray(values, dtype).data)

    def close(self) -> None:
        self._file.close()


class OrderedFiles:
    """Files that share their columns and follow each other in one order of the input's rows.

    Args:
        files: of n1, n2, … rows.
        order: (n1 + n2 + …,) position in the input of each row.
    """

    def __init__(self, files: list[ColumnFile], order: np.ndarray):
        self.files, self.order = files, order

    def put(self, name: str, values: np.ndarray) -> None:
        """Write a column, given in input order."""
        for file, at, members in self._pieces():
            file.put(name, values[members], at)

    def put_positions(self, name: str) -> None:
        """Write each row's position in the input."""
        for file, at, members in self._pieces():
            file.put(name, members, at)

    def _pieces(self) -> Iterator[tuple[ColumnFile, int, np.ndarray]]:
        begin = 0
        for file in self.files:
            for at in range(0, file.rows, _CHUNK):
                yield file, at, self.order[begin + at : begin + min(at + _CHUNK, file.rows)]
            begin += file.rows

    def close(self) -> None:
        for file in self.files:
            file.close()


class _Sparse(io.RawIOBase):
    """Skips over long runs of zeros instead of writing them."""

    def __init__(self, file: IO[bytes]):
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        if size > 65536 and not np.frombuffer(data, np.uint8).any():
            self._file.seek(size, io.SEEK_CUR)
        else:
            self._file.write(data)
        return size

    def tell(self) -> int:
        return self._file.tell()


def _zeros(rows: int, dtype: np.dtype | list[str]) -> np.ndarray | pa.DictionaryArray:
    if isinstance(dtype, list):
        return pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), pa.array(dtype, pa.string()))
    return np.zeros(rows, dtype)


def _write_batch(sink: Any, columns: Mapping[str, np.ndarray | pa.DictionaryArray]) -> None:
    batch = pa.record_batch(
        {name: values if isinstance(values, pa.Array) else pa.array(values) for name, values in columns.items()}
    )
    with pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)


def identities(columns: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """What tells the raw ids of a field apart, in rows or events: its identity column if it has one, else its codes."""
    return columns.get(name + IDENTITY, columns[name])


class Rows:
    """The rows of one split, as memory-mapped columns.

    Attributes:
        label (N,) uint8; timestamp (N,) int64 Unix seconds; user (N,) int32 dense index of the raw user (the group of
        gAUC, never a model input); row_id (N,) int64; history_start, history_end (N,) int64 slice of the event log;
        true_probability (N,) float64 or None; `columns[name]` a field: int32 codes or float32 values (NaN: missing).
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
