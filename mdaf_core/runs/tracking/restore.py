"""The run store made again from what the runs' own files hold."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mdaf_core.base.errors import UsageError
from mdaf_core.base.settings import get_settings
from mdaf_core.runs.config import RunConfig
from mdaf_core.runs.files import RunFacts
from mdaf_core.runs.results import EpochMetrics, RunResult
from mdaf_core.runs.tracking import database
from mdaf_core.runs.tracking.entries import (
    FROM_MLFLOW,
    TO_MLFLOW,
    epoch_metrics,
    final_metrics,
    portions,
    run_parameters,
    run_tags,
)


@dataclass(frozen=True)
class StoredRun:
    """What there is of one run."""

    run_id: str
    facts: RunFacts
    config: RunConfig
    epochs: Sequence[EpochMetrics]
    result: RunResult | None


@dataclass(frozen=True)
class Told:
    """What a store still says of a run. Times are Unix seconds."""

    study: str
    state: str
    reason: str
    fingerprint: str
    started: float
    ended: float | None
    deleted: bool


def local_store() -> Path:
    """The file of this artifacts folder's store.

    Raises:
        UsageError: it is on a tracking server.
    """
    uri = get_settings().tracking_uri
    path = database.database_path(uri)
    if path is None:
        raise UsageError(f"The run store is the tracking server {uri}, which keeps its own database.")
    return path


def restore(runs: Sequence[StoredRun]) -> Path | None:
    """Put a new store with these runs in place, whole; returns where the one before is kept.

    Runs keep their ids, studies are experiments again, and every epoch's metrics have their steps; the times of metrics
    are those of the epochs' lengths.

    Raises:
        StoreError: it cannot be written.
    """
    path = local_store()
    with database.sentences(get_settings().tracking_uri), database.making(path):
        return database.create(path, lambda store: _fill(store, runs))


def _fill(store: Any, runs: Sequence[StoredRun]) -> None:
    experiments = {e.name: e.experiment_id for e in store.search_experiments()}
    for run in sorted(runs, key=lambda run: run.facts.started):
        study = run.facts.study
        if study not in experiments:
            experiments[study] = store.create_experiment(study, get_settings().runs_dir.as_uri(), [])
        _add_run(store, experiments[study], run)
        now = run.facts.started
        metrics = []
        for epoch in run.epochs:
            now += epoch.seconds
            metrics += epoch_metrics(epoch, round(now * 1000))
        if run.result is not None:
            metrics += final_metrics(run.result, round((run.facts.ended or now) * 1000))
        store.log_batch(run.run_id, [], run_parameters(run.config, run.facts.seed, run.facts.dataset), [])
        for portion in portions(metrics):
            store.log_batch(run.run_id, portion, [], [])
        _set_state(store, run)


def _add_run(store: Any, experiment: str, run: StoredRun) -> None:
    """As MLflow's `create_run`, which would give it another id."""
    from mlflow.store.tracking.dbmodels.models import SqlRun, SqlTag

    facts = run.facts
    tags = run_tags(run.config, facts.seed, facts.dataset, facts.fingerprint)
    if facts.reason:
        tags["mdaf.reason"] = facts.reason
    with store.ManagedSessionMaker(read_only=False) as session:
        session.add(
            SqlRun(
                run_uuid=run.run_id,
                name=tags["mlflow.runName"],
                experiment_id=int(experiment),
                artifact_uri=f"{get_settings().runs_dir.as_uri()}/{run.run_id}/artifacts",
                source_type="UNKNOWN",
                source_name="",
                entry_point_name="",
                user_id="",
                status="RUNNING",
                start_time=round(facts.started * 1000),
                source_version="",
                lifecycle_stage="active",
                tags=[SqlTag(key=key, value=value) for key, value in tags.items()],
            )
        )


def _set_state(store: Any, run: StoredRun) -> None:
    from mlflow.entities import RunStatus

    if run.facts.state != "running":
        ended = round((run.facts.ended or run.facts.started) * 1000)
        store.update_run_info(run.run_id, RunStatus.from_string(TO_MLFLOW[run.facts.state]), ended, None)


_QUERY = """
SELECT r.run_uuid, e.name, r.status, r.start_time, r.end_time, r.lifecycle_stage,
    (SELECT value FROM tags t WHERE t.run_uuid = r.run_uuid AND t.key = 'mdaf.reason'),
    (SELECT value FROM tags t WHERE t.run_uuid = r.run_uuid AND t.key = 'mdaf.fingerprint')
FROM runs r JOIN experiments e ON e.experiment_id = r.experiment_id
"""


def told_by(path: Path) -> dict[str, Told]:
    """What can still be read of the runs in a store, whatever else is wrong with it; nothing where that fails."""
    found: dict[str, Told] = {}
    with contextlib.suppress(sqlite3.Error, OSError, ValueError, TypeError):
        if path.is_file():
            with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True)) as connection:
                for id, study, status, started, ended, stage, reason, fingerprint in connection.execute(_QUERY):
                    found[id] = Told(
                        study=study,
                        state=FROM_MLFLOW.get(status, "failed"),
                        reason=reason or "",
                        fingerprint=fingerprint or "",
                        started=started / 1000,
                        ended=ended / 1000 if ended else None,
                        deleted=stage == "deleted",
                    )
    return found
