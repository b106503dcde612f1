"""One run, as the store and its own files know it. With a tracking server, its files are fetched from it where they are
not on this machine."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mdaf_core.base.errors import UsageError
from mdaf_core.base.settings import get_settings
from mdaf_core.data.store.schema import Split
from mdaf_core.models.base import ModelSettings
from mdaf_core.models.registry import recorded
from mdaf_core.runs import files
from mdaf_core.runs.files import RESULT, RunState, read_result, run_directory
from mdaf_core.runs.imported import IMPORTED, ImportedModel
from mdaf_core.runs.results import EpochMetrics, RunResult, SplitMetrics
from mdaf_core.runs.tracking import connection
from mdaf_core.runs.tracking.database import sentences
from mdaf_core.runs.tracking.entries import FROM_MLFLOW
from mdaf_core.runs.tracking.rows import RunRow


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


@dataclass(frozen=True)
class RunRecord:
    """One run as the store knows it. Times are Unix seconds."""

    run_id: str
    study: str
    configuration: str
    preset: str
    model: str
    seed: int
    dataset: str
    fingerprint: str
    state: RunState
    reason: str
    started: float
    ended: float | None
    config: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def directory(self) -> Path:
        return run_directory(self.run_id)

    @cached_property
    def _result(self) -> Path:
        return self.directory / RESULT

    @property
    def imported(self) -> bool:
        """Whether it was trained elsewhere, and only its predictions are here."""
        return self.model == IMPORTED

    @property
    def model_settings(self) -> ModelSettings:
        """What its model is, to be asked whether it has a gate or reads histories; values as the store keeps them."""
        if self.imported:
            return ImportedModel(of=self.configuration)
        prefix = "model."
        own = {key.removeprefix(prefix): value for key, value in self.config.items() if key.startswith(prefix)}
        settings = {key: value for key, value in own.items() if "." not in key}
        return recorded(self.model, settings, lambda: self.result is not None and bool(self.result.gate))

    @property
    def result(self) -> RunResult | None:
        """Metrics of a finished run: a page asks for those of all its runs dozens of times."""
        if self.state != "finished":
            return None
        if self._result.exists():
            return read_result(self._result, expected=True)
        return load_result(self.run_id, expected=True)

    def metrics(self, split: Split) -> SplitMetrics | None:
        """Of a finished run on one split."""
        result = self.result
        return None if result is None else getattr(result, split)

    @property
    def epochs(self) -> list[EpochMetrics]:
        """Epochs finished so far."""
        return load_epochs(self.run_id)


def record_of(run: RunRow) -> RunRecord:
    tags = run.tags
    return RunRecord(
        run_id=run.run_id,
        study=run.study,
        configuration=tags["mdaf.configuration"],
        preset=tags.get("mdaf.preset", ""),
        model=tags.get("mdaf.model", ""),
        seed=int(tags.get("mdaf.seed", 0)),
        dataset=tags.get("mdaf.dataset", ""),
        fingerprint=tags.get("mdaf.fingerprint", ""),
        state=FROM_MLFLOW[run.status],  # type: ignore[arg-type]
        reason=tags.get("mdaf.reason", ""),
        started=run.started / 1000,
        ended=run.ended / 1000 if run.ended else None,
        config=dict(run.parameters),
    )
