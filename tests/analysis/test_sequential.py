"""Seeds until decided: the chance to cross at some look, the interval and p value of all looks, and the stops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.special import stdtr

from mdaf_core.analysis.comparison import compare_study
from mdaf_core.analysis.looks import stop
from mdaf_core.analysis.margins import Margin
from mdaf_core.analysis.sequential import UntilDecided, _half_widths, chance_to_decide, crossing
from mdaf_core.analysis.significance import Component, half_width
from tests.analysis.test_comparison import entry, rows, study

UNTIL = UntilDecided(first=3, most=6)


@pytest.fixture(scope="module")
def smallest_p():
    """(R,) smallest p value over looks 3 to 8 of R sequences without a mean, one-sided and two-sided."""
    return smallest_of_looks(60_000, 8)


def smallest_of_looks(sequences: int, most: int) -> dict[int, np.ndarray]:
    """Sides → the smallest p value of looks 3 to `most` of each sequence, drawn without a mean."""
    x = np.random.default_rng(5).normal(size=(sequences, most))
    n = np.arange(1, most + 1)
    mean = x.cumsum(1) / n
    with np.errstate(divide="ignore", invalid="ignore"):
        t = mean / np.sqrt(((x**2).cumsum(1) - n * mean**2) / (n - 1) / n)
        return {1: stdtr(n - 1, -t)[:, 2:].min(1), 2: (2 * stdtr(n - 1, -abs(t)))[:, 2:].min(1)}


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("p", [0.001, 0.01, 0.05, 0.3, 0.9])
def test_the_chance_that_some_look_crosses_is_that_of_simulated_sequences(smallest_p, p, sides):
    simulated = (smallest_p[sides] <= p).mean()
    assert crossing(p, 3, 8, sides) == pytest.approx(simulated, abs=4 * np.sqrt(simulated / 60_000) + 1e-4)


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("most", [40, 60, 100])
def test_so_it_is_of_as_many_looks_as_there_may_be(sides, most):
    found = smallest_of_looks(15_000, most)[sides]
    for p in (0.003, 0.05):
        simulated = (found <= p).mean()
        assert crossing(p, 3, most, sides) == pytest.approx(simulated, abs=4 * np.sqrt(simulated / 15_000))


def test_one_look_is_the_test_itself_and_each_further_one_costs():
    for sides in (1, 2):
        assert crossing(0.03, 5, 5, sides) == pytest.approx(0.03, abs=1e-5)
    found = [crossing(0.03, 3, most) for most in (3, 4, 8, 20, 50, 70, 100)]
    assert found == sorted(found) and found[3] < 17 * 0.03
    assert (crossing(0.0, 3, 9), crossing(1.0, 3, 9)) == (0.0, 1.0)
    assert UNTIL.adjusted(None) is None
    for alpha, sides in ((0.05, 2), (0.05, 1), (0.05 / 3, 2)):
        assert UNTIL.adjusted(UNTIL.nominal(alpha, sides), sides) == pytest.approx(alpha, rel=2e-3)


def test_looks_are_in_order_and_bounded():
    with pytest.raises(ValidationError, match="fewer than those of the first look"):
        UntilDecided(first=5, most=4)
    with pytest.raises(ValidationError):
        UntilDecided(most=1000)


@settings(max_examples=25)
@given(st.floats(0, 1e-4), st.floats(1e-9, 1e-4), st.integers(1, 30), st.floats(2, 500) | st.none())
def test_many_half_widths_are_those_of_one(users, seeds, df, users_df):
    parts = [Component(name="users", variance=users, df=users_df), Component(name="seeds", variance=seeds, df=df)]
    many = _half_widths(parts[0], np.array([[seeds]]), np.array([df]), 0.0077)
    assert many[0, 0] == pytest.approx(half_width(parts, 0.0077), rel=1e-6)


def test_the_chance_that_seeds_to_come_decide():
    d = np.random.default_rng(0).normal(size=6) * 1e-3
    users = Component(name="users", variance=1e-8, df=50)
    until = UntilDecided()
    assert chance_to_decide(d - d.mean(), users, until, 0.0077) < 0.15
    assert chance_to_decide(d - d.mean() + 3e-3, users, until, 0.0077) > 0.95
    assert chance_to_decide(d - d.mean(), users, until, 0.0077, margin=3e-3, level_parity=0.0088) > 0.95
    wide = users.model_copy(update={"variance": 1e-4})  # no number of seeds takes these users' part away
    assert chance_to_decide(d - d.mean() + 3e-3, wide, until, 0.0077, margin=3e-3, level_parity=0.0088) == 0.0
    assert chance_to_decide([0.1] * 20, users, until, 0.0077) == 0.0  # none is to come


def test_every_look_is_the_test_of_the_seeds_so_far(make_run):
    """p is the chance of so small a p at some look, the interval that of the level each look has."""
    runs = study(make_run, {"base": 1.0, "other": 0.85}, seeds=(9, 2, 5, 7))
    planned = {name: [9, 2, 5, 7] for name in ("base", "other")}  # looks are in the order of the plan
    found = compare_study(runs, "base", margin=Margin(size=400), planned=planned, until=UNTIL, undecided=["other"])
    other = entry(found, "other")
    alone = []
    for n in (3, 4):
        so_far = [run for run in runs if run.seed in planned["base"][:n]]
        alone.append(entry(compare_study(so_far, "base", margin=Margin(size=400)), "other"))
    assert [look.seeds for look in other.looks] == [3, 4]
    assert [look.p for look in other.looks] == pytest.approx([one.difference.p for one in alone])
    assert [look.p_parity for look in other.looks] == pytest.approx([one.equivalence.p for one in alone])
    assert other.difference.p == UNTIL.adjusted(min(look.p for look in other.looks))
    assert other.equivalence.p == UNTIL.adjusted(min(look.p_parity for look in other.looks), sides=1)
    width = half_width(other.difference.components, UNTIL.nominal(0.05))
    assert other.difference.high - other.difference.estimate == pytest.approx(width)
    assert "at every look" in other.difference.covers and other.signed_rank is None
    assert other.interim == "4 of at most 6 seeds"
    early = compare_study(runs[:6], "base", planned=planned, until=UNTIL, undecided=["other"])  # two of the other
    assert entry(early, "other").looks == [] and entry(early, "other").verdict == "interim"


def test_a_word_is_given_as_soon_as_it_is_shown_and_the_rest_waits(make_run):
    runs = study(make_run, {"base": 1.0, "bad": 4.0, "like": 1.02, "late": 1.0}, seeds=(1, 2, 3, 4))
    runs = [run for run in runs if run.configuration != "late"]
    planned = {name: [1, 2, 3, 4] for name in ("base", "bad", "like", "late")}
    open_ = ["bad", "like", "late"]
    found = compare_study(runs, "base", planned=planned, until=UNTIL, undecided=open_)
    assert {c.configuration: c.verdict for c in found.configurations} == {
        "base": "reference", "bad": "worse", "like": "interim",
    }  # fmt: skip
    assert found.tests == 3  # the one without a run counts as well
    assert entry(found, "bad").p_adjusted == pytest.approx(3 * entry(found, "bad").difference.p)
    assert stop(found, "bad", 4, 0) == "worse" and stop(found, "like", 6, 0) == "not shown with 6 seeds"
    ended = compare_study(runs, "base", planned=planned, until=UNTIL, undecided=["late"])
    assert entry(ended, "like").verdict == "not shown"


def test_a_word_keeps_the_sign_of_the_look_that_showed_it(make_run):
    """Three seeds agree that the other one is better; then three of it collapse. Neither is the word taken back nor
    turned into its opposite, and what all seeds say now is told."""
    label, truth, user = rows(600)
    noise = {"base": 1.5, "other": 0.3}
    runs = [
        make_run(
            name, s, label, truth * (-1 if name == "other" and s > 3 else 1)
            + noise[name] * np.random.default_rng(s).normal(size=600), user,
        )
        for name in noise
        for s in (1, 2, 3, 4, 5, 6)
    ]  # fmt: skip
    planned = {name: [1, 2, 3, 4, 5, 6] for name in noise}
    early = entry(compare_study([run for run in runs if run.seed < 4], "base", planned=planned, until=UNTIL), "other")
    late = entry(compare_study(runs, "base", planned=planned, until=UNTIL), "other")
    assert (early.verdict, late.verdict) == ("better", "better")
    assert early.difference.estimate > 0 > late.difference.estimate
    assert late.p_adjusted == early.p_adjusted
    told = "the word is from the look after 3 seeds; with all 6 the difference has another sign"
    assert told in late.notes and told not in early.notes


def test_what_no_seed_can_show_is_given_up(make_run):
    """Four users: whatever the seeds agree on, other users could reverse it."""
    label, truth, _ = rows(400)
    user = np.arange(400) % 4
    runs = [
        make_run(name, s, label, truth + noise * np.random.default_rng([s, i]).normal(size=400), user)
        for i, (name, noise) in enumerate((("base", 1.0), ("other", 1.05)))
        for s in (1, 2, 3, 4, 5)
    ]
    planned = {name: [1, 2, 3, 4, 5] for name in ("base", "other")}
    found = compare_study(runs, "base", planned=planned, until=UNTIL, undecided=["other"])
    assert stop(found, "other", 5, 0).startswith("cannot be shown within 6 seeds (chance ")
