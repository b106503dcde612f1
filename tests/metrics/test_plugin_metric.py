"""A metric of the user's own is one file: commands, pages, tables, export, criteria and verdicts follow from it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mdaf_core.analysis.comparison import compare_study
from mdaf_core.analysis.criteria import Criterion, evaluate_study
from mdaf_core.analysis.margins import Margin
from mdaf_core.analysis.scores import compare_scores
from mdaf_core.base import notices
from mdaf_core.metrics import Scored, Undefined
from mdaf_core.metrics.metric import RESERVED
from mdaf_core.metrics.registry import metric, metrics, sampling_errors, titles
from mdaf_core.reporting.material import Material
from mdaf_core.reporting.paper.paragraph import results_paragraph
from mdaf_core.reporting.paper.tables import make_table
from mdaf_core.runs.metric_values import metric_value
from mdaf_core.runs.presets import get_preset
from mdaf_core.runs.results import SplitMetrics
from mdaf_core.runs.split_metrics import split_metrics
from mdaf_core.runs.tracking import list_runs
from mdaf_core.studies import results
from mdaf_core.studies.store import create_study
from tests.cli.conftest import call  # noqa: F401
from tests.conftest import ROOT
from tests.pages.report_store import open_page, studies  # noqa: F401
from tests.reporting.example_study import make_study
from tests.runs.made import make_run  # noqa: F401

LIFT = '''
"""Lift at the first decile: the click rate of the tenth of the rows with the highest scores, over that of all rows."""

import numpy as np

from mdaf_core.metrics import Metric, Scored, Undefined


def lift(rows: Scored) -> float:
    if not rows.label.any():
        raise Undefined("No row has a click.")
    top = -(-len(rows.label) // 10)
    score, which = np.unique(-rows.logit, return_inverse=True)
    count, clicks = np.bincount(which), np.bincount(which, weights=rows.label)
    taken = np.diff(np.minimum(np.cumsum(count), top), prepend=0)  # of rows of one score an equal share of each
    return float((taken * clicks / count).sum() / top / rows.label.mean())


LIFT = Metric(
    "lift10",
    "Lift at the first decile",
    1,
    lift,
    definition="click rate of the tenth of rows with the highest scores / click rate of all rows",
    undefined="no clicks",
    gain=lambda value, base_rate: value - 1,
    gain_words="lift − 1",
    in_bp=True,
)
'''


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the metric, named as a user names it."""
    file = tmp_path / "lift10.py"
    file.write_text(LIFT)
    monkeypatch.setenv("MDAF_PLUGINS", str(file))
    return file


def lift_by_hand(label, score) -> float:
    """Mean over every order of tied rows of the clicks among the first tenth, over the click rate."""
    top = -(-len(label) // 10)
    order = np.argsort(-score, kind="stable")
    edge = score[order[top - 1]]
    above, tied = score > edge, score == edge
    clicks = label[above].sum() + label[tied].mean() * (top - above.sum())
    return clicks / top / label.mean()


def rows(seed: int, n: int = 300, users: int = 40):
    rng = np.random.default_rng(seed)
    user = rng.permutation(np.r_[np.arange(users), rng.integers(0, users, n - users)])
    score = rng.integers(-6, 7, n) / 3
    return rng.random(n) < 1 / (1 + np.exp(1 - score)), score, user


@pytest.mark.parametrize("seed", range(4))
def test_its_value_and_each_user_left_out(plugin: Path, seed: int) -> None:
    label, score, user = rows(seed)
    assert metric("lift10").of(Scored.of(label, score, user)) == pytest.approx(lift_by_hand(label, score), abs=1e-12)
    left = np.array([lift_by_hand(label[user != u], score[user != u]) for u in range(40)])
    expected = np.sqrt(39 / 40) * (left - left.mean())
    assert sampling_errors("lift10", label, score, user) == pytest.approx(expected, abs=1e-12)
    alone = np.array([lift_by_hand(np.delete(label, i), np.delete(score, i)) for i in range(300)])
    expected = np.sqrt(299 / 300) * (alone - alone.mean())
    assert sampling_errors("lift10", label, score, None) == pytest.approx(expected, abs=1e-12)


def test_many_users_are_left_out_in_groups(make_run, plugin: Path, monkeypatch) -> None:  # noqa: F811
    label, score, user = rows(9, 4000, 1000)
    each = sampling_errors("lift10", label, score, user)
    monkeypatch.setattr("mdaf_core.metrics.jackknife.RECOMPUTED_ROWS", 4000 * 250)
    grouped = sampling_errors("lift10", label, score, user)
    assert (len(each), len(grouped)) == (1000, 250)
    assert np.linalg.norm(grouped) == pytest.approx(np.linalg.norm(each), rel=0.2)
    runs = [make_run(name, seed, label, score, user) for name in ("a", "b") for seed in (1, 2)]
    assert "leaving out 250 groups of users" in " ".join(compare_study(runs, "a", metric="lift10").notes)
    assert "groups of users" not in " ".join(compare_study(runs, "a").notes)


def test_commands_know_it(call, plugin: Path, monkeypatch) -> None:  # noqa: F811
    study = make_study(["mdaf-full", "mdaf-static", "lr"], [42, 43, 44])
    monkeypatch.setenv("MDAF_PLUGINS", "")
    assert "Known: auc, gauc" in call("compare", study.id, "--metric", "lift10")[2]
    named = ("--plugin", str(plugin), "--metric", "lift10", "--margin", "5%", "--json")
    code, found, _ = call("compare", study.id, *named)
    assert code == 0 and found["metric"] == "lift10" and found["gain"] > 0
    lr = next(c for c in found["configurations"] if c["configuration"] == "lr")
    assert lr["verdict"] in ("better", "worse", "parity", "not shown") and lr["difference"]["p"] < 1
    assert lr["difference"]["covers"] == "other seeds and other users"
    for run in list_runs(study.id):
        value = found["configurations"][[c["configuration"] for c in found["configurations"]].index(run.configuration)]
        assert value["values"][str(run.seed)] == metric_value(run, "test", "lift10").value
    command = [sys.executable, "-m", "mdaf_core", "compare", "--help"]
    environment = {**os.environ, "MDAF_PLUGINS": str(plugin)}
    said = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout.split()
    assert "lift10" in " ".join(said) and "lift at the first decile" in " ".join(said)
    listed = call("metrics", "--json")[1]
    assert listed[-1]["key"] == "lift10" and listed[-1]["better"] == "higher" and listed[0]["key"] == "auc"


@pytest.mark.slow
def test_the_page_offers_and_shows_it(open_page, plugin: Path) -> None:  # noqa: F811
    app = open_page("compare", "full", metric="Lift at the first decile")
    assert not app.error and not app.exception
    choice = next(box for box in app.selectbox if box.label == "Metric")
    assert choice.value == "lift10" and "Lift at the first decile" in choice.options
    assert any("Lift at the first decile, test rows" in m.value for m in app.markdown)


def test_scores_of_any_origin_are_compared_by_it(plugin: Path) -> None:
    label, score, user = rows(4)
    better = score + label
    found = compare_scores({"label": label, "user": user, "a": score, "b": better}, metric="lift10")
    values = {c.configuration: c.summary.mean for c in found.configurations}
    assert values == {"a": pytest.approx(lift_by_hand(label, score)), "b": pytest.approx(lift_by_hand(label, better))}
    assert found.configurations[0].configuration == "b" and found.configurations[0].difference.low > 0


def test_a_study_of_it_opens_without_the_plugin(open_page, studies, plugin: Path, monkeypatch) -> None:  # noqa: F811
    monkeypatch.setenv("MDAF_HOME", studies["home"])
    rule = {"name": "Lift", "metric": "test_lift10", "rule": "at least", "low": 1.0}
    study = create_study(
        title="Planned by lift", definition="own", dataset="tiny", configurations=[get_preset("lr")], seeds=[1],
        reference="lr", metric="lift10", criteria=[rule],
    )  # fmt: skip
    assert "lift at the first decile on test rows" in study.plan.words
    monkeypatch.delenv("MDAF_PLUGINS")
    for page in ("overview", "compare", "export"):
        app = open_page(page, study.id)
        assert not app.exception
        said = " ".join(element.value for element in [*app.error, *app.markdown, *app.caption, *app.info])
        assert "lift10" in said, page


def test_tables_and_the_text_say_it(home: Path, plugin: Path) -> None:
    study = make_study(["mdaf-full", "lr"], [1, 2])
    material = Material(study, metric="lift10")
    table = make_table(material, "results")
    assert "Lift at the first decile" in table.cells
    assert any(heading.startswith("Δ lift at the first decile, bp") for heading in table.cells)
    assert all("–" not in cell for cell in table.cells["Lift at the first decile"])
    text = " ".join(s.text for s in results_paragraph(study, results.compare(study, metric="lift10"), "time split"))
    assert "The highest mean lift at the first decile was that of" in text


def test_it_is_a_figure_of_criteria(make_run, plugin: Path) -> None:  # noqa: F811
    label, score, user = rows(3)
    runs = [make_run("a", seed, label, score + seed / 9, user) for seed in (1, 2)]
    rule = Criterion(name="Lift", metric="test_lift10", rule="at least", low=1.0)
    assert rule.requirement.startswith("Test lift at the first decile")
    (found,) = evaluate_study([rule], runs)
    assert found.value == pytest.approx(lift_by_hand(label, score)) and found.passed and found.low is not None


def test_runs_from_before_it_have_it_too_and_a_changed_file_is_another_metric(
    make_run,  # noqa: F811
    plugin: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    label, score, user = rows(5)
    monkeypatch.delenv("MDAF_PLUGINS")
    run = make_run("a", 1, label, score, user)
    assert "lift10" not in run.metrics("test").model_dump()
    monkeypatch.setenv("MDAF_PLUGINS", str(plugin))
    found = metric_value(run, "test", "lift10")
    assert not run.metrics("test").holds(metric("lift10")) and found.value == pytest.approx(lift_by_hand(label, score))
    later = make_run("a", 2, label, score, user)
    assert later.metrics("test").holds(metric("lift10")) and metric_value(later, "test", "lift10") == found
    plugin.write_text(LIFT.replace("// 10)", "// 5)"))
    os.utime(plugin, ns=(1, 1))
    assert not later.metrics("test").holds(metric("lift10"))
    assert metric_value(later, "test", "lift10").value == metric_value(run, "test", "lift10").value != found.value


def test_a_fault_in_its_code_is_a_reason_with_file_and_line(make_run, plugin: Path) -> None:  # noqa: F811
    label, score, user = rows(6)
    plugin.write_text(LIFT.replace("    top = -(-len(rows.label) // 10)", "    top = len(rows.labels)"))
    found = split_metrics(label, score, user)
    assert found.auc is not None and found.value("lift10") is None
    line = LIFT.split("\n").index("    top = -(-len(rows.label) // 10)") + 1
    assert f"lift10.py, line {line}" in found.undefined["lift10"] and "AttributeError" in found.undefined["lift10"]
    runs = [make_run(name, seed, label, score, user) for name in ("a", "b") for seed in (1, 2)]
    notes = compare_study(runs, "a", metric="lift10").configurations[0].notes
    assert "lift10 is undefined for 2 of 2 seeds: The metric 'lift10' failed: AttributeError" in notes[0]


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("    return float(", "    return None and float(", "TypeError"),
        (
            "    gain=",
            "    errors=lambda rows: rows.logit[:5],\n    gain=",
            "must be 300 finite numbers, one a unit; got shape (5,)",
        ),
        ("    gain=", "    errors=lambda rows: rows.logit / 0,\n    gain=", "must be 300 finite numbers"),
        ("    gain=", "    errors=lambda rows: rows.score,\n    gain=", "AttributeError"),
        ("value - 1,", "value / 0,", "ZeroDivisionError: float division by zero"),
    ],
)
def test_whatever_is_wrong_in_its_code_is_a_sentence(make_run, plugin: Path, before, after, words) -> None:  # noqa: F811
    label, score, _ = rows(8)
    plugin.write_text(LIFT.replace(before, after))
    found = metric("lift10")
    with pytest.raises(Undefined) as said, np.errstate(all="ignore"):
        found.gained(found.of(Scored.of(label, score)), 0.3)
        found.sampling_errors(Scored.of(label, score))
    assert words in str(said.value) and str(plugin) in str(said.value)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ('"lift10"', '"auc"', "'auc' is the key of something else already"),
        ('"lift10"', '"rows"', "'rows' is the key of something else already"),
        ('"lift10"', '"Lift 10"', "a key of small letters"),
        ("    1,\n", "    2,\n", "a direction of 1 or -1"),
    ],
)
def test_one_that_cannot_be_taken_is_left_out_and_said(plugin: Path, before: str, after: str, words: str) -> None:
    plugin.write_text(LIFT.replace(before, after))
    with notices.collect() as said:
        assert list(metrics()) == ["auc", "gauc", "logloss", "normalised_entropy", "brier", "ece", "pr_auc"]
    assert words in " ".join(said) and "lift10.py, line 19" in " ".join(said)


def test_without_a_gain_no_margin_has_a_meaning(make_run, plugin: Path) -> None:  # noqa: F811
    plugin.write_text(LIFT.replace("    gain=lambda value, base_rate: value - 1,\n", ""))
    label, score, user = rows(7)
    runs = [make_run(name, seed, label, score, user) for name in ("a", "b") for seed in (1, 2)]
    notes = " ".join(compare_study(runs, "a", metric="lift10").notes)
    assert "Parity in lift at the first decile cannot be shown" in notes
    with pytest.raises(Exception, match="Leave the margin out"):
        compare_study(runs, "a", metric="lift10", margin=Margin(size=5))


def test_names_beside_the_metrics_of_a_run_are_no_keys() -> None:
    assert set(RESERVED) == set(SplitMetrics.model_fields) - metrics().keys() and not set(RESERVED) & titles().keys()
