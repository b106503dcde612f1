import numpy as np
import polars as pl
import pytest

from mdaf_core.base.errors import UsageError
from mdaf_core.data.formats.base import NegativeSampling
from mdaf_core.data.prepare.negatives import add_negatives


def _rows(n=4000, items=60, seed=0):
    generator = np.random.default_rng(seed)
    item = (items * generator.random(n) ** 2).astype(int)
    return pl.DataFrame(
        {"label": np.ones(n, np.uint8), "user": generator.integers(0, 9, n), "item": item, "category": item % 7,
         "timestamp": np.arange(n)}
    )  # fmt: skip


def test_negatives_follow_their_positive_and_differ_from_it():
    rows, split = _rows(), np.repeat([0, 1, 2], [3000, 500, 500])
    out, parts = add_negatives(rows, split, NegativeSampling(3, 1.0, 7))
    assert len(out) == 4 * len(rows)
    assert out["label"].to_list() == [1, 0, 0, 0] * len(rows)
    assert (out["user"].to_numpy().reshape(-1, 4) == rows["user"].to_numpy()[:, None]).all()
    assert (out["timestamp"].to_numpy().reshape(-1, 4) == rows["timestamp"].to_numpy()[:, None]).all()
    assert (parts.reshape(-1, 4) == split[:, None]).all()
    item = out["item"].to_numpy().reshape(-1, 4)
    assert (item[:, :1] != item[:, 1:]).all()
    assert (out["category"].to_numpy() == out["item"].to_numpy() % 7).all()
    again, _ = add_negatives(rows, split, NegativeSampling(3, 1.0, 7))
    assert out.equals(again)
    assert not out.equals(add_negatives(rows, split, NegativeSampling(3, 1.0, 8))[0])


def test_negatives_come_from_the_rows_own_part():
    rows = _rows().with_columns(
        pl.when(pl.col("timestamp") < 3000).then("item").otherwise(pl.col("item") + 1000).alias("item")
    )
    split = np.repeat([0, 1, 2], [3000, 500, 500])
    out, parts = add_negatives(rows, split, NegativeSampling(1, 1.0, 1))
    for part in range(3):
        shown = set(rows["item"].to_numpy()[split == part])
        assert set(out["item"].to_numpy()[parts == part]) <= shown
    assert (out["item"].to_numpy()[parts > 0] >= 1000).all()


def test_negatives_are_drawn_by_popularity():
    """Against the exact distribution: views of all items but the positive's, raised to alpha."""
    item = np.repeat([0, 1, 2, 3], [500, 300, 150, 50])
    rows = pl.DataFrame({"label": np.ones(1000, np.uint8), "item": item, "category": item})
    rows = pl.concat([rows] * 3)
    split = np.repeat([0, 1, 2], 1000)
    for alpha in (0.0, 0.75, 1.0):
        out, _ = add_negatives(rows, split, NegativeSampling(50, alpha, 5))
        drawn = out["item"].to_numpy().reshape(-1, 51)
        weight = np.array([500, 300, 150, 50], float) ** alpha
        for positive in range(4):
            seen = np.bincount(drawn[drawn[:, 0] == positive, 1:].ravel(), minlength=4)
            expected = weight * (np.arange(4) != positive)
            assert seen / seen.sum() == pytest.approx(expected / expected.sum(), abs=0.02)


def test_an_item_seen_under_two_categories_is_one_item():
    rows = pl.DataFrame({"label": [1] * 6, "item": [1, 1, 1, 2, 2, 2], "category": [10, 11, 10, 20, 20, 21]})
    rows = pl.concat([rows] * 30)
    out, _ = add_negatives(rows, np.arange(len(rows)) // 6 % 3, NegativeSampling(5, 1.0, 0))
    item = out["item"].to_numpy().reshape(-1, 6)
    assert (item[:, :1] != item[:, 1:]).all()
    assert set(out.select("item", "category").unique().rows()) == {(1, 10), (1, 11), (2, 20), (2, 21)}


def test_a_part_with_one_item_is_refused():
    rows = pl.DataFrame({"label": [1] * 4, "item": [1, 2, 3, 3], "category": [0] * 4})
    with pytest.raises(UsageError, match="one item"):
        add_negatives(rows, np.array([0, 0, 1, 1]), NegativeSampling(1, 1.0, 0))
