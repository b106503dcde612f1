"""What a run's end leaves on disk for the pages."""

from __future__ import annotations

import pytest

from mdaf_core.analysis import comparison, curves, effects, gate_groups, gates, sampling
from mdaf_core.base.errors import StudioError
from mdaf_core.runs import tracking
from mdaf_core.tasks import summaries
from mdaf_core.tasks.summaries import summarise, train
from tests.reporting.example_study import make_study


def test_pages_find_everything_computed(home, monkeypatch):
    study = make_study(["mdaf-full", "lr"], [1, 2], gates=True)
    runs = tracking.list_runs(study.id)
    before = comparison.compare_study(runs, study.reference)
    for run in runs:
        summarise(run.run_id)

    def refuse(*_args, **_options):
        raise AssertionError("computed again")

    monkeypatch.setattr(sampling, "_row_sampling", refuse)
    monkeypatch.setattr(gates, "_summary", refuse)
    monkeypatch.setattr(curves, "load_predictions", refuse)
    monkeypatch.setattr(effects, "effects_of", refuse)
    monkeypatch.setattr(gate_groups, "_values", refuse)
    assert comparison.compare_study(runs, study.reference) == before
    gated = next(run for run in runs if run.configuration == "mdaf-full")
    assert gates.gate_summary(gated, "val").rows == 400
    assert effects.measure_effects([gated], "val").rows == 400
    assert effects.measure_effects(effects.runs_of(runs, "mdaf-full")).seeds == [1, 2]
    (by,) = gate_groups.dimensions(gated, "test")[0]
    assert gate_groups.groups(gated, "test", "g", by) and gate_groups.histograms(gated, "test", "g", by)
    assert gate_groups.histograms(gated, "test", "g")
    assert len(curves.curve_points(runs, "roc")["run_id"].unique()) == 4


def test_a_training_in_the_foreground_leaves_what_a_job_leaves(tiny, monkeypatch):
    from mdaf_core.runs.presets import get_preset

    result = train(get_preset("lr").with_overrides({"training.max_epochs": 1}), tiny, 1)
    run = tracking.get_run(result.run_id)
    monkeypatch.setattr(curves, "load_predictions", None)
    assert len(curves.curve_points([run], "roc"))
    monkeypatch.setattr(summaries, "summarise", None)  # whatever goes wrong there, the run is finished
    assert train(get_preset("lr").with_overrides({"training.max_epochs": 1}), tiny, 2).best_epoch == 1


def test_a_training_takes_names_in_the_place_of_what_they_name(tiny):
    result = train("lr", tiny.name, 3)
    run = tracking.get_run(result.run_id)
    assert (run.configuration, run.dataset, run.seed) == ("lr", tiny.name, 3)


@pytest.mark.parametrize(
    ("config", "data", "said"),
    [
        ({"model": "lr"}, "any", "The configuration must be .*, not of type dict"),
        ("lr", 3, "The data set must be .*, not of type int"),
        ("nix", "any", "nix"),
    ],
)
def test_a_training_of_something_else_is_refused(tiny, config, data, said):
    with pytest.raises(StudioError, match=said):
        train(config, data, 1)


def test_a_run_of_no_study_has_curves_all_the_same(home):
    study = make_study(["lr"], [1])
    (run,) = tracking.list_runs(study.id)
    (home / "studies" / f"{study.id}.json").unlink()
    summarise(run.run_id)
    assert len(curves.curve_points([run], "pr"))
