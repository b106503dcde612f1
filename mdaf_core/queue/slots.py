"""How many jobs run at once, on how many threads and on which GPU each: found without loading torch.

Where `MDAF_SLOTS` is set or there are GPUs, each job has a slot, and slots have equal shares of the cores; else jobs
share the cores by the threads that each was queued with: trainings of a study compute on few threads each, as many
at once as there are cores, for small steps gain little from a second thread.

Where `MDAF_EXECUTOR` sends trainings elsewhere, `MDAF_SLOTS` and `MDAF_THREADS` are of those, and the other jobs share
this machine as if neither was set.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from mdaf_core.base.settings import get_settings
from mdaf_core.base.words import plural


def gpus() -> list[str]:
    """Names of the GPUs as `CUDA_VISIBLE_DEVICES` takes them: those it lists already, else all of this machine."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    return sorted(
        (p.name.removeprefix("nvidia") for p in Path("/dev").glob("nvidia*") if re.fullmatch(r"nvidia\d+", p.name)),
        key=int,
    )


def cores() -> int:
    return os.cpu_count() or 1


PLACES = 16
"""Trainings that are asked for at once elsewhere, where `MDAF_SLOTS` is not set."""


def elsewhere() -> bool:
    """Whether trainings run on other machines."""
    return get_settings().executor != "local"


def places() -> int:
    """Most trainings at once elsewhere, those that wait for a machine there included."""
    return get_settings().slots or PLACES


def _own() -> tuple[int | None, int | None]:
    """Slots and threads as they were set for the jobs of this machine."""
    settings = get_settings()
    return (None, None) if elsewhere() else (settings.slots, settings.threads)


def share_cores() -> bool:
    """Whether jobs share the cores by their threads: nobody has set slots or threads, and there is no GPU."""
    return _own() == (None, None) and not gpus()


def slot_count() -> int:
    """Most jobs at once: `MDAF_SLOTS`, else one a GPU, else one a core, or one where `MDAF_THREADS` is set alone."""
    return _own()[0] or len(gpus()) or (cores() if share_cores() else 1)


def threads_for(jobs: int) -> int | None:
    """Threads of each of so many trainings that are launched together, as `Job.threads`: all cores are at work, on as
    many jobs at once as there are. None for one alone, and where slots decide."""
    return max(1, cores() // jobs) if jobs > 1 and share_cores() and not elsewhere() else None


def at_once(threads: int | None) -> int:
    """How many trainings of so many threads run at once."""
    if elsewhere():
        return places()
    if not share_cores():
        return slot_count()
    return 1 if threads is None else max(1, cores() // threads)


def job_threads(threads: int | None) -> int:
    """CPU threads that a job with these `Job.threads` computes on: `MDAF_THREADS`, else its own, else its slot's share
    of the cores. One on a machine elsewhere, unless either says more."""
    if elsewhere():
        return get_settings().threads or threads or 1
    equal = 1 if share_cores() else slot_count()
    return _own()[1] or threads or max(1, cores() // equal)


def threads_words(threads: int) -> str:
    return "1 thread" if threads == 1 else f"{threads} threads"


def sharing_words() -> str:
    """How trainings share this machine, or where else they run, as a sentence."""
    settings = get_settings()
    if settings.executor != "local":
        where = "through SLURM" if settings.executor == "slurm" else "on the Ray cluster"
        gpus_too = f" and {plural(settings.job_gpus, 'GPU')}" if settings.job_gpus else ""
        return (
            f"Trainings run {where}, each on {threads_words(job_threads(None))}{gpus_too}; at most {places()} at a "
            "time run or wait for a machine there. Other jobs run on this machine."
        )
    if share_cores():
        return (
            f"Trainings that were launched together share the {cores()} cores: as many at once as there are cores, "
            "each on its part of them. A single one computes on all."
        )
    at_most = "One job runs at a time" if slot_count() == 1 else f"At most {slot_count()} jobs run at a time"
    return f"{at_most}, each on {threads_words(job_threads(None))}."


def slot_environment(slot: int, threads: int | None = None) -> dict[str, str]:
    """Environment variables of the worker of a job with these `Job.threads` in this slot: its GPU, its threads."""
    devices = gpus()
    if elsewhere():
        return {"CUDA_VISIBLE_DEVICES": devices[slot % len(devices)]} if devices else {}
    environment = {"CUDA_VISIBLE_DEVICES": devices[slot % len(devices)]} if devices else {}
    return environment | {"MDAF_THREADS": str(job_threads(threads))}
