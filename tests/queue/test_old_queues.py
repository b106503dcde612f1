"""A queue that an earlier version wrote opens as it stands, and what was queued or running there goes on."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from pathlib import Path

import pytest

from mdaf_core.queue import database, store, turns
from mdaf_core.queue.database import QueueError, queue_path
from mdaf_core.studies import trainings
from mdaf_core.tasks import kinds

# The first form of the file, as its program made it.
SCHEMA_1 = """
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, title TEXT NOT NULL, study TEXT, configuration TEXT,
    seed INTEGER, payload TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'queued', reason TEXT NOT NULL DEFAULT '',
    position REAL NOT NULL, depends_on INTEGER REFERENCES jobs(id), blocked INTEGER NOT NULL DEFAULT 0,
    created REAL NOT NULL, started REAL, ended REAL, attempts INTEGER NOT NULL DEFAULT 0,
    resume INTEGER NOT NULL DEFAULT 0, run_id TEXT, progress TEXT, cancel_requested REAL, token TEXT, slot INTEGER,
    pid INTEGER, settling TEXT
);
CREATE INDEX jobs_state ON jobs(state);
CREATE INDEX jobs_study ON jobs(study);
CREATE UNIQUE INDEX jobs_run ON jobs(study, configuration, seed) WHERE kind = 'train' AND study IS NOT NULL;
PRAGMA user_version = 1;
"""
EPOCH_2 = {"run_id": "r2", "phase": "training", "epoch": 2, "max_epochs": 4, "step": 5, "steps": 10}
EPOCH_2 |= {"rows_per_second": 1000.0, "seconds_left": 9.0, "val_auc": 0.6, "best_val_auc": 0.61}
PREPARATION = json.dumps({"name": "log", "source": "table", "path": "/x.csv", "options": {}})
FAILED = {"state": "failed", "ended": 5.0, "attempts": 1, "run_id": "r4"}
TRAINING = json.dumps({"config": {"name": "lr"}, "dataset": "log", "seed": 1, "provenance": {}})


def write_old(folder: Path) -> Path:
    path = folder / "queue.db"
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.executescript(SCHEMA_1)
    rows = (
        (
            "prepare",
            "prepare log",
            None,
            None,
            None,
            json.dumps({"name": "log", "source": "table", "path": "/x.csv"}),
            {},
        ),
        ("train", "lr, seed 1", "s-1", "lr", 1, TRAINING, {"depends_on": 1, "attempts": 1, "state": "running"}),
        ("train", "a/b, seed 2", "s-1", "a/b", 2, "{damaged", {}),
        (
            "train",
            "lr, seed 1",
            "s-2",
            "lr",
            1,
            TRAINING,
            {"state": "failed", "ended": 5.0, "attempts": 1, "run_id": "r4"},
        ),
        ("train", "alone", None, None, None, TRAINING, {"state": "finished", "started": 1.0, "ended": 3.0}),
    )
    more = {
        "running": {
            "token": "t",
            "slot": 0,
            "pid": 77,
            "started": 2.0,
            "progress": json.dumps(EPOCH_2),
            "run_id": "r2",
        },
        "failed": {"settling": json.dumps({"state": "failed", "reason": "Killed."}), "reason": "Killed."},
    }
    for number, (kind, title, study, configuration, seed, payload, facts) in enumerate(rows, 1):
        values = {"kind": kind, "title": title, "study": study, "configuration": configuration, "seed": seed}
        values |= {"payload": payload, "position": number, "created": time.time(), **facts}
        values |= more.get(facts.get("state", ""), {})
        names = ", ".join(values)
        db.execute(f"INSERT INTO jobs ({names}) VALUES ({', '.join('?' * len(values))})", list(values.values()))
    db.close()
    return path


@pytest.fixture
def old(home: Path) -> Path:
    return write_old(home / "jobs")


def test_an_old_queue_opens_as_it_stands(old: Path) -> None:
    jobs = {job.id: job for job in store.list_jobs()}
    assert [jobs[i].kind for i in range(1, 6)] == ["prepare", "train", "train", "train", "train"]
    assert [jobs[i].state for i in range(1, 6)] == ["queued", "running", "queued", "failed", "finished"]
    assert [trainings.place(jobs[i]) for i in range(1, 6)] == [
        None, ("s-1", "lr", 1), ("s-1", "a/b", 2), ("s-2", "lr", 1), None,
    ]  # fmt: skip
    assert [jobs[i].resource for i in range(1, 6)] == ["log", "log", None, "log", "log"]
    assert [jobs[i].resumable for i in range(1, 6)] == [False, True, True, True, True]
    assert jobs[2].depends_on == 1 and jobs[2].run_id == "r2" and jobs[2].payload["config"] == {"name": "lr"}
    assert kinds.standing(jobs[2]) == (
        "38%, epoch 2 of at most 4, step 5 of 10, 1,000 rows/s, best validation AUC 0.6100"
    )
    assert {job.id for job in store.list_jobs(group="s-1")} == {2, 3}
    assert {job.id for job in store.list_jobs(["running"], "train", resource="log")} == {2}
    assert store.work()[1] == [4]
    assert turns.settlement(4)[1:] == ("failed", "Killed.")


def test_what_was_queued_or_running_goes_on(old: Path) -> None:
    running = store.get_job(2)
    turns.report(running, '{"phase": "evaluating"}', "r2")
    turns.end(running, "finished")
    assert store.get_job(2).state == "finished"
    (again,) = store.add([store.NewJob("train", "lr, seed 1", {}, key="s-1/lr/1")])
    assert again == 2  # there is one already
    (new,) = store.add([store.NewJob("train", "lr, seed 3", {}, key="s-1/lr/3")])
    assert new > 5
    turns.settled(4)
    assert store.requeue(4, resume=True).resume
    assert turns.claim(1).id == 1


def test_the_last_word_of_a_worker_of_before_counts(old: Path) -> None:
    """It was forked by the earlier program, and ends its job by the statements of that."""
    store.list_jobs()
    with database.transaction() as db:
        db.execute("UPDATE jobs SET progress = '{}', run_id = COALESCE('r2', run_id) WHERE id = 2 AND token = 't'")
        db.execute(
            "UPDATE jobs SET state = 'failed', reason = 'r', ended = 9, token = NULL, slot = NULL, pid = NULL, "
            "cancel_requested = NULL, settling = CASE WHEN kind = 'train' AND attempts > 0 THEN '{}' END WHERE id = 2"
        )
    assert store.get_job(2).state == "failed" and store.work()[1] == [2, 4]


def test_one_that_may_only_be_read_is_shown_and_kept(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = old.read_bytes()
    monkeypatch.setattr(database.os, "access", lambda *_: False)
    assert len(store.list_jobs()) == 5 and store.get_job(2).group == "s-1"
    assert old.read_bytes() == before
    db = sqlite3.connect(old)
    assert db.execute("PRAGMA user_version").fetchone() == (1,)
    db.close()


def test_an_old_and_a_new_queue_have_one_form(old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.list_jobs()
    brought_up = shutil.copy(old, tmp_path / "old.db")
    old.unlink()
    store.add([store.NewJob("sleep", "one")])

    def form(path: Path) -> list[tuple[str, ...]]:
        db = sqlite3.connect(path)
        found = db.execute(
            "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite%' ORDER BY 2"
        ).fetchall()
        db.close()
        return found

    assert form(Path(brought_up)) == form(queue_path())


@pytest.mark.parametrize(("form", "columns"), [(2, ("threads", "memory", "machine")), (3, ("machine",))])
def test_later_forms_get_the_columns_that_came_after_them(home: Path, form: int, columns: tuple[str, ...]) -> None:
    store.add([store.NewJob("train", "lr, seed 1", {}, key="s-1/lr/1", threads=1)])
    db = sqlite3.connect(queue_path())
    for column in columns:
        db.execute(f"ALTER TABLE jobs DROP COLUMN {column}")
    db.execute(f"PRAGMA user_version = {form}")
    db.close()
    (job,) = store.list_jobs()
    kept = None if "threads" in columns else 1
    assert (job.title, job.threads, job.memory, job.machine) == ("lr, seed 1", kept, None, None)
    assert turns.reserve(turns.confirm(1, turns.claim(1).token, 7), 5, together=9)


def test_a_newer_queue_is_left_alone_in_words(old: Path) -> None:
    db = sqlite3.connect(old)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(QueueError, match="newer version of this program"):
        store.list_jobs()
