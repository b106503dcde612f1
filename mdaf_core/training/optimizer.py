"""The report's optimiser, Adam with an L2 penalty, at a price that does not grow with the vocabularies."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mdaf_core.models.base import CTRModel
from mdaf_core.models.layers import Table
from mdaf_core.ops.adam import RowAdam
from mdaf_core.runs.config import TrainingConfig


class Adam(torch.optim.Adam):
    """`torch.optim.Adam`, but of `tables` only the rows that a batch reads are touched at a step (`ops.adam`).

    The result is that of Adam on the whole table. Their gradients are sparse; a look-up first brings the rows it reads
    up to date, and `finish` all rows: call it before anything else reads the tables.
    """

    def __init__(self, groups: list[dict[str, Any]], rate: float, tables: Sequence[Table] = ()):
        super().__init__(groups, lr=rate)
        self.tables = {table.weight: table for table in tables}
        self._rows: dict[Tensor, RowAdam] = {}
        for table in tables:
            table.sparse = True
            table.before_lookup = self._before_lookup(table.weight)

    def _before_lookup(self, weight: Tensor) -> Callable[[Tensor], None]:
        def catch_up(codes: Tensor) -> None:
            if weight in self._rows:
                self._rows[weight].catch_up(codes.numpy())

        return catch_up

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight in self.tables and weight.grad is not None:
                    gradient = weight.grad.coalesce()
                    rows, values = gradient.indices().squeeze(0).numpy(), gradient.values().numpy()
                    self._row_adam(weight, group).step(rows, values, group["lr"])
                    weight.grad = None  # torch's own step passes it over
        super().step()
        return loss

    def finish(self) -> None:
        """Bring every row of every table up to date."""
        for adam in self._rows.values():
            adam.catch_up_all()

    def _row_adam(self, weight: Tensor, group: dict[str, Any]) -> RowAdam:
        if weight not in self._rows:
            state = self.state[weight]
            if not state:
                state["step"] = torch.tensor(0.0)
                state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(weight), torch.zeros_like(weight)
            taken = int(state["step"])
            p, m, v = (x.detach().numpy() for x in (weight, state["exp_avg"], state["exp_avg_sq"]))
            done = np.full(len(p), taken, np.int32)
            self._rows[weight] = RowAdam(p, m, v, done, group["betas"], group["eps"], group["weight_decay"], taken)
        return self._rows[weight]

    def state_dict(self) -> dict[str, Any]:
        """As `torch.optim.Adam`'s, every row up to date."""
        self.finish()
        for weight, adam in self._rows.items():
            self.state[weight]["step"] = torch.tensor(float(adam.steps))
        return super().state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self._rows.clear()


def build_optimizer(model: CTRModel, config: TrainingConfig) -> Adam:
    """Adam with the penalties of `config`: one for embedding tables, one for all else."""
    tables = [module for module in model.modules() if isinstance(module, Table)]
    weights = {id(table.weight) for table in tables}
    embedding_decay = config.weight_decay if config.embedding_decay is None else config.embedding_decay
    groups = [
        {"params": [p for p in model.parameters() if id(p) not in weights], "weight_decay": config.weight_decay},
        {"params": [table.weight for table in tables], "weight_decay": embedding_decay},
    ]
    large = [table for table in tables if table.large and table.weight.device.type == "cpu"]
    return Adam([group for group in groups if group["params"]], config.learning_rate, large)


def clip_gradients(model: nn.Module, limit: float | None) -> float:
    """Scale all gradients, sparse ones too, so that their norm is at most `limit`; returns the norm before."""
    dense = [p.grad for p in model.parameters() if p.grad is not None and not p.grad.is_sparse]
    sparse = [p for p in model.parameters() if p.grad is not None and p.grad.is_sparse]
    for p in sparse:
        p.grad = p.grad.coalesce()  # type: ignore[union-attr]
    values = dense + [p.grad.values() for p in sparse]  # type: ignore[union-attr]
    norm = nn.utils.get_total_norm(values)
    if limit is not None and math.isfinite(limit):
        scale = (limit / (norm + 1e-6)).clamp(max=1.0)
        torch._foreach_mul_(values, scale)
    return float(norm)
