"""Training of a neural model, with a checkpoint after every epoch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from mdaf_core.base.files import best_effort, keep, new_file, reading
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.models.co_occurrence import count
from mdaf_core.models.registry import build_model
from mdaf_core.models.weights import save_weights
from mdaf_core.ops.selective_scan import implementation
from mdaf_core.runs.config import RunConfig
from mdaf_core.runs.results import EpochMetrics
from mdaf_core.runs.schedule import best_epoch, stop_reason
from mdaf_core.training.trainer import Trainer

WEIGHTS = "weights.safetensors"
CHECKPOINT = "checkpoint.ckpt"
EPOCHS = "mdaf_epochs"
"""Key of a checkpoint: the metrics of the epochs it holds."""


def device_name() -> str:
    """`cuda`, `mps` or `cpu`: where a network is trained here."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def scan_name() -> str:
    return implementation(device_name())


def train_neural(config: RunConfig, dataset: PreparedDataset, seed: int, directory: Path, **hooks: Any) -> Trainer:
    """Train until early stopping or the last epoch; goes on from `directory`'s checkpoint where there is one.

    Args:
        directory: receives the best weights and the checkpoint.
        hooks: `run_id`, `epochs`, `monitor`, `on_epoch` of `Trainer`.
    """
    torch.manual_seed(seed)
    model = build_model(config.model, dataset.meta.features())
    count(model, dataset)
    trainer = Trainer(model, dataset, config.training, seed, device_name(), **hooks)
    epochs: list[EpochMetrics] = hooks["epochs"]
    if epochs and not stop_reason(epochs, config.training):
        _go_on(trainer, directory / CHECKPOINT)
    _repeat_exactly()
    while len(epochs) < config.training.max_epochs and not (epochs and stop_reason(epochs, config.training)):
        trainer.train_epoch()
        _keep(trainer, directory)
    return trainer.cpu()


def _repeat_exactly() -> None:
    """Let torch sum in one order; what has no such way warns."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Filling each new tensor is for what reads it before it is written.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def _keep(trainer: Trainer, directory: Path) -> None:
    """After an epoch: the best weights so far, then everything needed to go on, each written aside and renamed."""
    weights, checkpoint = directory / WEIGHTS, directory / CHECKPOINT
    if best_epoch(trainer.epochs) == trainer.epochs[-1].epoch:
        keep(weights, lambda: save_weights(trainer.judged, weights))
    state = {
        "epoch": len(trainer.epochs) - 1,
        "state_dict": trainer.state_dict(),
        "optimizer_states": [trainer.optimizer.state_dict()],
        # The metrics of its epochs travel with the state: another file might not have been written.
        EPOCHS: [epoch.model_dump() for epoch in trainer.epochs],
    }

    def save() -> None:
        with new_file(checkpoint) as aside:
            torch.save(state, aside)

    best_effort(checkpoint, save)  # without it, resuming only starts from an earlier epoch


def _go_on(trainer: Trainer, checkpoint: Path) -> None:
    with reading(checkpoint, "Retry the job, which trains from scratch."):
        saved = torch.load(checkpoint, map_location=trainer.device, weights_only=True)
        trainer.load_state_dict(saved["state_dict"])
        trainer.optimizer.load_state_dict(saved["optimizer_states"][0])
