"""Two runs beside each other: every difference is named, and intervals are those of the paired test over users."""

from __future__ import annotations

import json

import pytest

from mdaf_core.analysis import two_runs
from mdaf_core.analysis.pairs import compare_runs
from mdaf_core.cli import main as cli
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.runs import tracking
from mdaf_core.runs.presets import get_preset
from mdaf_core.runs.provenance import fingerprint
from tests.pages.test_jobs_pages import open_page, words
from tests.reporting.example_study import make_study


@pytest.fixture
def study(made_once):
    """One configuration with two learning rates; two seeds, and a third that failed."""
    slower = get_preset("lr").with_overrides(["training.learning_rate=0.003"]).model_copy(update={"name": "slower"})
    return made_once(lambda: make_study([slower, "lr"], [1, 2, 3], failed=[("lr", 3)]))


def run_of(study, configuration: str, seed: int = 1):
    return next(r for r in tracking.list_runs(study.id) if (r.configuration, r.seed) == (configuration, seed))


def test_settings_and_the_seed_are_named_when_they_differ(study):
    run, other, again = run_of(study, "slower"), run_of(study, "lr"), run_of(study, "lr", 2)
    usual = get_preset("lr").training.learning_rate
    found = two_runs.differences(run, other)
    assert found == [two_runs.Differs("settings", "training.learning_rate", 0.003, usual)]
    assert two_runs.said(found) == "What differs: settings. The same: data."
    found = two_runs.differences(run, again)
    assert [(one.part, one.this, one.other) for one in found] == [("settings", 0.003, usual), ("seed", 1, 2)]
    assert two_runs.said(found) == "What differs: settings and seed. The same: data."
    assert two_runs.said(two_runs.differences(other, again)).startswith("The seed alone differs")
    assert two_runs.said(two_runs.differences(run, run)) == "Nothing that was recorded differs."


def test_what_was_recorded_of_code_and_machine_is_compared(study):
    run, other = run_of(study, "lr"), run_of(study, "lr", 2)
    for one, packages in ((run, {"torch": "2", "numba": "1"}), (other, {"torch": "3"})):
        path = one.directory / "result.json"
        held = json.loads(path.read_text())
        held["provenance"] = {"code": "abc", "versions": packages, "cores": 2}
        path.write_text(json.dumps(held))
    found = {(one.part, one.what): (one.this, one.other) for one in two_runs.differences(run, other)}
    assert found == {("seed", "seed"): (1, 2), ("code", "torch"): ("2", "3"), ("code", "numba"): ("1", None)}


def test_intervals_are_those_of_the_paired_test(study):
    run, other = run_of(study, "slower"), run_of(study, "lr")
    found = {(one.split, one.key): one for one in two_runs.metric_differences(run, other)}
    for split in ("val", "test"):
        test, one = compare_runs(run, other, split, replicates=10).clustered, found[split, "auc"]
        assert (one.this, one.other) == pytest.approx((test.auc_a, test.auc_b), abs=1e-12)
        estimate = one.difference
        assert (estimate.estimate, estimate.low, estimate.high) == pytest.approx((test.estimate, test.low, test.high))
        assert "other users, with these trained models" in estimate.covers and not one.missing
        loss = found[split, "logloss"]
        assert loss.difference.estimate == pytest.approx(loss.this - loss.other)
    assert two_runs.metric_differences(run, run_of(study, "lr", 3)) == []


def test_other_data_give_no_interval_and_say_how_they_were_prepared(home):
    sets = []
    for name, options in (("one", {"size": "tiny"}), ("two", {"size": "tiny", "seed": 2})):
        prepare("synthetic", path=None, name=name, options=options)
        sets.append(PreparedDataset.open(name))
    runs = []
    for dataset in sets:
        made = make_study(["lr"], [1], dataset=dataset, fingerprints={"lr": fingerprint(dataset)})
        runs.append(run_of(made, "lr"))
    found = two_runs.differences(*runs)
    assert {one.part for one in found} == {"data"}
    assert {"data set", "fingerprint", "option seed"} <= {one.what for one in found}
    assert two_runs.said(found) == "What differs: data. The same: settings."
    metrics = two_runs.metric_differences(*runs)
    assert metrics and all(one.difference is None and "different data" in one.missing for one in metrics)
    assert two_runs.nearest(runs[0], tracking.list_runs()) == [runs[1]]


def test_the_likeliest_run_to_stand_beside_comes_first(study):
    later = make_study(["lr"], [1], title="Later")
    order = two_runs.nearest(run_of(study, "lr"), tracking.list_runs())
    assert [(one.study, one.configuration, one.seed) for one in order[:2]] == [(later.id, "lr", 1), (study.id, "lr", 2)]
    assert {one.configuration for one in order[2:]} == {"slower"} and len(order) == 5
    assert all(one.state == "finished" for one in order)


def test_from_a_shell(study, monkeypatch, capsys):
    run, other = run_of(study, "slower"), run_of(study, "lr")

    def call(*more: str) -> str:
        monkeypatch.setattr("sys.argv", ["mdaf_core", "run", "diff", run.run_id, other.run_id, *more])
        with pytest.raises(SystemExit):
            cli.main()
        return capsys.readouterr().out

    text = call()
    assert "What differs: settings" in text and "training.learning_rate" in text and "95% intervals cover" in text
    told = json.loads(call("--json"))
    assert told["differs"][0]["this"] == 0.003 and {one["key"] for one in told["metrics"]} >= {"auc", "logloss"}


def test_on_the_page_of_a_run(study):
    run, other = run_of(study, "slower"), run_of(study, "lr")
    app = open_page("run", run=run.run_id, **{"with": other.run_id})
    said = words(app)
    assert "What differs: settings. The same: data." in said and "other seeds would give other differences" in said
    differs = next(frame.value for frame in app.dataframe if "What" in frame.value.columns)
    assert differs["This run"].to_list() == ["0.003"] and differs["What"].to_list() == ["training.learning_rate"]
    assert "There is no run" in words(open_page("run", run=run.run_id, **{"with": "nothing"}))
