"""A run's own files: configuration, provenance, epochs, result, and `run.json` with the facts that make it a run.

They hold everything that the run store lists, so that it can be made again from them.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from mdaf_core.base import notices
from mdaf_core.base.errors import DamagedFileError
from mdaf_core.base.files import best_effort, reading, write_json, writing
from mdaf_core.base.settings import get_settings
from mdaf_core.runs.config import RunConfig
from mdaf_core.runs.results import EpochMetrics, RunResult

RunState = Literal["running", "finished", "failed", "cancelled"]
SINGLE_RUNS = "single-runs"
FACTS, RESULT = "run.json", "result.json"


class RunFacts(BaseModel):
    """What a run is and how it stands. Times are Unix seconds."""

    study: str
    configuration: str
    seed: int
    dataset: str
    fingerprint: str = Field(description="Of the data set's content, see `runs.provenance.fingerprint`.")
    state: RunState = "running"
    reason: str = ""
    started: float
    ended: float | None = None


def run_directory(run_id: str) -> Path:
    """Local folder of a run's artifacts."""
    return get_settings().runs_dir / run_id / "artifacts"


def again(run_id: str) -> str:
    """What to do about a damaged file of a run."""
    return f"Put it back from a copy, or train run {run_id[:8]} again (retry its job)."


def write_facts(run_id: str, facts: RunFacts) -> None:
    write_json(run_directory(run_id) / FACTS, facts.model_dump(mode="json"))


def read_facts(run_id: str) -> RunFacts | None:
    """The facts of a run; None for one that was trained before they were kept, or whose file is damaged (noted)."""
    path = run_directory(run_id) / FACTS
    if not path.exists():
        return None
    try:
        with reading(path, "Its other files are used."):
            return RunFacts.model_validate_json(path.read_bytes())
    except DamagedFileError as damage:
        notices.add(damage)
        return None


def change_facts(run_id: str, **changes: Any) -> None:
    """Keep how a run stands. Best effort: the run store and the queue say so too."""
    facts = read_facts(run_id)
    if facts is not None:
        best_effort(run_directory(run_id) / FACTS, lambda: write_facts(run_id, facts.model_copy(update=changes)))


def load_config(path: Path) -> RunConfig:
    """The configuration in a run's `config.json`.

    Raises:
        DamagedFileError: it cannot be read.
    """
    with reading(path, again(path.parent.parent.name)):
        return RunConfig.model_validate_json(path.read_bytes())


def write_result(run_id: str, result: RunResult) -> None:
    """Raises StudioError where it cannot be written."""
    path = run_directory(run_id) / RESULT
    with writing(path):
        write_json(path, result.model_dump(mode="json"))


def load_result(run_id: str, expected: bool = False) -> RunResult | None:
    """The result on disk; None where there is none (noted if `expected`), or (noted) none that can be read."""
    return read_result(run_directory(run_id) / RESULT, expected)


def read_result(path: Path, expected: bool = False) -> RunResult | None:
    """As `load_result`, of the file in a run's folder."""
    try:
        with reading(path, again(path.parent.parent.name)):
            return _read_result(path, path.stat().st_mtime_ns)
    except DamagedFileError as damage:
        if expected or not isinstance(damage.__cause__, FileNotFoundError):
            notices.add(damage)
        return None


@lru_cache(maxsize=2000)
def _read_result(path: Path, _mtime: int) -> RunResult:
    return RunResult.model_validate_json(path.read_text("utf-8"))


def load_epochs(run_id: str) -> list[EpochMetrics]:
    """The epochs on disk, oldest first: those of the result where `epochs.json` is missing, or (noted) cannot be read;
    none where there is no result either."""
    path = run_directory(run_id) / "epochs.json"
    try:
        with reading(path, again(run_id)):
            return list(_read_epochs(path, path.stat().st_mtime_ns))
    except DamagedFileError as damage:
        if not isinstance(damage.__cause__, FileNotFoundError):
            notices.add(damage)
    result = load_result(run_id)
    return list(result.epochs) if result is not None else []


@lru_cache(maxsize=2000)
def _read_epochs(path: Path, _mtime: int) -> tuple[EpochMetrics, ...]:
    found = json.loads(path.read_text("utf-8"))
    if not isinstance(found, list):
        raise ValueError("not a list of epochs")
    return tuple(EpochMetrics.model_validate(e) for e in found)
