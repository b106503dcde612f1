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
from mdaf_core.studies import changing, launch, results, trainings, until
from mdaf_core.studies.seeds import seeds_to_try
from mdaf_core.studies.store import get_study
from mdaf_core.studies.until import go_on
from mdaf_core.tasks import train
from tests.conftest import new_home
from tests.reporting.example_study import add_runs, make_study

NAMES = ("mdaf-full", "mdaf-static", "lr")
NOISES = (1.0, 1.5, 8.0)


class Killed(BaseException):
    """What no program hears of."""


@pytest.fixture(scope="module")
def made(tmp_path_factory, empty_store):
    """An artifacts folder with a study: three seeds of each have finished, `lr` is much worse, `mdaf-static` open."""
    with pytest.MonkeyPatch.context() as patch:
        folder = new_home(tmp_path_factory.mktemp("until") / "artifacts", patch, empty_store)
        yield folder, make_study(NAMES, [42, 43, 44, 45, 46], until=UntilDecided(most=5), rows=1500, noises=NOISES)


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


def test_killed_at_any_step_it_decides_as_if_it_had_been_left_alone(made, tmp_path, monkeypatch):
    """Whoever looks dies before its words are written, after it, or where runs are queued; the next who looks makes up
    for it. A run that is recorded is one more look, too."""
    ends = {}
    for name in ("alone", "killed"):
        shutil.copytree(made[0], tmp_path / name)
        monkeypatch.setenv("MDAF_HOME", str(tmp_path / name))
        one, deaths = get_study(made[1].id), 0
        while one.undecided:
            for dying in ("update_study", "queue_missing") if name == "killed" else ():
                for late in (False, True):
                    deaths += _look_and_die(monkeypatch, one.id, dying, late)
            one = go_on(one.id, serve=False)
            done = {(run.configuration, run.seed) for run in tracking.list_runs(one.id)}
            for configuration, seed in [pair for pair in queued() if pair not in done]:
                add_runs(one, [seed], [configuration], rows=1500, noises=[NOISES[NAMES.index(configuration)]])
                if name == "killed":
                    deaths += _look_and_die(monkeypatch, one.id, "update_study", True)
        assert len(queued()) == len(set(queued())) and set(queued()) <= set(one.pairs)
        assert (deaths > 5) == (name == "killed")
        found = results.compare(one)
        words = [(c.configuration, c.verdict, c.summary and c.summary.mean) for c in found.configurations]
        ends[name] = ([(stop.configuration, stop.seeds, stop.why) for stop in one.stopped], one.seeds, queued(), words)
    assert ends["killed"] == ends["alone"] and ends["alone"][0]


def _look_and_die(monkeypatch, study_id: str, where: str, late: bool) -> int:
    """`go_on` that dies at `where`, before or after it; whether it came as far."""
    owner = launch if where == "queue_missing" else until
    real = getattr(owner, where)

    def dies(*args, **kwargs):
        if late:
            real(*args, **kwargs)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, where, dies)
        try:
            go_on(study_id, serve=False)
        except Killed:
            return 1
    return 0


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
