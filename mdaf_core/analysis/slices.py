"""Rows in groups that mean something (history length, activity, popularity, unseen ids, hour), and AUC in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel

from mdaf_core.analysis.items import items_of
from mdaf_core.analysis.significance import LEVEL, half_width, sampling_component, seed_component, shared_by_seeds
from mdaf_core.base.cache import cached, cached_array
from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.describe import local_clock
from mdaf_core.data.store.schema import FIRST_ID, MAX_HISTORY, Split
from mdaf_core.metrics.auc import auc, auc_errors
from mdaf_core.metrics.jackknife import units_of_rarer_label
from mdaf_core.metrics.values import Undefined, checked, clusters
from mdaf_core.runs.predictions import dataset_of, difference_of_rows, imported_without, load_predictions
from mdaf_core.runs.provenance import fingerprint
from mdaf_core.runs.tracking import RunRecord

_LENGTHS = ((0, 0), (1, 2), (3, 5), (6, 10), (11, 20), (21, 50), (51, None))
_LONG = (*_LENGTHS[:-1], (51, 200), (201, 1000), (1001, 5000), (5001, None))
_COUNTS = ((0, 0), (1, 2), (3, 9), (10, 29), (30, 99), (100, 999), (1000, None))
TITLES = {
    "history_length": "History length, events",
    "user_activity": "Training rows of the user",
    "item_popularity": "Training rows of the item",
    "unseen": "Unseen in training",
    "hour": "Hour of the day",
    "segment": "Planted segment",
}


@dataclass(frozen=True)
class Slicing:
    """A partition of a split's rows. `code` (N,) indexes `labels`; labels without rows are possible."""

    dimension: str
    labels: list[str]
    code: NDArray[np.int64]


class SliceMetrics(BaseModel):
    """AUC of one configuration on one slice, averaged over its runs."""

    slice: str
    rows: int
    positives: int
    auc: float | None = None
    low: float | None = None
    high: float | None = None
    note: str = ""


class _Slices(BaseModel):
    slices: list[SliceMetrics]


def _intervals(values: NDArray[np.int64], bounds: Sequence[tuple[int, int | None]]) -> tuple[list[str], NDArray[Any]]:
    labels = [str(a) if a == b else f"{a}+" if b is None else f"{a}–{b}" for a, b in bounds]
    return labels, np.searchsorted([a for a, _ in bounds], values, side="right") - 1


def _training_rows(dataset: PreparedDataset, split: Split, column: str) -> NDArray[np.int64]:
    """How many training rows have each row's value of a column of codes; 0 for the unknown code."""
    train, here = dataset.rows("train").columns[column], dataset.rows(split).columns[column]
    counts = np.bincount(train, minlength=int(max(train.max(initial=0), here.max(initial=0))) + 1)
    if column != "user_index":
        counts[:FIRST_ID] = 0
    return counts[here]


def _longest(run: RunRecord, split: Split) -> int:
    length = load_predictions(run.run_id, split)["history_length"]
    return int(length.max() or 0)  # type: ignore[arg-type]


def slicings(run: RunRecord, split: Split) -> tuple[dict[str, Slicing], str]:
    """Every partition of the rows that the run's data set allows, by dimension.

    Where the data set is gone or has changed, only that by history length, which the predictions hold, and the reason.
    """
    length = load_predictions(run.run_id, split)["history_length"].to_numpy()
    bounds = _LENGTHS if length.max(initial=0) <= MAX_HISTORY else _LONG
    by_length = {"history_length": _intervals(length, bounds)} if length.any() else {}
    try:
        dataset = dataset_of(run, split)
        found, reason = by_length | _kept(dataset, split), ""
    except StudioError as error:
        found, reason = by_length, str(error)
    return {name: Slicing(name, labels, np.asarray(code, np.int64)) for name, (labels, code) in found.items()}, reason


class _Labels(BaseModel):
    labels: dict[str, list[str]]


def _kept(dataset: PreparedDataset, split: Split) -> dict[str, tuple[list[str], NDArray[Any]]]:
    """`_by_ids`, kept on disk: it reads all training rows."""
    times = [dataset.changed(part) for part in ("train", split)]
    key = [dataset.name, fingerprint(dataset), split, *times]
    compute = cache(lambda: _by_ids(dataset, split))
    labels = cached("slicings", key, _Labels, lambda: _Labels(labels={n: names for n, (names, _) in compute().items()}))
    if not labels.labels:
        return {}
    codes = cached_array("slicings", key, lambda: np.stack([code for _, code in compute().values()]).astype(np.int32))
    return {name: (names, code) for (name, names), code in zip(labels.labels.items(), codes, strict=True)}


def _by_ids(dataset: PreparedDataset, split: Split) -> dict[str, tuple[list[str], NDArray[Any]]]:
    """Labels and codes of the partitions that need the data set's rows."""
    meta, rows = dataset.meta, dataset.rows(split)
    found: dict[str, tuple[list[str], NDArray[Any]]] = {}
    unseen_user = unseen_item = None
    if meta.has_user:
        activity = _training_rows(dataset, split, "user_index")
        found["user_activity"] = _intervals(activity, _COUNTS)
        unseen_user = activity == 0
    item = meta.features().item
    if item is not None:
        popularity = _training_rows(dataset, split, item)
        found["item_popularity"] = _intervals(popularity, _COUNTS)
        unseen_item = popularity == 0
    if unseen_user is not None and unseen_item is not None:
        labels = ["user and item seen", "user unseen", "item unseen", "user and item unseen"]
        found["unseen"] = (labels, unseen_user + 2 * unseen_item.astype(np.int64))
    elif unseen_user is not None or unseen_item is not None:
        what, unseen = ("user", unseen_user) if unseen_user is not None else ("item", unseen_item)
        found["unseen"] = ([f"{what} seen", f"{what} unseen"], np.asarray(unseen, np.int64))
    if meta.has_calendar:
        hour = local_clock(rows.timestamp, meta.timezone, meta.time_unit)[0]
        found["hour"] = ([f"{h:02d}" for h in range(24)], hour)
    if "segment" in rows.columns and "segment" not in {field.name for field in meta.fields}:  # planted, no input
        names, code = np.unique(rows.columns["segment"].astype(str), return_inverse=True)
        found["segment"] = (list(names), code)
    return found


def _measure(runs: Sequence[RunRecord], slicing: Slicing, split: Split) -> _Slices:
    """AUC and interval of each slice; placements are taken within the slice."""
    frames = [load_predictions(run.run_id, split) for run in runs]
    label = frames[0]["label"].to_numpy().astype(np.bool_)
    user = frames[0]["user"].to_numpy()
    order = np.argsort(slicing.code, kind="stable")
    edges = np.searchsorted(slicing.code[order], np.arange(len(slicing.labels) + 1))
    out = []
    for i, name in enumerate(slicing.labels):
        mine = order[edges[i] : edges[i + 1]]
        if not len(mine):
            continue
        y = label[mine]
        entry = SliceMetrics(slice=name, rows=len(mine), positives=int(y.sum()))
        out.append(entry)
        try:
            scores = [frame["logit"].to_numpy()[mine] for frame in frames]
            values = [auc(y, score) for score in scores]
            entry.auc = float(np.mean(values))
            cluster = clusters(user[mine])
            errors = np.stack([auc_errors(*checked(y, score), cluster)[1] for score in scores])
        except Undefined as reason:
            entry.note = str(reason)
            continue
        what: Literal["rows", "users"] = "rows" if cluster is None else "users"
        components = [sampling_component(errors.mean(0), what, units_of_rarer_label(y, cluster))]
        if len(runs) > 1:  # as of a comparison: what seeds share, and the seeds
            shared = components[0].model_copy(update={"variance": shared_by_seeds(errors @ errors.T)})
            components = [shared, seed_component(values)]
        width = half_width(components, 1 - LEVEL)
        entry.low, entry.high = max(0.0, entry.auc - width), min(1.0, entry.auc + width)
    return _Slices(slices=out)


def slice_metrics(groups: dict[str, Sequence[RunRecord]], dimension: str, split: Split = "test") -> pl.DataFrame:
    """AUC by slice for configurations.

    Args:
        groups: configuration → its runs (seeds) on the same rows. The AUC is their mean; the interval covers other
            seeds and other users (rows, where there are none) at once, of one run other users alone.
        dimension: one of `TITLES` that the data allow, see `slicings`.

    Returns:
        Columns configuration, dimension, slice, auc, low, high (null where undefined, with the reason in note), rows,
        positives, seeds, note. Slices are in their natural order; those without rows are left out.

    Raises:
        UsageError: the data do not allow the dimension.
        StudioError: the dimension needs a data set that is gone or has changed, or runs are not of the same rows.
    """
    groups = {
        name: [run for run in group if not imported_without(run, split)]
        for name, group in groups.items()
        if not all(imported_without(run, split) for run in group)
    }
    runs = [run for group in groups.values() for run in group]
    records = []
    if runs:
        longest = runs[0]
        if dimension == "history_length":  # as the configuration reads it that reads most
            longest = max((group[0] for group in groups.values() if group), key=lambda run: _longest(run, split))
        available, reason = slicings(longest, split)
        if dimension not in available and reason and dimension in TITLES:
            raise StudioError(reason)
        if dimension not in available:
            raise UsageError(f"These rows cannot be sliced by {dimension!r}. Possible: {', '.join(available)}.")
    for name, group in groups.items():

        def measure(group: Sequence[RunRecord] = group) -> _Slices:
            for run in group:
                refused = difference_of_rows(run, runs[0], split)
                if refused:
                    raise StudioError(refused)
            return _measure(group, available[dimension], split)

        key = [dimension, split, [[run.run_id, run.ended, run.fingerprint] for run in group], runs[0].fingerprint]
        if longest is not runs[0]:
            key.append(longest.run_id)
        for entry in cached("slices", key, _Slices, measure).slices:
            record = {"configuration": name, "dimension": dimension, **entry.model_dump(), "seeds": len(group)}
            records.append(record)
    schema = {
        **dict.fromkeys(("configuration", "dimension", "slice"), pl.String),
        **dict.fromkeys(("auc", "low", "high"), pl.Float64),
        **dict.fromkeys(("rows", "positives", "seeds"), pl.Int64),
        "note": pl.String,
    }
    return pl.DataFrame(records, schema=schema)


def slices_cover(frame: pl.DataFrame, run: RunRecord, split: Split) -> str:
    """What the intervals of `slice_metrics` cover, in words; those of single runs say so.

    Args:
        frame: of `slice_metrics`; run: one of its runs.
    """
    what = "rows" if clusters(load_predictions(run.run_id, split)["user"].to_numpy()) is None else "users"
    items = ", on these items" if what == "users" and items_of(run, split).items is not None else ""
    alone = f"other {what} with this trained model{items}, not other seeds"
    if frame["seeds"].max() == 1:
        return alone
    single = frame.filter(pl.col("seeds") == 1)["configuration"].unique(maintain_order=True).to_list()
    both = f"other seeds and other {what}{items}, not adjusted for the number of slices"
    return both + (f"; for {', '.join(single)}: {alone}" if single else "")
