"""What a study will cost before it is launched: parameters, time, memory.

Counting parameters and measuring a few steps need torch, which the app does not load: a process of its own does so once
for each configuration and kind of data and keeps the result under `<home>/cache/costs`; whoever asks meanwhile is told
that it is not known yet. The pace is measured only while no job runs.
"""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, Field, ValidationError

from mdaf_core.base.errors import StudioError
from mdaf_core.base.files import write_text
from mdaf_core.base.locks import exclusive, try_lock
from mdaf_core.base.process import environment, module_command
from mdaf_core.base.settings import get_settings
from mdaf_core.data.prepare.resources import gigabytes, machine_memory
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.models.registry import plugins_of
from mdaf_core.queue import api
from mdaf_core.queue.slots import job_threads, threads_for
from mdaf_core.runs import tracking
from mdaf_core.runs.config import RunConfig
from mdaf_core.studies.pace import START_SECONDS, Pace, machine, measure

PROCESS_BYTES = 800e6  # of a worker with its libraries and kernels loaded, before data and model
ROUGH_PACE = 2e10  # multiply-adds a second that training reaches on two cores, for want of a run to learn from
GIVE_UP = 120  # seconds after which a measurement that was begun is not waited for
_Kept = TypeVar("_Kept", bound=BaseModel)
_children: list[subprocess.Popen[bytes]] = []


class Cost(BaseModel):
    """Of one configuration on one kind of data. None: does not apply, as the note says."""

    parameters: int | None = None
    embedding: int | None = None
    dense: int | None = None
    multiply_adds: int | None = None
    training_bytes: int | None = None
    note: str = ""
    pace: Pace | None = None


class Estimate(BaseModel):
    """Of one run. `seconds` is for all epochs; early stopping ends sooner."""

    seconds: float
    measured: bool = Field(description="From steps measured here or earlier runs of this kind of model; else rough.")
    memory_bytes: float | None


def known_costs(configs: Sequence[RunConfig], dataset: PreparedDataset, runs: int = 1) -> list[Cost | None]:
    """The costs known so far, in order; what is missing is found out in the background.

    Args:
        runs: how many are to be launched together, which decides the threads of each.
    """
    threads = _threads(runs)
    requests = [_request(config, dataset) for config in configs]
    known: list[Cost | None] = []
    missing = []
    idle = _idle()
    for config, request in zip(configs, requests, strict=True):
        cost, pace = _stored(_path(request), Cost), _stored(_pace_path(request, threads), Pace)
        known.append(None if cost is None else cost.model_copy(update={"pace": pace}))
        if cost is None or (idle and _wants_pace(cost) and not _pace_path(request, threads).exists()):
            missing.append(config)
    if missing:
        _start_counting(missing, dataset, threads)
    return known


def settled(
    configs: Sequence[RunConfig], dataset: PreparedDataset, costs: Sequence[Cost | None], runs: int = 1
) -> bool:
    """Nothing more will become known by waiting; `runs` as of `known_costs`."""
    if any(cost is None for cost in costs):
        return False
    unmeasured = [c for c, cost in zip(configs, costs, strict=True) if cost and not cost.pace and _wants_pace(cost)]
    return (
        not unmeasured
        or not _idle()
        or all(_gave_up(_pace_path(_request(c, dataset), _threads(runs))) for c in unmeasured)
    )


def _threads(runs: int) -> int:
    return job_threads(threads_for(runs))


def _gave_up(path: Path) -> bool:
    """A measurement began long ago and left nothing."""
    return path.exists() and time.time() - path.stat().st_mtime > GIVE_UP


def _wants_pace(cost: Cost) -> bool:
    return cost.parameters is not None


def _idle() -> bool:
    """No job runs that would make a measurement slower than the truth."""
    return not api.list_jobs(states=("running",))


def estimate(config: RunConfig, dataset: PreparedDataset, cost: Cost) -> Estimate:
    """Time from steps measured here; else from the pace of earlier runs of the same kind of model, scaled by
    multiply-adds; else from those alone.
    """
    rows = dataset.meta.splits["train"].rows
    epochs = 1 if config.model.grown else config.training.max_epochs
    memory = None if cost.training_bytes is None else _with_process(dataset, cost.training_bytes)
    if cost.pace is not None:
        return Estimate(seconds=cost.pace.seconds(config, dataset), measured=True, memory_bytes=memory)
    pace = paces(tracking.store_version()).get((config.model.kind, config.streams))
    if pace is not None:
        seconds, multiply_adds = pace
        scale = cost.multiply_adds / multiply_adds if cost.multiply_adds and multiply_adds else 1.0
        return Estimate(seconds=seconds * scale * rows * epochs, measured=True, memory_bytes=memory)
    # Three passes a training row (forward, and twice that backward); 20 µs for everything that is not arithmetic.
    seconds = START_SECONDS + rows * epochs * (3 * (cost.multiply_adds or 0) / ROUGH_PACE + 2e-5)
    return Estimate(seconds=seconds, measured=False, memory_bytes=memory)


def needed_memory(config: RunConfig, dataset: PreparedDataset) -> int:
    """Bytes that a process that trains this will take: counted before, or now (loads torch), and kept.

    Of trees, which are not forecast, what their matrices of numbers take. Jobs that ask at once take turns, for each
    would compile the same kernels.
    """
    if config.model.grown:
        return int(_with_process(dataset, 3 * _data_bytes(dataset)))
    path = _path(_request(config, dataset))
    with exclusive(path.with_name(".needed.lock")):
        cost = _stored(path, Cost)
        if cost is None:
            cost = count(config, dataset)
            with suppress(OSError):  # its job is not to end for want of a place to keep it
                write_text(path, cost.model_dump_json())
    if cost.training_bytes is None:
        raise StudioError(cost.note)
    return int(_with_process(dataset, cost.training_bytes))


def _with_process(dataset: PreparedDataset, training_bytes: int) -> float:
    return PROCESS_BYTES + _data_bytes(dataset) + training_bytes


def too_large(config: RunConfig, one: Estimate) -> str:
    """A sentence where a run is foreseen to need more memory than this machine has, with what to do; else empty."""
    whole = machine_memory()
    if one.memory_bytes is None or one.memory_bytes <= whole:
        return ""
    ways = ["smaller training.batch_size and training.eval_batch_size"]
    if config.model.reads_history:
        ways.append(f"training.max_history below {config.training.max_history:,}")
        if config.model.causal and not config.streams:
            ways.insert(0, "training.history_encoding=stream, which encodes the events that rows share once")
    return (
        f"{config.name} is foreseen to take {gigabytes(one.memory_bytes)} of memory, and this machine has "
        f"{gigabytes(whole)}. Set {', or '.join(ways)}."
    )


def _data_bytes(dataset: PreparedDataset) -> int:
    """Rows and events: mapped into memory, all of them read in an epoch."""
    return sum(file.stat().st_size for file in [*dataset.path.glob("rows/*.arrow"), *dataset.path.glob("events.arrow")])


@lru_cache(maxsize=2)
def paces(version: tuple[Any, ...]) -> dict[tuple[str, bool], tuple[float, float]]:
    """Kind of model and whether it streams → seconds a training row and epoch, evaluation included, and multiply-adds a
    row (0: unknown).

    Medians of up to ten latest runs. Of trees, whose epochs are batches of trees, seconds a row of the whole run.
    """
    found: dict[tuple[str, bool], list[tuple[float, float]]] = {}
    rows: dict[str, int | None] = {}
    for record in tracking.list_runs():
        settings = record.model_settings
        stream = record.config.get("training.history_encoding") == "stream" and settings.causal
        mine = found.setdefault((record.model, stream), [])
        if record.state != "finished" or len(mine) >= 10:
            continue
        if record.dataset not in rows:
            try:
                rows[record.dataset] = PreparedDataset.open(record.dataset).meta.splits["train"].rows
            except StudioError:
                rows[record.dataset] = None
        result, count = record.result, rows[record.dataset]
        if result is None or not count or not result.epochs or result.wall_seconds is None:
            continue
        epochs = 1 if settings.grown else len(result.epochs)
        mine.append((result.wall_seconds / (count * epochs), float(result.multiply_adds or 0)))
    return {
        kind: (statistics.median(pace for pace, _ in values), statistics.median(adds for _, adds in values))
        for kind, values in found.items()
        if values
    }


def _request(config: RunConfig, dataset: PreparedDataset) -> dict[str, Any]:
    """Everything a cost depends on, with the way of counting: what was kept of another is counted again."""
    meta = dataset.meta
    digests = [plugin.digest for plugin in plugins_of(config.model)]
    return {
        "model": config.model.model_dump(mode="json"),
        "counted": "by the largest batches",
        "batches": _batches(config, dataset),
        "max_history": config.training.max_history,
        **({"stream": config.training.stream_block} if config.streams else {}),
        "dataset": meta.name,
        "fields": [field.model_dump(mode="json") for field in meta.fields],
        "history": meta.history_fields,
        "created": meta.created,
        **({"plugins": digests} if digests else {}),
    }


def _batches(config: RunConfig, dataset: PreparedDataset) -> tuple[int, int]:
    """Rows of a training and of an evaluation step."""
    splits = dataset.meta.splits
    largest = max(splits["val"].rows, splits["test"].rows, 1)
    return min(config.training.batch_size, max(splits["train"].rows, 1)), min(config.training.eval_batch_size, largest)


def _path(request: dict[str, Any]) -> Path:
    digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
    return get_settings().cache_dir / "costs" / f"{digest[:40]}.json"


def _pace_path(request: dict[str, Any], threads: int) -> Path:
    return _path({**request, **machine(threads)}).with_suffix(".pace.json")


def _stored(path: Path, kind: type[_Kept]) -> _Kept | None:
    try:
        return _read(path, path.stat().st_mtime_ns, kind)
    except OSError:  # not counted yet
        return None


@lru_cache(maxsize=1000)
def _read(path: Path, _mtime: int, kind: type[_Kept]) -> _Kept | None:
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError:
        return None


def _start_counting(configs: Sequence[RunConfig], dataset: PreparedDataset, threads: int) -> None:
    """One counting process at a time: it inherits the lock and frees it when it ends."""
    _children[:] = [child for child in _children if child.poll() is None]
    try:
        lock = try_lock(get_settings().cache_dir / "costs" / ".lock")
    except OSError:  # a folder that may only be read: nothing could be kept
        return
    if lock is None:
        return
    try:
        child = subprocess.Popen(
            module_command("mdaf_core.studies.estimate"),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=(lock,),
            env=environment(),
        )
        assert child.stdin
        child.stdin.write(
            json.dumps(
                {"dataset": dataset.name, "threads": threads, "configs": [c.model_dump(mode="json") for c in configs]}
            ).encode()
        )
        child.stdin.close()
        _children.append(child)
    finally:
        os.close(lock)


def count(config: RunConfig, dataset: PreparedDataset) -> Cost:
    """Count now (loads torch)."""
    from mdaf_core.models.summary import count_parameters
    from mdaf_core.training.cost import arithmetic, batches_of, memory

    if config.model.grown:
        return Cost(note="Trees: no parameters to count before they are grown.")
    try:
        parameters = count_parameters(config.model, dataset.meta.features())
        batches = batches_of(config, dataset)
        return Cost(
            parameters=parameters.total,
            embedding=parameters.embedding,
            dense=parameters.dense,
            multiply_adds=arithmetic(config, dataset, batches),
            training_bytes=memory(config, dataset, batches),
        )
    except StudioError as error:
        return Cost(note=str(error))


def main() -> None:
    """Count what stdin asks for, one configuration after another; then measure, where nothing else runs."""
    asked = json.load(sys.stdin)
    dataset, threads = PreparedDataset.open(asked["dataset"]), asked["threads"]
    os.nice(10)
    costs = []
    for raw in asked["configs"]:
        config = RunConfig.model_validate(raw)
        request = _request(config, dataset)
        cost = _stored(_path(request), Cost) or count(config, dataset)
        write_text(_path(request), cost.model_dump_json())
        costs.append((config, request, cost))
    for config, request, cost in costs:
        path = _pace_path(request, threads)
        if _wants_pace(cost) and _idle() and not path.exists():
            write_text(path, "{}")  # begun: should it fail, nobody tries again and again
            write_text(path, measure(config, dataset, threads).model_dump_json())


if __name__ == "__main__":
    main()
