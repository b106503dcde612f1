"""Convolution and scan of one sequence that goes on: what they need of earlier tokens is carried along.

A token costs the same however many came before. Without gradients: for models that are asked, not trained.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mdaf_core.ops.causal_conv import convolve_reference
from mdaf_core.ops.conv_numba import convolve_token
from mdaf_core.ops.scan_numba import packed, scan_token
from mdaf_core.ops.selective_scan import implementation
from mdaf_core.ops.simd import LANES, sigmoid, store


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


@dataclass
class Carried:
    """What a Mamba block's convolution and scan carry from token to token, beside their own weights.

    Attributes:
        weight_DK, bias_D: of the convolution; A_DN, D_D: of the scan.
        before_KD: the convolution's last K − 1 inputs; zeros before the first token.
        h: the scan's state behind the last token, D × N numbers: by channel, or as the kernels lay them out.
    """

    weight_DK: Tensor
    bias_D: Tensor
    A_DN: Tensor
    D_D: Tensor
    before_KD: Tensor
    h: Tensor
    _flat: tuple[np.ndarray, ...] = ()

    @classmethod
    def begin(cls, weight_DK: Tensor, bias_D: Tensor, A_DN: Tensor, D_D: Tensor) -> Carried:
        """Before the first token of a sequence."""
        channels, width = weight_DK.shape
        made = cls(weight_DK, bias_D, A_DN, D_D, weight_DK.new_zeros(width - 1, channels), torch.zeros_like(A_DN))
        if implementation(A_DN.device) == "numba" and channels % LANES == 0:
            constants = (weight_DK.t().contiguous(), bias_D, packed(A_DN), D_D)
            made._flat = tuple(x.detach().reshape(-1).numpy() for x in constants)
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
            return convolve_reference(joined, self.weight_DK, self.bias_D, True, cu)[before:]
        y_TD = torch.empty_like(x_TD)
        _convolve(_flat(joined), *self._flat[:2], before, _flat(y_TD))
        return y_TD

    def scan(self, u_TD: Tensor, delta: Tensor, B_TN: Tensor, C_TN: Tensor, z_TD: Tensor) -> Tensor:
        """As `selective_scan` with softplus and gate, (T, D), of the next tokens."""
        delta_TD = delta.expand_as(u_TD)
        if not self._flat:
            y_TD, self.h = _scan_on(u_TD, delta_TD, self.A_DN, B_TN, C_TN, self.D_D, z_TD, self.h)
            return y_TD
        y_TD = torch.empty_like(u_TD)
        given = [_flat(x) for x in (u_TD, delta_TD, B_TN, C_TN, z_TD)]
        _scan(*given[:2], self._flat[2], *given[2:4], self._flat[3], given[4], _flat(self.h), _flat(y_TD))
        return y_TD


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
