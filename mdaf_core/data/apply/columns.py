"""Columns of numbers in files that grow: what was added is mapped when it is used, and never held."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np


class GrowingColumns:
    """Equally long columns, one flat file each, in a folder of their own."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True)
        self._folder, self._files, self._dtypes, self.length = folder, dict[str, IO[bytes]](), dict[str, np.dtype](), 0

    def __enter__(self) -> GrowingColumns:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for file in self._files.values():
            file.close()

    def add(self, columns: dict[str, np.ndarray]) -> None:
        """Append (n,) values to every column; the first call says which there are, and of which types."""
        for name, values in columns.items():
            if name not in self._files:
                self._dtypes[name] = values.dtype
                self._files[name] = (self._folder / f"{len(self._files)}.bin").open("w+b")
            self._files[name].write(np.ascontiguousarray(values, self._dtypes[name]).data)
        self.length += len(next(iter(columns.values())))

    def arrays(self) -> dict[str, np.ndarray]:
        """All columns, mapped; they may be changed in place."""
        found = {}
        for name, file in self._files.items():
            file.flush()
            empty = np.empty(0, self._dtypes[name])
            found[name] = np.memmap(file.name, self._dtypes[name], "r+", shape=(self.length,)) if self.length else empty
        return found
