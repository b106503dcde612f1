"""GRU over the history (Hidasi et al. 2016, arXiv:1511.06939; unit of Cho et al. 2014, arXiv:1406.1078)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mdaf_core.models.base import RARE_IDS, Preset
from mdaf_core.models.layered import LayeredConfig


class GRUConfig(LayeredConfig):
    """GRU over the history (GRU4Rec, Hidasi et al. 2016, arXiv:1511.06939): a control that remembers by gates."""

    encoder = "GRUEncoder"

    kind: Literal["gru"] = "gru"
    state_dim: int = Field(128, ge=1, le=1024, description="Width of the GRU's state.")


PRESETS = (Preset("gru", "GRU over the history: a control", GRUConfig(), RARE_IDS),)


from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from mdaf_core.models.layered import Layer, LayeredEncoder, Mixer
from mdaf_core.ops.segments import by_step


@dataclass
class _State:
    h_1D: Tensor


class GRU(Mixer):
    """out_proj(h_t) of torch's GRU: r, z = σ(…), n = tanh(W x + b + r ⊙ (U h + c)), h' = (1 − z) ⊙ n + z ⊙ h.

    Sequences are not padded: step t is computed for those that have one.
    """

    def __init__(self, dim: int, state_dim: int):
        super().__init__()
        self.gru = nn.GRU(dim, state_dim)
        self.out_proj = nn.Linear(state_dim, dim, bias=False)

    def begin(self) -> _State:
        return _State(torch.zeros_like(self.out_proj.weight[:1]))

    def forward(self, x_TD: Tensor, cu_seqlens: Tensor | None, gap_T: Tensor, carried: _State | None = None) -> Tensor:
        if not len(x_TD):
            return self.out_proj(x_TD.new_zeros(0, self.gru.hidden_size))
        if carried is not None:
            out_TD, carried.h_1D = self.gru(x_TD, carried.h_1D)
            return self.out_proj(out_TD)
        assert cu_seqlens is not None
        order_T, active_L = by_step(cu_seqlens)
        out, _ = self.gru(PackedSequence(x_TD.index_select(0, order_T), active_L))
        return self.out_proj(torch.empty_like(out.data).index_copy(0, order_T, out.data))


class GRUEncoder(LayeredEncoder):
    """Layers of GRUs, see `layered`."""

    def layer(self, config: GRUConfig, index: int) -> Layer:
        return Layer(GRU(config.hidden_dim, config.state_dim), config.hidden_dim, 0, config.dropout)
