"""Points of curves against scikit-learn; thinning that keeps the ends and stays close."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from mdaf_core.analysis.curves import calibration_points, curve_points, pr_points, roc_points, thin
from mdaf_core.metrics.auc import auc
from mdaf_core.metrics.ece import ece
from mdaf_core.metrics.pr_auc import pr_auc
from mdaf_core.metrics.values import Undefined


def data(n=2000, distinct=None, seed=0):
    rng = np.random.default_rng(seed)
    label = (rng.random(n) < 0.2).astype(int)
    label[:2] = 0, 1
    score = rng.normal(size=n) + label
    return label, score if distinct is None else np.round(score * distinct)


@pytest.mark.parametrize(("n", "distinct"), [(2, None), (300, 2), (400, None)])
def test_roc_is_sklearns(n, distinct):
    from sklearn.metrics import roc_curve

    label, score = data(n, distinct)
    frame = roc_points(label, score)
    fpr, tpr, _ = roc_curve(label, score, drop_intermediate=False)
    np.testing.assert_allclose(frame["fpr"], fpr, atol=1e-12)
    np.testing.assert_allclose(frame["tpr"], tpr, atol=1e-12)
    assert frame["threshold"][0] is None


@pytest.mark.parametrize(("n", "distinct"), [(2, None), (300, 2), (400, None)])
def test_pr_is_sklearns(n, distinct):
    from sklearn.metrics import precision_recall_curve

    label, score = data(n, distinct)
    frame = pr_points(label, score)
    precision, recall, _ = precision_recall_curve(label, score)
    np.testing.assert_allclose(frame["precision"], precision[-2::-1], atol=1e-12)
    np.testing.assert_allclose(frame["recall"], recall[-2::-1], atol=1e-12)
    steps = np.diff(np.r_[0, frame["recall"]])
    assert steps @ frame["precision"].to_numpy() == pytest.approx(pr_auc(label, score))


def test_thinned_curves_are_short_and_close():
    label, score = data(50_000)
    frame = roc_points(label, score)
    assert len(frame) <= 500
    assert frame.row(0)[:2] == (0, 0) and frame.row(-1)[:2] == (1, 1)
    assert np.trapezoid(frame["tpr"], frame["fpr"]) == pytest.approx(auc(label, score), abs=5e-4)
    assert (np.diff(frame["fpr"]) >= 0).all() and (np.diff(frame["tpr"]) >= 0).all()
    assert len(pr_points(label, score)) <= 500


def test_thinning_keeps_short_curves_whole():
    x = np.linspace(0, 1, 500)
    assert len(thin(x, x)) == 500
    kept = thin(np.linspace(0, 1, 501), np.r_[np.zeros(250), np.ones(251)], 10)
    assert kept[0] == 0 and kept[-1] == 500 and len(kept) <= 10


def test_calibration_bins_add_up():
    label, logit = data(1500)
    frame = calibration_points(label, logit - 2)
    assert frame["rows"].sum() == 1500 and len(frame) == 15
    gap = (frame["rows"] / 1500 * (frame["predicted"] - frame["observed"]).abs()).sum()
    assert gap == pytest.approx(ece(label, logit - 2))
    for observed, rows, low, high in frame.select("observed", "rows", "low", "high").rows():
        wilson = binomtest(round(observed * rows), rows).proportion_ci(method="wilson")
        assert (low, high) == pytest.approx((wilson.low, wilson.high), abs=1e-12)


def test_calibration_of_a_constant_is_one_bin():
    frame = calibration_points([0, 1, 1, 1], np.zeros(4))
    assert frame.shape[0] == 1 and frame["observed"][0] == 0.75


def test_one_label_has_no_curve(make_run):
    with pytest.raises(Undefined):
        roc_points([1, 1], [0.1, 0.2])
    with pytest.raises(Undefined):
        pr_points([0, 0], [0.1, 0.2])
    alone = make_run("alone", 1, np.ones(5, int), np.arange(5.0))
    label, score = data(100)
    both = make_run("both", 1, label, score)
    frame = curve_points([alone, both], "roc")
    assert set(frame["configuration"]) == {"both"}
    assert frame.columns == ["run_id", "configuration", "seed", "fpr", "tpr", "threshold"]
    assert len(curve_points([alone], "calibration")) > 0
    assert curve_points([], "pr").is_empty()


def test_calibration_intervals_know_users():
    """Users' rates differ: a bin's rate varies far more than its rows would if they were independent."""
    rng = np.random.default_rng(3)
    covered = {True: 0, False: 0}
    bins = 0
    for _ in range(60):
        user = np.repeat(np.arange(100), 12)
        label = rng.random(1200) < (1 / (1 + np.exp(1 - 1.2 * rng.normal(size=100))))[user]
        truth = float((1 / (1 + np.exp(1 - 1.2 * rng.normal(size=50_000)))).mean())
        for users in (True, False):
            frame = calibration_points(label, np.full(1200, -1.0), user if users else None)
            covered[users] += int(((frame["low"] <= truth) & (frame["high"] >= truth)).sum())
        bins += len(frame)
    assert covered[True] / bins > 0.85 and covered[False] / bins < 0.7


def test_calibration_of_rows_of_one_user_each_is_wilsons():
    label, logit = data(1500)
    alone = calibration_points(label, logit - 2, np.arange(1500))
    plain = calibration_points(label, logit - 2)
    assert (alone["high"] - alone["low"] >= plain["high"] - plain["low"] - 1e-12).all()
    assert alone["high"].to_numpy() == pytest.approx(plain["high"].to_numpy(), abs=0.02)
