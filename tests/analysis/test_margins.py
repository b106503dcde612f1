"""Margins: what each metric takes, where one comes from, and that knowing nothing is never parity."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdaf_core.analysis import margins
from mdaf_core.analysis.comparison import compare_study
from mdaf_core.analysis.margins import Margin, bp_words, check_margin, parse_margin, propose
from mdaf_core.base.errors import UsageError
from mdaf_core.metrics.registry import metrics
from mdaf_core.runs.split_metrics import split_metrics


@pytest.mark.parametrize(
    ("text", "size", "unit"),
    [
        ("20", 20, "bp"),
        ("20 bp", 20, "bp"),
        ("7.5BP", 7.5, "bp"),
        ("1%", 1, "%"),
        ("±0.5 %", 0.5, "%"),
        ("1e-3", 0.001, "bp"),
    ],
)
def test_a_margin_is_read_and_written(text, size, unit):
    found = parse_margin(text)
    assert (found.size, found.unit) == (size, unit)
    assert parse_margin(found.text).same(found)


def test_no_margin_is_none():
    assert parse_margin("") is None and parse_margin(" None ") is None


@pytest.mark.parametrize("text", ["0", "-1", "0%", "nan", "inf", "wide", "1 %%", "1e999", "20 bq", "1..2"])
def test_what_is_no_margin_is_a_sentence(text):
    with pytest.raises(UsageError, match="a number of bp above 0"):
        parse_margin(text)


def test_every_metric_takes_its_own_kind():
    for metric in [key for key, one in metrics().items() if one.gain]:
        check_margin(Margin(size=1, unit="%"), metric)
    for metric in ("auc", "gauc", "pr_auc"):
        check_margin(Margin(size=20), metric)
    for metric in ("logloss", "brier", "normalised_entropy"):
        with pytest.raises(UsageError, match="is relative"):
            check_margin(Margin(size=20), metric)
    with pytest.raises(UsageError, match="biased upward"):
        check_margin(Margin(size=1, unit="%"), "ece")
    with pytest.raises(UsageError, match="knowing nothing"):
        check_margin(Margin(size=100, unit="%"), "auc")


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 10_000))
def test_a_constant_at_the_base_rate_gains_nothing_in_any_metric(positives, negatives, seed):
    label = np.random.default_rng(seed).permutation([1] * positives + [0] * negatives)
    rate = positives / len(label)
    flat = np.full(len(label), np.log(rate / (1 - rate)))
    found = split_metrics(label, flat, np.zeros(len(label), int))
    for metric in [key for key, one in metrics().items() if one.gain]:
        value = found.value(metric)
        assert value is not None and metrics()[metric].gained(value, rate) == pytest.approx(0, abs=1e-9), metric


def rare(rng, users=400, each=10):
    """Rows at a click rate of about 0.4% whose true logits are known."""
    user = np.repeat(np.arange(users), each)
    logit = -6.2 + 1.2 * rng.normal(size=len(user))
    return (rng.random(len(user)) < 1 / (1 + np.exp(-logit))).astype(int), logit, user


@pytest.mark.parametrize("metric", ["brier", "logloss", "auc"])
def test_a_constant_never_has_parity_with_the_truth_at_the_proposed_margin(make_run, metric):
    """At ± 20 bp the constant had parity in Brier score with the truth in 29 of 40 such studies."""
    words = []
    for study in range(12):
        rng = np.random.default_rng(study)
        label, truth, user = rare(rng)
        if label.sum() < 3:
            continue
        rate = label.mean()
        runs = []
        for seed in (1, 2, 3):
            jitter = 0.02 * rng.normal(size=(2, len(label)))
            runs.append(make_run("truth", seed, label, truth + jitter[0], user))
            runs.append(make_run("constant", seed, label, np.log(rate / (1 - rate)) + jitter[1], user))
        margin = propose(metric, len(label), int(label.sum()), auc=runs[0].result.test.auc).margin
        for reference, other in (("truth", "constant"), ("constant", "truth")):
            found = compare_study(runs, reference, metric=metric, margin=margin)
            words.append(next(c.verdict for c in found.configurations if c.configuration == other))
    assert len(words) >= 20 and "parity" not in words


def test_without_a_margin_no_word_says_parity(make_run):
    label, truth, user = rare(np.random.default_rng(1))
    same = [make_run(name, seed, label, truth, user) for name in ("a", "b") for seed in (1, 2, 3)]
    found = compare_study(same, "a")
    assert [c.verdict for c in found.configurations if c.configuration == "b"] == ["not shown"]
    assert found.margin_words == "no margin set" and "parity is not tested" in " ".join(found.notes)
    with_one = compare_study(same, "a", margin=Margin(size=5, unit="%", origin=margins.AT_LAUNCH))
    assert next(c.verdict for c in with_one.configurations if c.configuration == "b") == "parity"
    assert "5% of the reference's gain over the base rate; set at launch" in with_one.margin_words
    assert with_one.margin_bp == pytest.approx(500 * with_one.gain)  # 5% of it, in bp


def test_a_wide_margin_is_warned_of_and_one_of_no_gain_cannot_be_formed(make_run):
    rng = np.random.default_rng(2)
    label = rng.integers(0, 2, 2000)
    runs = [
        make_run(name, seed, label, k * label + rng.normal(size=2000))
        for name, k in (("good", 0.2), ("blind", 0.0))
        for seed in (1, 2, 3)
    ]
    wide = " ".join(compare_study(runs, "good", margin=Margin(size=60)).notes)
    assert "% of what the reference gains over the base rate (AUC − 0.5" in wide
    assert "More than 5% of it" in wide
    assert "More than 5%" not in " ".join(compare_study(runs, "good", margin=Margin(size=5)).notes)
    nothing = [make_run(n, s, label, rng.normal(size=2000)) for n in ("x", "y") for s in (1, 2)]
    found = compare_study(nothing, "x", metric="logloss", margin=Margin(size=1, unit="%"))
    assert found.margin_bp is None and "cannot be formed" in " ".join(found.notes)


def test_a_proposal_follows_rows_and_gain_and_says_so():
    few, many = propose("auc", 2_000, 100), propose("auc", 50_000_000, 12_000_000, auc=0.81)
    assert few.margin.size == 2 and "hardly show parity" in few.sentence and "assumed" in few.sentence
    assert many.margin.size < 0.5 and "can show" in many.sentence and "earlier runs" in many.sentence
    assert many.margin.half_width(0.31) < 0.0020  # below 20 bp: on large public data that is years of progress
    assert few.margin.origin == margins.PROPOSED
    assert propose("ece", 1000, 100).margin is None and propose("auc", 100, 0).margin is None


def test_bp_of_sentences_have_as_many_digits_as_they_hold():
    assert [bp_words(value) for value in (0.00159855, 5e-4, 0.00125, 0.15)] == ["16", "5", "12.5", "1,500"]
