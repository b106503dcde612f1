"""The files of a table, one or several parts of it, read as one frame."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import polars as pl

from mdaf_core.base.errors import BadInputError
from mdaf_core.data.reading.blocks import fingerprint_file
from mdaf_core.data.reading.parts import unused, with_part
from mdaf_core.data.reading.table_file import TableFile
from mdaf_core.data.reading.text import EXAMPLES
from mdaf_core.data.store.schema import Split


class TableFiles:
    """Reads the files one after another, and knows where each row of all stands.

    Attributes:
        path: of the first, which a problem of all is said of.
    """

    def __init__(self, files: Sequence[tuple[Split | None, TableFile]]):
        self._splits = [split for split, _ in files]
        self._files = [file for _, file in files]
        self._ends = [0]
        self.path, self.skip_bad_rows = self._files[0].path, self._files[0].skip_bad_rows

    def columns(self) -> list[str]:
        return self._files[0].columns()

    def read(self, used: list[str]) -> pl.DataFrame:
        """The columns `used`, in one type each (see `TableFile.read`).

        Raises:
            BadInputError: a file lacks one, or holds lists in it where another does not.
        """
        frames = [file.read(used) for file in self._files]
        self._ends = list(accumulate(map(len, frames)))
        if len(frames) == 1:
            return frames[0]
        for column in used:
            held = {at: frame.schema[column] for at, frame in enumerate(frames) if frame.schema[column] != pl.Null}
            first = next(iter(held.values()), pl.Null())
            if all(frame.schema[column] == first for frame in frames):
                continue
            odd = next((at for at, dtype in held.items() if dtype.is_nested() != first.is_nested()), None)
            odd = next((at for at, dtype in held.items() if dtype.is_temporal() and dtype != first), odd)
            if odd is not None:
                raise BadInputError(
                    f"The column {column!r} is of another type ({held[odd]}) than in {self.path.name} ({first}): write "
                    "both alike.",
                    self._files[odd].path,
                )
            common = _common(list(held.values()))
            frames = [frame.with_columns(frame[column].cast(common)) for frame in frames]
        return pl.concat(frames, rechunk=False)

    def splits(self) -> pl.Series | None:
        """(N,) the part of each row, of type `PARTS`; None of a file that is no part."""
        if self._splits[0] is None:
            return None
        sizes = [end - begin for begin, end in zip([0, *self._ends], self._ends, strict=False)]
        parts = [
            with_part(pl.DataFrame(height=size), split)["split"]
            for split, size in zip(self._splits, sizes, strict=True)
        ]
        return pl.concat(parts)

    def place(self, row: int) -> tuple[Path, int]:
        """File and line (of Parquet: row) of a position in the frame."""
        file, at = self._of(row)
        return file.path, file.line(at)

    def records(self, rows: pl.Series) -> dict[str, list[Any]]:
        """Where rows stand, for examples: the record, and the file where there are several."""
        found = [self._of(row) for row in rows]
        several = {"file": [file.path.name for file, _ in found]} if len(self._files) > 1 else {}
        return several | {"record": [file.record(at) for file, at in found]}

    @property
    def ragged(self) -> int:
        """Records with a wrong number of fields, which were left out."""
        return sum(len(file.ragged) for file in self._files)

    @property
    def examples(self) -> list[dict[str, Any]]:
        """Of those."""
        if len(self._files) == 1:
            return self._files[0].examples
        return [{"file": file.path.name} | example for file in self._files for example in file.examples][:EXAMPLES]

    def fingerprints(self) -> dict[str, dict[str, Any]]:
        """`RawTable.inputs`."""
        found: dict[str, dict[str, Any]] = {}
        for file in self._files:
            found[unused(found, file.path.name)] = fingerprint_file(file.path)
        return found

    def _of(self, row: int) -> tuple[TableFile, int]:
        at = next(i for i, end in enumerate(self._ends) if row < end)
        return self._files[at], row - (self._ends[at - 1] if at else 0)


def _common(dtypes: list[pl.DataType]) -> pl.DataType:
    """A type that holds the values of all of them: a number where all are numbers, else text."""
    if dtypes[0].is_nested():
        return pl.List(_common([dtype.inner for dtype in dtypes]))  # type: ignore[attr-defined]
    if all(dtype.is_integer() for dtype in dtypes):
        return pl.Int64()
    return pl.Float64() if all(dtype.is_numeric() for dtype in dtypes) else pl.String()
