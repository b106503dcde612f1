"""Target encodings: counted over strictly earlier training rows, against plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.models.gbdt import GBDTConfig
from mdaf_core.training.gbdt import _earlier_counts, feature_names, features


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
