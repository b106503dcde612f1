"""Raw ids and their codes. Code 0 is padding, 1 is unknown, real ids follow from 2."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl

from mdaf_core.data.store.counts import occurrences
from mdaf_core.data.store.schema import FIRST_ID, UNKNOWN

_WIDEST_TABLE = 100_000_000  # 400 MB
_CHUNK = 8_000_000


class Vocabulary:
    """The ids of one field that occur in training rows, in ascending order.

    Attributes:
        ids: raw ids; the one at position i has code i + 2. A missing value is the first of them: null among integers,
            '' among texts, and '' on disk.
    """

    def __init__(self, ids: pl.Series):
        self.ids = ids

    @classmethod
    def build(cls, training: pl.Series, min_count: int = 1) -> Vocabulary:
        """The ids that occur at least `min_count` times in `training` (a field's column of the training rows)."""
        counted = _counts_by_table(training)
        if counted is not None:
            low, counts = counted
            ids = np.flatnonzero(counts >= min_count) + low
            return cls(pl.Series(ids).cast(training.dtype))
        found = training.alias("id").to_frame().group_by("id").agg(pl.len().alias("rows"))
        found = found.with_columns(_plain(found["id"])).group_by("id").agg(pl.col("rows").sum())  # null and '' are one
        return cls(found.filter(pl.col("rows") >= min_count)["id"].sort())

    @property
    def size(self) -> int:
        """Codes, the two reserved ones included."""
        return len(self.ids) + FIRST_ID

    def encode(self, values: pl.Series) -> np.ndarray:
        """(N,) int32 codes of raw ids; ids that are not in the vocabulary are unknown."""
        codes = np.empty(len(values), np.int32)
        for start, part in self._chunks(values):
            codes[start : start + len(part)] = part
        return codes

    def lacks_some(self, values: pl.Series) -> bool:
        """Whether any of these ids is unknown."""
        return any((part == UNKNOWN).any() for _, part in self._chunks(values))

    def _chunks(self, values: pl.Series) -> Iterator[tuple[int, np.ndarray]]:
        """Codes from each start on: what a chunk needs is small beside all codes."""
        look_up = self._by_table(values.dtype) or self._by_join
        for start in range(0, len(values), _CHUNK):
            yield start, look_up(_plain(values.slice(start, _CHUNK)))

    def _by_join(self, values: pl.Series) -> np.ndarray:
        values = values.alias("id")
        known = self.ids.alias("id").to_frame().with_columns(code=pl.int_range(FIRST_ID, self.size, dtype=pl.Int32))
        if values.dtype != self.ids.dtype:  # integers of two widths, or integers in training and text elsewhere
            common = pl.Int64 if values.dtype.is_integer() and self.ids.dtype.is_integer() else pl.String
            values, known = _cast(values, common), known.with_columns(_cast(known["id"], common))
        codes = values.to_frame().join(known, on="id", how="left", maintain_order="left", nulls_equal=True)["code"]
        return codes.fill_null(UNKNOWN).to_numpy()

    def _by_table(self, dtype: pl.DataType) -> Callable[[pl.Series], np.ndarray] | None:
        """Codes by a table over the range of the ids, with an unknown place at either end: faster than a join. None
        where ids are no integers or too far apart."""
        numbers = self.ids.drop_nulls()
        if not (dtype.is_integer() and numbers.dtype.is_integer() and len(numbers)):
            return None
        low, high = int(numbers[0]), int(numbers[-1])
        if high - low >= _WIDEST_TABLE:
            return None
        first = self.size - len(numbers)  # behind the missing value, where training rows have one
        table = np.full(high - low + 3, UNKNOWN, np.int32)
        table[numbers.to_numpy().astype(np.int64) - low + 1] = np.arange(first, self.size, dtype=np.int32)

        def look_up(values: pl.Series) -> np.ndarray:
            plain = (values.fill_null(low) if values.null_count() else values).to_numpy()
            places = np.clip(plain, low - 1, high + 1) if plain.dtype == np.int64 else plain.astype(np.int64)
            codes = table.take(places - (low - 1), mode="clip")
            if values.null_count():
                codes[values.is_null().to_numpy()] = FIRST_ID if first > FIRST_ID else UNKNOWN
            return codes

        return look_up

    def identities(self, *columns: tuple[pl.Series, np.ndarray]) -> tuple[list[np.ndarray], Vocabulary]:
        """What tells raw ids of several columns apart, (N,) int32 each: equal numbers are equal raw ids.

        The code where an id has one; ids that are not in the vocabulary follow from `size` on, in ascending order: they
        are returned as a vocabulary of their own.

        Args:
            columns: raw values and their codes, as `encode` returns them.
        """
        plain = [_plain(values).alias("id") for values, _ in columns]
        common: type[pl.DataType] = pl.Int64 if all(values.dtype.is_integer() for values in plain) else pl.String
        strange = [
            _cast(values.filter(pl.Series(codes == UNKNOWN)), common)
            for values, (_, codes) in zip(plain, columns, strict=True)
        ]
        others = Vocabulary(pl.concat(strange).unique().sort())
        found = []
        for values, (_, codes) in zip(strange, columns, strict=True):
            numbers = codes.copy()
            numbers[codes == UNKNOWN] = others.index(values) + np.int32(self.size)
            found.append(numbers)
        return found, others

    def index(self, values: pl.Series) -> np.ndarray:
        """(N,) int32 positions in `ids`, -1 where a value is not among them."""
        return self.encode(values) - np.int32(FIRST_ID)  # unknown is code 1

    def write(
        self,
        path: Path,
        titles: pl.DataFrame | None = None,
        as_text: Callable[[pl.Series], pl.Series] | None = None,
        first: int = FIRST_ID,
    ) -> None:
        """Write columns `code` int32, `id` text, `title` text or null.

        Args:
            titles: columns `id` (raw) and `title`.
            as_text: how ids are written in the input, where not as they are.
            first: code of the first id.
        """
        ids = as_text(self.ids) if as_text else self.ids.cast(pl.String)
        table = pl.DataFrame({"id": in_order(ids.fill_null(""))}).select(
            code=pl.int_range(first, first + len(ids), dtype=pl.Int32), id="id"
        )
        if titles is None:
            table = table.with_columns(title=pl.lit(None, pl.String))
        else:
            named = titles.select(pl.col("id").cast(pl.String), "title").unique("id", keep="first")
            table = table.join(named, on="id", how="left", maintain_order="left")
        table.write_ipc(path, compression="uncompressed")


def in_order(texts: pl.Series) -> pl.Series:
    """The same texts, those of more than 12 bytes one after another in memory, and so in files.

    Polars leaves them where its threads came upon them: the same data would have another hash each time.
    """
    return texts + ""


def _counts_by_table(values: pl.Series) -> tuple[int, np.ndarray] | None:
    """The lowest integer, and how often it and each one above it occur; None where they are far apart, or some miss."""
    if not values.dtype.is_integer() or values.null_count() or values.is_empty():
        return None
    low, high = int(values.min()), int(values.max())  # type: ignore[arg-type]
    if high - low >= min(_WIDEST_TABLE, max(4 * len(values), 1000)) or high > 2**62:
        return None
    counts = np.zeros(high - low + 1, np.int32)
    for start in range(0, len(values), _CHUNK):
        part = values.slice(start, _CHUNK).cast(pl.Int64).to_numpy() - low
        counts += occurrences(part, len(counts)).astype(np.int32)
    return low, counts


def _plain(values: pl.Series) -> pl.Series:
    """Integers, or text without nulls: there, a missing value is the id ''."""
    return values if values.dtype.is_integer() else _cast(values, pl.String)


def _cast(values: pl.Series, dtype: pl.DataType | type[pl.DataType]) -> pl.Series:
    values = values.cast(dtype)
    return values.fill_null("") if dtype == pl.String else values
