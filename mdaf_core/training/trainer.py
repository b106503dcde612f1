"""One epoch of training, its validation, and what is measured on the way."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mdaf_core.data.batches.loader import Batch, BatchLoader
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.metrics.auc import auc
from mdaf_core.metrics.log_loss import log_loss as exact_log_loss
from mdaf_core.metrics.values import Undefined
from mdaf_core.models.base import CTRModel, GatedModel, Output, smooth_targets
from mdaf_core.ops.products import products_of
from mdaf_core.runs.config import TrainingConfig
from mdaf_core.runs.progress import Monitor, Progress
from mdaf_core.runs.results import EpochMetrics
from mdaf_core.runs.schedule import learning_rate, quality
from mdaf_core.training.batches import embedding_rate, loader_for
from mdaf_core.training.divergence import require_finite
from mdaf_core.training.optimizer import averaged, build_optimizer, clip_gradients, enters_average
from mdaf_core.training.replaced import parts_of

GATE_ROWS = 2_000
"""Validation rows that the branches' parts are taken from."""
GATE_DRAWS = 5
"""Other rows' vectors that each of them is given."""


class GateEpoch:
    """What an epoch says of a model's gate and branches: answers validation batches and keeps g of all
    rows, and of evenly spaced ones the branches' vectors.

    Args:
        rows: of validation.
    """

    def __init__(self, model: GatedModel, rows: int):
        self.model, self.every, self.seen = model, -(-rows // GATE_ROWS) or 1, 0
        self._gates: list[Tensor] = []
        self._kept: list[tuple[Tensor, Tensor, Tensor]] = []

    def answer(self, batch: Batch) -> Output:
        """The model's forward pass."""
        vectors = self.model.branches(batch)
        output = self.model.fuse(*vectors)
        if output.gate_B is not None:
            self._gates.append(output.gate_B.detach().float().cpu())
        first = -self.seen % self.every
        static_BD, sequential_BD, logit_B = (v[first :: self.every] for v in (*vectors, output.logit_B))
        self._kept.append((static_BD, sequential_BD, logit_B))
        self.seen += len(batch)
        return output

    def metrics(self) -> dict[str, float]:
        """Of `EpochMetrics`: mean of g, its 5% and 95% quantiles, and the deviation of each branch's part in the
        log-odds over the kept rows. The model's own random draws are not touched."""
        found: dict[str, float] = {}
        if self._gates:
            gate = torch.cat(self._gates)
            low, high = np.quantile(gate.numpy(), (0.05, 0.95))
            found |= {"gate_mean": float(gate.mean()), "gate_low": float(low), "gate_high": float(high)}
        if len(self._kept) and sum(len(kept[2]) for kept in self._kept) > 1:
            static_ND, sequential_ND, logit_N = (torch.cat(part) for part in zip(*self._kept, strict=True))
            parts = parts_of(self.model.answer, static_ND, sequential_ND, logit_N, GATE_DRAWS)
            found |= {f"part_{name}": float(part.std()) for name, part in parts.items()}
        return found


VALIDATION, TRAIN_SAMPLE = 0, 1


class _Scores:
    """Labels and logits of the rows seen so far."""

    def __init__(self) -> None:
        self.labels: list[Tensor] = []
        self.logits: list[Tensor] = []

    def add(self, label_B: Tensor, logit_B: Tensor) -> None:
        self.labels.append(label_B.detach().cpu())
        self.logits.append(logit_B.detach().float().cpu())

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        return torch.cat(self.labels).numpy(), torch.cat(self.logits).double().numpy()

    def auc(self) -> float | None:
        """AUC, or None where it is undefined (one label)."""
        try:
            return auc(*self.arrays())
        except Undefined:
            return None


def sample_of_training_rows(dataset: PreparedDataset) -> np.ndarray:
    """Indices of a fixed sample of training rows as large as validation, the same for every run on the data set."""
    n_train, n_val = dataset.meta.splits["train"].rows, dataset.meta.splits["val"].rows
    if n_val >= n_train:
        return np.arange(n_train)
    return np.sort(np.random.default_rng(0).choice(n_train, n_val, replace=False))


def rare_rates(dataset: PreparedDataset, share: float) -> dict[str, Tensor]:
    """For each categorical field and code, (V,) float32: the probability of being unknown, `share` / training rows.

    With `share` 1 an id of n rows is known in n − 1 of them on average, as where a row's own label is left out of what
    is known of its ids (target statistics without the row itself: Micci-Barreca 2001).
    """
    if not share:
        return {}
    columns, sizes = dataset.rows("train").columns, dataset.meta.categorical
    counts = {name: np.bincount(columns[name], minlength=size) for name, size in sizes.items()}
    return {name: torch.from_numpy(share / np.maximum(rows, 1)).float() for name, rows in counts.items()}


class Trainer(nn.Module):
    """Trains a `CTRModel` by the report's recipe (see `TrainingConfig`).

    Args:
        model: the network.
        dataset: prepared data set.
        config: training settings.
        seed: fixes the order of rows and every random draw of an epoch; an epoch depends on (seed, epoch) and the
            state before it only, so that a resumed run repeats an uninterrupted one.
        device: where the network is trained.
        epochs: metrics of the epochs finished before (when resuming).
        monitor: progress out, request to stop in.
        on_epoch: called after each epoch with all epochs so far.
    """

    def __init__(
        self,
        model: CTRModel,
        dataset: PreparedDataset,
        config: TrainingConfig,
        seed: int,
        device: str,
        run_id: str,
        epochs: list[EpochMetrics],
        monitor: Monitor,
        on_epoch: Callable[[list[EpochMetrics]], None],
    ):
        super().__init__()
        self.model = model
        self.average = averaged(model, config.weight_average) if config.weight_average else None
        self.dataset, self.config, self.seed, self.run_id = dataset, config, seed, run_id
        self.epochs, self.monitor, self.on_epoch = epochs, monitor, on_epoch
        self.rare_rates = rare_rates(dataset, config.hide_rare)
        self.train_sample = sample_of_training_rows(dataset)
        self.rows_seen, self.train_seconds = 0, 0.0
        self.device = device
        self.to(device)
        self.optimizer = build_optimizer(model, config, embedding_rate(config, self._training_rows()))

    @property
    def current(self) -> int:
        """The epoch at work, from 1."""
        return len(self.epochs) + 1

    @property
    def judged(self) -> CTRModel:
        """The model that is validated and kept: with averaged weights where there is an average."""
        found: Any = self.model if self.average is None else self.average.module
        return found

    # An epoch -----------------------------------------------------------------------------------------------------

    def train_epoch(self) -> None:
        """Train for one more epoch, validate, and tell `on_epoch`."""
        self._start()
        with products_of(self.config.precision):
            for index, batch in enumerate(self._training_rows()):
                self._step(index, batch.to(self.device))
        trained = time.perf_counter()
        self.optimizer.finish()
        modes = {module: module.training for module in self.modules()}  # a network may keep parts from training
        self.eval()
        gate = self._validate()
        for module, training in modes.items():
            module.training = training
        self._end(trained - self._begun, gate)

    def _training_rows(self) -> BatchLoader:
        seed, size = (self.seed, self.current - 1), self.config.batch_size
        return loader_for(self.model, self.dataset, "train", self.config, size, shuffle_seed=seed)

    def _start(self) -> None:
        torch.manual_seed(self.seed * 1_000_003 + self.current)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.current, self.config) * group.get("rate", 1.0)
        self.model.unknown_rate, self.model.rare_rates = self.config.unknown_rate, self.rare_rates
        self._online, self._losses, self._norms = _Scores(), 0.0, 0.0
        self._begun = time.perf_counter()

    def _step(self, index: int, batch: Batch) -> None:
        output = self.model(batch)
        loss = self.model.loss(output, smooth_targets(batch.label_B, self.config.label_smoothing))
        value = float(loss.detach())
        require_finite(self.dataset, "loss", value, self.current)
        self._online.add(batch.label_B, output.logit_B)
        self._losses += value * len(batch)
        self.optimizer.zero_grad()
        loss.backward()
        norm = clip_gradients(self.model, self.config.gradient_clip)
        require_finite(self.dataset, "gradient", norm, self.current)
        self._norms += norm
        self.optimizer.step()
        if self.average is not None and enters_average(index, self._steps):
            self.optimizer.finish()
            self.average.update_parameters(self.model)
        self.monitor.tick(lambda: self._progress(index + 1))

    @torch.inference_mode()
    def _validate(self) -> dict[str, Any]:
        """What there is to say of the gate."""
        size = self.config.eval_batch_size
        loaders = (
            loader_for(self.model, self.dataset, "val", self.config, size),
            loader_for(self.model, self.dataset, "train", self.config, size, rows=self.train_sample),
        )
        self._eval = [_Scores(), _Scores()]
        rows, model = self.dataset.meta.splits["val"].rows, self.judged
        gate = GateEpoch(model, rows) if isinstance(model, GatedModel) else None
        for scores, loader, ask in zip(self._eval, loaders, (gate.answer if gate else model, model), strict=True):
            for batch in loader:
                scores.add(batch.label_B, ask(batch.to(self.device)).logit_B)
                self.monitor.tick(lambda: self._progress(self._steps, "validating"))
        return gate.metrics() if gate else {}

    def _end(self, seconds: float, gate: dict[str, Any]) -> None:
        rows = self.dataset.meta.splits["train"].rows
        self.rows_seen, self.train_seconds = self.rows_seen + rows, self.train_seconds + seconds
        for scores in self._eval:
            require_finite(self.dataset, "prediction of some rows", scores.arrays()[1], self.current)
        val_auc, eval_auc, online_auc = self._eval[VALIDATION].auc(), self._eval[TRAIN_SAMPLE].auc(), self._online.auc()
        val_logloss = exact_log_loss(*self._eval[VALIDATION].arrays())
        metrics = EpochMetrics(
            epoch=self.current,
            lr=learning_rate(self.current, self.config),
            train_loss=self._losses / rows,
            val_loss=val_logloss,
            train_auc_online=online_auc,
            train_auc_eval=eval_auc,
            val_auc=val_auc,
            val_logloss=val_logloss,
            gap_online=None if val_auc is None or online_auc is None else online_auc - val_auc,
            gap_eval=None if val_auc is None or eval_auc is None else eval_auc - val_auc,
            grad_norm=self._norms / self._steps,
            **gate,
            seconds=time.perf_counter() - self._begun,
            rows_per_second=rows / seconds,
        )
        self.epochs.append(metrics)
        self.on_epoch(self.epochs)

    # Progress -----------------------------------------------------------------------------------------------------

    @property
    def _steps(self) -> int:
        return -(-self.dataset.meta.splits["train"].rows // self.config.batch_size)

    def _progress(self, step: int, phase: str = "training") -> Progress:
        elapsed = time.perf_counter() - self._begun
        rows = min(step * self.config.batch_size, self.dataset.meta.splits["train"].rows)
        an_epoch = self.epochs[-1].seconds if self.epochs else elapsed / max(step / self._steps, 1e-9)
        left = max(an_epoch - elapsed, 0.0) + an_epoch * (self.config.max_epochs - self.current)
        return Progress(
            run_id=self.run_id,
            phase=phase,
            epoch=self.current,
            max_epochs=self.config.max_epochs,
            step=step,
            steps=self._steps,
            rows_per_second=rows / max(elapsed, 1e-9) if phase == "training" else 0.0,
            seconds_left=left,
            val_auc=self.epochs[-1].val_auc if self.epochs else None,
            best_val_auc=max((quality(e) for e in self.epochs if e.val_auc is not None), default=None),
        )
