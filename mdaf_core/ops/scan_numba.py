"""The selective scan on the CPU: fused forward and hand-written backward over packed sequences.

Work is cut into groups of whole sequences, and a sequence into blocks of neighbouring channels. All arithmetic is on
vectors of 16 channels (`simd`); a block's states stay in the first-level cache. The backward pass recomputes a
sequence's states into a small buffer instead of storing them: memory is O(tokens × channels). The number of groups is
fixed, not taken from the machine's threads, so that results do not depend on them.
"""

from __future__ import annotations

import numba
import numpy as np
import torch
from numba import prange
from torch import Tensor
from torch.nn import functional as F

from mdaf_core.ops.kernels import GROUPS, sequence_groups, use_torch_threads
from mdaf_core.ops.simd import LANES, LN_2, LOG2_E, exp2, fill, load, sigmoid, softplus, store, total

VECTORS = 4
"""Vectors of channels that the backward pass takes at once, so that it sums over channels more rarely."""


# All arrays are flat; their layouts:
#   u, delta, z, y and their gradients [T][channels]; B, C [T][states]; skip [channels]
#   A [channels / LANES][states][LANES], times log2(e), so that a decay is exp2(Δ A)


@numba.njit(parallel=True, cache=True, error_model="numpy")
def _forward(u, delta, A, B, C, skip, z, positive, gated, cu, groups, y):  # type: ignore[no-untyped-def]
    channels = len(skip)
    states = len(A) // channels
    for group in prange(len(groups) - 1):
        h = np.empty(states * LANES, u.dtype)
        for s in range(groups[group], groups[group + 1]):
            for first in range(0, channels, LANES):
                h[:] = 0
                for t in range(cu[s], cu[s + 1]):
                    at = t * channels + first
                    x, step = load(u, at), load(delta, at)
                    if not positive:
                        step = softplus(step)
                    drive = step * x
                    out = load(skip, first) * x
                    for n in range(states):
                        decay = exp2(step * load(A, first * states + n * LANES))
                        new = decay * load(h, n * LANES) + fill(B[t * states + n]) * drive
                        store(h, n * LANES, new)
                        out = out + fill(C[t * states + n]) * new
                    if gated:
                        gate = load(z, at)
                        out = out * gate * sigmoid(gate)
                    store(y, at, out)


@numba.njit(parallel=True, cache=True, error_model="numpy")
def _backward(  # type: ignore[no-untyped-def]
    u, delta, A, B, C, skip, z, positive, gated, cu, groups, longest, dy, du, ddelta, dA_G, dB, dC, dskip_G, dz
):
    channels = len(skip)
    states = len(A) // channels
    size = states * LANES  # one vector of channels, all states
    zero, one = u.dtype.type(0), u.dtype.type(1)
    ln_2 = u.dtype.type(LN_2)
    for group in prange(len(groups) - 1):
        # Of one sequence and block: states after each step (row 0: before the first), outputs before the gate.
        hs = np.zeros((longest + 1) * VECTORS * size, u.dtype)
        outs = np.empty(longest * VECTORS * LANES, u.dtype)
        dh, sum_B, sum_C = np.empty(VECTORS * size, u.dtype), np.empty(size, u.dtype), np.empty(size, u.dtype)
        dA, dskip = dA_G[group], dskip_G[group]
        for s in range(groups[group], groups[group + 1]):
            start, length = cu[s], cu[s + 1] - cu[s]
            for first in range(0, channels, VECTORS * LANES):
                vectors = min(VECTORS, (channels - first) // LANES)
                for i in range(length):
                    t = start + i
                    for v in range(vectors):
                        at = t * channels + first + v * LANES
                        x, step = load(u, at), load(delta, at)
                        if not positive:
                            step = softplus(step)
                        drive = step * x
                        out = load(skip, first + v * LANES) * x
                        block = (first + v * LANES) * states
                        place = (i * VECTORS + v) * size
                        for n in range(states):
                            decay = exp2(step * load(A, block + n * LANES))
                            new = decay * load(hs, place + n * LANES) + fill(B[t * states + n]) * drive
                            store(hs, place + VECTORS * size + n * LANES, new)
                            out = out + fill(C[t * states + n]) * new
                        store(outs, (i * VECTORS + v) * LANES, out)
                dh[:] = 0
                for i in range(length - 1, -1, -1):
                    t = start + i
                    sum_B[:] = 0
                    sum_C[:] = 0
                    for v in range(vectors):
                        at = t * channels + first + v * LANES
                        x, raw, g = load(u, at), load(delta, at), load(dy, at)
                        step = raw if positive else softplus(raw)
                        if gated:
                            gate = load(z, at)
                            share = sigmoid(gate)
                            out = load(outs, (i * VECTORS + v) * LANES)
                            store(dz, at, g * out * share * (fill(one) + gate * (fill(one) - share)))
                            g = g * gate * share
                        drive = step * x
                        through_B, through_A = fill(zero), fill(zero)
                        block = (first + v * LANES) * states
                        place = (i * VECTORS + v) * size
                        for n in range(states):
                            k = n * LANES
                            upstream = load(dh, v * size + k) + fill(C[t * states + n]) * g
                            store(sum_C, k, load(sum_C, k) + g * load(hs, place + VECTORS * size + k))
                            store(sum_B, k, load(sum_B, k) + upstream * drive)
                            through_B = through_B + upstream * fill(B[t * states + n])
                            carried = upstream * exp2(step * load(A, block + k))
                            store(dh, v * size + k, carried)
                            through_decay = carried * load(hs, place + k)
                            through_A = through_A + through_decay * load(A, block + k)
                            store(dA, block + k, load(dA, block + k) + through_decay * step)
                        store(du, at, through_B * step + g * load(skip, first + v * LANES))
                        dstep = through_B * x + fill(ln_2) * through_A
                        store(ddelta, at, dstep if positive else dstep * sigmoid(raw))
                        store(dskip, first + v * LANES, load(dskip, first + v * LANES) + g * x)
                    for n in range(states):
                        dB[t * states + n] += total(load(sum_B, n * LANES))
                        dC[t * states + n] += total(load(sum_C, n * LANES))


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u, delta, A, B, C, D, z, softplus, cu_seqlens):  # type: ignore[no-untyped-def, override]
        """`u.shape[1]` is a multiple of LANES."""
        cu = cu_seqlens.cpu().numpy().astype(np.int64)
        groups = sequence_groups(cu)
        skip = u.new_zeros(u.shape[1]) if D is None else D
        packed = (A * LOG2_E).reshape(-1, LANES, A.shape[1]).transpose(1, 2)
        tensors = [x.detach().contiguous() for x in (u, delta, packed, B, C, skip)]
        gate = None if z is None else z.detach().contiguous()
        arrays = [x.view(-1).numpy() for x in tensors]
        y = torch.empty_like(tensors[0])
        # Without z the kernel gets u in its place and never reads it.
        gates = arrays[0] if gate is None else gate.view(-1).numpy()
        use_torch_threads()
        _forward(*arrays, gates, not softplus, gate is not None, cu, groups, y.view(-1).numpy())
        ctx.save_for_backward(*tensors, *([] if gate is None else [gate]))
        ctx.cu, ctx.groups, ctx.has_skip, ctx.positive = cu, groups, D is not None, not softplus
        return y

    @staticmethod
    def backward(ctx, dy):  # type: ignore[no-untyped-def, override]
        u, delta, packed, B, C, skip, *gate = ctx.saved_tensors
        du, ddelta, dz = torch.empty_like(u), torch.empty_like(u), torch.empty_like(gate[0]) if gate else None
        dA, dskip = u.new_zeros(GROUPS, packed.numel()), u.new_zeros(GROUPS, u.shape[1])
        dB, dC = torch.zeros_like(B), torch.zeros_like(C)
        longest = int((ctx.cu[1:] - ctx.cu[:-1]).max())

        def flat(*tensors: Tensor) -> list[np.ndarray]:
            return [x.view(-1).numpy() for x in tensors]

        use_torch_threads()
        _backward(
            *flat(u, delta, packed, B, C, skip, gate[0] if gate else u),
            ctx.positive, bool(gate), ctx.cu, ctx.groups, longest,
            *flat(dy.contiguous(), du, ddelta), dA.numpy(), *flat(dB, dC), dskip.numpy(),
            *flat(du if dz is None else dz),
        )  # fmt: skip
        dA_DN = dA.sum(0).view(-1, B.shape[1], LANES).transpose(1, 2).reshape(-1, B.shape[1])
        return du, ddelta, dA_DN, dB, dC, dskip.sum(0) if ctx.has_skip else None, dz, None, None


def _check(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None, z: Tensor | None, cu_seqlens: Tensor
) -> None:
    tokens, channels = u.shape
    states = A.shape[-1]
    expected = {"delta": (tokens, channels), "A": (channels, states), "B": (tokens, states), "C": (tokens, states)}
    given: dict[str, Tensor | None] = {"delta": delta, "A": A, "B": B, "C": C, "D": D, "z": z}
    for name, x in given.items():
        shape = (expected | {"D": (channels,), "z": (tokens, channels)})[name]
        if x is not None and tuple(x.shape) != shape:
            raise ValueError(f"{name} must be {shape} beside u of {tuple(u.shape)}, not {tuple(x.shape)}.")
        if x is not None and (x.dtype, x.device) != (u.dtype, u.device):
            raise ValueError(f"{name} is {x.dtype} on {x.device}, u is {u.dtype} on {u.device}: they must agree.")
    if u.dtype not in (torch.float32, torch.float64) or u.device.type != "cpu":
        raise ValueError(f"The numba scan takes float32 or float64 on the CPU, not {u.dtype} on {u.device}.")
    steps = cu_seqlens.diff()
    if len(cu_seqlens) < 2 or cu_seqlens[0] != 0 or cu_seqlens[-1] != tokens or bool((steps < 0).any()):
        raise ValueError(f"cu_seqlens must rise from 0 to the number of tokens ({tokens}).")


def scan(
    u_TD: Tensor,
    delta_TD: Tensor,
    A_DN: Tensor,
    B_TN: Tensor,
    C_TN: Tensor,
    D_D: Tensor | None,
    z_TD: Tensor | None,
    cu_seqlens: Tensor,
    delta_softplus: bool = False,
) -> Tensor:
    """Same contract as `selective_scan.scan_reference`, float32 or float64, on the CPU; with `delta_softplus` the steps
    are softplus(delta).

    Raises:
        ValueError: shapes, types or boundaries do not fit together (the kernel itself checks nothing).
    """
    _check(u_TD, delta_TD, A_DN, B_TN, C_TN, D_D, z_TD, cu_seqlens)
    channels = u_TD.shape[1]
    missing = -channels % LANES
    if missing:  # channels of zeros, up to a whole vector
        u_TD, delta_TD = F.pad(u_TD, (0, missing)), F.pad(delta_TD, (0, missing))
        A_DN = F.pad(A_DN, (0, 0, 0, missing))
        D_D = None if D_D is None else F.pad(D_D, (0, missing))
        z_TD = None if z_TD is None else F.pad(z_TD, (0, missing))
    y_TD: Tensor = _Scan.apply(u_TD, delta_TD, A_DN, B_TN, C_TN, D_D, z_TD, delta_softplus, cu_seqlens)
    return y_TD[:, :channels] if missing else y_TD
