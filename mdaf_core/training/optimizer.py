"""The report's optimiser, Adam with an L2 penalty, at a price that does not grow with the vocabularies; and a moving
average of the weights, which is validated and kept in the place of the last step's."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from mdaf_core.base.errors import StudioError
from mdaf_core.models.base import CTRModel
from mdaf_core.models.layers import Table
from mdaf_core.ops.adam import RowAdam, norm, step_all, takes
from mdaf_core.runs.config import TrainingConfig


class Adam(torch.optim.Adam):
    """`torch.optim.Adam` in one pass over all weights, but of `tables` a step touches only the rows that a batch reads
    (`ops.adam`).

    The result is that of Adam on the whole table. Their gradients are sparse; a look-up first brings the rows it reads
    up to date, and `finish` all rows: call it before anything else reads the tables.
    """

    def __init__(self, groups: list[dict[str, Any]], rate: float, tables: Sequence[Table] = ()):
        super().__init__(groups, lr=rate)
        self.tables = {table.weight: table for table in tables}
        self._rows: dict[Tensor, RowAdam] = {}
        self._taken: dict[Tensor, int] = {}
        for table in tables:
            table.sparse = True
            table.before_lookup = self._before_lookup(table.weight)

    def _before_lookup(self, weight: Tensor) -> Callable[[Tensor], None]:
        def catch_up(codes: Tensor) -> None:
            if weight in self._rows:
                self._rows[weight].catch_up(codes.numpy())

        return catch_up

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
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
                    weight.grad = None  # what follows passes it over
        dense = [(group, [w for w in group["params"] if w.grad is not None]) for group in self.param_groups]
        if any(weight.grad.is_sparse for _, weights in dense for weight in weights):
            raise StudioError(
                "A parameter has a sparse gradient (nn.Embedding(sparse=True)): only tables of "
                "mdaf_core.models.layers.Table are trained by the rows that a batch reads. Use one, or leave "
                "sparse out."
            )
        if all(takes(weight) for _, weights in dense for weight in weights):
            for group, weights in dense:
                self._step_dense(group, weights)
        else:
            self._tell_steps()
            super().step()
        return loss

    def _step_dense(self, group: dict[str, Any], weights: list[Tensor]) -> None:
        """As `torch.optim.Adam`, one pass over all weights that have taken as many steps, which are usually all."""
        alike: dict[tuple[int, torch.dtype], list[Tensor]] = defaultdict(list)
        for weight in weights:
            self._taken[weight] = self._taken.get(weight, int(self._state(weight)["step"])) + 1
            alike[self._taken[weight], weight.dtype].append(weight)
        for (steps, _), some in alike.items():
            moments = [(self.state[weight]["exp_avg"], self.state[weight]["exp_avg_sq"]) for weight in some]
            gradients = [weight.grad.contiguous() for weight in some]  # type: ignore[union-attr]
            step_all(some, moments, gradients, group["lr"], group["betas"], group["eps"], group["weight_decay"], steps)

    def finish(self) -> None:
        """Bring every row of every table up to date."""
        for adam in self._rows.values():
            adam.catch_up_all()

    def _row_adam(self, weight: Tensor, group: dict[str, Any]) -> RowAdam:
        if weight not in self._rows:
            state = self._state(weight)
            taken = int(state["step"])
            p, m, v = (x.detach().numpy() for x in (weight, state["exp_avg"], state["exp_avg_sq"]))
            done = np.full(len(p), taken, np.int32)
            self._rows[weight] = RowAdam(p, m, v, done, group["betas"], group["eps"], group["weight_decay"], taken)
        return self._rows[weight]

    def _state(self, weight: Tensor) -> dict[str, Any]:
        """Steps, of which those since are counted apart, and moments."""
        state: dict[str, Any] = self.state[weight]
        if not state:
            state["step"] = torch.tensor(0.0)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(weight), torch.zeros_like(weight)
        return state

    def state_dict(self) -> dict[str, Any]:
        """As `torch.optim.Adam`'s, every row up to date."""
        self.finish()
        self._tell_steps()
        return super().state_dict()

    def _tell_steps(self) -> None:
        """Steps that were counted apart, to where `torch.optim.Adam` counts them."""
        for weight, steps in [*self._taken.items(), *((weight, adam.steps) for weight, adam in self._rows.items())]:
            self.state[weight]["step"] = torch.tensor(float(steps))
        self._taken.clear()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self._rows.clear()
        self._taken.clear()


def build_optimizer(model: CTRModel, config: TrainingConfig, embedding_rate: float = 1.0) -> Adam:
    """Adam with the penalties of `config`: one for embedding tables (but of frequent ids), one for all else.

    Args:
        embedding_rate: learning rate of embedding tables, as a multiple: `rate` of their group.
    """
    tables = [module for module in model.modules() if isinstance(module, Table)]
    weights = {id(table.weight) for table in tables}
    embedding_decay = config.weight_decay if config.embedding_decay is None else config.embedding_decay
    groups = [
        {"params": [p for p in model.parameters() if id(p) not in weights], "weight_decay": config.weight_decay},
        *(
            {
                "params": [table.weight for table in tables if table.frequent == frequent],
                "weight_decay": decay,
                "rate": embedding_rate,
                "lr": config.learning_rate * embedding_rate,
            }
            for frequent, decay in ((False, embedding_decay), (True, config.weight_decay))
        ),
    ]
    large = [table for table in tables if table.large and table.weight.device.type == "cpu"]
    return Adam([group for group in groups if group["params"]], config.learning_rate, large)


def clip_gradients(model: nn.Module, limit: float | None) -> float:
    """Scale all gradients, sparse ones too, so that their norm is at most `limit`; returns the norm before."""
    values, sparse = [], []
    for p in model.parameters():
        if p.grad is not None and p.grad.is_sparse:
            p.grad = p.grad.coalesce()
            sparse.append(p.grad.values())
        elif p.grad is not None:
            values.append(p.grad)
    values += sparse
    ours = all(takes(x) for x in values) and len({x.dtype for x in values}) == 1
    found = norm(values) if ours else float(nn.utils.get_total_norm(values))
    if limit is not None and found + 1e-6 > limit:
        torch._foreach_mul_(values, limit / (found + 1e-6))
    return found


AVERAGE_TIMES = 16
"""How often in an epoch the weights enter the average."""


def averaged(model: CTRModel, epochs: float) -> AveragedModel:
    """A copy of the model whose weights are the exponential moving average of those it is updated with, `AVERAGE_TIMES`
    an epoch, each of which counts e^(−1 / (16 · `epochs`)) of the next one (Polyak & Juditsky 1992; of a network's
    weights in this form: Tarvainen & Valpola 2017, arXiv:1703.01780).

    After n updates the average is divided by what the weights of n sum to, as Adam's moments are: the initial weights
    are no part of it. Buffers are those of the last update.
    """
    keep = math.exp(-1 / (AVERAGE_TIMES * epochs))

    @torch.no_grad()
    def step(average: list[Tensor] | tuple[Tensor, ...], now: Sequence[Tensor], count: Tensor | int) -> None:
        share = (1 - keep) / (1 - keep ** (int(count) + 1))
        torch._foreach_lerp_(list(average), list(now), share)

    copy = AveragedModel(model, multi_avg_fn=step)
    return copy.requires_grad_(False)


def enters_average(step: int, steps: int) -> bool:
    """Whether the weights after this step (from 0) of an epoch's `steps` enter the average; those after the last do."""
    return (step + 1) * AVERAGE_TIMES // steps > step * AVERAGE_TIMES // steps
