"""What training a configuration on a data set takes: arithmetic and memory, of batches as they will be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mdaf_core.base.errors import StudioError
from mdaf_core.data.batches.shapes import Shape, largest, shapes_of
from mdaf_core.data.prepare.resources import gigabytes, machine_memory
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.schema import EVALUATED
from mdaf_core.models.summary import multiply_adds, unallocated
from mdaf_core.runs.config import RunConfig
from mdaf_core.training.batches import loader_for
from mdaf_core.training.step_memory import step_bytes, training_bytes

_EVENT_BYTES = 65_536
"""Of a step, more than any usual width of a model takes for an event."""


@dataclass(frozen=True)
class Batches:
    """The batches of a run.

    Attributes:
        step, evaluation: none of training, and of evaluation, is larger in anything.
        history: mean events that a training row reads; encoded: that are encoded for it, fewer where rows share them.
        shared: whether they do.
    """

    step: Shape
    evaluation: Shape
    history: float
    encoded: float
    shared: bool


def batches_of(config: RunConfig, dataset: PreparedDataset) -> Batches:
    """From the lengths of histories alone: of one epoch's order, every so many a batch.

    Raises:
        StudioError: the model cannot be built for this data set.
    """
    model, training = unallocated(config.model, dataset.meta.features()), config.training
    train = loader_for(model, dataset, "train", training, training.batch_size, shuffle_seed=(0, 0))
    steps = shapes_of(train)
    held_out = [loader_for(model, dataset, split, training, training.eval_batch_size) for split in EVALUATED]
    length_N = np.minimum(train.rows.history_end - train.rows.history_start, train.max_history)
    rows = sum(shape.rows for shape in steps)
    encoded = sum(shape.events for shape in steps) / rows if rows else 0.0
    evaluated = [shape for loader in held_out for shape in shapes_of(loader)]
    history = float(length_N.mean()) if rows else 0.0
    shared = config.streams and bool(dataset.meta.history_fields)
    return Batches(largest(steps), largest(evaluated), history, encoded, shared)


def arithmetic(config: RunConfig, dataset: PreparedDataset, batches: Batches) -> int:
    """Multiply-adds of a training row's forward pass."""
    encoded = batches.encoded if batches.shared else None
    return multiply_adds(config.model, dataset.meta.features(), batches.history, encoded)


def memory(config: RunConfig, dataset: PreparedDataset, batches: Batches) -> int:
    """Bytes, as `step_memory.training_bytes`."""
    given = batches.step, batches.evaluation, batches.shared, config.training.weight_average > 0
    return training_bytes(config.model, dataset.meta.features(), *given)


def require_memory(config: RunConfig, dataset: PreparedDataset) -> None:
    """Refuse batches whose tensors alone are more than this machine has.

    Raises:
        StudioError: how large they are, and what to do.
    """
    if config.model.grown or not config.model.reads_history:
        return
    batches, whole = batches_of(config, dataset), machine_memory()
    if max(batches.step.events, batches.evaluation.events) * _EVENT_BYTES < whole:
        return
    features = dataset.meta.features()
    needs = {
        "batch_size": (batches.step, step_bytes(config.model, features, batches.step, True, batches.shared)),
        "eval_batch_size": (
            batches.evaluation,
            step_bytes(config.model, features, batches.evaluation, False, batches.shared),
        ),
    }
    for name, (shape, need) in needs.items():
        if need < whole:
            continue
        fits = max(1, int(shape.rows * whole / need / 2))
        stream = (
            "training.history_encoding to stream, which encodes the events that rows share once, or "
            if config.model.causal and not batches.shared
            else ""
        )
        raise StudioError(
            f"{config.name} with batches of {shape.rows:,} rows that read {shape.events:,} events takes about "
            f"{gigabytes(need)} of memory, and this machine has {gigabytes(whole)}. Set {stream}training.{name} to "
            f"{fits:,} at most, or training.max_history to less than {shape.longest:,}."
        )
