"""`predict` and `save` as from a shell."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.predicting import predictor
from tests.data.raw_files import write_user_behavior
from tests.predicting.trained import make_run


@pytest.fixture
def run(home: Path, tmp_path: Path, monkeypatch):
    """The run that every name means, and its raw lines."""
    raw = tmp_path / "UserBehavior.csv"
    write_user_behavior(raw, 300)
    made = make_run(prepare("user-behavior", path=raw, name="ub"), "bst")
    monkeypatch.setattr(predictor, "list_runs", lambda study=None: [made] if study in (None, made.study) else [])
    monkeypatch.setattr(predictor, "get_run", lambda _name: made)
    return made


def test_predict_and_save(run, call, tmp_path: Path) -> None:
    raw, out = str(tmp_path / "UserBehavior.csv"), str(tmp_path / "out.parquet")
    code, found, _ = call("predict", run.run_id[:8], "--path", raw, "--out", out, "--json")
    assert code == 0 and found["rows"] == 300 and found["metrics"]["auc"] is not None
    assert found["columns"] == pl.read_parquet(out).columns
    code, text, said = call("predict", run.run_id[:8], "--path", raw, "--out", out)
    assert code == 0 and "300 rows by bst, seed 1" in text and "AUC" in text and "Histories: " in text and "%" in said
    saved = str(tmp_path / "saved")
    code, found, _ = call("save", "single-runs", saved, "--configuration", "bst", "--seed", "1", "--json")
    assert code == 0 and found["with_log"] and found["folder"] == saved and found["bytes"] > 0
    code, found, _ = call("predict", saved, "--path", raw, "--out", str(tmp_path / "again.parquet"), "--json")
    assert code == 0
    again, before = pl.read_parquet(tmp_path / "again.parquet"), pl.read_parquet(out)
    assert (again["logit"] - before["logit"]).abs().max() < 1e-9


def test_which_run_is_said(run, call, tmp_path: Path) -> None:
    arguments = ("--path", str(tmp_path / "UserBehavior.csv"), "--out", str(tmp_path / "out.parquet"))
    code, _, said = call("predict", "single-runs", *arguments)
    assert code == 2 and "is a study: say which run with --configuration and --seed" in said
    code, _, said = call("predict", "single-runs", *arguments, "--configuration", "mdaf")
    assert code == 2 and "There are: bst" in said
    code, _, said = call("predict", "single-runs", *arguments, "--seed", "2")
    assert code == 2 and "There are: 1" in said
    code, _, said = call("predict", str(tmp_path), *arguments)
    assert code == 2 and "holds no saved model" in said
    code, _, said = call("predict", "x", "--path", str(tmp_path / "UserBehavior.csv"), "--out", "scores.xlsx")
    assert code == 2 and ".parquet or .csv" in said
