"""Predicting as a job: what is queued, what it writes, and what becomes of the upload."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from mdaf_core.base.errors import BadInputError, UsageError
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.prepare.uploads import save_uploads
from mdaf_core.predicting import predictor  # noqa: F401  (before `get_run` is replaced: it would keep that)
from mdaf_core.runs import tracking
from mdaf_core.tasks.kinds import KINDS
from mdaf_core.tasks.predictions import PredictProgress, predict_job
from tests.data.raw_files import write_user_behavior
from tests.predicting.trained import make_run


def test_a_job_predicts_an_upload_and_says_what_it_found(home: Path, tmp_path: Path, monkeypatch) -> None:
    raw = tmp_path / "UserBehavior.csv"
    write_user_behavior(raw, 300)
    dataset = prepare("user-behavior", path=raw, name="ub")
    run = make_run(dataset, "lr")
    monkeypatch.setattr(tracking, "get_run", lambda _id: run)
    with raw.open("rb") as content:
        upload = save_uploads([("../new rows.csv", content)])
    job = predict_job(run, upload)
    assert job.kind == "predict" and job.title.endswith("lr, seed 1") and job.payload["path"] == str(upload)
    said: list[PredictProgress] = []
    asked: list[int] = []
    context = SimpleNamespace(report=said.append, stop_if_asked=lambda: asked.append(1))
    predict = KINDS["predict"]
    predict.run(context, predict.payload.model_validate(job.payload))  # type: ignore[arg-type]
    out = Path(job.payload["out"])
    assert out.parent == home / "predictions" and pl.read_parquet(out).height == 300
    assert said[-1].message == "300 rows" and any("AUC" in line for line in said[-1].said)
    assert asked and not upload.exists()


def test_what_cannot_be_predicted_is_not_queued(home: Path, tmp_path: Path) -> None:
    run = SimpleNamespace(state="failed", run_id="a" * 32, configuration="lr", seed=1)
    with pytest.raises(UsageError, match="is failed"):
        predict_job(run, tmp_path)  # type: ignore[arg-type]
    run.state = "finished"
    with pytest.raises(BadInputError, match="nothing at this path"):
        predict_job(run, tmp_path / "none.csv")  # type: ignore[arg-type]
