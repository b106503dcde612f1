"""The queue: one SQLite file (`database.py`), every change one transaction. Here it is read, and what people ask for
is done; what the supervisor and workers do is in `turns.py`.

States and who may change them:

    queued ──claim (supervisor: token, slot)──▶ queued, claimed ──confirm (worker, holding the job's lock)──▶ running
    running ──end (worker, by its token)──▶ finished | failed | cancelled
    running ──bury (supervisor, holding the lock the dead worker lost)──▶ failed | cancelled
    queued ──cancel──▶ cancelled          queued ──its dependency failed──▶ failed (blocked)
    failed | cancelled ──requeue──▶ queued

A job is `running` only between a confirmation and an end, both made by a process that holds the job's lock, so that a
free lock on a running job proves its worker dead, and a claim that was taken back can no longer be confirmed.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from typing import Literal

from mdaf_core.base.entries import LARGEST
from mdaf_core.base.errors import UsageError
from mdaf_core.queue.database import queue_path, transaction
from mdaf_core.queue.job import ACTIVE, Job, JobState, NewJob, from_row

# Reading


def list_jobs(
    states: Iterable[JobState] | None = None,
    kind: str | None = None,
    group: str | None = None,
    resource: str | None = None,
    most: int | None = None,
) -> list[Job]:
    """Jobs in the order of the queue: running, then queued by position, then ended ones, latest first.

    Args:
        states, kind, group, resource: only those that have (one of) these; None: whatever theirs is.
        most: of these, the first; None: all.
    """
    if not queue_path().exists():
        return []
    wanted = None if states is None else list(states)
    conditions: dict[str, Sequence[str] | None] = {
        f"state IN ({','.join('?' * len(wanted or ()))})": wanted,
        "kind = ?": None if kind is None else [kind],
        "resource = ?": None if resource is None else [resource],
        "substr(key, 1, length(?) + 1) = ? || '/'": None if group is None else [group, group],
    }
    chosen = {condition: values for condition, values in conditions.items() if values is not None}
    values = [value for of_one in chosen.values() for value in of_one]
    order = (
        "CASE state WHEN 'running' THEN 0 WHEN 'queued' THEN 1 ELSE 2 END, "
        "CASE state WHEN 'queued' THEN position WHEN 'running' THEN started ELSE -ended END, id"
    )
    with transaction(write=False) as db:
        rows = db.execute(
            f"SELECT * FROM jobs WHERE {' AND '.join(chosen) or '1'} ORDER BY {order} LIMIT ?",
            [*values, -1 if most is None else most],
        ).fetchall()
    return [from_row(row) for row in rows]


def count_jobs() -> dict[JobState, int]:
    """How many jobs are in each state; states that none is in are left out."""
    if not queue_path().exists():
        return {}
    with transaction(write=False) as db:
        return {row[0]: row[1] for row in db.execute("SELECT state, COUNT(*) FROM jobs GROUP BY state").fetchall()}


def states(kind: str) -> list[tuple[str, JobState]]:
    """Key and state of every job of a kind that has a key."""
    if not queue_path().exists():
        return []
    with transaction(write=False) as db:
        rows = db.execute("SELECT key, state FROM jobs WHERE kind = ? AND key IS NOT NULL", (kind,)).fetchall()
    return [(row["key"], row["state"]) for row in rows]


def get_job(job_id: int) -> Job:
    """One job.

    Raises:
        UsageError: there is none of that id.
    """
    if queue_path().exists() and 0 < job_id <= LARGEST:
        with transaction(write=False) as db:
            row = db.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
        if row is not None:
            return from_row(row)
    raise UsageError(f"There is no job {job_id}. `python -m mdaf_core jobs` lists them.")


def work() -> tuple[list[Job], list[int]]:
    """Queued and running jobs, and the ids of ended ones whose run may still stand open in the run store."""
    if not queue_path().exists():
        return [], []
    with transaction(write=False) as db:
        jobs = db.execute("SELECT * FROM jobs WHERE state IN ('queued', 'running') ORDER BY position").fetchall()
        unsettled = db.execute("SELECT id FROM jobs WHERE settling IS NOT NULL ORDER BY id").fetchall()
    return [from_row(row) for row in jobs], [row[0] for row in unsettled]


# What people do


def add(jobs: list[NewJob], ahead_of: str | None = None) -> list[int]:
    """Queue `jobs` behind the others, or before the first queued job of the kind `ahead_of`; all or none.

    Returns their ids. There is one job of a kind and key: one that is there already is not added again, whoever asks,
    and its id is returned.
    """
    ids: dict[int, int] = {}
    with transaction() as db:
        first, step = _place(db, ahead_of, len(jobs))
        for i, job in enumerate(jobs):
            after = ids[id(job.after)] if isinstance(job.after, NewJob) else job.after
            db.execute(
                "INSERT INTO jobs (kind, title, key, resource, resumable, threads, payload, position, depends_on, "
                "created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (
                    *(job.kind, job.title, job.key, job.resource, job.resumable, job.threads),
                    *(json.dumps(job.payload, allow_nan=False), first + i * step, after, time.time()),
                ),
            )
            row = db.execute(
                "SELECT CASE WHEN changes() > 0 THEN last_insert_rowid() ELSE (SELECT id FROM jobs "
                "WHERE kind = ? AND key = ?) END",
                (job.kind, job.key),
            ).fetchone()
            ids[id(job)] = row[0]
        fail_blocked(db)
    return [ids[id(job)] for job in jobs]


def _place(db: sqlite3.Connection, ahead_of: str | None, count: int) -> tuple[float, float]:
    """Where `count` new jobs go: the position of the first and the step from each to the next."""
    before = db.execute("SELECT MIN(position) FROM jobs WHERE state = 'queued' AND kind = ?", (ahead_of,)).fetchone()[0]
    if before is None:
        return db.execute("SELECT COALESCE(MAX(position), 0) FROM jobs").fetchone()[0] + 1, 1.0
    behind = db.execute("SELECT MAX(position) FROM jobs WHERE state = 'queued' AND position < ?", (before,)).fetchone()
    step = (1.0 if behind[0] is None else before - behind[0]) / (count + 1)
    return before - count * step, step


def cancel(job_id: int) -> Job:
    """Cancel a queued job at once; ask a running one to stop. An ended job stays as it is."""
    get_job(job_id)
    with transaction() as db:
        db.execute(
            "UPDATE jobs SET state = 'cancelled', reason = 'Cancelled before it began.', ended = ?, token = NULL, "
            "slot = NULL WHERE id = ? AND state = 'queued'",
            (time.time(), job_id),
        )
        db.execute(
            "UPDATE jobs SET cancel_requested = COALESCE(cancel_requested, ?) WHERE id = ? AND state = 'running'",
            (time.time(), job_id),
        )
        fail_blocked(db)
    return get_job(job_id)


def requeue(job_id: int, resume: bool) -> Job:
    """Put a failed or cancelled job back at the end of the queue.

    With it go the dependency it failed for, and the jobs that failed only because this one did.

    Args:
        resume: continue the run after its last finished epoch; otherwise start a new run.

    Raises:
        UsageError: the job has not ended, or it finished.
    """
    job = get_job(job_id)
    if job.state == "finished":
        raise UsageError(f"Job {job_id} finished: there is nothing to {'resume' if resume else 'retry'}.")
    if job.state in ACTIVE:
        raise UsageError(f"Job {job_id} is {job.state}: cancel it first.")
    if resume and not job.resumable:
        raise UsageError(f"Job {job_id} ({job.title}) starts afresh: retry it instead.")
    with transaction() as db:
        chain = [job.id]
        while job.blocked and job.depends_on is not None:
            job = from_row(db.execute("SELECT * FROM jobs WHERE id = ?", (job.depends_on,)).fetchone())
            if job.state not in ("failed", "cancelled"):
                break
            chain.insert(0, job.id)
        for one in chain:
            _requeue(db, one, resume and one == job_id)
            blocked = db.execute("SELECT id FROM jobs WHERE depends_on = ? AND blocked = 1 ORDER BY id", (one,))
            for (dependent,) in blocked.fetchall():
                if dependent not in chain:
                    _requeue(db, dependent, False)
    return get_job(job_id)


def _requeue(db: sqlite3.Connection, job_id: int, resume: bool) -> None:
    db.execute(
        "UPDATE jobs SET state = 'queued', reason = '', blocked = 0, started = NULL, ended = NULL, progress = NULL, "
        "memory = NULL, machine = NULL, cancel_requested = NULL, token = NULL, slot = NULL, pid = NULL, resume = ?, "
        "run_id = CASE WHEN ? THEN run_id END, position = (SELECT MAX(position) + 1 FROM jobs) "
        "WHERE id = ? AND state IN ('failed', 'cancelled')",
        (int(resume), int(resume), job_id),
    )


def move(job_id: int, where: Literal["up", "down", "first"]) -> Job:
    """Change a queued job's place.

    Raises:
        UsageError: the job is not queued.
    """
    job = get_job(job_id)
    with transaction() as db:
        queued = [
            tuple(r) for r in db.execute("SELECT id, position FROM jobs WHERE state = 'queued' ORDER BY position")
        ]
        ids = [i for i, _ in queued]
        if job_id not in ids:
            raise UsageError(f"Job {job_id} is {job.state}, not queued: it has no place to change.")
        at = ids.index(job_id)
        to = {"up": max(at - 1, 0), "down": min(at + 1, len(ids) - 1), "first": 0}[where]
        ids.insert(to, ids.pop(at))
        for one, (_, position) in zip(ids, queued, strict=True):
            db.execute("UPDATE jobs SET position = ? WHERE id = ?", (position, one))
    return get_job(job_id)


def fail_blocked(db: sqlite3.Connection) -> None:
    """Fail queued jobs whose dependency failed or was cancelled, and those that wait for them in turn."""
    while True:
        rows = db.execute(
            "SELECT j.id, d.id AS other, d.title, d.state, d.reason FROM jobs j JOIN jobs d ON d.id = j.depends_on "
            "WHERE j.state = 'queued' AND d.state IN ('failed', 'cancelled')"
        ).fetchall()
        if not rows:
            return
        for row in rows:
            ended = "was cancelled" if row["state"] == "cancelled" else f"failed: {row['reason']}"
            db.execute(
                "UPDATE jobs SET state = 'failed', blocked = 1, ended = ?, reason = ?, token = NULL, slot = NULL "
                "WHERE id = ?",
                (time.time(), f"Job {row['other']} ({row['title']}), which it needs, {ended}", row["id"]),
            )
