"""When does the model use the history? What g is, for which rows, and whether choosing it row by row pays.

g in [0, 1] is the weight of the sequential branch; the static branch has 1 − g.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from mdaf_core.data.schema import Split
from mdaf_core.errors import StudioError, UsageError
from mdaf_core.evaluation.cache import cached
from mdaf_core.evaluation.jackknife import mean_errors
from mdaf_core.evaluation.metrics import Undefined, auc, clusters, dense
from mdaf_core.evaluation.predictions import dataset_of, load_predictions
from mdaf_core.evaluation.significance import (
    BP,
    LEVEL,
    PairedTest,
    half_width,
    holm,
    paired_auc,
    sampling_component,
)
from mdaf_core.evaluation.slices import TITLES, slicings
from mdaf_core.tracking import RunRecord

HISTOGRAM_BINS = 40
AdaptivityVerdict = Literal["adaptive", "not adaptive on this data", "undefined"]


class GateGroup(BaseModel):
    """Distribution of g over a group of rows; `low` and `high` bound the mean (95%, other users)."""

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


class GateBin(BaseModel):
    """One bar of the histogram: rows of each label with `start` ≤ g < `end` (the last bin includes its end)."""

    start: float
    end: float
    negatives: int
    positives: int


REPLACEMENTS = {"mean": "g replaced by its mean", "permuted": "g shuffled"}  # as people read them


class Replacement(BaseModel):
    """AUC with g as learned minus AUC with g replaced, on the same rows."""

    name: Literal["mean", "permuted"]
    test: PairedTest
    p_adjusted: float | None = Field(None, description="By Holm over the two, for either claim on its own.")


class Adaptivity(BaseModel):
    """Whether the gate's choice row by row improves the AUC of this trained model."""

    verdict: AdaptivityVerdict
    sentence: str
    auc: float | None = None
    auc_static: float | None = Field(None, description="AUC with g = 0 on every row.")
    auc_sequential: float | None = Field(None, description="AUC with g = 1 on every row.")
    replacements: list[Replacement] = []
    notes: list[str] = []


class EpochGate(BaseModel):
    """Mean g on validation rows after an epoch."""

    epoch: int
    gate_mean: float


class GateSummary(BaseModel):
    """Everything about one run's gate on one split that does not need the model."""

    run_id: str
    split: Split
    fusion: str
    rows: int
    users: int | None
    constant: bool
    overall: GateGroup
    by_label: list[GateGroup]
    histogram: list[GateBin]
    slices: dict[str, list[GateGroup]]
    slices_note: str = ""
    by_epoch: list[EpochGate]
    adaptivity: Adaptivity


def fusion_of(run: RunRecord) -> str | None:
    """How a run of two branches fuses them; None for other models."""
    return run.config.get("model.fusion")


def without_gate(run: RunRecord) -> str | None:
    """Why a run has no g, as a sentence, or None if it has one."""
    model = run.model_settings
    if model.gated:
        return None
    history = ": the history with the effect of each event" if model.reads_history else ""
    return f"{run.configuration} {model.lacks_gate}. Its rows can be opened{history}."


def gate_summary(run: RunRecord, split: Split = "test") -> GateSummary:
    """Distribution, slices, epochs and adaptivity of one run's gate; cached on disk.

    Raises:
        UsageError: the run has no gate, or no predictions (yet).
    """
    reason = without_gate(run)
    if reason:
        raise UsageError(reason)
    try:
        dataset_of(run, split)
        whole = True
    except StudioError:  # some slices need it, and it may come back
        whole = False
    return cached("gates", [run.run_id, run.ended, split, whole], GateSummary, lambda: _summary(run, split))


def _summary(run: RunRecord, split: Split) -> GateSummary:
    frame = load_predictions(run.run_id, split)
    if "g" not in frame.columns or not len(frame):
        raise UsageError(f"The {split} predictions of run {run.run_id[:8]} hold no g: train it again.")
    g = frame["g"].to_numpy()
    label = frame["label"].to_numpy().astype(np.bool_)
    cluster = clusters(frame["user"].to_numpy())

    def group(name: str, mask: NDArray[np.bool_] | NDArray[np.int64] | slice) -> GateGroup:
        return _group(name, g[mask], None if cluster is None else cluster[mask])

    slices: dict[str, list[GateGroup]] = {}
    found, note = slicings(run, split)
    for slicing in found.values():
        members = [(name, np.flatnonzero(slicing.code == i)) for i, name in enumerate(slicing.labels)]
        slices[slicing.dimension] = [group(name, rows) for name, rows in members if len(rows)]
    return GateSummary(
        run_id=run.run_id,
        split=split,
        fusion=fusion_of(run) or "",
        rows=len(frame),
        users=None if cluster is None else int(cluster.max()) + 1,
        constant=bool(np.ptp(g) < 1e-9),
        overall=group("all rows", slice(None)),
        by_label=[group(f"label {int(y)}", label == y) for y in (False, True) if (label == y).any()],
        histogram=_histogram(g, label),
        slices=slices,
        slices_note=note,
        by_epoch=[EpochGate(epoch=e.epoch, gate_mean=e.gate_mean) for e in run.epochs if e.gate_mean is not None],
        adaptivity=adaptivity(frame, fusion_of(run)),
    )


def _group(name: str, g: NDArray[np.float64], cluster: NDArray[np.int64] | None) -> GateGroup:
    quantiles = np.quantile(g, (0.05, 0.25, 0.5, 0.75, 0.95))
    mean = float(g.mean())
    low = high = None
    try:
        mine = None if cluster is None else dense(cluster)
        units = len(g) if mine is None else int(mine.max()) + 1
        width = half_width([sampling_component(mean_errors(g, mine), "users", units)], 1 - LEVEL)
        low, high = mean - width, mean + width
    except Undefined:
        pass
    keys = ("q05", "q25", "median", "q75", "q95")
    found = dict(zip(keys, map(float, quantiles), strict=True))
    return GateGroup(group=name, rows=len(g), mean=mean, sd=float(g.std()), low=low, high=high, **found)


def _histogram(g: NDArray[np.float64], label: NDArray[np.bool_]) -> list[GateBin]:
    """Bins over the range that g takes, rounded outwards to steps of 0.05."""
    low, high = np.floor(g.min() * 20) / 20, np.ceil(g.max() * 20) / 20
    if high <= low:
        low, high = max(0.0, low - 0.05), min(1.0, high + 0.05)
    edges = np.linspace(low, high, HISTOGRAM_BINS + 1)
    negatives, positives = np.histogram(g[~label], edges)[0], np.histogram(g[label], edges)[0]
    return [
        GateBin(start=float(a), end=float(b), negatives=int(n), positives=int(p))
        for a, b, n, p in zip(edges[:-1], edges[1:], negatives, positives, strict=True)
    ]


def adaptivity(frame: pl.DataFrame, fusion: str | None = "gate") -> Adaptivity:
    """Whether g, chosen row by row, ranks better than its mean and than a permutation of itself: both have to cost.

    Args:
        frame: predictions: user, label, logit, logit_g_mean, logit_g_permuted, logit_static, logit_sequential.
        fusion: how the model fuses its branches (`MDAFConfig.fusion`).
    """
    cluster = clusters(frame["user"].to_numpy())
    label, learned = frame["label"].to_numpy(), frame["logit"].to_numpy()
    tests = []
    try:
        for name in ("mean", "permuted"):
            replaced = frame[f"logit_g_{name}"].to_numpy()
            tests.append(Replacement(name=name, test=paired_auc(label, learned, replaced, cluster)))
        branches = [auc(label, frame[f"logit_{branch}"].to_numpy()) for branch in ("static", "sequential")]
    except Undefined as reason:
        return Adaptivity(verdict="undefined", sentence=f"Whether the gate is adaptive cannot be told: {reason}")
    for entry, p in zip(tests, holm([entry.test.p for entry in tests]), strict=True):
        entry.p_adjusted = p
    # Both must be shown: such a test needs no correction for being two (Berger 1982), and words and intervals agree.
    shown = [e.test.p is not None and e.test.p < 1 - LEVEL and e.test.estimate > 0 for e in tests]
    verdict: AdaptivityVerdict = "adaptive" if all(shown) else "not adaptive on this data"
    notes = ["The intervals cover other users with this trained model; another seed's gate may differ."]
    if fusion == "gate-vector":
        notes.append(
            "g has a value for each dimension and is shown as their mean; it is replaced dimension by dimension."
        )
    return Adaptivity(
        verdict=verdict,
        sentence=_sentence(fusion, tests, shown),
        auc=tests[0].test.auc_a,
        auc_static=branches[0],
        auc_sequential=branches[1],
        replacements=tests,
        notes=notes,
    )


def _sentence(fusion: str | None, tests: list[Replacement], shown: list[bool]) -> str:
    if fusion == "fixed":
        return "g is fixed at 0.5 for every row by the configuration, so there is nothing that could adapt."
    costs = " and ".join(
        f"{'replacing g by its mean' if e.name == 'mean' else 'shuffling g over the rows'} costs "
        f"{e.test.estimate / BP:.1f} bp of AUC [{e.test.low / BP:.1f}, {e.test.high / BP:.1f}]"
        for e in tests
    )
    costs = (costs[0].upper() + costs[1:]).replace("-", "−")
    if all(shown):
        return f"{costs}: choosing g row by row improves the ranking."
    if shown[1]:
        return f"{costs}: the model reacts to g, but a choice row by row is not shown to beat one g for all rows."
    if shown[0]:
        return f"{costs}: one g for all rows is worse, but giving each row another row's g is not shown to be."
    return f"{costs}: no cost of replacing the gate is shown."


# --- rows ------------------------------------------------------------------------------------------------------------


def history_bounds(run: RunRecord, split: Split) -> tuple[int, int]:
    """Shortest and longest history of a split's rows."""
    length = load_predictions(run.run_id, split)["history_length"]
    return (0, 0) if length.is_empty() else (int(length.min()), int(length.max()))  # type: ignore[arg-type]


@dataclass(frozen=True)
class RowFilter:
    """Which rows to look at; None: all. Ranges are inclusive; `user` is a raw user id; `within` are further ranges of
    columns: (name, lowest, highest)."""

    label: int | None = None
    g: tuple[float, float] | None = None
    history: tuple[int, int] | None = None
    user: str | None = None
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
    return frame.with_row_index("position").filter(keep)


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
        probability, history_length, and for gated runs g, logit_static, logit_sequential; number of rows that pass).

    Raises:
        UsageError: no predictions, or a column to sort by that does not exist.
    """
    from mdaf_core.evaluation.story import readable_rows

    found = _filtered(run, split, wanted)
    if sort not in found.columns:
        raise UsageError(f"Rows cannot be sorted by {sort!r}. Possible: {', '.join(found.columns)}.")
    chosen = found.sort(sort, descending=descending, maintain_order=True).head(most)
    return readable_rows(run, split, chosen), len(found)


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
    history_length, g, logit_static, logit_sequential, logit.

    Beyond `most` rows (None: no bound) a seeded random sample is taken, never a cut of extremes; the row `keep` is in
    it in any case.
    """
    frame = _filtered(run, split, wanted)
    columns = [c for c in ("g", "logit_static", "logit_sequential", "logit") if c in frame.columns]
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


def slice_title(dimension: str) -> str:
    """A dimension in words."""
    return TITLES[dimension]
