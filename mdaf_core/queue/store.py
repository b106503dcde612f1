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
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from mdaf_core.base.entries import LARGEST
from mdaf_core.base.errors import UsageError
from mdaf_core.queue.database import queue_path, transaction
from mdaf_core.queue.job import ACTIVE, Job, JobState, NewJob, from_row, json_object

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


# What a worker does before it takes much memory


def reserve(job: Job, memory: int, together: int) -> bool:
    """Note that a running job will take `memory` bytes; False where it has to wait.

    With what other running jobs have noted it must not be more than `together`, unless none has noted anything.
    """
    with transaction() as db:
        others = db.execute(
            "SELECT COALESCE(SUM(memory), 0) FROM jobs WHERE state = 'running' AND id <> ?", (job.id,)
        ).fetchone()[0]
        fits = not others or others + memory <= together
        if fits:
            db.execute("UPDATE jobs SET memory = ? WHERE id = ? AND token = ?", (memory, job.id, job.token))
    return fits


# What the supervisor does


class Lane(NamedTuple):
    """Kinds of job that share slots: these, or all but these."""

    names: tuple[str, ...]
    others: bool = False

    def condition(self) -> tuple[str, tuple[str, ...]]:
        """As a condition on the jobs `j`, with its values."""
        return f"j.kind {'NOT IN' if self.others else 'IN'} ({','.join('?' * len(self.names))})", self.names


EVERY = Lane((), others=True)


def claim(slots: int, share_cores: bool = False, kinds: Lane = EVERY) -> Job | None:
    """Reserve a free slot for the next job that may start, under a new token; None where no slot or no job is free.

    Args:
        slots: most jobs at once.
        share_cores: a slot is a core, and a job takes as many as it has threads, or all; where the next job finds too
            few free, those behind it wait too.
        kinds: of which kinds; others neither start nor take slots.
    """
    condition, names = kinds.condition()
    with transaction() as db:
        taken = {
            slot: threads
            for slot, threads in db.execute(
                "SELECT slot, threads FROM jobs j WHERE (state = 'running' OR (state = 'queued' AND token IS NOT "
                f"NULL)) AND {condition}",
                names,
            )
        }
        free = [slot for slot in range(slots) if slot not in taken]
        if not free or len(taken) >= slots:
            return None
        row = db.execute(
            "SELECT j.id, j.threads FROM jobs j LEFT JOIN jobs d ON d.id = j.depends_on "
            "WHERE j.state = 'queued' AND j.token IS NULL AND j.settling IS NULL "
            f"AND (j.depends_on IS NULL OR d.state = 'finished') AND {condition} ORDER BY j.position LIMIT 1",
            names,
        ).fetchone()
        if row is None:
            return None
        if share_cores and taken and sum(t or slots for t in [*taken.values(), row["threads"]]) > slots:
            return None
        token = secrets.token_hex(8)
        db.execute("UPDATE jobs SET token = ?, slot = ? WHERE id = ?", (token, free[0], row["id"]))
        return from_row(db.execute("SELECT * FROM jobs WHERE id = ?", (row["id"],)).fetchone())


def release_claim(job: Job) -> None:
    """Take back a claim that no worker has confirmed. Call with the job's lock held."""
    with transaction() as db:
        db.execute(
            "UPDATE jobs SET token = NULL, slot = NULL WHERE id = ? AND token = ? AND state = 'queued'",
            (job.id, job.token),
        )


def bury(job: Job, reason: str) -> None:
    """Record the death of a running job's worker. Call with the job's lock held: that proves it.

    The job is cancelled where it had been asked to stop, else failed with `reason`.
    """
    with transaction() as db:
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
    with transaction() as db:
        if db.execute("SELECT 1 FROM jobs WHERE id = ? AND state = 'queued'", (job.id,)).fetchone():
            _end(db, job.id, "failed", reason)


# What a worker does

CANCELLED_REASON = "Cancelled; what was finished, epochs or stages, is kept."


def claimed(job_id: int, token: str) -> Job | None:
    """The job, while this claim on it holds and waits to be confirmed."""
    job = get_job(job_id)
    return job if job.state == "queued" and job.token == token else None


def confirm(job_id: int, token: str, pid: int, machine: str | None = None) -> Job | None:
    """Begin the claimed job, or None where the claim no longer holds. Call with the job's lock held.

    Args:
        machine: as of `Job.machine`.
    """
    with transaction() as db:
        changed = db.execute(
            "UPDATE jobs SET state = 'running', started = ?, pid = ?, machine = ?, attempts = attempts + 1 "
            "WHERE id = ? AND token = ? AND state = 'queued'",
            (time.time(), pid, machine, job_id, token),
        ).rowcount
    return get_job(job_id) if changed else None


def moved(job: Job, machine: str) -> None:
    """A running job goes on on another machine, or (empty) waits for one."""
    with transaction() as db:
        db.execute(
            "UPDATE jobs SET machine = ? WHERE id = ? AND token = ? AND state = 'running'",
            (machine, job.id, job.token),
        )


def report(job: Job, progress: str, run_id: str | None, timeout: float = 20.0) -> None:
    """Record progress, a JSON object, and the id of what is begun, once known.

    Raises:
        QueueError: the queue cannot be written, or is locked for `timeout` seconds.
    """
    with transaction(timeout=timeout) as db:
        db.execute(
            "UPDATE jobs SET progress = ?, run_id = COALESCE(?, run_id) "
            "WHERE id = ? AND token = ? AND state = 'running'",
            (progress, run_id, job.id, job.token),
        )


def cancel_requested(job: Job, timeout: float = 20.0) -> bool:
    """Whether the worker of this running job was asked to stop. Raises QueueError as `report`."""
    with transaction(write=False, timeout=timeout) as db:
        row = db.execute(
            "SELECT 1 FROM jobs WHERE id = ? AND token = ? AND cancel_requested IS NOT NULL", (job.id, job.token)
        ).fetchone()
    return row is not None


def end(job: Job, state: JobState, reason: str = "") -> None:
    """The worker's last word on its job."""
    with transaction() as db:
        if db.execute(
            "SELECT 1 FROM jobs WHERE id = ? AND token = ? AND state = 'running'", (job.id, job.token)
        ).fetchone():
            _end(db, job.id, state, reason)


def settlement(job_id: int) -> tuple[Job, Literal["failed", "cancelled"], str] | None:
    """The job and the state and reason under which what it left open is to be closed; None where nothing is open."""
    with transaction(write=False) as db:
        row = db.execute("SELECT * FROM jobs WHERE id = ? AND settling IS NOT NULL", (job_id,)).fetchone()
    if row is None:
        return None
    told = json_object(row["settling"])
    return from_row(row), "cancelled" if told.get("state") == "cancelled" else "failed", str(told.get("reason", ""))


def not_settled(job_id: int, problem: str) -> None:
    """What an ended job left open could not be closed, for this reason."""
    with transaction() as db:
        db.execute(
            "UPDATE jobs SET settling = json_set(settling, '$.problem', ?) WHERE id = ? AND settling IS NOT NULL",
            (problem, job_id),
        )


def give_up(job_id: int) -> None:
    """Fail a job that was queued again and cannot begin, because its earlier run cannot be closed."""
    with transaction() as db:
        row = db.execute(
            "SELECT settling FROM jobs WHERE id = ? AND state = 'queued' AND settling IS NOT NULL", (job_id,)
        ).fetchone()
        if row is not None:
            told = json_object(row["settling"]).get("problem")
            problem = told or "Its earlier run cannot be closed in the run store."
            db.execute(
                "UPDATE jobs SET state = 'failed', reason = ?, ended = ?, token = NULL, slot = NULL WHERE id = ?",
                (problem, time.time(), job_id),
            )
            _fail_blocked(db)


def settled(job_id: int, finished: bool = False) -> None:
    """What an ended job left open is closed.

    Args:
        finished: it was done before the worker died: so is the job.
    """
    with transaction() as db:
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
        "cancel_requested = NULL, settling = CASE WHEN resumable AND attempts > 0 THEN ? END WHERE id = ?",
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
