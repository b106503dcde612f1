"""A study in the run store as trainings leave it, without training: known means, predictions that rank accordingly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import torch

from mdaf_core.analysis.sequential import UntilDecided
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.predicting.measured import Cell, Measured, SpeedSettings, Subject
from mdaf_core.runs import tracking
from mdaf_core.runs.config import RunConfig
from mdaf_core.runs.presets import get_preset, preset_names
from mdaf_core.runs.results import EpochMetrics, RunResult
from mdaf_core.runs.split_metrics import split_metrics
from mdaf_core.studies.store import Study, create_study
from mdaf_core.training.replaced import Fused, answer_columns, branch_columns


def make_study(
    configurations: Sequence[str | RunConfig] = ("mdaf-full", "mdaf-static", "lr"),
    seeds: Sequence[int] = (42, 43, 44),
    *,
    title: str = "Example",
    dataset: PreparedDataset | None = None,
    rows: int = 400,
    predictions: bool = True,
    failed: Sequence[tuple[str, int]] = (),
    running: Sequence[tuple[str, int]] = (),
    dataset_name: str = "toy",
    fingerprints: dict[str, str] | None = None,
    gates: bool = False,
    epochs: int = 5,
    until: UntilDecided | None = None,
    noises: Sequence[float] = (),
) -> Study:
    """Every configuration is given, a preset, or MDAF under another name; each is noisier than the one before it.

    Args:
        dataset: predictions are of its rows; default: of `rows` made-up rows of 50 users.
        fingerprints: of the data of a configuration's runs, where not that of the others.
        failed, running: configurations and seeds whose run did not finish; they have two epochs.
        gates: MDAF's predictions have g and what follows from it, as trained gates leave it.
        epochs: of a finished run; the third is the best.
        until: of the seeds, only those of the first look have runs.
        noises: of each configuration's predictions, in the place of 1.0, 1.3, ….
    """
    configs = [_config(given) for given in configurations]
    name = dataset.name if dataset else dataset_name
    study = create_study(
        title=title, definition="own", dataset=name, configurations=configs, seeds=seeds, reference=configs[0].name,
        until=until,
    )  # fmt: skip
    splits = {split: _rows(dataset, split, rows) for split in ("val", "test")}
    for i, config in enumerate(configs):
        for seed in study.seeds:
            rng = np.random.default_rng(1000 * i + seed)
            run_id = tracking.start_run(
                config, seed, name, (fingerprints or {}).get(config.name, "f" * 64), study=study.id
            )
            stopped = (config.name, seed) in failed or (config.name, seed) in running
            trained = [_epoch(e, 0.68 - 0.01 * i, rng) for e in range(1, 3 if stopped else epochs + 1)]
            gated = gates and config.model.kind == "mdaf" and config.model.fusion != "concat"
            if gated:
                trained = [e.model_copy(update={"gate_mean": 0.5 + 0.1 / e.epoch}) for e in trained]
            tracking.log_epoch(run_id, trained)
            if (config.name, seed) in failed:
                tracking.close_run(run_id, "failed", "The process was killed (signal 9).")
            elif not stopped:
                noise = noises[i] if noises else 1.0 + 0.3 * i
                _finish(
                    run_id, config, seed, name, trained, splits, noise=noise, rng=rng, keep=predictions, gated=gated
                )
    return study


def add_runs(
    study: Study, seeds: Sequence[int], names: Sequence[str], *, rows: int = 400, noises: Sequence[float] = ()
) -> None:
    """Finished runs of further seeds of a study on made-up rows, as `make_study` leaves those of the first."""
    splits = {split: _rows(None, split, rows) for split in ("val", "test")}
    for i, name in enumerate(names):
        config = study.configuration(name)
        for seed in seeds:
            rng = np.random.default_rng(1000 * i + seed)
            run_id = tracking.start_run(config, seed, study.dataset, "f" * 64, study=study.id)
            trained = [_epoch(e, 0.68, rng) for e in range(1, 6)]
            tracking.log_epoch(run_id, trained)
            noise = noises[i] if noises else 1.0
            _finish(run_id, config, seed, study.dataset, trained, splits, noise=noise, rng=rng, keep=True, gated=False)


def _config(given: str | RunConfig) -> RunConfig:
    if isinstance(given, RunConfig):
        return given
    return get_preset(given) if given in preset_names() else get_preset("mdaf-full").model_copy(update={"name": given})


def _rows(dataset: PreparedDataset | None, split: str, rows: int) -> pl.DataFrame:
    """row_id, user, label, timestamp, history_length, and the true logit up to noise."""
    if dataset is None:
        rng = np.random.default_rng(7)
        truth = rng.normal(size=rows)
        columns = {
            "row_id": np.arange(rows),
            "user": rng.integers(0, 50, rows),
            "label": (rng.random(rows) < 1 / (1 + np.exp(1 - 1.5 * truth))).astype(np.uint8),
            "timestamp": np.arange(rows),
            "history_length": rng.integers(0, 50, rows).astype(np.int32),
        }
    else:
        here = dataset.rows(split)  # type: ignore[arg-type]
        truth = 2.0 * np.asarray(here.label) + np.random.default_rng(7).normal(size=len(here))
        columns = {
            "row_id": here.row_id,
            "user": here.user.astype(np.int64),
            "label": here.label,
            "timestamp": here.timestamp,
            "history_length": np.minimum(here.history_end - here.history_start, 50).astype(np.int32),
        }
    return pl.DataFrame({k: np.asarray(v) for k, v in columns.items()} | {"truth": truth})


def _epoch(epoch: int, top: float, rng: np.random.Generator) -> EpochMetrics:
    val = top - 0.01 * abs(epoch - 3) + 0.001 * rng.normal()
    train = 0.6 + 0.04 * epoch
    return EpochMetrics(
        epoch=epoch,
        lr=1e-3,
        train_loss=0.7 - 0.02 * epoch,
        val_loss=0.6 + 0.01 * abs(epoch - 3),
        train_auc_online=train - 0.01,
        train_auc_eval=train,
        val_auc=val,
        gap_online=train - 0.01 - val,
        gap_eval=train - val,
        grad_norm=1.0,
        seconds=1.0,
        rows_per_second=20_000,
    )


def _gate(logit: np.ndarray, frame: pl.DataFrame, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Two noisy opinions whose mixture by g is the prediction, asked as a trained model is; g grows with history."""
    length = frame["history_length"].to_numpy()
    g = 1 / (1 + np.exp(-(0.1 * length - 1 + 0.5 * rng.normal(size=len(logit)))))
    apart = 0.8 * rng.normal(size=len(logit))
    static, sequential = logit - g * apart, logit + (1 - g) * apart
    columns = mixture_columns(static, sequential, g, frame["label"].to_numpy(), frame["user"].to_numpy())
    noise = logit + rng.normal(size=len(g))
    return {"g": g, "logit_static": static, "logit_sequential": sequential, **columns} | {
        "logit_no_history": noise,
        **answer_columns("other_history", frame["label"].to_numpy(), noise[None], frame["user"].to_numpy()),
    }


def mixture_columns(
    static: np.ndarray, sequential: np.ndarray, g: np.ndarray, label: np.ndarray, user: np.ndarray | None, seed: int = 0
) -> dict[str, np.ndarray]:
    """`replaced.branch_columns` of a model that answers (1 − g) · static + g · sequential, branches of one number."""
    tensors = (torch.tensor(values, dtype=torch.float64) for values in (static, sequential, g))
    static_N, sequential_N, gate_N = tensors
    static_N2, sequential_N2 = torch.stack([static_N, gate_N], 1), torch.stack([sequential_N, gate_N], 1)

    def answer(static_B2: torch.Tensor, sequential_B2: torch.Tensor, gate_B1: torch.Tensor | None) -> torch.Tensor:
        """The gate's own g is what the static branch's vector holds beside its opinion."""
        given_B1 = static_B2[:, 1:] if gate_B1 is None else gate_B1
        return torch.lerp(static_B2, sequential_B2, given_B1)[:, 0]

    fused = Fused(lambda index: (static_N2[index], sequential_N2[index]), answer, gate_N.unsqueeze(1))
    logit = (1 - g) * static + g * sequential
    return branch_columns(fused, label, logit, user, seed=seed)


def _finish(run_id, config, seed, dataset, epochs, splits, *, noise, rng, keep, gated) -> None:  # type: ignore[no-untyped-def]
    metrics = {}
    for split, frame in splits.items():
        logit = frame["truth"].to_numpy() + noise * rng.normal(size=len(frame)) - 1
        metrics[split] = split_metrics(frame["label"], logit, frame["user"])
        if keep:
            folder = tracking.run_directory(run_id) / "predictions"
            folder.mkdir(exist_ok=True)
            predicted = frame.drop("truth").with_columns(logit=logit, probability=1 / (1 + np.exp(-logit)))
            if gated:
                predicted = predicted.with_columns(**_gate(logit, frame, rng))
            predicted.write_parquet(folder / f"{split}.parquet")
    best = max(epochs, key=lambda e: e.val_auc or 0).epoch
    tracking.finish_run(
        run_id,
        RunResult(
            run_id=run_id,
            preset=config.preset,
            configuration=config.name,
            seed=seed,
            dataset=dataset,
            best_epoch=best,
            stopped="No better validation AUC for 2 epochs.",
            epochs=epochs,
            val=metrics["val"],
            test=metrics["test"],
            rows_per_second=20_000,
            parameters=1_100_000,
            parameters_embedding=1_000_000,
            parameters_dense=100_000,
            multiply_adds=50_000,
            wall_seconds=5.0,
            peak_memory_mb=600,
        ),
    )


def measured_speed(names: Sequence[str]) -> Measured:
    """A measurement as `speed` keeps it: from a kept state, which the first has, a request takes a tenth; each further
    model is four times as fast as the one before."""
    cells = [
        Cell(configuration=name, threads=threads, way=way, events=events, rows=rows, p50=seconds, p99=2 * seconds,
             cpu=seconds, calls=60, rounds=[seconds * (1 + r / 100) for r in range(12)])
        for i, name in enumerate(names)
        for way, seconds in {"raw": 0.004 / 4**i, **({} if i else {"kept": 0.0004})}.items()
        for threads in (2, 1) for events in (10, 100) for rows in (1, 100)
    ]  # fmt: skip
    machine = {"cpu": "A processor", "cores": 2, "threads": [2, 1], "torch": "2", "load_before": 0.5, "load_after": 0.7}
    reasons = ["", *["reads no history"] * (len(names) - 1)]
    return Measured(
        title="Full", dataset="tiny", fingerprint="f" * 64, reference=names[0], cells=cells, machine=machine,
        settings=SpeedSettings(events=[10, 100], candidates=[1, 100], rounds=12),
        subjects=[Subject(configuration=n, run_id="r", seed=42, model="m", lacks_state=w)
                  for n, w in zip(names, reasons, strict=True)],
        began="2026-01-02T03:04:05", seconds=60.0,
    )  # fmt: skip
