"""What an epoch says of a model's gate and branches, from its validation rows."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mdaf_core.data.batches.loader import Batch
from mdaf_core.models.base import GatedModel, Output
from mdaf_core.training.replaced import parts_of

SAMPLE = 2_000
"""Validation rows that the branches' parts are taken from."""
DRAWS = 5
"""Other rows' vectors that each of them is given."""


class GateEpoch:
    """Answers validation batches and keeps g of all rows, and of evenly spaced ones the branches' vectors.

    Args:
        rows: of validation.
    """

    def __init__(self, model: GatedModel, rows: int):
        self.model, self.every, self.seen = model, -(-rows // SAMPLE) or 1, 0
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
            parts = parts_of(self.model.answer, static_ND, sequential_ND, logit_N, DRAWS)
            found |= {f"part_{name}": float(part.std()) for name, part in parts.items()}
        return found
