"""Results known by a few figures: their standard errors, and that no verdict goes beyond what they carry."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdaf_core.analysis.power import rows_for, two_digits
from mdaf_core.analysis.reported_results import (
    ReportedResult,
    compare_reported,
    hanley_mcneil_se,
    parse_results,
    preset_results,
    read_results,
)
from mdaf_core.base.errors import UsageError
from mdaf_core.metrics.auc import auc_se


def result(name="A", auc=0.7, rows=10_000, positives=1_000, **more):
    return ReportedResult(name=name, auc=auc, rows=rows, positives=positives, **more)


def of(table, name):
    return next(r for r in table.results if r.name == name)


def test_the_example_of_the_paper():
    """Hanley & McNeil 1982: AUC 0.893 of 51 abnormal and 58 normal cases has standard error 0.032."""
    assert hanley_mcneil_se(0.893, 51, 58) == pytest.approx(0.032, abs=1e-3)


def test_exponential_scores_have_this_error():
    """The formula is exact for exponential scores: AUC of rates 1 and λ is 1 / (1 + λ); simulated, near DeLong's."""
    rng = np.random.default_rng(0)
    m, n, area = 60, 200, 0.7
    positive, negative = rng.exponential(1, (4000, m)), rng.exponential(1 / (area / (1 - area)), (4000, n))
    areas = [(p[:, None] > q).mean() for p, q in zip(positive, negative, strict=True)]
    assert np.mean(areas) == pytest.approx(area, abs=0.003)
    assert hanley_mcneil_se(area, m, n) == pytest.approx(np.std(areas), rel=0.04)
    label = np.repeat([1, 0], [2000, 8000])
    scores = np.r_[rng.exponential(1, 2000), rng.exponential(1 / (area / (1 - area)), 8000)]
    assert hanley_mcneil_se(area, 2000, 8000) == pytest.approx(auc_se(label, scores), rel=0.05)


@given(auc=st.floats(0.5001, 0.9999), m=st.integers(2, 10**7), n=st.integers(2, 10**7))
@settings(max_examples=50, deadline=None)
def test_more_rows_never_widen(auc, m, n):
    assert 0 <= hanley_mcneil_se(auc, 2 * m, 2 * n) <= hanley_mcneil_se(auc, m, n) <= 0.5


def test_the_reports_claim_is_not_shown():
    table = compare_reported(preset_results("report"), "BST", difference_bp=5)
    mine = of(table, "Mamba4Rec v2")
    assert mine.verdict == "not shown"
    assert mine.difference.estimate == pytest.approx(0.0005)
    assert mine.se == pytest.approx(0.0028, abs=1e-4) and mine.difference.low < 0 < mine.difference.high
    assert mine.rows_needed > 100_000_000
    assert {r.verdict for r in table.results} == {"not shown", "reference"}  # one seed: not even v1's 103 bp
    assert [r.correlation for r in table.rows_by_correlation] == [0.0, 0.5, 0.8, 0.9, 0.95]
    assert all(r.rows_needed > 225_446 for r in table.rows_by_correlation)
    assert table.seeds_by_sd["5"] == 10  # statsmodels: TTestPower().solve_power(1, power=0.8) = 9.93
    assert any("one seed" in note.lower() or "another training" in note for note in mine.notes)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.99])
def test_no_assumption_turns_one_seed_into_a_verdict(correlation):
    table = compare_reported(
        [result("A", 0.9), result("B", 0.6), result("C", 0.6)], "B", correlation=correlation, margin_bp=900
    )
    assert {of(table, name).verdict for name in "AC"} == {"not shown"}


def test_correlation_narrows_the_interval_as_it_should():
    a, b = result("A", 0.71), result("B", 0.70)
    for r in (0.0, 0.6, 0.9):
        test = of(compare_reported([a, b], "B", correlation=r), "A").difference
        assert test.se**2 == pytest.approx(a.se**2 + b.se**2 - 2 * r * a.se * b.se)
        assert f"{r:g} assumed" in test.method
    rows = of(compare_reported([a, b], "B", difference_bp=10), "A").rows_needed
    assert rows == two_digits(rows_for(a.se**2 + b.se**2, 10_000, 10))


def test_spread_over_seeds_on_both_sides_carries_a_verdict():
    far = [result("A", 0.75, 10**6, 10**5, seeds=5, sd=0.001), result("B", 0.70, 10**6, 10**5, seeds=5, sd=0.001)]
    assert of(compare_reported(far, "B"), "A").verdict == "better"
    assert of(compare_reported(far, "A"), "B").verdict == "worse"
    near = [r.model_copy(update={"auc": 0.7, "sd": 0.0001}) for r in far]
    assert of(compare_reported(near, "B", margin_bp=40), "A").verdict == "parity"
    # The verdict takes the AUCs as independent: an assumed correlation narrows the interval, not the verdict.
    close = [r.model_copy(update={"auc": a}) for r, a in zip(far, (0.7015, 0.70), strict=True)]
    assert of(compare_reported(close, "B", correlation=0.99), "A").verdict == "not shown"
    half = [far[0], far[1].model_copy(update={"sd": None, "seeds": 1})]
    assert of(compare_reported(half, "B"), "A").verdict == "not shown"


def test_other_rows_are_refused_with_the_reason():
    found = of(compare_reported([result("A"), result("B", positives=999)], "A"), "B")
    assert found.verdict == "not comparable" and found.difference is None
    assert "999 positives" in found.notes[0]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"name": "A", "auc": 57.16, "rows": 100, "positives": 10}, "Row 1 (A): auc"),
        ({"name": "A", "auc": 0.6, "rows": 100, "positives": 99}, "fewer than two negatives"),
        ({"name": "A", "auc": 0.6, "rows": 100, "positives": 10, "sd": 0.01}, "takes two seeds"),
        ({"name": "", "auc": 0.6, "rows": 100, "positives": 10}, "Row 1: name"),
        ({"name": "A", "auc": float("nan"), "rows": 100, "positives": 10}, "auc"),
        ({"name": "A", "auc": 0.6, "rows": 100}, "positives"),
        ({"name": "A", "auc": 0.6, "rows": 100, "positives": 10, "colour": 1}, "colour"),
    ],
)
def test_bad_rows_are_sentences(row, words):
    with pytest.raises(UsageError) as error:
        read_results([row])
    assert words in str(error.value)


def test_a_table_as_csv():
    found = parse_results(
        '\ufeffName, AUC, rows, positives, seeds, sd, source\nA,0.6,1000,100,3,0.001,x\n"B, b",0.61,1000,100,,,\n'
    )
    assert [r.name for r in found] == ["A", "B, b"]
    assert (found[0].seeds, found[0].sd, found[1].seeds, found[1].sd) == (3, 0.001, 1, None)
    for text, words in (
        ("name,auc\nA,0.6", "lacks rows, positives"),
        ("name,auc,rows,positives,blue\n", "unknown columns: blue"),
        ("name,auc,rows,positives\nA,0.6,100,10,7\n", "more cells"),
        ("name,auc,rows,positives\nA,high,100,10\n", "Row 1 (A): auc"),
        ("name,auc,rows,positives\nA,0.6,100,10\nA,0.6,100,10\n", "share a name"),
        ("", "lacks name"),
    ):
        with pytest.raises(UsageError, match=words.replace("(", r"\(").replace(")", r"\)")):
            parse_results(text)


def test_bad_requests_are_sentences():
    rows = [result("A"), result("B")]
    for words, arguments in (
        ("no reported result 'X'", {"reference": "X"}),
        ("correlation", {"correlation": 1.0}),
        ("margin", {"margin_bp": 0}),
        ("difference", {"difference_bp": float("nan")}),
    ):
        with pytest.raises(UsageError, match=words):
            compare_reported(rows, **arguments)
    with pytest.raises(UsageError, match="no reported results to compare"):
        compare_reported([])
    with pytest.raises(UsageError, match="Known: report"):
        preset_results("other")


def test_intervals_beside_verdicts_adjusted_over_several_are_said_not_to_be() -> None:
    three = [result(name, auc) for name, auc in (("A", 0.70), ("B", 0.71), ("C", 0.72))]
    assert any("not adjusted for the number of comparisons" in note for note in compare_reported(three, "A").notes)
    assert not any("not adjusted" in note for note in compare_reported(three[:2], "A").notes)
