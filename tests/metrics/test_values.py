"""Metrics against definitions written out over all pairs, against scikit-learn, and at the edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdaf_core.base.errors import StudioError
from mdaf_core.metrics.auc import auc, auc_se, placements
from mdaf_core.metrics.brier import brier
from mdaf_core.metrics.ece import ece
from mdaf_core.metrics.gauc import gauc
from mdaf_core.metrics.log_loss import log_loss
from mdaf_core.metrics.normalised_entropy import normalised_entropy
from mdaf_core.metrics.pr_auc import pr_auc
from mdaf_core.metrics.values import Undefined, clusters
from mdaf_core.runs.split_metrics import split_metrics


def auc_by_pairs(label, score):
    """P(positive above negative) + ½ P(tie), over every pair."""
    positive = np.asarray(score, np.float64)[np.asarray(label) == 1]
    negative = np.asarray(score, np.float64)[np.asarray(label) == 0]
    wins = (positive[:, None] > negative[None]).sum() + 0.5 * (positive[:, None] == negative[None]).sum()
    return wins / (len(positive) * len(negative))


def gauc_by_loop(label, score, user):
    total = rows = 0.0
    for u in np.unique(user):
        mine = user == u
        if len(np.unique(label[mine])) == 2:
            total += mine.sum() * auc_by_pairs(label[mine], score[mine])
            rows += mine.sum()
    return total / rows, rows / len(label)


def random_rows(seed, n, distinct=None):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, n)
    label[:2] = 0, 1
    score = rng.normal(size=n) + label if distinct is None else rng.integers(0, distinct, n).astype(float)
    return label, score


CASES = [(0, 2, None), (1, 3, 1), (2, 50, None), (3, 400, 3), (4, 400, 40), (5, 1000, None)]


@pytest.mark.parametrize(("seed", "n", "distinct"), CASES)
def test_auc_is_the_share_of_pairs(seed, n, distinct):
    from sklearn.metrics import roc_auc_score

    label, score = random_rows(seed, n, distinct)
    assert auc(label, score) == pytest.approx(auc_by_pairs(label, score), abs=1e-15)
    assert auc(label, score) == pytest.approx(roc_auc_score(label, score), abs=1e-12)


rows = st.lists(st.tuples(st.booleans(), st.integers(-4, 4), st.integers(0, 3)), min_size=2, max_size=60).filter(
    lambda r: len({x[0] for x in r}) == 2
)


@given(rows, st.randoms(use_true_random=False))
@settings(max_examples=80, deadline=None)
def test_auc_invariants(data, random):
    label, score, _ = (np.array(c, float) for c in zip(*data, strict=True))
    value = auc(label, score)
    assert auc(label, np.exp(score) + score**3) == value  # monotone maps
    assert auc(1 - label, -score) == value  # turning both around
    assert auc(label, -score) == pytest.approx(1 - value, abs=1e-15)
    order = list(range(len(label)))
    random.shuffle(order)
    assert auc(label[order], score[order]) == value


@given(rows)
@settings(max_examples=80, deadline=None)
def test_gauc_is_the_weighted_mean_of_users(data):
    label, score, user = (np.array(c, float) for c in zip(*data, strict=True))
    try:
        found = gauc(label, score, user.astype(int))
    except Undefined:
        assert all(len(set(label[user == u])) == 1 for u in set(user))
        return
    assert tuple(found) == pytest.approx(gauc_by_loop(label, score, user), abs=1e-13)


def test_gauc_of_one_user_is_auc():
    label, score = random_rows(7, 200, 20)
    assert gauc(label, score, np.full(200, 9)) == (pytest.approx(auc(label, score), abs=1e-15), 1.0)


@pytest.mark.parametrize(("seed", "n", "distinct"), CASES)
def test_metrics_of_probabilities_agree_with_sklearn(seed, n, distinct):
    from sklearn import metrics

    label, score = random_rows(seed, n, distinct)
    logit = score / 8  # scikit-learn clips probabilities that round to 1
    probability = 1 / (1 + np.exp(-logit))
    assert log_loss(label, logit) == pytest.approx(metrics.log_loss(label, probability), rel=1e-12)
    assert brier(label, logit) == pytest.approx(metrics.brier_score_loss(label, probability), rel=1e-12)
    assert pr_auc(label, logit) == pytest.approx(metrics.average_precision_score(label, logit), abs=1e-12)
    p = label.mean()
    entropy = -(p * np.log(p) + (1 - p) * np.log(1 - p))
    assert normalised_entropy(label, logit) == pytest.approx(metrics.log_loss(label, probability) / entropy, rel=1e-12)


def test_log_loss_of_huge_logits_is_finite_and_exact():
    assert log_loss([1, 0], [-800.0, 800.0]) == 800.0
    assert log_loss([1, 0], [800.0, -800.0]) == 0.0
    assert log_loss([1, 1], [40.0, 40.0]) == pytest.approx(np.exp(-40), rel=1e-12)


def test_ece_by_definition_without_ties():
    rng = np.random.default_rng(3)
    logit = rng.normal(size=1500)
    label = rng.random(1500) < 0.3
    p = 1 / (1 + np.exp(-logit))
    order = np.argsort(p)
    expected = sum(abs(p[c].mean() - label[c].mean()) * len(c) / 1500 for c in np.array_split(order, 15))
    assert ece(label, logit) == pytest.approx(expected, abs=1e-14)


def test_ece_with_ties_does_not_depend_on_row_order():
    rng = np.random.default_rng(4)
    logit = rng.integers(-2, 3, 333).astype(float)
    label = rng.integers(0, 2, 333)
    order = rng.permutation(333)
    assert ece(label, logit) == pytest.approx(ece(label[order], logit[order]), abs=1e-15)
    assert ece(np.array([0, 1, 1, 1]), np.zeros(4)) == pytest.approx(0.25)


def placements_by_definition(label, score):
    positive, negative = score[label == 1], score[label == 0]
    psi = (positive[:, None] > negative[None]) + 0.5 * (positive[:, None] == negative[None])
    return psi.mean(1), psi.mean(0)


@pytest.mark.parametrize(("seed", "n", "distinct"), CASES[2:])
def test_standard_error_by_placement_values(seed, n, distinct):
    label, score = random_rows(seed, n, distinct)
    v10, v01 = placements_by_definition(label, score)
    value, area = placements(label, score)
    np.testing.assert_allclose(value[label == 1], v10, atol=1e-14)
    np.testing.assert_allclose(value[label == 0], v01, atol=1e-14)
    assert area == pytest.approx(v10.mean(), abs=1e-14)
    expected = np.sqrt(v10.var(ddof=1) / len(v10) + v01.var(ddof=1) / len(v01))
    assert auc_se(label, score) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("label", "word"), [([], "no rows"), ([1], "label 1"), ([0, 0, 0], "label 0")])
def test_one_label_is_undefined_with_the_reason(label, word):
    for metric in (auc, pr_auc, normalised_entropy):
        with pytest.raises(Undefined, match=word):
            metric(np.array(label), np.zeros(len(label)))


def test_split_metrics_of_one_label_is_none_with_reasons():
    found = split_metrics(np.ones(3, np.uint8), np.zeros(3), np.arange(3), np.full(3, 0.5))
    assert (found.rows, found.positives, found.auc, found.gauc) == (3, 3, None, None)
    assert {"auc", "auc_se", "gauc", "pr_auc", "normalised_entropy", "oracle_auc"} <= set(found.undefined)
    assert found.logloss == pytest.approx(np.log(2))
    found.model_dump_json()


def test_split_metrics_of_no_rows():
    found = split_metrics(np.zeros(0, np.uint8), np.zeros(0), np.zeros(0, int))
    assert found.rows == 0
    assert all("no rows" in reason for reason in found.undefined.values())
    assert found.auc is None and found.logloss is None


def test_split_metrics_of_two_rows_has_no_standard_error():
    found = split_metrics([0, 1], [0.0, 1.0])
    assert found.auc == 1.0
    assert found.auc_se is None and "two rows of each label" in found.undefined["auc_se"]
    assert "no user" in found.undefined["gauc"]


def test_oracle_share():
    rng = np.random.default_rng(5)
    truth = rng.random(5000)
    label = rng.random(5000) < truth
    found = split_metrics(label, np.log(truth / (1 - truth)), None, truth)
    assert found.oracle_share == pytest.approx(1.0)
    assert found.oracle_auc == found.auc


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_predictions_that_are_not_finite_are_an_error(bad):
    with pytest.raises(StudioError, match="1 of 3 predictions are not finite"):
        split_metrics([0, 1, 1], [0.0, bad, 1.0])


def test_columns_that_do_not_fit_are_an_error():
    with pytest.raises(StudioError, match="equally long"):
        auc([0, 1], [0.5])
    with pytest.raises(StudioError, match="0 or 1"):
        auc([0, 2], [0.5, 0.1])
    with pytest.raises(StudioError, match="One user a row"):
        gauc([0, 1], [0.5, 0.1], [1])


def test_standard_error_of_a_run_is_over_users_where_there_are_some():
    label, score = random_rows(3, 200, None)
    once = split_metrics(label, score, np.arange(200))
    assert once.auc_se == pytest.approx(auc_se(label, score), rel=0.01)
    copies = [np.tile(x, 4) for x in (label, score, np.arange(200))]
    assert split_metrics(*copies).auc_se == pytest.approx(once.auc_se, rel=0.02)
    assert split_metrics(label, score, np.zeros(200)).auc_se == auc_se(label, score)  # without users


def test_one_user_alone_is_no_cluster() -> None:
    assert clusters(np.zeros(4)) is None and clusters([]) is None
    assert clusters(["b", "a", "b"]).tolist() == [1, 0, 1]
