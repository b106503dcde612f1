"""Raw ids and their codes. Code 0 is padding, 1 is unknown, real ids follow from 2."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from mdaf_core.data.schema import FIRST_ID, UNKNOWN

_WIDEST_TABLE = 100_000_000  # 400 MB


class Vocabulary:
    """The ids of one field that occur in training rows, in ascending order.

    Attributes:
        ids: raw ids; the one at position i has code i + 2. A missing value is the id ''.
    """

    def __init__(self, ids: pl.Series):
        self.ids = ids

    @classmethod
    def build(cls, training: pl.Series, min_count: int = 1) -> Vocabulary:
        """The ids that occur at least `min_count` times in `training` (a field's column of the training rows)."""
        counts = _plain(training).alias("id").to_frame().group_by("id").agg(pl.len().alias("rows"))
        return cls(counts.filter(pl.col("rows") >= min_count)["id"].sort())

    @property
    def size(self) -> int:
        """Codes, the two reserved ones included."""
        return len(self.ids) + FIRST_ID

    def encode(self, values: pl.Series) -> np.ndarray:
        """(N,) int32 codes of raw ids; ids that are not in the vocabulary are unknown."""
        values = _plain(values).alias("id")
        if values.dtype.is_integer() and self.ids.dtype.is_integer() and len(self.ids):
            low, high = int(self.ids[0]), int(self.ids[-1])
            if high - low < _WIDEST_TABLE:
                return self._look_up(values.to_numpy(), low, high)
        known = self.ids.alias("id").to_frame().with_columns(code=pl.int_range(FIRST_ID, self.size, dtype=pl.Int32))
        if values.dtype != self.ids.dtype:  # for instance integers in training, and a missing value elsewhere
            common = pl.Int64 if values.dtype.is_integer() and self.ids.dtype.is_integer() else pl.String
            values, known = values.cast(common), known.with_columns(pl.col("id").cast(common))
        codes = values.to_frame().join(known, on="id", how="left", maintain_order="left")["code"]
        return codes.fill_null(UNKNOWN).to_numpy()

    def identities(self, *columns: tuple[pl.Series, np.ndarray]) -> list[np.ndarray]:
        """What tells raw ids of several columns apart, (N,) int32 each: equal numbers are equal raw ids.

        The code where an id has one; ids that are not in the vocabulary follow from `size` on, in ascending order.

        Args:
            columns: raw values and their codes, as `encode` returns them.
        """
        plain = [_plain(values).alias("id") for values, _ in columns]
        common = pl.Int64 if all(values.dtype.is_integer() for values in plain) else pl.String
        strange = [
            values.filter(pl.Series(codes == UNKNOWN)).cast(common)
            for values, (_, codes) in zip(plain, columns, strict=True)
        ]
        others = Vocabulary(pl.concat(strange).unique().sort())
        found = []
        for values, (_, codes) in zip(strange, columns, strict=True):
            numbers = codes.astype(np.int32)
            numbers[codes == UNKNOWN] = others.index(values) + np.int32(self.size)
            found.append(numbers)
        return found

    def index(self, values: pl.Series) -> np.ndarray:
        """(N,) int32 positions in `ids`, -1 where a value is not among them."""
        return self.encode(values) - np.int32(FIRST_ID)  # unknown is code 1

    def _look_up(self, values: np.ndarray, low: int, high: int) -> np.ndarray:
        """Codes by a table over the range of the ids, with an unknown place at either end: faster than a join."""
        table = np.full(high - low + 3, UNKNOWN, np.int32)
        table[self.ids.to_numpy().astype(np.int64) - low + 1] = np.arange(FIRST_ID, self.size, dtype=np.int32)
        return table[np.clip(values.astype(np.int64), low - 1, high + 1) - (low - 1)]

    def write(self, path: Path, titles: pl.DataFrame | None = None) -> None:
        """Write columns `code` int32, `id` text, `title` text or null.

        Args:
            titles: columns `id` (raw) and `title`.
        """
        table = pl.DataFrame({"id": self.ids.cast(pl.String)}).select(
            code=pl.int_range(FIRST_ID, self.size, dtype=pl.Int32), id="id"
        )
        if titles is None:
            table = table.with_columns(title=pl.lit(None, pl.String))
        else:
            named = titles.select(pl.col("id").cast(pl.String), "title").unique("id", keep="first")
            table = table.join(named, on="id", how="left", maintain_order="left")
        table.write_ipc(path, compression="uncompressed")


def _plain(values: pl.Series) -> pl.Series:
    """Integers, or text without nulls: a missing value is the id ''."""
    if values.null_count() or not values.dtype.is_integer():
        return values.cast(pl.String).fill_null("")
    return values
