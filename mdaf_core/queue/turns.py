"""A job's turn, from the supervisor's claim to the worker's last word; and what an attempt that ended badly left open.

Which states there are, and who may change them: `store.py`.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from typing import Literal, NamedTuple

from mdaf_core.queue.database import transaction
from mdaf_core.queue.job import Job, JobState, from_row, json_object
from mdaf_core.queue.store import fail_blocked, get_job

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


def _end(db: sqlite3.Connection, job_id: int, state: JobState, reason: str) -> None:
    settling = json.dumps({"state": state, "reason": reason}) if state in ("failed", "cancelled") else None
    db.execute(
        "UPDATE jobs SET state = ?, reason = ?, ended = ?, token = NULL, slot = NULL, pid = NULL, "
        "cancel_requested = NULL, settling = CASE WHEN resumable AND attempts > 0 THEN ? END WHERE id = ?",
        (state, reason, time.time(), settling, job_id),
    )
    fail_blocked(db)


# What an attempt left open


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
            fail_blocked(db)


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
