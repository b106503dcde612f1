"""Trainings that ended too early, and seeds that went astray: named where it is so, and nowhere else."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from mdaf_core.analysis.comparison import compare_study
from mdaf_core.analysis.convergence import diverged, still_improving, unfinished
from mdaf_core.analysis.overfitting import analyse_run
from mdaf_core.analysis.significance import half_width, seed_component
from mdaf_core.analysis.slices import slice_metrics
from mdaf_core.base.files import write_json
from mdaf_core.reporting.topics.comparison.frames import comparison_table
from mdaf_core.runs.results import EpochMetrics
from mdaf_core.runs.schedule import trees_by_epoch

N = 600


def epochs(*val_auc: float) -> list[EpochMetrics]:
    return [EpochMetrics(epoch=i, lr=1e-3, val_auc=value) for i, value in enumerate(val_auc, 1)]


def trained(make_run, name: str, seed: int, values: tuple[float, ...], **record):
    """A finished run with these validation AUCs by epoch; the weights of the best were kept."""
    label, truth, user = rows()
    run = make_run(name, seed, label, truth, user, epochs=epochs(*values), **record)
    path = run.directory / "result.json"
    result = json.loads(path.read_text()) | {"best_epoch": 1 + values.index(max(values))}
    write_json(path, result)
    return run


def rows():
    rng = np.random.default_rng(0)
    truth = 2 * rng.normal(size=N)
    return (rng.random(N) < 1 / (1 + np.exp(-truth))).astype(int), truth, rng.integers(0, 100, N)


def runs_of(make_run, logits: dict[tuple[str, int], np.ndarray]):
    label, _, user = rows()
    return [make_run(name, seed, label, logit, user) for (name, seed), logit in logits.items()]


def healthy(*seeds: int, name: str = "base", noise: float = 0.5) -> dict[tuple[str, int], np.ndarray]:
    _, truth, _ = rows()
    return {(name, s): truth + noise * np.random.default_rng([s, len(name)]).normal(size=N) for s in seeds}


@pytest.mark.parametrize(
    ("values", "patience", "improving"),
    [
        ((0.60, 0.62, 0.64), 5, True),  # the last epoch was the best
        ((0.60, 0.64, 0.63), 5, False),
        ((0.60, 0.6001, 0.6002), 2, False),  # patience ended it, though the last is a little higher
        ((0.64, 0.63, 0.62), 2, False),
        ((0.60,), 1, True),  # one epoch says nothing of a second
    ],
)
def test_best_in_the_last_epoch_that_was_allowed(make_run, values, patience, improving) -> None:
    config = {"training.patience": str(patience), "training.min_delta": "0.0005"}
    run = trained(make_run, "base", 1, values, config=config)
    assert still_improving(run) is improving


def test_how_many_were_still_improving_and_which(make_run) -> None:
    runs = [trained(make_run, "a", s, (0.6, 0.61, 0.62)) for s in (1, 2)]
    runs += [trained(make_run, name, 1, (0.6, 0.63, 0.62)) for name in ("b", "c")]
    assert unfinished(runs).sentence == "2 of 4 runs were still improving when their epochs ran out (a)."
    assert unfinished(runs[1:]).sentence == "1 of 3 runs was still improving when its epochs ran out (a)."
    assert unfinished(runs[2:]).sentence == ""


def test_a_seed_that_learned_nothing_is_named_beside_the_verdict(make_run) -> None:
    noise = np.random.default_rng(9).normal(size=N)
    logits = healthy(1, 2, 3) | healthy(1, 2, name="other", noise=3.0) | {("other", 3): noise}
    comparison = compare_study(runs_of(make_run, logits), "base")
    entry = next(c for c in comparison.configurations if c.configuration == "other")
    assert entry.verdict == "not shown", "two seeds are worse by far, the third hides it"
    assert entry.diverged == [3]
    table = comparison_table(comparison)
    verdicts = dict(zip(table["Configuration"], table["Verdict"], strict=True))
    assert verdicts == {"base": "reference", "other": "● not shown (seed 3 went astray)"}
    (sentence,) = [note for note in comparison.notes if "went astray" in note]
    low, high = sorted(entry.values[s] for s in (1, 2))
    where = f"where other seeds have {low:.4f} to {high:.4f}."
    assert sentence == f"other, seed 3, went astray: AUC {entry.values[3]:.4f}, {where}"


def test_a_seed_of_the_reference_that_went_astray_concerns_every_comparison(make_run) -> None:
    noise = np.random.default_rng(9).normal(size=N)
    logits = healthy(1, 2) | {("base", 3): noise} | healthy(1, 2, 3, name="other")
    comparison = compare_study(runs_of(make_run, logits), "base")
    assert {c.configuration: c.diverged for c in comparison.configurations} == {"base": [3], "other": [3]}


def test_predictions_that_exploded_are_named_by_their_log_loss(make_run) -> None:
    logits = healthy(1, 2)
    logits["base", 2] = 100 * logits["base", 2]
    (found,) = diverged(runs_of(make_run, logits))
    assert (found.configuration, found.seed) == ("base", 2)
    assert "log loss" in found.sentence and "above the base rate's 0.69" in found.sentence
    assert ", where the other seed has " in found.sentence


def test_a_third_seed_that_is_no_better_than_the_base_rate_is_not_passed_over(make_run) -> None:
    logits = healthy(1, 2, 3)
    logits["base", 2] = 100 * logits["base", 2]
    logits["base", 3] = np.zeros(N)
    found = {one.seed: one.sentence for one in diverged(runs_of(make_run, logits))}
    assert "log loss" in found[2] and ", where another seed has " in found[2]


def test_a_run_that_failed_with_a_loss_that_is_not_finite(make_run) -> None:
    first, second = runs_of(make_run, healthy(1, 2))
    reason = "Training diverged: the loss is not finite in epoch 2. Try a lower learning rate."
    broken = replace(second, state="failed", reason=reason)
    killed = replace(second, state="failed", reason="The process was killed (signal 9).")
    (found,) = diverged([first, broken])
    assert found.sentence == "base, seed 2, failed: Training diverged: the loss is not finite in epoch 2."
    assert diverged([first, killed]) == []


@pytest.mark.parametrize("signal", [0.0, 0.1, 0.3, 3.0])
def test_no_false_alarm_where_seeds_differ_as_seeds_do(make_run, signal: float) -> None:
    """Also where nothing, or next to nothing, is to be learned: then every seed is near chance."""
    _, truth, _ = rows()
    logits = {("base", s): signal * truth + np.random.default_rng([7, s]).normal(size=N) for s in range(8)}
    scaled = {key: value / 4 for key, value in logits.items()}
    assert diverged(runs_of(make_run, scaled)) == []


def test_a_slice_covers_other_seeds_as_well_as_users(make_run) -> None:
    """Two seeds that differ widen the interval of a slice beyond that of either trained model alone."""
    label, truth, user = rows()
    length = np.repeat([0, 5], N // 2)
    logits = {s: truth + s * np.random.default_rng(s).normal(size=N) for s in (1, 4)}
    runs = [make_run("base", s, label, logit, user, history_length=length) for s, logit in logits.items()]
    both = slice_metrics({"base": runs}, "history_length")
    alone = [slice_metrics({"base": [run]}, "history_length") for run in runs]
    for i in range(len(both)):
        values = [frame["auc"][i] for frame in alone]
        width = both["high"][i] - both["low"][i]
        assert both["auc"][i] == pytest.approx(np.mean(values))
        assert width > max(frame["high"][i] - frame["low"][i] for frame in alone)
        assert both["auc"][i] - both["low"][i] >= min(both["auc"][i], half_width([seed_component(values)], 0.05)) - 1e-9


def test_what_intervals_of_slices_cover_is_said(make_run, monkeypatch) -> None:
    """Users or rows, seeds only of configurations that have several, and that the items are these."""
    from mdaf_core.analysis import slices
    from mdaf_core.analysis.items import Items

    label, truth, user = rows()
    length = np.repeat([0, 5], N // 2)
    two = [make_run("base", s, label, truth, user, history_length=length) for s in (1, 2)]
    one = make_run("one", 1, label, truth, user, history_length=length)
    frame = slice_metrics({"base": two, "one": [one]}, "history_length")
    alone = "other users with this trained model, not other seeds"
    both = "other seeds and other users, not adjusted for the number of slices"
    assert slices.slices_cover(frame, one, "test") == f"{both}; for one: {alone}"
    assert slices.slices_cover(slice_metrics({"one": [one]}, "history_length"), one, "test") == alone
    monkeypatch.setattr(slices, "items_of", lambda run, split: Items(items=40))
    assert slices.slices_cover(frame, one, "test").startswith("other seeds and other users, on these items, not")
    apart = make_run("rows", 1, label, truth, np.zeros(N, int), history_length=length)
    found = slices.slices_cover(slice_metrics({"rows": [apart]}, "history_length"), apart, "test")
    assert found == "other rows with this trained model, not other seeds"


def test_trees_are_told_in_epochs_of_their_own(make_run) -> None:
    """Epochs not trained are counted by the trees allowed, not by the setting of neural networks."""
    config = {"training.max_epochs": "6", "model.max_rounds": "400"}
    run = trained(make_run, "gbdt", 1, (0.6, 0.62, 0.61), config=config)
    assert analyse_run(run).epochs_saved == 17
    assert trees_by_epoch(400) == (20, 20) and trees_by_epoch(30) == (1, 30) and trees_by_epoch(5) == (1, 5)
