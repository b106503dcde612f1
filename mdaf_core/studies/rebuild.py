"""The run store again, from the runs' own files: after it was damaged, lost, or only half made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from json import dumps
from pathlib import Path
from typing import Any

from mdaf_core.base import notices
from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.base.files import read_json, reading
from mdaf_core.base.settings import get_settings
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.queue import store as queue
from mdaf_core.queue.job import Job
from mdaf_core.runs import files
from mdaf_core.runs.config import RunConfig
from mdaf_core.runs.files import SINGLE_RUNS, RunFacts
from mdaf_core.runs.provenance import fingerprint
from mdaf_core.runs.tracking import restore
from mdaf_core.runs.tracking.restore import StoredRun, Told
from mdaf_core.studies import trainings
from mdaf_core.studies.store import Study, list_studies

UNKNOWN_END = "How it ended is not known: its process is gone, and the run store was rebuilt."


@dataclass(frozen=True)
class Rebuilt:
    """What a rebuilding did.

    Attributes:
        runs, studies: in the new store.
        kept: the store as it was, under another name; None where there was none.
    """

    runs: int
    studies: int
    kept: Path | None


def rebuild() -> Rebuilt:
    """Make the run store again: the same runs with their ids, studies, states, settings and metrics.

    What a run is stands in its `run.json`; for runs of before that was kept, in what the present store still tells, in
    the queue, in studies and in data sets. A run that was deleted from a store that can be read stays deleted. What
    cannot be read is left out and noted.

    Raises:
        UsageError: jobs are running, or the store is on a server.
        StoreError: it cannot be written.
    """
    path = restore.local_store()
    jobs = _jobs()
    running = [job.id for job in jobs.values() if job.state == "running"]
    if running:
        raise UsageError(f"Job {running[0]} is running and writes to the run store: cancel it, or wait for it to end.")
    told, studies = restore.told_by(path), list_studies()
    runs = []
    for folder in sorted(get_settings().runs_dir.glob("*/artifacts")):
        run_id = folder.parent.name
        if run_id in told and told[run_id].deleted:
            continue
        try:
            runs.append(_read(run_id, told.get(run_id), jobs.get(run_id), studies))
        except StudioError as error:
            notices.add(f"Run {run_id[:8]} is left out: {error}")
    kept = restore.restore(runs)
    return Rebuilt(len(runs), len({run.facts.study for run in runs}), kept)


def _jobs() -> Mapping[str, Job]:
    """Jobs by the run they have; none where the queue cannot be read (noted)."""
    try:
        return {job.run_id: job for job in queue.list_jobs(kind=trainings.KIND) if job.run_id}
    except StudioError as error:
        notices.add(error)
        return {}


def _read(run_id: str, told: Told | None, job: Job | None, studies: list[Study]) -> StoredRun:
    config = files.load_config(files.run_directory(run_id) / "config.json")
    result = files.load_result(run_id)
    facts = files.read_facts(run_id) or _pieced_together(run_id, config, told, job, studies, result is not None)
    if facts.state == "running":
        facts = facts.model_copy(update=_end(run_id, told, job))
    return StoredRun(run_id, facts, config, files.load_epochs(run_id), result)


def _end(run_id: str, told: Told | None, job: Job | None) -> dict[str, Any]:
    """How a run ended that does not say so itself."""
    ended = max(file.stat().st_mtime for file in files.run_directory(run_id).iterdir())
    if job is not None and job.state in ("failed", "cancelled"):
        return {"state": job.state, "reason": job.reason, "ended": job.ended or ended}
    if told is not None and told.state != "running":
        return {"state": told.state, "reason": told.reason, "ended": told.ended or ended}
    return {"state": "failed", "reason": UNKNOWN_END, "ended": ended}


def _pieced_together(
    run_id: str, config: RunConfig, told: Told | None, job: Job | None, studies: list[Study], finished: bool
) -> RunFacts:
    """The facts of a run that was trained before they were kept."""
    folder = files.run_directory(run_id)
    path = folder / "provenance.json"
    with reading(path, "Put it back from a copy."):
        provenance = read_json(path, "Put it back from a copy.")
        dataset, seed = str(provenance["dataset"]["name"]), int(provenance["seed"])
        content = provenance["dataset"]["fingerprint"]
    study = told.study if told else job.group if job else None
    study = study or _study_of(run_id, config, dataset, seed, studies)
    ended = (folder / "result.json").stat().st_mtime if finished else None
    return RunFacts(
        study=study,
        configuration=config.name,
        seed=seed,
        dataset=dataset,
        fingerprint=told.fingerprint if told else _fingerprint(run_id, dataset, content),
        state="finished" if finished else "running",
        started=told.started if told else (folder / "config.json").stat().st_mtime,
        ended=(told.ended if told else None) or ended,
    )


def _study_of(run_id: str, config: RunConfig, dataset: str, seed: int, studies: list[Study]) -> str:
    found = [s.id for s in studies if s.dataset == dataset and seed in s.seeds and config in s.configurations]
    if len(found) == 1:
        return found[0]
    which = f"could be of {', '.join(found)}" if found else "fits no study"
    notices.add(f"Run {run_id[:8]} ({config.name}, seed {seed}) {which}: it is listed as a single run.")
    return SINGLE_RUNS


def _fingerprint(run_id: str, dataset: str, content: Any) -> str:
    """As a training records it, if the data set is what it was; else one of its input alone."""
    try:
        prepared = PreparedDataset.open(dataset)
        if prepared.meta.fingerprint == content:
            return fingerprint(prepared)
    except StudioError:
        pass  # said below
    notices.add(f"Data set {dataset!r} of run {run_id[:8]} is gone or prepared anew: what its split was is not known.")
    return sha256(dumps(content, sort_keys=True).encode()).hexdigest()[:16]
