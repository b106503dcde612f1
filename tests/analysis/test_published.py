"""Other people's results: what their figures can carry, against SciPy's own tests on the same numbers."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mdaf_core.analysis.published.audit import audit
from mdaf_core.analysis.published.cells import cells_of
from mdaf_core.analysis.published.choices import at_least, expected_at
from mdaf_core.analysis.published.ladder import spearman
from mdaf_core.base.errors import UsageError
from mdaf_core.reporting.paper.published import paper_table, paragraph, sentences
from mdaf_core.runs.published.metric import metric_of
from mdaf_core.runs.published.opened import preset
from mdaf_core.runs.published.table import Published, Run

SEEDS = ["1", "2", "3", "4", "5"]


def made(models, shown=None, data_set="d", val=None, metric="auc", setting=""):
    """Runs of (model → test figures by seed)."""
    return [
        Run(
            data_set,
            model,
            setting,
            seed,
            {} if val is None else {metric: val[model][i]},
            {metric: figures[i]},
            {} if shown is None else {metric: shown[model]},
            {} if shown is None else {metric: 4},
        )
        for model, figures in models.items()
        for i, seed in enumerate(SEEDS[: len(figures)])
    ]


def table(runs, metric="auc"):
    return Published(sorted(runs, key=lambda run: run.key), {metric: metric_of(metric, metric, [])})


def of(found, name):
    return next(one for one in found.data_sets if one.name == name)


def holm(p):
    order = np.argsort(p)
    stepped = np.maximum.accumulate(np.minimum(1, np.array(p)[order] * np.arange(len(p), 0, -1)))
    return stepped[np.argsort(order)]


# ---- the leaderboards that ship --------------------------------------------------------------------------------------


def test_what_the_leaderboards_of_bars_hold():
    found = audit(preset("bars"))
    seeds, test = found.best_of_seeds, found.chosen_on_test
    assert (seeds.seed, seeds.seed_in, seeds.of_a_seed, len(seeds.groups), seeds.best) == ("2021", 31, 31, 31, 18)
    assert seeds.chance == pytest.approx(stats.binom.sf(17, 31, 0.2), rel=1e-9)
    assert (round(seeds.optimism_bp, 1), round(seeds.largest_bp, 1), seeds.largest) == (4.7, 23.8, "AFN+ on frappe_x1")
    assert (test.identical, test.identical_in_sets, len(test.identical_sets)) == (67, 67, 4)
    avazu, criteo = of(found, "avazu_x1"), of(found, "criteo_x1")
    assert {lead.verdict for lead in avazu.leads} == {"not shown"} and round(avazu.rank_correlation, 2) == -0.39
    lead = next(lead for lead in criteo.leads if lead.model == "DNN")
    assert criteo.reference == "AFN+" and round(lead.difference.estimate * 1e4, 1) == 4.9
    assert (round(lead.difference.p, 4), round(lead.p_holm, 3), lead.verdict) == (0.0004, 0.002, "worse")
    text = " ".join(sentence.text for sentence in paragraph(found))
    for said in (
        "In 31 of 31 pairs with 5 seeds",
        "seed 2021",
        "18 of 31",
        "3.6e-6",
        "4.7 bp better",
        "23.8 bp (AFN+ on",
    ):
        assert said in text
    assert "No margin was set, so parity was not tested" in text and "reported" in text


# ---- against SciPy ---------------------------------------------------------------------------------------------------


@given(st.lists(st.lists(st.integers(0, 10_000), min_size=5, max_size=5), min_size=3, max_size=6, unique_by=tuple))
@settings(max_examples=20, deadline=None)
def test_leads_are_paired_t_tests_with_holms_adjustment(figures):
    models = {f"m{i}": [0.5 + value / 1e5 for value in row] for i, row in enumerate(figures)}
    found = of(audit(table(made(models))), "d")
    best = found.reference
    assert np.mean(models[best]) == pytest.approx(max(map(np.mean, models.values())))
    expected = []
    for lead in found.leads:
        test = stats.ttest_rel(models[best], models[lead.model])
        assert lead.difference.estimate == pytest.approx(np.mean(models[best]) - np.mean(models[lead.model]), abs=1e-12)
        if lead.difference.p is None or lead.difference.se < 1e-12:
            return
        assert lead.difference.p == pytest.approx(test.pvalue, rel=1e-6)
        low, high = test.confidence_interval()
        assert (lead.difference.low, lead.difference.high) == pytest.approx((low, high), abs=1e-9)
        expected.append(test.pvalue)
    assert [lead.p_holm for lead in found.leads] == pytest.approx(list(holm(expected)), rel=1e-6)


def test_without_common_seeds_two_groups_are_compared():
    runs = made({"a": [0.71, 0.72, 0.73]}) + [
        Run("d", "b", "", f"x{i}", {}, {"auc": v}) for i, v in enumerate((0.6, 0.61))
    ]
    lead = of(audit(table(runs)), "d").leads[0]
    assert not lead.paired and "no seeds in common" in lead.difference.method
    assert lead.difference.se == pytest.approx(
        math.sqrt(np.var([0.71, 0.72, 0.73], ddof=1) / 3 + np.var([0.6, 0.61], ddof=1) / 2)
    )


@given(st.lists(st.floats(0, 1), max_size=9), st.integers(0, 9))
@settings(max_examples=25, deadline=None)
def test_the_chance_of_so_many_is_counted_over_all_outcomes(chances, successes):
    total = sum(
        math.prod(c if hit else 1 - c for c, hit in zip(chances, hits, strict=True))
        for hits in itertools.product((0, 1), repeat=len(chances))
        if sum(hits) >= successes
    )
    assert at_least(successes, chances) == pytest.approx(total, abs=1e-12)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=12))
@settings(max_examples=25, deadline=None)
def test_rank_correlation_is_scipys(pairs):
    a, b = zip(*pairs, strict=True)
    mine = spearman(a, b)
    if mine is None:
        assert len(set(a)) == 1 or len(set(b)) == 1
    else:
        assert mine == pytest.approx(stats.spearmanr(a, b).statistic)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=6), st.data())
@settings(max_examples=20, deadline=None)
def test_equal_budgets_are_the_mean_over_all_draws(figures, data):
    budget = data.draw(st.integers(1, len(figures)))
    runs = [Run("d", "m", f"s{i}", "", {"auc": v / 10}, {"auc": t / 10}) for i, (v, t) in enumerate(figures)]
    cell = cells_of(runs, metric_of("auc", "AUC", []), repeats=False)[0]
    order = sorted(runs, key=lambda run: (-run.val["auc"], run.setting))
    picked = [next(r for r in order if r in draw).test["auc"] for draw in itertools.combinations(runs, budget)]
    assert expected_at(cell, budget) == pytest.approx(np.mean(picked))


# ---- shown figures ---------------------------------------------------------------------------------------------------

FIGURES = {"a": [0.71111, 0.72222, 0.70333], "b": [0.65111, 0.62222, 0.64333], "c": [0.55, 0.57, 0.53]}


def test_means_that_are_shown_are_called_so():
    found = audit(table(made(FIGURES, {m: round(float(np.mean(v)), 4) for m, v in FIGURES.items()}))).best_of_seeds
    assert (found.means, found.of_a_seed, found.seed, found.chance) == (3, 0, None, None)


def test_best_seeds_of_each_model_are_found_without_a_common_one():
    found = audit(table(made(FIGURES, {m: round(max(v), 4) for m, v in FIGURES.items()}))).best_of_seeds
    assert (found.of_a_seed, found.best) == (3, 3) and found.chance == pytest.approx((1 / 3) ** 3)
    low = {m: [1 - x for x in v] for m, v in FIGURES.items()}
    lower = audit(table(made(low, {m: round(min(v), 4) for m, v in low.items()}, metric="logloss"), "logloss"))
    assert lower.best_of_seeds.best == 3 and lower.best_of_seeds.optimism_bp > 0
    assert of(lower, "d").reference == "a"


def test_a_figure_that_is_no_runs_is_neither():
    found = audit(table(made(FIGURES, {"a": 0.9, "b": 0.9, "c": 0.9}))).best_of_seeds
    assert [group.is_ for group in found.groups] == ["neither"] * 3 and not found.of_a_seed


def test_the_maximum_over_test_runs_is_told_from_the_run_best_on_validation():
    test = {"a": [0.70, 0.71, 0.72], "b": [0.60, 0.62, 0.61], "c": [0.5, 0.51, 0.52]}
    val = {"a": [0.9, 0.8, 0.7], "b": [0.9, 0.8, 0.7], "c": [0.1, 0.2, 0.3]}
    found = audit(table(made(test, {"a": 0.72, "b": 0.60, "c": 0.52}, val=val))).chosen_on_test
    assert [(s.model, s.shown_is) for s in found.selections] == [("a", "best on test"), ("b", "best on validation")]
    assert found.gain_bp == pytest.approx(200) and found.cells == 3


def test_settings_with_seeds_are_chosen_on_validation():
    runs = [
        Run("d", model, setting, seed, {"auc": v}, {"auc": t + int(seed) / 1e4})
        for model, setting, v, t in (("a", "x", 0.8, 0.70), ("a", "y", 0.7, 0.75), ("b", "x", 0.6, 0.6))
        for seed in ("1", "2", "3")
    ]
    found = of(audit(table(runs)), "d")
    first = found.entries[0]
    assert (first.setting, first.settings, first.seeds, found.budget) == ("x", 2, 3, 1)
    assert first.at_equal_budget == pytest.approx(0.7252)


def test_lines_that_name_nothing_are_repeats_only_if_that_is_said():
    runs = [Run("d", "a", "", "", {"auc": v}, {"auc": t}) for v, t in ((0.8, 0.7), (0.7, 0.75))]
    entry = of(audit(table(runs)), "d").entries[0]
    assert (entry.basis, entry.figure, entry.settings) == ("best on validation", 0.7, 2)
    entry = of(audit(table(runs), repeats=True), "d").entries[0]
    assert (entry.basis, entry.figure) == ("mean over repeats", pytest.approx(0.725))


def test_a_seed_with_two_figures_is_said_and_not_paired():
    runs = [*made(FIGURES), Run("d", "a", "", "1", {}, {"auc": 0.9})]
    found = audit(table(runs))
    assert found.kinds.conflicting == ["a on d"]
    assert next(e for e in of(found, "d").entries if e.model == "a").seeds == 1


# ---- the margin ------------------------------------------------------------------------------------------------------


def test_parity_is_tested_within_the_margin_that_is_asked_for_or_proposed():
    rng = np.random.default_rng(0)
    models = {m: list(0.7 + base + 1e-5 * rng.normal(size=5)) for m, base in (("a", 0.001), ("b", 0.0), ("c", -0.05))}
    runs = table(made(models))
    assert all(lead.equivalence is None for lead in of(audit(runs), "d").leads)
    wide = of(audit(runs, margin="20"), "d")
    b = next(lead for lead in wide.leads if lead.model == "b")
    assert b.verdict == "worse" and b.p_parity_holm < 0.05 and "±20 bp" in wide.margin_words
    asked = of(audit(runs, margin="1000"), "d")
    assert "exceeds the whole range" in asked.margin_note
    proposed = of(audit(runs, margin="proposed"), "d")
    assert 0 < proposed.margin < 0.0013 and "proposed" in proposed.margin_words
    assert any("±" in sentence.text for sentence in sentences(audit(runs, margin="proposed"))["method"])


def test_a_share_is_of_the_gain_or_of_the_figure_and_bp_have_no_meaning_for_a_metric_of_its_own_unit():
    found = of(audit(table(made(FIGURES)), margin="1%"), "d")
    assert found.margin == pytest.approx(0.01 * (np.mean(FIGURES["a"]) - 0.5))
    prices = {m: [v * 1e5 for v in values] for m, values in FIGURES.items()}
    rows = Published(made(prices, metric="rmse"), {"rmse": metric_of("rmse", "RMSE", [1e5])})
    with pytest.raises(UsageError, match="no meaning for RMSE"):
        audit(rows, margin="5")
    own = of(audit(rows, margin="1%"), "d")
    assert own.reference == "c" and own.margin == pytest.approx(0.01 * np.mean(prices["c"])) and own.unit == ""
    assert "Lead" in paper_table(own).cells and "bp" not in paper_table(own).latex()


def test_bad_requests_are_sentences():
    runs = table(made(FIGURES))
    for words, asked in (
        ("no metric 'hr'", {"metric": "hr"}),
        ("no model 'z'", {"reference": "z"}),
        ("A margin", {"margin": "x"}),
    ):
        with pytest.raises(UsageError, match=words):
            audit(runs, **asked)


def test_shown_figures_of_settings_without_seeds():
    """Three models of three settings each: two show the best on test, one a figure of none of its runs."""
    test = {"a": [0.70, 0.71, 0.72], "b": [0.60, 0.62, 0.61], "c": [0.5, 0.51, 0.52]}
    shown = {"a": 0.72, "b": 0.62, "c": 0.9}
    runs = [
        Run("d", m, f"s{i}", "", {"auc": 0.9 - i / 10}, {"auc": v}, {"auc": shown[m]}, {"auc": 4})
        for m, values in test.items()
        for i, v in enumerate(values)
    ]
    found = audit(table(runs))
    chosen, one = found.chosen_on_test, of(found, "d")
    assert (chosen.shown_best_on_test, chosen.shown_neither, chosen.chance) == (2, 1, 0.25)
    assert (chosen.shown_cells, chosen.all_best_on_test, chosen.of_no_run) == (3, 2, 1)
    assert (one.ranked, one.ranked_by) == (3, "figures chosen on validation")
    assert one.rank_correlation == pytest.approx(stats.spearmanr([0.72, 0.62, 0.9], [0.70, 0.60, 0.5]).statistic)
    assert found.kinds.several_settings == 3 and not one.leads
    assert "figures chosen on validation: d −0.50 (3 models)" in " ".join(s.text for s in paragraph(found))
