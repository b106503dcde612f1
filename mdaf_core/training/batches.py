"""The batches that a model is trained on and asked about."""

from __future__ import annotations

import math
from typing import Any

from mdaf_core.data.batches.loader import BatchLoader
from mdaf_core.data.batches.stream import StreamLoader
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.schema import Split
from mdaf_core.models.base import CTRModel
from mdaf_core.ops.products import by_onednn
from mdaf_core.runs.config import TrainingConfig

EVENTS = 256
"""Multiple of which a stream batch's events are where oneDNN multiplies: it prepares itself for each size that it
meets, which takes longer than to multiply, and keeps what it prepared."""


def loader_for(
    model: CTRModel, dataset: PreparedDataset, split: Split, config: TrainingConfig, batch_size: int, **options: Any
) -> BatchLoader:
    """Batches as the model reads them: each event once where it is to stream and can, else each row with its own.

    Args:
        options: of the loader (`rows`, `shuffle_seed`).
    """
    events = model.events_read(config.max_history)
    options["match_events"] = config.match_events
    if streams(model, config) and dataset.meta.history_fields:
        multiple = EVENTS if config.precision == "bf16" or by_onednn() else 1
        blocks = {"block": config.stream_block, "multiple": multiple}
        return StreamLoader(dataset, split, batch_size, max_history=events, **blocks, **options)
    return BatchLoader(dataset, split, batch_size, max_history=events, **options)


def embedding_rate(config: TrainingConfig, loader: BatchLoader) -> float:
    """Learning rate of embedding tables, as a multiple of that of all other weights.

    Adam moves an id by its gradient over the root of the mean square of its gradients, steps that do not touch it
    counted as zero. Of n rows an epoch in T steps, each of gradient g, that root is g √(n / T), and n g the whole
    gradient: the id goes √(n T) steps' way. Rows of which k are drawn together have k g in n / k steps, a root of
    g √(n k / T), and go √k times less far, while all other weights take as many steps as before. A rate √k times as
    high makes up for it.
    """
    return config.embedding_rate or math.sqrt(loader.drawn_together)


def streams(model: CTRModel, config: TrainingConfig) -> bool:
    """Whether this model is given each event of a batch once."""
    return config.history_encoding == "stream" and model.causal and model.reads_history
