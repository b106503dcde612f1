"""Products of float32: whose library forms them, never with rounded factors, and products of bfloat16 factors."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from mdaf_core.models.lr import LRConfig
from mdaf_core.models.registry import build_model
from mdaf_core.ops import products


@pytest.fixture(autouse=True)
def _as_before():
    with products.products_as_before():
        yield


def of_processor(monkeypatch, vendor: str, capability: str, rounds: bool) -> None:
    monkeypatch.setattr(products, "_vendor", lambda: vendor)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(products, "rounds", lambda: rounds)
    monkeypatch.setattr(products, "by_onednn", products.by_onednn.__wrapped__)


@pytest.mark.parametrize(
    ("vendor", "capability", "rounds", "library"),
    [
        ("AuthenticAMD", "AVX512", False, "oneDNN"),
        ("AuthenticAMD", "AVX512", True, "MKL"),  # it would round: float32 is float32
        ("AuthenticAMD", "AVX2", False, "MKL"),
        ("GenuineIntel", "AVX512", False, "MKL"),
        ("", "AVX512", False, "MKL"),
    ],
)
def test_onednn_forms_products_where_mkl_would_use_half_of_the_vectors(
    monkeypatch, vendor, capability, rounds, library
):
    of_processor(monkeypatch, vendor, capability, rounds)
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: True)
    products.set_products("float32")
    assert (products.MATMUL.fp32_precision == "bf16") == (library == "oneDNN")
    assert products.library("cpu") == library and products.library("cuda") == "cuBLAS"
    assert not products.rounded()  # so the kernels' own products stay in use
    products.set_products("bf16")
    assert products.rounded() == rounds


def test_the_processors_maker_is_found_or_is_not(monkeypatch, tmp_path):
    monkeypatch.setattr(products, "CPUINFO", tmp_path / "cpuinfo")
    assert products._vendor() == ""
    (tmp_path / "cpuinfo").write_text(
        "processor\t: 0\nvendor_id\t: AuthenticAMD\n\nprocessor\t: 1\nvendor_id\t: other\n"
    )
    assert products._vendor() == "AuthenticAMD"


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 300), st.sampled_from(["xw", "x'w", "xw'"]))
def test_products_of_float32_are_those_of_float64_to_its_precision(rows, inner, columns, form):
    rng = torch.Generator().manual_seed(rows * inner + columns)
    left, right = torch.randn(rows, inner, generator=rng), torch.randn(inner, columns, generator=rng)
    if form == "x'w":  # as gradients of weights are formed
        left = left.t().contiguous().t()
    if form == "xw'":  # as a linear layer
        right = right.t().contiguous().t()
    products.set_products("float32")
    exact = left.double() @ right.double()
    bound = inner * torch.finfo(torch.float32).eps * (left.double().abs() @ right.double().abs())
    assert ((left @ right).double() - exact).abs().le(bound + 1e-30).all()


def test_factors_are_rounded_and_sums_are_not_or_float32_is_kept():
    rng = torch.Generator().manual_seed(3)
    x, weight = torch.randn(200, 320, generator=rng), torch.randn(90, 320, generator=rng)
    exact = x.double() @ weight.double().T
    rounded = x.bfloat16().double() @ weight.bfloat16().double().T
    products.set_products("bf16")
    assert products.rounded() == products.rounds()
    expected = rounded if products.rounds() else exact
    torch.testing.assert_close(F.linear(x, weight).double(), expected, rtol=1e-4, atol=1e-4)
    products.set_products("float32")
    assert not products.rounded()
    torch.testing.assert_close(F.linear(x, weight).double(), exact, rtol=1e-4, atol=1e-4)
    assert (rounded - exact).abs().max() > 1e-2


def test_what_a_processor_does_is_seen_whatever_device_is_the_default(tiny):
    before = products.rounds()
    products.rounds.cache_clear()
    products.by_onednn.cache_clear()
    with torch.device("meta"):
        build_model(LRConfig(), tiny.meta.features())
    assert products.rounds() == before


def test_a_failure_leaves_products_as_they_were():
    before = products.MATMUL.fp32_precision
    with pytest.raises(KeyError), products.products_as_before():
        products.set_products("bf16")
        raise KeyError
    assert products.MATMUL.fp32_precision == before
