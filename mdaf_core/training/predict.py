"""Predictions of a trained model on one split."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from mdaf_core.data.batches.loader import BatchLoader
from mdaf_core.data.batches.stream import StreamLoader
from mdaf_core.data.batches.variants import view_of, with_histories_of
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.schema import Split
from mdaf_core.models.base import CTRModel, GatedModel, Output
from mdaf_core.runs.config import TrainingConfig
from mdaf_core.runs.predictions import write_predictions
from mdaf_core.training.batches import loader_for
from mdaf_core.training.replaced import Fused, branch_columns, history_columns

__all__ = ["predict", "write_predictions"]


SCORES = ("logit", "g", "logit_static", "logit_sequential")


@torch.inference_mode()
def scores(model: CTRModel, loader: BatchLoader) -> Iterator[dict[str, np.ndarray]]:
    """A model's own answers, batch by batch, without any with a part replaced: `logit` (B,) float64, and of a gated
    model also `g` and the logits of each branch alone (g = 0, g = 1). In row order: of a model that streams all at
    once, for it is asked user by user."""
    device = next(model.parameters()).device
    model.eval()

    def asked() -> Iterator[dict[str, np.ndarray]]:
        for batch in loader:
            output = _to_cpu(model(batch.to(device)))
            answers = (output.logit_B, output.gate_B, output.logit_static_B, output.logit_sequential_B)
            given = zip(SCORES, answers if model.gated else answers[:1], strict=False)
            yield {name: value.double().numpy() for name, value in given if value is not None}

    if not isinstance(loader, StreamLoader):
        yield from asked()
        return
    found = list(asked())  # in the order of users
    if found:
        yield {name: _placed(np.concatenate([part[name] for part in found]), loader.order()) for name in found[0]}


@torch.inference_mode()
def predict(
    model: CTRModel,
    dataset: PreparedDataset,
    split: Split,
    config: TrainingConfig,
    on_batch: Callable[[], None] = lambda: None,
) -> dict[str, np.ndarray]:
    """Logits of all rows of a split, in row order, with the model in evaluation mode; (N,) each.

    Always `logit` (float64). For a gated model also `g` and the logits of each branch alone (g = 0, g = 1); for a model
    of two branches the answers with g or a branch's vector replaced, for one that reads histories those with the
    history replaced: `runs.predictions.REPLACED_COLUMNS`.
    """
    device = next(model.parameters()).device
    model.eval()
    rows, size = dataset.rows(split), config.eval_batch_size

    def outputs(loader: BatchLoader) -> Iterator[Output]:
        for batch in loader:
            on_batch()
            yield _to_cpu(model(batch.to(device)))

    loader = loader_for(model, dataset, split, config, size)
    place = loader.order()
    found = list(outputs(loader))
    columns = {"logit": _join([o.logit_B for o in found], place)}
    if not len(rows):
        return columns
    if isinstance(model, GatedModel):
        gate_NK = None
        if model.gated:
            columns["g"] = _join([o.gate_B for o in found], place)
            columns["logit_static"] = _join([o.logit_static_B for o in found], place)
            columns["logit_sequential"] = _join([o.logit_sequential_B for o in found], place)
            gate_NK = torch.cat([_full_gate(o) for o in found])  # K = 1, or the width of a gate vector
            gate_NK = torch.from_numpy(_placed(gate_NK.numpy(), place))

        def vectors(index_B: np.ndarray) -> tuple[Tensor, Tensor]:
            on_batch()
            return model.branches(loader.gather(index_B).to(device))

        given = model.answer, gate_NK
        if isinstance(loader, StreamLoader):  # random rows share no events: all rows are read once, user by user
            whole = [vectors(index_B) for index_B in np.array_split(place, -(-len(place) // size))]
            static_ND, sequential_ND = (
                torch.from_numpy(_placed(torch.cat(part).cpu().numpy(), place)) for part in zip(*whole, strict=True)
            )
            fused = Fused(lambda index_B: (static_ND[index_B].to(device), sequential_ND[index_B].to(device)), *given)
        else:
            fused = Fused(vectors, *given)
        user = np.asarray(rows.user) if dataset.meta.has_user else None
        columns |= branch_columns(fused, rows.label, columns["logit"], user, config.eval_batch_size)
    if model.events_read(config.max_history) and dataset.meta.history_fields:

        def with_histories(donor_N: np.ndarray | None) -> np.ndarray:
            given = loader_for(model, view_of(dataset, with_histories_of(rows, donor_N)), split, config, size)
            return _join([o.logit_B for o in outputs(given)], given.order())

        columns |= history_columns(with_histories, rows.label, rows.user)
    return columns


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


def _join(parts: Sequence[Tensor | None], place_N: np.ndarray) -> np.ndarray:
    present = [part for part in parts if part is not None]
    return _placed(torch.cat(present).double().numpy(), place_N) if present else np.empty(0)


def _placed(found: np.ndarray, place_N: np.ndarray) -> np.ndarray:
    """What was found in a loader's order, row by row of the split."""
    out = np.empty_like(found)
    out[place_N] = found
    return out
