"""How long trained models take to answer: of one user's candidates and in bulk, from the raw history and from a kept
state, all models turn by turn in one process."""

from __future__ import annotations

import copy
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.base.progress import Progress, no_progress, with_time_left
from mdaf_core.data.batches.events import Events
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.models.weights import load_model
from mdaf_core.ops.kernels import set_threads, threads_in_use
from mdaf_core.plugins.kept import as_trained
from mdaf_core.predicting.made import HOW, MadeUsers, make_users
from mdaf_core.predicting.measured import Cell, Measured, SpeedSettings, Subject, Way
from mdaf_core.predicting.predictor import dataset_of, tree_answers, weights_of
from mdaf_core.predicting.serving import Server, lacks_state
from mdaf_core.runs import files
from mdaf_core.runs.config import RunConfig
from mdaf_core.runs.provenance import versions
from mdaf_core.runs.tracking import RunRecord, artifact
from mdaf_core.training.batches import loader_for

WARM = 2  # calls of each task before the first that counts
Call = Callable[[], Any]


class _Asked:
    """A model as it is asked; `task` makes one call ready."""

    def __init__(self, run: RunRecord, dataset: PreparedDataset):
        self.config: RunConfig = files.load_config(artifact(run.run_id, "config.json"))
        weights, self.name = weights_of(run, self.config), run.configuration
        self.trees: Any = None
        if self.config.model.grown:
            from mdaf_core.training.gbdt import Encodings

            self.trees = tree_answers(self.config, weights, Encodings.of(dataset))
        else:
            self.model = load_model(self.config.model, dataset.meta.features(), weights, "cpu")
        self.lacks_state = "is of trees, which read match features alone" if self.trees else lacks_state(self.config)
        reads = self.config.model.reads_history and bool(dataset.meta.history_fields)
        self.subject = Subject(
            configuration=run.configuration,
            run_id=run.run_id,
            seed=run.seed,
            model=run.model,
            encoding="" if not reads or self.trees else "stream" if self.config.streams else "window",
            reads=self.config.training.max_history if reads else None,
            lacks_state=self.lacks_state,
        )
        self._states: dict[tuple[int, int], Any] = {}

    def task(self, made: MadeUsers, way: Way, count: int, users: Sequence[int]) -> Call:
        """A call that scores some candidates of each of these users; returns logits. What is not to be timed (copies of
        states, tables of trees) is done here."""
        index = np.concatenate([made.of(user, count) for user in users])
        if self.trees is not None:
            table = made.part(index)
            return lambda: np.concatenate([part["logit"] for part in self.trees(table)])
        if way == "raw":
            loader = loader_for(self.model, made.view, "test", self.config.training, len(index), rows=index[:0])
            return lambda: self._ask(loader.gather(index))
        server = Server(self.model, self.config, made.view)
        states = [copy.deepcopy(self._state(server, made, user)) for user in users]
        last = [Events.of(made.view, slice(made.log[user][1] - 1, made.log[user][1])) for user in users]
        places = [made.of(user, count) for user in users]

        def call() -> np.ndarray:
            out = []
            for state, event, place in zip(states, last, places, strict=True):
                server.append(state, event)
                out.append(server.score(state, made.rows, place).numpy())
            return np.concatenate(out)

        return call

    @torch.inference_mode()
    def _ask(self, batch: Any) -> np.ndarray:
        return self.model(batch).logit_B.numpy()

    def _state(self, server: Server, made: MadeUsers, user: int) -> Any:
        """Behind all events of a user but the newest."""
        begin, end = made.log[user]
        if (end - begin, user) not in self._states:
            self._states[end - begin, user] = server.begin(Events.of(made.view, slice(begin, end - 1)))
        return self._states[end - begin, user]

    def apart(self, made: MadeUsers, count: int) -> float:
        """The largest difference between the logits of both ways."""
        raw, kept = (self.task(made, way, count, [0])() for way in ("raw", "kept"))
        return float(np.abs(raw - kept).max())


@dataclass
class _Times:
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    rounds: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class _Task:
    threads: int
    way: Way
    events: int
    rows: int
    bulk: bool


def one_run_each(runs: Sequence[RunRecord]) -> list[RunRecord]:
    """Of each configuration the finished run of the smallest seed: the weights do not matter for times."""
    found: dict[str, RunRecord] = {}
    for run in sorted(runs, key=lambda run: run.seed):
        if run.state == "finished":
            found.setdefault(run.configuration, run)
    return [found[name] for name in dict.fromkeys(run.configuration for run in runs) if name in found]


def measure(
    runs: Sequence[RunRecord],
    settings: SpeedSettings,
    *,
    title: str,
    reference: str,
    progress: Progress | None = None,
) -> Measured:
    """Measure finished runs of one data set on this machine's processor, each configuration once.

    Args:
        reference: the configuration that others will be held against.

    Raises:
        UsageError: no run, runs of several data sets, or `reference` is none of them.
        StudioError: the data set is gone or has no events, or a file is damaged.
    """
    report, began, start = with_time_left(progress or no_progress), datetime.now(UTC), time.perf_counter()
    if not runs:
        raise UsageError("There is no finished run to measure.")
    if reference not in {run.configuration for run in runs}:
        raise UsageError(f"The reference {reference!r} is not among the runs that are measured.")
    if len({(run.dataset, run.fingerprint) for run in runs}) > 1:
        raise UsageError("The runs are of several data sets: measure those of one together.")
    dataset, before = dataset_of(runs[0]), os.getloadavg()[0]
    asked, subjects = _open(runs, dataset)
    if not asked:
        raise UsageError(f"None of the runs can be measured: {subjects[0].configuration} {subjects[0].left_out}.")
    threads = settings.threads or list(dict.fromkeys([os.cpu_count() or 1, 1]))
    most = max(*settings.candidates, settings.bulk_rows)
    made = {count: make_users(dataset, settings.users, count, most, settings.seed) for count in settings.events}
    own, times = threads_in_use()["torch"], dict[tuple[str, _Task], _Times]()
    try:
        for place, count in enumerate(threads):
            set_threads(count)

            def share(done: float, place: int = place, count: int = count) -> None:
                report((place + done) / len(threads), "On one thread" if count == 1 else f"On {count} threads")

            times |= _turns(asked, made, count, settings, share)
        for one in asked:
            if not one.lacks_state:
                one.subject.apart = max(one.apart(users, min(100, most)) for users in made.values())
    finally:
        set_threads(own)
    return Measured(
        title=title,
        dataset=dataset.name,
        fingerprint=runs[0].fingerprint,
        reference=reference,
        settings=settings,
        subjects=subjects,
        cells=[_cell(name, task, found, settings.users) for (name, task), found in times.items()],
        conditions=[HOW] if dataset.meta.history_fields else ["The data have no histories."],
        machine=_machine(threads, before),
        began=began.isoformat(timespec="seconds"),
        seconds=time.perf_counter() - start,
    )


def _open(runs: Sequence[RunRecord], dataset: PreparedDataset) -> tuple[list[_Asked], list[Subject]]:
    """The models, and what is known of each; one that cannot be opened says why."""
    asked, subjects = [], []
    for run in runs:
        try:
            with as_trained(run.directory):
                asked.append(_Asked(run, dataset))
            subjects.append(asked[-1].subject)
        except StudioError as error:
            facts = {"configuration": run.configuration, "run_id": run.run_id, "seed": run.seed, "model": run.model}
            reason = f"cannot be opened ({str(error).rstrip('.')})"
            subjects.append(Subject(**facts, left_out=reason))
    return asked, subjects


def _turns(
    asked: list[_Asked],
    made: dict[int, MadeUsers],
    threads: int,
    settings: SpeedSettings,
    progress: Callable[[float], None],
) -> dict[tuple[str, _Task], _Times]:
    """All rounds on this many threads; in each the models take turns at each task, in an order drawn anew."""
    rng = np.random.default_rng([settings.seed, threads])
    sizes = [*((count, False) for count in settings.candidates), (settings.bulk_rows, True)]
    tasks = [
        _Task(threads, way, events, count, bulk)
        for events in made
        for count, bulk in sizes
        for way in ("raw", "kept")
    ]  # fmt: skip
    asked_by = {task: [one for one in asked if task.way == "raw" or not one.lacks_state] for task in tasks}
    times = {(one.name, task): _Times() for one in asked for task in tasks if one in asked_by[task]}
    everybody = range(settings.users)
    for number in range(-1, settings.rounds):  # the first round warms up
        for done, task in enumerate(tasks):
            progress((max(number, 0) + done / len(tasks)) / settings.rounds)
            able = asked_by[task]
            for i in rng.permutation(len(able)):
                calls, user = WARM if number < 0 else settings.calls, number % settings.users
                found = _call(
                    able[i], made[task.events], task, list(everybody) if task.bulk else [user], calls, settings
                )
                if number >= 0:
                    mine = times[able[i].name, task]
                    mine.wall += found.wall
                    mine.cpu += found.cpu
                    mine.rounds.append(float(np.median(found.wall)))
    return times


def _call(one: _Asked, made: MadeUsers, task: _Task, users: list[int], calls: int, settings: SpeedSettings) -> _Times:
    """A turn: some calls, as far as its time allows, at least one."""
    found, end = _Times(), time.perf_counter() + settings.turn_seconds
    while len(found.wall) < calls and (not found.wall or time.perf_counter() < end):
        call = one.task(made, task.way, task.rows, users)
        wall, cpu = time.perf_counter(), time.process_time()
        call()
        found.wall.append(time.perf_counter() - wall)
        found.cpu.append(time.process_time() - cpu)
    return found


def _cell(name: str, task: _Task, times: _Times, users: int) -> Cell:
    p50, p99 = np.quantile(times.wall, [0.5, 0.99])
    return Cell(
        configuration=name, threads=task.threads, way=task.way, events=task.events,
        rows=task.rows * (users if task.bulk else 1), bulk=task.bulk,
        p50=p50, p99=p99, cpu=float(np.median(times.cpu)), calls=len(times.wall), rounds=times.rounds,
    )  # fmt: skip


def _machine(threads: list[int], load_before: float) -> dict[str, Any]:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    found = versions("torch", "numba", "numpy")
    return {
        "cpu": names[0] if names else platform.processor() or platform.machine(),
        "cores": os.cpu_count() or 1,
        "threads": threads,
        "load_before": load_before,
        "load_after": os.getloadavg()[0],
        "platform": platform.platform(),
        **found,
    }
