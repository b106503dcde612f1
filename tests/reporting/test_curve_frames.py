"""Frames of learning curves: which epochs count in a mean, which is the one kept."""

from __future__ import annotations

import pytest

from mdaf_core.reporting.topics.curves import frames as curve_frames
from mdaf_core.runs import tracking
from mdaf_core.studies import results
from tests.reporting.example_study import make_study


def test_bands_go_as_far_as_every_seed(home) -> None:
    study = make_study(["mdaf-full"], [1, 2], failed=[("mdaf-full", 2)], predictions=False)
    frame = curve_frames.epochs(tracking.list_runs(study.id))
    members, bands = curve_frames.curves(frame, {"val_auc": "validation"})
    assert len(members) == 5 + 2, "the failed run's epochs stay visible"
    assert bands["seeds"].to_list() == [1] * 5, "but it has no part in the mean"
    assert bands["sd"].null_count() == 5, "one seed has no standard deviation"


def test_running_runs_join_the_mean_when_they_finish(home) -> None:
    study = make_study(["mdaf-full"], [1, 2, 3], running=[("mdaf-full", 3)], predictions=False)
    members, bands = curve_frames.curves(curve_frames.epochs(results.study_runs(study)), {"val_auc": "validation"})
    assert members["run_id"].n_unique() == 3
    assert bands["seeds"].to_list() == [2] * 5
    first = members.filter((members["epoch"] == 1) & (members["state"] == "finished"))["value"]
    assert bands["mean"][0] == pytest.approx(first.mean())
    assert bands["high"][0] - bands["low"][0] == pytest.approx(2 * first.std())


def test_while_none_has_finished_the_mean_is_of_what_runs(home) -> None:
    study = make_study(["mdaf-full"], [1, 2], running=[("mdaf-full", 1), ("mdaf-full", 2)], predictions=False)
    _, bands = curve_frames.curves(curve_frames.epochs(results.study_runs(study)), {"val_auc": "validation"})
    assert bands["seeds"].to_list() == [2, 2]


def test_the_mean_ends_where_the_first_seed_does(home) -> None:
    study = make_study(["mdaf-full"], [1, 2], predictions=False)
    frame = curve_frames.epochs(results.study_runs(study))
    shorter = frame.filter((frame["seed"] == 1) | (frame["epoch"] <= 3))
    _, bands = curve_frames.curves(shorter, {"val_auc": "validation"})
    assert bands["epoch"].to_list() == [1, 2, 3]


def test_the_best_epoch_is_the_one_kept(home) -> None:
    study = make_study(["mdaf-full"], [1], predictions=False)
    frame = curve_frames.epochs(results.study_runs(study))
    run = results.study_runs(study)[0]
    assert run.result is not None
    assert frame.filter(frame["best"])["epoch"].to_list() == [run.result.best_epoch]


def test_a_study_without_epochs_gives_an_empty_frame() -> None:
    frame = curve_frames.epochs([])
    members, bands = curve_frames.curves(frame, {"val_auc": "validation", "train_auc_eval": "train"})
    assert frame.is_empty()
    assert members.is_empty()
    assert bands.is_empty()


def test_reported_curves_say_so() -> None:
    found = curve_frames.reported({"val_auc": "validation", "train_auc_eval": "train, evaluation mode"})
    assert set(found["curve"]) == {"validation"}, "the report measured no train AUC in evaluation mode"
    assert all("reported, not run here" in label for label in found["label"])
    v1 = found.filter(found["label"].str.contains("v1"))
    assert v1["value"].to_list() == [0.5814, 0.5692, 0.5396, 0.5163]
