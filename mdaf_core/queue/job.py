"""A job: one entry of the queue, as it is read and as it is added."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from mdaf_core.base.settings import get_settings

JobState = Literal["queued", "running", "finished", "failed", "cancelled"]
ACTIVE: tuple[JobState, ...] = ("queued", "running")
ENDED: tuple[JobState, ...] = ("finished", "failed", "cancelled")


@dataclass(frozen=True)
class Job:
    """One entry of the queue. Times are Unix seconds.

    Attributes:
        kind: what it does, see `kind.Kind`.
        key: names the task among those of its kind, as a path such as `STUDY/CONFIGURATION/SEED`; None: it has no name,
            and can be queued any number of times.
        resource: what it reads or writes, for those who are about to change that: the name of a data set.
        reason: why it failed or was cancelled, as a sentence.
        depends_on: the job that must finish first.
        blocked: it failed only because its dependency did.
        attempts: how often a worker has begun it.
        resumable: an attempt leaves something behind, under `run_id`, that the next can continue; where it ends badly,
            that is to be closed (`Kind.settle`).
        resume: the next attempt continues `run_id` instead of starting afresh.
        progress: what the worker last reported, as its kind's `Progress` writes it.
        cancel_requested: when a running job was asked to stop.
        token: the current claim; it fences off every earlier one.
        threads: CPU threads it computes on, beside other jobs; None: all there are, alone (see `slots`).
        memory: bytes it has said it will take, see `turns.reserve`.
        machine: where it runs, or ran last, if not on this machine (see `elsewhere`); empty while it waits there.
    """

    id: int
    kind: str
    title: str
    key: str | None
    resource: str | None
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
    resumable: bool
    resume: bool
    run_id: str | None
    progress: dict[str, Any]
    cancel_requested: float | None
    token: str | None
    slot: int | None
    pid: int | None
    threads: int | None = None
    memory: int | None = None
    machine: str | None = None

    @property
    def payload(self) -> dict[str, Any]:
        """What the job's kind needs to know (parsed on demand: lists of jobs seldom look at it); empty where the queue
        is damaged there."""
        return json_object(self.payload_json)

    @property
    def group(self) -> str | None:
        """The first part of its key: jobs that share it belong together."""
        return None if self.key is None else self.key.partition("/")[0]

    @property
    def can_resume(self) -> bool:
        """Whether there is anything to go on from."""
        return self.can_retry and self.resumable and self.attempts > 0

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
    """A job to add: fields as of `Job`. `after` is its dependency: the id of a job there is, or another `NewJob` of the
    same call."""

    kind: str
    title: str
    payload: dict[str, Any] = field(default_factory=dict)
    key: str | None = None
    resource: str | None = None
    resumable: bool = False
    threads: int | None = None
    after: int | NewJob | None = None


def lock_path(job_id: int) -> Path:
    """The lock a worker of this job holds for its whole life."""
    return get_settings().jobs_dir / "locks" / f"{int(job_id)}.lock"


def log_path(job_id: int) -> Path:
    return get_settings().jobs_dir / "logs" / f"{int(job_id)}.log"


def from_row(row: sqlite3.Row) -> Job:
    """A job as the queue's file holds it."""
    value = dict(row)
    del value["settling"]
    value["payload_json"] = value.pop("payload")
    value["progress"] = json_object(value["progress"])
    for flag in ("blocked", "resumable", "resume"):
        value[flag] = bool(value[flag])
    return Job(**value)


def json_object(text: str | None) -> dict[str, Any]:
    """A JSON object of the queue; empty where there is none, or none that can be read."""
    try:
        found = json.loads(text or "{}")
    except (ValueError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
