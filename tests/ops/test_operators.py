"""The kernels as torch operators: what torch itself demands of them, and models compiled around them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mdaf_core.models.mamba4rec import Mamba
from mdaf_core.ops import conv_numba, dropout, field_attention, scan_numba  # noqa: F401  (registers the operators)

LENGTHS = (3, 0, 5)
CU = torch.tensor([0, 3, 3, 8], dtype=torch.int32)


def leaf(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def scan_arguments(optional: bool) -> tuple[object, ...]:
    tokens, channels, states = sum(LENGTHS), 64, 2
    u, delta, z = leaf(tokens, channels), leaf(tokens, channels), leaf(tokens, channels)
    A, B, C, D = leaf(channels, states), leaf(tokens, states), leaf(tokens, states), leaf(channels)
    return u, delta, A, B, C, D if optional else None, z if optional else None, CU, True, True


def detached(arguments: tuple[object, ...]) -> tuple[object, ...]:
    return tuple(x.detach() if isinstance(x, Tensor) else x for x in arguments)


@pytest.mark.parametrize("optional", [True, False], ids=["with skip and gate", "without"])
def test_scan(optional: bool) -> None:
    torch.manual_seed(0)
    arguments = scan_arguments(optional)
    torch.library.opcheck(torch.ops.mdaf.selective_scan.default, arguments)
    backward = (torch.randn(sum(LENGTHS), 64, dtype=torch.float64), torch.empty(0, 128), *detached(arguments)[:-1])
    torch.library.opcheck(torch.ops.mdaf.selective_scan_backward.default, backward)


def test_the_backward_scan_refuses_to_go_without_the_states_it_begins_with() -> None:
    x = torch.randn(130, 64)
    arguments = (x, x, torch.randn(64, 2), torch.randn(130, 2), torch.randn(130, 2), None, None)
    with pytest.raises(ValueError, match="states before 2 chunks, and has 0"):
        scan_numba._scan_backward(x, x.new_empty(0, 128), *arguments, torch.tensor([0, 130]), True)


@pytest.mark.parametrize("silu", [True, False])
def test_convolution(silu: bool) -> None:
    torch.manual_seed(0)
    arguments = (leaf(sum(LENGTHS), 64), leaf(64, 4), leaf(64), silu, CU)
    torch.library.opcheck(torch.ops.mdaf.causal_conv1d.default, arguments)
    backward = (torch.randn(sum(LENGTHS), 64, dtype=torch.float64), *detached(arguments))
    torch.library.opcheck(torch.ops.mdaf.causal_conv1d_backward.default, backward)


def test_dropout() -> None:
    torch.library.opcheck(torch.ops.mdaf.dropout.default, (leaf(7, 5), 0.3, torch.tensor(12345)))


@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_field_attention(rate: float) -> None:
    torch.manual_seed(0)
    arguments = (leaf(4, 3, 12), 2, rate, torch.tensor(12345))
    torch.library.opcheck(torch.ops.mdaf.field_attention.default, arguments)
    backward = (torch.randn(4, 3, 4, dtype=torch.float64), *detached(arguments))
    torch.library.opcheck(torch.ops.mdaf.field_attention_backward.default, backward)


def test_gradients_by_finite_differences() -> None:
    torch.manual_seed(0)
    qkv, seed = leaf(2, 3, 12), torch.tensor(7)
    assert torch.autograd.gradcheck(lambda t: torch.ops.mdaf.field_attention(t, 2, 0.3, seed), (qkv,))
    x, weight, bias = leaf(8, 3), leaf(3, 4), leaf(3)
    assert torch.autograd.gradcheck(lambda *t: conv_numba.convolve(*t, True, CU), (x, weight, bias))
    seed = torch.tensor(1)
    assert torch.autograd.gradcheck(lambda t: torch.ops.mdaf.dropout(t, 0.3, seed), (x,))


def test_a_compiled_block_is_the_block() -> None:
    """The whole block is one graph: forward and every gradient as without compiling."""
    torch.manual_seed(0)
    block = Mamba(32, state_dim=4, conv_width=4, expand=2, scalar_delta=False)
    x = torch.randn(8, 32)
    compiled = torch.compile(block, backend="aot_eager", fullgraph=True)
    parameters = list(block.parameters())
    for function in (block, compiled):
        y = function(x, CU)
        found = [y, *torch.autograd.grad(y.square().sum(), parameters)]
        if function is block:
            expected = found
    for e, a in zip(expected, found, strict=True):
        torch.testing.assert_close(e, a, rtol=1e-5, atol=1e-6)
