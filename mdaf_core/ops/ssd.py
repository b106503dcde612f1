"""The scan of Mamba-2 (Dao & Gu 2024, arXiv:2405.21060, section 6): one decay a head and token, over packed sequences.

For channel d of head h, with the input and output vectors B_t, C_t of the head's set:

    s_t[d,n] = exp(a_t[h]) · s_{t−1}[d,n] + B_t[n] · x_t[d]
    y_t[d]   = Σ_n C_t[n] · s_t[d,n]              or, without its own input, Σ_n C_t[n] · exp(a_t[h]) · s_{t−1}[d,n]

The state starts at zero at each sequence boundary. On the CPU float32 has a kernel of its own (`ssd_numba`), float64 is
computed as it is written. The paper computes it by chunks of matrix products, which suits a
GPU; on a CPU, for states that fit into its first cache, the recurrence itself has less to do.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from mdaf_core.ops.segments import lengths
from mdaf_core.ops.selective_scan import implementation
from mdaf_core.ops.simd import LANES


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
    if not tokens or implementation(x_THP.device) != "numba" or x_THP.dtype != torch.float32:
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


def ssd_step(
    state_SHPN: Tensor, x_SHP: Tensor, decay_SH: Tensor, B_SGN: Tensor, C_SGN: Tensor, own: bool = True
) -> tuple[Tensor, Tensor]:
    """One token of each sequence: outputs (S, H, P), and the states behind it."""
    heads = x_SHP.shape[1] // B_SGN.shape[1]
    B_SH1N, C_SH1N = (x.repeat_interleave(heads, dim=1).unsqueeze(2) for x in (B_SGN, C_SGN))
    before = decay_SH[..., None, None].exp() * state_SHPN
    after = before + x_SHP.unsqueeze(3) * B_SH1N
    return ((after if own else before) * C_SH1N).sum(3), after
