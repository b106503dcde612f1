"""What a run leaves behind: its metrics by epoch and at the end, as JSON-ready models."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from mdaf_core.metrics.metric import FIRST_DEFINITION, Metric
from mdaf_core.runs.imported import ImportedScores


class EpochMetrics(BaseModel):
    """Measured after one epoch (1-based). Gaps are train minus validation AUC, signed. Undefined metrics are None."""

    epoch: int
    lr: float
    train_loss: float | None = None
    val_loss: float | None = None
    train_auc_online: float | None = Field(None, description="Accumulated while training, in training mode.")
    train_auc_eval: float | None = Field(None, description="Evaluation mode, fixed sample as large as validation.")
    val_auc: float | None = None
    val_logloss: float | None = None
    gap_online: float | None = None
    gap_eval: float | None = None
    grad_norm: float | None = Field(None, description="Mean gradient norm before clipping.")
    gate_mean: float | None = Field(None, description="Mean g on validation rows.")
    gate_low: float | None = Field(None, description="5% quantile of g on validation rows; `gate_high`: 95%.")
    gate_high: float | None = None
    part_static: float | None = Field(
        None, description="Deviation of the branch's part in the log-odds over a sample of validation rows."
    )
    part_sequential: float | None = None
    seconds: float = Field(0.0, description="Wall time of the epoch, evaluation included.")
    rows_per_second: float = Field(0.0, description="Training rows / training seconds.")


class SplitMetrics(BaseModel):
    """Metrics of the best epoch's weights on one split. None: undefined, with the reason in `undefined`.

    Every metric of `metrics.registry` is a field by its key, also those that are not named here.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float | None]

    rows: int
    positives: int
    users: int | None = Field(None, description="None, like the two below: rows without users, or not recorded.")
    effective_users: float | None = Field(None, description="As many users of equal size (Kish).")
    largest_user: float | None = Field(None, description="Share of the rows of the user with most.")
    auc: float | None = None
    auc_se: float | None = Field(None, description="Standard error over users, or over rows where there are none.")
    gauc_coverage: float | None = Field(None, description="Share of rows whose user has both labels.")
    logloss: float | None = None
    normalised_entropy: float | None = None
    oracle_auc: float | None = Field(None, description="AUC of the true probabilities (synthetic data).")
    oracle_share: float | None = Field(None, description="(AUC - 0.5) / (oracle AUC - 0.5).")
    definitions: dict[str, str] = Field({}, description="Which definition of a metric this is, where not the first.")
    undefined: dict[str, str] = {}

    def holds(self, metric: Metric) -> bool:
        """Whether the metric was computed, by the definition that it has today."""
        known = metric.key in SplitMetrics.model_fields or metric.key in (self.model_extra or {})
        return known and self.definitions.get(metric.key, FIRST_DEFINITION) == metric.identity

    def value(self, key: str) -> float | None:
        """A metric by its key; None: undefined, or not held."""
        return getattr(self, key) if key in SplitMetrics.model_fields else (self.model_extra or {}).get(key)


class RunResult(BaseModel):
    """`result.json` of a finished run; also what `train --json` prints."""

    run_id: str
    preset: str
    configuration: str
    seed: int
    dataset: str
    best_epoch: int | None = Field(description="None, like what else is None below: imported, so not known.")
    stopped: str = Field(description="Why training ended, as a sentence.")
    epochs: list[EpochMetrics]
    val: SplitMetrics
    test: SplitMetrics
    rows_per_second: float | None
    parameters: int | None
    parameters_embedding: int | None = 0
    parameters_dense: int | None = 0
    multiply_adds: int | None = Field(None, description="Per row at the mean history length.")
    wall_seconds: float | None = 0.0
    peak_memory_mb: float | None = 0.0
    gate: dict[str, Any] = Field({}, description="Mean and deviation of g on test rows; test AUC with g replaced.")
    provenance: dict[str, Any] = {}
    imported: ImportedScores | None = Field(None, description="Where predictions came from that were not made here.")
