"""Columns of numbers on disk: Arrow files of one record batch, mapped when read, filled in place when written."""

from __future__ import annotations

import io
import os
from collections.abc import Collection, Mapping, Set
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa

from mdaf_core.data.store.schema import IDENTITY

_CHUNK = 2_000_000
"""Rows that are put at a time."""
_DTYPES = {
    pa.from_numpy_dtype(kind): np.dtype(kind) for kind in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8")
}


def free_name(name: str, taken: Set[str], ending: str = "_") -> str:
    """A name that is not taken: `name`, with so many endings as it takes. Fields have names of the user's own, and a
    column beside them that is written under a field's name would take its place."""
    while name in taken:
        name += ending
    return name


def read_columns(path: Path, only: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """Columns of an Arrow IPC file as numpy arrays over the memory map (copied only where a column is chunked).

    Args:
        only: names of the columns that are wanted: one of texts takes as long as a hundred of numbers.
    """
    table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    out = {}
    for name in table.column_names if only is None else only:
        column = table.column(name)
        array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
        out[name] = _numbers(array)
    return out


def _numbers(array: pa.Array) -> np.ndarray:
    """The array over the same memory; texts, and what holds nulls, as a copy."""
    kind = array.type
    if array.null_count or kind not in _DTYPES:
        return array.to_numpy(zero_copy_only=False)  # loads pandas
    return np.frombuffer(array.buffers()[1], _DTYPES[kind])[array.offset : array.offset + len(array)]


class ColumnFile:
    """Equally long columns as one record batch, so that reading maps every column without a copy; filled part by part:
    no more than a part needs to be in memory. What is never put is 0.

    Args:
        dtypes: of each column: numbers; or the texts a column of texts takes, and what is put are positions in them.
    """

    def __init__(self, path: Path, dtypes: Mapping[str, np.dtype | list[str]], rows: int):
        self.rows = rows
        with path.open("wb") as file:
            batch = pa.record_batch({name: _zeros(rows, dtype) for name, dtype in dtypes.items()})
            with pa.ipc.new_file(pa.PythonFile(_Sparse(file)), batch.schema) as writer:
                writer.write_batch(batch)
            file.truncate()
        with pa.memory_map(str(path)) as source:
            begin = source.read_buffer(source.size()).address
            source.seek(0)
            batch = pa.ipc.open_file(source).get_batch(0)
            self._columns = {}
            for name in dtypes:
                column = batch.column(name)
                numbers = column.indices if isinstance(column, pa.DictionaryArray) else column
                self._columns[name] = numbers.buffers()[1].address - begin, _DTYPES[numbers.type]
            del batch, column, numbers
        self._file = path.open("r+b", buffering=0)

    def put(self, name: str, values: np.ndarray, at: int = 0) -> None:
        """Write `values` to the rows of a column from `at` on. Several threads may put at a time."""
        begin, dtype = self._columns[name]
        place, left = begin + at * dtype.itemsize, np.ascontiguousarray(values, dtype).view(np.uint8).data
        while len(left):
            done = os.pwrite(self._file.fileno(), left, place)
            place, left = place + done, left[done:]

    def close(self) -> None:
        self._file.close()


class OrderedFiles:
    """Files that share their columns and follow each other in one order of the input's rows. A column is brought into
    order and written while the next one is made.

    Args:
        files: of n1, n2, … rows.
        order: (n1 + n2 + …,) position in the input of each row.
    """

    def __init__(self, files: list[ColumnFile], order: np.ndarray):
        self.files, self.order = files, order
        self._beside = ThreadPoolExecutor(2)
        self._going_on: list[Future[None]] = []

    def put(self, name: str, values: np.ndarray) -> None:
        """Write a column, given in input order and not changed afterwards; waits for the one before.

        Raises:
            OSError: a column before cannot be written.
        """
        self._put(name, values)

    def put_positions(self, name: str) -> None:
        """Write each row's position in the input."""
        self._put(name, None)

    def _put(self, name: str, values: np.ndarray | None) -> None:
        def piece(file: ColumnFile, at: int, members: np.ndarray) -> None:
            file.put(name, members if values is None else values[members], at)

        self.finish()
        begin = 0
        for file in self.files:
            for at in range(0, file.rows, _CHUNK):
                members = self.order[begin + at : begin + min(at + _CHUNK, file.rows)]
                self._going_on.append(self._beside.submit(piece, file, at, members))
            begin += file.rows

    def finish(self) -> None:
        """Wait until all that was put is written.

        Raises:
            OSError: it cannot be.
        """
        going_on, self._going_on = self._going_on, []
        for piece in going_on:
            piece.result()

    def close(self) -> None:
        """Finish, and close the files in every case."""
        try:
            self.finish()
        finally:
            self._beside.shutdown()
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


def _zeros(rows: int, dtype: np.dtype | list[str]) -> pa.Array:
    """A column of zeros, or of the first text. From a buffer: `pa.array` of numbers would load pandas."""
    if isinstance(dtype, list):
        return pa.DictionaryArray.from_arrays(_zeros(rows, np.dtype(np.int32)), pa.array(dtype, pa.string()))
    return pa.Array.from_buffers(pa.from_numpy_dtype(dtype), rows, [None, pa.py_buffer(np.zeros(rows, dtype))])


def identities(columns: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """What tells the raw ids of a field apart, in rows or events: its identity column if it has one, else its codes."""
    return columns.get(name + IDENTITY, columns[name])
