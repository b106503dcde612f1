import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mdaf_core.data.prepare.order import stable_order

SMALL = st.integers(0, 60)


@settings(deadline=None)  # the first example compiles
@given(st.data(), SMALL)
def test_is_the_stable_order_by_all_keys(data, size):
    def keys(dtype, **limits):
        return data.draw(arrays.arrays(dtype, size, elements=st.integers(**limits)))

    first = keys(np.int64, min_value=-(2**63), max_value=2**63 - 1)
    second = keys(np.int32, min_value=-3, max_value=3)
    third = keys(np.uint8, min_value=0, max_value=2)
    assert stable_order(first, second, third).tolist() == np.lexsort((first, second, third)).tolist()
    assert stable_order(third).tolist() == np.argsort(third, kind="stable").tolist()


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_many_rows_with_wide_and_narrow_keys(dtype):
    draw = np.random.default_rng(0)
    time = draw.integers(1_511_539_200, 1_512_316_800, 200_000).astype(dtype)
    user = draw.integers(0, 100_000, 200_000).astype(np.int32)
    order = stable_order(time, user)
    assert order.dtype == np.int32
    assert (order == np.lexsort((time, user))).all()


def test_what_is_in_order_already_is_left_and_lengths_must_agree():
    time = np.sort(np.random.default_rng(0).integers(0, 2**40, 3000))
    assert (stable_order(time) == np.arange(3000)).all()
    user = np.random.default_rng(1).integers(0, 70, 3000)
    assert (stable_order(time, user) == np.lexsort((time, user))).all()
    assert (stable_order(time[::-1], user) == np.lexsort((time[::-1], user))).all()
    with pytest.raises(ValueError, match="3000, 2999"):
        stable_order(time, user[1:])
