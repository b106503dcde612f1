"""Tests and intervals against their definitions, against SciPy, and against simulated truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mdaf_core.analysis import significance as sig
from mdaf_core.analysis.signed_rank import few_for_ranks, signed_rank
from mdaf_core.analysis.significance import Component
from mdaf_core.base.errors import StudioError
from mdaf_core.metrics.auc import auc
from mdaf_core.metrics.jackknife import mean_errors
from mdaf_core.metrics.values import Undefined


def pair_scores(seed, n, distinct=None, gap=0.0):
    """Two correlated scores of the same rows; the first is better by `gap` standard deviations."""
    rng = np.random.default_rng(seed)
    label = (rng.random(n) < 0.3).astype(int)
    label[:4] = 0, 1, 0, 1
    base = rng.normal(size=n)
    a, b = (base + 0.5 * rng.normal(size=n) + shift * label for shift in (0.5 + gap, 0.5))
    if distinct:
        a, b = np.round(a * distinct), np.round(b * distinct)
    return label, a, b


def delong_by_definition(label, a, b):
    """DeLong et al. 1988 with all pairs written out: difference and standard error."""

    def components(score):
        positive, negative = score[label == 1], score[label == 0]
        psi = (positive[:, None] > negative[None]) + 0.5 * (positive[:, None] == negative[None])
        return psi.mean(1), psi.mean(0)

    (a10, a01), (b10, b01) = components(a), components(b)
    s10, s01 = np.cov(a10, b10), np.cov(a01, b01)
    s = s10 / len(a10) + s01 / len(a01)
    return a10.mean() - b10.mean(), np.sqrt(s[0, 0] + s[1, 1] - 2 * s[0, 1])


@given(
    seed=st.integers(0, 2**32 - 1), n=st.integers(6, 80), models=st.integers(1, 4), distinct=st.sampled_from([2, 3, 9])
)
@settings(max_examples=60, deadline=None)
def test_delong_of_many_models_is_the_definition_with_heavy_ties(seed, n, models, distinct):
    """AUCs, covariance and every pair's p value against all m · n comparisons written out, in float64."""
    from scipy.stats import norm

    rng = np.random.default_rng(seed)
    label = rng.permutation(np.r_[0, 0, 1, 1, rng.integers(0, 2, n - 4)])
    scores = rng.integers(0, distinct, (models, n)).astype(float)
    psi = scores[:, label == 1][:, :, None] - scores[:, label == 0][:, None]
    psi = (psi > 0) + 0.5 * (psi == 0)
    v10, v01 = psi.mean(2), psi.mean(1)
    expected = np.atleast_2d(np.cov(v10)) / v10.shape[1] + np.atleast_2d(np.cov(v01)) / v01.shape[1]
    found = sig.delong(label, scores)
    assert found.aucs == pytest.approx(psi.mean((1, 2)), abs=1e-12)
    assert np.abs(found.covariance - expected).max() < 1e-10
    for i in range(models):
        for j in range(models):
            test = found.difference(i, j)
            variance = expected[i, i] + expected[j, j] - 2 * expected[i, j]
            assert test.se**2 == pytest.approx(variance, abs=1e-10)
            assert test.estimate == found.aucs[i] - found.aucs[j]
            if variance > 1e-12:
                p = 2 * norm.sf(abs(test.estimate) / np.sqrt(variance))
                assert test.p == pytest.approx(p, abs=1e-10)
                assert (test.low + test.high) / 2 == pytest.approx(test.estimate, abs=1e-12)


def test_covariance_over_users_is_that_of_each_pair():
    label, a, b = pair_scores(21, 400, 3, 0.2)
    user = np.random.default_rng(2).integers(0, 60, 400)
    c = sig.delong(label, [a, b], user).covariance
    assert c[0, 1] == c[1, 0]
    assert c[0, 0] + c[1, 1] - 2 * c[0, 1] == pytest.approx(sig.paired_auc(label, a, b, user).se ** 2, rel=1e-9)
    assert c[0, 0] == pytest.approx(sig.delong(label, a, user).covariance[0, 0], rel=1e-12)


def test_delong_says_what_does_not_fit():
    label, a, b = pair_scores(22, 20)
    assert sig.delong(label, a).aucs == pytest.approx([auc(label, a)])
    for scores, users, message in (
        (np.empty((0, 20)), None, "at least one model"),
        ([a, b], [1, 2], "One user a row"),
        (a[:5], None, "equally long"),
        ([a, np.full(20, np.nan)], None, "not finite"),
    ):
        with pytest.raises(StudioError, match=message):
            sig.delong(label, scores, users)
    with pytest.raises(StudioError, match="same rows"):
        sig.paired_auc(label, a, b[:5])


@pytest.mark.parametrize(("seed", "n", "distinct"), [(0, 12, None), (1, 80, None), (2, 300, 2), (3, 300, None)])
def test_delong_is_the_definition(seed, n, distinct):
    from scipy.stats import norm

    label, a, b = pair_scores(seed, n, distinct, 0.3)
    expected, se = delong_by_definition(label, a, b)
    test = sig.paired_auc(label, a, b)
    assert test.estimate == pytest.approx(expected, abs=1e-14)
    assert test.se == pytest.approx(se, rel=1e-10)
    assert test.p == pytest.approx(2 * norm.sf(abs(expected) / se), rel=1e-9)
    assert (test.low, test.high) == pytest.approx(norm.interval(0.95, expected, se), abs=1e-12)


def test_delong_is_symmetric_and_invariant():
    label, a, b = pair_scores(5, 200, 3, 0.2)
    one, other = sig.paired_auc(label, a, b), sig.paired_auc(label, b, a)
    assert (one.estimate, one.low, one.p) == (-other.estimate, -other.high, pytest.approx(other.p))
    assert sig.paired_auc(label, np.exp(a), b**3).p == pytest.approx(one.p, rel=1e-12)
    order = np.random.default_rng(0).permutation(200)
    assert sig.paired_auc(label[order], a[order], b[order]).se == pytest.approx(one.se, rel=1e-12)


def test_identical_scores_are_no_difference_and_parity():
    label, a, _ = pair_scores(6, 100)
    test = sig.paired_auc(label, a, 2 * a)
    assert (test.estimate, test.p, test.low, test.high) == (0, 1.0, 0, 0)
    assert sig.equivalence(test, 1).p == 0.0


def test_a_difference_without_variance_has_no_p():
    label = np.array([0, 0, 1, 1])
    test = sig.paired_auc(label, [0.0, 1, 2, 3], np.zeros(4))  # perfect against constant: placements do not vary
    assert test.estimate == 0.5 and test.p is None
    assert sig.verdict(0.5, test.p, sig.equivalence(test, 20).p, 5) == "not shown"


@pytest.mark.parametrize("label", [[1, 1, 1], [0, 0, 1], []])
def test_too_few_rows_of_a_label_is_undefined(label):
    with pytest.raises(Undefined):
        sig.paired_auc(label, np.arange(len(label)), np.arange(len(label))[::-1])


# --- users -----------------------------------------------------------------------------------------------------------


def test_users_of_one_row_are_near_delong():
    """The jackknife of a two-sample statistic divides by m − 1 where DeLong divides by m."""
    label, a, b = pair_scores(7, 1500, None, 0.2)
    plain, clustered = sig.paired_auc(label, a, b), sig.paired_auc(label, a, b, np.arange(1500) * 3)
    assert plain.se < clustered.se < 1.002 * plain.se


def test_duplicated_rows_do_not_narrow_the_clustered_interval():
    label, a, b = pair_scores(9, 300, None, 0.2)
    once = sig.paired_auc(label, a, b, np.arange(300))
    four = [np.tile(x, 4) for x in (label, a, b, np.arange(300))]
    assert sig.paired_auc(*four).se == pytest.approx(once.se, rel=0.02)
    assert sig.paired_auc(*four[:3]).se == pytest.approx(once.se / 2, rel=0.02)  # DeLong believes the copies


def test_bootstrap_agrees_with_the_closed_form_and_repeats():
    label, a, b = pair_scores(10, 3000, 5, 0.05)
    user = np.random.default_rng(3).integers(0, 700, 3000)
    found = sig.bootstrap_auc(label, a, b, user, 800)
    closed = sig.paired_auc(label, a, b, user)
    assert found.estimate == closed.estimate
    assert found.se == pytest.approx(closed.se, rel=0.12)
    assert found.low == pytest.approx(closed.low, abs=0.4 * closed.se)
    assert sig.bootstrap_auc(label, a, b, user, 800) == found
    assert sig.bootstrap_auc(label, a, b, user, 800, seed=1) != found


def test_weighted_aucs_are_those_of_repeated_rows():
    from mdaf_core.analysis.bootstrap import LANES, draw_users, weighted_aucs

    label, a, _ = pair_scores(11, 60, 1)
    rng = np.random.default_rng(4)
    user = rng.integers(0, 9, 60)
    weight = rng.integers(0, 4, (9, LANES)).astype(np.uint8)
    weight[:, 3] = 0
    found = weighted_aucs(label == 1, a, user)(weight)
    for lane in set(range(LANES)) - {3}:
        repeated = np.repeat(np.arange(60), weight[user, lane])
        assert found[lane] == auc(label[repeated], a[repeated])
    assert np.isnan(found[3])
    assert (draw_users(rng, 50).sum(0) == 50).all()


def test_bootstrap_of_one_user_is_refused():
    label, a, b = pair_scores(12, 30)
    with pytest.raises(Undefined, match="two users"):
        sig.bootstrap_auc(label, a, b, np.zeros(30), 10)


# --- seeds and both --------------------------------------------------------------------------------------------------


def test_seed_summary_is_the_t_interval():
    from scipy.stats import t

    x = [0.571, 0.573, 0.5725]
    found = sig.seed_summary(x)
    assert (found.mean, found.sd) == (pytest.approx(np.mean(x)), pytest.approx(np.std(x, ddof=1)))
    assert (found.low, found.high) == pytest.approx(t.interval(0.95, 2, np.mean(x), np.std(x, ddof=1) / np.sqrt(3)))
    assert "3 seeds" in found.note and "4.3" in found.note


def test_one_seed_says_so():
    found = sig.seed_summary([0.5716])
    assert (found.sd, found.low, found.note) == (None, None, "one seed: no variance known")
    assert sig.verdict(1.0, 1e-9, 1e-9, 1) == "one seed: no variance known"


def test_paired_seeds_are_the_paired_t_test():
    from scipy.stats import ttest_rel

    rng = np.random.default_rng(6)
    a, b = rng.normal(0.58, 0.001, 5), rng.normal(0.578, 0.001, 5)
    found = sig.difference(float((a - b).mean()), [sig.seed_component(a - b)], "", "")
    expected = ttest_rel(a, b)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-9)
    interval = expected.confidence_interval()
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=1e-12)


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=9))
@settings(max_examples=60, deadline=None)
def test_signed_rank_by_enumeration_of_all_signs(values):
    """With ties and zeros, against every assignment of signs written out."""
    from itertools import product

    from scipy.stats import rankdata

    x = np.array(values, float)
    kept = x[x != 0]
    rank = rankdata(np.abs(kept))
    sums = [sum(r for r, sign in zip(rank, signs, strict=True) if sign) for signs in product((0, 1), repeat=len(kept))]
    observed = rank[kept > 0].sum()
    tail = min(np.mean([s <= observed + 1e-9 for s in sums]), np.mean([s >= observed - 1e-9 for s in sums]))
    found = signed_rank(x)
    assert found.p == pytest.approx(min(1, 2 * tail), abs=1e-12)
    assert (found.n, found.above) == (len(kept), (kept > 0).sum())
    assert found.p >= found.floor - 1e-12
    assert found.estimate == np.median([(a + b) / 2 for i, a in enumerate(x) for b in x[i:]])


@pytest.mark.parametrize("n", [6, 9, 14])
def test_signed_rank_is_scipys_and_its_interval_is_of_values_that_are_not_rejected(n):
    from scipy.stats import wilcoxon

    x = np.random.default_rng(n).normal(0.4, 1, n)
    found = signed_rank(x)
    assert found.p == pytest.approx(wilcoxon(x, method="exact").pvalue, rel=1e-12)
    for edge, inward in ((found.low, 1e-9), (found.high, -1e-9)):
        assert signed_rank(x - edge - inward).p > 0.05 >= signed_rank(x - edge + inward).p


def test_few_seeds_cannot_be_shown_by_ranks():
    found = signed_rank([1.0, 2, 3, 4, 5])
    assert (found.p, found.floor, found.low, found.high) == (0.0625, 0.0625, None, None)
    assert "cannot be below 0.0625" in few_for_ranks(5) and "takes 6 seeds" in few_for_ranks(5)
    assert "0.125 after Holm" in few_for_ranks(6, tests=4) and "takes 8 seeds" in few_for_ranks(6, tests=4)
    assert few_for_ranks(6) == ""
    with pytest.raises(Undefined):
        signed_rank([])


def test_what_seeds_share_is_free_of_their_interaction_with_rows():
    """S seeds that differ by noise of each row alone: nothing is shared, the seeds' spread is all the variance."""
    rng = np.random.default_rng(31)
    wrong, twice, trials = 0, 0, 1500
    for _ in range(trials):
        d = rng.normal(size=(5, 120))
        seeds, covariance = sig.seed_component(d.mean(1)), covariance_of_means(d)
        for whole in (False, True):
            variance = covariance.mean() if whole else sig.shared_by_seeds(covariance)
            width = sig.half_width([seeds, Component(name="rows", variance=variance)], 0.05)
            wrong, twice = wrong + (not whole and abs(d.mean()) > width), twice + (whole and abs(d.mean()) > width)
    assert 0.03 < wrong / trials < 0.06
    assert twice / trials < 0.02  # the interaction counted twice: the reason for `shared_by_seeds`


def covariance_of_means(x):
    errors = np.stack([mean_errors(row, None) for row in x])
    return errors @ errors.T


def test_covariance_of_means_is_numpys():
    x = np.random.default_rng(3).normal(size=(3, 40))
    assert covariance_of_means(x) == pytest.approx(np.cov(x) / 40)
    shared = np.random.default_rng(4).normal(size=40)
    assert sig.shared_by_seeds(covariance_of_means(shared + 0.001 * x)) == pytest.approx(
        shared.var(ddof=1) / 40, rel=0.01
    )
    assert sig.shared_by_seeds(np.array([[1.0, -0.2], [-0.2, 1.0]])) == 0.0


def test_two_sources_are_never_narrower_than_one():
    from scipy.stats import t

    seeds, users = Component(name="seeds", variance=1e-7, df=2), Component(name="users", variance=4e-7)
    width = t.ppf(0.975, 1 / (1 / 5 / 2)) * 5e-7**0.5  # a fifth of the variance has 2 degrees of freedom
    assert sig.half_width([seeds, users], 0.05) == pytest.approx(width)
    assert sig.two_sided_p(width, [seeds, users]) == pytest.approx(0.05, rel=1e-9)
    few = Component(name="users", variance=1e-8)
    width = t.ppf(0.975, 2) * 1e-7**0.5  # by both together it would be narrower than of the seeds alone
    assert sig.half_width([seeds, few], 0.05) == sig.half_width([seeds], 0.05) == pytest.approx(width)
    assert sig.two_sided_p(width, [seeds, few]) == pytest.approx(0.05, rel=1e-9)
    none = Component(name="users", variance=0.0)
    assert sig.half_width([seeds, none], 0.05) == sig.half_width([seeds], 0.05)
    assert (sig.half_width([none], 0.05), sig.two_sided_p(0.0, [none]), sig.two_sided_p(1.0, [none])) == (0, 1, None)


@pytest.mark.parametrize(
    ("seeds", "least", "most"), [(2, 0.022, 0.0505), (3, 0.036, 0.051), (4, 0.038, 0.0515), (5, 0.039, 0.0505)]
)
def test_level_of_the_combined_interval(seeds, least, most):
    """How often the interval misses the truth, by integrating over the variance that S seeds would show.

    Users' variance is 1 and known, that of the mean over seeds from 1/1000 to 1000 times as large.
    """
    from scipy.special import ndtr
    from scipy.stats import chi2

    df = seeds - 1
    shown = chi2.ppf((np.arange(400) + 0.5) / 400, df) / df
    levels = []
    for ratio in [0.0, *np.geomspace(1e-3, 1e3, 19)]:
        rows = Component(name="rows", variance=1)
        parts = [[Component(name="seeds", variance=ratio * s, df=df), rows] for s in shown]
        widths = np.array([sig.half_width(part, 0.05) for part in parts])
        levels.append(2 * ndtr(-widths / np.sqrt(1 + ratio)).mean())
    assert least < min(levels) and max(levels) < most


def test_noise_floor_pools_within_configurations():
    groups = [[0.50, 0.52], [0.6, 0.6, 0.63], [0.9]]
    squares = sum(((np.array(g) - np.mean(g)) ** 2).sum() for g in groups)
    assert sig.noise_floor(groups) == pytest.approx(np.sqrt(squares / 3))
    assert sig.noise_floor([[0.5], [0.6]]) is None


# --- Holm, TOST, words -----------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 1), min_size=1, max_size=7))
@settings(max_examples=50, deadline=None)
def test_holm_is_the_closure_of_bonferroni(p):
    """Marcus, Peritz & Gabriel 1976: a hypothesis falls with every set of hypotheses that holds it."""
    sets = [[i for i in range(len(p)) if bits >> i & 1] for bits in range(1, 2 ** len(p))]
    closed = [max(min(1.0, len(s) * min(p[j] for j in s)) for s in sets if i in s) for i in range(len(p))]
    assert sig.holm(p) == pytest.approx(closed, abs=1e-12)


def test_holm_leaves_out_what_has_no_p():
    assert sig.holm([None, 0.02, None, 0.03]) == [None, 0.04, None, 0.04]


@pytest.mark.parametrize("shift", [0.0, 0.0008, -0.0015, 0.004])
def test_equivalence_is_two_one_sided_tests(shift):
    """Schuirmann 1987."""
    d = np.random.default_rng(8).normal(shift, 0.0006, 6)
    found = sig.equivalence(sig.difference(float(d.mean()), [sig.seed_component(d)], "", ""), 20)
    above = stats.ttest_1samp(d, -0.002, alternative="greater").pvalue
    below = stats.ttest_1samp(d, 0.002, alternative="less").pvalue
    assert found.p == pytest.approx(max(above, below), rel=1e-8)
    assert (found.p < 0.05) == (found.low > -0.002 and found.high < 0.002)


def test_a_margin_of_nothing_is_refused():
    label, a, b = pair_scores(13, 50)
    with pytest.raises(StudioError, match="above 0 bp"):
        sig.equivalence(sig.paired_auc(label, a, b), 0)


@pytest.mark.parametrize(
    ("improvement", "p", "parity", "seeds", "word"),
    [
        (0.01, 0.01, 0.5, 3, "better"),
        (-0.01, 0.01, 0.5, 3, "worse"),
        (0.0001, 0.4, 0.01, 3, "parity"),
        (0.0001, 0.4, 0.3, 3, "not shown"),
        (0.01, None, None, 3, "not shown"),
        (0.01, 0.01, 0.5, 1, "one seed: no variance known"),
    ],
)
def test_words(improvement, p, parity, seeds, word):
    assert sig.verdict(improvement, p, parity, seeds) == word


def test_delong_does_not_cry_wolf():
    """Two scores of the same quality: about 5% of tests may be below 0.05."""
    wrong = sum(sig.paired_auc(*pair_scores(1000 + i, 400)).p < 0.05 for i in range(400))
    assert wrong / 400 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)
    found = sum(sig.paired_auc(*pair_scores(1000 + i, 400, gap=0.6)).p < 0.05 for i in range(100))
    assert found > 90


def test_a_few_users_are_not_taken_for_many():
    from scipy.stats import t

    label, a, b = pair_scores(13, 400, None, 0.2)
    user = np.random.default_rng(5).integers(0, 12, 400)
    label[(user < 7)] = 0  # five users with a positive
    test = sig.paired_auc(label, a, b, user)
    df = test.components[0].df
    assert 1 <= df <= 4
    assert (test.low, test.high) == pytest.approx(t.interval(0.95, df, test.estimate, test.se), rel=1e-9)
    assert sig.paired_auc(label, a, b).components[0].df is None  # DeLong's own
