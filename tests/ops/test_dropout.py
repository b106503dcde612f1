import pytest
import torch

from mdaf_core.ops.dropout import Dropout


def test_share_and_scale() -> None:
    torch.manual_seed(1)
    x = torch.randn(700, 300) + 5
    y = Dropout(0.3)(x)
    kept = y != 0
    assert torch.allclose(y[kept], x[kept] / 0.7)
    assert abs(kept.float().mean() - 0.7) < 5 * (0.21 / x.numel()) ** 0.5


def test_elements_rows_and_calls_are_independent() -> None:
    torch.manual_seed(2)
    drop = Dropout(0.5)
    x = torch.ones(1 << 20)
    a, b = drop(x) - 1, drop(x) - 1
    error = 6 / (1 << 10)  # of a mean of 2^20 products of ±1
    assert abs((a * b).mean()) < error
    for lag in (1, 2, 16, 256, 65536):
        assert abs((a[lag:] * a[:-lag]).mean()) < error


def test_the_gradient_has_the_mask_of_the_forward_pass() -> None:
    x = torch.randn(50, 70, dtype=torch.float64, requires_grad=True)
    y = Dropout(0.4)(x)
    y.sum().backward()
    assert x.grad is not None and torch.equal(x.grad * x, y)


def test_the_seed_is_torchs() -> None:
    drop, x = Dropout(0.5), torch.ones(1000)
    torch.manual_seed(5)
    first = drop(x)
    assert not torch.equal(first, drop(x))
    torch.manual_seed(5)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert torch.equal(first, drop(x))
    finally:
        torch.set_num_threads(threads)


def test_nothing_is_dropped_in_evaluation_or_at_rate_zero() -> None:
    x = torch.ones(10)
    assert Dropout(0.9).eval()(x) is x
    assert Dropout(0.0)(x) is x
    assert Dropout(0.5)(torch.empty(0, 4)).shape == (0, 4)


def test_rates_outside_their_range() -> None:
    for rate in (-0.1, 1.0):
        with pytest.raises(ValueError, match="dropout rate"):
            Dropout(rate)
