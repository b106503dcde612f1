"""Products of float32: whose library forms them, never with rounded factors, and products of bfloat16 factors."""

from __future__ import annotations

import subprocess
import sys

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
    with products.products_of("float32"):
        yield


@pytest.fixture
def converting(monkeypatch):
    """A processor with AVX-512 BF16 and without AMX, whatever this one is."""
    monkeypatch.setattr(products, "rounds", lambda: False)
    monkeypatch.setattr(products, "converts", lambda: True)


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
    monkeypatch.setattr(products, "converts", lambda: False)
    products.float32_products()
    assert (products.MATMUL.fp32_precision == "bf16") == (library == "oneDNN")
    assert products.library("cpu") == library and products.library("cuda", "bf16") == "cuBLAS"
    assert not products.rounded()  # so the kernels' own products stay in use
    with products.products_of("bf16"):
        assert products.rounded() == rounds
    assert not products.rounded()
    assert products.library("cpu", "bf16") == "oneDNN, bf16 factors"
    monkeypatch.setattr(products, "converts", lambda: True)
    assert products.library("cpu", "bf16") == "oneDNN, bf16 factors and sums"


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
    exact = left.double() @ right.double()
    bound = inner * torch.finfo(torch.float32).eps * (left.double().abs() @ right.double().abs())
    assert ((left @ right).double() - exact).abs().le(bound + 1e-30).all()


def test_factors_are_rounded_and_sums_are_not_where_the_processor_does_so():
    rng = torch.Generator().manual_seed(3)
    x, weight = torch.randn(200, 320, generator=rng), torch.randn(90, 320, generator=rng)
    exact = x.double() @ weight.double().T
    rounded = x.bfloat16().double() @ weight.bfloat16().double().T
    with products.products_of("bf16"):
        assert products.rounded() == (products.rounds() or products.converts())
        if not products.converts():
            expected = rounded if products.rounds() else exact
            torch.testing.assert_close(F.linear(x, weight).double(), expected, rtol=1e-4, atol=1e-4)
    assert not products.rounded()
    torch.testing.assert_close(F.linear(x, weight).double(), exact, rtol=1e-4, atol=1e-4)
    assert (rounded - exact).abs().max() > 1e-2


FORMS = {
    "linear": lambda x, w, bias: F.linear(x, w.T, bias),
    "linear, named": lambda x, w, bias: F.linear(x, bias=bias, weight=w.T),
    "linear of three": lambda x, w, bias: F.linear(x.view(2, -1, x.shape[1]), w.T, bias).flatten(0, 1),
    "module": lambda x, w, bias: torch.func.functional_call(
        torch.nn.Linear(*w.shape), {"weight": w.T, "bias": bias}, (x,)
    ),
    "@": lambda x, w, bias: x @ w + bias,
    "matmul of many": lambda x, w, bias: torch.matmul(x, w.expand(1, *w.shape))[0] + bias,
    "mm": lambda x, w, bias: torch.mm(x, w) + bias,
    "addmm": lambda x, w, bias: torch.addmm(bias, x, w),
    "bmm": lambda x, w, bias: torch.bmm(x[None], w[None])[0] + bias,
}


@pytest.mark.parametrize("form", FORMS)
def test_converted_factors_give_products_and_gradients_of_bfloat16(form, converting):
    """Held against the products of rounded factors in float64: each is off by its own rounding and no more."""
    rng = torch.Generator().manual_seed(4)
    x, w, given = (torch.randn(size, generator=rng) for size in ((64, 96), (96, 48), (64, 48)))
    bias = torch.randn(48, generator=rng) * 1e-3
    leaves = [tensor.requires_grad_() for tensor in (x, w, bias)]
    with products.products_of("bf16"):
        assert products.rounded()
        y = FORMS[form](*leaves)
        assert not y.equal((y.detach() * 1).bfloat16().float())  # the bias is added to float32
        y.backward(given)
    r = {name: tensor.detach().bfloat16().double() for name, tensor in {"x": x, "w": w, "g": given}.items()}
    exact = (r["x"] @ r["w"] + bias.double(), r["g"] @ r["w"].T, r["x"].T @ r["g"])
    for found, expected in zip((y.detach(), x.grad, w.grad), exact, strict=True):
        assert found.dtype == torch.float32
        torch.testing.assert_close(found.double(), expected.detach(), rtol=2**-8, atol=1e-4)
    torch.testing.assert_close(bias.grad, given.sum(0))
    plain = FORMS[form](x.detach(), w.detach(), bias.detach())
    torch.testing.assert_close(plain, x.detach() @ w.detach() + bias.detach())


def test_what_is_narrow_or_no_float32_is_left_alone(converting):
    rng = torch.Generator().manual_seed(5)
    wide, narrow = torch.randn(64, 40, generator=rng), torch.randn(40, 8, generator=rng)
    cases = [
        (wide, narrow), (narrow.T, wide.T), (wide[:, :3], torch.randn(3, 64, generator=rng)), (wide[0], wide.T),
        (wide, wide[0]), (wide.double(), wide.double().T), (wide[:0], wide.T), (wide.long(), wide.T.long()),
    ]  # fmt: skip
    for left, right in cases:
        before = left @ right
        with products.products_of("bf16"):
            assert (left @ right).equal(before) and (left @ right).dtype == before.dtype
    with products.products_of("bf16"):
        scaled = torch.addmm(wide[:, :1], wide, wide.T, beta=0)
    assert scaled.equal(torch.addmm(wide[:, :1], wide, wide.T, beta=0))


def test_within_one_another_the_inner_one_counts_and_the_outer_one_again(converting):
    x = torch.randn(64, 64, generator=torch.Generator().manual_seed(6))
    exact, rounded = x @ x, (x.bfloat16() @ x.bfloat16()).float()
    assert not exact.equal(rounded)
    with products.products_of("bf16"):
        with products.products_of("float32"):
            assert not products.rounded() and (x @ x).equal(exact)
            with products.products_of("bf16"):
                assert (x @ x).equal(rounded)
        assert products.rounded() and (x @ x).equal(rounded)
    assert not products.rounded() and (x @ x).equal(exact)


def test_what_a_processor_does_is_seen_whatever_device_is_the_default(tiny):
    before = products.rounds()
    products.rounds.cache_clear()
    products.by_onednn.cache_clear()
    with torch.device("meta"):
        build_model(LRConfig(), tiny.meta.features())
    assert products.rounds() == before


def test_a_failure_leaves_products_as_they_were():
    before = products.MATMUL.fp32_precision
    with pytest.raises(KeyError), products.products_of("bf16"):
        raise KeyError
    assert products.MATMUL.fp32_precision == before and not products.rounded()


GROWS = """
import ctypes, os, sys, torch
from mdaf_core.ops import products
from torch.nn import functional as F
if "differ" in sys.argv:
    products.products_differ()
before = dict(os.environ)
with products.products_of("bf16" if products.rounds() else "float32"):
    x, w = torch.ones(2000, 64), torch.ones(64, 64)
    fields = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    info = type("Info", (ctypes.Structure,), {"_fields_": [(name, ctypes.c_size_t) for name in fields.split()]})
    asked = ctypes.CDLL(None).mallinfo2
    asked.restype = info
    F.linear(x, w)
    held = asked().uordblks
    for rows in range(40, 640, 2):
        F.linear(x[:rows], w)
    print((asked().uordblks - held) / 2**20, before == dict(os.environ))
"""


@pytest.mark.skipif(
    not (products.by_onednn() or products.rounds()), reason="oneDNN forms no products of float32 on this processor"
)
def test_what_onednn_keeps_for_each_number_of_rows_is_bounded():
    def megabytes(*more: str) -> float:
        done = subprocess.run([sys.executable, "-c", GROWS, *more], capture_output=True, text=True, check=True)
        kept, same = done.stdout.split()
        assert same == "True"  # processes that this one starts choose for themselves
        return float(kept)

    assert megabytes("differ") < 0.6 * megabytes()
