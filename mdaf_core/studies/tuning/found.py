"""How a search stands: every trial with its state and figures, and the winner of each configuration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mdaf_core.queue.job import Job
from mdaf_core.runs import tracking
from mdaf_core.runs.results import EpochMetrics
from mdaf_core.runs.tracking import RunRecord
from mdaf_core.studies import trainings
from mdaf_core.studies.tuning.search import Search, Searched, Trial


@dataclass(frozen=True)
class Tried:
    """One trial as it stands.

    Attributes:
        state: of its job or run; `pruned`; `gone`: it counts and has no figure.
        value: AUC on validation of the best epoch (minus log loss where rows have one label), so far where it was
            pruned; no test figure is ever looked at.
        seconds: of training, all attempts.
        by_loss: the value is minus the log loss, for validation rows have one label.
    """

    configuration: str
    trial: Trial
    state: str
    reason: str
    value: float | None
    seconds: float
    epochs: int
    run_id: str | None
    job: Job | None
    by_loss: bool = False

    @property
    def ended(self) -> bool:
        """Whether it counts, and the next can be drawn."""
        return self.state in ("finished", "pruned", "gone")

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "configuration": self.configuration, "trial": self.trial.number, "settings": self.trial.settings,
            "state": self.state, "reason": self.reason, "validation": self.value, "seconds": self.seconds,
            "epochs": self.epochs, "run_id": self.run_id, "job": self.job.id if self.job else None,
        }  # fmt: skip


def epoch_value(epoch: EpochMetrics) -> float | None:
    """What early stopping watches, more being better."""
    return epoch.val_auc if epoch.val_auc is not None else None if epoch.val_loss is None else -epoch.val_loss


def tried(search: Search) -> dict[str, list[Tried]]:
    """Configuration → its trials, in the order of drawing."""
    by_run: dict[str, list[RunRecord]] = {}
    for run in tracking.list_runs(search.id):  # before the jobs: a job that is read later is never older than its run
        by_run.setdefault(run.configuration, []).append(run)
    by_job = {name: job for (name, _), job in trainings.of_study(search.id).items()}
    found = {}
    for one in search.configurations:
        names = [f"{one.config.name}.{trial.number}" for trial in one.trials]
        found[one.config.name] = [
            _tried(one, trial, by_run.get(name, []), by_job.get(name))
            for name, trial in zip(names, one.trials, strict=True)
        ]
    return found


def _tried(one: Searched, trial: Trial, runs: Sequence[RunRecord], job: Job | None) -> Tried:
    run = next((run for run in runs if run.state == "finished"), runs[0] if runs else None)
    result = run.result if run else None
    epochs = result.epochs if result else run.epochs if run else []
    seconds = sum(epoch.seconds for epoch in epochs) if result is None else result.wall_seconds or 0.0
    value, by_loss = None, bool(epochs) and epochs[-1].val_auc is None
    if result is not None and not trial.gone:
        value = result.val.auc
        if value is None and result.val.logloss is not None:
            value = -result.val.logloss
    elif trial.pruned is not None:
        value = max((v for epoch in epochs if (v := epoch_value(epoch)) is not None), default=None)
    state, reason = (job.state, job.reason) if job else (run.state, run.reason) if run else ("missing", "")
    if trial.gone:
        state, reason = "gone", trial.gone
    elif trial.pruned is not None:
        state, reason = "pruned", f"below the median after epoch {trial.pruned}"
    elif result is not None:
        state, reason = "finished", ""
    elif state == "finished":  # its job has ended and its run cannot be read
        state, reason = "failed", "Its run cannot be read."
    run_id = run.run_id if run else job.run_id if job else None
    return Tried(one.config.name, trial, state, reason, value, seconds, len(epochs), run_id, job, by_loss)


def is_done(search: Search, trials: Sequence[Tried]) -> bool:
    """Whether a configuration has had its budget, all of its trials having ended."""
    if not trials or not all(one.ended for one in trials):
        return False
    if search.trials is not None and len(trials) >= search.trials:
        return True
    return search.budget is not None and sum(one.seconds for one in trials) >= search.budget


def winner(trials: Sequence[Tried]) -> Tried | None:
    """The trial with the best figure on validation, of equal ones the first; pruned ones never win."""
    finished = [one for one in trials if one.state == "finished" and one.value is not None]
    return max(finished, key=lambda one: -math.inf if one.value is None else one.value, default=None)


def history(trials: Sequence[Tried]) -> list[tuple[dict[str, Any], float]]:
    """Settings and value of the trials that came to one."""
    return [(one.trial.settings, one.value) for one in trials if one.ended and one.value is not None]
