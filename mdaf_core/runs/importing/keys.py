"""What tells rows apart: row ids, or users, items and times, of a file and of the data."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from mdaf_core.base.errors import UsageError
from mdaf_core.data.reading.times import read_times
from mdaf_core.data.store.columns import identities
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.schema import EVALUATED, TICKS, UNKNOWN, DatasetMeta, Split
from mdaf_core.runs.importing.columns import Columns
from mdaf_core.runs.importing.table import SPLIT_WORDS, ScoreTable

_USER, _ITEM, _TIME, _ROW = "user", "item", "time", "row"


def keys_of(columns: Columns, dataset: PreparedDataset) -> tuple[list[str], Callable[[Split], pl.DataFrame]]:
    """Names of the key's columns, and a reader of a split's rows: split, position, label, and the key."""
    meta = dataset.meta
    if columns.key == "row-id":
        key = [_ROW]
    else:
        key = [name for name, column in ((_USER, columns.user), (_ITEM, columns.item), (_TIME, columns.time)) if column]
    item = meta.features().item

    def read(split: Split) -> pl.DataFrame:
        rows = dataset.rows(split)
        found = {_ROW: rows.row_id, _USER: rows.user, _TIME: rows.timestamp}
        if _ITEM in key and item:
            found[_ITEM] = identities(rows.columns, item) if len(dataset.unseen(item)) else rows.columns[item]
        return pl.DataFrame(
            {
                "split": pl.Series([split], dtype=pl.String).new_from_index(0, len(rows)),
                "position": np.arange(len(rows)),
                "truth": np.asarray(rows.label, np.int8),
                **{name: np.asarray(found[name], np.int64) for name in key},
            }
        )

    return key, read


def file_keys(table: ScoreTable, columns: Columns, given: pl.DataFrame, dataset: PreparedDataset) -> pl.DataFrame:
    """The key's columns of a file as the data set codes them; null where a value is not known there. `shown`: as the
    file has them."""
    if columns.key == "row-id":
        raw = given[columns.row_id or ""]
        return pl.DataFrame({_ROW: _whole(raw), "shown": _text(raw)})
    found: dict[str, pl.Series] = {}
    shown = []
    if columns.user:
        users = dataset.users
        codes = pl.DataFrame({"id": users, "code": np.arange(len(users), dtype=np.int64)})
        found[_USER] = _coded(given[columns.user], codes, None)
        shown.append(_text(given[columns.user]).alias(_USER))
    item = dataset.meta.features().item
    if columns.item and item:
        unseen = dataset.unseen(item)
        known = pl.concat([dataset.vocabulary(item), unseen]).select("id", pl.col("code").cast(pl.Int64))
        found[_ITEM] = _coded(given[columns.item], known, None if len(unseen) else UNKNOWN)
        shown.append(_text(given[columns.item]).alias(_ITEM))
    if columns.time:
        found[_TIME] = _times(table, given[columns.time], dataset)
        shown.append(_text(given[columns.time]).alias(_TIME))
    joined = pl.DataFrame(shown).select(pl.concat_str(pl.all(), separator=" ", ignore_nulls=True)).to_series()
    return pl.DataFrame(found | {"shown": joined})


def _text(values: pl.Series) -> pl.Series:
    """Ids as text, whole numbers without a point."""
    if values.dtype.is_float():
        whole = values.cast(pl.Int64, strict=False)
        same = (whole.cast(values.dtype) == values).fill_null(False)
        return whole.cast(pl.String).zip_with(same, values.cast(pl.String))
    return values.cast(pl.String)


def _whole(values: pl.Series) -> pl.Series:
    """Row ids as integers; null where a value is none."""
    text = _text(values).str.strip_chars().str.strip_suffix(".0")
    return text.cast(pl.Int64, strict=False)


def _coded(values: pl.Series, codes: pl.DataFrame, unknown: int | None) -> pl.Series:
    """Codes of raw ids; `unknown` where there is none. The data set keeps no more of ids that it has no code of."""
    text = _text(values).fill_null("").alias("id").to_frame()
    found = text.join(codes, on="id", how="left", maintain_order="left")["code"]
    return found if unknown is None else found.fill_null(unknown)


def _times(table: ScoreTable, values: pl.Series, dataset: PreparedDataset) -> pl.Series:
    """Times in the data set's unit. Numbers: in the unit in which most of them fall into the data's period.

    Raises:
        UsageError: texts that are no times.
    """
    meta = dataset.meta
    numbers = _whole(values) if not values.dtype.is_temporal() else None
    if numbers is not None and numbers.null_count() * 2 <= len(numbers):
        return _scaled(numbers, meta, dataset) if meta.calendar else numbers
    if not meta.has_calendar:
        raise UsageError(
            f"The times of {dataset.name!r} are numbers that order rows, those of {table.name} ({values.name!r}) are "
            "not: match by row id (`data export` gives them)."
        )
    times = read_times(values, unit="s", format=None, timezone=meta.timezone)
    ours, theirs = meta.ticks, TICKS[times.unit]
    return times.values * (ours // theirs) if ours >= theirs else _divided(times.values, theirs // ours)


def _divided(values: pl.Series, by: int) -> pl.Series:
    """Null where the data set's coarser unit cannot have the time."""
    return pl.select(pl.when(values % by == 0).then(values // by)).to_series()


def _scaled(numbers: pl.Series, meta: DatasetMeta, dataset: PreparedDataset) -> pl.Series:
    rows = [dataset.rows(split).timestamp for split in EVALUATED]
    edges = [edge for stamps in rows if len(stamps) for edge in (int(stamps.min()), int(stamps.max()))]
    best, found = -1, numbers
    for ticks in (meta.ticks, *TICKS.values()):
        here = numbers * (meta.ticks // ticks) if meta.ticks >= ticks else _divided(numbers, ticks // meta.ticks)
        within = int(here.is_between(min(edges), max(edges)).sum()) if edges else 0
        if within > best:
            best, found = within, here
    return found


def labels(table: ScoreTable, given: pl.Series) -> pl.Series:
    """`label` as 0 and 1.

    Raises:
        UsageError: it holds something else.
    """
    words = {"0": 0, "0.0": 0, "false": 0, "1": 1, "1.0": 1, "true": 1}
    text = given.cast(pl.Int8) if given.dtype == pl.Boolean else given
    plain = text.cast(pl.String).str.strip_chars().str.to_lowercase()
    found = plain.replace_strict(words, default=None, return_dtype=pl.Int8)
    wrong = found.is_null()
    if wrong.any():
        first = int(wrong.arg_true()[0])
        raise UsageError(
            f"The column {given.name!r} of {table.name} is called like the labels, and holds others than 0 and 1 "
            f"({int(wrong.sum()):,} rows; {table.where(first)}: {str(given[first])[:30]!r}). Name the labels "
            "(--label COLUMN), or leave them out (--label none)."
        )
    return found.alias("label")


def splits_of(table: ScoreTable, given: pl.Series) -> pl.Series:
    plain = given.cast(pl.String).str.strip_chars().str.to_lowercase()
    found = plain.replace_strict(SPLIT_WORDS, default=None, return_dtype=pl.String)
    if found.null_count():
        first = int(found.is_null().arg_true()[0])
        raise UsageError(
            f"The column {given.name!r} of {table.name} is called like the splits, and {table.where(first)} has "
            f"{str(given[first])[:30]!r} there: take val and test, or rename the column."
        )
    return found.alias("split")
