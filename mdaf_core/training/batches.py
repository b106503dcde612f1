"""The batches that a model is trained on and asked about."""

from __future__ import annotations

from typing import Any

from mdaf_core.data.batches.loader import BatchLoader
from mdaf_core.data.batches.stream import StreamLoader
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.schema import Split
from mdaf_core.models.base import CTRModel
from mdaf_core.runs.config import TrainingConfig

EVENTS = 256
"""Multiple of which a stream batch's events are with bf16: the library that multiplies takes longer to prepare itself
for a size it has not met than to multiply."""


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
        multiple = EVENTS if config.precision == "bf16" else 1
        blocks = {"block": config.stream_block, "multiple": multiple}
        return StreamLoader(dataset, split, batch_size, max_history=events, **blocks, **options)
    return BatchLoader(dataset, split, batch_size, max_history=events, **options)


def streams(model: CTRModel, config: TrainingConfig) -> bool:
    """Whether this model is given each event of a batch once."""
    return config.history_encoding == "stream" and model.causal and model.reads_history
