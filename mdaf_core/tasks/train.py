"""One training of one configuration with one seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mdaf_core.queue import kind
from mdaf_core.runs import progress
from mdaf_core.studies import trainings
from mdaf_core.studies.trainings import Training

if TYPE_CHECKING:
    from mdaf_core.queue.context import Context
    from mdaf_core.queue.job import Job
    from mdaf_core.runs.results import EpochMetrics


class TrainProgress(progress.Progress, kind.Progress):
    """As the training tells it."""

    run_id: str = ""
    phase: str = "starting"

    def share(self) -> float | None:
        """By epochs and steps; the last hundredth is evaluating."""
        if self.phase == "starting":
            return None
        if self.phase == "evaluating":
            return 0.99
        within = self.step / self.steps if self.steps else 0.0
        return min((self.epoch - 1 + within) / self.max_epochs, 0.99)

    def words(self) -> str:
        """Epoch and step, speed, validation AUC so far."""
        if self.phase == "starting":
            return "starting"
        if self.phase == "evaluating":
            return "evaluating the best epoch's weights"
        parts = [f"epoch {self.epoch} of at most {self.max_epochs}"]
        if self.steps:
            parts.append(f"step {self.step:,} of {self.steps:,}")
        if self.rows_per_second:
            parts.append(f"{self.rows_per_second:,.0f} rows/s")
        if self.best_val_auc is not None:
            parts.append(f"best validation AUC {self.best_val_auc:.4f}")
        return ", ".join(parts)


def run(context: Context, training: Training) -> None:
    """Train; a job that goes on continues its run."""
    from mdaf_core.base import notices
    from mdaf_core.data.prepare.resources import machine_memory
    from mdaf_core.data.store.dataset import PreparedDataset
    from mdaf_core.studies.estimate import needed_memory
    from mdaf_core.studies.tuning import going, prune, search
    from mdaf_core.tasks import summaries
    from mdaf_core.training.divergence import Diverged

    job = context.job
    place = trainings.place(job)
    trial_of = search.get(place.study) if place is not None and search.exists(place.study) else None
    judge = prune.watch(trial_of, place.configuration) if trial_of is not None and place is not None else None
    dataset = PreparedDataset.open(training.dataset)
    if job.threads is not None:  # others may run beside it
        context.wait_for_memory(needed_memory(training.config, dataset), machine_memory() // 2)

    def on_epoch(epochs: list[EpochMetrics]) -> None:
        notices.log(epoch_line(epochs[-1]))
        if judge is not None:
            judge(epochs)

    try:
        summaries.train(
            training.config,
            dataset,
            training.seed,
            study=place.study if place else "",
            run_id=job.run_id if job.resume else None,
            on_progress=lambda told: context.report(told, run_id=told.run_id),
            on_epoch=on_epoch,
            should_stop=context.should_stop,
            provenance={**training.provenance, "job": job.id},
        )
    except Diverged as error:
        if trial_of is not None:
            going.diverged(trial_of.id, training.config.name, str(error))
        raise
    except prune.BelowMedian as end:
        notices.log(str(end))
        going.pruned(trial_of.id, training.config.name, end.epoch)  # type: ignore[union-attr]
        return
    if place is not None:
        _go_on(place.study)


def epoch_line(epoch: EpochMetrics) -> str:
    """One line of a job's log on an epoch that has ended."""
    parts = [f"training loss {epoch.train_loss:.4f}"]
    parts += [f"validation log loss {epoch.val_loss:.4f}"] if epoch.val_loss is not None else []
    named = (("training AUC", epoch.train_auc_eval), ("validation AUC", epoch.val_auc))
    parts += [f"{name} {value:.4f}" for name, value in named if value is not None]
    return f"Epoch {epoch.epoch}: {', '.join(parts)}, {epoch.seconds:.1f} s."


def settle(job: Job, state: Literal["failed", "cancelled"], reason: str) -> bool:
    """Close the job's runs that are still open in the run store; whether its own had finished.

    A study has one job a configuration and seed, so that every run of that pair that is still open is this job's.
    """
    from mdaf_core.runs import tracking

    place, finished = trainings.place(job), False
    if place is None:
        return False
    for record in tracking.list_runs(place.study):
        if (record.configuration, record.seed) != (place.configuration, place.seed):
            continue
        left = record.state
        if left == "running":
            left = tracking.close_or_finish(record.run_id, state, reason)
        finished = finished or (record.run_id == job.run_id and left == "finished")
    if finished:  # it may have died before it looked what its study or search does next
        _go_on(place.study)
    return finished


def _go_on(study_id: str) -> None:
    """Add the next seed of a study whose seeds are added until decided, or the next trial of a search, where the
    runs so far are done."""
    from mdaf_core.studies import until
    from mdaf_core.studies.store import is_stored
    from mdaf_core.studies.tuning import going, search

    if is_stored(study_id):
        until.go_on(study_id, serve=False)
    elif search.exists(study_id):
        going.go_on(study_id, serve=False)


KIND = kind.Kind(name=trainings.KIND, payload=Training, progress=TrainProgress, run=run, settle=settle)
