"""A run written down, from its beginning to its end or its removal."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mdaf_core.base import notices, rights
from mdaf_core.base.files import best_effort, size_below, with_patience, write_json, writing
from mdaf_core.base.settings import get_settings
from mdaf_core.runs import files
from mdaf_core.runs.config import RunConfig
from mdaf_core.runs.files import SINGLE_RUNS, RunFacts, RunState, run_directory
from mdaf_core.runs.results import EpochMetrics, RunResult
from mdaf_core.runs.tracking import connection
from mdaf_core.runs.tracking.database import StoreError, sentences
from mdaf_core.runs.tracking.entries import (
    TO_MLFLOW,
    epoch_metrics,
    final_metrics,
    portions,
    run_parameters,
    run_tags,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient


def _experiment(client: MlflowClient, study: str) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(study)
    if found is None:
        location = get_settings().runs_dir.as_uri() if connection.is_local() else None
        try:
            return client.create_experiment(study, artifact_location=location)
        except MlflowException:  # another worker was faster
            found = client.get_experiment_by_name(study)
            if found is None:
                raise
    return found.experiment_id


def start_run(
    config: RunConfig,
    seed: int,
    dataset: str,
    fingerprint: str,
    study: str = SINGLE_RUNS,
    provenance: dict[str, Any] | None = None,
) -> str:
    """Open a run and return its id."""
    rights.check()
    uri = get_settings().tracking_uri
    tags = run_tags(config, seed, dataset, fingerprint)
    facts = RunFacts(
        study=study,
        configuration=config.name,
        seed=seed,
        dataset=dataset,
        fingerprint=fingerprint,
        started=time.time(),
    )
    with_patience(connection.check_free, connection.START_PATIENCE)
    client = connection.client()
    with sentences(uri):
        started = round(facts.started * 1000)
        run_id: str = client.create_run(_experiment(client, study), start_time=started, tags=tags).info.run_id
        directory = run_directory(run_id)
        write_json(directory / "config.json", config.model_dump(mode="json"))
        write_json(directory / "provenance.json", provenance or {})
        files.write_facts(run_id, facts)
        client.log_batch(run_id, params=run_parameters(config, seed, dataset))
    return run_id


def resume_run(run_id: str) -> None:
    """Mark an interrupted run as running again.

    Raises:
        StoreError: the store cannot be used.
    """
    with_patience(connection.check_free, connection.START_PATIENCE)
    client = connection.client()
    with sentences(get_settings().tracking_uri):
        client.update_run(run_id, status="RUNNING")
        client.set_tag(run_id, "mdaf.reason", "")
    files.change_facts(run_id, state="running", reason="", ended=None)


def log_epoch(run_id: str, epochs: list[EpochMetrics]) -> None:
    """Record the last of `epochs` (all epochs so far). Safe to repeat for an epoch.

    It never ends a training: what cannot be written now is noted, and told by a later epoch or by `finish_run`.
    """
    path = run_directory(run_id) / "epochs.json"
    best_effort(path, lambda: write_json(path, [e.model_dump(mode="json") for e in epochs]))
    tell_epochs(run_id, epochs[-1:])


def tell_epochs(run_id: str, epochs: list[EpochMetrics]) -> None:
    """As `log_epoch`, of these epochs, whose file is there already."""
    waiting = _untold.setdefault(run_id, [])
    new = {epoch.epoch for epoch in epochs}
    waiting[:] = [e for e in waiting if e.epoch not in new] + epochs
    try:
        connection.check_free()
        with sentences(get_settings().tracking_uri):
            _log_epochs(connection.client(), run_id, waiting)
    except StoreError as error:
        notices.add(f"{error} Metrics of epoch {epochs[-1].epoch} will be recorded later.")
    else:
        del _untold[run_id]


_untold: dict[str, list[EpochMetrics]] = {}
"""Epochs of this process's runs that the store does not have yet."""


def _log_epochs(client: MlflowClient, run_id: str, epochs: Iterable[EpochMetrics]) -> None:
    now = _now()
    for metrics in portions([metric for epoch in epochs for metric in epoch_metrics(epoch, now)]):
        client.log_batch(run_id, metrics=metrics)


def _now() -> int:
    return round(time.time() * 1000)


def finish_run(run_id: str, result: RunResult) -> None:
    """Record the final metrics and close the run as finished. Waits long for a locked store or a full disk.

    Raises:
        StudioError: it could not be recorded for `files.PATIENCE` seconds.
    """
    directory = run_directory(run_id)
    ended = time.time()

    def keep() -> None:
        files.write_result(run_id, result)
        files.change_facts(run_id, state="finished", reason="", ended=ended)

    with_patience(keep)
    with_patience(lambda: _tell_finished(run_id, result, ended, directory))
    _untold.pop(run_id, None)


def _tell_finished(run_id: str, result: RunResult, ended: float, directory: Path) -> None:
    connection.check_free()
    client = connection.client()
    with sentences(get_settings().tracking_uri):
        known = {m.step for m in client.get_metric_history(run_id, "train_loss")}
        _log_epochs(client, run_id, [e for e in result.epochs if e.epoch not in known])
        client.log_batch(run_id, metrics=final_metrics(result, _now()))
        if not connection.is_local():
            client.log_artifacts(run_id, str(directory))
        client.set_terminated(run_id, "FINISHED", end_time=round(ended * 1000))


def close_run(run_id: str, state: Literal["failed", "cancelled"], reason: str) -> None:
    """Close a run that did not finish; what it recorded stays.

    Raises:
        StoreError: the store cannot be used; the run's own files say how it ended all the same.
    """
    ended = time.time()
    files.change_facts(run_id, state=state, reason=reason[:5000], ended=ended)
    connection.check_free()
    client = connection.client()
    with sentences(get_settings().tracking_uri):
        client.set_tag(run_id, "mdaf.reason", reason[:5000])
        client.set_terminated(run_id, TO_MLFLOW[state], end_time=round(ended * 1000))


def close_or_finish(run_id: str, state: Literal["failed", "cancelled"], reason: str) -> RunState:
    """Close a run whose process is gone: as finished if its files say that it was, else as `close_run` does.

    Returns:
        The state it was given.
    """
    facts = files.read_facts(run_id)
    result = files.load_result(run_id) if facts is not None and facts.state == "finished" else None
    if result is None:
        close_run(run_id, state, reason)
        return state
    finish_run(run_id, result)
    return "finished"


def delete_run(run_id: str) -> int:
    """Delete a run from the store, and its files from this machine; returns their bytes.

    Raises:
        StudioError: the store cannot be used, or a file stayed.
    """
    rights.check()
    connection.check_free()
    with sentences(get_settings().tracking_uri):
        connection.client().delete_run(run_id)
    folder = run_directory(run_id).parent
    size = size_below(folder)
    with writing(folder):
        if folder.exists():
            shutil.rmtree(folder)
    return size
