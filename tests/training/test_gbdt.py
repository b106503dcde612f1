"""Target encodings: counted over strictly earlier training rows, against plain loops."""

from __future__ import annotations

from pathlib import Path

import lightgbm as lgb
import numpy as np
import polars as pl
import pytest

from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.models.gbdt import GBDTConfig
from mdaf_core.training.gbdt import _earlier_counts, _for_lightgbm, feature_names, features


@pytest.mark.parametrize("has_time", [True, False])
def test_earlier_counts(has_time: bool) -> None:
    rng = np.random.default_rng(0)
    code, label, time = rng.integers(0, 5, 200), rng.integers(0, 2, 200), rng.integers(0, 40, 200)
    clicks, count = _earlier_counts(code, label, time, has_time)
    for i in range(200):
        earlier = (time < time[i]) if has_time else (np.arange(200) < i)
        mask = earlier & (code == code[i])
        assert (clicks[i], count[i]) == (label[mask].sum(), mask.sum())


def test_features_of_training_rows_ignore_their_own_label(tiny: PreparedDataset) -> None:
    config = GBDTConfig()
    x = features(config, tiny, "train", 50)
    assert x.shape == (14_000, len(feature_names(config, tiny)))
    assert np.isfinite(x).all()
    prior = tiny.rows("train").label.mean()
    np.testing.assert_allclose(x[0, 0], prior, rtol=1e-6)  # the first row has nothing before it


def test_test_rows_use_all_training_rows(tiny: PreparedDataset) -> None:
    x, train, test = features(GBDTConfig(smoothing=10), tiny, "test", 50), tiny.rows("train"), tiny.rows("test")
    code = test.columns["item"][5]
    mask = train.columns["item"] == code
    expected = (train.label[mask].sum() + 10 * train.label.mean()) / (mask.sum() + 10)
    np.testing.assert_allclose(x[5, feature_names(GBDTConfig(), tiny).index("item_click_rate")], expected, rtol=1e-5)


def test_lightgbm_takes_numbers_that_are_called_as_what_is_counted(home: Path, tmp_path: Path) -> None:
    n, rng = 400, np.random.default_rng(0)
    columns = {
        "user": rng.integers(0, 9, n), "item": rng.integers(0, 20, n), "timestamp": 1_700_000_000 + 900 * np.arange(n),
        "label": rng.integers(0, 2, n), "item_click_rate": rng.random(n), "history_length": rng.random(n),
    }  # fmt: skip
    pl.DataFrame(columns).write_csv(tmp_path / "log.csv")
    options = {"user": "user", "item": "item", "timestamp": "timestamp", "numeric": "item_click_rate,history_length"}
    data = prepare("table", path=tmp_path / "log.csv", name="log", options=options)
    x, names = features(GBDTConfig(), data, "train", 50), feature_names(GBDTConfig(), data)
    assert len(set(names)) == x.shape[1] and {"item_click_rate", "item_click_rate_2", "history_length_2"} <= {*names}
    booster = lgb.Booster({"verbosity": -1}, lgb.Dataset(x, data.rows("train").label, feature_name=names))
    assert booster.feature_name() == names
    # The number's own values stand under its second name, what is counted under the first.
    assert np.array_equal(x[:, names.index("item_click_rate_2")], data.rows("train").columns["item_click_rate"])


def test_lightgbm_takes_words_of_the_data() -> None:
    words = [
        "item_add to cart_count",
        "item_add_to_cart_count",
        'a,b:"c"',
        "{[x]}",
        "ad_点击",
        "a-b.c",
        "x_2",
        "x",
        "x",
    ]
    names = _for_lightgbm(words)
    assert names == [
        "item_add_to_cart_count", "item_add_to_cart_count_2", "a_b__c_", "__x__", "ad_点击", "a-b.c", "x_2", "x", "x_3",
    ]  # fmt: skip
    x = np.zeros((50, len(names)), np.float32)
    booster = lgb.Booster({"verbosity": -1}, lgb.Dataset(x, np.arange(50) % 2, feature_name=names))
    assert booster.feature_name() == names
