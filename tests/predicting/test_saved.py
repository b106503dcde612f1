"""A saved model predicts the same without the run store, and says what is wrong with its folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from mdaf_core.base.errors import DamagedFileError, StudioError, UsageError
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.plugins import kept, loaded
from mdaf_core.predicting.predict import predict_file
from mdaf_core.predicting.saved import load, save_run
from tests.conftest import ROOT
from tests.data.raw_files import write_user_behavior
from tests.predicting.test_predict import check_same, lines_of, test_ids
from tests.predicting.trained import make_run

NAMES = ["user", "item", "category", "behavior", "timestamp"]


@pytest.fixture
def behavior(home: Path, tmp_path: Path):
    raw = tmp_path / "UserBehavior.csv"
    write_user_behavior(raw, 900)
    dataset = prepare("user-behavior", path=raw, name="ub")
    rows = test_ids(dataset)
    (tmp_path / "new.csv").write_text(lines_of(raw, rows))
    return dataset, tmp_path / "new.csv", rows


def frame_of(path: Path) -> pl.DataFrame:
    return pl.read_csv(path, has_header=False, new_columns=NAMES).drop("behavior")


@pytest.mark.parametrize("preset", ["lr", "mdaf-bst", "gbdt"])
def test_the_same_without_the_store(behavior, tmp_path: Path, monkeypatch, preset: str) -> None:
    dataset, new, rows = behavior
    run = make_run(dataset, preset)
    index = save_run(run, tmp_path / "saved")
    assert index.with_log and index.files.keys() == {
        path.relative_to(tmp_path / "saved").as_posix()
        for path in (tmp_path / "saved").rglob("*")
        if path.is_file() and path.name != "model.json"
    }
    assert {Path(name).suffix for name in index.files} <= {".json", ".safetensors", ".txt", ".parquet", ".py", ".md"}
    monkeypatch.setenv("MDAF_HOME", str(tmp_path / "elsewhere"))
    model = load(tmp_path / "saved")
    predict_file(model.predictor, new, tmp_path / "out.parquet")
    found = check_same_elsewhere(run, tmp_path, rows, monkeypatch)
    scores = model.predict(frame_of(new))
    assert scores["logit"].to_list() == pytest.approx(found["logit"].to_list(), abs=1e-6)
    assert model.last is not None and model.last.rows == len(rows)
    pandas = frame_of(new).to_pandas().set_index(pl.Series(rows).to_numpy() + 7)
    as_pandas = model.predict(pandas)
    assert as_pandas.index.tolist() == (rows + 7).tolist()
    assert as_pandas["probability"].tolist() == pytest.approx(found["probability"].to_list(), abs=1e-6)


def check_same_elsewhere(run, tmp_path: Path, rows, monkeypatch) -> pl.DataFrame:
    monkeypatch.setenv("MDAF_HOME", str(tmp_path / "artifacts"))
    found = check_same(run, tmp_path / "out.parquet", rows)
    monkeypatch.setenv("MDAF_HOME", str(tmp_path / "elsewhere"))
    return found


def test_without_the_log_histories_are_of_the_new_rows_alone(behavior, tmp_path: Path) -> None:
    dataset, new, _ = behavior
    run = make_run(dataset, "bst")
    index = save_run(run, tmp_path / "saved", with_log=False)
    assert not index.with_log and not (tmp_path / "saved/data/events.parquet").exists()
    assert pl.read_parquet(tmp_path / "saved/data/users.parquet").is_empty()
    said = predict_file(load(tmp_path / "saved").predictor, new, tmp_path / "out.parquet")
    assert said.notes[0].startswith("Histories: 0 events of the log, ")


def test_what_is_wrong_with_a_folder_is_said(behavior, tmp_path: Path) -> None:
    dataset, *_ = behavior
    run, folder = make_run(dataset, "lr"), tmp_path / "saved"
    with pytest.raises(UsageError, match="holds no saved model"):
        load(tmp_path)
    save_run(run, folder)
    with pytest.raises(UsageError, match="holds something already"):
        save_run(run, folder)
    vocabulary = folder / "data/vocabulary/item.parquet"
    content = vocabulary.read_bytes()
    vocabulary.write_bytes(content[:-1] + b"x")
    with pytest.raises(DamagedFileError, match=r"item\.parquet cannot be read \(it is not as it was saved\)"):
        load(folder)
    vocabulary.unlink()
    with pytest.raises(DamagedFileError, match=r"item\.parquet cannot be read \(it is missing\)"):
        load(folder)
    vocabulary.write_bytes(content)
    index = folder / "model.json"
    facts = json.loads(index.read_text())
    index.write_text(json.dumps(facts | {"format": 9}))
    with pytest.raises(StudioError, match="use a later version"):
        load(folder)
    index.write_text("{")
    with pytest.raises(DamagedFileError, match=r"model\.json cannot be read"):
        load(folder)
    index.write_text(json.dumps(facts | {"files": {"../../outside.txt": "0" * 64}}))
    with pytest.raises(StudioError):
        load(folder)


def test_load_me_runs_anywhere(behavior, tmp_path: Path) -> None:
    dataset, new, rows = behavior
    run = make_run(dataset, "bst")
    save_run(run, tmp_path / "saved")
    frame_of(new).write_csv(tmp_path / "table.csv")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MDAF_HOME": str(tmp_path / "none"), "MDAF_THREADS": "1"}
    subprocess.run(
        [sys.executable, str(tmp_path / "saved/load_me.py"), "table.csv", "scores.csv"],
        cwd=tmp_path, env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    pl.read_csv(tmp_path / "scores.csv").write_parquet(tmp_path / "out.parquet")
    check_same(run, tmp_path / "out.parquet", rows)
    assert not (tmp_path / "none").exists()


PLUGIN = '''
from typing import Literal

import torch
from torch import nn

from mdaf_core.models.base import CTRModel, ModelSettings, Output, Preset


class OwnConfig(ModelSettings):
    """One weight an item."""

    network = "Own"
    reads_history = False
    kind: Literal["own"] = "own"


class Own(CTRModel):
    def __init__(self, config, features):
        super().__init__(features)
        self.weight = nn.Parameter(torch.randn(features.categorical["item"]))

    def forward(self, batch):
        return Output(self.weight[batch.categorical_BF[:, list(self.features.categorical).index("item")]])


PRESETS = (Preset("own", "One weight an item", OwnConfig()),)
'''


def test_a_plug_in_goes_along_and_is_run_only_where_one_says_so(behavior, tmp_path: Path, monkeypatch) -> None:
    dataset, new, rows = behavior
    plugin = tmp_path / "own.py"
    plugin.write_text(PLUGIN)
    monkeypatch.setenv("MDAF_PLUGINS", str(plugin))
    run = make_run(dataset, "own")
    kept.keep(loaded(), run.directory)
    save_run(run, tmp_path / "saved")
    monkeypatch.delenv("MDAF_PLUGINS")
    with pytest.raises(StudioError, match=r"plug-in own\.py .* is not named"):
        load(tmp_path / "saved")
    model = load(tmp_path / "saved", run_plugin=True)
    predict_file(model.predictor, new, tmp_path / "out.parquet")
    check_same(run, tmp_path / "out.parquet", rows)
    (source,) = (tmp_path / "saved/plugins").glob("own-*.py")
    source.write_text(PLUGIN + "raise SystemExit\n")
    with pytest.raises(DamagedFileError, match="it is not as it was saved"):
        load(tmp_path / "saved", run_plugin=True)
