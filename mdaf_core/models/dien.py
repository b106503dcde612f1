"""Deep Interest Evolution Network (Zhou et al. 2019, arXiv:1809.03672)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mdaf_core.models.base import RARE_IDS, HiddenUnits, Preset
from mdaf_core.models.history import SequenceConfig


class DIENConfig(SequenceConfig):
    """DIEN (Zhou et al. 2019, arXiv:1809.03672): a GRU over the history, and one whose updates the target weighs."""

    network = "DIEN"
    encoder = "DIENEncoder"

    kind: Literal["dien"] = "dien"
    hidden_dim: int = Field(64, ge=1, le=1024, description="Width of the interest that evolves (the second GRU).")
    hidden_units: HiddenUnits = Field([200, 80], description="MLP on top.")
    auxiliary_weight: float = Field(
        1.0, ge=0, le=10, description="Weight of the loss by which the first GRU predicts the next event; 0 for none."
    )

    @property
    def lacks_state(self) -> str:
        return "lets the target weigh every step, so that every candidate needs all events again"


PRESETS = (Preset("dien", "Deep Interest Evolution Network", DIENConfig(), RARE_IDS),)


import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence

from mdaf_core.data.batches.loader import Batch
from mdaf_core.data.store.schema import OUTCOME, FeatureSpec
from mdaf_core.models.base import Output
from mdaf_core.models.din import Dice
from mdaf_core.models.history import HistoryEncoder, HistoryModel, event_widths
from mdaf_core.ops.segments import by_step, segment_ids, segment_last, segment_softmax


class AUGRU(nn.Module):
    """A GRU whose update gate is multiplied by each event's weight (the paper's equations 13 to 15):
    u' = a · σ(W_u x + U_u h + b_u), r = σ(W_r x + U_r h + b_r), n = tanh(W_n x + r ⊙ U_n h + b_n),
    h' = (1 − u') ⊙ h + u' ⊙ n. An event of weight 0 changes nothing."""

    def __init__(self, dim: int, state_dim: int):
        super().__init__()
        self.given = nn.Linear(dim, 3 * state_dim)
        self.state = nn.Linear(state_dim, 3 * state_dim, bias=False)

    def forward(self, x_TD: Tensor, weight_T: Tensor, cu_seqlens: Tensor) -> Tensor:
        """The state behind the last event of each sequence, (S, state_dim); zero for an empty one."""
        order_T, active_L = by_step(cu_seqlens)
        given_T3D, weight_T1 = self.given(x_TD)[order_T], weight_T[order_T].unsqueeze(1)
        h, behind, begin = given_T3D.new_zeros(len(cu_seqlens) - 1, self.state.in_features), [], 0
        for active in active_L.tolist():
            h = h[:active]
            update, reset, new = given_T3D[begin : begin + active].chunk(3, dim=1)
            of_update, of_reset, of_new = self.state(h).chunk(3, dim=1)
            share = weight_T1[begin : begin + active] * torch.sigmoid(update + of_update)
            h = torch.lerp(h, torch.tanh(new + torch.sigmoid(reset + of_reset) * of_new), share)
            behind.append(h)
            begin += active
        states_TD = torch.cat(behind) if behind else given_T3D.new_zeros(0, self.state.in_features)
        return segment_last(torch.empty_like(states_TD).index_copy(0, order_T, states_TD), cu_seqlens)


class DIENEncoder(HistoryEncoder):
    """Events → GRU (interests, as wide as an event) → weights softmax_t(h_tᵀ W v) by the target v → AUGRU; its last
    state is the pooled vector. The MLP on top has Dice in place of ReLU."""

    activation = Dice

    def __init__(self, config: DIENConfig, features: FeatureSpec):
        super().__init__(config, features, True, pooled_dim=config.hidden_dim)
        width = sum(event_widths(config, features))
        self.extract = nn.GRU(width, width)
        self.score = nn.Linear(width, width, bias=False)
        self.evolve = AUGRU(width, config.hidden_dim)

    def interests(self, event_TE: Tensor, cu_seqlens: Tensor) -> Tensor:
        """What the first GRU makes of the events, (T, event_dim)."""
        if not len(event_TE):
            return event_TE
        order_T, active_L = by_step(cu_seqlens)
        out, _ = self.extract(PackedSequence(event_TE.index_select(0, order_T), active_L))
        return torch.empty_like(out.data).index_copy(0, order_T, out.data)

    def pool(self, event_TE: Tensor, target_BE: Tensor | None, batch: Batch) -> Tensor:
        assert target_BE is not None
        return self.evolved(self.interests(event_TE, batch.cu_seqlens), target_BE, batch.cu_seqlens)

    def evolved(self, interest_TE: Tensor, target_BE: Tensor, cu_seqlens: Tensor) -> Tensor:
        """The pooled vector from the first GRU's outputs."""
        score_T = (self.score(interest_TE) * target_BE[segment_ids(cu_seqlens)]).sum(1)
        return self.evolve(interest_TE, segment_softmax(score_T, cu_seqlens), cu_seqlens)


class DIEN(HistoryModel):
    """The encoder's logit; while training also those of ⟨h_t, e_{t+1}⟩ and ⟨h_t, ē⟩, ē another event of the batch."""

    def __init__(self, config: DIENConfig, features: FeatureSpec):
        super().__init__(config, features)
        self.auxiliary_weight = config.auxiliary_weight

    def forward(self, batch: Batch) -> Output:
        batch, encoder = self.hide_ids(batch), self.encoder
        assert isinstance(encoder, DIENEncoder)
        event_TE, target_BE = encoder.look_up(batch)
        assert target_BE is not None
        interest_TE = encoder.interests(event_TE, batch.cu_seqlens)
        pooled_BD = encoder.evolved(interest_TE, target_BE, batch.cu_seqlens)
        logit_B = self.out(encoder.represent(pooled_BD, target_BE, batch)).squeeze(1)
        if not self.training or not self.auxiliary_weight:
            return Output(logit_B)
        return Output(logit_B, parts=next_events(interest_TE, event_TE, batch))

    def loss(self, output: Output, target_B: Tensor) -> Tensor:
        """The cross-entropy of the prediction, and `auxiliary_weight` times the mean of those of the pairs (the paper's
        equation 6, by pair)."""
        loss = super().loss(output, target_B)
        if output.parts is None:
            return loss
        following, other = output.parts["next_event"], output.parts["other_event"]
        apart = F.softplus(-following).sum() / max(len(following), 1) + F.softplus(other).sum() / max(len(other), 1)
        return loss + self.auxiliary_weight * apart


def next_events(interest_TE: Tensor, event_TE: Tensor, batch: Batch) -> dict[str, Tensor]:
    """⟨h_t, e_{t+1}⟩ of all events with a next one, and ⟨h_t, ē⟩ with ē drawn from the events of the batch, where that
    is not the same as the next one."""
    row_T = segment_ids(batch.cu_seqlens)
    first_N = (row_T[1:] == row_T[:-1]).nonzero().squeeze(1)
    other_N = torch.randint(max(len(row_T), 1), (len(first_N),), device=row_T.device)
    ids = [codes_T for name, codes_T in batch.history.items() if name != OUTCOME]
    same_N = torch.stack([codes_T[other_N] == codes_T[first_N + 1] for codes_T in ids]).all(0)
    interest_NE = interest_TE[first_N]
    return {
        "next_event": (interest_NE * event_TE[first_N + 1]).sum(1),
        "other_event": (interest_NE * event_TE[other_N]).sum(1)[~same_N],
    }
