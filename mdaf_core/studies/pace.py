"""How fast this machine trains a configuration: a few steps, measured before anything is launched."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from typing import Any

import torch
from pydantic import BaseModel, Field

from mdaf_core.data.batches.loader import BatchLoader
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.schema import EVALUATED
from mdaf_core.models.registry import build_model
from mdaf_core.runs.config import RunConfig
from mdaf_core.training.draws import HISTORY_DRAWS, draws_of

SIZES = (128, 512)
"""Rows of the steps measured; a full one would take seconds."""
MOST_EVENTS = 100_000
"""Events in a batch of them; rows with longer histories are fewer."""
REPEATS = 3
ENOUGH_SECONDS = 0.5
"""Of a measurement: one of milliseconds is made again until so many have passed, for other programs disturb it."""
START_SECONDS = 0.5
"""Of a run, before its first step and after its last."""


class Pace(BaseModel):
    """Seconds of training one configuration on one data set, on this machine, on some threads."""

    step: float = Field(description="A training step, whatever its rows.")
    row: float = Field(description="Each row of a training step.")
    evaluated_row: float = Field(description="Each row of an evaluation.")

    def seconds(self, config: RunConfig, dataset: PreparedDataset) -> float:
        """Of a whole run, should no epoch be saved by early stopping."""
        rows = {split: counts.rows for split, counts in dataset.meta.splits.items()}
        steps = -(-rows["train"] // config.training.batch_size)
        evaluated = rows["val"] + min(rows["val"], rows["train"])  # with the sample of training rows
        epoch = steps * self.step + rows["train"] * self.row + evaluated * self.evaluated_row
        # Once more for the branches, with every other history that is drawn, and (a third, without events) with none.
        asked = [(rows[s], draws_of(rows[s], HISTORY_DRAWS) + 1 / 3) for s in EVALUATED]
        passes = [1 + config.model.gated + config.model.reads_history * again for _, again in asked]
        last = sum(n * times for (n, _), times in zip(asked, passes, strict=True)) * self.evaluated_row
        return START_SECONDS + config.training.max_epochs * epoch + last


def machine(threads: int) -> dict[str, Any]:
    """What a pace holds for: this machine, and so many threads of it."""
    return {"node": platform.node(), "machine": platform.machine(), "threads": threads}


def measure(config: RunConfig, dataset: PreparedDataset, threads: int) -> Pace:
    """Train a few small steps and evaluate a few rows, now, on so many threads (loads torch); the quickest of each
    counts."""
    from mdaf_core.data.batches.shapes import shapes_of
    from mdaf_core.models.base import smooth_targets
    from mdaf_core.ops.kernels import set_threads
    from mdaf_core.training.batches import loader_for
    from mdaf_core.training.memory import keep_freed_memory
    from mdaf_core.training.optimizer import build_optimizer, clip_gradients

    set_threads(threads)
    keep_freed_memory()
    torch.manual_seed(0)
    model = build_model(config.model, dataset.meta.features())
    optimizer = build_optimizer(model, config.training)

    def loader(size: int) -> BatchLoader:
        return loader_for(model, dataset, "train", config.training, size, shuffle_seed=(0, size))

    def batches(size: int) -> list[Any]:
        return [batch for _, batch in zip(range(REPEATS + 1), loader(size), strict=False)]

    def train(batch: Any) -> None:
        optimizer.zero_grad()
        loss = model.loss(model(batch), smooth_targets(batch.label_B, config.training.label_smoothing))
        loss.backward()
        clip_gradients(model, config.training.gradient_clip)
        optimizer.step()

    events = max((shape.events for shape in shapes_of(loader(SIZES[-1]))), default=0)
    sizes = [max(1, round(size * min(1.0, MOST_EVENTS / max(events, 1)))) for size in SIZES]
    model.train()
    times, rows = [], []
    for size in sizes:
        some = batches(size)
        times.append(_quickest(train, some))
        rows.append(len(some[0]))
    optimizer.finish()
    model.eval()
    with torch.inference_mode():
        some = batches(sizes[-1])
        evaluated = _quickest(model, some) / len(some[0])
    row = (times[1] - times[0]) / max(rows[1] - rows[0], 1) if rows[1] > rows[0] else times[1] / rows[1]
    row = max(row, 0.1 * times[1] / rows[1])
    return Pace(step=max(times[1] - rows[1] * row, 0.0), row=row, evaluated_row=evaluated)


def _quickest(function: Callable[[Any], Any], batches: list[Any]) -> float:
    """Of all but the first, which may load or compile, unless there is no other; quick ones are repeated."""
    if not batches:
        raise ValueError("There are no rows to measure with.")
    times: list[float] = []
    while sum(times) < ENOUGH_SECONDS:
        for batch in batches:
            start = time.perf_counter()
            function(batch)
            times.append(time.perf_counter() - start)
    return min(times[1:] or times)
