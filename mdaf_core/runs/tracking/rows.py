"""The runs in a run store of this machine, read straight from its SQLite file.

MLflow's own search builds an object a parameter, which takes seconds for thousands of runs; these three queries take
milliseconds for one study's. They read what every version of MLflow's tables has had, and write nothing.
"""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple


class RunRow(NamedTuple):
    """One run as MLflow keeps it. Times are milliseconds."""

    run_id: str
    study: str
    status: str
    started: int
    ended: int | None
    tags: dict[str, str]
    parameters: dict[str, str]


_FROM = """FROM runs r JOIN experiments e ON e.experiment_id = r.experiment_id
WHERE r.lifecycle_stage = 'active' AND e.lifecycle_stage = 'active'"""


def read(
    path: Path,
    *,
    study: str | None = None,
    beginning: str | None = None,
    since: int | None = None,
    fingerprints: Sequence[str] | None = None,
) -> list[RunRow]:
    """Runs that were not deleted.

    Args:
        study: only its runs; beginning: only those whose id begins with it; since: only those that are running or
            ended at this moment (milliseconds) or later; fingerprints: only those on data of one of these.

    Raises:
        sqlite3.Error: the file is no such store, or somebody has locked it for more than a second.
    """
    where, values = _FROM, list[Any]()
    if study is not None:
        where, values = f"{where} AND e.name = ?", [*values, study]
    if beginning is not None:
        where, values = f"{where} AND substr(r.run_uuid, 1, length(?)) = ?", [*values, beginning, beginning]
    if since is not None:
        where, values = f"{where} AND (r.status = 'RUNNING' OR r.end_time >= ?)", [*values, since]
    if fingerprints is not None:
        on = f"SELECT run_uuid FROM tags WHERE key = 'mdaf.fingerprint' AND value IN ({_marks(fingerprints)})"
        where, values = f"{where} AND r.run_uuid IN ({on})", [*values, *fingerprints]
    with contextlib.closing(_open(path)) as db:
        runs = {
            run_id: RunRow(run_id, name, status, started, ended, {}, {})
            for run_id, name, status, started, ended in db.execute(
                f"SELECT r.run_uuid, e.name, r.status, r.start_time, r.end_time {where}", values
            )
        }
        for table, field in (("tags", "tags"), ("params", "parameters")):
            rows = db.execute(
                f"SELECT run_uuid, key, value FROM {table} WHERE run_uuid IN (SELECT r.run_uuid {where})", values
            )
            for run_id, key, value in rows:
                if run_id in runs:  # one that began between the queries has no row here
                    getattr(runs[run_id], field)[sys.intern(key)] = sys.intern(value or "")
    return list(runs.values())


class Standing(NamedTuple):
    """Of one run, what lists of studies show."""

    study: str
    configuration: str
    seed: int
    state: str
    val_auc: float | None
    run_id: str


def standings(path: Path) -> list[Standing]:
    """How every run stands, oldest first, without its settings; the state in MLflow's words.

    Raises:
        sqlite3.Error: as `read`.
    """
    with contextlib.closing(_open(path)) as db:
        return [Standing(*row) for row in db.execute(_STANDINGS)]


_STANDINGS = f"""SELECT e.name,
    (SELECT value FROM tags t WHERE t.run_uuid = r.run_uuid AND t.key = 'mdaf.configuration') AS configuration,
    (SELECT value FROM tags t WHERE t.run_uuid = r.run_uuid AND t.key = 'mdaf.seed'),
    r.status,
    (SELECT value FROM latest_metrics m WHERE m.run_uuid = r.run_uuid AND m.key = 'val_best.auc' AND NOT m.is_nan),
    r.run_uuid
{_FROM} AND configuration IS NOT NULL ORDER BY r.start_time"""


def studies_on(path: Path, fingerprints: Sequence[str]) -> set[str]:
    """Studies with a run on data of one of these fingerprints.

    Raises:
        sqlite3.Error: as `read`.
    """
    query = f"""SELECT DISTINCT e.name FROM tags t JOIN runs r ON r.run_uuid = t.run_uuid
        JOIN experiments e ON e.experiment_id = r.experiment_id
        WHERE t.key = 'mdaf.fingerprint' AND t.value IN ({_marks(fingerprints)})"""
    with contextlib.closing(_open(path)) as db:
        return {name for (name,) in db.execute(query, list(fingerprints))}


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=1.0)
