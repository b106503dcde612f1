"""Searches without training: runs are recorded as trainings leave them, with figures that follow from settings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mdaf_core.analysis.costs import of_runs
from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.base.settings import get_settings
from mdaf_core.models.space import Choice, Range
from mdaf_core.queue import api, store
from mdaf_core.reporting import conditions, provenance
from mdaf_core.reporting.figures import make_figure
from mdaf_core.reporting.material import Material
from mdaf_core.reporting.paper.tables import make_table
from mdaf_core.runs import tracking
from mdaf_core.runs.presets import get_preset
from mdaf_core.runs.results import EpochMetrics, RunResult
from mdaf_core.runs.split_metrics import split_metrics
from mdaf_core.studies import trainings
from mdaf_core.studies.store import get_study, list_studies
from mdaf_core.studies.tuning import begin, found, going, search
from mdaf_core.studies.tuning.prune import BelowMedian, before, below_median, judge
from mdaf_core.studies.tuning.spaces import spaces_of
from mdaf_core.studies.tuning.suggest import importance, suggest
from mdaf_core.studies.tuning.summary import summary

CONFIGS = ("dcnv2", "lr")
LABEL = np.arange(40) % 2


pytestmark = pytest.mark.usefixtures("tiny")


def started(trials: int = 3, **options: Any) -> search.Search:
    configs = [get_preset(name) for name in CONFIGS]
    return begin.begin(
        definition="own", dataset="tiny", configs=configs, spaces=spaces_of(configs), trials=trials, **options
    )


def finish(job: Any, seconds: float = 60.0) -> None:
    """The job's run, as if it had been trained: the nearer its learning rate to 0.003, the better."""
    training = trainings.Training.model_validate(job.payload)
    config, place = training.config, trainings.place(job)
    run_id = tracking.start_run(config, training.seed, "tiny", "f" * 64, study=place.study)
    away = abs(np.log(config.training.learning_rate / 0.003))
    metrics = split_metrics(
        LABEL, np.where(LABEL, 1.0, 0.0) + 2 * away * np.random.default_rng(0).normal(size=40), None
    )
    epoch = EpochMetrics(
        epoch=1, lr=1e-3, train_loss=0.6, val_loss=0.6, val_auc=metrics.auc, seconds=1.0, rows_per_second=1.0
    )
    result = RunResult(
        run_id=run_id, preset=config.preset, configuration=config.name, seed=training.seed, dataset="tiny",
        best_epoch=1, stopped="", epochs=[epoch], val=metrics, test=metrics, rows_per_second=1.0, parameters=1,
        parameters_embedding=0, parameters_dense=1, wall_seconds=seconds,
    )  # fmt: skip
    tracking.finish_run(run_id, result)
    store.cancel(job.id)  # what stands in the run store counts, not what the queue was told


def work(one: search.Search, seconds: float = 60.0) -> search.Search:
    """Do all trials, one look after each."""
    while jobs := [job for job in store.list_jobs() if job.state == "queued" and job.group == one.id]:
        finish(jobs[0], seconds)
        one = going.go_on(one.id, serve=False)
    return one


def settings(one: search.Search) -> list[Any]:
    return [[trial.settings for trial in part.trials] for part in search.get(one.id).configurations]


def test_equal_trials_then_the_winners_on_fresh_seeds():
    one = work(started())
    assert [len(part.trials) for part in one.configurations] == [3, 3]
    assert one.configurations[1].trials[0].settings["training.learning_rate"] == get_preset("lr").training.learning_rate
    study = get_study(one.study)
    assert (study.tuned_in, study.seeds, study.reference, one.seed) == (one.id, [42, 43, 44], "dcnv2", 1)
    for name in CONFIGS:
        trials = found.tried(one)[name]
        best = max(trials, key=lambda t: t.value)
        for path, value in best.trial.settings.items():
            assert study.configuration(name).value(path) == value
    queued = [trainings.place(job) for job in store.list_jobs() if job.state == "queued"]
    assert sorted((p.study, p.configuration, p.seed) for p in queued) == sorted(
        (study.id, name, seed) for name in CONFIGS for seed in (42, 43, 44)
    )
    # The ledger counts the trials, of which the winner is one; a verdict sees none of them.
    for job in [job for job in store.list_jobs() if job.state == "queued"]:
        finish(job)
    runs = tracking.list_runs(study.id)
    assert of_runs(runs)["settings_tried"].to_list() == [3, 3]
    assert {run.seed for run in runs} == {42, 43, 44}
    said = [one.sentence for one in conditions.of_study(study, runs) if one.kind == "budget"]
    assert said == [
        "Settings won on validation, 3 trials of each configuration with seed 1, which none of these runs has."
    ]
    for rate in (1e-5, 2e-5):
        tracking.start_run(get_preset("lr").with_overrides({"training.learning_rate": rate}), 1, "tiny", "f" * 64)
    (_, unequal) = [one for one in conditions.of_study(study, runs) if one.kind == "budget"]
    assert unequal.grave and "unequal: on these data 5 settings of lr were tried, and 3 of dcnv2" in unequal.sentence
    going.go_on(one.id, serve=False)
    assert [s.id for s in list_studies() if s.tuned_in] == [study.id]
    told = summary(search.get(one.id))
    assert told.done and not told.warnings and [part.ended for part in told.configurations] == [3, 3]

    def material() -> Material:
        made = Material(study)
        made.records = runs  # the queue holds their jobs as cancelled
        return made

    figure, compute = make_figure(material(), "expected-best"), make_table(material(), "tuning")
    assert figure.data.group_by("configuration").len()["len"].to_list() == [3, 3]
    assert "Each configuration got 3 trials, with seed 1, drawn by the tree-structured" in figure.caption
    assert "they flatter" in compute.caption and "on these data 5 settings of lr" in compute.caption
    assert compute.cells["Trials"] == ["3", "3"] and compute.cells["Minutes"] == ["3.0", "3.0"]
    won = make_table(material(), "tuned-settings")
    dropout = won.cells["Setting"].index("model.dropout")
    chosen = study.configuration("dcnv2").value("model.dropout")
    assert (won.cells["dcnv2"][dropout], won.cells["lr"][dropout]) == (f"{chosen:.3g}", "–")
    assert won.cells["Tried"][dropout] == "0..0.5"
    before = provenance.identify(material(), "tuning")
    tracking.delete_run(found.tried(search.get(one.id))["lr"][0].run_id)
    assert provenance.identify(material(), "tuning") != before
    (get_settings().searches_dir / f"{one.id}.json").unlink()
    said = conditions.of_study(study, runs)
    assert any(c.grave and "a search that is no longer here" in c.sentence for c in said)
    with pytest.raises(UsageError, match="no search"):
        make_table(material(), "tuning")


def test_trials_of_a_time_are_no_unequal_budgets():
    one = started(trials=None, budget=150.0)
    while jobs := [job for job in store.list_jobs() if job.state == "queued" and job.group == one.id]:
        finish(jobs[0], 30.0 if trainings.place(jobs[0]).configuration.startswith("lr.") else 80.0)
        one = going.go_on(one.id, serve=False)
    assert [len(part.trials) for part in one.configurations] == [2, 5]
    for job in [job for job in store.list_jobs() if job.state == "queued"]:
        finish(job)
    study = get_study(one.study)
    (said,) = [c for c in conditions.of_study(study, tracking.list_runs(study.id)) if c.kind == "budget"]
    assert "2.5 minutes of training of each configuration (2 to 5 trials each) with seed 1" in said.sentence


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"budget": 20.0}, "20 s of training"),
        ({"budget": 60.0}, "1 minute of training"),
        ({"budget": 200.0}, "3.33 minutes of training"),
        ({"trials": 1, "budget": 1800.0}, "1 trial or 30 minutes of training"),
        ({"trials": 8}, "8 trials"),
    ],
)
def test_a_budget_in_words(given, words):
    assert (
        started(trials=None, budget=60.0).model_copy(update={"trials": None, "budget": None} | given).budget_words
        == words
    )


def test_a_search_that_is_cut_off_anywhere_tries_the_same(monkeypatch):
    alone = work(started(trials=3, title="alone"))
    cut, real = started(trials=3, title="cut"), api.submit

    def dies(*_: Any, **__: Any) -> Any:
        raise StudioError("killed")

    kills = 0
    while queued := [job for job in store.list_jobs() if job.state == "queued" and job.group == cut.id]:
        finish(queued[-1])
        monkeypatch.setattr(going.jobs, "submit", dies)
        try:  # where a trial is drawn, or the winners' study is made, and nothing is queued yet
            going.go_on(cut.id, serve=False)
        except StudioError:
            kills += 1
        monkeypatch.setattr(going.jobs, "submit", real)
        for _ in range(2):  # whoever looks next makes up for it, once
            going.go_on(cut.id, serve=False)
    assert kills == 2 * len(CONFIGS) + 1 and settings(cut) == settings(alone)
    assert len([s for s in list_studies() if s.tuned_in == cut.id]) == 1


def test_what_diverged_counts_and_what_failed_waits():
    one = started(trials=2)
    going.diverged(one.id, "lr.1", "The training diverged.")
    mine = {t.trial.number: t.state for t in found.tried(search.get(one.id))["lr"]}
    assert mine == {1: "gone", 2: "queued"}
    for job in store.list_jobs():
        if trainings.place(job).configuration == "dcnv2.1":
            store.cancel(job.id)
    assert len(going.go_on(one.id, serve=False).configurations[0].trials) == 1
    assert "waits for them: dcnv2 (1)" in summary(search.get(one.id)).warnings[0]
    assert [t.trial.number for t in going.give_up(one.id)] == [1]
    with pytest.raises(UsageError, match="no failed"):
        going.give_up(one.id)
    one = work(search.get(one.id))
    assert one.study and [part.ended for part in summary(one).configurations] == [2, 2]


def test_a_budget_is_read():
    assert begin.parse_budget("2h") == 7200 and begin.parse_budget("30m") == begin.parse_budget("30") == 1800


def test_what_cannot_begin_is_refused():
    with pytest.raises(UsageError, match="no winner can be confirmed on it"):
        started(seed=43)
    for bad in ("", "-1m", "x", "0"):
        with pytest.raises(UsageError, match="budget looks like"):
            begin.parse_budget(bad)
    assert not search.list_searches()


def test_below_the_median_of_bests():
    others = [[0.6, 0.7, 0.7]] * 3 + [[0.5]] * 2
    assert below_median([0.5, 0.6, 0.65], others) and not below_median([0.5, 0.6], others)
    assert not below_median([0.71, 0.5, 0.5], others) and not below_median([0.1] * 5, others[:4])


def test_a_pruned_trial_counts_and_never_wins(monkeypatch):
    one = started(trials=2, prune=True)
    monkeypatch.setattr("mdaf_core.studies.tuning.prune.figures", lambda _: [[0.9] * 3] * 5)
    look = judge(before(one, "lr.1"))
    epochs = [
        EpochMetrics(epoch=e, lr=1e-3, train_loss=0.6, val_auc=0.6, seconds=1.0, rows_per_second=1.0) for e in (1, 2, 3)
    ]
    look(epochs[:2])
    with pytest.raises(BelowMedian, match="after epoch 3"):
        look(epochs)
    job = next(job for job in store.list_jobs() if trainings.place(job).configuration == "lr.1")
    training = trainings.Training.model_validate(job.payload)
    run_id = tracking.start_run(training.config, 1, "tiny", "f" * 64, study=one.id)
    tracking.log_epoch(run_id, epochs)
    tracking.close_run(run_id, "cancelled", "Stopped after epoch 3.")
    going.pruned(one.id, "lr.1", 3)
    part = summary(search.get(one.id)).configurations[1]
    assert (part.pruned, part.ended, part.values, part.winner) == (1, 1, [0.6], None)
    assert len(part.trials) == 2


SPACE = {
    "a": Range(low=1e-4, high=1e-2, log=True),
    "b": Choice(values=[[1], [2, 3]]),
    "c": Range(low=1, high=9, whole=True),
}


def test_draws_depend_on_seed_number_and_history_alone():
    first = [suggest(SPACE, [], 1, number) for number in range(1, 6)]
    assert first == [suggest(dict(reversed(SPACE.items())), [], 1, number) for number in range(1, 6)]
    assert len({str(one) for one in first}) == 5 and suggest(SPACE, [], 2, 1) != first[0]
    for one in first:
        assert all(SPACE[path].holds(value) for path, value in one.items())


def test_tpe_learns_and_importance_says_of_what():
    past: list[Any] = [({"a": 5.0, "b": [1], "c": 1}, 0.9)]  # outside: the configuration as it was
    rng = np.random.default_rng(0)
    for _ in range(24):
        drawn = {"a": float(np.exp(rng.uniform(np.log(1e-4), np.log(1e-2)))), "b": [1], "c": int(rng.integers(1, 10))}
        past.append((drawn, -abs(np.log(drawn["a"] / 1e-3))))
    learned = [abs(np.log(suggest(SPACE, past, 3, number)["a"] / 1e-3)) for number in range(26, 30)]
    assert max(learned) < np.mean([-value for _, value in past[1:]])
    share = importance(SPACE, past)
    assert share is not None and max(share, key=share.get) == "a" and sum(share.values()) == pytest.approx(1)
    assert importance(SPACE, past[:5]) is None and importance(SPACE, [(s, 0.5) for s, _ in past]) is None
