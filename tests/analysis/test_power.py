"""Power: rows and seeds against SciPy and against simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mdaf_core.analysis import power
from mdaf_core.analysis import significance as sig
from mdaf_core.analysis.comparison import compare_study
from mdaf_core.analysis.significance import Component
from mdaf_core.base.errors import UsageError
from mdaf_core.metrics.values import Undefined
from tests.analysis.test_comparison import study


def test_seeds_needed_have_the_power_of_the_noncentral_t():
    def found(n: int) -> float:
        """How often a t test of n differences finds an effect of one standard deviation."""
        beyond, centre = stats.t.ppf(0.975, n - 1), np.sqrt(n)
        return float(stats.nct.sf(beyond, n - 1, centre) + stats.nct.cdf(-beyond, n - 1, centre))

    n = power.seeds_needed(0.001, 10)
    assert found(n) >= 0.8 > found(n - 1)
    with pytest.raises(Undefined, match="1,000 seeds"):
        power.seeds_needed(0.01, 1)


def test_rows_needed_gives_the_power_it_promises():
    test = sig.difference(0.0, [Component(name="users", variance=1e-6)], "", "")
    n = power.rows_needed(test, 10_000, difference_bp=20)
    rng = np.random.default_rng(9)
    se = np.sqrt(1e-6 * 10_000 / n)
    assert (np.abs(rng.normal(0.002, se, 20_000)) > 1.96 * se).mean() == pytest.approx(0.8, abs=0.01)


def test_detectable_is_found_as_often_as_it_says():
    components = [Component(name="users", variance=1e-6), Component(name="seeds", variance=1e-6, df=9)]
    test = sig.difference(0.0, components, "", "")
    rng = np.random.default_rng(3)
    found = 0
    for _ in range(4000):
        seeds = rng.normal(power.detectable(test), 1e-3 * np.sqrt(10), 10)
        parts = [components[0], sig.seed_component(seeds)]
        found += abs(seeds.mean() + 1e-3 * rng.normal()) > sig.half_width(parts, 0.05)
    assert found / 4000 == pytest.approx(0.8, abs=0.05)


def test_power_of_a_study(make_run):
    compared = compare_study(study(make_run, {"base": 1.0, "other": 0.9, "twin": 1.0}), "base")
    found = power.power_of(compared, 20)
    assert {n.configuration for n in found.configurations} == {"other", "twin"}
    one = next(n for n in found.configurations if n.configuration == "other")
    entry = next(c for c in compared.configurations if c.configuration == "other")
    exact = power.rows_needed(entry.difference_rows, 1500, 20)
    assert one.rows_needed == power.two_digits(exact) and exact <= one.rows_needed < 1.1 * exact
    assert one.sd_seeds == pytest.approx(np.std(list(entry.seed_differences.values()), ddof=1))
    assert one.seeds_needed == power.two_digits(power.seeds_needed(one.sd_seeds, 20))
    wider = power.power_of(compared, 40).configurations[0]
    assert wider.rows_needed == pytest.approx(one.rows_needed / 4, rel=0.2) or wider.configuration != "other"


def test_one_seed_has_rows_but_no_seeds(make_run):
    found = power.power_of(compare_study(study(make_run, {"base": 1.0, "other": 0.9}, seeds=(1,)), "base"), 20)
    assert found.configurations[0].rows_needed and found.configurations[0].seeds_needed is None
    assert "one seed" in found.configurations[0].notes[0]
    with pytest.raises(UsageError, match="above 0"):
        power.power_of(compare_study([], "base"), 0)


def test_needed_numbers_have_two_digits_and_both_are_said_to_be_needed(make_run):
    assert [power.two_digits(n) for n in (2, 99, 100, 101, 1_234_567, 999_999)] == [
        2,
        99,
        100,
        110,
        1_300_000,
        1_000_000,
    ]
    compared = compare_study(study(make_run, {"base": 1.0, "other": 0.98}), "base")
    assert power.power_of(compared, 1).configurations[0].needs_both  # seeds beyond counting
    found = power.power_of(compared, 100).configurations[0]
    assert found.needs_both and "both needed" in " ".join(found.notes)
    easy = power.power_of(compared, 3000).configurations[0]
    assert not easy.needs_both and "both needed" not in " ".join(easy.notes)
