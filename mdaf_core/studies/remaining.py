"""How long a study will still take: from its runs that ended, and what those that run say of themselves."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import mean
from typing import NamedTuple

from mdaf_core.queue.slots import at_once
from mdaf_core.studies.status import Cell, cells
from mdaf_core.studies.store import Study


class Remaining(NamedTuple):
    """What of a study is still to come.

    Attributes:
        done, total: runs that ended, however, and all there are.
        seconds: until the last one ends, if no other study is ahead of it and no epoch is saved by early stopping;
            None: nothing is known yet.
        further: whether seeds may follow, as they are added until decided.
    """

    done: int
    total: int
    seconds: float | None
    further: bool


def remaining(study: Study, now: float | None = None) -> Remaining:
    """How long the runs take that are running or queued.

    A run takes what the finished ones of its configuration took, else what those say that run, else what the study's
    others take. Runs go on side by side in as many places as trainings have here.
    """
    found = cells(study)
    active = [cell for cell in found if cell.state in ("running", "queued")]
    counted = [cell for cell in found if cell.state != "missing"]
    seconds = _seconds(found, active, time.time() if now is None else now, max(1, at_once(study.threads)))
    return Remaining(len(counted) - len(active), len(counted), seconds, bool(study.undecided))


def _seconds(found: Sequence[Cell], active: Sequence[Cell], now: float, places: int) -> float | None:
    if not active:
        return 0.0
    took: dict[str, list[float]] = {}
    for cell in found:
        job = cell.job
        if cell.state == "finished" and job is not None and job.started and job.ended:
            took.setdefault(cell.configuration, []).append(job.ended - job.started)
    running = [cell for cell in active if cell.state == "running"]
    left: dict[tuple[str, int], float] = {}
    whole: dict[str, list[float]] = {}
    for cell in running:
        job = cell.job
        said = job.progress.get("seconds_left") if job is not None else None
        since = now - job.started if job is not None and job.started else 0.0
        if isinstance(said, int | float):
            left[cell.configuration, cell.seed] = float(said)
            whole.setdefault(cell.configuration, []).append(since + float(said))
        elif cell.configuration in took:
            left[cell.configuration, cell.seed] = max(0.0, mean(took[cell.configuration]) - since)
    known = [seconds for times in (*took.values(), *whole.values()) for seconds in times]
    if not known:
        return None

    def usual(configuration: str) -> float:
        return mean(took.get(configuration) or whole.get(configuration) or known)

    each = [left.get((cell.configuration, cell.seed), usual(cell.configuration)) for cell in active]
    return max(max(each), sum(each) / places)
