"""What MLflow is told of a run: its state, tags, parameters and metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mdaf_core.runs.config import RunConfig
from mdaf_core.runs.results import EpochMetrics, RunResult

if TYPE_CHECKING:
    from mlflow.entities import Metric, Param

TO_MLFLOW = {"running": "RUNNING", "finished": "FINISHED", "failed": "FAILED", "cancelled": "KILLED"}
FROM_MLFLOW = {v: k for k, v in TO_MLFLOW.items()} | {"SCHEDULED": "running"}


def run_tags(config: RunConfig, seed: int, dataset: str, fingerprint: str) -> dict[str, str]:
    """What a run is, as the store's tags."""
    return {
        "mdaf.configuration": config.name,
        "mdaf.preset": config.preset,
        "mdaf.model": config.model.kind,
        "mdaf.seed": str(seed),
        "mdaf.dataset": dataset,
        "mdaf.fingerprint": fingerprint,
        "mlflow.runName": f"{config.name}-{seed}",
    }


def run_parameters(config: RunConfig, seed: int, dataset: str) -> list[Param]:
    """A run's settings by their paths (`training.batch_size`), as the store's parameters."""
    from mlflow.entities import Param

    flat = config.flat_settings() | {"seed": seed, "dataset": dataset}
    return [Param(name, str(value)[:6000]) for name, value in flat.items()]


def epoch_metrics(epoch: EpochMetrics, milliseconds: int) -> list[Metric]:
    """Metrics of an epoch, as of this moment; those that are not defined are left out."""
    from mlflow.entities import Metric

    values = epoch.model_dump(exclude={"epoch"})
    return [
        Metric(name, float(value), milliseconds, epoch.epoch) for name, value in values.items() if value is not None
    ]


def final_metrics(result: RunResult, milliseconds: int) -> list[Metric]:
    """What a finished run is recorded with beside its epochs: `val_best.auc`, …, `best_epoch`."""
    from mlflow.entities import Metric

    finals = {
        f"{split}_best.{name}": float(value)
        for split, metrics in (("val", result.val), ("test", result.test))
        for name, value in metrics.model_dump(exclude={"undefined"}).items()
        if isinstance(value, int | float)
    }
    if result.best_epoch is not None:
        finals["best_epoch"] = float(result.best_epoch)
    return [Metric(name, value, milliseconds, 0) for name, value in finals.items()]


def portions(metrics: list[Metric]) -> Iterator[list[Metric]]:
    """As many at a time as MLflow takes at once."""
    for i in range(0, len(metrics), 1000):
        yield metrics[i : i + 1000]
