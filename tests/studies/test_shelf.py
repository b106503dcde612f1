"""Many studies: how they stand, finding them, the bin, and what is added to them or changed in a copy."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from mdaf_core.analysis.margins import parse_margin
from mdaf_core.base.errors import UsageError
from mdaf_core.base.files import write_json
from mdaf_core.base.settings import get_settings
from mdaf_core.queue import api, store
from mdaf_core.runs import tracking
from mdaf_core.runs.presets import get_preset
from mdaf_core.studies import changing, launch, results, shelf, trainings
from mdaf_core.studies.shelf import Wanted
from mdaf_core.studies.status import cells, counts
from mdaf_core.studies.store import Study, create_study, get_study, list_studies
from tests.reporting.example_study import make_study


@pytest.fixture
def tiny(home, give_tiny):
    return give_tiny(home)


def create(title: str, dataset: str = "clicks", presets: tuple[str, ...] = ("lr", "dcnv2"), seeds=(1, 2)) -> Study:
    return create_study(
        title=title, definition="own", dataset=dataset, configurations=[get_preset(p) for p in presets],
        seeds=seeds, reference=presets[0],
    )  # fmt: skip


def ids(**wanted) -> set[str]:
    return {one.study.title for one in shelf.find(Wanted(**wanted))}


def test_a_list_says_of_each_study_what_its_page_does(home):
    """Jobs go before runs, the finished run of a seed before its others, as in `status.cells`."""
    done = make_study(["lr", "dcnv2"], [1, 2], failed=[("dcnv2", 2)])
    retried = tracking.start_run(get_preset("dcnv2"), 1, "toy", "f", study=done.id)
    tracking.close_run(retried, "failed", "again")
    queued, empty = create("Queued"), create("Empty", presets=("lr",))
    store.add([trainings.training_job(queued.id, get_preset("lr"), "clicks", 1)])
    studies = list_studies()
    found = shelf.standings(studies)
    assert [one.study for one in found] == studies
    assert [one.counts for one in found] == [counts(cells(study)) for study in studies]
    state = {one.study.id: one.state for one in found}
    assert state == {done.id: "failed", queued.id: "queued", empty.id: "incomplete"}
    best = next(one for one in found if one.study.id == done.id)
    aucs = {cell.configuration: [] for cell in cells(done)}
    for cell in cells(done):
        if cell.state == "finished":
            aucs[cell.configuration].append(cell.metric("val", "auc"))
    means = {name: sum(values) / len(values) for name, values in aucs.items()}
    assert best.best == max(means, key=means.get) and best.best_auc == pytest.approx(max(means.values()), abs=1e-12)


def test_studies_are_found(home):
    first, second, third = create("Deep nets"), create("Deep crosses", "ads"), create("Straße", presets=("bst", "lr"))
    shelf.retag(first.id, ["keep", "paper"])
    shelf.retag(second.id, ["keep"])
    shelf.write_note(second.id, "Learning rate too high.")
    shelf.archive(third.id)
    assert ids() == {"Deep nets", "Deep crosses"}
    assert ids(text="deep") == {"Deep nets", "Deep crosses"} and ids(text="DEEP ads") == {"Deep crosses"}
    assert ids(text="too high") == {"Deep crosses"} == ids(text=second.id)
    assert ids(text="STRASSE bst", archived=None) == {"Straße"} == ids(archived=True)
    assert ids(tags=["keep"]) == {"Deep nets", "Deep crosses"} and ids(tags=["keep", "paper"]) == {"Deep nets"}
    assert ids(dataset="ads") == {"Deep crosses"} and ids(state="finished") == set()
    today = date.fromisoformat(first.created[:10])
    assert ids(since=today, until=today) == ids() and ids(since=today + timedelta(1)) == set()
    with pytest.raises(UsageError, match="A study is running"):
        shelf.find(Wanted(state="done"))


def test_what_people_say_of_a_study_changes_nothing_else(home):
    study = create("Before")
    shelf.rename(study.id, "  After \n all ")
    shelf.write_note(study.id, "<b>raw</b>\n")
    shelf.retag(study.id, ["a", "b", "a"])
    shelf.retag(study.id, ["c"], remove=["a"])
    shelf.archive(study.id)
    now = get_study(study.id)
    assert (now.title, now.note, now.tags, now.archived) == ("After all", "<b>raw</b>", ["b", "c"], True)
    said = {"title", "note", "tags", "archived"}
    assert now.model_dump(exclude=said) == study.model_dump(exclude=said)
    with pytest.raises(UsageError, match="no comma"):
        shelf.retag(study.id, ["a,b"])
    with pytest.raises(UsageError, match="1 to 120"):
        shelf.rename(study.id, " ")
    with pytest.raises(UsageError, match="at most 20,000"):
        shelf.write_note(study.id, "x" * 20_001)


def test_the_bin_keeps_everything_until_it_is_emptied(home):
    study = make_study(["lr"], [1])
    run = tracking.list_runs(study.id)[0]
    shelf.discard(study.id)
    assert list_studies() == [] and [one.id for one in shelf.binned()] == [study.id]
    with pytest.raises(UsageError, match=f"in the bin.*study restore {study.id}"):
        get_study(study.id)
    assert create("Another", "toy").id == "own-toy-2"  # never an id that runs bear
    assert shelf.restore(study.id) == study and tracking.get_run(run.run_id) == run
    with pytest.raises(UsageError, match="no study 'own-toy-1' in the bin"):
        shelf.restore(study.id)
    shelf.discard(study.id)
    told = [get_settings().told_dir / f"{name}.json" for name in (study.id, "another")]
    for path in told:
        write_json(path, {"state": "told of"})
    done = shelf.empty_bin()
    assert [path.exists() for path in told] == [False, True]
    assert (done.studies, done.runs) == ([study.id], 1) and done.bytes > 0
    assert not run.directory.exists() and tracking.list_runs(study.id) == [] and shelf.binned() == []
    assert create("Third", "toy").id == "own-toy-3"
    with pytest.raises(UsageError, match="There is no study"):
        get_study(study.id)
    with pytest.raises(UsageError, match="cannot be used"):
        shelf.restore("../up")


def test_a_study_with_jobs_is_not_thrown_away(tiny):
    study = launch.run("demo", "tiny", seeds=[1], only=["lr", "dcnv2"])
    with pytest.raises(UsageError, match=f"2 jobs.*jobs cancel --study {study.id}"):
        shelf.discard(study.id)
    api.cancel_all(api.list_jobs(api.ACTIVE, group=study.id))
    shelf.discard(study.id)
    assert list_studies() == []


def test_an_added_configuration_is_queued_and_marked(tiny):
    study = launch.run("demo", "tiny", seeds=[1, 2], only=["lr", "dcnv2"])
    changed = changing.starting_configuration(study.id, "lr").with_overrides(["training.learning_rate=0.01"])
    config = changed.model_copy(update={"name": "lr-fast"})
    now = changing.add_configuration(study.id, config)
    assert now.configuration_names == ["dcnv2", "lr", "lr-fast"] and now.plan == study.plan
    assert not now.added[0].results_seen and now.expected_seeds["lr-fast"] == [1, 2]
    assert {job.key for job in api.list_jobs(group=study.id)} >= {f"{study.id}/lr-fast/1", f"{study.id}/lr-fast/2"}
    with pytest.raises(UsageError, match="already"):
        changing.add_configuration(study.id, config)
    with pytest.raises(UsageError, match="cannot be used"):
        changing.add_configuration(study.id, config.model_copy(update={"name": "../up"}))
    with pytest.raises(UsageError, match="trains no 'nothing'"):
        changing.starting_configuration(study.id, "nothing")
    assert changing.starting_configuration(study.id, "gbdt").model.kind == "gbdt"


def test_a_clone_is_a_new_study_with_the_changes(tiny):
    first = launch.run("demo", "tiny", seeds=[1], margin=parse_margin("20"), title="First")
    second = changing.clone(first.id, overrides=["training.max_epochs=3"], seeds=[7], only=["dcnv2", "lr"])
    assert (second.cloned_from, second.title, second.seeds) == (first.id, "First, changed", [7])
    assert {config.training.max_epochs for config in second.configurations} == {3}
    assert second.plan is not None and second.plan.margin.text == first.plan.margin.text
    assert second.reference == "dcnv2" and get_study(first.id) == first
    assert len(api.list_jobs(group=second.id)) == 2
    with pytest.raises(UsageError, match="trains no nothing"):
        changing.clone(first.id, only=["nothing"])


def test_verdicts_say_what_was_seen_before(tiny):
    """The same comparison on the same data: whoever makes the second has seen the first, deleted or not. And a
    configuration that came when results had been seen is marked by itself."""
    first = make_study(["lr", "dcnv2"], [1, 2, 3], dataset=tiny)
    shelf.discard(first.id)
    second = make_study(["lr", "dcnv2"], [4, 5, 6], dataset=tiny)
    changing.add_configuration(second.id, get_preset("bst"))
    said = results.compare(get_study(second.id)).conditions.of_configurations
    assert any(first.id in reason for reason in said["dcnv2"])
    assert [reason.partition(" on ")[0] for reason in said["bst"]] == ["added"]
    assert said["bst"][0].endswith("after results were seen")
