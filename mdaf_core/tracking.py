"""The run store. The only file that knows MLflow.

One MLflow experiment a study, one MLflow run a run. A run's artifacts (configuration, weights, predictions, result) are
written straight into `<home>/runs/<run_id>/artifacts`; with a tracking server they are uploaded there when the run ends
and fetched into the same place when another machine reads them.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mdaf_core.errors import UsageError
from mdaf_core.files import write_json
from mdaf_core.models.config import ModelSettings, recorded
from mdaf_core.settings import get_settings
from mdaf_core.training.config import RunConfig
from mdaf_core.training.results import EpochMetrics, RunResult

if TYPE_CHECKING:
    from mlflow import MlflowClient

RunState = Literal["running", "finished", "failed", "cancelled"]
SINGLE_RUNS = "single-runs"

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
    def model_settings(self) -> ModelSettings:
        """What its model is, to be asked whether it has a gate or reads histories; values as the store keeps them."""
        prefix = "model."
        own = {key.removeprefix(prefix): value for key, value in self.config.items() if key.startswith(prefix)}
        return recorded(self.model, {key: value for key, value in own.items() if "." not in key})

    @property
    def result(self) -> RunResult | None:
        """Metrics of a finished run."""
        return load_result(self.run_id) if self.state == "finished" else None

    @property
    def epochs(self) -> list[EpochMetrics]:
        """Epochs finished so far."""
        return load_epochs(self.run_id)


def run_directory(run_id: str) -> Path:
    """Local folder of a run's artifacts."""
    return get_settings().runs_dir / run_id / "artifacts"


def is_local() -> bool:
    """Whether artifacts stay where they are written (no tracking server)."""
    return get_settings().tracking_uri.startswith("sqlite:")


def _client() -> MlflowClient:
    settings = get_settings()
    settings.home.mkdir(parents=True, exist_ok=True)
    return _cached_client(settings.tracking_uri, os.getpid())


@lru_cache(maxsize=8)
def _cached_client(uri: str, _pid: int) -> MlflowClient:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import fcntl

    from mlflow import MlflowClient

    if not uri.startswith("sqlite:"):
        return MlflowClient(uri)
    # Two processes that create the SQLite schema at once corrupt each other's migration: one at a time.
    lock_path = get_settings().home / ".mlflow.lock"
    with lock_path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        client = MlflowClient(uri)
        client.search_experiments(max_results=1)
    return client


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

    client = _client()
    tags = {
        "mdaf.configuration": config.name,
        "mdaf.preset": config.preset,
        "mdaf.model": config.model.kind,
        "mdaf.seed": str(seed),
        "mdaf.dataset": dataset,
        "mdaf.fingerprint": fingerprint,
        "mlflow.runName": f"{config.name}-{seed}",
    }
    run_id: str = client.create_run(_experiment(client, study), tags=tags).info.run_id
    flat = flatten(config.model_dump(exclude={"name", "preset"})) | {"seed": seed, "dataset": dataset}
    client.log_batch(run_id, params=[Param(k, str(v)[:6000]) for k, v in flat.items()])
    directory = run_directory(run_id)
    directory.mkdir(parents=True, exist_ok=True)
    write_json(directory / "config.json", config.model_dump(mode="json"))
    write_json(directory / "provenance.json", provenance or {})
    return run_id


def resume_run(run_id: str) -> None:
    """Mark an interrupted run as running again."""
    client = _client()
    client.update_run(run_id, status="RUNNING")
    client.set_tag(run_id, "mdaf.reason", "")


def log_epoch(run_id: str, epochs: list[EpochMetrics]) -> None:
    """Record the last of `epochs` (all epochs so far). Safe to repeat for an epoch."""
    from mlflow.entities import Metric

    last = epochs[-1]
    now = int(time.time() * 1000)
    values = {k: v for k, v in last.model_dump(exclude={"epoch"}).items() if v is not None}
    _client().log_batch(run_id, metrics=[Metric(k, float(v), now, last.epoch) for k, v in values.items()])
    write_json(run_directory(run_id) / "epochs.json", [e.model_dump(mode="json") for e in epochs])


def finish_run(run_id: str, result: RunResult) -> None:
    """Record the final metrics and close the run as finished."""
    from mlflow.entities import Metric

    client = _client()
    directory = run_directory(run_id)
    write_json(directory / "result.json", result.model_dump(mode="json"))
    now = int(time.time() * 1000)
    finals = {
        f"{split}_best.{name}": value
        for split, metrics in (("val", result.val), ("test", result.test))
        for name, value in metrics.model_dump(exclude={"undefined"}).items()
        if value is not None
    }
    finals["best_epoch"] = result.best_epoch
    client.log_batch(run_id, metrics=[Metric(k, float(v), now, 0) for k, v in finals.items()])
    if not is_local():
        client.log_artifacts(run_id, str(directory))
    client.set_terminated(run_id, "FINISHED")


def close_run(run_id: str, state: Literal["failed", "cancelled"], reason: str) -> None:
    """Close a run that did not finish; what it recorded stays."""
    client = _client()
    client.set_tag(run_id, "mdaf.reason", reason[:5000])
    client.set_terminated(run_id, _TO_MLFLOW[state])


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
            stamps.append((stat.st_mtime_ns, stat.st_size))
        except FileNotFoundError:
            stamps.append((0, 0))
    return (uri, *stamps)


def list_runs(study: str | None = None) -> list[RunRecord]:
    """All runs, newest first, or those of one study. Deleted runs are left out."""
    records = _all_runs(store_version())
    return [r for r in records if study is None or r.study == study]


@lru_cache(maxsize=2)
def _all_runs(version: tuple[Any, ...]) -> list[RunRecord]:
    uri = version[0]
    if uri.startswith("sqlite:") and not Path(uri.removeprefix("sqlite:///")).exists():
        return []
    with _known_lock:
        return _known.setdefault(uri, _Known()).read(_client())


class _Known:
    """The runs read so far. A run that has ended does not change, so that only others are read again; everything is,
    once a minute, for what other programs may have deleted or edited."""

    def __init__(self) -> None:
        self.records: dict[str, RunRecord] = {}
        self.complete = -math.inf  # when everything was read, by the monotonic clock

    def read(self, client: MlflowClient) -> list[RunRecord]:
        """All runs, newest first."""
        names = {e.experiment_id: e.name for e in client.search_experiments(max_results=10000)}
        if time.monotonic() - self.complete > READ_ALL_SECONDS:
            self.complete = time.monotonic()
            found = _search(client, names)
            self.records.clear()
        else:
            newest = max((r.ended or r.started for r in self.records.values()), default=0)
            since = round((newest - CLOCKS_SECONDS) * 1000)
            found = [
                *_search(client, names, "attributes.status = 'RUNNING'"),
                *_search(client, names, f"attributes.end_time >= {since}"),
            ]
            self.records = {id: record for id, record in self.records.items() if record.state != "running"}
        for run in found:
            if "mdaf.configuration" in run.data.tags:
                self.records[run.info.run_id] = _record(run, names[run.info.experiment_id])
        return sorted(self.records.values(), key=lambda record: -record.started)


READ_ALL_SECONDS = 60.0
CLOCKS_SECONDS = 60.0
"""How far the clocks of machines that share a store may differ."""
_known: dict[str, _Known] = {}
_known_lock = threading.Lock()


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


def _record(run: Any, study: str) -> RunRecord:
    tags, info = run.data.tags, run.info
    return RunRecord(
        run_id=info.run_id,
        study=study,
        configuration=tags["mdaf.configuration"],
        preset=tags.get("mdaf.preset", ""),
        model=tags.get("mdaf.model", ""),
        seed=int(tags.get("mdaf.seed", 0)),
        dataset=tags.get("mdaf.dataset", ""),
        fingerprint=tags.get("mdaf.fingerprint", ""),
        state=_FROM_MLFLOW[info.status],  # type: ignore[arg-type]
        reason=tags.get("mdaf.reason", ""),
        started=info.start_time / 1000,
        ended=info.end_time / 1000 if info.end_time else None,
        config=dict(run.data.params),
    )


def get_run(run_id: str) -> RunRecord:
    """One run by its id or an unambiguous beginning of it.

    Raises:
        UsageError: no such run, or several.
    """
    found = [r for r in list_runs() if r.run_id.startswith(run_id)] if run_id else []
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
        raise UsageError(f"Run {run_id[:8]} has no {name}: it did not finish, or its files were removed.")
    return path


def load_result(run_id: str) -> RunResult | None:
    """Result of a finished run, or None where it has none."""
    try:
        path = artifact(run_id, "result.json")
    except UsageError:
        return None
    return _read_result(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=2000)
def _read_result(path: Path, _mtime: int) -> RunResult:
    return RunResult.model_validate_json(path.read_text("utf-8"))


def load_epochs(run_id: str) -> list[EpochMetrics]:
    """Epochs recorded so far, oldest first: live while the run goes on."""
    path = run_directory(run_id) / "epochs.json"
    if path.exists():
        return list(_read_epochs(path, path.stat().st_mtime_ns))
    if is_local():
        return []
    by_epoch: dict[int, dict[str, float]] = {}
    for name in EpochMetrics.model_fields:
        if name == "epoch":
            continue
        for metric in _client().get_metric_history(run_id, name):
            by_epoch.setdefault(metric.step, {})[name] = metric.value
    return [EpochMetrics.model_validate({"epoch": e, **values}) for e, values in sorted(by_epoch.items())]


@lru_cache(maxsize=2000)
def _read_epochs(path: Path, _mtime: int) -> tuple[EpochMetrics, ...]:
    return tuple(EpochMetrics.model_validate(e) for e in json.loads(path.read_text("utf-8")))


def flatten(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as one level of dotted paths: `{"training": {"max_epochs": 2}}` → `training.max_epochs`."""
    flat: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, dict):
            flat |= flatten(item, f"{prefix}{key}.")
        else:
            flat[prefix + key] = item
    return flat
