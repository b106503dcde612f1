"""The run store: what is read again after a change, and what is not."""

import sqlite3
from pathlib import Path

import pytest

from mdaf_core.base import notices
from mdaf_core.runs import tracking
from mdaf_core.runs.presets import get_preset
from mdaf_core.runs.tracking import connection, listing, rows
from tests.reporting.example_study import make_study

pytestmark = pytest.mark.usefixtures("home")


def start(seed: int) -> str:
    return tracking.start_run(get_preset("lr"), seed, "data", "abc", study="one")


def states() -> dict[int, str]:
    return {run.seed: run.state for run in tracking.list_runs("one")}


def test_changes_show_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "CLOCKS_SECONDS", 0.0)
    assert tracking.list_runs() == []
    runs = [start(seed) for seed in range(3)]
    assert states() == {0: "running", 1: "running", 2: "running"}
    tracking.close_run(runs[0], "failed", "killed")
    tracking.close_run(runs[1], "cancelled", "by hand")
    assert states() == {0: "failed", 1: "cancelled", 2: "running"}
    assert tracking.get_run(runs[0]).reason == "killed"
    tracking.resume_run(runs[0])
    assert states()[0] == "running"
    tracking.close_run(runs[0], "failed", "again")
    tracking.resume_run(runs[1])  # begins and ends between two reads
    tracking.close_run(runs[1], "failed", "at once")
    assert states() == {0: "failed", 1: "failed", 2: "running"}
    assert [tracking.get_run(run).reason for run in runs[:2]] == ["again", "at once"]
    connection.client().delete_run(runs[2])
    assert 2 not in states()


def test_what_others_delete_is_gone_within_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    run = start(1)
    tracking.close_run(run, "failed", "")
    start(2)
    assert set(states()) == {1, 2} == {run.seed for run in tracking.list_runs()}
    connection.client().delete_run(run)
    assert set(states()) == {2}
    monkeypatch.setattr(listing, "READ_ALL_SECONDS", 0.0)
    assert [run.seed for run in tracking.list_runs()] == [2]


def test_of_all_runs_only_what_may_have_changed_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "CLOCKS_SECONDS", 0.0)
    for seed in range(4):
        tracking.close_run(start(seed), "failed", "")
    last = start(4)
    assert len(tracking.list_runs()) == 5
    read = []
    record = listing.record_of
    monkeypatch.setattr(listing, "record_of", lambda run: read.append(run.run_id) or record(run))
    tracking.close_run(last, "failed", "")
    assert len(tracking.list_runs()) == 5
    assert last in read and len(set(read)) <= 2


def test_mlflow_tells_the_same_as_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the file cannot be read as it is, MLflow is asked; both give equal records."""
    make_study(["lr"], [1, 2], failed=[("lr", 2)])
    study = make_study(["lr", "dcnv2"], [3], running=[("dcnv2", 3)])
    beginning = tracking.list_runs()[0].run_id

    def everything() -> list[object]:
        listing._known.clear()
        for cache in (listing._all_runs, listing._runs_of, listing._runs_on):
            cache.cache_clear()
        found = [tracking.list_runs(), tracking.list_runs(study.id), tracking.get_run(beginning), tracking.standings()]
        found += [tracking.studies_on(["f" * 64]), tracking.studies_on(["another"])]
        return [*found, tracking.list_runs_on(["f" * 64, "another"]), tracking.list_runs_on(["another"])]

    from_file = everything()
    assert len(from_file[0]) == 4 and len(from_file[1]) == 2 and from_file[5] == set()
    assert from_file[6] == from_file[0] and from_file[7] == []

    def refuse(path: Path) -> sqlite3.Connection:
        raise sqlite3.OperationalError("database is locked")

    monkeypatch.setattr(rows, "_open", refuse)
    assert everything() == from_file


def test_epochs_without_their_file_are_those_of_the_result(home: Path) -> None:
    """Removed: nothing is lost. Damaged: the file is named."""
    study = make_study(["lr"], [1, 2], epochs=4)
    before = [run.epochs for run in tracking.list_runs(study.id)]
    assert [len(epochs) for epochs in before] == [4, 4]
    first, second = (tracking.run_directory(run.run_id) / "epochs.json" for run in tracking.list_runs(study.id))
    first.unlink()
    second.write_text("[" * 100_000)
    with notices.collect() as said:
        assert [run.epochs for run in tracking.list_runs(study.id)] == before
    (sentence,) = said
    assert str(second) in sentence
