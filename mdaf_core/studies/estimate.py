"""What a study will cost before it is launched: parameters, time, memory.

Counting parameters needs torch, which the app does not load: a process of its own counts once for each configuration
and kind of data and keeps the result under `<home>/cache/costs`; whoever asks meanwhile is told that it is not known
yet.
"""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from mdaf_core import tracking
from mdaf_core.data.dataset import PreparedDataset
from mdaf_core.errors import StudioError
from mdaf_core.files import write_text
from mdaf_core.jobs.locks import try_lock
from mdaf_core.settings import PROJECT_ROOT, get_settings
from mdaf_core.training.config import RunConfig

PROCESS_BYTES = 650e6  # of a worker that has loaded its libraries and nothing else
ROUGH_PACE = 2e10  # multiply-adds a second that training reaches on two cores, for want of a run to learn from
START_SECONDS = 2.0  # of a run, before its first step and after its last
_children: list[subprocess.Popen] = []


class Cost(BaseModel):
    """Of one configuration on one kind of data. None: does not apply, as the note says."""

    parameters: int | None = None
    embedding: int | None = None
    dense: int | None = None
    multiply_adds: int | None = None
    training_bytes: int | None = None
    note: str = ""


class Estimate(BaseModel):
    """Of one run. `seconds` is for all epochs; early stopping ends sooner."""

    seconds: float
    measured: bool = Field(description="From earlier runs of this kind of model here; otherwise rough.")
    memory_bytes: float | None


def known_costs(configs: Sequence[RunConfig], dataset: PreparedDataset) -> list[Cost | None]:
    """The costs counted so far, in order; counting of the others is started in the background."""
    paths = [_path(_request(config, dataset)) for config in configs]
    known = [_read(path, path.stat().st_mtime_ns) if path.exists() else None for path in paths]
    if any(cost is None for cost in known):
        _start_counting([c for c, cost in zip(configs, known, strict=True) if cost is None], dataset)
    return known


def estimate(config: RunConfig, dataset: PreparedDataset, cost: Cost) -> Estimate:
    """Time from the pace of earlier runs of the same kind of model here, scaled by multiply-adds; else from those."""
    rows = dataset.meta.splits["train"].rows
    epochs = 1 if config.model.kind == "gbdt" else config.training.max_epochs
    memory = None if cost.training_bytes is None else PROCESS_BYTES + cost.training_bytes
    pace = paces(tracking.store_version()).get(config.model.kind)
    if pace is not None:
        seconds, multiply_adds = pace
        scale = cost.multiply_adds / multiply_adds if cost.multiply_adds and multiply_adds else 1.0
        return Estimate(seconds=seconds * scale * rows * epochs, measured=True, memory_bytes=memory)
    # Three passes a training row (forward, and twice that backward); 20 µs for everything that is not arithmetic.
    seconds = START_SECONDS + rows * epochs * (3 * (cost.multiply_adds or 0) / ROUGH_PACE + 2e-5)
    return Estimate(seconds=seconds, measured=False, memory_bytes=memory)


@lru_cache(maxsize=2)
def paces(version: tuple[Any, ...]) -> dict[str, tuple[float, float]]:
    """Kind of model → seconds a training row and epoch, evaluation included, and multiply-adds a row (0: unknown).

    Medians of up to ten latest runs. For gbdt, which counts trees as epochs, seconds a training row of the whole run.
    """
    found: dict[str, list[tuple[float, float]]] = {}
    rows: dict[str, int | None] = {}
    for record in tracking.list_runs():
        mine = found.setdefault(record.model, [])
        if record.state != "finished" or len(mine) >= 10:
            continue
        if record.dataset not in rows:
            try:
                rows[record.dataset] = PreparedDataset.open(record.dataset).meta.splits["train"].rows
            except StudioError:
                rows[record.dataset] = None
        result, count = record.result, rows[record.dataset]
        if result is None or not count or not result.epochs:
            continue
        epochs = 1 if record.model == "gbdt" else len(result.epochs)
        mine.append((result.wall_seconds / (count * epochs), float(result.multiply_adds or 0)))
    return {
        kind: (statistics.median(pace for pace, _ in values), statistics.median(adds for _, adds in values))
        for kind, values in found.items()
        if values
    }


def _request(config: RunConfig, dataset: PreparedDataset) -> dict[str, Any]:
    """Everything a cost depends on. Batches count as they are, histories by their mean length."""
    rows = dataset.meta.splits["train"].rows
    meta = dataset.meta
    return {
        "model": config.model.model_dump(mode="json"),
        "batch_size": min(config.training.batch_size, max(rows, 1)),
        "max_history": config.training.max_history,
        "dataset": meta.name,
        "fields": [field.model_dump(mode="json") for field in meta.fields],
        "history": meta.history_fields,
        "created": meta.created,
    }


def _path(request: dict[str, Any]) -> Path:
    digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
    return get_settings().cache_dir / "costs" / f"{digest[:40]}.json"


@lru_cache(maxsize=500)
def _read(path: Path, _mtime: int) -> Cost | None:
    try:
        return Cost.model_validate_json(path.read_bytes())
    except ValidationError:
        return None


def _start_counting(configs: Sequence[RunConfig], dataset: PreparedDataset) -> None:
    """One counting process at a time: it inherits the lock and frees it when it ends."""
    _children[:] = [child for child in _children if child.poll() is None]
    lock = try_lock(get_settings().cache_dir / "costs" / ".lock")
    if lock is None:
        return
    try:
        paths = [str(PROJECT_ROOT), os.environ.get("PYTHONPATH", "")]
        child = subprocess.Popen(
            [sys.executable, "-m", "mdaf_core.studies.estimate"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=(lock,),
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in paths if p)},
        )
        assert child.stdin
        child.stdin.write(
            json.dumps({"dataset": dataset.name, "configs": [c.model_dump(mode="json") for c in configs]}).encode()
        )
        child.stdin.close()
        _children.append(child)
    finally:
        os.close(lock)


def count(config: RunConfig, dataset: PreparedDataset) -> Cost:
    """Count now (loads torch)."""
    import numpy as np

    from mdaf_core.models.registry import is_neural
    from mdaf_core.models.summary import count_parameters, multiply_adds, training_bytes

    if not is_neural(config.model):
        return Cost(note="Trees: no parameters to count before they are grown.")
    features, rows = dataset.meta.features(), dataset.rows("train")
    lengths = np.minimum(rows.history_end - rows.history_start, config.training.max_history)
    mean = float(lengths.mean()) if len(lengths) else 0.0
    try:
        parameters = count_parameters(config.model, features)
        return Cost(
            parameters=parameters.total,
            embedding=parameters.embedding,
            dense=parameters.dense,
            multiply_adds=multiply_adds(config.model, features, mean),
            training_bytes=training_bytes(
                config.model, features, min(config.training.batch_size, max(len(rows), 1)), mean
            ),
        )
    except StudioError as error:
        return Cost(note=str(error))


def main() -> None:
    """Count what stdin asks for, one configuration after another."""
    asked = json.load(sys.stdin)
    dataset = PreparedDataset.open(asked["dataset"])
    for raw in asked["configs"]:
        config = RunConfig.model_validate(raw)
        write_text(_path(_request(config, dataset)), count(config, dataset).model_dump_json())


if __name__ == "__main__":
    main()
