"""Which runs there are: all, a study's, one by its id."""

from __future__ import annotations

import contextlib
import math
import sqlite3
import threading
import time
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mdaf_core.base.errors import UsageError
from mdaf_core.base.files import require_text
from mdaf_core.base.settings import get_settings
from mdaf_core.runs.tracking import connection, database, rows
from mdaf_core.runs.tracking.database import sentences
from mdaf_core.runs.tracking.entries import FROM_MLFLOW
from mdaf_core.runs.tracking.records import RunRecord, record_of
from mdaf_core.runs.tracking.rows import RunRow, Standing

if TYPE_CHECKING:
    from mlflow import MlflowClient


def list_runs(study: str | None = None) -> list[RunRecord]:
    """All runs, newest first, or those of one study, by its id. Deleted runs are left out.

    Raises:
        UsageError: `study` is no id.
    """
    if study is not None:
        require_text(study, "study")
    version = connection.store_version()
    return list(_all_runs(version) if study is None else _runs_of(version, study))


def list_runs_on(fingerprints: Iterable[str]) -> list[RunRecord]:
    """All runs on data of one of these fingerprints, newest first."""
    return list(_runs_on(connection.store_version(), tuple(sorted(set(fingerprints)))))


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


@lru_cache(maxsize=16)
def _runs_on(version: tuple[Any, ...], fingerprints: tuple[str, ...]) -> list[RunRecord]:
    if database.database_path(version[0]) is None:
        return [record for record in _all_runs(version) if record.fingerprint in fingerprints]
    return _newest_first(_read(fingerprints=fingerprints))


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


def _read(
    study: str | None = None,
    beginning: str | None = None,
    since: int | None = None,
    fingerprints: tuple[str, ...] | None = None,
) -> list[RunRecord]:
    """Runs of the store; which, is as of `rows.read`. MLflow itself is asked where there is no file to read, or one
    that cannot be read as it is."""
    uri = get_settings().tracking_uri
    path = database.database_path(uri)
    found: list[RunRow] | None = None
    if path is not None:
        if not path.exists() and not database.stored_runs(path):
            return []
        with contextlib.suppress(sqlite3.Error):
            found = rows.read(path, study=study, beginning=beginning, since=since, fingerprints=fingerprints)
    if found is None:
        found = [
            run for run in _asked(uri, since)
            if (study is None or run.study == study) and (beginning is None or run.run_id.startswith(beginning))
            and (fingerprints is None or run.tags.get("mdaf.fingerprint") in fingerprints)
        ]  # fmt: skip
    return [record_of(run) for run in found if "mdaf.configuration" in run.tags]


def _asked(uri: str, since: int | None) -> list[RunRow]:
    """Of all runs, or of those that run or ended at this moment or later, what MLflow's client tells.

    Raises:
        StoreError: the store cannot be used.
    """
    client = connection.client()
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


def standings() -> list[Standing]:
    """How every run stands, oldest first, for lists of studies: without its settings, so that it takes no time."""
    uri = get_settings().tracking_uri
    path = database.database_path(uri)
    if path is not None and path.exists():
        with contextlib.suppress(sqlite3.Error):
            return [run._replace(seed=int(run.seed), state=FROM_MLFLOW[run.state]) for run in rows.standings(path)]
    return [
        Standing(r.study, r.configuration, r.seed, r.state, r.result.val.auc if r.result else None, r.run_id)
        for r in reversed(list_runs())
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
        UsageError: no such run, or several; no text.
    """
    require_text(run_id, "run")
    found = _newest_first(_read(beginning=run_id)) if run_id else []
    if len(found) != 1:
        problem = "There is no run" if not found else f"{len(found)} runs begin with"
        raise UsageError(f"{problem} {run_id!r}. `python -m mdaf_core study show STUDY` lists runs with their ids.")
    return found[0]
