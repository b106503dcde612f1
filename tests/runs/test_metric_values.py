"""Metrics of runs that this version did not write: held ones are as they are, others come from the predictions."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mdaf_core.metrics.pr_auc import pr_auc
from mdaf_core.metrics.registry import metrics
from mdaf_core.runs.metric_values import metric_of, metric_value
from mdaf_core.runs.results import SplitMetrics
from mdaf_core.runs.tracking import artifact
from tests.runs.made import make_run  # noqa: F401

OLD = """{"rows": 5, "positives": 2, "users": null, "effective_users": null, "largest_user": null,
"auc": 0.8333333333333334, "auc_se": 0.2,
"gauc": null, "gauc_coverage": null, "logloss": 0.61, "normalised_entropy": 0.9064, "brier": 0.21,
"ece": 0.31, "pr_auc": 0.8333, "oracle_auc": null, "oracle_share": null,
"undefined": {"gauc": "The rows of this data set have no user."}}"""
"""As versions before metrics were files of their own wrote it."""


def rewrite(run, change):
    """Change what a run's file says of its test rows."""
    path = artifact(run.run_id, "result.json")
    result = json.loads(path.read_text())
    change(result["test"])
    path.write_text(json.dumps(result))


@pytest.fixture
def run(make_run):  # noqa: F811
    rng = np.random.default_rng(0)
    return make_run("a", 1, rng.random(80) < 0.4, rng.normal(size=80), rng.integers(0, 9, 80))


def test_what_an_old_file_holds_is_shown_as_it_is():
    found = SplitMetrics.model_validate_json(OLD)
    assert {key: found.value(key) for key in metrics()} == {
        "auc": 0.8333333333333334, "gauc": None, "logloss": 0.61, "normalised_entropy": 0.9064, "brier": 0.21,
        "ece": 0.31, "pr_auc": 0.8333,
    }  # fmt: skip
    assert all(found.holds(one) for one in metrics().values())
    assert json.loads(OLD).items() <= json.loads(found.model_dump_json()).items()


def test_what_a_file_does_not_hold_comes_from_the_predictions(run):
    held = metric_of(run, "test", "pr_auc")
    rewrite(run, lambda test: test.pop("pr_auc"))
    assert "pr_auc" not in run.metrics("test").model_dump()
    assert metric_of(run, "test", "pr_auc") == held
    artifact(run.run_id, "predictions/test.parquet").unlink()
    found = metric_value(run, "test", "pr_auc")
    assert found.value is None and "no predictions to compute it from" in found.reason


def test_a_value_by_another_definition_is_computed_anew(run):
    held = metric_of(run, "test", "brier")
    rewrite(run, lambda test: test.update(brier=0.5))
    assert metric_of(run, "test", "brier") == 0.5
    rewrite(run, lambda test: test.update(brier=0.5, definitions={"brier": "0"}))
    assert metric_of(run, "test", "brier") == held


def test_what_is_undefined_has_its_reason(make_run):  # noqa: F811
    run = make_run("b", 1, np.ones(20, bool), np.zeros(20), np.arange(20))
    assert "All 20 rows have label 1" in metric_value(run, "test", "pr_auc").reason
    rewrite(run, lambda test: test.pop("pr_auc"))
    assert "All 20 rows have label 1" in metric_value(run, "test", "pr_auc").reason
    with pytest.raises(Exception, match="both labels"):
        pr_auc(np.ones(20), np.zeros(20))
