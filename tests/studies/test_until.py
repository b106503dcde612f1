"""A study whose seeds are added until decided: what is queued when a run has ended, by whomever it is asked."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from mdaf_core.analysis.sequential import UntilDecided
from mdaf_core.base.errors import UsageError
from mdaf_core.queue import store
from mdaf_core.reporting.material import Material
from mdaf_core.reporting.paper import bundle
from mdaf_core.runs import tracking
from mdaf_core.studies import changing, results, trainings
from mdaf_core.studies.seeds import seeds_to_try
from mdaf_core.studies.store import get_study, update_study
from mdaf_core.studies.until import go_on
from mdaf_core.tasks import train
from tests.reporting.example_study import add_runs, make_study

NOISES = (1.0, 1.5, 8.0)


@pytest.fixture(scope="module")
def made(tmp_path_factory, empty_store):
    """An artifacts folder with a study: three seeds of each have finished, `lr` is much worse, `mdaf-static` open."""
    folder = tmp_path_factory.mktemp("until") / "artifacts"
    folder.mkdir()
    shutil.copy(empty_store, folder / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MDAF_HOME", str(folder))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        names, seeds = ["mdaf-full", "mdaf-static", "lr"], [42, 43, 44, 45, 46]
        yield folder, make_study(names, seeds, until=UntilDecided(most=5), rows=1500, noises=NOISES)


@pytest.fixture
def study(made, tmp_path, monkeypatch):
    """A copy of it to change."""
    folder, study = made
    shutil.copytree(folder, tmp_path / "artifacts")
    monkeypatch.setenv("MDAF_HOME", str(tmp_path / "artifacts"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return study


def queued():
    return sorted((trainings.place(job).configuration, trainings.place(job).seed) for job in store.list_jobs())


def test_seeds_are_added_only_where_the_verdict_is_open(study):
    assert (study.seeds, study.plan.seeds, study.undecided) == (
        [42, 43, 44],
        [42, 43, 44, 45, 46],
        ["mdaf-static", "lr"],
    )
    after = go_on(study.id, serve=False)
    assert [(one.configuration, one.seeds, one.why) for one in after.stopped] == [("lr", 3, "worse")]
    assert (after.seeds, after.seeds_of("lr"), after.undecided) == ([42, 43, 44, 45], [42, 43, 44], ["mdaf-static"])
    assert queued() == [("mdaf-full", 45), ("mdaf-static", 45)]
    for _ in range(2):  # whoever else looks, and however often, adds nothing
        assert go_on(study.id, serve=False) == after
    assert len(queued()) == 2
    found = results.compare(after)
    words = {c.configuration: c.verdict for c in found.configurations}
    assert (words["lr"], words["mdaf-static"]) == ("worse", "interim")
    text = " ".join(found.conditions.sentences())
    assert "lr after 3 (worse)" in text and "not adjusted for looking early" not in text
    assert not any("†" in word for word in found.frame()["marked"])
    assert "hold at every look" in " ".join(s.text for s in bundle.results(Material(after)))


def test_it_ends_with_the_most_seeds_and_takes_no_others(study):
    ended = go_on(study.id, serve=False)
    while ended.undecided:
        add_runs(study, [ended.seeds[-1]], ["mdaf-full", "mdaf-static"], rows=1500, noises=NOISES)
        ended = go_on(study.id, serve=False)
    static = next(one for one in ended.stopped if one.configuration == "mdaf-static")
    assert 3 < static.seeds == len(ended.seeds) <= 5
    assert static.why == "worse" or "shown with" in static.why
    with pytest.raises(UsageError, match="are added until decided"):
        changing.extend(study.id, [99])


def test_a_look_that_was_cut_off_before_its_runs_were_queued_is_made_up_for(study):
    update_study(study.id, next_seed=45)  # and then the machine died
    go_on(study.id, serve=False)
    assert queued() == [("lr", 45), ("mdaf-full", 45), ("mdaf-static", 45)]
    assert get_study(study.id).stopped == []  # seed 45 is part of the look by now


def test_a_job_that_died_after_its_run_goes_on_when_it_is_settled(study):
    config = study.configuration("lr")
    (job_id,) = store.add([trainings.training_job(study.id, config, "toy", 44)])
    job = store.get_job(job_id)
    run = next(r for r in tracking.list_runs(study.id) if (r.configuration, r.seed) == ("lr", 44))
    assert train.settle(replace(job, run_id=run.run_id), "failed", "Killed by signal 9.")
    assert ("mdaf-static", 45) in queued() and ("lr", 45) not in queued()


def test_seeds_to_try_begin_with_those_named():
    until = UntilDecided(most=5)
    assert seeds_to_try(until, [7, 9]) == [7, 9, 10, 11, 12]
    assert seeds_to_try(until, range(10)) == [0, 1, 2, 3, 4]
    with pytest.raises(UsageError, match="would be above"):
        seeds_to_try(until, [2**32 - 2])
    with pytest.raises(UsageError, match="Name a seed"):
        seeds_to_try(until, [])
