"""One run from beginning to end: train, evaluate the best epoch's weights, keep everything."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch

from mdaf_core.base import notices
from mdaf_core.base.errors import StudioError
from mdaf_core.base.files import keep, reading, write_json
from mdaf_core.base.settings import get_settings
from mdaf_core.data.store.content import check_unaltered
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.schema import EVALUATED, SPLIT_NAMES, Split
from mdaf_core.metrics.auc import auc
from mdaf_core.metrics.values import Undefined
from mdaf_core.models.registry import plugins_of, require_known
from mdaf_core.models.summary import count_parameters
from mdaf_core.models.weights import load_model
from mdaf_core.ops.kernels import set_threads, threads_in_use
from mdaf_core.ops.products import converts, library, products_differ, rounds
from mdaf_core.plugins import PluginError, blame, kept
from mdaf_core.runs import provenance as origin
from mdaf_core.runs import tracking
from mdaf_core.runs.config import RunConfig, check_seed
from mdaf_core.runs.predictions import write_predictions
from mdaf_core.runs.progress import Cancelled, Monitor, Progress
from mdaf_core.runs.provenance import check_same_data, fingerprint
from mdaf_core.runs.results import EpochMetrics, RunResult, SplitMetrics
from mdaf_core.runs.schedule import best_epoch, stop_reason
from mdaf_core.runs.split_metrics import split_metrics
from mdaf_core.training.cost import arithmetic, batches_of, require_memory
from mdaf_core.training.divergence import require_sense
from mdaf_core.training.memory import keep_freed_memory, peak_memory_mb
from mdaf_core.training.neural import CHECKPOINT, EPOCHS, WEIGHTS, device_name, scan_name, train_neural
from mdaf_core.training.predict import predict

__all__ = ["Cancelled", "Progress", "train"]


def train(
    config: RunConfig,
    dataset: PreparedDataset,
    seed: int,
    *,
    study: str = tracking.SINGLE_RUNS,
    run_id: str | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_epoch: Callable[[list[EpochMetrics]], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    provenance: dict[str, Any] | None = None,
) -> RunResult:
    """Train one configuration with one seed and record the run.

    Args:
        run_id: go on with this interrupted run from its last finished epoch; metrics equal an uninterrupted run's.
        on_progress: called about twice a second.
        on_epoch: called after each epoch with all epochs so far.
        should_stop: asked about twice a second; once true the run ends as cancelled.
        provenance: further facts to record (acknowledged audit findings, job).

    Raises:
        Cancelled: `should_stop` turned true.
        UsageError: the seed is none.
        StudioError: the model cannot be trained on this data set, or training diverged.

    The run is closed in the run store in every case that this process survives.
    """
    seed, meta = check_seed(seed), dataset.meta
    if config.model.reads_history and meta.history_fields and not config.streams:
        products_differ()  # windows have their own number of events in each batch
    check_trainable(config, dataset)
    check_data(dataset, study, run_id)
    require_memory(config, dataset)
    threads = set_threads(get_settings().job_threads)
    keep_freed_memory()
    facts = origin.describe(device_name(), scan_name(), library(device_name(), config.training.precision), threads) | {
        "dataset": {"name": meta.name, "fingerprint": meta.fingerprint, "versions": meta.versions},
        "seed": seed,
        **(provenance or {}),
    }
    sources = plugins_of(config.model)
    if sources:
        known = kept.facts(sources) if run_id is None else kept.kept_in(tracking.run_directory(run_id))
        facts["plugins"] = [entry.model_dump() for entry in known]
    if run_id is None:
        run_id = tracking.start_run(config, seed, meta.name, fingerprint(dataset), study, facts)
        epochs: list[EpochMetrics] = []
    else:
        if not kept.same(tracking.run_directory(run_id), sources):
            raise StudioError(
                f"A plug-in was changed since run {run_id[:8]} began, so it cannot go on: retry its job, which trains "
                "from scratch."
            )
        tracking.resume_run(run_id)
        epochs = _finished_epochs(run_id, config)
        facts = origin.gone_on(tracking.run_directory(run_id) / "provenance.json", facts, len(epochs))
    monitor = Monitor(on_progress, should_stop)
    try:
        kept.keep(sources, tracking.run_directory(run_id))
        monitor.tick(
            lambda: Progress(run_id=run_id, phase="starting", max_epochs=config.training.max_epochs), force=True
        )
        result = _train_and_evaluate(config, dataset, seed, run_id, epochs, monitor, facts, on_epoch)
        tracking.finish_run(run_id, result)
    except Cancelled as stop:
        _close(run_id, "cancelled", str(stop))
        raise
    except BaseException as error:
        said = "" if isinstance(error, StudioError) or _of_memory(error) else blame(error, [p.file for p in sources])
        _close(run_id, "failed", said or str(error) or type(error).__name__)
        if said:
            raise PluginError(said) from error
        raise
    return result


def _of_memory(error: BaseException) -> bool:
    """Whether memory or disk was short, which is nobody's code."""
    return isinstance(error, MemoryError | OSError | torch.OutOfMemoryError) or "allocate" in str(error)


def _close(run_id: str, state: Literal["failed", "cancelled"], reason: str) -> None:
    """Close the run; why it ended counts more than that the run store could not be told."""
    try:
        tracking.close_run(run_id, state, reason)
    except StudioError as error:
        notices.add(f"{error} Run {run_id[:8]} ({state}) stays open there.")


def check_trainable(config: RunConfig, dataset: PreparedDataset) -> None:
    """Raise a StudioError if this model cannot be trained on this data set, with the reason."""
    meta = dataset.meta
    require_known(config.model)
    if not config.model.grown:
        require_products(config.training.precision, device_name())
    if config.model.reads_history and not meta.history_fields:
        raise StudioError(f"{config.name} reads the user's history, and data set {meta.name!r} has none.")
    for split in ("train", *EVALUATED):
        if meta.splits[split].rows == 0:
            raise StudioError(f"Data set {meta.name!r} has no {split} rows: prepare it with another split.")
    counts = meta.splits["train"]
    if counts.positives in (0, counts.rows):
        raise StudioError(
            f"All training rows of {meta.name!r} have the same label: nothing can be learned. Check the label column."
        )


def check_data(dataset: PreparedDataset, study: str = "", run_id: str | None = None) -> None:
    """Refuse data that is not what it was, before any time is spent on it.

    Raises:
        StudioError: files were altered, or as `runs.provenance.check_same_data`.
    """
    check_unaltered(dataset)
    check_same_data(dataset, study, run_id)


def _train_and_evaluate(
    config: RunConfig,
    dataset: PreparedDataset,
    seed: int,
    run_id: str,
    epochs: list[EpochMetrics],
    monitor: Monitor,
    facts: dict[str, Any],
    then: Callable[[list[EpochMetrics]], None] | None = None,
) -> RunResult:
    start = time.perf_counter()
    directory = tracking.run_directory(run_id)
    before = sum(e.seconds for e in epochs)

    def on_epoch(done: list[EpochMetrics]) -> None:
        tracking.log_epoch(run_id, done)
        if then is not None:
            then(done)

    hooks: dict[str, Any] = {"run_id": run_id, "epochs": epochs, "monitor": monitor, "on_epoch": on_epoch}
    columns: dict[Split, dict[str, np.ndarray]] = {}
    operations: int | None = None
    if config.model.grown:
        from mdaf_core.training.gbdt import train_gbdt

        threads = torch.get_num_threads()
        columns, total, speed = train_gbdt(config, dataset, seed, directory, threads=threads, **hooks)
        embedding, dense = 0, total
    else:
        module = train_neural(config, dataset, seed, directory, **hooks)
        if module.train_seconds:
            speed = module.rows_seen / module.train_seconds
        else:
            speed = float(np.mean([e.rows_per_second for e in epochs]))
        model = load_model(config.model, dataset.meta.features(), directory / WEIGHTS, device_name())

        def evaluating() -> None:
            best = max((e.val_auc for e in epochs if e.val_auc is not None), default=None)
            where = {"epoch": len(epochs), "max_epochs": config.training.max_epochs, "best_val_auc": best}
            monitor.tick(lambda: Progress(run_id=run_id, phase="evaluating", **where))

        for split in EVALUATED:
            columns[split] = predict(model, dataset, split, config.training, evaluating)
        counts = count_parameters(config.model, dataset.meta.features())
        total, embedding, dense = counts.total, counts.embedding, counts.dense
        operations = arithmetic(config, dataset, batches_of(config, dataset))

    metrics: dict[Split, SplitMetrics] = {}
    for split in EVALUATED:
        rows = dataset.rows(split)
        require_sense(dataset, SPLIT_NAMES[split], rows.label, columns[split]["logit"])
        user = rows.user if dataset.meta.has_user else None
        metrics[split] = split_metrics(rows.label, columns[split]["logit"], user, rows.true_probability)
        path = directory / "predictions" / f"{split}.parquet"
        keep(
            path,
            lambda path=path, rows=rows, split=split: write_predictions(  # type: ignore[misc]
                path, rows, columns[split], config.training.max_history
            ),
        )
    (directory / CHECKPOINT).unlink(missing_ok=True)
    result = RunResult(
        run_id=run_id,
        preset=config.preset,
        configuration=config.name,
        seed=seed,
        dataset=dataset.name,
        best_epoch=best_epoch(epochs),
        stopped=stop_reason(epochs, config.training) or f"All {len(epochs)} epochs done.",
        epochs=epochs,
        val=metrics["val"],
        test=metrics["test"],
        rows_per_second=speed,
        parameters=total,
        parameters_embedding=embedding,
        parameters_dense=dense,
        multiply_adds=operations,
        wall_seconds=before + time.perf_counter() - start,
        peak_memory_mb=peak_memory_mb(),
        gate=_gate_summary(dataset, columns["test"]),
        provenance=facts | {"threads_at_end": threads_in_use()},
    )
    keep(directory / "provenance.json", lambda: write_json(directory / "provenance.json", result.provenance))
    return result


def _finished_epochs(run_id: str, config: RunConfig) -> list[EpochMetrics]:
    """Epochs that the checkpoint of an interrupted run holds; none where it was stopped before the first."""
    path = tracking.run_directory(run_id) / CHECKPOINT
    if not path.exists():
        done = tracking.load_epochs(run_id)
        return done if done and stop_reason(done, config.training) and path.with_name(WEIGHTS).exists() else []
    with reading(path, f"Run {run_id[:8]} cannot be resumed: retry its job, which trains from scratch."):
        saved = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        epochs = saved.get(EPOCHS) or [e.model_dump() for e in tracking.load_epochs(run_id)]
        if len(epochs) <= saved["epoch"]:
            raise ValueError(f"it holds {saved['epoch'] + 1} epochs, and metrics of {len(epochs)} are known")
        return [EpochMetrics.model_validate(e) for e in epochs[: saved["epoch"] + 1]]


def _gate_summary(dataset: PreparedDataset, columns: dict[str, np.ndarray]) -> dict[str, Any]:
    """Test AUC with g as learned and one g for all rows, and each branch alone; empty for a model without a gate."""
    if "g" not in columns:
        return {}
    label = dataset.rows("test").label
    summary: dict[str, Any] = {"mean": float(columns["g"].mean()), "sd": float(columns["g"].std())}
    for name in ("logit", "logit_g_median", "logit_static", "logit_sequential"):
        try:
            summary[f"auc_{name.removeprefix('logit_')}"] = auc(label, columns[name])
        except Undefined:
            summary[f"auc_{name.removeprefix('logit_')}"] = None
    return summary


def require_products(precision: str, device: str) -> None:
    """Raise a StudioError if training on this device cannot have products of this precision, with the reason.

    Where it can, factors are rounded to 8 significant bits as a product begins, and without AMX its results as well;
    everything else (weights, optimiser, scan, normalisation, loss) stays float32. Evaluation is float32 throughout: a
    prediction does not depend on how training was made faster.
    """
    if precision == "float32":
        return
    if device != "cpu":
        raise StudioError(
            f"training.precision={precision} is for training on the CPU, and this run would train on {device}. "
            "Use training.precision=float32."
        )
    if not (rounds() or converts()):
        raise StudioError(
            "training.precision=bf16 needs a processor that multiplies bfloat16 (AMX or AVX-512 BF16), and this one "
            "does not. Use training.precision=float32."
        )
