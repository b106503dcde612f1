"""The SQLite file behind the run store: made whole or not at all, checked before it is used, copied before a migration.

MLflow makes its tables one by one in the file itself, and a process that dies meanwhile leaves a file that no later one
can use. Here a new file is made aside, under a lock, and renamed when it is complete.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdaf_core.base.errors import StudioError
from mdaf_core.base.files import full_sentence, is_full, nearly_full
from mdaf_core.base.locks import exclusive
from mdaf_core.base.settings import get_settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

REBUILD = "`python -m mdaf_core store rebuild` builds it again from the runs' own files."
SIDECARS = ("-journal", "-wal", "-shm")


class StoreError(StudioError):
    """The run store cannot be used. The sentence says why, and what to do."""


def database_path(uri: str) -> Path | None:
    """The SQLite file of a tracking address; None for a server."""
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:") else None


@contextmanager
def sentences(uri: str) -> Iterator[None]:
    """What MLflow, SQLAlchemy or SQLite raise inside the block becomes a sentence that names the store.

    Raises:
        StoreError
    """
    import requests
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, sqlite3.Error, requests.RequestException, OSError) as error:
        raise StoreError(_sentence(uri, error)) from error


def _sentence(uri: str, error: Exception) -> str:
    path = database_path(uri)
    text = " ".join(str(error).split())
    if path is None:
        return f"The tracking server {uri} cannot be used: {text[:300]}."
    lower = text.lower()
    if is_full(error) or ("disk i/o error" in lower and nearly_full(path)):
        return full_sentence(path)
    if "database is locked" in lower or "database table is locked" in lower:
        return locked(path)
    if "readonly database" in lower or "read-only" in lower or isinstance(error, PermissionError):
        return f"The run store {path} may not be written: allow writing it, or set MDAF_HOME to a folder of your own."
    signs = (
        "malformed",
        "not a database",
        "no such table",
        "no such column",
        "unable to open",
        "disk i/o",
        "encrypted",
    )
    if any(sign in lower for sign in signs):
        return damaged(path, text)
    return f"The run store {path} cannot be used: {text[:300]}."


def locked(path: Path) -> str:
    """The sentence for a store that somebody else is writing, for long."""
    return f"The run store {path} is locked by another program, which may be copying or repairing it."


def damaged(path: Path, what: str) -> str:
    """The sentence for a store that cannot be opened any more."""
    return f"The run store {path} is damaged ({what[:160]}). {REBUILD}"


def open_client(uri: str) -> MlflowClient:
    """A client of the store, which is made if it does not exist and migrated if an older MLflow made it.

    Raises:
        StoreError: the store is damaged, half made, missing beside its runs, or made by a newer MLflow.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient

    path = database_path(uri)
    with sentences(uri):
        if path is None:
            return MlflowClient(uri)
        # What it catches becomes a sentence here; its traceback would only fill the logs.
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
        with making(path):
            _make_ready(path)
            client = MlflowClient(uri)
            client.search_experiments(max_results=1)
        return client


@contextmanager
def making(path: Path) -> Iterator[None]:
    """One process at a time makes or migrates a store. A folder that may only be read needs no lock."""
    try:
        lock = exclusive(path.with_name(".mlflow.lock"))
        lock.__enter__()
    except OSError:
        if not path.exists():
            raise
        yield
        return
    try:
        yield
    finally:
        lock.__exit__(None, None, None)


def _make_ready(path: Path) -> None:
    if not path.exists():
        if missing := stored_runs(path):
            raise StoreError(f"The run store {path} is missing, though there are files of {missing} runs. {REBUILD}")
        create(path, lambda _: None)
        return
    from mlflow.store.db.utils import _get_latest_schema_revision

    version = _version(path)
    if version == _get_latest_schema_revision():
        return
    if version is None and stored_runs(path):
        raise StoreError(damaged(path, "its tables are not complete"))
    _migrate(path, version)


def stored_runs(path: Path) -> int:
    """Runs that have files beside this store: they prove that it held something."""
    settings = get_settings()
    if path.resolve() != settings.home / "mlflow.db":
        return 0
    return sum(1 for _ in settings.runs_dir.glob("*/artifacts/config.json"))


def _version(path: Path) -> str | None:
    """The revision of the store's tables; None where they are not complete.

    Raises:
        StoreError: it is no database.
    """
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=20)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if not {"alembic_version", "experiments", "runs"} <= tables:
                return None
            found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            return None if found is None else str(found[0])
    except sqlite3.OperationalError as error:
        raise StoreError(_sentence(f"sqlite:///{path}", error)) from error
    except sqlite3.DatabaseError as error:
        raise StoreError(damaged(path, str(error))) from error


def create(path: Path, fill: Callable[[Any], None]) -> Path | None:
    """Make a store aside, let `fill` write into it (given MLflow's store), then put it in place at once.

    Call with nobody else making it (`making`).

    Returns:
        Where a store that was there before is kept.
    """
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    path.parent.mkdir(parents=True, exist_ok=True)
    aside = _aside(path)
    try:
        store = SqlAlchemyStore(f"sqlite:///{aside}", get_settings().runs_dir.as_uri())
        try:
            fill(store)
        finally:
            store.engine.dispose()
        kept = _set_aside(path)
        _put_in_place(aside, path)
    except BaseException:
        remove(aside)
        raise
    return kept


def _aside(path: Path) -> Path:
    """A name of its own each time, for MLflow keeps connections by name. What killed processes left is removed."""
    for left in path.parent.glob(f".{path.name}.new-*"):
        left.unlink(missing_ok=True)
    return path.with_name(f".{path.name}.new-{secrets.token_hex(4)}")


def _put_in_place(aside: Path, path: Path) -> None:
    with aside.open("rb") as written:
        os.fsync(written.fileno())
    for ending in SIDECARS:  # of a file that is gone: SQLite would apply its journal to the new one
        Path(f"{path}{ending}").unlink(missing_ok=True)
    aside.replace(path)


def remove(path: Path) -> None:
    """Remove a database file and what SQLite keeps beside it."""
    for ending in ("", *SIDECARS):
        Path(f"{path}{ending}").unlink(missing_ok=True)


def _set_aside(path: Path) -> Path | None:
    """Keep a store under another name; None where there is none."""
    if not path.exists():
        return None
    kept = path.with_name(f"{path.name}.before-{time.strftime('%Y%m%d-%H%M%S')}")
    for ending in SIDECARS:
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{ending}").rename(f"{kept}{ending}")
    return path.rename(kept)


def _migrate(path: Path, version: str | None) -> None:
    """Bring a store of an older MLflow up to date: on a copy, which takes its place when it is done. The store as it
    was stays beside it, under its revision.

    Raises:
        StoreError: it cannot be migrated: damaged, or made by a newer MLflow.
    """
    import mlflow
    from mlflow.store.db.utils import _initialize_tables, _upgrade_db, create_sqlalchemy_engine

    aside = _aside(path)
    try:
        _copy(path, aside)
        engine = create_sqlalchemy_engine(f"sqlite:///{aside}")
        try:
            (_initialize_tables if version is None else _upgrade_db)(engine)
        finally:
            engine.dispose()
        if version is not None:
            _copy(path, path.with_name(f"{path.name}.before-{version}"))
        _put_in_place(aside, path)
    except Exception as error:  # Alembic's and SQLAlchemy's kinds; the store itself has not been touched
        remove(aside)
        if is_full(error):
            raise StoreError(full_sentence(path)) from error
        why = f"its tables (revision {version}) cannot be brought to those of MLflow {mlflow.__version__}"
        raise StoreError(f"{damaged(path, why)} If a newer MLflow made it, install that one.") from error


def _copy(path: Path, to: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as source, contextlib.closing(sqlite3.connect(to)) as target:
        source.backup(target)


def is_locked(path: Path, seconds: float) -> bool:
    """Whether somebody else keeps the store from being written for `seconds`."""
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=seconds)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.rollback()
    except sqlite3.Error as error:
        return "locked" in str(error)
    return False
