"""Comparing configurations and runs: pairing, refusals, words, and what the intervals cover."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdaf_core.analysis.compared import ComparedConfiguration, StudyComparison
from mdaf_core.analysis.comparison import compare_study
from mdaf_core.analysis.margins import Margin
from mdaf_core.analysis.pairs import compare_runs
from mdaf_core.analysis.significance import Difference, delong, half_width, seed_component
from mdaf_core.analysis.verdicts import decide
from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.metrics.auc import auc
from mdaf_core.runs import predictions


def rows(n=1500, users=200, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=n)
    label = (rng.random(n) < 1 / (1 + np.exp(-truth))).astype(int)
    return label, truth, rng.integers(0, users, n)


def study(make_run, quality, seeds=(1, 2, 3), n=1500):
    """Runs of configurations whose logits are the truth plus noise of the given size."""
    label, truth, user = rows(n)
    return [
        make_run(name, s, label, truth + noise * np.random.default_rng([s, i]).normal(size=n), user)
        for i, (name, noise) in enumerate(quality.items())
        for s in seeds
    ]


def entry(comparison, name):
    return next(c for c in comparison.configurations if c.configuration == name)


def test_better_worse_and_the_reference(make_run):
    runs = study(make_run, {"base": 1.0, "good": 0.2, "bad": 4.0}, seeds=(1, 2, 3, 4))
    found = compare_study(runs, "base")
    assert [c.configuration for c in found.configurations] == ["good", "base", "bad"]
    assert entry(found, "good").verdict == "better"
    assert entry(found, "bad").verdict == "worse"
    assert entry(found, "base").verdict == "reference" and entry(found, "base").difference is None
    assert (found.rows, found.users, found.tests) == (1500, len(set(rows()[2])), 2)
    frame = found.frame()
    assert frame["difference_bp"][0] == pytest.approx(entry(found, "good").difference.estimate * 1e4)


def test_difference_is_the_mean_of_paired_seeds_and_its_interval_holds_both_sources(make_run):
    runs = study(make_run, {"base": 1.0, "other": 0.8})
    found = entry(compare_study(runs, "base"), "other")
    by = {(r.configuration, r.seed): r.result.test.auc for r in runs}
    expected = [by["other", s] - by["base", s] for s in (1, 2, 3)]
    assert list(found.seed_differences.values()) == pytest.approx(expected)
    assert found.difference.estimate == pytest.approx(np.mean(expected))
    assert found.difference_seeds.high - found.difference_seeds.estimate == pytest.approx(
        half_width([seed_component(expected)], 0.05)
    )
    label, _, user = rows()
    scores = [predictions.load_predictions(r.run_id, "test")["logit"].to_numpy() for r in runs]
    c = delong(label, scores, user).covariance  # three seeds of base, then three of other
    pairs = [c[3 + i, 3 + j] - c[3 + i, j] - c[i, 3 + j] + c[i, j] for i in range(3) for j in range(3) if i != j]
    assert found.difference.components[0].variance == pytest.approx(max(0, np.mean(pairs)), rel=1e-6)
    assert found.difference.high - found.difference.estimate == pytest.approx(
        half_width(found.difference.components, 0.05)
    )
    single = [c[3 + i, 3 + j] - c[3 + i, j] - c[i, 3 + j] + c[i, j] for i in range(3) for j in range(3)]
    assert found.difference_rows.se == pytest.approx(np.sqrt(np.mean(single)), rel=1e-6)
    assert "other seeds and other users" in found.difference.covers


def test_a_mean_has_the_interval_over_seeds_and_users(make_run):
    """Two seeds that agree to the fourth digit say nothing of other users: "0.8162 ± 0.0001" would."""
    label, truth, user = rows(400, users=148)
    runs = [make_run("base", s, label, truth + 0.001 * np.random.default_rng(s).normal(size=400), user) for s in (1, 2)]
    found = entry(compare_study(runs, "base"), "base")
    scores = [predictions.load_predictions(r.run_id, "test")["logit"].to_numpy() for r in runs]
    covariance = delong(label, scores, user).covariance
    users, seeds = found.mean.components
    assert users.variance == pytest.approx(covariance[0, 1], rel=1e-6)
    assert seeds.variance == pytest.approx(np.var([r.result.test.auc for r in runs], ddof=1) / 2)
    assert found.mean.estimate == pytest.approx(np.mean([r.result.test.auc for r in runs]))
    assert found.mean.high - found.mean.estimate == pytest.approx(half_width([users, seeds], 0.05))
    assert found.mean.se > 0.01 > 10 * found.summary.sd
    assert found.mean.of_both_sources and found.mean.covers == "other seeds and other users"
    frame = compare_study(runs, "base").frame()
    assert frame["half_width"][0] == pytest.approx(found.mean.high - found.mean.estimate)


def test_a_mean_of_one_seed_has_no_figure_for_plus_minus(make_run):
    runs = study(make_run, {"base": 1.0}, seeds=(1,))
    comparison = compare_study(runs, "base")
    mean = entry(comparison, "base").mean
    assert mean.covers == "other users, with this trained model" and not mean.of_both_sources
    assert mean.se == pytest.approx(runs[0].result.test.auc_se, rel=1e-9)
    assert comparison.frame()["half_width"][0] is None


def test_rows_of_a_study_are_sampled_by_the_mean_of_placements(make_run):
    """With one seed the interval is the clustered DeLong interval of the two runs."""
    runs = study(make_run, {"base": 1.0, "other": 0.8}, seeds=(1,))
    found = entry(compare_study(runs, "base"), "other")
    pair = compare_runs(runs[1], runs[0], replicates=50)
    assert found.difference.se == pytest.approx(pair.clustered.se, rel=1e-9)
    assert found.verdict == "one seed: no variance known"
    assert found.p_adjusted is None
    assert "one seed: no variance known" in "; ".join(found.notes)


def test_parity_needs_a_margin_that_holds(make_run):
    label, truth, user = rows(4000)
    runs = []
    for s in (1, 2, 3, 4, 5):
        same = truth + np.random.default_rng(s).normal(size=4000)
        runs.append(make_run("base", s, label, same, user))
        runs.append(make_run("twin", s, label, same + 0.001 * np.random.default_rng(s + 9).normal(size=4000), user))
    assert entry(compare_study(runs, "base", margin=Margin(size=20)), "twin").verdict == "parity"
    assert entry(compare_study(runs, "base", margin=Margin(size=0.001)), "twin").verdict == "not shown"


def test_two_seeds_say_how_wide_they_are(make_run):
    found = entry(compare_study(study(make_run, {"base": 1.0, "other": 0.9}, seeds=(1, 2)), "base"), "other")
    assert any("takes 12.7 of their standard errors" in note and "covers up to 98%" in note for note in found.notes)


def test_repeats_of_a_seed_are_one_seed(make_run):
    runs = study(make_run, {"base": 1.0, "other": 0.9}, seeds=(1,)) * 3
    runs += study(make_run, {"base": 1.0, "other": 0.9}, seeds=(1,))
    found = entry(compare_study(runs, "base"), "other")
    assert found.shared_seeds == [1]
    assert found.verdict == "one seed: no variance known"
    assert found.run_ids[1] == runs[-1].run_id  # the newest


def test_other_rows_are_refused_with_the_reason(make_run):
    label, truth, user = rows(300)
    base = [make_run("base", s, label, truth, user) for s in (1, 2)]
    moved = [make_run("moved", s, label, truth, user, row_id=np.arange(300) + 7) for s in (1, 2)]
    foreign = [make_run("foreign", s, label, truth, user, fingerprint="0" * 16) for s in (1, 2)]
    flipped = [make_run("flipped", s, 1 - label, truth, user) for s in (1, 2)]
    found = compare_study([*base, *moved, *foreign, *flipped], "base")
    for name, word in (("moved", "same rows"), ("foreign", "different data"), ("flipped", "different labels")):
        assert entry(found, name).verdict == "not comparable"
        assert word in "; ".join(entry(found, name).notes)
    with pytest.raises(StudioError, match="same rows"):
        compare_runs(base[0], moved[0])


def test_runs_that_share_a_name_but_not_settings_are_no_repeats(make_run):
    label, truth, user = rows(300)
    runs = [make_run("base", s, label, truth, user) for s in (1, 2)]
    runs += [make_run("mixed", 1, label, truth, user), make_run("mixed", 2, label, truth, user, config={"lr": "0.1"})]
    found = entry(compare_study(runs, "base"), "mixed")
    assert found.summary is None and found.verdict == "not comparable"
    assert "differ in settings" in found.notes[0]


def test_seeds_without_a_partner_are_left_out_and_named(make_run):
    runs = study(make_run, {"base": 1.0}, seeds=(1, 2, 3)) + study(make_run, {"other": 0.9}, seeds=(2, 3, 4))
    found = entry(compare_study(runs, "base"), "other")
    assert found.shared_seeds == [2, 3]
    assert "left out: 1, 4" in found.notes[0]
    apart = study(make_run, {"base": 1.0}, seeds=(1,)) + study(make_run, {"other": 0.9}, seeds=(2,))
    assert "no seed in common" in entry(compare_study(apart, "base"), "other").notes[0]


def test_unfinished_and_absent_references(make_run):
    runs = study(make_run, {"base": 1.0, "other": 0.9}, seeds=(1, 2))
    found = compare_study([r for r in runs if r.configuration != "base"], "base")
    assert "no finished run" in found.notes[0]
    assert compare_study([], "base").configurations == []


def test_log_loss_is_better_when_lower_and_gauc_has_users(make_run):
    runs = study(make_run, {"base": 3.0, "good": 0.2}, seeds=(1, 2, 3, 4))
    for metric in ("logloss", "gauc", "brier", "normalised_entropy", "pr_auc", "ece"):
        found = entry(compare_study(runs, "base", metric=metric), "good")
        assert found.verdict == "better", metric
        assert (found.difference.estimate < 0) == (metric not in ("gauc", "pr_auc"))
        assert {c.name for c in found.difference.components} == {"users", "seeds"}


def test_one_label_is_undefined_not_a_crash(make_run):
    label = np.ones(50, int)
    runs = [make_run(name, s, label, np.arange(50.0)) for name in ("base", "other") for s in (1, 2)]
    found = compare_study(runs, "base")
    assert entry(found, "other").summary is None
    assert "undefined for 2 of 2 seeds" in entry(found, "other").notes[0]


def test_bad_requests_are_sentences(make_run):
    with pytest.raises(UsageError, match="no metric 'accuracy'"):
        compare_study([], "base", metric="accuracy")
    for metric in ("logloss", "brier", "normalised_entropy"):
        with pytest.raises(UsageError, match="is relative"):
            compare_study([], "base", metric=metric, margin=Margin(size=20))
    with pytest.raises(UsageError, match="biased upward"):
        compare_study([], "base", metric="ece", margin=Margin(size=1, unit="%"))


def test_comparisons_are_cached_by_their_runs(make_run, monkeypatch):
    runs = study(make_run, {"base": 1.0, "other": 0.9})
    first = compare_study(runs, "base")
    monkeypatch.setattr(predictions, "_read", lambda *_: pytest.fail("read again"))
    assert compare_study(runs, "base") == first
    with pytest.raises(pytest.fail.Exception):
        compare_study(runs, "base", metric="logloss")


def test_missing_predictions_leave_the_seeds(make_run):
    runs = study(make_run, {"base": 1.0, "other": 0.9})
    (runs[0].directory / "predictions" / "test.parquet").unlink()
    found = entry(compare_study(runs, "base"), "other")
    assert [c.name for c in found.difference.components] == ["seeds"]
    assert "has no predictions/test.parquet" in "; ".join(found.notes)
    assert (found.verdict, found.difference.p, found.p_adjusted, found.equivalence) == ("not shown", None, None, None)
    assert "is not known" in found.undecided


def test_no_configuration_is_better_by_chance(make_run):
    """Configurations that differ by seed noise alone: the family's false alarms stay near 5%."""
    label, truth, user = rows(400)
    wrong = 0
    for trial in range(25):
        runs = [
            make_run(name, s, label, truth + np.random.default_rng([trial, s, i]).normal(size=400), user)
            for i, name in enumerate(("base", "a", "b"))
            for s in (1, 2, 3)
        ]
        wrong += any(c.verdict in ("better", "worse") for c in compare_study(runs, "base").configurations)
    assert wrong <= 4  # P(more | 5%) is below 1%


def test_two_runs(make_run):
    runs = study(make_run, {"a": 0.3, "b": 3.0}, seeds=(1,))
    found = compare_runs(runs[0], runs[1], replicates=200)
    label = rows()[0]
    logits = [predictions.load_predictions(r.run_id, "test")["logit"].to_numpy() for r in runs]
    assert found.delong.estimate == pytest.approx(auc(label, logits[0]) - auc(label, logits[1]))
    assert found.verdict == "better"
    assert found.bootstrap.low < found.delong.estimate < found.bootstrap.high
    assert "another seed" in found.notes[-1]


def test_rows_without_users(make_run):
    label, truth, _ = rows(300)
    runs = [make_run(n, 1, label, truth + k, np.zeros(300)) for n, k in (("a", 0.0), ("b", np.arange(300) / 99))]
    found = compare_runs(runs[0], runs[1])
    assert found.clustered is None and "no users" in found.notes[0]
    assert entry(compare_study(runs, "a"), "b").difference.components[0].name == "rows"


def test_it_is_said_who_is_not_above_chance(make_run):
    label, truth, user = rows()
    noise = np.random.default_rng(5)
    blind = [make_run(n, s, label, noise.normal(size=1500), user) for n in ("a", "b") for s in (1, 2, 3)]
    found = " ".join(compare_study(blind, "a").chance)
    assert "No configuration is above chance" in found and "Log loss is not below" in found
    seeing = [make_run("sees", s, label, truth, user) for s in (1, 2, 3)]
    some = compare_study([*blind, *seeing], "a", metric="gauc").chance
    assert some[0].endswith("reaches 0.5): a, b.") and "sees" not in " ".join(some)
    assert compare_study(seeing, "sees").chance == []
    turned = [make_run("turned", s, label, -truth, user) for s in (1, 2, 3)]
    found = compare_study([*seeing, *turned], "sees").chance
    assert found[0].startswith("Below chance (the whole 95% interval of AUC lies below 0.5): turned.")
    assert not any("reaches 0.5" in one for one in found)


@given(st.lists(st.floats(0.0001, 1), min_size=1, max_size=5), st.integers(0, 31), st.integers(0, 3))
def test_no_word_for_a_difference_given_early_is_ever_taken_back(p_values, waiting_for_seeds, absent):
    """While some comparisons wait for seeds the others are adjusted as if those had p = 1: no less than at the end."""

    def decided(interim, waiting):
        entries = [
            ComparedConfiguration(
                configuration=str(i), preset="", model="", run_ids={}, values={}, shared_seeds=[1, 2],
                difference=sig_of(p), difference_seeds=sig_of(p), interim="1 of 2" if interim(i) else None,
            )
            for i, p in enumerate(p_values)
        ]  # fmt: skip
        out = StudyComparison(reference="r", split="test", metric="auc", configurations=entries)
        decide(out, waiting=waiting)
        return out.configurations

    def sig_of(p):
        return Difference(estimate=1.0, se=1.0, low=0.0, high=2.0, covers="", method="", p=p)

    early = decided(lambda i: waiting_for_seeds >> i & 1, absent)
    final = decided(lambda i: False, absent)
    for before, after in zip(early, final, strict=True):
        if before.interim:
            assert before.verdict == "interim"
        elif before.verdict == "better":
            assert after.verdict == "better"


def items_study(home, make_run, items=40, seeds=(1, 2, 3)):
    """Runs on a data set whose items have errors of their own in each configuration, whatever the seed."""
    from mdaf_core.analysis import items as module

    rng = np.random.default_rng(4)
    n = 3000
    user, item = rng.integers(0, 300, n), rng.integers(0, items, n)
    label = (rng.random(n) < 0.3).astype(int)
    runs = [
        make_run(name, s, label, label * 0.6 + rng.normal(size=n) + own[item], user)
        for name, own in (("base", rng.normal(size=items)), ("other", rng.normal(size=items)))
        for s in seeds
    ]
    return runs, item, module


def test_intervals_can_cover_other_items(home, make_run, monkeypatch):
    runs, item, module = items_study(home, make_run)
    monkeypatch.setattr(module, "item_codes", lambda run, split: item)
    from mdaf_core.analysis import sampling

    monkeypatch.setattr(sampling, "item_codes", lambda run, split: item)
    given, over = compare_study(runs, "base"), compare_study(runs, "base", over_items=True)
    one, both = entry(given, "other"), entry(over, "other")
    assert one.difference.covers == "other seeds and other users, on these items"
    assert both.difference.covers == "other seeds, other users and other items"
    assert [c.name for c in both.difference.components] == ["users and items", "seeds"]
    assert both.difference.estimate == one.difference.estimate
    assert both.difference.se > 1.4 * one.difference.se  # 40 items, each with an error of its own
    assert (given.items.items, given.over_items, over.over_items) == (40, False, True)
    assert "--items" in "; ".join(given.notes) and "--items" not in "; ".join(over.notes)
    one_seed = entry(compare_study([r for r in runs if r.seed == 1], "base", over_items=True), "other")
    assert one_seed.difference.covers == "other users and other items, with these trained models"


def test_without_their_data_set_items_are_not_known(make_run):
    runs = study(make_run, {"base": 1.0, "other": 0.9})
    found = compare_study(runs, "base", over_items=True)
    assert not found.over_items and "cannot cover other items: Data set 'toy'" in "; ".join(found.notes)
    assert entry(found, "other").difference.covers == "other seeds and other users"


def test_two_way_variance_is_that_of_cameron_gelbach_and_miller():
    from mdaf_core.analysis.items import crossed
    from mdaf_core.analysis.sampling import two_way
    from mdaf_core.metrics import jackknife

    rng = np.random.default_rng(6)
    n = 600
    user, item = rng.integers(0, 40, n), rng.integers(0, 25, n)
    _, user = np.unique(user, return_inverse=True)
    value = rng.normal(size=(2, n)) + rng.normal(size=40)[user] + rng.normal(size=25)[item]
    pair = crossed(user, item)
    assert len(np.unique(pair)) == len({(u, i) for u, i in zip(user, item, strict=True)})
    errors = [np.stack([jackknife.mean_errors(v, c) for v in value]) for c in (user, item, pair)]
    component, shared = two_way(*errors, (40, 25))
    c = errors[0] @ errors[0].T + errors[1] @ errors[1].T - errors[2] @ errors[2].T
    assert component.variance == pytest.approx(c.mean()) and shared.variance == pytest.approx(c[0, 1])
    assert component.df <= 24
    zero = np.zeros((1, 3))
    alone, none = two_way(np.array([[0.1, -0.1, 0.0]]), zero, np.array([[0.5, 0.0, 0.0]]), (3, 3))
    assert alone.variance == pytest.approx(0.02) and none is None  # never below that of one alone


def test_few_effective_users_are_said(make_run):
    label, truth, user = rows(900)
    user = np.where(np.arange(900) % 2 == 0, 0, user)
    runs = [make_run(n, s, label, truth + k, user) for n, k in (("base", 0), ("other", 0.1)) for s in (1, 2)]
    found = compare_study(runs, "base")
    assert found.sample.largest_user == pytest.approx(0.5, abs=0.02) and found.sample.effective_users < 4.1
    assert any("worth 4.0 users of equal size" in note or "worth 3.9" in note for note in found.notes)
    assert runs[0].result.test.effective_users == found.sample.effective_users


def test_ece_says_that_it_is_biased(make_run):
    runs = study(make_run, {"base": 1.0, "other": 0.9})
    assert "biased upward" in "; ".join(compare_study(runs, "base", metric="ece").notes)


def test_seeds_that_agree_by_chance_give_no_verdict_of_ece(make_run):
    """Two models alike but for an error of each user that all seeds share: the seeds' t test is certain, and wrong."""
    wrong = 0
    for trial in range(40):
        rng = np.random.default_rng([7, trial])
        user = rng.integers(0, 150, 900)
        z = rng.normal(size=900) - 1
        label = (rng.random(900) < 1 / (1 + np.exp(-z))).astype(int)
        runs = []
        for name in ("base", "other"):
            own = z + 0.5 * rng.normal(size=150)[user] + 0.5 * rng.normal(size=900)
            runs += [make_run(name, s, label, own + 0.02 * rng.normal(size=900), user) for s in (1, 2, 3)]
        wrong += entry(compare_study(runs, "base", metric="ece"), "other").verdict in ("better", "worse")
    assert wrong <= 6  # P(more | 5%) is below 1%; the t test over seeds alone is wrong in about half


def test_one_users_positives_decide_nothing_between_two_runs(make_run):
    """DeLong's test of rows would be certain; what other users would do is not known."""
    rng = np.random.default_rng(8)
    user = np.repeat(np.arange(20), 20)
    label = (user == 0).astype(int)
    a, b = (make_run(n, 1, label, label * gap + rng.normal(size=400), user) for n, gap in (("a", 2.0), ("b", 0.0)))
    found = compare_runs(a, b, margin_bp=5000, replicates=50)
    assert found.delong.p < 0.001 and found.clustered is None and found.equivalence is None
    assert found.verdict == "not shown" and "is not known" in found.notes[0]
