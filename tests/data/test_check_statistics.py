"""The statistics behind checks of the audit, against definitions written out and against data that hold nothing."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy.stats import betabinom
from sklearn.metrics import roc_auc_score

from mdaf_core.data.audit.copies import _copies, _pairs
from mdaf_core.data.audit.groups import _within
from mdaf_core.data.audit.sample import binned, drawn
from mdaf_core.data.audit.scatter import function_of, inside, scatter
from mdaf_core.data.audit.scores import cell_auc, rates_of
from mdaf_core.data.audit.values import pure_values


@pytest.mark.parametrize("seed", range(5))
def test_auc_of_cells_is_that_of_their_rows(seed):
    draw = np.random.default_rng(seed)
    cell, label = draw.integers(0, 9, 300), draw.integers(0, 2, 300)
    order = np.round(draw.random(9), 1)  # some cells tie
    count, positives = np.bincount(cell, minlength=9), np.bincount(cell, label, 9)
    assert cell_auc(order, count, positives) == pytest.approx(roc_auc_score(label, order[cell]), abs=1e-12)


def test_rates_are_those_of_past_rows():
    codes, past, label = np.array([2, 3, 4]), np.array([2, 2, 3, 5]), np.array([1, 0, 1, 0])
    assert rates_of(codes, past, label).tolist() == [(1 + 0.5) / 3, (1 + 0.5) / 2, 0.5]


def test_a_pure_value_has_the_probability_of_a_beta_binomial():
    """One value of n positives beside two values of one rate: the least spread there is, 2%, is taken."""
    rate, total = 0.3, 1 / 0.02 - 1
    codes = np.repeat([0, 1, 2], [1000, 1000, 40])
    label = np.concatenate([np.tile([1, 1, 1, 0, 0, 0, 0, 0, 0, 0], 200), np.ones(40, np.int64)])
    exact = betabinom.pmf(40, 40, rate * total, (1 - rate) * total)
    assert pure_values(codes, label, 3.0001 * exact) == [(2, 1.0, pytest.approx(rate))]
    assert pure_values(codes, label, 2.9999 * exact) == []


@pytest.mark.parametrize("spread", [0.0, 0.6, 1.5])
def test_values_of_honest_inputs_are_not_decisive(spread):
    """Rates of values differ as those of items and users do: under one find in a hundred inputs."""
    found = 0
    for seed in range(60):
        draw = np.random.default_rng(seed)
        odds = -1.2 + spread * draw.normal(size=80)
        codes = draw.choice(80, 6000, p=np.arange(1, 81.0) ** -1 / (np.arange(1, 81.0) ** -1).sum())
        label = (draw.random(6000) < 1 / (1 + np.exp(-odds[codes]))).astype(np.int64)
        found += bool(pure_values(codes, label, 1e-6))
    assert found == 0


def _groups(seed: int, groups: int = 150) -> tuple[np.ndarray, ...]:
    draw = np.random.default_rng(seed)
    rate = 1 / (1 + np.exp(1.2 - 0.7 * draw.normal(size=groups)))
    rows = draw.integers(2, 60, groups)
    return rate, rows, draw.binomial(rows, rate), draw.binomial(draw.integers(2, 60, groups), rate)


def test_scatter_about_what_does_not_know_the_labels_is_that_of_chance():
    improbable, ratios = 0, []
    for seed in range(200):
        rate, rows, positives, _ = _groups(seed)
        ratio, flagged = scatter(rate, rows, positives, 1e-3)  # the true rates themselves
        ratios.append(ratio)
        improbable += flagged
    assert improbable <= 2 and np.mean(ratios) > 0.8


@pytest.mark.parametrize("prior", [0.0, 3.0, 20.0])
@pytest.mark.parametrize("shape", [lambda x: x, np.log1p, lambda x: 5 * x - 2])
def test_scatter_about_a_rate_made_of_the_labels_is_none(prior, shape):
    for seed in range(3):
        _, rows, positives, _ = _groups(seed)
        base = positives.sum() / rows.sum()
        ratio, flagged = scatter(shape((positives + prior * base) / (rows + prior)), rows, positives, 1e-9)
        assert flagged and ratio < 0.1


def test_labels_that_never_scatter_say_nothing_of_a_score():
    """One click on each page."""
    rows, positives = np.full(200, 8), np.ones(200, np.int64)
    assert scatter(np.random.default_rng(0).random(200), rows, positives, 1e-3) == (np.inf, False)
    few = np.array([15, 5, 15, 15, 9, 5, 15, 9, 9, 9, 9])  # pages of few users, one click on each
    for seed in range(300):
        hours = np.random.default_rng(seed).integers(0, 24, len(few)).astype(float)
        assert scatter(hours, few, np.ones(len(few), np.int64), 1e-6) == (np.inf, False)


def test_rates_that_go_with_the_sizes_alone_say_nothing_of_a_score():
    """A part without clicks, judged together with an earlier one: what has clicks has more rows."""
    score = np.random.default_rng(0).random(600)
    rows = np.where(np.arange(600) == 7, 2, 1)
    assert not scatter(score, rows, (rows == 2).astype(int), 1e-6)[1]
    for seed in range(50):
        draw = np.random.default_rng(seed)
        earlier = draw.poisson(0.3, 600)
        positives = draw.binomial(earlier, 0.3)
        assert not scatter(draw.random(600), 1 + earlier, positives, 1e-6)[1]
        assert not scatter(earlier + draw.random(600), 1 + earlier, positives, 1e-6)[1]


def test_counts_are_told_from_what_merely_goes_with_them():
    draw = np.random.default_rng(0)
    count = draw.integers(1, 40, 300)
    assert function_of(np.log1p(count), count) and function_of(-3.0 * count, count)
    assert not function_of(np.log1p(count) + draw.normal(0, 0.05, 300), count)
    assert not function_of(draw.permutation(count).astype(float), count)


def test_auc_within_groups_is_that_of_their_pairs():
    draw = np.random.default_rng(1)
    group, label, value = draw.integers(0, 12, 600), draw.integers(0, 2, 600), np.round(draw.normal(size=600), 1)
    wins = pairs = 0.0
    for g in range(12):
        up, down = value[(group == g) & (label == 1)], value[(group == g) & (label == 0)]
        wins += float((up[:, None] > down).sum() + 0.5 * (up[:, None] == down).sum())
        pairs += len(up) * len(down)
    assert inside(value, group, label) == pytest.approx(wins / pairs, abs=1e-12)


def test_share_of_variance_within_groups():
    draw = np.random.default_rng(2)
    codes = draw.integers(0, 200, 4000)
    label = (draw.random(4000) < 0.3).astype(np.int64)
    assert _within(codes, label, 0) == pytest.approx(1, abs=0.1)
    frame = pl.DataFrame({"g": codes, "y": label}).filter(pl.len().over("g") > 1)
    mean = pl.col("y").mean().over("g")
    squares = frame.select(((pl.col("y") - mean) ** 2).sum()).item()
    expected = squares / (len(frame) - frame["g"].n_unique()) / (frame["y"].mean() * (1 - frame["y"].mean()))
    assert _within(codes, label, 0) == pytest.approx(expected)
    assert _within(codes, (codes % 3 == 0).astype(np.int64), 0) == 0


def test_pairs_of_equal_rows_and_whether_they_are_copies():
    assert _pairs(np.array([5, 9, 5, 7, 9, 5], np.uint64)).tolist() == [[0, 2], [2, 5], [1, 4]]
    draw = np.random.default_rng(3)
    label = (draw.random(4000) < 0.25).astype(np.int64)
    pairs = np.arange(400).reshape(-1, 2)
    assert not _copies(pairs, label), "rows of their own"
    label[pairs[:, 1]] = label[pairs[:, 0]]
    assert _copies(pairs, label)
    assert not _copies(pairs[:5], label), "five pairs agree by chance"


@pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 20_000])
def test_drawn_rows_are_in_order_and_of_both_kinds(size):
    at = drawn(size, 100)
    assert len(at) == min(size, 100) and (np.diff(at) > 0).all() and (not size or 0 <= at[0] <= at[-1] < size)
    if size == 20_000:
        assert 30 < (at % 2).sum() < 70, "every second row would be a negative where labels alternate"


def test_numbers_as_codes_keep_order_and_points():
    draw = np.random.default_rng(4)
    values = np.concatenate([np.zeros(500), draw.normal(size=2000), np.full(50, np.nan)]).astype(np.float32)
    coded = binned(values)
    assert coded.missing == 0 and (coded.codes[np.isnan(values)] == 0).all()
    assert len(np.unique(coded.codes[values == 0])) == 1 and coded.words[coded.codes[0]] == "0"
    rest = ~np.isnan(values) & (values != 0)
    order = np.argsort(values[rest])
    assert (np.diff(coded.codes[rest][order]) >= 0).all()
    assert max(np.bincount(coded.codes[rest])) <= 110
