"""A run's files on this machine; with a tracking server, fetched from it where they are not here."""

from __future__ import annotations

import contextlib
from pathlib import Path

from mdaf_core.base.errors import UsageError
from mdaf_core.base.settings import get_settings
from mdaf_core.runs import files
from mdaf_core.runs.files import run_directory
from mdaf_core.runs.results import EpochMetrics, RunResult
from mdaf_core.runs.tracking import connection
from mdaf_core.runs.tracking.database import sentences


def artifact(run_id: str, name: str) -> Path:
    """Local path of one artifact of a run, fetched from the tracking server if need be.

    Raises:
        UsageError: the run has no such artifact (yet).
    """
    path = run_directory(run_id) / name
    if not path.exists() and not connection.is_local():
        from mlflow.exceptions import MlflowException

        with contextlib.suppress(MlflowException, OSError):
            connection.client().download_artifacts(run_id, name, str(run_directory(run_id)))
    if not path.exists():
        result = files.load_result(run_id)
        imported = result is not None and result.imported is not None
        why = "it was imported without" if imported else "it did not finish, or its files were removed"
        raise UsageError(f"Run {run_id[:8]} has no {name}: {why}.")
    return path


def load_result(run_id: str, expected: bool = False) -> RunResult | None:
    """Result of a finished run, or None where it has none (noted if `expected`); a file that cannot be read is noted
    and counts as none."""
    if not connection.is_local():
        with contextlib.suppress(UsageError):
            artifact(run_id, files.RESULT)
    return files.load_result(run_id, expected)


def load_epochs(run_id: str) -> list[EpochMetrics]:
    """Epochs recorded so far, oldest first: live while the run goes on. As `load_result` where they cannot be read."""
    if connection.is_local() or (run_directory(run_id) / "epochs.json").exists():
        return files.load_epochs(run_id)
    by_epoch: dict[int, dict[str, float]] = {}
    client = connection.client()
    with sentences(get_settings().tracking_uri):
        for name in EpochMetrics.model_fields:
            if name == "epoch":
                continue
            for metric in client.get_metric_history(run_id, name):
                by_epoch.setdefault(metric.step, {})[name] = metric.value
    return [EpochMetrics.model_validate({"epoch": e, **values}) for e, values in sorted(by_epoch.items())]
