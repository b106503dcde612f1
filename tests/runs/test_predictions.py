"""What is kept on disk of predictions, and the refusal to compare different rows."""

from __future__ import annotations

import os

import numpy as np
import pytest

from mdaf_core.base.cache import cached_array
from mdaf_core.base.settings import get_settings
from mdaf_core.metrics.auc import auc_errors
from mdaf_core.runs import predictions


def test_an_array_is_computed_once_and_again_where_its_file_is_damaged(tmp_path, monkeypatch):
    monkeypatch.setenv("MDAF_HOME", str(tmp_path))
    calls = []

    def compute():
        calls.append(1)
        return np.arange(5.0)

    for _ in range(2):
        assert cached_array("things", [1], compute).tolist() == [0, 1, 2, 3, 4]
    assert len(calls) == 1
    (file,) = (get_settings().cache_dir / "things").iterdir()
    for damage in (b"", b"no array", file.read_bytes()[:-8]):
        file.write_bytes(damage)
        assert cached_array("things", [1], compute).tolist() == [0, 1, 2, 3, 4]
    assert len(calls) == 4
    assert cached_array("things", [2], compute) is not None and len(calls) == 5


def test_sampling_errors_follow_the_file(make_run):
    rng = np.random.default_rng(0)
    label, logit, user = rng.integers(0, 2, 200), rng.normal(size=200), rng.integers(0, 30, 200)
    run = make_run("lr", 1, label, logit, user)
    frame = predictions.load_predictions(run.run_id, "test")
    expected = auc_errors(label == 1, logit, user)[1]
    assert np.array_equal(predictions.sampling_errors(run, "test", "auc"), expected)
    assert np.array_equal(predictions.sampling_errors(run, "test", "auc"), expected)
    path = run.directory / "predictions" / "test.parquet"
    frame.with_columns(logit=-frame["logit"]).write_parquet(path)
    os.utime(path, ns=(1, 1))
    assert np.allclose(predictions.sampling_errors(run, "test", "auc"), -expected)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f, None),
        (lambda f: f.head(50), "are not those of run"),
        (lambda f: f.with_columns(row_id=f["row_id"] + 1), "are not those of run"),
        (lambda f: f.with_columns(label=1 - f["label"]), "different labels"),
        (lambda f: f.with_columns(logit=f["logit"] * 2), None),
    ],
)
def test_only_the_same_rows_are_compared(make_run, change, words):
    rng = np.random.default_rng(1)
    label, logit = rng.integers(0, 2, 60), rng.normal(size=60)
    a, b = make_run("a", 1, label, logit), make_run("b", 1, label, logit)
    path = b.directory / "predictions" / "test.parquet"
    change(predictions.load_predictions(b.run_id, "test")).write_parquet(path)
    found = predictions.difference_of_rows(a, b, "test")
    assert found is None if words is None else words in found
