"""The g of one trained model: its distribution, for which rows, and the rows themselves.

g in [0, 1] is the weight of the sequential branch's vector; the static branch's has 1 − g. It is no measure of how
much a branch, or the history, is used: a branch with twice the vector and half the weight says the same. What they
contribute is measured in `effects.py`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from mdaf_core.analysis.effects import fusion_of
from mdaf_core.analysis.gate_groups import GateGroup, bins, group_of, made_from
from mdaf_core.analysis.leaning import Lean, lean_of
from mdaf_core.analysis.slices import slicings
from mdaf_core.base.cache import cached
from mdaf_core.base.errors import UsageError
from mdaf_core.data.store.schema import Split
from mdaf_core.metrics.values import clusters
from mdaf_core.runs.predictions import load_predictions
from mdaf_core.runs.tracking import RunRecord


class GateBin(BaseModel):
    """One bar of the histogram: rows of each label with `start` ≤ g < `end` (the last bin includes its end)."""

    start: float
    end: float
    negatives: int
    positives: int


class EpochGate(BaseModel):
    """g on validation rows after an epoch: its mean and 5% and 95% quantiles; and how far each branch moves a row's
    log-odds (standard deviation of its part over a sample of them). None: recorded by an earlier version."""

    epoch: int
    gate_mean: float
    gate_low: float | None = None
    gate_high: float | None = None
    part_static: float | None = None
    part_sequential: float | None = None


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
    return cached("gates", made_from(run, split), GateSummary, lambda: _summary(run, split))


def _summary(run: RunRecord, split: Split) -> GateSummary:
    frame = load_predictions(run.run_id, split)
    if "g" not in frame.columns or not len(frame):
        raise UsageError(f"The {split} predictions of run {run.run_id[:8]} hold no g: train it again.")
    g = frame["g"].to_numpy().astype(np.float64)
    label = frame["label"].to_numpy().astype(np.bool_)
    cluster = clusters(frame["user"].to_numpy())

    def group(name: str, mask: NDArray[np.bool_] | NDArray[np.int64] | slice) -> GateGroup:
        return group_of(name, g, cluster, mask)

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
        by_epoch=[EpochGate(**e.model_dump()) for e in run.epochs if e.gate_mean is not None],
        lean=lean_of(run, frame, cluster),
    )


def _histogram(g: NDArray[np.float64], label: NDArray[np.bool_]) -> list[GateBin]:
    edges = bins(g, 0.05)
    negatives, positives = np.histogram(g[~label], edges)[0], np.histogram(g[label], edges)[0]
    return [
        GateBin(start=float(a), end=float(b), negatives=int(n), positives=int(p))
        for a, b, n, p in zip(edges[:-1], edges[1:], negatives, positives, strict=True)
    ]
