"""Raw ids of new rows as the numbers a data set gave them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

FIRST_NEW = 2**30
"""New ids are numbered from here on: beyond all codes, and all numbers of ids that training rows do not hold."""
_WHOLE, _FRACTION = r"^-?\d+$", r"^-?\d+\.0$"


class Ids:
    """Raw ids, as text, and their numbers. Ids that are not known are numbered as they come.

    Args:
        known: columns `id` and `code`.
    """

    def __init__(self, *known: pl.DataFrame):
        self._known = pl.concat([frame.select("id", pl.col("code").cast(pl.Int32)) for frame in known])
        self._new = self._known.clear()

    def known(self, text: pl.Series) -> pl.Series:
        """(N,) Int32 numbers, null where an id is not known. Where programs have written whole numbers as 12 here and
        12.0 there, both are the same id, unless both are known."""
        numbers = self._look_up(text)
        if not numbers.null_count():
            return numbers
        left = numbers.is_null()
        strange = text.filter(left)
        other = pl.DataFrame({"id": strange}).select(
            pl.when(pl.col("id").str.contains(_FRACTION))
            .then(pl.col("id").str.strip_suffix(".0"))
            .when(pl.col("id").str.contains(_WHOLE))
            .then(pl.col("id") + ".0")
        )["id"]
        found = self._look_up(other)
        if found.null_count() == len(found):
            return numbers
        return numbers.scatter(left.arg_true(), found)

    def numbers(self, text: pl.Series) -> np.ndarray:
        """(N,) int32: of known ids their numbers, of new ones numbers from `FIRST_NEW` on, equal where the ids are."""
        numbers = self.known(text)
        if not numbers.null_count():
            return numbers.to_numpy()
        left = numbers.is_null()
        strange = text.filter(left).alias("id")
        fresh = strange.unique().to_frame().join(self._new, on="id", how="anti").sort("id")
        begin = FIRST_NEW + len(self._new)
        numbered = pl.int_range(begin, begin + len(fresh), dtype=pl.Int32, eager=True).alias("code")
        self._new = pl.concat([self._new, fresh.with_columns(numbered)])
        found = strange.to_frame().join(self._new, on="id", how="left", maintain_order="left")["code"]
        return numbers.scatter(left.arg_true(), found).to_numpy()

    def _look_up(self, text: pl.Series) -> pl.Series:
        frame = text.alias("id").to_frame()
        return frame.join(self._known, on="id", how="left", maintain_order="left")["code"]


def as_text(values: pl.Series, words: Callable[[pl.Series], pl.Series] | None = None) -> pl.Series:
    """(N,) ids as vocabularies write them; a missing one is ''.

    Args:
        words: how the source writes ids that it keeps as numbers.
    """
    if words is None or not values.dtype.is_integer():
        return values.cast(pl.String).fill_null("")
    distinct = values.unique().drop_nulls()
    table = pl.DataFrame({"id": distinct, "text": words(distinct)})
    frame = values.alias("id").to_frame()
    return frame.join(table, on="id", how="left", maintain_order="left")["text"].fill_null("")
