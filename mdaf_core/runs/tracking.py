"""The run store. The only folder that knows MLflow.

One MLflow experiment a study, one MLflow run a run. A run's artifacts (configuration, weights, predictions, result) are
written straight into `<home>/runs/<run_id>/artifacts`; with a tracking server they are uploaded there when the run ends
and fetched into the same place when another machine reads them.

`files.py` reads and writes the artifacts, among them `run.json`, which holds what else only the database would know;
`database.py` makes and checks the SQLite file; `restore.py` makes it again from the artifacts.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mdaf_core.base import notices
from mdaf_core.base.errors import UsageError
from mdaf_core.base.files import best_effort, size_below, with_patience, write_json, writing
from mdaf_core.base.settings import get_settings
from mdaf_core.data.store.schema import Split
from mdaf_core.models.base import ModelSettings
from mdaf_core.models.registry import recorded
from mdaf_core.runs import database, files, rows
from mdaf_core.runs.config import RunConfig
from mdaf_core.runs.database import StoreError, sentences
from mdaf_core.runs.files import SINGLE_RUNS, RunFacts, RunState, run_directory
from mdaf_core.runs.imported import IMPORTED, ImportedModel
from mdaf_core.runs.results import EpochMetrics, RunResult, SplitMetrics
from mdaf_core.runs.rows import RunRow, Standing

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["SINGLE_RUNS", "RunRecord", "RunState", "StoreError", "run_directory"]

_TO_MLFLOW = {"running": "RUNNING", "finished": "FINISHED", "failed": "FAILED", "cancelled": "KILLED"}
_FROM_MLFLOW = {v: k for k, v in _TO_MLFLOW.items()} | {"SCHEDULED": "running"}


@dataclass(frozen=True)
class RunRecord:
    """One run as the store knows it. Times are Unix seconds."""

    run_id: str
    study: str
    configuration: str
    preset: str
    model: str
    seed: int
    dataset: str
    fingerprint: str
    state: RunState
    reason: str
    started: float
    ended: float | None
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def directory(self) -> Path:
        return run_directory(self.run_id)

    @property
    def imported(self) -> bool:
        """Whether it was trained elsewhere, and only its predictions are here."""
        return self.model == IMPORTED

    @property
    def model_settings(self) -> ModelSettings:
        """What its model is, to be asked whether it has a gate or reads histories; values as the store keeps them."""
        if self.imported:
            return ImportedModel(of=self.configuration)
        prefix = "model."
        own = {key.removeprefix(prefix): value for key, value in self.config.items() if key.startswith(prefix)}
        settings = {key: value for key, value in own.items() if "." not in key}
        return recorded(self.model, settings, lambda: self.result is not None and bool(self.result.gate))

    @property
    def result(self) -> RunResult | None:
        """Metrics of a finished run."""
        return load_result(self.run_id, expected=True) if self.state == "finished" else None

    def metrics(self, split: Split) -> SplitMetrics | None:
        """Of a finished run on one split."""
        result = self.result
        return None if result is None else getattr(result, split)

    @property
    def epochs(self) -> list[EpochMetrics]:
        """Epochs finished so far."""
        return load_epochs(self.run_id)


def is_local() -> bool:
    """Whether artifacts stay where they are written (no tracking server)."""
    return get_settings().tracking_uri.startswith("sqlite:")


def _client() -> MlflowClient:
    """The store's client in this process. A store that was put in place of another one is opened anew.

    Raises:
        StoreError: as `database.open_client`.
    """
    settings = get_settings()
    uri = settings.tracking_uri
    path = database.database_path(uri)
    if path is not None and not path.parent.exists():
        settings.home.mkdir(parents=True, exist_ok=True)
    client = _cached_client(uri, os.getpid())
    if path is not None:
        try:
            file = path.stat().st_ino
        except OSError:
            file = 0
        if _opened.setdefault((uri, os.getpid()), file) != file:
            client._tracking_client.store.engine.dispose()  # its connections are to the file that was there before
            _cached_client.cache_clear()
            client = _cached_client(uri, os.getpid())
            _opened[uri, os.getpid()] = file
    return client


@lru_cache(maxsize=8)
def _cached_client(uri: str, _pid: int) -> MlflowClient:
    return database.open_client(uri)


_opened: dict[tuple[str, int], int] = {}
"""The file (inode) that a process has opened."""


def _experiment(client: MlflowClient, study: str) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(study)
    if found is None:
        location = get_settings().runs_dir.as_uri() if is_local() else None
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
    """Open a run and return its id. Parameters are flattened (`training.batch_size`)."""
    from mlflow.entities import Param

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
    with_patience(_check_free, START_PATIENCE)
    client = _client()
    with sentences(uri):
        started = round(facts.started * 1000)
        run_id: str = client.create_run(_experiment(client, study), start_time=started, tags=tags).info.run_id
        directory = run_directory(run_id)
        write_json(directory / "config.json", config.model_dump(mode="json"))
        write_json(directory / "provenance.json", provenance or {})
        files.write_facts(run_id, facts)
        client.log_batch(run_id, params=[Param(k, v) for k, v in run_parameters(config, seed, dataset).items()])
    return run_id


def _check_free() -> None:
    """Raise a StoreError if somebody has locked the store for more than a moment."""
    path = database.database_path(get_settings().tracking_uri)
    if path is not None and path.is_file() and database.is_locked(path, BUSY_SECONDS):
        raise StoreError(database.locked(path))


BUSY_SECONDS = 1.0
"""How long a locked store is waited for at a time. (MLflow itself waits for 20 s.)"""
START_PATIENCE = 120.0
"""Seconds that a run waits for a locked store before it begins."""


def run_tags(config: RunConfig, seed: int, dataset: str, fingerprint: str) -> dict[str, str]:
    """What a run is, as the store's tags."""
    return {
        "mdaf.configuration": config.name,
        "mdaf.preset": config.preset,
        "mdaf.model": config.model.kind,
        "mdaf.seed": str(seed),
        "mdaf.dataset": dataset,
        "mdaf.fingerprint": fingerprint,
        "mlflow.runName": f"{config.name}-{seed}",
    }


def run_parameters(config: RunConfig, seed: int, dataset: str) -> dict[str, str]:
    """A run's settings, flattened (`training.batch_size`)."""
    flat = flatten(config.settings()) | {"seed": seed, "dataset": dataset}
    return {name: str(value)[:6000] for name, value in flat.items()}


def resume_run(run_id: str) -> None:
    """Mark an interrupted run as running again.

    Raises:
        StoreError: the store cannot be used.
    """
    with_patience(_check_free, START_PATIENCE)
    client = _client()
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
    waiting = _untold.setdefault(run_id, [])
    waiting[:] = [e for e in waiting if e.epoch != epochs[-1].epoch] + [epochs[-1]]
    try:
        _check_free()
        with sentences(get_settings().tracking_uri):
            _log_epochs(_client(), run_id, waiting)
    except StoreError as error:
        notices.add(f"{error} Metrics of epoch {epochs[-1].epoch} will be recorded later.")
    else:
        del _untold[run_id]


_untold: dict[str, list[EpochMetrics]] = {}
"""Epochs of this process's runs that the store does not have yet."""


def _log_epochs(client: MlflowClient, run_id: str, epochs: Iterable[EpochMetrics]) -> None:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    values = [
        Metric(name, float(value), now, e.epoch)
        for e in epochs
        for name, value in e.model_dump(exclude={"epoch"}).items()
        if value is not None
    ]
    for i in range(0, len(values), 1000):  # as many as MLflow takes at once
        client.log_batch(run_id, metrics=values[i : i + 1000])


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
    _check_free()
    client = _client()
    with sentences(get_settings().tracking_uri):
        known = {m.step for m in client.get_metric_history(run_id, "train_loss")}
        _log_epochs(client, run_id, [e for e in result.epochs if e.epoch not in known])
        finals = final_metrics(result)
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        client.log_batch(run_id, metrics=[Metric(k, v, now, 0) for k, v in finals.items()])
        if not is_local():
            client.log_artifacts(run_id, str(directory))
        client.set_terminated(run_id, "FINISHED", end_time=round(ended * 1000))


def final_metrics(result: RunResult) -> dict[str, float]:
    """What a finished run is recorded with beside its epochs: `val_best.auc`, …, `best_epoch`."""
    finals = {
        f"{split}_best.{name}": float(value)
        for split, metrics in (("val", result.val), ("test", result.test))
        for name, value in metrics.model_dump(exclude={"undefined"}).items()
        if isinstance(value, int | float)
    }
    return finals if result.best_epoch is None else finals | {"best_epoch": float(result.best_epoch)}


def close_run(run_id: str, state: Literal["failed", "cancelled"], reason: str) -> None:
    """Close a run that did not finish; what it recorded stays.

    Raises:
        StoreError: the store cannot be used; the run's own files say how it ended all the same.
    """
    ended = time.time()
    files.change_facts(run_id, state=state, reason=reason[:5000], ended=ended)
    _check_free()
    client = _client()
    with sentences(get_settings().tracking_uri):
        client.set_tag(run_id, "mdaf.reason", reason[:5000])
        client.set_terminated(run_id, _TO_MLFLOW[state], end_time=round(ended * 1000))


def delete_run(run_id: str) -> int:
    """Delete a run from the store, and its files from this machine; returns their bytes.

    Raises:
        StudioError: the store cannot be used, or a file stayed.
    """
    _check_free()
    with sentences(get_settings().tracking_uri):
        _client().delete_run(run_id)
    folder = run_directory(run_id).parent
    size = size_below(folder)
    with writing(folder):
        if folder.exists():
            shutil.rmtree(folder)
    return size


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


def store_version() -> tuple[Any, ...]:
    """Changes whenever the store may have changed: the key for cached reads."""
    uri = get_settings().tracking_uri
    if not uri.startswith("sqlite:"):
        return (uri, int(time.time() / 5))
    path = Path(uri.removeprefix("sqlite:///"))
    stamps = []
    for file in (path, path.with_name(path.name + "-wal")):
        try:
            stat = file.stat()
            stamps.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
        except OSError:
            stamps.append((0, 0, 0))
    return (uri, *stamps)


def list_runs(study: str | None = None) -> list[RunRecord]:
    """All runs, newest first, or those of one study. Deleted runs are left out."""
    version = store_version()
    return list(_all_runs(version) if study is None else _runs_of(version, study))


@lru_cache(maxsize=2)
def _all_runs(version: tuple[Any, ...]) -> list[RunRecord]:
    store = (version[0], version[1][-1] if isinstance(version[1], tuple) else 0)  # another file is another store
    with _known_lock:
        return _known.setdefault(store, _Known()).read()


@lru_cache(maxsize=64)
def _runs_of(version: tuple[Any, ...], study: str) -> list[RunRecord]:
    if database.database_path(version[0]) is None:
        return [record for record in _all_runs(version) if record.study == study]
    return _newest_first(_read(study=study))


def _newest_first(records: Iterable[RunRecord]) -> list[RunRecord]:
    return sorted(records, key=lambda record: -record.started)


class _Known:
    """The runs read so far. A run that has ended does not change, so that only others are read again; everything is,
    once a minute, for what other programs may have deleted or edited."""

    def __init__(self) -> None:
        self.records: dict[str, RunRecord] = {}
        self.complete = -math.inf  # when everything was read, by the monotonic clock

    def read(self) -> list[RunRecord]:
        """All runs, newest first."""
        if time.monotonic() - self.complete > READ_ALL_SECONDS:
            self.complete = time.monotonic()
            found = _read()
            self.records.clear()
        else:
            newest = max((r.ended or r.started for r in self.records.values()), default=0)
            found = _read(since=round((newest - CLOCKS_SECONDS) * 1000))
            self.records = {id: record for id, record in self.records.items() if record.state != "running"}
        self.records |= {record.run_id: record for record in found}
        return _newest_first(self.records.values())


READ_ALL_SECONDS = 60.0
CLOCKS_SECONDS = 60.0
"""How far the clocks of machines that share a store may differ."""
_known: dict[tuple[str, int], _Known] = {}
_known_lock = threading.Lock()


def _read(study: str | None = None, beginning: str | None = None, since: int | None = None) -> list[RunRecord]:
    """Runs of the store; which, is as of `rows.read`. MLflow itself is asked where there is no file to read, or one
    that cannot be read as it is."""
    uri = get_settings().tracking_uri
    path = database.database_path(uri)
    found: list[RunRow] | None = None
    if path is not None:
        if not path.exists() and not database.stored_runs(path):
            return []
        with contextlib.suppress(sqlite3.Error):
            found = rows.read(path, study=study, beginning=beginning, since=since)
    if found is None:
        found = [
            run for run in _asked(uri, since)
            if (study is None or run.study == study) and (beginning is None or run.run_id.startswith(beginning))
        ]  # fmt: skip
    return [_record(run) for run in found if "mdaf.configuration" in run.tags]


def _asked(uri: str, since: int | None) -> list[RunRow]:
    """Of all runs, or of those that run or ended at this moment or later, what MLflow's client tells.

    Raises:
        StoreError: the store cannot be used.
    """
    client = _client()
    with sentences(uri):
        names = {e.experiment_id: e.name for e in client.search_experiments(max_results=10000)}
        conditions = [""] if since is None else ["attributes.status = 'RUNNING'", f"attributes.end_time >= {since}"]
        found = [run for condition in conditions for run in _search(client, names, condition)]
    return [
        RunRow(
            run.info.run_id, names[run.info.experiment_id], run.info.status, run.info.start_time, run.info.end_time,
            run.data.tags, run.data.params,
        )
        for run in found
    ]  # fmt: skip


def _search(client: MlflowClient, experiments: Iterable[str], condition: str = "") -> list[Any]:
    experiments, token = list(experiments), None
    runs: list[Any] = []
    while experiments:
        page = client.search_runs(experiments, condition, max_results=5000, page_token=token)
        runs.extend(page)
        token = page.token
        if not token:
            break
    return runs


def _record(run: RunRow) -> RunRecord:
    tags = run.tags
    return RunRecord(
        run_id=run.run_id,
        study=run.study,
        configuration=tags["mdaf.configuration"],
        preset=tags.get("mdaf.preset", ""),
        model=tags.get("mdaf.model", ""),
        seed=int(tags.get("mdaf.seed", 0)),
        dataset=tags.get("mdaf.dataset", ""),
        fingerprint=tags.get("mdaf.fingerprint", ""),
        state=_FROM_MLFLOW[run.status],  # type: ignore[arg-type]
        reason=tags.get("mdaf.reason", ""),
        started=run.started / 1000,
        ended=run.ended / 1000 if run.ended else None,
        config=dict(run.parameters),
    )


def standings() -> list[Standing]:
    """How every run stands, oldest first, for lists of studies: without its settings, so that it takes no time."""
    uri = get_settings().tracking_uri
    path = database.database_path(uri)
    if path is not None and path.exists():
        with contextlib.suppress(sqlite3.Error):
            return [run._replace(seed=int(run.seed), state=_FROM_MLFLOW[run.state]) for run in rows.standings(path)]
    return [
        Standing(run.study, run.configuration, run.seed, run.state, run.result.val.auc if run.result else None)
        for run in reversed(list_runs())
    ]


def studies_on(fingerprints: Iterable[str]) -> set[str]:
    """Studies with a run on data of one of these fingerprints."""
    wanted = sorted(set(fingerprints))
    path = database.database_path(get_settings().tracking_uri)
    if path is not None and path.exists():
        with contextlib.suppress(sqlite3.Error):
            return rows.studies_on(path, wanted)
    return {run.study for run in list_runs() if run.fingerprint in wanted}


def get_run(run_id: str) -> RunRecord:
    """One run by its id or an unambiguous beginning of it.

    Raises:
        UsageError: no such run, or several.
    """
    found = _newest_first(_read(beginning=run_id)) if run_id else []
    if len(found) != 1:
        problem = "There is no run" if not found else f"{len(found)} runs begin with"
        raise UsageError(f"{problem} {run_id!r}. `python -m mdaf_core study show STUDY` lists runs with their ids.")
    return found[0]


def artifact(run_id: str, name: str) -> Path:
    """Local path of one artifact of a run, fetched from the tracking server if need be.

    Raises:
        UsageError: the run has no such artifact (yet).
    """
    path = run_directory(run_id) / name
    if not path.exists() and not is_local():
        from mlflow.exceptions import MlflowException

        with contextlib.suppress(MlflowException, OSError):
            _client().download_artifacts(run_id, name, str(run_directory(run_id)))
    if not path.exists():
        result = files.load_result(run_id)
        imported = result is not None and result.imported is not None
        why = "it was imported without" if imported else "it did not finish, or its files were removed"
        raise UsageError(f"Run {run_id[:8]} has no {name}: {why}.")
    return path


def load_result(run_id: str, expected: bool = False) -> RunResult | None:
    """Result of a finished run, or None where it has none (noted if `expected`); a file that cannot be read is noted
    and counts as none."""
    if not is_local():
        with contextlib.suppress(UsageError):
            artifact(run_id, "result.json")
    return files.load_result(run_id, expected)


def load_epochs(run_id: str) -> list[EpochMetrics]:
    """Epochs recorded so far, oldest first: live while the run goes on. As `load_result` where they cannot be read."""
    if is_local() or (run_directory(run_id) / "epochs.json").exists():
        return files.load_epochs(run_id)
    by_epoch: dict[int, dict[str, float]] = {}
    client = _client()
    with sentences(get_settings().tracking_uri):
        for name in EpochMetrics.model_fields:
            if name == "epoch":
                continue
            for metric in client.get_metric_history(run_id, name):
                by_epoch.setdefault(metric.step, {})[name] = metric.value
    return [EpochMetrics.model_validate({"epoch": e, **values}) for e, values in sorted(by_epoch.items())]


def flatten(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as one level of dotted paths: `{"training": {"max_epochs": 2}}` → `training.max_epochs`."""
    flat: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, dict):
            flat |= flatten(item, f"{prefix}{key}.")
        else:
            flat[prefix + key] = item
    return flat
