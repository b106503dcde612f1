"""Predictions of a trained model on one split, and their file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import torch
from torch import Tensor

from mdaf_core.data.dataset import PreparedDataset, Rows
from mdaf_core.data.loader import Batch, BatchLoader
from mdaf_core.data.schema import Split
from mdaf_core.models.base import CTRModel, GatedModel, Output
from mdaf_core.training.config import TrainingConfig

GATE_COLUMNS = ("g", "logit_static", "logit_sequential", "logit_g_mean", "logit_g_permuted")


@torch.inference_mode()
def predict(
    model: CTRModel,
    dataset: PreparedDataset,
    split: Split,
    config: TrainingConfig,
    on_batch: Callable[[], None] = lambda: None,
) -> dict[str, np.ndarray]:
    """Logits of all rows of a split, in row order, with the model in evaluation mode; float64 (N,).

    Always `logit`. For a gated model also `g`, the logits of each branch alone (g = 0, g = 1), and the logits with g
    replaced: by its mean over the split, and by a seeded permutation of itself.
    """
    device = next(model.parameters()).device
    model.eval()
    loader = BatchLoader(dataset, split, config.eval_batch_size, max_history=model.events_read(config.max_history))

    def batches() -> Iterator[Batch]:
        for batch in loader:
            on_batch()
            yield batch.to(device)

    outputs = [_to_cpu(model(batch)) for batch in batches()]
    columns = {"logit": _join([o.logit_B for o in outputs])}
    if not model.gated:
        return columns

    assert isinstance(model, GatedModel)
    columns["g"] = _join([o.gate_B for o in outputs])
    columns["logit_static"] = _join([o.logit_static_B for o in outputs])
    columns["logit_sequential"] = _join([o.logit_sequential_B for o in outputs])
    gate_NK = torch.cat([_full_gate(o) for o in outputs])  # K = 1, or the width of a gate vector
    permutation_N = torch.as_tensor(np.random.default_rng(0).permutation(len(gate_NK)))
    mean_K = gate_NK.double().mean(0).float()  # in float64, so that the mean of a constant gate is that constant
    replaced = {"logit_g_mean": mean_K.expand_as(gate_NK), "logit_g_permuted": gate_NK[permutation_N]}
    logits: dict[str, list[Tensor]] = {name: [] for name in replaced}
    start = 0
    for batch in batches():
        static_BD, sequential_BD = model.branches(batch)
        for name, given_NK in replaced.items():
            given = given_NK[start : start + len(batch)].to(device)
            logits[name].append(model.fuse(static_BD, sequential_BD, given).logit_B.cpu())
        start += len(batch)
    return columns | {name: _join(parts) for name, parts in logits.items()}


def _full_gate(output: Output) -> Tensor:
    """g as (B, 1), or (B, D) where the model has one gate a dimension."""
    if output.gate_BD is not None:
        return output.gate_BD
    assert output.gate_B is not None
    return output.gate_B.unsqueeze(1)


def _to_cpu(output: Output) -> Output:
    """A copy on the CPU, without the parts that only the loss needs."""

    def move(x: Tensor | None) -> Tensor | None:
        return None if x is None else x.cpu()

    branches = (move(output.logit_static_B), move(output.logit_sequential_B))
    return Output(output.logit_B.cpu(), None, move(output.gate_B), *branches, move(output.gate_BD))


def _join(parts: Sequence[Tensor | None]) -> np.ndarray:
    present = [part for part in parts if part is not None]
    return torch.cat(present).double().numpy() if present else np.empty(0)


def write_predictions(path: Path, rows: Rows, columns: dict[str, np.ndarray], max_history: int) -> None:
    """Predictions of one split as Parquet; row order is that of the data set."""
    logit = columns["logit"]
    length = np.minimum(rows.history_end - rows.history_start, max_history)
    frame = pl.DataFrame(
        {
            "row_id": rows.row_id.astype(np.int64),
            "user": rows.user.astype(np.int64),
            "label": rows.label.astype(np.uint8),
            "timestamp": rows.timestamp.astype(np.int64),
            "history_length": length.astype(np.int32),
            "logit": logit,
            "probability": np.exp(-np.logaddexp(0.0, -logit)),
            **{name: columns[name] for name in GATE_COLUMNS if name in columns},
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}")
    try:
        frame.write_parquet(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
