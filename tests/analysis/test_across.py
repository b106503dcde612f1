"""Averages over data sets against definitions written out, and the words that follow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mdaf_core.analysis.across import average_elsewhere, average_here, compare_across
from mdaf_core.analysis.compared import ComparedConfiguration, StudyComparison
from mdaf_core.analysis.plan import Conditions, Plan
from mdaf_core.analysis.significance import Component, SeedSummary, difference, seed_component
from mdaf_core.base.errors import UsageError

PLAN = Plan(reference="full", configurations=["full", "lr"], seeds=[1, 2, 3])


def of_seeds(values, users_variance, users_df=40.0):
    users = Component(name="users", variance=users_variance, df=users_df)
    return difference(float(np.mean(values)), [users, seed_component(values)], "", "")


def test_what_averages_cover_is_what_the_differences_cover():
    """Of rows without users it is other rows, and it is on these items where theirs is."""
    of_rows = of_seeds([1e-3, 2e-3, 1e-3], 1e-7).model_copy(update={"covers": "other seeds and other rows"})
    of_users = of_rows.model_copy(update={"covers": "other seeds and other users, on these items"})
    here = average_here([of_rows, of_rows])
    assert here.covers == "other seeds and other rows, on these data sets"
    assert (
        average_elsewhere([of_rows, of_rows], here).covers == "other data sets like these, other seeds and other rows"
    )
    both = "other seeds and other rows or other seeds and other users, on these items, on these data sets"
    assert average_here([of_rows, of_users]).covers == both


def p_here(per_set):
    """(values over seeds, variance and df of users) of each data set → mean and p, by the documented formulas."""
    count = len(per_set)
    mean = np.mean([np.mean(values) for values, _, _ in per_set])
    seeds = [(np.var(values, ddof=1) / len(values) / count**2, len(values) - 1) for values, _, _ in per_set]
    users = [(variance / count**2, df) for _, variance, df in per_set]
    found = []
    for parts in (users, seeds):
        total = sum(v for v, _ in parts)
        found.append((total, total**2 / sum(v**2 / df for v, df in parts)) if total > 0 else (0.0, np.inf))
    whole = found[0][0] + found[1][0]
    if whole == 0:
        return mean, 1.0 if mean == 0 else None
    df = 1 / sum(v / whole / df for v, df in found)
    tails = [2 * stats.t.sf(abs(mean) / np.sqrt(v), n) for v, n in (*found, (whole, df)) if v > 0]
    return mean, max(tails)


numbers = st.floats(-0.02, 0.02).map(lambda x: round(x, 6))
sets = st.lists(
    st.tuples(
        st.lists(numbers, min_size=2, max_size=5), st.sampled_from([0.0, 1e-9, 3e-7, 1e-5]), st.floats(3, 500)
    ),
    min_size=2,
    max_size=6,
)  # fmt: skip


@given(sets)
def test_both_averages_are_as_defined(per_set):
    found = [of_seeds(*one) for one in per_set]
    here = average_here(found)
    mean, p = p_here(per_set)
    assert here.estimate == pytest.approx(mean, abs=1e-12)
    assert here.p == (None if p is None else pytest.approx(p, rel=1e-6, abs=1e-12))
    elsewhere = average_elsewhere(found, here)
    assert elsewhere.estimate == here.estimate
    values = np.array([d.estimate for d in found])
    if here.p is not None and values.std() > 1e-9:
        student = stats.ttest_1samp(values, 0.0)
        assert elsewhere.p == pytest.approx(max(student.pvalue, here.p), rel=1e-6)
        low, high = student.confidence_interval(0.95)
        assert elsewhere.high - elsewhere.low == pytest.approx(max(high - low, here.high - here.low), rel=1e-6)
    assert elsewhere.high - elsewhere.low >= (here.high - here.low) * (1 - 1e-9)


def entry(name, values, users_variance, reference):
    summary = SeedSummary(n=len(values), mean=0.7 + float(np.mean(values)))
    out = ComparedConfiguration(
        configuration=name, preset=name, model="mdaf", run_ids={}, values=dict(enumerate(values)), summary=summary,
        shared_seeds=list(range(len(values))), verdict="reference" if reference else "not shown",
    )  # fmt: skip
    if not reference:
        out.difference = of_seeds(values, users_variance)
    return out


def column(**configurations):
    """A comparison in which each configuration has these differences over seeds."""
    entries = [entry(name, values, 1e-8, name == "full") for name, values in configurations.items()]
    return StudyComparison(
        reference="full", split="test", metric="auc", configurations=entries, conditions=Conditions(plan=PLAN)
    )


NOISE = np.array([-1e-5, 0.0, 1e-5])
FULL = [0.0, 0.0, 0.0]


def test_a_small_gain_everywhere_is_shown_over_all_and_places_are_means_of_ranks():
    columns = {
        data: column(full=FULL, lr=-0.01 + shift + NOISE, deep=0.004 + shift + NOISE)
        for data, shift in {"a": 0.0, "b": 0.001, "c": -0.001}.items()
    }
    found = compare_across(columns)
    assert [row.configuration for row in found.rows] == ["deep", "full", "lr"]
    assert [row.rank for row in found.rows] == [1, 2, 3] and found.ranked == 3 and found.tests == 2
    deep, lr = found.row("deep"), found.row("lr")
    assert deep.here.verdict == "better" and lr.here.verdict == "worse"
    assert found.row("full").words("here") == "reference"
    # Holm over the two: the larger p stays, the smaller is doubled
    assert lr.elsewhere.p_adjusted == pytest.approx(min(2 * lr.elsewhere.test.p, deep.elsewhere.test.p * 2))
    assert deep.elsewhere.verdict == "better"
    lower = compare_across({d: c.model_copy(update={"metric": "logloss"}) for d, c in columns.items()})
    assert lower.row("deep").here.verdict == "worse" and lower.row("deep").rank == 3


def test_gains_that_differ_between_data_sets_hold_for_these_and_not_for_others():
    columns = {
        data: column(full=FULL, deep=gain + NOISE) for data, gain in {"a": 0.02, "b": 0.001, "c": 0.0005}.items()
    }
    deep = compare_across(columns).row("deep")
    assert deep.words("here") == "better" and deep.words("elsewhere") == "not shown"


def test_what_is_not_known_gives_no_word():
    whole, alone = column(full=FULL, deep=0.01 + NOISE), column(full=FULL)
    found = compare_across({"a": whole, "b": alone})
    assert found.row("deep").word == "one data set" and found.row("deep").rank is None
    assert any("deep is on 1 of 2 data sets (not on b)" in note for note in found.notes)

    waits = column(full=FULL, deep=0.01 + NOISE)
    waits.configurations[1].verdict = "interim"
    waits.conditions.interim = {"deep": "3 of 5 planned seeds", "wide": "0 of 5 planned seeds"}
    found = compare_across({"a": whole, "b": waits})
    assert found.row("deep").words("here") == "interim" and found.row("wide").word == "interim"

    one_seed = column(full=FULL, deep=0.01 + NOISE)
    one_seed.configurations[1].shared_seeds = [0]
    assert compare_across({"a": whole, "b": one_seed}).row("deep").word == "one seed: no variance known"

    refused = column(full=FULL, deep=0.01 + NOISE)
    refused.configurations[1].difference = None
    refused.configurations[1].verdict = "not comparable"
    assert compare_across({"a": whole, "b": refused}).row("deep").word == "not comparable"

    unknown = column(full=FULL, deep=0.01 + NOISE)
    unknown.configurations[1].undecided = "how much other users would change it is not known"
    found = compare_across({"a": whole, "b": unknown})
    assert found.row("deep").here is None and found.row("deep").word == "not shown"


def test_words_carry_the_mark_of_whatever_was_not_planned():
    columns = {"a": column(full=FULL, deep=0.01 + NOISE), "b": column(full=FULL, deep=0.01 + NOISE)}
    assert compare_across(columns).row("deep").words("here") == "better"
    assert compare_across(columns, ["put together"]).row("deep").words("here") == "better †"
    columns["b"].conditions.of_configurations = {"deep": ["added after results were seen"]}
    assert compare_across(columns).row("deep").mark == "†"
    columns["b"].conditions = Conditions()
    assert compare_across(columns).row("deep").mark == "‡"


def test_data_sets_that_share_users_are_not_averaged_and_one_protocol_is_asked():
    columns = {"a": column(full=FULL, deep=0.01 + NOISE), "b": column(full=FULL, deep=0.01 + NOISE)}
    found = compare_across(columns, dependent="a and b were made from the same input.")
    assert found.row("deep").here is None and found.notes[0].startswith("a and b were made from the same input")
    with pytest.raises(UsageError, match="two data sets at least"):
        compare_across({"a": columns["a"]})
    with pytest.raises(UsageError, match="one protocol"):
        compare_across({"a": columns["a"], "b": columns["b"].model_copy(update={"metric": "gauc"})})
