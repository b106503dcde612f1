"""Learning curves that were reported elsewhere, for comparison: never computed here, and always labelled so.

The Mamba4Rec report of 2025-10-31 (Taobao ads sample: 1,052,081 training and 225,446 validation rows, one seed). Its
train AUC was accumulated while training. Gaps are recomputed, signed; the report prints their absolute values.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from mdaf_core.analysis.overfitting import gap_of

LABEL = "reported"
MODEL = "mamba4rec"
"""Kind of model that the curves are of."""


@dataclass(frozen=True)
class ReportedEpoch:
    """One line of a reported epoch table."""

    epoch: int
    train_auc_online: float
    val_auc: float
    train_loss: float | None = None
    lr: float | None = None

    @property
    def gap_online(self) -> float | None:
        return gap_of(self.train_auc_online, self.val_auc)


V1 = (
    ReportedEpoch(1, 0.5406, 0.5814),
    ReportedEpoch(2, 0.7122, 0.5692),
    ReportedEpoch(3, 0.8807, 0.5396),
    ReportedEpoch(4, 0.9505, 0.5163),
)
V2 = (
    ReportedEpoch(1, 0.5260, 0.5454, 0.2643, 0.000500),
    ReportedEpoch(2, 0.5642, 0.5643, 0.2548, 0.001000),
    ReportedEpoch(3, 0.6272, 0.5716, 0.2507, 0.001000),
    ReportedEpoch(4, 0.6833, 0.5688, 0.2465, 0.000993),
    ReportedEpoch(5, 0.7226, 0.5600, 0.2427, 0.000946),
    ReportedEpoch(6, 0.7596, 0.5556, 0.2386, 0.000895),
    ReportedEpoch(7, 0.7933, 0.5487, 0.2331, 0.000839),
    ReportedEpoch(8, 0.8300, 0.5365, 0.2256, 0.000780),
)
CURVES: dict[str, tuple[ReportedEpoch, ...]] = {"Mamba4Rec v1 (reported)": V1, "Mamba4Rec v2 (reported)": V2}


def reported_curves(*metrics: str) -> pl.DataFrame:
    """Reported curves as rows label, curve (the metric's name), epoch, value.

    Args:
        metrics: of train_auc_online, val_auc, gap_online, train_loss, lr; others give no rows.
    """
    records = [
        {"label": label, "curve": metric, "epoch": epoch.epoch, "value": value}
        for label, epochs in CURVES.items()
        for metric in metrics
        for epoch in epochs
        if (value := getattr(epoch, metric, None)) is not None
    ]
    schema = {"label": pl.String, "curve": pl.String, "epoch": pl.Int64, "value": pl.Float64}
    return pl.DataFrame(records, schema=schema)
