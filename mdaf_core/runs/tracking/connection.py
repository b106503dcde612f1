"""The store's client in this process, and when what is read of the store is not new enough any more."""

from __future__ import annotations

import os
import time
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from mdaf_core.base.settings import UNTOLD, get_settings
from mdaf_core.runs.tracking import database
from mdaf_core.runs.tracking.database import StoreError

if TYPE_CHECKING:
    from mlflow import MlflowClient


def is_local() -> bool:
    """Whether artifacts stay where they are written (no tracking server)."""
    return get_settings().tracking_uri.startswith(("sqlite:", UNTOLD))


def client() -> MlflowClient:
    """The store's client in this process. A store that was put in place of another one is opened anew.

    Raises:
        StoreError: as `database.open_client`.
    """
    settings = get_settings()
    uri = settings.tracking_uri
    if uri == UNTOLD:
        return cast("MlflowClient", _Nobody())
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


class _Nobody:
    """Who is told nothing, and knows of nothing: a run's own files say what it is, and another machine reads them."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_args, **_options: []


@lru_cache(maxsize=8)
def _cached_client(uri: str, _pid: int) -> MlflowClient:
    return database.open_client(uri)


_opened: dict[tuple[str, int], int] = {}
"""The file (inode) that a process has opened."""


def check_free() -> None:
    """Raise a StoreError if somebody has locked the store for more than a moment."""
    path = database.database_path(get_settings().tracking_uri)
    if path is not None and path.is_file() and database.is_locked(path, BUSY_SECONDS):
        raise StoreError(database.locked(path))


BUSY_SECONDS = 1.0
"""How long a locked store is waited for at a time. (MLflow itself waits for 20 s.)"""


START_PATIENCE = 120.0
"""Seconds that a run waits for a locked store before it begins."""


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
