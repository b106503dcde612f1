"""The file of the run store: made whole or not at all, told from a damaged one, migrated on a copy, and made again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mdaf_core.queue import store as queue
from mdaf_core.runs import tracking
from mdaf_core.runs.presets import get_preset
from mdaf_core.runs.provenance import fingerprint
from mdaf_core.runs.tracking import connection, listing
from tests.cli.conftest import call  # noqa: F401
from tests.reporting.example_study import make_study


@pytest.fixture
def bare(home: Path) -> Path:
    """An artifacts folder without a run store."""
    (home / "mlflow.db").unlink()
    return home


def _start_and_die(at: int) -> None:
    """Begin a run in a child process, which is killed before its `at`-th statement in the store."""
    child = os.fork()
    if child == 0:
        from sqlalchemy import Engine, event

        count = 0

        @event.listens_for(Engine, "before_cursor_execute")
        def _(*_: Any) -> None:
            nonlocal count
            count += 1
            if count == at:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            tracking.start_run(get_preset("lr"), 1, "data", "abc")
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, "it was not killed while it made the store"


def test_a_process_killed_while_it_makes_the_store_leaves_none(bare: Path) -> None:
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401  # once, for all children

    for at in (2, 40, 150, 300):
        _start_and_die(at)
        assert not (bare / "mlflow.db").exists()
    run = tracking.start_run(get_preset("lr"), 1, "data", "abc")
    assert [r.run_id for r in tracking.list_runs()] == [run]
    assert [p.name for p in bare.iterdir() if ".new" in p.name] == []


def test_a_disk_that_fills_while_the_store_is_made_leaves_none(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.store.tracking import sqlalchemy_store

    def full(*_: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(sqlalchemy_store.mlflow.store.db.utils, "_initialize_tables", full)
        with pytest.raises(tracking.StoreError, match="is full"):
            tracking.start_run(get_preset("lr"), 1, "data", "abc")
    assert not list(bare.glob("*.db*"))
    assert tracking.start_run(get_preset("lr"), 1, "data", "abc")


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0" + b"x" * 4000, b"not a database" * 500])
def test_a_damaged_store_is_said_with_the_command(home: Path, call, content: bytes) -> None:  # noqa: F811
    study = make_study(["lr"], [1])
    (home / "mlflow.db").write_bytes(content)
    code, rows, err = call("study", "list", "--json")
    assert code == 0 and rows[0]["id"] == study.id
    assert "mlflow.db" in err and "store rebuild" in err
    assert call("overfitting", "abc")[0] == 1
    (home / "mlflow.db").unlink()
    code, _, err = call("study", "list", "--json")
    assert code == 0 and "is missing" in err and "store rebuild" in err


def _everything() -> tuple[dict[str, tracking.RunRecord], dict[str, Any]]:
    """All runs but for their order of parameters, and the history of every metric by step."""
    runs = {r.run_id: replace(r, config=dict(sorted(r.config.items()))) for r in tracking.list_runs()}
    client = connection.client()
    keys = {id: client.get_run(id).data.metrics for id in runs}
    histories = {
        (id, key): sorted((m.step, m.value) for m in client.get_metric_history(id, key))
        for id, metrics in keys.items()
        for key in metrics
    }
    return runs, {"last": keys, "all": histories}


def test_a_store_is_rebuilt_as_it_was(home: Path, call) -> None:  # noqa: F811
    make_study(["mdaf-full", "lr"], [1, 2], title="One", failed=[("lr", 2)], epochs=6)
    make_study(["dcnv2"], [3], title="Two")
    before = _everything()
    experiments = {e.name for e in connection.client().search_experiments()}
    (home / "mlflow.db").write_bytes(b"no database" * 1000)
    code, done, err = call("store", "rebuild", "--json")
    assert code == 0, err
    assert (done["runs"], done["studies"]) == (5, 2)
    assert Path(done["kept"]).read_bytes().startswith(b"no database")
    after = _everything()
    assert after[0] == {id: replace(r) for id, r in before[0].items()}
    assert after[1]["last"] == before[1]["last"]
    finished = {key for key in before[1]["all"] if before[0][key[0]].state == "finished"}
    assert {k: after[1]["all"][k] for k in finished} == {k: before[1]["all"][k] for k in finished}
    assert {e.name for e in connection.client().search_experiments()} == experiments
    run = tracking.start_run(get_preset("lr"), 9, "toy", "f" * 64, study="one more")
    assert tracking.get_run(run).state == "running"


def test_runs_of_before_their_facts_were_kept_are_pieced_together(home: Path, call, tiny) -> None:  # noqa: F811
    study = make_study(["mdaf-full", "lr"], [1], failed=[("lr", 1)])
    runs = {r.configuration: r for r in tracking.list_runs()}
    for run in runs.values():
        (run.directory / "run.json").unlink()
        there = {"name": "tiny", "fingerprint": tiny.meta.fingerprint}
        gone = {"name": "toy", "fingerprint": {"sha256": "abc"}}
        provenance = {"dataset": there if run.configuration == "lr" else gone, "seed": 1}
        (run.directory / "provenance.json").write_text(json.dumps(provenance))
    copy = home / "copy"
    shutil.copy(home / "mlflow.db", copy)
    assert call("store", "rebuild")[0] == 0  # the store still tells everything
    assert {r.configuration: (r.study, r.state, r.reason, r.fingerprint) for r in tracking.list_runs()} == {
        c: (r.study, r.state, r.reason, r.fingerprint) for c, r in runs.items()
    }
    (home / "mlflow.db").write_bytes(b"")  # now nothing does but studies, the queue and the files
    (job,) = queue.add([queue.NewJob("train", "lr", {}, key=f"{study.id}/lr/1", resumable=True)])
    with queue.transaction() as db:
        db.execute(
            "UPDATE jobs SET state = 'failed', reason = 'Killed.', ended = 5, run_id = ? WHERE id = ?",
            (runs["lr"].run_id, job),
        )
    code, _, err = call("store", "rebuild")
    assert code == 0 and "gone or prepared anew" in err
    assert {r.configuration: (r.study, r.state, r.reason) for r in tracking.list_runs()} == {
        "mdaf-full": (study.id, "finished", ""),
        "lr": (study.id, "failed", "Killed."),
    }
    prints = {r.configuration: r.fingerprint for r in tracking.list_runs()}
    assert prints["lr"] == fingerprint(tiny) != prints["mdaf-full"]


def test_a_run_that_cannot_be_read_is_left_out_of_the_rebuilt_store(home: Path, call) -> None:  # noqa: F811
    make_study(["lr"], [1, 2])
    lost, kept = tracking.list_runs()
    (lost.directory / "config.json").write_text("{")
    connection.client().delete_run(kept.run_id)  # by hand, in MLflow: it stays deleted
    code, done, _ = call("store", "rebuild", "--json")
    assert code == 0 and done["runs"] == 0
    assert any(lost.run_id[:8] in sentence and "config.json" in sentence for sentence in done["left_out"])
    assert tracking.list_runs() == []


def test_a_store_of_an_older_mlflow_is_copied_before_it_is_migrated(home: Path, bare: Path) -> None:
    from alembic import command
    from mlflow.store.db.utils import _get_alembic_config, create_sqlalchemy_engine

    run = tracking.start_run(get_preset("lr"), 1, "data", "abc")
    tracking.close_run(run, "failed", "why")
    engine = create_sqlalchemy_engine(f"sqlite:///{home / 'mlflow.db'}")
    config = _get_alembic_config(str(engine.url))
    with engine.begin() as begun:
        config.attributes["connection"] = begun
        command.downgrade(config, "-1")
    engine.dispose()
    old = sqlite3.connect(home / "mlflow.db").execute("SELECT version_num FROM alembic_version").fetchone()[0]
    connection._cached_client.cache_clear()
    listing._known.clear()
    assert [(r.run_id, r.reason) for r in tracking.list_runs()] == [(run, "why")]  # to be read, it may be an old one
    tracking.resume_run(run)
    copy = sqlite3.connect(home / f"mlflow.db.before-{old}")
    assert copy.execute("SELECT version_num FROM alembic_version").fetchone()[0] == old


def test_jobs_that_run_keep_the_store_from_being_rebuilt(home: Path, call) -> None:  # noqa: F811
    queue.add([queue.NewJob("train", "lr", {}, key="s/lr/1", resumable=True)])
    with queue.transaction() as db:
        db.execute("UPDATE jobs SET state = 'running', run_id = 'r', started = 1")
    code, _, err = call("store", "rebuild")
    assert code == 2 and "is running" in err
