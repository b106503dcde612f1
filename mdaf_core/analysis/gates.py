"""The g of one trained model: its distribution, for which rows, and the rows themselves.

g in [0, 1] is the weight of the sequential branch's vector; the static branch's has 1 − g. It is no measure of how
much a branch, or the history, is used: a branch with twice the vector and half the weight says the same. What they
contribute is measured in `effects.py`.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel

from mdaf_core.analysis.effects import branch_loss_of, fusion_of
from mdaf_core.analysis.significance import LEVEL, half_width, sampling_component
from mdaf_core.analysis.slices import slicings
from mdaf_core.base.cache import cached
from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.data.store.schema import Split
from mdaf_core.metrics.auc import auc_errors
from mdaf_core.metrics.jackknife import mean_errors, units_of_rarer_label
from mdaf_core.metrics.values import Undefined, clusters, dense, row_loss
from mdaf_core.runs.predictions import dataset_of, load_predictions
from mdaf_core.runs.tracking import RunRecord, artifact

HISTOGRAM_BINS = 40


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


class Lean(BaseModel):
    """Whether g is higher where the sequential branch has the smaller loss: the probability that it is, of two rows,
    one where that branch has the smaller loss and one where the other has. 0.5: it leans to neither. Free of g's scale.
    """

    probability: float | None = None
    low: float | None = None
    high: float | None = None
    note: str = ""


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
    lean: Lean


def without_gate(run: RunRecord) -> str | None:
    """Why a run has no g, as a sentence, or None if it has one."""
    model = run.model_settings
    if model.gated:
        return None
    history = ": the history with the effect of each event" if model.reads_history else ""
    return f"{run.configuration} {model.lacks_gate}. Its rows can be opened{history}."


def gate_summary(run: RunRecord, split: Split = "test") -> GateSummary:
    """Distribution, slices and epochs of one run's g, and where it leans; cached on disk.

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
    time = artifact(run.run_id, f"predictions/{split}.parquet").stat().st_mtime_ns
    return cached("gates", [run.run_id, run.ended, time, split, whole], GateSummary, lambda: _summary(run, split))


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
        lean=_lean(run, frame, cluster),
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


def _lean(run: RunRecord, frame: pl.DataFrame, cluster: NDArray[np.int64] | None) -> Lean:
    if not branch_loss_of(run):
        return Lean(
            note="No loss on the branches was trained (or it is not known), so that the losses of one branch alone are "
            "extrapolations: whether g leans to the better branch is not told."
        )
    label = frame["label"].to_numpy()
    static, sequential = (row_loss(label, frame[f"logit_{branch}"].to_numpy()) for branch in ("static", "sequential"))
    better = sequential < static
    try:
        probability, error = auc_errors(better, frame["g"].to_numpy(), cluster)
    except Undefined:
        return Lean(note="One branch has the smaller loss on (nearly) every row: there is nothing to lean between.")
    width = half_width([sampling_component(error, "users", units_of_rarer_label(better, cluster))], 1 - LEVEL)
    return Lean(probability=probability, low=max(0.0, probability - width), high=min(1.0, probability + width))
