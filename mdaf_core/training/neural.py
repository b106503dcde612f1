"""Training of a neural model by Lightning, with a checkpoint after every epoch."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment

from mdaf_core.base.files import best_effort, keep, new_file
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.models.co_occurrence import count
from mdaf_core.models.registry import build_model
from mdaf_core.models.weights import save_weights
from mdaf_core.ops.products import products_as_before
from mdaf_core.ops.selective_scan import implementation
from mdaf_core.runs.config import RunConfig
from mdaf_core.runs.results import EpochMetrics
from mdaf_core.runs.schedule import best_epoch, stop_reason
from mdaf_core.training.module import CTRModule

WEIGHTS = "weights.safetensors"
CHECKPOINT = "checkpoint.ckpt"
EPOCHS = "mdaf_epochs"
"""Key of a checkpoint: the metrics of the epochs it holds."""


def device_name() -> str:
    """`cuda`, `mps` or `cpu`: what Lightning's automatic choice comes to here."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def scan_name() -> str:
    return implementation(device_name())


class _KeepState(pl.callbacks.Checkpoint):
    """After each epoch: the best weights so far, then everything needed to go on, each written aside and renamed.

    A Checkpoint, because Lightning runs those last: the state it saves is the epoch's final one.
    """

    def __init__(self, directory: Path):
        self.directory = directory

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, CTRModule)
        weights, checkpoint = self.directory / WEIGHTS, self.directory / CHECKPOINT
        if best_epoch(module.epochs) == module.epochs[-1].epoch:
            keep(weights, lambda: save_weights(module.judged, weights))

        def save() -> None:
            with new_file(checkpoint) as aside:
                trainer.save_checkpoint(aside)

        best_effort(checkpoint, save)  # without it, resuming only starts from an earlier epoch

    def on_save_checkpoint(self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        """The metrics of its epochs travel with the state: another file might not have been written."""
        assert isinstance(module, CTRModule)
        checkpoint[EPOCHS] = [epoch.model_dump() for epoch in module.epochs]


def train_neural(config: RunConfig, dataset: PreparedDataset, seed: int, directory: Path, **hooks: Any) -> CTRModule:
    """Train until early stopping or the last epoch; goes on from `directory`'s checkpoint where there is one.

    Args:
        directory: receives the best weights and the checkpoint.
        hooks: `run_id`, `epochs`, `monitor`, `on_epoch` of `CTRModule`.
    """
    torch.manual_seed(seed)
    model = build_model(config.model, dataset.meta.features())
    count(model, dataset)
    module = CTRModule(model, dataset, config.training, seed, **hooks)
    epochs: list[EpochMetrics] = hooks["epochs"]
    if epochs and stop_reason(epochs, config.training):
        return module
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    trainer = pl.Trainer(
        accelerator="auto",
        devices=1,
        plugins=[LightningEnvironment()],  # one process: in a SLURM job Lightning would count tasks and requeue
        max_epochs=config.training.max_epochs,
        deterministic="warn",
        logger=False,
        callbacks=[_KeepState(directory)],
        enable_checkpointing=True,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        reload_dataloaders_every_n_epochs=1,
        default_root_dir=directory,
    )
    with warnings.catch_warnings(), products_as_before():
        warnings.simplefilter("ignore")  # advice on workers of data loaders that are not torch's
        trainer.fit(module, ckpt_path=directory / CHECKPOINT if epochs else None, weights_only=True)
    return module
