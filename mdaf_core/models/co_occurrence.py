"""How often the target's id occurs near those of the newest events in the logs of other users: counted before training,
and told to a history model beside its match features.

Match features say whether a user has been here before. This says, of a target the user has not met, whether it goes
with what the user has met, without a vector that has to be learned of each id: item-to-item co-visitation (Linden et
al. 2003, Amazon.com recommendations), as a smoothed log of observed over expected counts (pointwise mutual information;
Church & Hanks 1990).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from mdaf_core.base.errors import StudioError
from mdaf_core.data.batches.loader import Batch
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.schema import FIRST_ID, UNKNOWN, FeatureSpec
from mdaf_core.models.layers import spread

WINDOW = 20
"""Events up to which two of a log are near each other: w events apart, they count 1 / w."""
NEWEST = 50
"""Events of a history that a target is compared with."""
FOLDS = 8
"""Parts of the users: what is told of a row is counted without the part that its own user is in."""
SMOOTHING = 0.15
"""Added to observed and expected counts: what is hardly expected and not observed says little."""
LARGEST = 4.0
"""Log-ratios are told apart up to this size."""
KNOTS = 17
MOST_PAIRS = 4_000_000
"""Pairs of ids that are kept, those that count most first: 12 bytes each, in the model's weights."""
NAMES = ("near", "all", "most", "together", "newest", "most_of_five")


def newest_events(batch: Batch, newest: int) -> tuple[Tensor, Tensor]:
    """Where the newest events of each row stand among the batch's, the last one first, and which there are: (B, newest)
    int64 and bool. Of rows that have been encoded before (`Batch.kept`), among those kept."""
    back_P = torch.arange(1, newest + 1, device=batch.label_B.device)
    if batch.kept is not None:
        begin_B1, end_B1 = batch.lengths_B.new_zeros(len(batch), 1), batch.lengths_B.unsqueeze(1)
    elif batch.slices is not None:
        begin_B1, end_B1 = batch.slices.begin_B.unsqueeze(1), batch.slices.end_B.unsqueeze(1)
    else:
        begin_B1, end_B1 = batch.cu_seqlens[:-1].long().unsqueeze(1), batch.cu_seqlens[1:].long().unsqueeze(1)
    at_BP = end_B1 - back_P
    return at_BP.clamp(min=0), at_BP >= begin_B1


class Counted(nn.Module):
    """A part of a model that counts something of the training data before it is trained, and keeps it in buffers."""

    def count(self, dataset: PreparedDataset) -> None:
        """Fill the buffers from what training rows can see."""
        raise NotImplementedError


def count(model: nn.Module, dataset: PreparedDataset) -> None:
    """Let all parts of a model count what they are to know of the training data."""
    for part in model.modules():
        if isinstance(part, Counted):
            part.count(dataset)


class CoOccurrence(Counted):
    """Six log-ratios of a row, from one field of its target c and of its newest events d_1, d_2, … (the newest first).

    n_dc is the sum of 1 / w over all pairs of events with the ids d and c that are w ≤ `WINDOW` events apart in the log
    of one user; r_d = Σ_c n_dc; e_dc = r_d r_c / Σ r, what n_dc would be by chance. Counted are the logs that training
    rows read, without those of the row's own part of the users (`FOLDS`), so that a training row is told of others
    alone, as any row is. The lift of an event is l_k = ln((n + κ) / (e + κ)), κ = `SMOOTHING`. Events that have the
    target's id, and unknown ids, have none and are left out:

        near: Σ l_k / k ÷ Σ 1 / k      all: mean l_k      most: max l_k      newest: the first l_k
        together: ln((Σ n / k + κ') / (Σ e / k + κ')), κ' = κ Σ 1 / k      most_of_five: max l_k over k ≤ 5

    and 0 where there is none. A user unknown to training is in no part, and all is counted; one that is hidden while
    training (`CTRModel.hide_ids`) is told nothing.

    Args:
        features: the data set's fields.

    Attributes:
        out_dim: numbers of `forward`.

    Raises:
        StudioError: the data have no field for users, by which a row's own log could be told from others'.
    """

    def __init__(self, features: FeatureSpec):
        super().__init__()
        self.field = features.category if features.category in features.history else features.history[0]
        if features.user is None:
            raise StudioError(
                "co_occurrence counts other users' logs, and the data set has no field with the role user: set "
                "co_occurrence=false, or prepare the data set with its users."
            )
        names = list(features.categorical)
        self.column, self.user_column = names.index(self.field), names.index(features.user)
        self.history_column, self.user = features.history.index(self.field), features.user
        self.size = features.categorical[self.field]
        self.out_dim = KNOTS * len(NAMES)
        self.pair_P: Tensor
        self.count_P: Tensor
        self.sum_FV: Tensor
        self.total_F: Tensor
        self.register_buffer("pair_P", torch.full((1,), -1))  # fold (all: FOLDS), smaller, larger id as one number
        self.register_buffer("count_P", torch.zeros(1))
        self.register_buffer("sum_FV", torch.zeros(FOLDS + 1, self.size))
        self.register_buffer("total_F", torch.zeros(FOLDS + 1))
        self.register_load_state_dict_pre_hook(_as_long_as_stored)

    def count(self, dataset: PreparedDataset) -> None:
        rows, size = dataset.rows("train"), self.size
        first_N, behind_N = np.asarray(rows.history_start), np.asarray(rows.history_end)
        reading = np.flatnonzero(behind_N > first_N)  # where nothing is read, another user's log may begin
        start, row, log_N = np.unique(first_N[reading], return_index=True, return_inverse=True)
        end = np.zeros(len(start), np.int64)
        np.maximum.at(end, log_N, behind_N[reading])
        log_L, length_L = np.arange(len(start)), end - start
        log_T = np.repeat(log_L, length_L)
        event_T = np.arange(len(log_T)) + np.repeat(start - np.cumsum(length_L) + length_L, length_L)
        id_T = np.asarray(dataset.events[self.field])[event_T].astype(np.int64)
        fold_T = np.asarray(rows.columns[self.user])[reading[row]].astype(np.int64)[log_T] % FOLDS
        pair_P: np.ndarray = np.empty(0, np.int64)
        count_P: np.ndarray = np.empty(0)
        for apart in range(1, min(WINDOW, len(id_T) - 1) + 1):
            a, b = id_T[:-apart], id_T[apart:]
            near = (log_T[:-apart] == log_T[apart:]) & (a != b) & (a >= FIRST_ID) & (b >= FIRST_ID)
            pair = (np.minimum(a, b) * size + np.maximum(a, b))[near]
            fold = fold_T[apart:][near] * size**2
            pair_P, place = np.unique(np.concatenate([pair_P, pair + fold]), return_inverse=True)
            count_P = np.bincount(place, np.concatenate([count_P, np.full(len(pair), 1 / apart)]), len(pair_P))
        whole_P, place = np.unique(pair_P % size**2, return_inverse=True)
        pair_P = np.concatenate([pair_P, whole_P + FOLDS * size**2])
        count_P = np.concatenate([count_P, np.bincount(place, count_P, len(whole_P))])
        sum_FV = np.zeros((FOLDS + 1, size))
        for of_P in (pair_P // size % size, pair_P % size):
            np.add.at(sum_FV, (pair_P // size**2, of_P), count_P)
        if len(pair_P) > MOST_PAIRS:
            kept = np.sort(np.argsort(-count_P, kind="stable")[:MOST_PAIRS])
            pair_P, count_P = pair_P[kept], count_P[kept]
        at = self.sum_FV.device
        self.pair_P = torch.from_numpy(np.r_[-1, pair_P]).to(at)
        self.count_P = torch.from_numpy(np.r_[0.0, count_P]).float().to(at)
        self.sum_FV = torch.from_numpy(sum_FV).float().to(at)
        self.total_F = torch.from_numpy(sum_FV.sum(1)).float().to(at)

    def counts(self, fold_B1: Tensor, low_BP: Tensor, high_BP: Tensor) -> Tensor:
        """n of these pairs within a part of the users (`FOLDS`: all), (B, P)."""
        key_BP = (fold_B1 * self.size + low_BP) * self.size + high_BP
        place_BP = (torch.searchsorted(self.pair_P, key_BP, right=True) - 1).clamp(min=0)
        return torch.where(self.pair_P[place_BP] == key_BP, self.count_P[place_BP], 0.0)

    def of_others(self, fold_B1: Tensor, low_BP: Tensor, high_BP: Tensor) -> Tensor:
        """n of these pairs without a part of the users (`FOLDS`: without none), (B, P)."""
        whole_BP = self.counts(torch.full_like(fold_B1, FOLDS), low_BP, high_BP)
        own_BP = self.counts(fold_B1, low_BP, high_BP) * (fold_B1 < FOLDS)
        return (whole_BP - own_BP).clamp(min=0)

    def sums_of_others(self, fold_B1: Tensor, id_BP: Tensor) -> Tensor:
        """r of these ids, as `of_others`."""
        own_BP = self.sum_FV[fold_B1, id_BP] * (fold_B1 < FOLDS)
        return (self.sum_FV[FOLDS][id_BP] - own_BP).clamp(min=0)

    @torch.no_grad()
    def ratios(self, batch: Batch) -> Tensor:
        """The log-ratios (B, 6), in the order of `NAMES`."""
        at_BP, there_BP = newest_events(batch, NEWEST)
        held_T = batch.history[self.field]
        if batch.kept is not None:
            held_T = batch.kept.identity_TH[:, self.history_column]
            held_T = held_T.masked_fill(held_T >= self.size, UNKNOWN)
        target_B1, user_B1 = batch.categorical_BF[:, [self.column]], batch.categorical_BF[:, [self.user_column]]
        if not len(held_T):
            return self.count_P.new_zeros(len(batch), len(NAMES))
        id_BP = held_T[at_BP]
        fit_BP = there_BP & (id_BP >= FIRST_ID) & (id_BP != target_B1) & (target_B1 >= FIRST_ID)
        known_B1 = user_B1 >= FIRST_ID
        if self.training:
            fit_BP = fit_BP & known_B1
        fold_B1 = torch.where(known_B1, user_B1 % FOLDS, FOLDS)
        n_BP = self.of_others(fold_B1, torch.minimum(id_BP, target_B1), torch.maximum(id_BP, target_B1))
        whole, own_B1 = self.total_F[FOLDS], self.total_F[fold_B1] * known_B1
        e_BP = self.sums_of_others(fold_B1, id_BP) * self.sums_of_others(fold_B1, target_B1)
        e_BP = e_BP / (whole - own_B1).clamp(min=1e-6)
        lift_BP = torch.log((n_BP + SMOOTHING) / (e_BP + SMOOTHING)).masked_fill(~fit_BP, 0.0)
        weight_BP = fit_BP / torch.arange(1, NEWEST + 1, device=fit_BP.device)
        weight_B, any_B = weight_BP.sum(1), fit_BP.any(1)
        per_weight_B = weight_B.clamp(min=1e-6)
        near_B = (lift_BP * weight_BP).sum(1) / per_weight_B
        all_B = lift_BP.sum(1) / fit_BP.sum(1).clamp(min=1)
        observed_B, expected_B = ((x_BP * weight_BP).sum(1) / per_weight_B for x_BP in (n_BP, e_BP))
        together_B = torch.log((observed_B + SMOOTHING) / (expected_B + SMOOTHING))
        newest_B = lift_BP.gather(1, fit_BP.int().argmax(1, keepdim=True)).squeeze(1)
        low_BP = lift_BP.masked_fill(~fit_BP, -torch.inf)
        most_B, five_B = low_BP.amax(1), low_BP[:, :5].amax(1)
        found = [near_B, all_B, most_B, together_B, newest_B, five_B]
        return torch.stack([x_B.masked_fill(~any_B | x_B.isinf(), 0.0) for x_B in found], dim=1)

    def forward(self, batch: Batch) -> Tensor:
        """The log-ratios, each spread over `KNOTS` knots from −`LARGEST` to `LARGEST`: (B, out_dim)."""
        placed = (self.ratios(batch) / (2 * LARGEST) + 0.5).clamp(0, 1)
        return spread(placed, KNOTS).flatten(1)


def _as_long_as_stored(part: CoOccurrence, weights: dict[str, Tensor], prefix: str, *_: object) -> None:
    """What was counted is as long as the data had it; a model that has not counted takes it as it was kept."""
    for name in ("pair_P", "count_P"):
        stored = weights.get(prefix + name)
        if stored is not None:
            setattr(part, name, torch.empty_like(stored, device=getattr(part, name).device))
