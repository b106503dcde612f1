import os
import platform
import subprocess
import sys
from pathlib import Path

import llvmlite.binding
import numba
import numpy as np
import pytest

from mdaf_core.ops import simd

MADE_FOR = [name for name, there in llvmlite.binding.get_host_cpu_features().items() if there]


@numba.njit
def _map(x, out, which):  # type: ignore[no-untyped-def]
    for i in range(0, len(x), simd.LANES):
        v = simd.load(x, i)
        if which == 0:
            v = simd.exp2(v)
        elif which == 1:
            v = simd.softplus(v)
        else:
            v = simd.sigmoid(v)
        simd.store(out, i, v)


DEFINITIONS = (
    lambda x: 2.0**x,
    lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    lambda x: np.where(x > 0, 1 / (1 + np.exp(-np.abs(x))), np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x)))),
)


@pytest.mark.parametrize(("dtype", "error"), [(np.float32, 4e-7), (np.float64, 1e-13)])
@pytest.mark.parametrize("which", range(3), ids=["exp2", "softplus", "sigmoid"])
def test_functions_against_their_definitions(which: int, dtype: type, error: float) -> None:
    limit = 80 if which else 120
    x = np.concatenate([np.linspace(-limit, limit, 4096), np.linspace(-1e-3, 1e-3, 1024), np.zeros(simd.LANES)]).astype(
        dtype
    )
    out = np.empty_like(x)
    _map(x, out, which)
    true = DEFINITIONS[which](x.astype(np.float64))
    # The argument's own rounding grows with it: e^x computes x log2(e) first.
    assert (np.abs(out / true - 1) < error * (1 + (np.abs(x) if which else 0))).all()


@pytest.mark.parametrize("which", range(3), ids=["exp2", "softplus", "sigmoid"])
def test_what_is_not_finite(which: int) -> None:
    x = np.zeros(simd.LANES, np.float32)
    x[:3] = np.nan, np.inf, -np.inf
    out = np.empty_like(x)
    _map(x, out, which)
    assert np.isnan(out[0]) and not np.isnan(out[1:]).any()
    assert out[1] >= 1 and 0 <= out[2] < 1e-37
    assert out[3] == DEFINITIONS[which](np.zeros(1))[0].astype(np.float32)


@pytest.mark.skipif("avx512dq" not in MADE_FOR, reason="made one way here")
def test_both_ways_to_two_to_a_power_agree_to_the_bit(tmp_path: Path) -> None:
    x, out = np.linspace(-125, 126, 4096, dtype=np.float32), np.empty(4096, np.float32)
    _map(x, out, 0)
    np.save(tmp_path / "x.npy", x)
    other_way = (
        "import sys, numpy as np; from tests.ops.test_simd import _map; x = np.load(sys.argv[1]); "
        "out = np.empty_like(x); _map(x, out, 0); np.save(sys.argv[2], out)"
    )
    subprocess.run(
        [sys.executable, "-c", other_way, str(tmp_path / "x.npy"), str(tmp_path / "out.npy")],
        check=True, cwd=Path(__file__).parents[2], env=os.environ | {"NUMBA_ENABLE_AVX": "0"},
    )  # fmt: skip
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), out)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="elsewhere nothing happens")
def test_numbers_too_small_to_be_normal_are_zero_until_it_is_restored() -> None:
    @numba.njit
    def compute(x, out):  # type: ignore[no-untyped-def]
        mode = simd.flush_subnormals()
        simd.store(out, 0, simd.load(x, 0) * simd.load(x, simd.LANES))
        simd.restore_subnormals(mode)
        simd.store(out, simd.LANES, simd.load(x, 0) * simd.load(x, simd.LANES))

    x, out = np.full(2 * simd.LANES, 2.0**-70, np.float32), np.ones(2 * simd.LANES, np.float32)
    compute(x, out)
    assert (out[: simd.LANES] == 0).all() and (out[simd.LANES :] == np.float32(2.0**-140)).all()
    assert np.float32(2.0**-70) * np.float32(2.0**-70) > 0  # nor is anything else in this thread another way


def test_workspace_begins_at_a_cache_line() -> None:
    @numba.njit
    def places(like):  # type: ignore[no-untyped-def]
        out = np.empty(40, np.int64)
        for size in range(40):
            some = simd.workspace(size, like)
            some[:] = 1
            out[size] = some.ctypes.data % 64 + 100 * len(some)
        return out

    for dtype in (np.float32, np.float64):
        np.testing.assert_array_equal(places(np.zeros(1, dtype)), 100 * np.arange(40))


def test_arithmetic_is_lane_by_lane() -> None:
    @numba.njit
    def compute(x):  # type: ignore[no-untyped-def]
        a, b = simd.load(x, 0), simd.load(x, simd.LANES)
        out = np.empty(simd.LANES, x.dtype)
        simd.store(out, 0, a * b - a / b + simd.fill(x[0]))
        return out, simd.total(a)

    n = simd.LANES
    x = np.arange(1.0, 2 * n + 1)
    out, total = compute(x)
    np.testing.assert_allclose(out, x[:n] * x[n:] - x[:n] / x[n:] + 1)
    assert total == x[:n].sum()
