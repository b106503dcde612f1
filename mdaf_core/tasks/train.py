"""One training of one configuration with one seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from mdaf_core.base import notices
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.models.registry import plugins_of
from mdaf_core.queue import kind
from mdaf_core.queue.context import Context
from mdaf_core.queue.job import Job
from mdaf_core.runs import progress
from mdaf_core.studies import trainings
from mdaf_core.studies.store import is_stored
from mdaf_core.studies.trainings import Training
from mdaf_core.tasks import message

if TYPE_CHECKING:
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
    """Train here; a job that goes on continues its run."""
    from mdaf_core.data.prepare.resources import machine_memory
    from mdaf_core.studies.estimate import needed_memory

    job = context.job
    if job.threads is not None:  # others may run beside it
        needed = needed_memory(training.config, PreparedDataset.open(training.dataset))
        context.wait_for_memory(needed, machine_memory() // 2)
    told = {"run_id": job.run_id if job.resume else None, "trials": _trials_before(job)}
    _conclude(job, training, told, _train(context, training, told, study=_group(job)))


def _train(context: Context, training: Training, told: dict[str, Any], study: str) -> dict[str, Any]:
    """Train; returns what `_conclude` is to know: the run's id, or how a trial of a search ended early.

    Args:
        told: `run_id`, the run that is gone on with; `trials`, figures of the trials before this one, by which it is
            judged, None where it is not.
    """
    from mdaf_core.studies.tuning import prune
    from mdaf_core.training import fit
    from mdaf_core.training.divergence import Diverged

    judge = prune.judge(told["trials"]) if told["trials"] else None

    def on_epoch(epochs: list[EpochMetrics]) -> None:
        notices.log(epoch_line(epochs[-1]))
        if judge is not None:
            judge(epochs)

    try:
        result = fit.train(
            training.config,
            PreparedDataset.open(training.dataset),
            training.seed,
            study=study,
            run_id=told["run_id"],
            on_progress=lambda moment: context.report(moment, run_id=moment.run_id),
            on_epoch=on_epoch,
            should_stop=context.should_stop,
            provenance={**training.provenance, "job": context.job.id},
        )
    except Diverged as error:
        return {"diverged": str(error)}
    except prune.BelowMedian as end:
        notices.log(str(end))
        return {"pruned": end.epoch, "reason": str(end)}
    return {"run_id": result.run_id}


def _conclude(job: Job, training: Training, told: dict[str, Any], ended: dict[str, Any]) -> None:
    """Compute what pages show of a finished run, and see to what its study or search does next.

    Raises:
        Diverged: the training did.
    """
    from mdaf_core.studies.tuning import going, search
    from mdaf_core.tasks import summaries
    from mdaf_core.training.divergence import Diverged

    group = _group(job)
    if "run_id" in ended:
        summaries.try_to_summarise(ended["run_id"])
        if group:
            _go_on(group)
            message.tell_if_last(job)
    elif "pruned" in ended:
        going.pruned(group, training.config.name, ended["pruned"])
    else:
        if group and search.exists(group):
            going.diverged(group, training.config.name, ended["diverged"])
        raise Diverged(ended["diverged"])


def _group(job: Job) -> str:
    """The study or search a training belongs to; empty where to none."""
    place = trainings.place(job)
    return place.study if place is not None else ""


def _trials_before(job: Job) -> list[list[float]] | None:
    """The figures by which a trial of a search that prunes is judged; None of any other training."""
    from mdaf_core.studies.tuning import prune, search

    place = trainings.place(job)
    if place is None or not search.exists(place.study):
        return None
    return prune.before(search.get(place.study), place.configuration)


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
    message.tell_if_last(job)
    return finished


def _go_on(study_id: str) -> None:
    """Add the next seed of a study whose seeds are added until decided, or the next trial of a search, where the
    runs so far are done."""
    from mdaf_core.studies import until
    from mdaf_core.studies.tuning import going, search

    if is_stored(study_id):
        until.go_on(study_id, serve=False)
    elif search.exists(study_id):
        going.go_on(study_id, serve=False)


# On another machine


def _memory(training: Training) -> int:
    from mdaf_core.studies.estimate import needed_memory

    return needed_memory(training.config, PreparedDataset.open(training.dataset))


def _begin(job: Job, training: Training) -> dict[str, Any]:
    """Open the run, or the one that is gone on with, in the run store."""
    from mdaf_core.plugins import kept
    from mdaf_core.runs import tracking
    from mdaf_core.runs.provenance import check_same_data, fingerprint

    dataset, run_id = PreparedDataset.open(training.dataset), job.run_id if job.resume else None
    check_same_data(dataset, _group(job), run_id)
    if run_id is None:
        known = {**training.provenance, "job": job.id}
        study = _group(job) or tracking.SINGLE_RUNS
        run_id = tracking.start_run(training.config, training.seed, dataset.name, fingerprint(dataset), study, known)
        kept.keep(plugins_of(training.config.model), tracking.run_directory(run_id))
    else:
        tracking.resume_run(run_id)
    return {"run_id": run_id, "trials": _trials_before(job)}


def _work(context: Context, training: Training, told: dict[str, Any]) -> dict[str, Any]:
    return _train(context, training, told, study="")  # data was checked where the run store is


def _carried(training: Training, told: dict[str, Any]) -> kind.Carried:
    from mdaf_core.data.store.content import every_hash
    from mdaf_core.training.neural import CHECKPOINT

    dataset = PreparedDataset.open(training.dataset)
    data = {f"datasets/{dataset.name}/{name}": digest for name, digest in every_hash(dataset).items()}
    # A checkpoint goes on only with weights that are no older than it: those of the best epoch so far.
    return kind.Carried(data, (f"runs/{told['run_id']}",), (CHECKPOINT, "epochs.json", "result.json", "run.json"))


def _done(told: dict[str, Any]) -> int:
    """Epochs that are finished; the run store is told of each."""
    from mdaf_core.runs import tracking

    run_id = told["run_id"]
    epochs = tracking.load_epochs(run_id) if (tracking.run_directory(run_id) / "epochs.json").exists() else []
    if new := epochs[told.setdefault("epochs told", 0) :]:
        tracking.tell_epochs(run_id, new)
        told["epochs told"] = len(epochs)
    return len(epochs)


def _conclude_here(job: Job, training: Training, told: dict[str, Any], ended: dict[str, Any]) -> None:
    """Close the run in the run store as its files say, then as where it was trained here."""
    from mdaf_core.runs import tracking

    if "pruned" in ended:
        tracking.close_run(told["run_id"], "cancelled", ended["reason"])
    elif "diverged" in ended:
        tracking.close_run(told["run_id"], "failed", ended["diverged"])
    else:
        tracking.close_or_finish(told["run_id"], "failed", "Its result was not written.")
    _conclude(job, training, told, ended)


KIND = kind.Kind(
    name=trainings.KIND,
    payload=Training,
    progress=TrainProgress,
    run=run,
    settle=settle,
    elsewhere=kind.Elsewhere(_memory, _begin, _work, _carried, _done, _conclude_here),
)
