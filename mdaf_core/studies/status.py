"""Where a study stands: every configuration and seed with its job, its run and its metrics; what changed since someone
last looked at it, and how long it will still take."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from statistics import mean
from typing import Any, Literal, NamedTuple, TypeVar

from mdaf_core.base import notices, rights
from mdaf_core.base.errors import StudioError
from mdaf_core.base.files import write_json
from mdaf_core.base.locks import exclusive
from mdaf_core.base.settings import get_settings
from mdaf_core.data.store.schema import EVALUATED, Evaluated
from mdaf_core.metrics.registry import in_results
from mdaf_core.queue.job import Job
from mdaf_core.queue.slots import at_once
from mdaf_core.runs import tracking
from mdaf_core.runs.metric_values import stored_value
from mdaf_core.runs.results import RunResult
from mdaf_core.studies import trainings
from mdaf_core.studies.store import Study

Read = TypeVar("Read")
CellState = Literal["missing", "queued", "running", "finished", "failed", "cancelled"]


@dataclass(frozen=True)
class Cell:
    """One configuration with one seed.

    Attributes:
        state: its job's; without a job its run's; `missing` without either.
        result: of its finished run.
    """

    configuration: str
    seed: int
    state: CellState
    reason: str = ""
    job: Job | None = None
    run_id: str | None = None
    result: RunResult | None = None

    def metric(self, split: Evaluated, name: str) -> float | None:
        if self.result is None:
            return None
        return stored_value(self.result.run_id, getattr(self.result, split), split, name).value

    def to_dict(self) -> dict[str, Any]:
        value: dict[str, Any] = {
            "configuration": self.configuration,
            "seed": self.seed,
            "state": self.state,
            "reason": self.reason,
            "job": self.job.id if self.job else None,
            "run_id": self.run_id,
        }
        for split in EVALUATED:
            value[split] = {name: self.metric(split, name) for name in in_results()}
        return value


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation (ddof 1; None for one seed) over the `seeds` finished runs that define the metric."""

    mean: float | None
    sd: float | None
    seeds: int


def cells(study: Study) -> list[Cell]:
    """One cell for each configuration and seed, configurations outermost."""
    # Runs first: a job read later is never older than its run, so that nothing queued meanwhile looks missing.
    by_run: dict[tuple[str, int], list[tracking.RunRecord]] = {}
    for one in _noted(lambda: tracking.list_runs(study.id)):
        by_run.setdefault((one.configuration, one.seed), []).append(one)
    by_job = dict(_noted(lambda: list(trainings.of_study(study.id).items())))
    found = []
    for name, seed in study.pairs:
        job = by_job.get((name, seed))
        records = by_run.get((name, seed), [])
        if job is not None:
            state: CellState = job.state
            run_id, reason = job.run_id, job.reason
        else:
            record = next((r for r in records if r.state == "finished"), records[0] if records else None)
            state = record.state if record else "missing"
            run_id, reason = (record.run_id, record.reason) if record else (None, "")
        result = tracking.load_result(run_id, expected=True) if run_id and state == "finished" else None
        if run_id and state == "finished" and result is None:
            reason = f"It finished, but its result cannot be read: {tracking.run_directory(run_id) / 'result.json'}."
        cell = Cell(configuration=name, seed=seed, state=state, reason=reason, job=job, run_id=run_id, result=result)
        found.append(cell)
    return found


def unqueued(study: Study, found: list[Cell]) -> list[Cell]:
    """Runs to be trained here that have neither a job nor a run."""
    here = {config.name for config in study.trained}
    return [cell for cell in found if cell.state == "missing" and cell.configuration in here]


def _noted(read: Callable[[], list[Read]]) -> list[Read]:
    """What either of the two says alone is shown while the other, queue or run store, cannot be read."""
    try:
        return read()
    except StudioError as error:
        notices.add(error)
        return []


def spread(cells_of_one: list[Cell], split: Evaluated, name: str) -> Spread:
    """Mean ± standard deviation of a metric over one configuration's finished seeds."""
    values = [v for cell in cells_of_one if (v := cell.metric(split, name)) is not None]
    return Spread(
        mean=statistics.fmean(values) if values else None,
        sd=statistics.stdev(values) if len(values) > 1 else None,
        seeds=len(values),
    )


def counts(found: list[Cell]) -> dict[CellState, int]:
    """How many cells are in each state; states without any are left out."""
    states: tuple[CellState, ...] = ("running", "queued", "finished", "failed", "cancelled", "missing")
    return {s: n for s in states if (n := sum(cell.state == s for cell in found))}


@dataclass(frozen=True)
class NextStep:
    """What to do next: a sentence, and the page (or, for `complete`, the action) that it leads to."""

    sentence: str
    label: str
    target: Literal["jobs", "compare", "complete"]


def next_step(study: Study, found: list[Cell]) -> NextStep:
    """The most useful thing to do with a study as it stands."""
    number = counts(found)
    active = number.get("queued", 0) + number.get("running", 0)
    broken = number.get("failed", 0) + number.get("cancelled", 0)
    if never := len(unqueued(study, found)):
        return NextStep(f"{_runs(never)} of this study were never queued.", "Queue them", "complete")
    if number.get("missing"):
        return NextStep(f"{_runs(number['missing'])} gone from the run store: import again.", "Compare", "compare")
    if active:
        return NextStep(f"{_runs(active)} still to finish.", "Watch them", "jobs")
    if broken:
        return NextStep(
            f"{_runs(broken)} did not finish; {'it' if broken == 1 else 'they'} can be resumed or retried.",
            "See why",
            "jobs",
        )
    if study.undecided:
        return NextStep("Whether further seeds are needed has not been looked at yet.", "Look", "complete")
    if max(map(len, study.expected_seeds.values())) <= 1:
        return NextStep(
            "All runs finished, with one seed: no variance over seeds is known. Add seeds before you conclude.",
            "Compare",
            "compare",
        )
    return NextStep("All runs finished: see which differences are shown and which are not.", "Compare", "compare")


def _runs(number: int) -> str:
    return "1 run" if number == 1 else f"{number} runs"


def begin_visit(study_id: str) -> float | None:
    """Note that the study is being looked at; returns when that last happened (Unix seconds), None if never."""
    path = get_settings().cache_dir / "visits.json"
    previous = None
    # A lost or damaged note, or a folder that may only be read, only costs the summary of changes.
    with suppress(OSError), exclusive(path.with_name(".visits.lock")):
        visits: dict[str, float] = {}
        with suppress(OSError, ValueError, RecursionError):
            found = json.loads(path.read_text("utf-8"))
            if isinstance(found, dict):
                visits = {name: when for name, when in found.items() if isinstance(when, int | float)}
        previous = visits.get(study_id)
        if rights.may_change():  # a reader's look is no visit of its owner's
            write_json(path, {**visits, study_id: time.time()})
    return previous


def changes_since(cells: Sequence[Cell], moment: float) -> list[Cell]:
    """Cells whose job ended after `moment`, latest first."""
    changed = [cell for cell in cells if cell.job and cell.job.ended and cell.job.ended > moment]
    return sorted(changed, key=lambda cell: -(cell.job.ended or 0) if cell.job else 0)


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
