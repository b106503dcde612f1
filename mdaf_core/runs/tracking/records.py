"""One run, as the store and its own files know it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mdaf_core.data.store.schema import Split
from mdaf_core.models.base import ModelSettings
from mdaf_core.models.registry import recorded
from mdaf_core.runs.files import RESULT, RunState, read_result, run_directory
from mdaf_core.runs.imported import IMPORTED, ImportedModel
from mdaf_core.runs.results import EpochMetrics, RunResult, SplitMetrics
from mdaf_core.runs.tracking.artifacts import load_epochs, load_result
from mdaf_core.runs.tracking.entries import FROM_MLFLOW
from mdaf_core.runs.tracking.rows import RunRow


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
