"""The expected best of k trials against all draws written out."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdaf_core.analysis.best_of_k import expected_best


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=5))
def test_it_is_the_mean_over_all_draws(values):
    found = expected_best(values)
    assert found["trials"].to_list() == list(range(1, len(values) + 1))
    for k, expected, low, high in found.iter_rows():
        best = np.array([max(drawn) for drawn in product(values, repeat=k)])
        assert expected == pytest.approx(best.mean(), abs=1e-12)
        assert low == pytest.approx(max(best.mean() - best.std(), min(values)), abs=1e-7)
        assert high == pytest.approx(min(best.mean() + best.std(), max(values)), abs=1e-7)


def test_edges():
    assert expected_best([]).height == 0
    with pytest.raises(ValueError, match="finite"):
        expected_best([0.5, float("nan")])
