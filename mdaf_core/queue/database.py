"""The file of the queue: how it is made, opened, and what is said where it cannot be used."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mdaf_core.base import rights
from mdaf_core.base.errors import StudioError
from mdaf_core.base.files import full_sentence, is_full, nearly_full
from mdaf_core.base.locks import exclusive
from mdaf_core.base.settings import get_settings

_VERSION = 4
_SCHEMA = """
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    title TEXT NOT NULL,
    key TEXT,
    resource TEXT,
    payload TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'queued',
    reason TEXT NOT NULL DEFAULT '',
    position REAL NOT NULL,
    depends_on INTEGER REFERENCES jobs(id),
    blocked INTEGER NOT NULL DEFAULT 0,
    created REAL NOT NULL,
    started REAL,
    ended REAL,
    attempts INTEGER NOT NULL DEFAULT 0,
    resumable INTEGER NOT NULL DEFAULT 0,
    resume INTEGER NOT NULL DEFAULT 0,
    run_id TEXT,
    progress TEXT,
    cancel_requested REAL,
    token TEXT,
    slot INTEGER,
    pid INTEGER,
    settling TEXT,
    threads INTEGER,
    memory INTEGER,
    machine TEXT
);
CREATE INDEX jobs_state ON jobs(state);
CREATE UNIQUE INDEX jobs_key ON jobs(kind, key) WHERE key IS NOT NULL;
"""
_FROM_1 = f"""
ALTER TABLE jobs RENAME TO jobs_1;
DROP INDEX jobs_state;
{_SCHEMA}
INSERT INTO jobs SELECT
    id, kind, title,
    CASE WHEN kind = 'train' THEN study || '/' || configuration || '/' || seed END,
    CASE WHEN json_valid(payload) THEN
        json_extract(payload, CASE kind WHEN 'train' THEN '$.dataset' ELSE '$.name' END)
    END,
    payload, state, reason, position, depends_on, blocked, created, started, ended, attempts,
    kind = 'train', resume, run_id, progress, cancel_requested, token, slot, pid, settling,
    NULL, NULL, NULL
FROM jobs_1;
DROP TABLE jobs_1;
PRAGMA user_version = {_VERSION};
"""
"""From the first form of the file, whose columns named a study, a configuration and a seed."""
_FROM_2 = f"""
ALTER TABLE jobs ADD COLUMN threads INTEGER;
ALTER TABLE jobs ADD COLUMN memory INTEGER;
ALTER TABLE jobs ADD COLUMN machine TEXT;
PRAGMA user_version = {_VERSION};
"""
"""From the second, whose jobs all ran alone or in equal slots."""
_FROM_3 = f"""
ALTER TABLE jobs ADD COLUMN machine TEXT;
PRAGMA user_version = {_VERSION};
"""
"""From the third, whose jobs all ran on this machine."""
_STEPS = {1: _FROM_1, 2: _FROM_2, 3: _FROM_3}


class QueueError(StudioError):
    """The queue cannot be used. The sentence says why, and what to do."""


def queue_path() -> Path:
    return get_settings().jobs_dir / "queue.db"


@contextmanager
def transaction(write: bool = True, timeout: float = 20.0) -> Iterator[sqlite3.Connection]:
    """One transaction on a connection of its own (which neither threads nor forks can share by mistake).

    Args:
        timeout: seconds to wait for others.

    Raises:
        QueueError: the queue is locked, damaged, may not be written, or its disk is full.
        NotAllowedError: who asks may only look, and would write.
    """
    if write:
        rights.check()
    path = queue_path()
    with _in_words(path):
        if not path.exists():
            _create(path)
        connection = _connect(path, timeout, write)
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        finally:
            connection.close()


def _connect(path: Path, timeout: float, write: bool) -> sqlite3.Connection:
    """A connection to a queue in its present form; to look only, one to a queue in a folder that may not be written."""
    connection = sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=timeout, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("SELECT 1 FROM jobs LIMIT 1")
    except sqlite3.OperationalError:
        # SQLite keeps files beside a queue that is open; where it may not, only one that nobody changes can be read.
        connection.close()
        if write or os.access(path.parent, os.W_OK) or not path.is_file():
            raise
        connection = sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True, isolation_level=None)
    except BaseException:
        connection.close()
        raise
    try:
        return connection if _version(connection) == _VERSION else _brought_up(connection, path, write)
    except BaseException:
        connection.close()
        raise


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _brought_up(connection: sqlite3.Connection, path: Path, write: bool) -> sqlite3.Connection:
    """The queue of an earlier version of the program in its present form; where it may only be read, a copy of it."""
    if _version(connection) > _VERSION:
        raise QueueError(f"The job queue {path} was written by a newer version of this program: update it.")
    if write or (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        with exclusive(path.with_name(".create.lock")):
            if _version(connection) < _VERSION:  # nobody was faster
                connection.executescript(f"BEGIN IMMEDIATE; {_STEPS[_version(connection)]} COMMIT;")
        return connection
    copy = sqlite3.connect(":memory:", isolation_level=None)
    connection.backup(copy)
    connection.close()
    copy.executescript(_STEPS[_version(copy)])
    return copy


@contextmanager
def _in_words(path: Path) -> Iterator[None]:
    """A failure of the queue as a sentence that names its file."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        text = str(error)
        if is_full(error) or ("disk I/O error" in text and nearly_full(path)):
            raise QueueError(full_sentence(path)) from error
        if "locked" in text:
            raise QueueError(f"The job queue {path} is locked by another program.") from error
        if "readonly" in text or isinstance(error, PermissionError) or not os.access(path.parent, os.W_OK):
            raise QueueError(f"The job queue {path} may not be written: allow it, or set MDAF_HOME.") from error
        raise QueueError(
            f"The job queue {path} cannot be used ({text}). Rename it, and a new one is begun: studies and runs are "
            "kept, and `study complete` queues what is missing."
        ) from error


def _create(path: Path) -> None:
    """Create the file aside and rename it, so that no one ever sees a queue without its table."""
    with exclusive(path.with_name(".create.lock")):
        if path.exists():
            return
        aside = path.with_name(".queue.new.db")
        for ending in ("", "-journal", "-wal", "-shm"):  # of a process that died here; and of a queue that is gone
            Path(f"{aside}{ending}").unlink(missing_ok=True)
            Path(f"{path}{ending}").unlink(missing_ok=True)
        connection = sqlite3.connect(aside, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
        finally:
            connection.close()
        aside.rename(path)
