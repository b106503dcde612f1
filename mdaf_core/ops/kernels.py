"""What the CPU kernels share: groups of sequences for the threads, and an exponential the compiler can vectorise."""

from __future__ import annotations

import contextlib
import hashlib
import math
from pathlib import Path

import numba
import numpy as np
import torch
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload


def _keep_compiled_code_by_content() -> None:
    """Let numba keep the kernels' compiled code in a folder named after the source of all of them.

    Numba compiles a kernel anew when its own file has changed, but not when a file it takes functions from has.
    """
    here = Path(__file__).resolve().parent
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(here.glob("*.py")))).hexdigest()
    folder = here / "__pycache__" / f"numba-{digest[:12]}"
    with contextlib.suppress(OSError):  # installed where one cannot write: numba finds a place of its own
        folder.mkdir(parents=True, exist_ok=True)
        numba.config.CACHE_DIR = str(folder)


_keep_compiled_code_by_content()

GROUPS = 16
"""Parts into which a batch is cut: fixed, so that sums are formed in the same order on every machine."""


@intrinsic
def _round(typingctx, x):  # type: ignore[no-untyped-def]
    """Nearest whole number of a float32, as float32."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.call(builder.module.declare_intrinsic("llvm.rint", [ir.FloatType()]), args)

    return types.float32(types.float32), codegen


@intrinsic
def _two_to(typingctx, x):  # type: ignore[no-untyped-def]
    """2^x of a whole float32 in [-126, 127], by writing the exponent's bits."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        i32 = ir.IntType(32)
        exponent = builder.add(builder.fptosi(args[0], i32), ir.Constant(i32, 127))
        return builder.bitcast(builder.shl(exponent, ir.Constant(i32, 23)), ir.FloatType())

    return types.float32(types.float32), codegen


def exp(x):  # type: ignore[no-untyped-def]
    return math.exp(x)


@overload(exp, inline="always")
def _overload_exp(x):  # type: ignore[no-untyped-def]
    if x != types.float32:
        return lambda x: math.exp(x)

    f = np.float32
    low, high, log2e = f(-87.3), f(88.0), f(1.4426950408889634)
    # ln2 in two parts, so that the reduced argument keeps its last bits (Cody & Waite 1980).
    ln2_high, ln2_low = f(0.693359375), f(-2.12194440e-4)
    # Taylor coefficients up to the 6th power: relative error below 1.3e-7 on [-ln2/2, ln2/2].
    c2, c3, c4, c5, c6 = f(1 / 2), f(1 / 6), f(1 / 24), f(1 / 120), f(1 / 720)
    one = f(1.0)

    def fast(x):  # type: ignore[no-untyped-def]
        x = min(max(x, low), high)
        k = _round(x * log2e)
        r = x - k * ln2_high - k * ln2_low
        p = one + r * (one + r * (c2 + r * (c3 + r * (c4 + r * (c5 + r * c6)))))
        return p * _two_to(k)

    return fast


def sequence_groups(cu: np.ndarray) -> np.ndarray:
    """First sequence of each of `GROUPS` groups with about equally many tokens, and the end; int64."""
    targets = np.linspace(0, cu[-1], GROUPS + 1)[1:-1]
    inner = np.searchsorted(cu, targets)
    return np.concatenate([[0], np.clip(inner, 0, len(cu) - 1), [len(cu) - 1]]).astype(np.int64)


def use_torch_threads() -> None:
    """Let the next kernel run on as many threads as torch does."""
    numba.set_num_threads(min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS))
