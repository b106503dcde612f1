"""What one trained gate and its branches say of groups of rows: means by one or two variables, and histograms.

g is no measure of how much a branch is used. What each branch adds to a row's log-odds beside other rows' vectors
(`training/replaced.py`) does not depend on g's scale: signed, so that a mean says whether the branch raises or lowers
these rows, and its size, how far it moves them.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from mdaf_core.analysis.significance import LEVEL, half_width, sampling_component
from mdaf_core.analysis.slices import TITLES, Slicing, slicings
from mdaf_core.base.cache import cached
from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.data.store.schema import Split
from mdaf_core.metrics.jackknife import mean_errors
from mdaf_core.metrics.values import Bools, Codes, Floats, Undefined, clusters, dense
from mdaf_core.runs.predictions import dataset_of, load_predictions
from mdaf_core.runs.tracking import RunRecord, artifact

Value = Literal["g", "static", "sequential", "static_size", "sequential_size"]
VALUES: dict[Value, str] = {
    "g": "g",
    "static": "Static branch, part in the log-odds",
    "sequential": "Sequential branch, part in the log-odds",
    "static_size": "Static branch, size of its part in the log-odds",
    "sequential_size": "Sequential branch, size of its part in the log-odds",
}
HISTOGRAM_BINS = 40
MOST_GROUPS = 8  # histograms over one another
LABEL = "label"


class GateGroup(BaseModel):
    """Distribution of a value over a group of rows; `low` and `high` bound the mean (95%, other users)."""

    group: str
    rows: int
    mean: float
    sd: float
    low: float | None = None
    high: float | None = None
    q05: float
    q25: float
    median: float
    q75: float
    q95: float


class Cell(BaseModel):
    """Rows of one group of each of two variables; the mean of a value, its 95% interval over other users."""

    of_first: str
    of_second: str
    rows: int
    users: int | None
    mean: float
    low: float | None = None
    high: float | None = None


class Cells(BaseModel):
    """Means of a value over the cells of two variables; cells without rows are left out.

    Attributes:
        firsts, seconds: labels that have rows, in their natural order.
    """

    value: Value
    first: str
    second: str
    firsts: list[str]
    seconds: list[str]
    cells: list[Cell]


class Step(BaseModel):
    """One bar of a histogram: rows of a group with `start` ≤ value < `end` (the last bar includes its end)."""

    group: str
    start: float
    end: float
    rows: int
    share: float = Field(description="Of the group's rows.")


class _Groups(BaseModel):
    groups: list[GateGroup]


class _Steps(BaseModel):
    steps: list[Step]


def dimensions(run: RunRecord, split: Split) -> tuple[dict[str, str], str]:
    """What rows can be grouped by, with titles, and why it is not more (the data set is gone)."""
    found, reason = slicings(run, split)
    return {name: TITLES[name] for name in found}, reason


def values_of(run: RunRecord, split: Split) -> list[Value]:
    """Which values a run's predictions hold."""
    held = load_predictions(run.run_id, split).columns
    return [value for value in VALUES if _column(value) in held]


def groups(run: RunRecord, split: Split, value: Value, by: str) -> list[GateGroup]:
    """Distribution of a value in the groups of one variable, in their natural order.

    Args:
        by: of `dimensions`.

    Raises:
        UsageError: the predictions do not hold the value, or rows cannot be grouped by the variable.
        StudioError: the variable needs a data set that is gone or has changed.
    """
    frame, slicing = _asked(run, split, value, by)

    def compute() -> _Groups:
        given, cluster = _values(frame, value), clusters(frame["user"].to_numpy())
        members = [(name, np.flatnonzero(slicing.code == i)) for i, name in enumerate(slicing.labels)]
        return _Groups(groups=[group_of(name, given, cluster, rows) for name, rows in members if len(rows)])

    return cached("gate-groups", [*made_from(run, split), value, by], _Groups, compute).groups


def cells(run: RunRecord, split: Split, value: Value, first: str, second: str) -> Cells:
    """Means of a value over the cells of two variables.

    Raises:
        UsageError, StudioError: as `groups`; the two are the same variable.
    """
    if first == second:
        raise UsageError(f"Two different variables make a table; both are {first!r}.")
    frame, one = _asked(run, split, value, first)
    other = _asked(run, split, value, second)[1]

    def compute() -> Cells:
        given, cluster = _values(frame, value), clusters(frame["user"].to_numpy())
        code = one.code * len(other.labels) + other.code
        order = np.argsort(code, kind="stable")
        edges = np.searchsorted(code[order], np.arange(len(one.labels) * len(other.labels) + 1))
        found = []
        for i, of_first in enumerate(one.labels):
            for j, of_second in enumerate(other.labels):
                place = i * len(other.labels) + j
                mine = order[edges[place] : edges[place + 1]]
                if len(mine):
                    users = None if cluster is None else len(np.unique(cluster[mine]))
                    low, high = mean_interval(given[mine], None if cluster is None else cluster[mine])
                    mean = float(given[mine].mean())
                    found.append(Cell(of_first=of_first, of_second=of_second, rows=len(mine), users=users,
                                      mean=mean, low=low, high=high))  # fmt: skip
        firsts, seconds = {cell.of_first for cell in found}, {cell.of_second for cell in found}
        return Cells(
            value=value,
            first=first,
            second=second,
            firsts=[name for name in one.labels if name in firsts],
            seconds=[name for name in other.labels if name in seconds],
            cells=found,
        )

    return cached("gate-cells", [*made_from(run, split), value, first, second], Cells, compute)


def histograms(run: RunRecord, split: Split, value: Value, by: str = LABEL) -> list[Step]:
    """Histograms of a value, one a group, over bins that all groups share.

    Args:
        by: `label`, or of `dimensions`; of more than `MOST_GROUPS` groups those with the most rows.

    Raises:
        UsageError, StudioError: as `groups`.
    """
    if by == LABEL:
        frame = _held(run, split, value)
        slicing = Slicing(LABEL, ["label 0", "label 1"], frame["label"].to_numpy().astype(np.int64))
    else:
        frame, slicing = _asked(run, split, value, by)

    def compute() -> _Steps:
        given = _values(frame, value)
        edges = bins(given, 0.05 if value == "g" else None)
        sizes = np.bincount(slicing.code, minlength=len(slicing.labels))
        largest = np.argsort(-sizes, kind="stable")[:MOST_GROUPS]
        steps = []
        for i in sorted(int(i) for i in largest if sizes[i]):
            counts = np.histogram(given[slicing.code == i], edges)[0]
            steps += [
                Step(group=slicing.labels[i], start=a, end=b, rows=int(n), share=n / sizes[i])
                for a, b, n in zip(edges[:-1], edges[1:], counts, strict=True)
            ]
        return _Steps(steps=steps)

    return cached("gate-histograms", [*made_from(run, split), value, by], _Steps, compute).steps


def shown_first(run: RunRecord, split: Split) -> None:
    """Compute, where it is not kept yet, what is shown of a run's g before anything is chosen."""
    histograms(run, split, "g")
    for by in list(dimensions(run, split)[0])[:1]:
        groups(run, split, "g", by)
        histograms(run, split, "g", by)


def group_of(name: str, value: Floats, cluster: Codes | None, rows: NDArray[Any] | Bools | slice) -> GateGroup:
    """The distribution of a value over these rows."""
    mine = value[rows]
    low, high = mean_interval(mine, None if cluster is None else cluster[rows])
    quantiles = np.quantile(mine, (0.05, 0.25, 0.5, 0.75, 0.95))
    found = dict(zip(("q05", "q25", "median", "q75", "q95"), map(float, quantiles), strict=True))
    return GateGroup(
        group=name, rows=len(mine), mean=float(mine.mean()), sd=float(mine.std()), low=low, high=high, **found
    )


def mean_interval(value: Floats, cluster: Codes | None) -> tuple[float | None, float | None]:
    """The 95% interval of a mean over other users (rows, without users); None, None with fewer than two."""
    try:
        mine = None if cluster is None else dense(cluster)
        units = len(value) if mine is None else int(mine.max(initial=-1)) + 1
        width = half_width([sampling_component(mean_errors(value, mine), "users", units)], 1 - LEVEL)
    except Undefined:
        return None, None
    mean = float(value.mean())
    return mean - width, mean + width


def bins(value: Floats, step: float | None = None) -> Floats:
    """Edges of `HISTOGRAM_BINS` bins over the range of a value, which of g is rounded outwards to a step."""
    low, high = float(value.min()), float(value.max())
    if step is not None:
        low, high = np.floor(low / step) * step, np.ceil(high / step) * step
        if high <= low:
            low, high = max(0.0, low - step), min(1.0, high + step)
    elif high <= low:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, HISTOGRAM_BINS + 1)


def _column(value: Value) -> str:
    return "g" if value == "g" else f"contribution_{value.removesuffix('_size')}"


def _values(frame: pl.DataFrame, value: Value) -> Floats:
    found = frame[_column(value)].to_numpy().astype(np.float64)
    return np.abs(found) if value.endswith("_size") else found


def _held(run: RunRecord, split: Split, value: Value) -> pl.DataFrame:
    frame = load_predictions(run.run_id, split)
    if value not in VALUES:
        raise UsageError(f"There is no value {value!r}. Possible: {', '.join(VALUES)}.")
    if _column(value) not in frame.columns or not len(frame):
        raise UsageError(
            f"The {split} predictions of run {run.run_id[:8]} hold no {'g' if value == 'g' else 'parts of branches'}: "
            "its model has none, or it was trained by an earlier version (`gates RUN --recompute` asks it anew)."
        )
    return frame


def _asked(run: RunRecord, split: Split, value: Value, by: str) -> tuple[pl.DataFrame, Slicing]:
    frame, (found, reason) = _held(run, split, value), slicings(run, split)
    if by not in found and reason and by in TITLES:
        raise StudioError(reason)
    if by not in found:
        raise UsageError(f"These rows cannot be grouped by {by!r}. Possible: {', '.join(found) or 'nothing'}.")
    return frame, found[by]


def made_from(run: RunRecord, split: Split) -> list[object]:
    """The key of what is kept: also whether the data set is here, which some groups need and which may come back."""
    try:
        dataset_of(run, split)
        whole = True
    except StudioError:
        whole = False
    time = artifact(run.run_id, f"predictions/{split}.parquet").stat().st_mtime_ns
    return [run.run_id, run.ended, time, split, whole]
