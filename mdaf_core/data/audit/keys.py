"""Rows grouped by what they share, and numbers that may have been made of such groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np
import polars as pl

from mdaf_core.data.audit.base import Written, narrow, pieces
from mdaf_core.data.audit.hashes import drawn_groups
from mdaf_core.data.store.describe import field_word
from mdaf_core.data.store.schema import FIRST_ID, SPLITS, UNKNOWN

_MOST_ROWS = 200_000
_MOST_NUMBERS, _MOST_KEYS, _MOST_PAIRED = 40, 10, 4
_FEWEST_NUMBERS = 10
_MOST_STEPS = 100
_ROWS_A_VALUE = 1.5


class Keys:
    """Groups of rows of one id, or of several ids, in a sample that holds groups whole.

    Attributes:
        words: what a group is, for people; group: (N,) from 0 on; size: groups; rows: (N,) positions in all rows.
    """

    def __init__(self, words: str, columns: list[np.ndarray], known: np.ndarray):
        self.words = words
        self.rows, hashes = drawn_groups(columns, known, _MOST_ROWS)
        _, self.group = np.unique(hashes, return_inverse=True)
        self.size = int(self.group.max(initial=-1)) + 1


class Numbers(Mapping[str, np.ndarray]):
    """Columns of numbers by name, (N,) float32 over all parts, each made when it is asked for, and kept until the next
    one is: all of them at once would take gigabytes."""

    def __init__(self, makers: dict[str, Callable[[], np.ndarray]]):
        self._makers = makers
        self._last: tuple[str, np.ndarray] | None = None

    def __getitem__(self, name: str) -> np.ndarray:
        if self._last is None or self._last[0] != name:
            self._last = None
            self._last = name, self._makers[name]()
        return self._last[1]

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


def numbers(data: Written) -> Numbers:
    """Numeric inputs, and ids that are fractions or few whole numbers (a rate in steps), NaN where not known."""
    found: dict[str, Callable[[], np.ndarray]] = {
        name: partial(data.whole, name) for name in data.meta.numeric[:_MOST_NUMBERS]
    }
    for field in data.categorical:
        if field.role != "context" or field.vocabulary_size < FIRST_ID + _FEWEST_NUMBERS:
            continue
        table = data.dataset.vocabulary(field.name).filter(pl.col("code") >= FIRST_ID)
        values = table["id"].cast(pl.Float64, strict=False)
        steps = len(values) <= _MOST_STEPS or bool((values.drop_nulls() % 1 != 0).any())
        if values.null_count() > 0.1 * len(values) or not steps:
            continue
        found[field.name] = partial(_of_ids, data, field.name, table["code"].to_numpy(), values)
    return Numbers(found)


def _of_ids(data: Written, name: str, ids: np.ndarray, values: pl.Series) -> np.ndarray:
    codes = data.whole(name)
    of_code = np.full(max(int(ids.max(initial=0)), int(codes.max(initial=0))) + 1, np.nan, np.float32)
    of_code[ids] = values.fill_null(float("nan")).to_numpy()
    found: np.ndarray = of_code[np.maximum(codes, 0)]
    return found


def groups_of_ids(data: Written) -> tuple[list[Keys], dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Rows by ids and pairs of ids, those of users, items and categories before others, and by ids on one day; and the
    columns (ids of all rows, and which are known) of the first few."""
    roles = {"item": 0, "user": 1, "category": 2, "context": 3}
    fields = sorted(
        (field for field in data.categorical if field.name not in ("hour", "dayofweek")), key=lambda f: roles[f.role]
    )
    found: list[Keys] = []
    paired: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def add(words: str, codes: np.ndarray, known: np.ndarray) -> None:
        found.append(Keys(words, [codes], known))
        if len(paired) < _MOST_PAIRED:
            paired[words] = codes, known

    if data.meta.has_user:
        users = data.whole("user_index")
        add("user", users, users >= 0)
    for field in fields[:_MOST_KEYS]:
        if field.role != "user" or not data.meta.has_user:
            codes = data.whole(field.name)
            add(field_word(field.name), codes, codes > UNKNOWN)
    pairs = dict(paired)
    if data.meta.has_calendar:
        pairs["day"] = _days(data), np.ones(data.total, np.bool_)
    names = list(pairs)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            (codes, known), (more, too) = pairs[one], pairs[other]
            found.append(Keys(f"{one} and {other}", [codes, more], known & too))
    return found, paired


def _days(data: Written) -> np.ndarray:
    """(N,) the day of each row, piece by piece: whole columns of times are large."""
    parts = (data.rows[split].timestamp for split in SPLITS)
    return np.concatenate(
        [narrow(data.meta.seconds(part[piece]) // 86400) for part in parts for piece in pieces(len(part))]
    )


def groups_of_values(values: np.ndarray, columns: dict[str, tuple[np.ndarray, np.ndarray]]) -> Iterator[Keys]:
    """Rows that share a number, and rows of one id that do: what such a number was made of, whatever it is."""
    known = ~np.isnan(values)
    different = len(np.unique(values[known]))
    if not _FEWEST_NUMBERS <= different <= int(known.sum()) / _ROWS_A_VALUE:
        return
    yield Keys("group of rows that share it", [values], known)
    for name, (codes, there) in columns.items():
        yield Keys(f"{name} in rows that share it", [codes, values], known & there)
