"""The scan of Mamba-2 (Dao & Gu 2024, arXiv:2405.21060, section 6): one decay a head and token, over packed sequences.

For channel d of head h, with the input and output vectors B_t, C_t of the head's set:

    s_t[d,n] = exp(a_t[h]) · s_{t−1}[d,n] + B_t[n] · x_t[d]
    y_t[d]   = Σ_n C_t[n] · s_t[d,n]              or, without its own input, Σ_n C_t[n] · exp(a_t[h]) · s_{t−1}[d,n]

The state starts at zero at each sequence boundary. On the CPU float32 has a kernel of its own (`ssd_numba`), float64 is
computed as it is written: for states that fit into its first cache the recurrence itself has the least to do. Other
devices compute it by chunks of matrix products, as in the paper.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from mdaf_core.ops.parallel_scan import recur
from mdaf_core.ops.segments import lengths, segment_ids
from mdaf_core.ops.selective_scan import implementation
from mdaf_core.ops.simd import LANES

CHUNK = 64
"""Tokens."""


def ssd(x_THP: Tensor, decay_TH: Tensor, B_TGN: Tensor, C_TGN: Tensor, cu_seqlens: Tensor, own: bool = True) -> Tensor:
    """The scan, (T, H, P).

    Args:
        x_THP: inputs by head, steps already multiplied into them.
        decay_TH: logarithms a_t of the decays, ≤ 0.
        B_TGN, C_TGN: for G sets of as many heads each.
        cu_seqlens: (S + 1,) boundaries of the packed sequences; a sequence may be empty.
        own: whether an output reads its own input too.

    Raises:
        ValueError: shapes do not fit together.
    """
    (tokens, heads, width), (_, sets, _) = x_THP.shape, B_TGN.shape
    if heads % sets or decay_TH.shape != (tokens, heads) or C_TGN.shape != B_TGN.shape or len(B_TGN) != tokens:
        given = ", ".join(str(tuple(x.shape)) for x in (x_THP, decay_TH, B_TGN, C_TGN))
        raise ValueError(
            f"x (T, H, P), decay (T, H), B and C (T, G, N) must fit together, with H a multiple of G: {given}."
        )
    chosen = implementation(x_THP.device)
    if tokens and chosen in ("parallel", "mamba_ssm"):
        return ssd_chunked(x_THP, decay_TH, B_TGN, C_TGN, cu_seqlens, own)
    if not tokens or chosen != "numba" or x_THP.dtype != torch.float32:
        return ssd_reference(x_THP, decay_TH, B_TGN, C_TGN, cu_seqlens, own)
    from mdaf_core.ops.ssd_numba import scan

    per_set = heads // sets * width
    missing = -per_set % LANES  # channels of zeros, up to whole vectors in each set
    x_TGD = x_THP.reshape(tokens, sets, per_set)
    decay_TGD = decay_TH.unsqueeze(2).expand(-1, -1, width).reshape(tokens, sets, per_set)
    if missing:
        x_TGD, decay_TGD = F.pad(x_TGD, (0, missing)), F.pad(decay_TGD, (0, missing))
    y_TD = scan(x_TGD.flatten(1), decay_TGD.flatten(1), B_TGN, C_TGN, cu_seqlens, own)
    return y_TD.view(tokens, sets, -1)[..., :per_set].reshape(tokens, heads, width)


def ssd_reference(
    x_THP: Tensor, decay_TH: Tensor, B_TGN: Tensor, C_TGN: Tensor, cu_seqlens: Tensor, own: bool = True
) -> Tensor:
    """The recurrence as it is written, one step at a time for all sequences still going, on any device."""
    length_S, start_S = lengths(cu_seqlens), cu_seqlens[:-1].long()
    state_SHPN = x_THP.new_zeros(len(length_S), *x_THP.shape[1:], B_TGN.shape[2])
    steps, order = [x_THP[:0]], [start_S[:0]]
    for step in range(int(length_S.max()) if len(length_S) else 0):
        active_S = (length_S > step).nonzero().squeeze(1)
        t = start_S[active_S] + step
        y, state = ssd_step(state_SHPN[active_S], x_THP[t], decay_TH[t], B_TGN[t], C_TGN[t], own)
        state_SHPN = state_SHPN.index_copy(0, active_S, state)
        steps.append(y)
        order.append(t)
    return torch.cat(steps)[torch.argsort(torch.cat(order))]


def ssd_chunked(
    x_THP: Tensor, decay_TH: Tensor, B_TGN: Tensor, C_TGN: Tensor, cu_seqlens: Tensor, own: bool = True
) -> Tensor:
    """The scan by chunks of `CHUNK` tokens, wherever sequences begin and end (the paper's section 6, there for one
    sequence): within a chunk all pairs of tokens of one sequence, and what the state that the chunk finds adds to the
    tokens that go on with its sequence. States are kept for each chunk, not for each token."""
    tokens, heads = x_THP.shape[:2]
    missing = -tokens % CHUNK

    def chunks(x: Tensor, value: float = 0.0) -> Tensor:
        return F.pad(x, (0, 0) * (x.dim() - 1) + (0, missing), value=value).unflatten(0, (-1, CHUNK))

    sets = B_TGN.shape[1]
    x_CQHP, B_CQGN, C_CQGN = chunks(x_THP), chunks(B_TGN), chunks(C_TGN)
    since_CQH = chunks(decay_TH).cumsum(1)  # logarithm of the decay since the chunk began, its own included
    sequence_CQ = chunks(segment_ids(cu_seqlens).unsqueeze(1), -1).squeeze(2)

    place_Q = torch.arange(CHUNK, device=x_THP.device)
    before_QQ = place_Q.unsqueeze(1) - place_Q >= int(not own)
    reads_CQQ = (sequence_CQ.unsqueeze(2) == sequence_CQ.unsqueeze(1)) & before_QQ
    apart_CQQH = since_CQH.unsqueeze(2) - since_CQH.unsqueeze(1)
    share_CQQH = apart_CQQH.masked_fill(~reads_CQQ.unsqueeze(3), -torch.inf).exp()
    alike_CQQG = torch.einsum("cqgn,ckgn->cqkg", C_CQGN, B_CQGN).repeat_interleave(heads // sets, dim=3)
    y_CQHP = torch.einsum("cqkh,ckhp->cqhp", share_CQQH * alike_CQQG, x_CQHP)

    last_C1 = sequence_CQ[:, -1:]
    left_CQH = (since_CQH[:, -1:] - since_CQH).masked_fill((sequence_CQ != last_C1).unsqueeze(2), -torch.inf).exp()
    heads_of = {"repeats": heads // sets, "dim": 2}
    B_CQHN, C_CQHN = B_CQGN.repeat_interleave(**heads_of), C_CQGN.repeat_interleave(**heads_of)
    added_CHPN = torch.einsum("cqh,cqhp,cqhn->chpn", left_CQH, x_CQHP, B_CQHN)
    found_C = F.pad(sequence_CQ[:-1, -1], (1, 0), value=-2)  # the sequence that the chunk before ended with
    through_CH = since_CQH[:, -1].exp() * (last_C1 == found_C.unsqueeze(1))
    after_CHPN = recur(through_CH[:, :, None, None], added_CHPN, len(added_CHPN))
    before_CHPN = F.pad(after_CHPN[:-1], (0, 0, 0, 0, 0, 0, 1, 0))
    goes_on_CQH = since_CQH.exp() * (sequence_CQ == found_C.unsqueeze(1)).unsqueeze(2)
    y_CQHP = y_CQHP + torch.einsum("cqh,cqhn,chpn->cqhp", goes_on_CQH, C_CQHN, before_CHPN)
    return y_CQHP.flatten(0, 1)[:tokens]


def ssd_step(
    state_SHPN: Tensor, x_SHP: Tensor, decay_SH: Tensor, B_SGN: Tensor, C_SGN: Tensor, own: bool = True
) -> tuple[Tensor, Tensor]:
    """One token of each sequence: outputs (S, H, P), and the states behind it."""
    heads = x_SHP.shape[1] // B_SGN.shape[1]
    B_SH1N, C_SH1N = (x.repeat_interleave(heads, dim=1).unsqueeze(2) for x in (B_SGN, C_SGN))
    before = decay_SH[..., None, None].exp() * state_SHPN
    after = before + x_SHP.unsqueeze(3) * B_SH1N
    return ((after if own else before) * C_SH1N).sum(3), after
