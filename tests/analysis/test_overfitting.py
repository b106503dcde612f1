"""Overfitting read from curves, reported curves, and criteria, against figures worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mdaf_core.analysis import criteria, reported
from mdaf_core.analysis.criteria import Criterion, evaluate, evaluate_study, preset_criteria, read_criteria
from mdaf_core.analysis.overfitting import analyse, analyse_run, at_epoch, overfitting_table
from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.runs.results import EpochMetrics


def curve(val, train, online=None, seconds=10.0):
    return [
        EpochMetrics(epoch=i + 1, lr=1e-3, val_auc=v, train_auc_eval=t, train_auc_online=o, seconds=seconds)
        for i, (v, t, o) in enumerate(zip(val, train, online or [None] * len(val), strict=True))
    ]


def test_a_curve_by_hand():
    found = analyse(curve([0.5, 0.6, 0.58, 0.55], [0.5, 0.65, 0.7, 0.8]), max_epochs=20)
    assert (found.best_epoch, found.last_epoch, found.turn_down_epoch, found.epochs_after_best) == (2, 4, 3, 2)
    assert found.eval.best == pytest.approx(0.05)
    assert found.eval.last == pytest.approx(0.25)
    assert found.eval.area_after_best == pytest.approx((0.05 + 0.12) / 2 + (0.12 + 0.25) / 2)
    assert found.kept_by_best == pytest.approx(0.05)
    assert (found.epochs_saved, found.seconds_saved) == (16, 160.0)
    assert found.online.best is None and found.online.area_after_best is None


def test_gaps_are_signed():
    assert analyse(curve([0.58], [0.54])).eval.best == pytest.approx(-0.04)


def test_curves_at_the_edges():
    assert analyse([]) is None
    assert analyse(curve([None], [0.5])) is None
    one = analyse(curve([0.5], [0.5]))
    assert (one.turn_down_epoch, one.kept_by_best, one.eval.area_after_best) == (None, 0.0, 0)
    with pytest.raises(StudioError, match="Epoch 9"):
        analyse(curve([0.5], [0.5]), best_epoch=9)


def test_reported_gaps_are_recomputed_and_signed():
    v1, v2 = analyse(reported.V1), analyse(reported.V2)
    assert (v1.best_epoch, v2.best_epoch) == (1, 3)
    assert v1.online.best == pytest.approx(0.5406 - 0.5814)
    assert v2.online.best == pytest.approx(0.0556, abs=1e-4)
    assert v1.online.last == pytest.approx(0.4342)
    assert v2.online.last == pytest.approx(0.2935)
    assert reported.V2[0].gap_online < 0
    assert all("reported" in label for label in reported.CURVES)


def test_reported_curves_are_tidy():
    frame = reported.reported_curves("val_auc", "train_loss", "grad_norm")
    assert frame.filter(curve="val_auc").shape[0] == 12
    assert frame.filter(curve="train_loss").shape[0] == 8
    assert "grad_norm" not in frame["curve"]


def test_table_of_runs(make_run):
    label = np.array([0, 1, 0, 1])
    epochs = curve([0.6, 0.5], [0.6, 0.9])
    run = make_run("c", 1, label, np.arange(4.0), epochs=epochs, config={"training.max_epochs": "5"})
    assert analyse_run(run).epochs_saved == 3
    frame = overfitting_table([run])
    assert frame.row(0, named=True)["gap_eval_last"] == pytest.approx(0.4)
    assert overfitting_table([]).is_empty()


# --- criteria --------------------------------------------------------------------------------------------------------


def report_run(make_run, seed=1, **changes):
    """A run with the figures of the report's v2."""
    epochs = [
        EpochMetrics(epoch=e.epoch, lr=1e-3, val_auc=e.val_auc, train_auc_online=e.train_auc_online,
                     gap_online=e.gap_online)
        for e in reported.V2
    ]  # fmt: skip
    label = np.array([0, 1, 0, 1])
    run = make_run("v2", seed, label, np.arange(4.0), epochs=epochs)
    result = run.result.model_copy(update={"best_epoch": 3} | changes)
    (run.directory / "result.json").write_text(result.model_dump_json())
    return run


def test_the_reports_criteria_on_the_reports_figures(make_run):
    found = {r.criterion: r for r in evaluate_study(preset_criteria("report"), [report_run(make_run)])}
    assert found["Train AUC in range"].passed
    assert found["Train AUC in range"].value == 0.6272
    assert found["Validation AUC"].passed is False  # 0.5716 is not at least 0.5730; not "97.6% achieved"
    assert found["Gap at the best epoch"].passed
    assert found["No collapse"].passed
    assert found["No collapse"].value == pytest.approx(0.5716 - 0.5365)
    assert "one seed" in found["Validation AUC"].note
    assert not any("%" in r.requirement + r.note for r in found.values())


def test_criteria_over_seeds_have_an_interval(make_run):
    runs = [report_run(make_run, seed) for seed in (1, 2, 3)]
    found = evaluate(preset_criteria("mdaf-levels")[0], "v2", runs)
    assert (found.passed, found.seeds) == (False, 3)
    assert found.value == pytest.approx(0.5716) and found.certain is False  # three equal figures, but of four users


def test_an_interval_across_the_threshold_is_not_certain(make_run):
    label = np.array([0, 1] * 200)
    logit = np.random.default_rng(0).normal(size=400) + label * 0.2
    run = make_run("c", 1, label, logit)
    criterion = Criterion(name="x", metric="test_auc", rule="at least", low=run.result.test.auc - 0.001)
    found = evaluate(criterion, "c", [run])
    assert found.passed and found.certain is None and "not other seeds" in found.unsure
    assert found.covers.startswith("other users")
    assert found.low < found.value < found.high
    more = [make_run("c", seed, label, logit + 0.01 * seed * label) for seed in (2, 3)]
    found = evaluate(criterion, "c", [run, *more])
    assert found.passed and found.certain is False and found.covers == "other seeds and other users"


def test_sure_comes_from_seeds_and_users_together(make_run):
    """Two seeds alike on 148 users: the spread over seeds alone would be sure, the users' sampling error is 170 bp."""
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(148), 12)
    label = (rng.random(len(user)) < 0.2).astype(int)
    logit = label + rng.normal(size=len(user)) + rng.normal(size=148)[user]
    runs = [make_run("c", seed, label, logit + 1e-4 * rng.normal(size=len(user)), user) for seed in (1, 2, 3, 4, 5)]
    low = float(np.mean([run.result.test.auc for run in runs])) - 0.01
    found = evaluate(Criterion(name="x", metric="test_auc", rule="at least", low=low), "c", runs)
    assert found.passed and found.certain is False and found.covers == "other seeds and other users"
    assert found.high - found.low > 0.03
    far = evaluate(Criterion(name="x", metric="test_auc", rule="at least", low=0.55), "c", runs)
    assert far.passed and far.certain
    val = evaluate(Criterion(name="x", metric="val_auc", rule="at least", low=0.55), "c", runs)
    assert val.certain and "chose the epoch" in val.note
    gap = evaluate(Criterion(name="x", metric="train_auc_eval", rule="at least", low=0.55), "c", runs)
    assert gap.passed and gap.certain is None and "not other users" in gap.unsure


def test_the_reports_thresholds_do_not_judge_other_data(make_run):
    found = evaluate_study(preset_criteria("report"), [report_run(make_run)], source="synthetic")
    assert {r.passed for r in found} == {None} and all("does not apply" in r.note for r in found)
    assert all("Taobao" in r.origin for r in found)
    stored = [c.model_dump(mode="json", exclude={"origin", "source"}) for c in preset_criteria("report")]
    assert read_criteria(stored) == preset_criteria("report")  # studies stored before criteria had an origin
    changed = read_criteria([preset_criteria("report")[1].model_dump() | {"low": 0.6}])[0]
    assert "changed by hand" in changed.origin


def test_a_missing_figure_neither_passes_nor_fails(make_run):
    run = make_run("c", 1, np.array([0, 1]), np.array([0.0, 1.0]))
    found = evaluate(Criterion(name="x", metric="gap_online", rule="at most", high=0.1), "c", [run])
    assert found.passed is None and "no finished run" in found.note
    assert evaluate(preset_criteria("report")[0], "c", []).passed is None


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"rule": "at least"}, "low"),
        ({"rule": "between", "low": 2, "high": 1}, "above high"),
        ({"rule": "at least", "low": 1, "metric": "test_auc", "epoch": "last"}, "best epoch only"),
        ({"rule": "around", "low": 1}, "rule"),
        ({"rule": "at least", "low": 1, "metric": "accuracy"}, "metric"),
        ({"rule": "at least", "low": 1, "extra": 1}, "extra"),
    ],
)
def test_criteria_that_make_no_sense_are_refused(wrong, word):
    with pytest.raises(UsageError, match=word):
        read_criteria([{"name": "x", "metric": "val_auc"} | wrong])


def test_presets_survive_the_way_through_a_study():
    for name in ("report", "mdaf-levels"):
        chosen = preset_criteria(name)
        assert read_criteria([c.model_dump(mode="json") for c in chosen]) == chosen
    with pytest.raises(UsageError, match="Known: report"):
        preset_criteria("mine")
    assert [c.low for c in criteria.preset_criteria("mdaf-levels")] == [0.578, 0.582, 0.59]


def test_one_rule_for_both_reports():
    """At the best epochs and at the last, never one's last beside the other's best."""
    best = [at_epoch("", [curve], "best") for curve in (reported.V1, reported.V2)]
    last = [at_epoch("", [curve], "last") for curve in (reported.V1, reported.V2)]
    assert [b.gap for b in best] == pytest.approx([0.5406 - 0.5814, 0.6272 - 0.5716])
    assert [e.gap for e in last] == pytest.approx([0.9505 - 0.5163, 0.8300 - 0.5365])
    assert at_epoch("", [reported.V1], "best", "eval").gap is None
    assert at_epoch("", [[]], "best") is None
    both = at_epoch("", [reported.V1, reported.V2], "last")
    assert (both.runs, both.epoch) == (2, 6.0)
