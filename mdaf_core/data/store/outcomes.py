"""What came of events: one small code each, beside the ids that they share with rows.

A row is asked what will come of it; of an event it is known. So it is a column of the log alone, which no field of a
row has, and code 0 stands for what is not known.
"""

from __future__ import annotations

import numpy as np
import polars as pl

LABELS = ["0", "1"]
"""What came of events where a source says no more than whether they were positive."""
MOST = 250
_STARS = pl.Enum([f"{half / 2:g}" for half in range(1, 11)])


def stars(ratings: pl.Series) -> pl.Series:
    """(N,) ratings of half a star to five as words, in their order; null where one is no half or whole star."""
    place = 2 * ratings - 1
    there = (place % 1 == 0) & place.is_between(0, len(_STARS.categories) - 1)
    return pl.select(pl.when(there).then(place)).to_series().cast(pl.UInt8).cat.to(_STARS)


def outcomes_of(events: pl.DataFrame) -> list[str]:
    """What came of these events, in the order of its codes, from 1 on; empty where nothing tells them apart.

    Args:
        events: with a column `outcome` (text, or an Enum whose order is kept), else `positive`, or neither.

    Raises:
        ValueError: it is not of few kinds.
    """
    if "outcome" not in events.columns:
        return LABELS if "positive" in events.columns and events["positive"].n_unique() > 1 else []
    given = events["outcome"]
    if isinstance(given.dtype, pl.Enum):
        present = set(given.unique().drop_nulls().to_list())
        found = [name for name in given.dtype.categories.to_list() if name in present]
    else:
        found = given.drop_nulls().unique().cast(pl.String).sort().to_list()
    if len(found) > MOST:
        raise ValueError(f"`outcome` of events has {len(found):,} values; {MOST} at most can be told apart.")
    return found if len(found) > 1 else []


def outcome_codes(events: pl.DataFrame, outcomes: list[str]) -> np.ndarray:
    """(E,) uint8 codes of what came of these events: 1 + its place among `outcomes`, 0 for anything else."""
    given = events["outcome"] if "outcome" in events.columns else None
    if given is not None and outcomes == LABELS and given.dtype == _STARS:
        given = None  # a data set of before its source told the stars: its 1 is no star
    if given is None:
        if "positive" not in events.columns or outcomes != LABELS:
            return np.zeros(len(events), np.uint8)
        return (events["positive"].cast(pl.Int8) + 1).fill_null(0).cast(pl.UInt8).to_numpy()
    if not isinstance(given.dtype, pl.Enum):
        given = given.cast(pl.String).cast(pl.Enum(outcomes), strict=False)
    words = given.dtype.categories.to_list()  # type: ignore[attr-defined]
    of_word = np.array([outcomes.index(word) + 1 if word in outcomes else 0 for word in [*words, None]], np.uint8)
    return of_word[given.to_physical().cast(pl.Int64).fill_null(len(words)).to_numpy()]
