"""Operators called at once: the same results, gradients and lists as through torch's dispatch."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mdaf_core.ops import crosses as crosses_module
from mdaf_core.ops import direct
from mdaf_core.ops.crosses import crosses
from mdaf_core.ops.dropout import Dropout
from mdaf_core.ops.masked_crosses import masked_crosses


def gradients(registered: bool, monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """Results and gradients of a small network, some of whose weights are fixed."""
    monkeypatch.setattr(direct, "is_in_torch_dispatch_mode", lambda: registered)
    torch.manual_seed(5)
    x = torch.randn(70, 6, requires_grad=True)
    weights = [torch.randn(3, 6, requires_grad=layer != 1) for layer in range(3)]
    gains, shifts = ([torch.randn(3, requires_grad=True) for _ in range(3)] for _ in range(2))
    biases = [torch.randn(6, requires_grad=True) for _ in range(3)]
    square = [torch.randn(6, 6, requires_grad=True)]
    y = masked_crosses(x, weights, gains, shifts, biases, True, 0.3)
    y = Dropout(0.2)(crosses(y, square, [torch.zeros(6)]))
    y.square().sum().backward()
    given = [x, *weights, *gains, *shifts, *biases, *square]
    assert weights[1].grad is None
    return [y.detach(), *(one.grad for one in given if one.grad is not None)]


def test_results_and_gradients_are_those_of_the_registered_operators(monkeypatch):
    ours, theirs = gradients(False, monkeypatch), gradients(True, monkeypatch)
    assert len(ours) == len(theirs) == 2 + 3 * 4 - 1 + 1
    assert all(torch.equal(*pair) for pair in zip(ours, theirs, strict=True))


def test_what_looks_on_sees_the_operator():
    x, weights, biases = torch.randn(8, 4, requires_grad=True), [torch.randn(4, 4)], [torch.zeros(4)]
    with FlopCounterMode(display=False) as seen:
        crosses(x, weights, biases)
    assert seen.get_total_flops() == 2 * 8 * 4 * 4


def test_without_gradients_the_code_runs_alone(monkeypatch):
    x, weights, biases = torch.randn(8, 4, requires_grad=True), [torch.randn(4, 4)], [torch.zeros(4)]
    wanted = crosses(x, weights, biases)
    monkeypatch.setattr(crosses_module._crosses, "_apply", None)
    with torch.no_grad():
        found = crosses(x, weights, biases)
    assert torch.equal(found, wanted) and not found.requires_grad and wanted.requires_grad


def test_slopes_of_a_slope_are_refused_not_left_out():
    x = torch.randn(8, 4, requires_grad=True)
    y = crosses(x, [torch.randn(4, 4)], [torch.zeros(4)])
    (slope,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()
