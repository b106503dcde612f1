"""Frames of learning curves: which epochs count in a mean, which is the one kept."""

from __future__ import annotations

import numpy as np
import polars as pl
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


def test_rows_and_time_of_each_run_and_smoothing_within_it() -> None:
    frame = pl.DataFrame(
        {"run_id": ["a", "a", "a", "b"], "epoch": [2, 1, 3, 1], "seconds": [4.0, 3.0, 5.0, 7.0],
         "val_auc": [0.6, 0.5, 0.9, 0.7]}
    )  # fmt: skip
    found = curve_frames.with_axes(frame, rows=100)
    assert found["time"].to_list() == [7.0, 3.0, 12.0, 7.0] and found["rows"].to_list() == [200, 100, 300, 100]
    assert curve_frames.with_axes(frame, rows=None)["rows"].null_count() == 4
    assert curve_frames.smoothed(frame, ["val_auc"], 0).equals(frame)
    smooth = curve_frames.smoothed(frame, ["val_auc"], 0.5)["val_auc"].to_list()
    values, weights = np.array([0.5, 0.6, 0.9]), np.array([0.25, 0.5, 1.0])
    assert smooth[2] == pytest.approx((values * weights).sum() / weights.sum())
    assert smooth[1] == 0.5 and smooth[3] == 0.7


def test_a_band_lies_where_its_seeds_are_on_average() -> None:
    rows = [("a", 1, 2.0), ("a", 2, 4.0), ("b", 1, 4.0), ("b", 2, 8.0)]
    frame = pl.DataFrame(
        [{"run_id": r, "configuration": "lr", "seed": i, "state": "finished", "epoch": e, "best": e == 1, "time": t,
          "val_auc": 0.5 + 0.1 * e} for i, (r, e, t) in enumerate(rows)]
    )  # fmt: skip
    members, bands = curve_frames.curves(frame, {"val_auc": "validation"}, "time")
    assert bands["time"].to_list() == [3.0, 6.0] and set(members["time"]) == {2.0, 4.0, 8.0}
