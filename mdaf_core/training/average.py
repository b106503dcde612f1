"""A moving average of the weights, which is what is validated and kept in the place of the last step's."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from mdaf_core.models.base import CTRModel

TIMES = 16
"""How often in an epoch the weights enter the average."""


def averaged(model: CTRModel, epochs: float) -> AveragedModel:
    """A copy of the model whose weights are the exponential moving average of those it is updated with, `TIMES` an
    epoch, each of which counts e^(−1 / (16 · `epochs`)) of the next one (Polyak & Juditsky 1992; of a network's weights
    in this form: Tarvainen & Valpola 2017, arXiv:1703.01780).

    After n updates the average is divided by what the weights of n sum to, as Adam's moments are: the initial weights
    are no part of it. Buffers are those of the last update.
    """
    keep = math.exp(-1 / (TIMES * epochs))

    @torch.no_grad()
    def step(average: list[Tensor] | tuple[Tensor, ...], now: Sequence[Tensor], count: Tensor | int) -> None:
        share = (1 - keep) / (1 - keep ** (int(count) + 1))
        torch._foreach_lerp_(list(average), list(now), share)

    copy = AveragedModel(model, multi_avg_fn=step)
    return copy.requires_grad_(False)


def enters(step: int, steps: int) -> bool:
    """Whether the weights after this step (from 0) of an epoch's `steps` enter the average; those after the last do."""
    return (step + 1) * TIMES // steps > step * TIMES // steps
