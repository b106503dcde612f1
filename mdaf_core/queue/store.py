"""The queue: one SQLite file (`database.py`), every change one transaction.

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
import secrets
import sqlite3
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from mdaf_core.base.entries import LARGEST
from mdaf_core.base.errors import UsageError
from mdaf_core.base.settings import get_settings
from mdaf_core.queue.database import queue_path
from mdaf_core.queue.database import transaction as _transaction

JobState = Literal["queued", "running", "finished", "failed", "cancelled"]
ACTIVE: tuple[JobState, ...] = ("queued", "running")
ENDED: tuple[JobState, ...] = ("finished", "failed", "cancelled")


@dataclass(frozen=True)
class Job:
    """One entry of the queue. Times are Unix seconds.

    Attributes:
        kind: `train` or `prepare`.
        study, configuration, seed: of a `train` job.
        reason: why it failed or was cancelled, as a sentence.
        depends_on: the job that must finish first.
        blocked: it failed only because its dependency did.
        attempts: how often a worker has begun it.
        resume: the next attempt continues `run_id` instead of starting afresh.
        progress: what the worker last reported (`training.fit.Progress`, or `fraction` and `message`).
        cancel_requested: when a running job was asked to stop.
        token: the current claim; it fences off every earlier one.
    """

    id: int
    kind: str
    title: str
    study: str | None
    configuration: str | None
    seed: int | None
    payload_json: str
    state: JobState
    reason: str
    position: float
    depends_on: int | None
    blocked: bool
    created: float
    started: float | None
    ended: float | None
    attempts: int
    resume: bool
    run_id: str | None
    progress: dict[str, Any]
    cancel_requested: float | None
    token: str | None
    slot: int | None
    pid: int | None

    @property
    def payload(self) -> dict[str, Any]:
        """What the job's kind needs to know (parsed on demand: lists of jobs seldom look at it); empty where the queue
        is damaged there."""
        return _object(self.payload_json)

    @property
    def can_resume(self) -> bool:
        """Whether there is anything to go on from."""
        return self.can_retry and self.kind != "prepare" and self.attempts > 0

    @property
    def can_retry(self) -> bool:
        return self.state in ("failed", "cancelled")

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; the token stays private."""
        value = asdict(self)
        del value["token"], value["payload_json"]
        return {**value, "payload": self.payload}


@dataclass(frozen=True)
class NewJob:
    """A job to add. `after` is its dependency: the id of a job there is, or another `NewJob` of the same call."""

    kind: str
    title: str
    payload: dict[str, Any] = field(default_factory=dict)
    study: str | None = None
    configuration: str | None = None
    seed: int | None = None
    after: int | NewJob | None = None


def lock_path(job_id: int) -> Path:
    """The lock a worker of this job holds for its whole life."""
    return get_settings().jobs_dir / "locks" / f"{int(job_id)}.lock"


def log_path(job_id: int) -> Path:
    return get_settings().jobs_dir / "logs" / f"{int(job_id)}.log"


def _job(row: sqlite3.Row) -> Job:
    value = dict(row)
    del value["settling"]
    value["payload_json"] = value.pop("payload")
    value["progress"] = _object(value["progress"])
    value["blocked"], value["resume"] = bool(value["blocked"]), bool(value["resume"])
    return Job(**value)


def _object(text: str | None) -> dict[str, Any]:
    """A JSON object of the queue; empty where there is none, or none that can be read."""
    try:
        found = json.loads(text or "{}")
    except (ValueError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


# Reading


def list_jobs(study: str | None = None, states: Iterable[JobState] | None = None, kind: str | None = None) -> list[Job]:
    """Jobs in the order of the queue: running, then queued by position, then ended ones, latest first."""
    if not queue_path().exists():
        return []
    where, values = ["1"], []
    if study is not None:
        where.append("study = ?")
        values.append(study)
    if kind is not None:
        where.append("kind = ?")
        values.append(kind)
    if states is not None:
        wanted = list(states)
        where.append(f"state IN ({','.join('?' * len(wanted))})")
        values.extend(wanted)
    order = (
        "CASE state WHEN 'running' THEN 0 WHEN 'queued' THEN 1 ELSE 2 END, "
        "CASE state WHEN 'queued' THEN position WHEN 'running' THEN started ELSE -ended END, id"
    )
    with _transaction(write=False) as db:
        rows = db.execute(f"SELECT * FROM jobs WHERE {' AND '.join(where)} ORDER BY {order}", values).fetchall()
    return [_job(row) for row in rows]


def get_job(job_id: int) -> Job:
    """One job.

    Raises:
        UsageError: there is none of that id.
    """
    if queue_path().exists() and 0 < job_id <= LARGEST:
        with _transaction(write=False) as db:
            row = db.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
        if row is not None:
            return _job(row)
    raise UsageError(f"There is no job {job_id}. `python -m mdaf_core jobs` lists them.")


def work() -> tuple[list[Job], list[int]]:
    """Queued and running jobs, and the ids of ended ones whose run may still stand open in the run store."""
    if not queue_path().exists():
        return [], []
    with _transaction(write=False) as db:
        jobs = db.execute("SELECT * FROM jobs WHERE state IN ('queued', 'running') ORDER BY position").fetchall()
        unsettled = db.execute("SELECT id FROM jobs WHERE settling IS NOT NULL ORDER BY id").fetchall()
    return [_job(row) for row in jobs], [row[0] for row in unsettled]


# What people do


def add(jobs: list[NewJob], ahead_of: str | None = None) -> list[int]:
    """Queue `jobs` behind the others, or before the first queued job of the kind `ahead_of`; all or none.

    Returns their ids. A study has one job for each configuration and seed: one that is there already is not added
    again, whoever asks, and its id is returned.
    """
    ids: dict[int, int] = {}
    with _transaction() as db:
        first, step = _place(db, ahead_of, len(jobs))
        for i, job in enumerate(jobs):
            after = ids[id(job.after)] if isinstance(job.after, NewJob) else job.after
            db.execute(
                "INSERT INTO jobs (kind, title, study, configuration, seed, payload, position, depends_on, created) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (
                    *(job.kind, job.title, job.study, job.configuration, job.seed),
                    *(json.dumps(job.payload, allow_nan=False), first + i * step, after, time.time()),
                ),
            )
            row = db.execute(
                "SELECT CASE WHEN changes() > 0 THEN last_insert_rowid() ELSE (SELECT id FROM jobs "
                "WHERE kind = ? AND study = ? AND configuration = ? AND seed = ?) END",
                (job.kind, job.study, job.configuration, job.seed),
            ).fetchone()
            ids[id(job)] = row[0]
        _fail_blocked(db)
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
    with _transaction() as db:
        db.execute(
            "UPDATE jobs SET state = 'cancelled', reason = 'Cancelled before it began.', ended = ?, token = NULL, "
            "slot = NULL WHERE id = ? AND state = 'queued'",
            (time.time(), job_id),
        )
        db.execute(
            "UPDATE jobs SET cancel_requested = COALESCE(cancel_requested, ?) WHERE id = ? AND state = 'running'",
            (time.time(), job_id),
        )
        _fail_blocked(db)
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
    if resume and job.kind == "prepare":
        raise UsageError(f"Job {job_id} prepares data, which starts afresh: retry it instead.")
    with _transaction() as db:
        chain = [job.id]
        while job.blocked and job.depends_on is not None:
            job = _job(db.execute("SELECT * FROM jobs WHERE id = ?", (job.depends_on,)).fetchone())
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
        "cancel_requested = NULL, token = NULL, slot = NULL, pid = NULL, resume = ?, "
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
    with _transaction() as db:
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


# What the supervisor does


def claim(slots: int) -> Job | None:
    """Reserve a free slot for the next job that may start, under a new token; None where no slot or no job is free."""
    with _transaction() as db:
        taken = {
            r[0]
            for r in db.execute(
                "SELECT slot FROM jobs WHERE state = 'running' OR (state = 'queued' AND token IS NOT NULL)"
            )
        }
        free = [slot for slot in range(slots) if slot not in taken]
        if not free or len(taken) >= slots:
            return None
        row = db.execute(
            "SELECT j.id FROM jobs j LEFT JOIN jobs d ON d.id = j.depends_on "
            "WHERE j.state = 'queued' AND j.token IS NULL AND j.settling IS NULL "
            "AND (j.depends_on IS NULL OR d.state = 'finished') ORDER BY j.position LIMIT 1"
        ).fetchone()
        if row is None:
            return None
        token = secrets.token_hex(8)
        db.execute("UPDATE jobs SET token = ?, slot = ? WHERE id = ?", (token, free[0], row["id"]))
        return _job(db.execute("SELECT * FROM jobs WHERE id = ?", (row["id"],)).fetchone())


def release_claim(job: Job) -> None:
    """Take back a claim that no worker has confirmed. Call with the job's lock held."""
    with _transaction() as db:
        db.execute(
            "UPDATE jobs SET token = NULL, slot = NULL WHERE id = ? AND token = ? AND state = 'queued'",
            (job.id, job.token),
        )


def bury(job: Job, reason: str) -> None:
    """Record the death of a running job's worker. Call with the job's lock held: that proves it.

    The job is cancelled where it had been asked to stop, else failed with `reason`.
    """
    with _transaction() as db:
        row = db.execute(
            "SELECT cancel_requested FROM jobs WHERE id = ? AND token = ? AND state = 'running'", (job.id, job.token)
        ).fetchone()
        if row is None:
            return
        if row["cancel_requested"]:
            _end(db, job.id, "cancelled", CANCELLED_REASON)
        else:
            _end(db, job.id, "failed", reason)


def refuse(job: Job, reason: str) -> None:
    """Fail a queued job that cannot be started at all."""
    with _transaction() as db:
        if db.execute("SELECT 1 FROM jobs WHERE id = ? AND state = 'queued'", (job.id,)).fetchone():
            _end(db, job.id, "failed", reason)


# What a worker does

CANCELLED_REASON = "Cancelled; what was finished, epochs or stages, is kept."


def confirm(job_id: int, token: str, pid: int) -> Job | None:
    """Begin the claimed job, or None where the claim no longer holds. Call with the job's lock held."""
    with _transaction() as db:
        changed = db.execute(
            "UPDATE jobs SET state = 'running', started = ?, pid = ?, attempts = attempts + 1 "
            "WHERE id = ? AND token = ? AND state = 'queued'",
            (time.time(), pid, job_id, token),
        ).rowcount
    return get_job(job_id) if changed else None


def report(job: Job, progress: dict[str, Any], run_id: str | None, timeout: float = 20.0) -> None:
    """Record progress (and the run's id, once known).

    Raises:
        QueueError: the queue cannot be written, or is locked for `timeout` seconds.
    """
    with _transaction(timeout=timeout) as db:
        db.execute(
            "UPDATE jobs SET progress = ?, run_id = COALESCE(?, run_id) "
            "WHERE id = ? AND token = ? AND state = 'running'",
            (json.dumps(progress, allow_nan=False), run_id, job.id, job.token),
        )


def cancel_requested(job: Job, timeout: float = 20.0) -> bool:
    """Whether the worker of this running job was asked to stop. Raises QueueError as `report`."""
    with _transaction(write=False, timeout=timeout) as db:
        row = db.execute(
            "SELECT 1 FROM jobs WHERE id = ? AND token = ? AND cancel_requested IS NOT NULL", (job.id, job.token)
        ).fetchone()
    return row is not None


def end(job: Job, state: JobState, reason: str = "") -> None:
    """The worker's last word on its job."""
    with _transaction() as db:
        if db.execute(
            "SELECT 1 FROM jobs WHERE id = ? AND token = ? AND state = 'running'", (job.id, job.token)
        ).fetchone():
            _end(db, job.id, state, reason)


def settlement(job_id: int) -> tuple[Job, dict[str, str]] | None:
    """The job and the state and reason under which its open run is to be closed; None where nothing is open."""
    with _transaction(write=False) as db:
        row = db.execute("SELECT * FROM jobs WHERE id = ? AND settling IS NOT NULL", (job_id,)).fetchone()
    return None if row is None else (_job(row), {"state": "failed", "reason": ""} | _object(row["settling"]))


def not_settled(job_id: int, problem: str) -> None:
    """The run of an ended job could not be closed, for this reason."""
    with _transaction() as db:
        db.execute(
            "UPDATE jobs SET settling = json_set(settling, '$.problem', ?) WHERE id = ? AND settling IS NOT NULL",
            (problem, job_id),
        )


def give_up(job_id: int) -> None:
    """Fail a job that was queued again and cannot begin, because its earlier run cannot be closed."""
    with _transaction() as db:
        row = db.execute(
            "SELECT settling FROM jobs WHERE id = ? AND state = 'queued' AND settling IS NOT NULL", (job_id,)
        ).fetchone()
        if row is not None:
            problem = _object(row["settling"]).get("problem") or "Its earlier run cannot be closed in the run store."
            db.execute(
                "UPDATE jobs SET state = 'failed', reason = ?, ended = ?, token = NULL, slot = NULL WHERE id = ?",
                (problem, time.time(), job_id),
            )
            _fail_blocked(db)


def settled(job_id: int, finished: bool = False) -> None:
    """The run of an ended job is closed.

    Args:
        finished: the run had finished before its worker died: so has the job.
    """
    with _transaction() as db:
        db.execute("UPDATE jobs SET settling = NULL WHERE id = ?", (job_id,))
        if finished:
            db.execute(
                "UPDATE jobs SET state = 'finished', reason = '' WHERE id = ? AND state IN ('failed', 'cancelled')",
                (job_id,),
            )


def _end(db: sqlite3.Connection, job_id: int, state: JobState, reason: str) -> None:
    settling = json.dumps({"state": state, "reason": reason}) if state in ("failed", "cancelled") else None
    db.execute(
        "UPDATE jobs SET state = ?, reason = ?, ended = ?, token = NULL, slot = NULL, pid = NULL, "
        "cancel_requested = NULL, settling = CASE WHEN kind = 'train' AND attempts > 0 THEN ? END WHERE id = ?",
        (state, reason, time.time(), settling, job_id),
    )
    _fail_blocked(db)


def _fail_blocked(db: sqlite3.Connection) -> None:
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
