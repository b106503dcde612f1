"""Convolution and scan of one sequence that goes on: what they need of earlier tokens is carried along.

A token costs the same however many came before. Without gradients: for models that are asked, not trained.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numba
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mdaf_core.ops.causal_conv import convolve_reference
from mdaf_core.ops.conv_numba import convolve_token
from mdaf_core.ops.scan_numba import packed, scan_token
from mdaf_core.ops.selective_scan import implementation
from mdaf_core.ops.simd import LANES, dot, sigmoid, store


@numba.njit(cache=True, error_model="numpy")
def _convolve(x, weight, bias, before, y):  # type: ignore[no-untyped-def]
    """As `conv_numba`, with SiLU; the first `before` tokens of x are those that were carried."""
    channels = len(bias)
    for t in range(len(y) // channels):
        for first in range(0, channels, LANES):
            out = convolve_token(x, weight, bias, channels, first, 0, before + t)
            store(y, t * channels + first, out * sigmoid(out))


@numba.njit(cache=True, error_model="numpy")
def _scan(u, delta, A, B, C, skip, z, h, y):  # type: ignore[no-untyped-def]
    channels = len(skip)
    states = len(A) // channels
    for first in range(0, channels, LANES):
        for t in range(len(y) // channels):
            scan_token(u, delta, A, B, C, skip, z, False, True, t, first, h, first * states, y)


@numba.njit
def _times(weight, x, y):  # type: ignore[no-untyped-def]
    """y = weight · x, of whole vectors."""
    size = len(x)
    for i in range(len(y)):
        y[i] = dot(weight, i * size, x, 0, size)


@numba.njit(cache=True, error_model="numpy")
def _token(x, project, weight, bias, select, widen, step_bias, A, skip, out, before, h, y):  # type: ignore[no-untyped-def]
    """One token through a whole block, see `Carried.token`."""
    channels, earlier, rank = len(skip), len(before), len(widen) // len(skip)
    states = len(A) // channels
    both, joined = np.empty(2 * channels, x.dtype), np.empty(earlier + channels, x.dtype)
    _times(project, x, both)
    for i in range(earlier):  # one by one: what numba would say of parts that do not fit takes seconds to compile
        joined[i] = before[i]
    for c in range(channels):
        joined[earlier + c] = both[c]
    for i in range(earlier):
        before[i] = joined[channels + i]
    u, delta, mixed = np.empty(channels, x.dtype), np.empty(channels, x.dtype), np.empty(channels, x.dtype)
    _convolve(joined, weight, bias, earlier // channels, u)
    chosen = np.empty(len(select) // channels, x.dtype)
    _times(select, u, chosen)
    for c in range(channels):
        delta[c] = step_bias[c]
        for r in range(rank):
            delta[c] += widen[c * rank + r] * chosen[r]
    B, C = chosen[len(chosen) - 2 * states : len(chosen) - states], chosen[len(chosen) - states :]
    _scan(u, delta, A, B, C, skip, both[channels:], h, mixed)
    _times(out, mixed, y)


class Block(NamedTuple):
    """Weights of a Mamba block: `models.mamba4rec.Mamba`'s, with A itself, and of Δ a matrix in every case."""

    project_2DE: Tensor
    conv_DK: Tensor
    conv_bias_D: Tensor
    select_SD: Tensor
    widen_DR: Tensor
    step_bias_D: Tensor
    A_DN: Tensor
    D_D: Tensor
    out_ED: Tensor


@dataclass
class Carried:
    """What a Mamba block's convolution and scan carry from token to token, beside their own weights.

    Attributes:
        before_KD: the convolution's last K − 1 inputs; zeros before the first token.
        h: the scan's state behind the last token, D × N numbers: by channel, or as the kernels lay them out.
    """

    block: Block
    before_KD: Tensor
    h: Tensor
    _flat: dict[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def begin(cls, block: Block) -> Carried:
        """Before the first token of a sequence."""
        channels, width = block.conv_DK.shape
        made = cls(block, block.conv_DK.new_zeros(width - 1, channels), torch.zeros_like(block.A_DN))
        if implementation(block.A_DN.device) == "numba" and channels % LANES == 0:
            as_kernels_want = {"conv_DK": block.conv_DK.t(), "A_DN": packed(block.A_DN)}
            made._flat = {name: _flat(x) for name, x in (block._asdict() | as_kernels_want).items()}
        return made

    def __deepcopy__(self, _memo: dict[int, Any]) -> Carried:
        """What is carried is copied, the weights are shared."""
        return replace(self, before_KD=self.before_KD.clone(), h=self.h.clone())

    def convolve(self, x_TD: Tensor) -> Tensor:
        """As `causal_conv1d` with SiLU, (T, D), of the next tokens."""
        joined, before = torch.cat([self.before_KD, x_TD]), len(self.before_KD)
        self.before_KD = joined[len(x_TD) :].clone()
        if not self._flat:
            cu = torch.tensor([0, len(joined)], dtype=torch.int32, device=x_TD.device)
            return convolve_reference(joined, self.block.conv_DK, self.block.conv_bias_D, True, cu)[before:]
        y_TD = torch.empty_like(x_TD)
        _convolve(_flat(joined), self._flat["conv_DK"], self._flat["conv_bias_D"], before, _flat(y_TD))
        return y_TD

    def scan(self, u_TD: Tensor, delta: Tensor, B_TN: Tensor, C_TN: Tensor, z_TD: Tensor) -> Tensor:
        """As `selective_scan` with softplus and gate, (T, D), of the next tokens."""
        delta_TD = delta.expand_as(u_TD)
        if not self._flat:
            A_DN, D_D = self.block.A_DN, self.block.D_D
            y_TD, self.h = _scan_on(u_TD, delta_TD, A_DN, B_TN, C_TN, D_D, z_TD, self.h)
            return y_TD
        y_TD = torch.empty_like(u_TD)
        given = [_flat(x) for x in (u_TD, delta_TD, B_TN, C_TN, z_TD)]
        A, D = self._flat["A_DN"], self._flat["D_D"]
        _scan(*given[:2], A, *given[2:4], D, given[4], _flat(self.h), _flat(y_TD))
        return y_TD

    def takes(self, x_TE: Tensor) -> bool:
        """Whether `token` takes these."""
        return len(x_TE) == 1 and bool(self._flat) and x_TE.shape[1] % LANES == 0

    def token(self, x_1E: Tensor) -> Tensor:
        """The next token through the whole block, (1, E): so small products cost less than calling for them."""
        y_1E = torch.empty_like(x_1E)
        _token(_flat(x_1E), *self._flat.values(), _flat(self.before_KD), _flat(self.h), _flat(y_1E))
        return y_1E


def _flat(x: Tensor) -> np.ndarray:
    return x.detach().contiguous().view(-1).numpy()


def _scan_on(
    u_TD: Tensor, delta_TD: Tensor, A_DN: Tensor, B_TN: Tensor, C_TN: Tensor, D_D: Tensor, z_TD: Tensor, h_DN: Tensor
) -> tuple[Tensor, Tensor]:
    """The recurrence as it is written, from a state on, on any device; y and the state behind the last token."""
    delta_TD = F.softplus(delta_TD)
    rows = []
    for u_D, delta_D, B_N, C_N in zip(u_TD, delta_TD, B_TN, C_TN, strict=True):
        h_DN = torch.exp(delta_D[:, None] * A_DN) * h_DN + (delta_D * u_D)[:, None] * B_N
        rows.append(h_DN @ C_N)
    y_TD = torch.stack(rows) if rows else torch.zeros_like(u_TD)
    return (y_TD + D_D * u_TD) * F.silu(z_TD), h_DN
