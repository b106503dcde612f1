"""Does the gate lean to the branch that is right? Told only where the branches' own answers were trained.

A branch alone is the head's answer for g = 0 or 1, an extrapolation unless a loss on the branches trained it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
from pydantic import BaseModel

from mdaf_core.analysis.effects import branch_loss_of
from mdaf_core.analysis.gate_groups import mean_interval
from mdaf_core.analysis.significance import LEVEL, half_width, sampling_component
from mdaf_core.metrics.auc import auc_errors
from mdaf_core.metrics.jackknife import units_of_rarer_label
from mdaf_core.metrics.values import Bools, Codes, Floats, Undefined, row_loss
from mdaf_core.runs.tracking import RunRecord

BINS = 10
_NOT_TRAINED = (
    "No loss on the branches was trained (or it is not known), so that the losses of one branch alone are "
    "extrapolations: whether g leans to the better branch is not told."
)


class LeanBin(BaseModel):
    """Rows of neighbouring g.

    Attributes:
        share: of rows where the sequential branch alone has the smaller loss; `low`, `high`: its 95% interval over
            other users.
        loss_static, loss_sequential, loss: mean log loss of each branch alone, and of the model.
    """

    start: float
    end: float
    rows: int
    g: float
    share: float
    low: float | None = None
    high: float | None = None
    loss_static: float
    loss_sequential: float
    loss: float


class Lean(BaseModel):
    """Whether g is higher where the sequential branch has the smaller loss: the probability that it is, of two rows,
    one where that branch has the smaller loss and one where the other has. 0.5: it leans to neither. Free of g's scale.

    Attributes:
        share: of all rows, where the sequential branch has the smaller loss.
        bins: tenths of the rows by g, fewer where g has ties.
    """

    probability: float | None = None
    low: float | None = None
    high: float | None = None
    note: str = ""
    share: float | None = None
    bins: list[LeanBin] = []


def lean_of(run: RunRecord, frame: pl.DataFrame, cluster: Codes | None) -> Lean:
    """Of one run's predictions.

    Args:
        cluster: (N,) the rows' users; None: there are none.
    """
    if not branch_loss_of(run):
        return Lean(note=_NOT_TRAINED)
    label, g = frame["label"].to_numpy(), frame["g"].to_numpy().astype(np.float64)
    static, sequential, whole = (
        row_loss(label, frame[name].to_numpy()) for name in ("logit_static", "logit_sequential", "logit")
    )
    better = sequential < static
    try:
        probability, error = auc_errors(better, g, cluster)
    except Undefined:
        return Lean(note="One branch has the smaller loss on (nearly) every row: there is nothing to lean between.")
    width = half_width([sampling_component(error, "users", units_of_rarer_label(better, cluster))], 1 - LEVEL)
    return Lean(
        probability=probability,
        low=max(0.0, probability - width),
        high=min(1.0, probability + width),
        share=float(better.mean()),
        bins=list(_bins(g, better, (static, sequential, whole), cluster)),
    )


def _bins(g: Floats, better: Bools, losses: tuple[Floats, Floats, Floats], cluster: Codes | None) -> Iterator[LeanBin]:
    edges = np.unique(np.quantile(g, np.arange(1, BINS) / BINS, method="inverted_cdf"))  # values that occur
    place = np.searchsorted(edges, g, side="left")  # rows of equal g stay together
    for i in range(len(edges) + 1):
        mine = np.flatnonzero(place == i)
        if not len(mine):
            continue
        low, high = mean_interval(better[mine].astype(np.float64), None if cluster is None else cluster[mine])
        static, sequential, whole = (float(loss[mine].mean()) for loss in losses)
        yield LeanBin(
            start=float(g[mine].min()),
            end=float(g[mine].max()),
            rows=len(mine),
            g=float(g[mine].mean()),
            share=float(better[mine].mean()),
            low=None if low is None else max(0.0, low),
            high=None if high is None else min(1.0, high),
            loss_static=static,
            loss_sequential=sequential,
            loss=whole,
        )
