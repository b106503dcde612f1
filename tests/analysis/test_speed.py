"""Ratios of times: the interval and the p against independent definitions, words only where both agree."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from mdaf_core.analysis.speed import compare_speed, median_interval, sign_test
from mdaf_core.predicting.measured import Cell, Measured, SpeedSettings, Subject


@given(st.lists(st.floats(0.01, 100), min_size=0, max_size=40, unique=True), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_the_interval_is_the_narrowest_that_covers(values, level):
    """Between the k-th value from either end: P(k ≤ Bin(n, ½) ≤ n − k) is at least the level, and not with k + 1."""
    n, ordered = len(values), sorted(values)
    cover = {k: binom.cdf(n - k, n, 0.5) - binom.cdf(k - 1, n, 0.5) for k in range(1, n // 2 + 1)}
    wide = [k for k, share in cover.items() if share >= level - 1e-12]
    found = median_interval(values, level)
    assert found == ((ordered[max(wide) - 1], ordered[n - max(wide)]) if wide else None)


def test_six_rounds_are_the_fewest_that_give_an_interval():
    assert median_interval([1.0, 2.0, 3.0, 4.0, 5.0]) is None
    assert median_interval([3.0, 1.0, 2.0, 6.0, 5.0, 4.0]) == (1.0, 6.0)


@given(st.lists(st.sampled_from([0.5, 0.9, 1.0, 1.5]), min_size=1, max_size=30))
def test_the_sign_test(ratios):
    apart = [ratio for ratio in ratios if ratio != 1]
    wanted = binomtest(sum(r < 1 for r in apart), len(apart)).pvalue if apart else 1.0
    assert sign_test(ratios) == pytest.approx(wanted)


def test_the_interval_holds_the_median_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = [low <= 1 <= high for low, high in (median_interval(rng.lognormal(0, 0.4, 20)) for _ in range(2000))]
    assert np.mean(hits) == pytest.approx(0.9586, abs=0.015)  # of 20 values: the sixth from either end


def measured(times: dict[tuple[str, str], list[float]], reference: str = "slow") -> Measured:
    """One task, all ways."""
    cells = [
        Cell(configuration=name, threads=1, way=way, events=100, rows=10, p50=np.median(rounds), p99=max(rounds),
             cpu=min(rounds), calls=len(rounds), rounds=rounds)
        for (name, way), rounds in times.items()
    ]  # fmt: skip
    names = dict.fromkeys(name for name, _ in times)
    return Measured(
        title="", dataset="d", fingerprint="f", reference=reference, settings=SpeedSettings(events=[100]),
        subjects=[Subject(configuration=name, run_id=name, seed=1, model="m") for name in names], cells=cells,
        machine={}, began="2026-01-01T00:00:00", seconds=1.0,
    )  # fmt: skip


def test_who_is_held_against_whom_and_what_is_said():
    rng = np.random.default_rng(1)
    drift = np.exp(rng.normal(0, 1, 20))  # of the machine: the same for all in a round
    slow, fast = (drift * scale * np.exp(rng.normal(0, 0.1, 20)) for scale in (4.0, 1.0))
    same = drift * 4.0 * np.where(np.arange(20) % 2, 1.01, 0.99)
    found = compare_speed(
        measured({("slow", "raw"): list(slow), ("fast", "raw"): list(fast), ("fast", "kept"): list(fast / 10),
                  ("same", "raw"): list(same * slow / (drift * 4.0))})
    )  # fmt: skip
    said = {(r.configuration, r.way, r.against, r.against_way): r for r in found}
    assert set(said) == {
        ("fast", "raw", "slow", "raw"), ("fast", "kept", "slow", "raw"), ("fast", "kept", "fast", "raw"),
        ("same", "raw", "slow", "raw"),
    }  # fmt: skip
    ratio = said["fast", "raw", "slow", "raw"]
    assert ratio.verdict == "faster" and ratio.low < ratio.ratio < ratio.high < 1
    assert ratio.ratio == pytest.approx(np.median(fast / slow))
    assert said["fast", "kept", "fast", "raw"].ratio == pytest.approx(0.1)
    assert said["same", "raw", "slow", "raw"].verdict == "not shown"
    adjusted = sorted((r.p, r.p_adjusted) for r in found)
    assert all(p <= after for p, after in adjusted) and all(a[1] <= b[1] for a, b in pairwise(adjusted))
    back = compare_speed(measured({("slow", "raw"): list(slow), ("fast", "raw"): list(fast)}), "fast")
    assert [(r.configuration, r.verdict) for r in back] == [("slow", "slower")]


def test_few_rounds_or_many_comparisons_give_no_word():
    few = compare_speed(measured({("slow", "raw"): [4.0] * 5, ("fast", "raw"): [1.0] * 5}))
    assert [(r.low, r.verdict) for r in few] == [(None, "not shown")]
    many = {("slow", "raw"): [4.0] * 6} | {(f"m{i}", "raw"): [1.0] * 6 for i in range(3)}
    found = compare_speed(measured(many))
    assert all(r.high == 0.25 and r.p == 2 / 64 and r.p_adjusted == pytest.approx(6 / 64) for r in found)
    assert {r.verdict for r in found} == {"not shown"}, "after Holm's adjustment"
