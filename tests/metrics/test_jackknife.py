"""Every metric without each user in turn, recomputed from the rows that are left, against the errors of one pass."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdaf_core.analysis.significance import delong, paired_auc
from mdaf_core.base.errors import StudioError
from mdaf_core.metrics import Metric, Scored
from mdaf_core.metrics.auc import auc, auc_errors
from mdaf_core.metrics.brier import brier
from mdaf_core.metrics.ece import ece, mass_bins
from mdaf_core.metrics.gauc import gauc
from mdaf_core.metrics.jackknife import degrees_of_freedom, units_of_rarer_label
from mdaf_core.metrics.log_loss import log_loss
from mdaf_core.metrics.normalised_entropy import normalised_entropy
from mdaf_core.metrics.pr_auc import pr_auc
from mdaf_core.metrics.registry import metrics, sampling_errors
from mdaf_core.metrics.values import Undefined, dense, row_loss, sigmoid

FUNCTIONS = {
    "auc": lambda y, z, u: auc(y, z),
    "gauc": lambda y, z, u: gauc(y, z, u).value,
    "logloss": lambda y, z, u: log_loss(y, z),
    "brier": lambda y, z, u: brier(y, z),
    "normalised_entropy": lambda y, z, u: normalised_entropy(y, z),
    "pr_auc": lambda y, z, u: pr_auc(y, z),
}


def drawn(seed, n, users, distinct, concentrated):
    """Rows with ties, users of one label, and perhaps one user with half of the rows."""
    rng = np.random.default_rng(seed)
    user = rng.permutation(np.r_[np.arange(users), rng.integers(0, users, n - users)])
    if concentrated:
        user[rng.random(n) < 0.5] = 0
        user = dense(user)
    label = rng.random(n) < rng.random(users)[user]
    scores = rng.integers(-distinct, distinct + 1, (2, n)) / distinct + rng.normal(size=users)[user].round(1)
    return label, scores, user


def left_out(function, label, score, user):
    """(K,) metric without each user; None where one of them is undefined."""
    try:
        return np.array([function(label[user != u], score[user != u], user[user != u]) for u in range(user.max() + 1)])
    except Undefined:
        return None


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(12, 60),
    users=st.integers(2, 9),
    distinct=st.sampled_from([1, 3, 1000]),
    concentrated=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_errors_are_those_of_each_user_left_out(seed, n, users, distinct, concentrated):
    label, scores, user = drawn(seed, n, users, distinct, concentrated)
    for metric, function in FUNCTIONS.items():
        expected = [left_out(function, label, score, user) for score in scores]
        try:
            found = [sampling_errors(metric, label, score, user) for score in scores]
        except Undefined:
            assert any(e is None for e in expected) or metric == "gauc" or min(label.sum(), (~label).sum()) < 2
            continue
        if metric == "gauc":  # users of one label take no part
            part = np.array([len(set(label[user == u])) == 2 for u in range(user.max() + 1)])
            assert all((f[~part] == 0).all() for f in found)
            expected, found = [e[part] for e in expected], [f[part] for f in found]
        k = len(expected[0])
        for e, f in zip(expected, found, strict=True):
            assert np.abs(f - np.sqrt((k - 1) / k) * (e - e.mean())).max() < 1e-12, metric
        d = expected[0] - expected[1]
        variance = (k - 1) / k * ((d - d.mean()) ** 2).sum()
        assert abs(((found[0] - found[1]) ** 2).sum() - variance) < 1e-12


@given(seed=st.integers(0, 2**32 - 1), models=st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_covariance_of_many_models_is_that_of_users_left_out(seed, models):
    label, scores, user = drawn(seed, 80, 12, 2, True)
    scores = np.stack([scores[i % 2] + 0.5 * i * scores[(i + 1) % 2] for i in range(models)])
    expected = [left_out(FUNCTIONS["auc"], label, score, user) for score in scores]
    if any(e is None for e in expected):
        return
    left = np.stack(expected)
    left = left - left.mean(1, keepdims=True)
    k = left.shape[1]
    found = delong(label, scores, user * 7 + 3)  # any codes
    assert np.abs(found.covariance - (k - 1) / k * left @ left.T).max() < 1e-12
    if models > 1:
        assert paired_auc(label, scores[0], scores[1], user).se ** 2 == pytest.approx(
            (k - 1) / k * ((left[0] - left[1]) ** 2).sum(), abs=1e-12
        )


def test_errors_of_ece_keep_the_bins_of_all_rows():
    rng = np.random.default_rng(5)
    user = rng.permutation(np.r_[np.arange(20), rng.integers(0, 20, 480)])
    z = rng.normal(-1, 1, 500)
    y = rng.random(500) < sigmoid(z)
    p, index = sigmoid(z), mass_bins(sigmoid(z))

    def without(keep):
        gaps = [(p - y)[keep & (index == b)].sum() for b in range(index.max() + 1)]
        return np.abs(gaps).sum() / keep.sum()

    left = np.array([without(user != u) for u in range(20)])
    assert sampling_errors("ece", y, z, user) == pytest.approx(np.sqrt(19 / 20) * (left - left.mean()), abs=1e-14)
    assert without(np.full(500, True)) == pytest.approx(ece(y, z), abs=1e-15)


def test_average_precision_is_exact_for_the_largest_users_and_near_for_others(monkeypatch):
    rng = np.random.default_rng(6)
    user = np.r_[np.zeros(3000, int), rng.integers(1, 400, 5000)]
    user = dense(user)
    z = rng.normal(size=8000) + 0.3 * rng.normal(size=400)[user]
    y = rng.random(8000) < sigmoid(z - 2)
    exact = sampling_errors("pr_auc", y, z, user)
    monkeypatch.setattr("mdaf_core.metrics.pr_auc.EXACT_ROWS", 8000 * 3)
    near = sampling_errors("pr_auc", y, z, user)
    assert near[0] == pytest.approx(exact[0], rel=1e-3)  # the large user, but for the mean of all
    assert np.linalg.norm(near - exact) < 0.02 * np.linalg.norm(exact)


@pytest.mark.parametrize(
    ("label", "user", "words"),
    [
        ([0, 0, 1, 1], [0, 1, 2, 2], "two users with rows of each label"),  # all positives are one user's
        ([0, 0, 1, 1], [2, 2, 0, 1], "two users with rows of each label"),
        ([0, 0, 0, 1], [0, 1, 2, 3], "two rows of each label"),
        ([1, 1, 1, 1], [0, 1, 2, 3], "both labels"),
        ([0, 0, 1, 1], [0, 0, 0, 0], "two users with rows of each label"),
    ],
)
def test_without_one_user_there_must_be_both_labels(label, user, words):
    with pytest.raises(Undefined, match=words):
        auc_errors(np.array(label, bool), np.arange(4.0), np.array(user))
    if "rows of each" not in words or "users" in words:
        with pytest.raises(Undefined):
            sampling_errors("normalised_entropy", label, np.arange(4.0), np.array(user))


def test_one_user_is_no_sample():
    for metric in ("logloss", "brier", "ece", "gauc"):
        with pytest.raises(Undefined, match="of two users"):
            sampling_errors(metric, [0, 1, 0], [0.0, 1.0, 2.0], np.zeros(3, int))
    with pytest.raises(StudioError, match="Known: auc"):
        sampling_errors("accuracy", [0, 1], [0.0, 1.0], None)


def test_rows_without_users_are_units_of_their_own():
    rng = np.random.default_rng(7)
    z = rng.normal(size=300)
    y = rng.random(300) < 0.4
    for metric in ("logloss", "brier", "normalised_entropy", "pr_auc", "ece"):
        alone = sampling_errors(metric, y, z, None)
        assert alone == pytest.approx(sampling_errors(metric, y, z, np.arange(300)), abs=1e-15)
    loss = row_loss(y, z)
    assert (sampling_errors("logloss", y, z, None) ** 2).sum() == pytest.approx(loss.var(ddof=1) / 300, rel=1e-9)


def test_degrees_of_freedom_count_the_users_that_make_up_the_variance():
    rng = np.random.default_rng(8)
    assert degrees_of_freedom(rng.normal(size=50_000), 60_000) == pytest.approx(50_000, rel=0.05)
    assert degrees_of_freedom(rng.normal(size=5_000), 40) == 39
    assert degrees_of_freedom(np.r_[100.0, rng.normal(size=5_000)], 5_000) < 9
    assert degrees_of_freedom(np.r_[1e6, rng.normal(size=50)], 51) == pytest.approx(3.0)
    assert degrees_of_freedom(np.zeros(5), 5) == 4.0


def test_concentrated_users_keep_the_level():
    """One of 200 users has 30% of the rows, and its own error in each model: 27% of such tests were false alarms."""
    rng = np.random.default_rng(9)
    user = np.r_[np.zeros(430, int), np.repeat(np.arange(1, 200), 5)]
    wrong = 0
    for _ in range(400):
        y = rng.random(len(user)) < 0.2
        shared = 0.7 * rng.normal(size=len(user)) + 0.6 * y
        a, b = (shared + 0.6 * rng.normal(size=len(user)) + 0.5 * rng.normal(size=200)[user] for _ in range(2))
        p = paired_auc(y, a, b, user).p
        wrong += p is not None and p < 0.05
    assert wrong / 400 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_many_simulated_studies_at_once_are_each_by_itself():
    """What `benchmarks.calibration_users` counts is this package's own statistic."""
    from benchmarks.many_studies import Units, aucs, eces
    from benchmarks.many_studies import auc_errors as of_many

    rng = np.random.default_rng(12)
    user = dense(rng.integers(0, 12, 157) ** 2)
    label, score = rng.random((4, 157)) < 0.3, rng.normal(size=(4, 157))
    label[3] = user == user[0]  # one user has all positives
    units = Units(user)
    area, won = aucs(label, score)
    errors = of_many(label, score, won, units)
    calibration, calibration_errors = eces(label, score, units)
    for r in range(3):
        value, expected = auc_errors(label[r], score[r], user)
        assert area[r] == pytest.approx(value, abs=1e-14) and errors[r] == pytest.approx(expected, abs=1e-14)
        assert calibration[r] == pytest.approx(ece(label[r], score[r]), abs=1e-14)
        assert calibration_errors[r] == pytest.approx(sampling_errors("ece", label[r], score[r], user), abs=1e-14)
        assert units.of_rarer_label(label)[r] == units_of_rarer_label(label[r], user)
    assert np.isnan(errors[3]).any()


def few_positives(rng, user):
    label = np.zeros(len(user), bool)
    label[rng.choice(len(user), 5, replace=False)] = True
    return label


def at_rate(rate):
    return lambda rng, user: rng.random(len(user)) < rate


ODD = {  # users, rows of each, how labels are drawn, digits of the scores
    "nearly all scores tied": (60, 7, at_rate(0.2), 0),
    "one positive a user": (80, 6, lambda rng, user: np.arange(len(user)) % 6 == 0, 9),
    "five positives": (200, 5, few_positives, 9),
    "users of one label": (80, 6, lambda rng, user: (rng.random(80) < 0.3)[user], 9),
    "two users": (2, 40, at_rate(0.3), 9),
    "most positives are of few users": (60, 6, lambda rng, user: rng.random(360) < np.where(user < 5, 0.9, 0.03), 9),
}


@pytest.mark.parametrize(("users", "rows", "labels", "digits"), ODD.values(), ids=ODD.keys())
def test_the_level_is_kept_in_odd_cases(users, rows, labels, digits):
    rng = np.random.default_rng(10)
    user, wrong = np.repeat(np.arange(users), rows), []
    while len(wrong) < 200:
        y = labels(rng, user)
        shared = 0.5 * y + 0.7 * rng.normal(size=len(user))
        a, b = (shared + 0.6 * rng.normal(size=len(user)) + 0.5 * rng.normal(size=users)[user] for _ in range(2))
        try:
            p = paired_auc(y, a.round(digits), b.round(digits), user).p
        except Undefined:
            continue
        wrong.append(p is not None and p < 0.05)
    assert np.mean(wrong) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)


def test_item_errors_that_all_seeds_share_are_covered_over_users_and_items_alone():
    """Models that err on items whatever the seed, and no difference over all items: on these items there is one."""
    from benchmarks.calibration_users import with_items

    words = [[t.p < 0.05 for t in tests.values()] for _, tests in with_items(30, 0.5, 150, 0.0, 3000)]
    on_these, over_items = np.mean(words, axis=0)
    assert over_items < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 150) < 0.2 < on_these


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(12, 70), distinct=st.sampled_from([1, 3, 1000]))
@settings(max_examples=60, deadline=None)
def test_errors_of_gauc_over_items_and_pairs_are_those_of_each_left_out(seed, n, distinct):
    """The users' AUCs are of users still, whatever is left out."""
    label, scores, user = drawn(seed, n, 4, distinct, False)
    rng = np.random.default_rng(seed)
    item = dense(rng.integers(0, 5, n))
    for unit in (item, dense(user * 7 + item)):
        try:
            left = np.array(
                [gauc(*(x[unit != k] for x in (label, scores[0], user))).value for k in range(unit.max() + 1)]
            )
            expected = np.sqrt(1 - 1 / len(left)) * (left - left.mean())
        except Undefined:
            with pytest.raises(Undefined):
                sampling_errors("gauc", label, scores[0], user, unit)
            continue
        assert np.abs(sampling_errors("gauc", label, scores[0], user, unit) - expected).max() < 1e-12


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(12, 60), users=st.integers(2, 9), distinct=st.sampled_from([1, 3]))
@settings(max_examples=60, deadline=None)
def test_a_metric_without_errors_of_its_own_has_the_same(seed, n, users, distinct):
    """Computing again without each user gives what the metrics' own errors are."""
    label, scores, user = drawn(seed, n, users, distinct, False)
    rows = Scored.of(label, scores[0], user, user)
    for key in ("auc", "logloss", "brier", "normalised_entropy", "pr_auc"):
        try:
            own = metrics()[key].sampling_errors(rows)
        except Undefined:
            continue
        assert np.abs(replace(metrics()[key], errors=None).sampling_errors(rows) - own).max() < 1e-12, key


def test_without_users_or_with_one_nothing_is_left_out():
    def mean(rows):
        return rows.probability.mean()

    one = Metric("mean", "Mean", 1, mean)
    z = np.random.default_rng(1).normal(size=30)
    y = np.arange(30) % 2
    errors = one.sampling_errors(Scored.of(y, z))
    assert (errors**2).sum() == pytest.approx(sigmoid(z).var(ddof=1) / 30)
    with pytest.raises(Undefined, match="of two users"):
        one.sampling_errors(Scored.of(y, z, np.zeros(30, int), np.zeros(30, int)))
