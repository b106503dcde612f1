"""One run for people: what it was trained with, its metrics with intervals, its predictions with what was predicted."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import polars as pl
import pytest

from mdaf_core.analysis import one_run
from mdaf_core.base import notices
from mdaf_core.base.errors import UsageError
from mdaf_core.cli import main as cli
from mdaf_core.data.store.export import export_rows
from mdaf_core.queue import api
from mdaf_core.runs import tracking
from mdaf_core.runs.predictions import load_predictions
from mdaf_core.runs.presets import get_preset
from mdaf_core.studies.store import get_study
from tests.pages.test_jobs_pages import button, open_page, sound, words
from tests.reporting.example_study import make_study


def changed(name: str):
    config = get_preset("mdaf-full").with_overrides(["training.max_epochs=7", "model.sequential.kind=bst"])
    return config.model_copy(update={"name": name})


@pytest.fixture
def study(made_once, give_tiny, home):
    """A gated model with changed settings, and one that failed."""

    def make():
        from mdaf_core.base.settings import get_settings

        tiny = give_tiny(get_settings().home)
        return make_study([changed("mine"), "lr"], [1, 2], dataset=tiny, gates=True, failed=[("lr", 2)])

    return made_once(make)


def run_of(study, configuration: str, seed: int = 1):
    return next(r for r in tracking.list_runs(study.id) if (r.configuration, r.seed) == (configuration, seed))


def test_settings_and_how_they_differ_from_the_preset(study):
    run = run_of(study, "mine")
    found = {one.setting: (one.preset, one.value) for one in one_run.changes(run)}
    assert found["training.max_epochs"] == (20, 7) and found["model.sequential.kind"] == ("mamba4rec", "bst")
    settings = one_run.settings(run)
    assert settings == changed("mine").flat_settings()
    usual = get_preset("mdaf-full").flat_settings()
    assert found == {k: (usual.get(k), settings.get(k)) for k in {*usual, *settings} if usual.get(k) != settings.get(k)}
    assert one_run.changes(run_of(study, "lr")) == []


def test_what_a_run_took_leaves_out_how_long_it_waited_to_be_resumed(study):
    run = run_of(study, "mine")
    waited = replace(run, started=1000.0, ended=9000.0)
    assert one_run.took(waited) == run.result.wall_seconds
    assert one_run.took(replace(run_of(study, "lr", 2), started=1000.0, ended=1007.5)) == 7.5  # failed
    assert one_run.took(replace(run_of(study, "lr", 2), ended=None)) is None


def test_metrics_have_intervals_over_users(study):
    """Of AUC it is Student's around the standard error that the run's file holds; a failed run has no metrics."""
    run = run_of(study, "mine")
    found = {(one.split, one.key): one for one in one_run.metrics_of(run)}
    for split in one_run.EVALUATED:
        auc, held = found[split, "auc"], run.metrics(split)
        assert auc.value == held.auc and auc.low + auc.high == pytest.approx(2 * held.auc, abs=1e-12)
        assert 1.95 < (auc.high - auc.low) / 2 / held.auc_se < 2.6
        assert "other users" in auc.covers and "this trained model" in auc.covers
    assert {key for _, key in found} >= {"auc", "logloss", "ece"}
    assert one_run.metrics_of(run_of(study, "lr", 2)) == []


def test_predictions_come_with_what_was_predicted(study, tmp_path):
    from mdaf_core.data.store.dataset import PreparedDataset

    run, dataset = run_of(study, "mine"), PreparedDataset.open("tiny")
    path = tmp_path / "p.csv"
    assert one_run.write_predicted_rows(run, "test", path) == len(dataset.rows("test"))
    export_rows(dataset, ["test"], tmp_path / "rows.csv")
    raw, found = pl.read_csv(tmp_path / "rows.csv"), pl.read_csv(path)
    assert found.columns[:6] == ["row_id", "user", "label", "probability", "logit", "g"]
    assert found.select(raw.columns).equals(raw)
    own = load_predictions(run.run_id, "test")
    for name in ("logit", "probability", "g"):
        assert found[name].to_numpy() == pytest.approx(own[name].to_numpy(), rel=1e-12)
    with pytest.raises(UsageError, match=r"\.csv or \.parquet"):
        one_run.write_predicted_rows(run, "test", tmp_path / "p.txt")
    with pytest.raises(UsageError, match="did not finish"):
        one_run.write_predicted_rows(run_of(study, "lr", 2), "test", path)
    shutil.rmtree(dataset.path)
    with notices.collect() as said:
        one_run.write_predicted_rows(run, "test", path)
    assert "fields are left out" in next(iter(said)) and "item" not in pl.read_csv(path).columns


def test_a_run_from_a_shell(study, tmp_path, monkeypatch, capsys):
    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["mdaf_core", "run", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return ended.value.code or 0, out, err

    run = run_of(study, "mine")
    shown = json.loads(call("show", run.run_id[:10], "--json")[1])
    assert shown["changes"] and shown["settings"]["training.max_epochs"] == 7 and len(shown["epochs"]) == 5
    text = call("show", run.run_id)[1]
    assert "training.max_epochs" in text and "predictions/test.parquet" in text and "epoch 5:" in text
    assert "killed" in call("show", run_of(study, "lr", 2).run_id)[1]
    assert "3,000 rows" in call("predictions", run.run_id, "--out", str(tmp_path / "p.parquet"))[1]
    assert "already" in call("again", run.run_id, "--set", "training.max_epochs=7")[2]
    assert "2 runs queued" in call("again", run.run_id, "--set", "training.max_epochs=9")[1]
    assert get_study(study.id).configuration("mine-2").training.max_epochs == 9


def test_the_page_of_a_run(study):
    run = run_of(study, "mine")
    app = open_page("run", run=run.run_id)
    said = words(app)
    assert "**mine**, seed 1" in said and "validation figures flatter" in said
    changes = next(frame.value for frame in app.dataframe if "Preset" in frame.value.columns)
    assert ("training.max_epochs", "20", "7") in changes.itertuples(index=False, name=None)
    assert any("kept" in block.value for block in app.code)
    assert "killed" in words(open_page("run", run=run_of(study, "lr", 2).run_id))
    lost = open_page("run", run="nothing")
    assert "There is no run" in words(lost) and "is a link to its run" in words(lost)  # and a way on
    assert "No run is chosen" in words(open_page("run"))
    overview = open_page("overview", study=study.id)
    assert f"(run?run={run.run_id})" in words(overview)


def test_one_change_and_again(study):
    app = open_page("run", run=run_of(study, "mine").run_id)
    app.session_state["again"] = True
    sound(app.run())
    box = next(box for box in app.selectbox if box.label == "Setting")
    sound(box.set_value("training.max_epochs").run())
    assert button(app, "Add and run it").disabled
    sound(next(n for n in app.number_input if n.label == "Max epochs").set_value(3).run())
    sound(button(app, "Add and run it").click().run())
    now = get_study(study.id)
    assert now.configuration("mine-2").training.max_epochs == 3 and now.added[0].results_seen
    assert len(api.list_jobs(group=study.id)) == 2
