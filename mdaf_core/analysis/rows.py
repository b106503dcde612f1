"""Rows of a run's predictions: those that pass a filter, with what people call their user, time, item and category."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.data.store import describe
from mdaf_core.data.store.columns import identities
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.describe import CLOCK, MISSING_WORD
from mdaf_core.data.store.schema import FIRST_ID, Split
from mdaf_core.runs.predictions import dataset_of, load_predictions
from mdaf_core.runs.tracking import RunRecord

UNSEEN = "unseen in training"
BRANCH_PARTS = ("contribution_static", "contribution_sequential")
"""Columns of the branches' parts in a row's log-odds."""


def history_bounds(run: RunRecord, split: Split) -> tuple[int, int]:
    """Shortest and longest history of a split's rows."""
    length = load_predictions(run.run_id, split)["history_length"]
    return (0, 0) if length.is_empty() else (int(length.min()), int(length.max()))  # type: ignore[arg-type]


@dataclass(frozen=True)
class RowFilter:
    """Which rows to look at; None: all. Ranges are inclusive; `user` is a raw user id; `fields` says what the target's
    fields are, (name, text), see `rows_found`; `within` are further ranges of columns: (name, lowest, highest)."""

    label: int | None = None
    g: tuple[float, float] | None = None
    history: tuple[int, int] | None = None
    user: str | None = None
    fields: tuple[tuple[str, str], ...] = ()
    within: tuple[tuple[str, float, float], ...] = ()


def _filtered(run: RunRecord, split: Split, wanted: RowFilter) -> pl.DataFrame:
    """Predictions that pass, with their `position` in the split."""
    frame = load_predictions(run.run_id, split)
    keep = pl.lit(True)
    if wanted.label is not None:
        keep &= pl.col("label") == wanted.label
    if wanted.g is not None and "g" in frame.columns:
        keep &= pl.col("g").is_between(*wanted.g)
    if wanted.history is not None:
        keep &= pl.col("history_length").is_between(*wanted.history)
    for column, lowest, highest in wanted.within:
        keep &= pl.col(column).is_between(lowest, highest)
    if wanted.user is not None:
        codes = (dataset_of(run, split).users == wanted.user).arg_true()
        keep &= pl.col("user").is_in(codes.to_list())
    for name, text in wanted.fields:
        dataset = dataset_of(run, split)
        if name not in _searched(dataset):
            raise UsageError(
                f"Rows cannot be searched by {name!r}. Possible: {', '.join(_searched(dataset)) or 'user'}."
            )
        keep &= pl.Series(rows_found(dataset, split, name, text))
    return frame.with_row_index("position").filter(keep)


def searched_fields(run: RunRecord, split: Split) -> list[str]:
    """Fields of the target, items and categories, that rows can be searched by; none where the data set is gone."""
    try:
        return _searched(dataset_of(run, split))
    except StudioError:
        return []


def _searched(dataset: PreparedDataset) -> list[str]:
    return [f.name for f in dataset.meta.fields if f.kind == "categorical" and f.role in ("item", "category")]


def rows_found(dataset: PreparedDataset, split: Split, field: str, text: str) -> NDArray[np.bool_]:
    """(N,) which rows' target a text finds in a field: the raw id or title, if there is one; else ids and titles that
    contain it, in whatever case. `unseen in training` finds what is shown so."""
    columns = dataset.rows(split).columns
    if text == UNSEEN:
        return np.asarray(columns[field]) < FIRST_ID
    known = [part.select("code", "id", "title") for part in (dataset.vocabulary(field), dataset.unseen(field))]
    names = pl.concat(known, how="vertical_relaxed")
    found = names.filter((pl.col("id") == text) | (pl.col("title") == text).fill_null(False))
    if found.is_empty():
        contained = (pl.col(n).str.to_lowercase().str.contains(text.lower(), literal=True) for n in ("id", "title"))
        found = names.filter(pl.any_horizontal(contained))
    return np.isin(identities(columns, field), found["code"].to_numpy())


def select_rows(
    run: RunRecord,
    split: Split,
    wanted: RowFilter = RowFilter(),
    *,
    sort: str = "row_id",
    descending: bool = False,
    most: int = 1000,
) -> tuple[pl.DataFrame, int]:
    """Rows that pass a filter, with their ids as people know them, and how many pass.

    Args:
        sort: a column of the predictions.
        most: rows returned at most.

    Returns:
        (frame of at most `most` rows: row_id, user, the item's and other fields' raw ids or titles, time, label,
        probability, history_length, and for runs of two branches
        their parts in the log-odds, for gated ones g, logit_static, logit_sequential; number of rows that pass).

    Raises:
        UsageError: no predictions, or a column to sort by that does not exist.
    """
    found = _filtered(run, split, wanted)
    if sort not in found.columns:
        raise UsageError(f"Rows cannot be sorted by {sort!r}. Possible: {', '.join(found.columns)}.")
    first = found.select(sort).with_row_index("at").sort(sort, descending=descending, maintain_order=True).head(most)
    chosen = found[first["at"]]  # sorting all columns takes as long as all else
    return readable_rows(run, split, chosen), len(found)


def row_columns(run: RunRecord, split: Split) -> list[str]:
    """Names of the columns of a run's predictions."""
    return load_predictions(run.run_id, split).columns


SCATTER_ROWS = 4_000
"""More points hide one another on a screen, and take a browser long to draw."""


def scatter_rows(
    run: RunRecord,
    split: Split,
    wanted: RowFilter = RowFilter(),
    most: int | None = SCATTER_ROWS,
    keep: int | None = None,
) -> tuple[pl.DataFrame, str]:
    """Columns of the gate scatter of the rows that pass, float32, and a sentence if it is a sample: row_id, label,
    history_length, what the branches contribute, g, logit_static, logit_sequential, logit.

    Beyond `most` rows (None: no bound) a seeded random sample is taken, never a cut of extremes; the row `keep` is in
    it in any case.
    """
    frame = _filtered(run, split, wanted)
    wanted_columns = (*BRANCH_PARTS, "g", "logit_static", "logit_sequential", "logit")
    columns = [c for c in wanted_columns if c in frame.columns]
    note = ""
    if most is not None and len(frame) > most:
        note = (
            f"A random sample of {most:,} of {len(frame):,} rows is drawn; the table and all figures use all rows. "
            "Filters narrow it down."
        )
        sample = frame.sample(most, seed=0).sort("row_id")
        if keep is not None and keep not in sample["row_id"]:  # last, so that the places of the others stay
            sample = pl.concat([sample, frame.filter(pl.col("row_id") == keep)])
        frame = sample
    return frame.select("row_id", "label", "history_length", pl.col(columns).cast(pl.Float32)), note


def readable(dataset: PreparedDataset, field: str, codes: NDArray[Any]) -> list[str]:
    """Titles, where there are any, else raw ids of one field's codes; 'missing'; 'unseen in training' for the
    unknown code."""
    wanted = np.unique(codes[codes >= FIRST_ID])
    vocabulary = dataset.vocabulary(field)
    found = vocabulary.filter(pl.col("code").is_in(wanted.tolist()))
    text = pl.coalesce("title", "id") if "title" in found.columns else pl.col("id")
    found = found.with_columns(pl.when(pl.col("id") == "").then(pl.lit(MISSING_WORD)).otherwise(text).alias("text"))
    names = dict(zip(found["code"].to_list(), found["text"].to_list(), strict=True))
    return [names.get(int(code), UNSEEN) for code in codes]


def local_times(dataset: PreparedDataset, timestamps: NDArray[np.int64]) -> list[str]:
    """Local times of a data set as text: `2017-11-30 14:05:12`."""
    return describe.local_times(timestamps, dataset.meta.timezone, dataset.meta.time_unit).dt.strftime(CLOCK).to_list()


def readable_rows(run: RunRecord, split: Split, chosen: pl.DataFrame) -> pl.DataFrame:
    """Predictions (with their `position` in the split) joined with what people call user, time, item and category."""
    columns: dict[str, Any] = {"row_id": chosen["row_id"]}
    try:
        dataset = dataset_of(run, split)
        meta, rows = dataset.meta, dataset.rows(split)
        position = chosen["position"].to_numpy()
        if meta.has_user:
            columns["user"] = dataset.users.gather(chosen["user"])
        if meta.has_calendar:
            columns["time"] = local_times(dataset, chosen["timestamp"].to_numpy())
        for name in _searched(dataset):
            columns[name] = readable(dataset, name, rows.columns[name][position])
    except UsageError:
        raise
    except StudioError:
        columns["user"] = chosen["user"]  # the data set is gone: the dense index is all there is
    numbers = ("label", "probability", "history_length", *BRANCH_PARTS, "g", "logit_static", "logit_sequential")
    return pl.DataFrame(columns | {name: chosen[name] for name in numbers if name in chosen.columns})
