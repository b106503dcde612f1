"""Attention among fields against its definition, written out in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from mdaf_core.ops.field_attention import field_attention


def defined(qkv_BFE: Tensor, heads: int, keep_BHFF: Tensor | None = None) -> Tensor:
    """The same in float64, one row, head and field after another; `keep` multiplies the weights."""
    rows, fields, width = qkv_BFE.shape
    qkv = qkv_BFE.double().view(rows, fields, 3, heads, width // 3 // heads)
    out = []
    for b in range(rows):
        for i in range(fields):
            for h in range(heads):
                scores = torch.stack([qkv[b, i, 0, h] @ qkv[b, j, 1, h] for j in range(fields)])
                weights = torch.softmax(scores, 0)
                if keep_BHFF is not None:
                    weights = weights * keep_BHFF[b, h, i]
                out.append(sum(weights[j] * qkv[b, j, 2, h] for j in range(fields)))
    return torch.stack(out).view(rows, fields, width // 3)


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize(
    "rows, fields, heads, dim", [(1, 1, 1, 1), (3, 4, 1, 20), (64, 2, 2, 4), (67, 5, 3, 3), (2, 39, 2, 2)]
)
def test_equals_the_definition(rows, fields, heads, dim, dtype, tolerance) -> None:
    torch.manual_seed(rows)
    qkv = torch.randn(rows, fields, 3 * heads * dim, dtype=dtype, requires_grad=True)
    mixed, expected = field_attention(qkv, heads), defined(qkv, heads)
    assert (mixed - expected).abs().max() < tolerance
    upstream = torch.randn_like(mixed)
    (gradient,) = torch.autograd.grad(mixed, qkv, upstream)
    (defined_gradient,) = torch.autograd.grad(expected, qkv, upstream.double())
    assert (gradient - defined_gradient).abs().max() < 3 * tolerance


def test_large_scores_do_not_overflow() -> None:
    torch.manual_seed(1)  # two scores nearly equal would differ by their rounding, times 100
    qkv = 100 * torch.randn(5, 4, 12, requires_grad=True)
    mixed = field_attention(qkv, 2)
    assert (mixed - defined(qkv, 2)).abs().max() < 1e-2
    (gradient,) = torch.autograd.grad(mixed.sum(), qkv)
    assert gradient.isfinite().all()


def masks(rows: int, fields: int, heads: int, rate: float) -> Tensor:
    """What dropout multiplied each weight by: with values that are unit vectors, the output is the weights."""
    qkv = torch.zeros(rows, fields, 3, heads, fields)
    qkv[:, :, 2] = torch.eye(fields).unsqueeze(1)
    mixed = field_attention(qkv.view(rows, fields, -1), heads, rate)
    return mixed.view(rows, fields, heads, fields).transpose(1, 2) * fields


def test_dropout_drops_the_share_asked_for_anywhere() -> None:
    torch.manual_seed(3)
    kept = masks(2000, 6, 2, 0.3)
    values, counts = np.unique(kept.numpy().round(4), return_counts=True)
    assert values == pytest.approx([0, 1 / 0.7], abs=1e-4)
    n, sd = kept.numel(), (0.3 * 0.7) ** 0.5
    assert abs(counts[0] / n - 0.3) < 4 * sd / n**0.5
    dropped = (kept == 0).double().reshape(2000, -1)  # and each pair of fields and head by itself
    assert ((dropped.mean(0) - 0.3).abs() < 4.5 * sd / 2000**0.5).all()
    correlation = torch.corrcoef(dropped.T) - torch.eye(72, dtype=torch.float64)
    assert correlation.abs().max() < 5.5 / 2000**0.5
    assert not torch.equal(masks(10, 6, 2, 0.3), masks(10, 6, 2, 0.3))


def test_the_gradient_meets_the_same_mask() -> None:
    rows, fields, heads, dim = 5, 3, 2, 4
    torch.manual_seed(5)
    kept = masks(rows, fields, heads, 0.5).double()
    torch.manual_seed(5)
    qkv = torch.randn(rows, fields, 3 * heads * dim, dtype=torch.float64, requires_grad=True)
    torch.manual_seed(5)
    mixed, expected = field_attention(qkv, heads, 0.5), defined(qkv, heads, kept)
    assert torch.allclose(mixed, expected)
    upstream = torch.randn_like(mixed)
    found, wanted = (torch.autograd.grad(y, qkv, upstream)[0] for y in (mixed, expected))
    assert torch.allclose(found, wanted)


def test_a_row_does_not_depend_on_the_batch_nor_on_the_threads() -> None:
    qkv = torch.randn(130, 5, 24)
    whole = field_attention(qkv, 2)
    assert torch.equal(field_attention(qkv[70:71], 2), whole[70:71])
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert torch.equal(field_attention(qkv, 2), whole)
    finally:
        torch.set_num_threads(before)


def test_no_rows() -> None:
    assert field_attention(torch.empty(0, 3, 12), 2).shape == (0, 3, 4)
