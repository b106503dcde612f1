"""Imported tables of runs under the artifacts, so that they can be shown again: one file each, named by its figures."""

from __future__ import annotations

import re
import time
from pathlib import Path

from pydantic import BaseModel, Field

from mdaf_core.base import notices, rights
from mdaf_core.base.errors import DamagedFileError, UsageError
from mdaf_core.base.files import is_gone, reading, write_text
from mdaf_core.base.settings import get_settings
from mdaf_core.runs.published.metric import ReportedMetric
from mdaf_core.runs.published.table import Published, Run

_ID = re.compile(r"[0-9a-f]{12}")
_REMEDY = "Import the table again, or remove the file."


class About(BaseModel):
    """What lists say of an imported table."""

    id: str
    name: str
    source: str = ""
    imported: float = Field(0.0, description="Unix seconds.")


class _Document(BaseModel):
    about: About
    metrics: list[ReportedMetric]
    notes: list[str] = []
    lines: int = 0
    runs: list[Run]


def keep(published: Published, name: str) -> About:
    """Store a table; the same figures a second time replace the name alone."""
    rights.check()
    about = About(id=published.digest, name=name[:200], source=published.source, imported=time.time())
    document = _Document(
        about=about,
        metrics=list(published.metrics.values()),
        notes=published.notes,
        lines=published.lines,
        runs=published.runs,
    )
    write_text(_path(about.id), document.model_dump_json() + "\n")
    return about


def kept() -> list[About]:
    """All imported tables, the newest first. A damaged one is left out, and noted."""
    found = []
    for path in sorted(_folder().glob("*.json")):
        try:
            found.append(_read(path).about)
        except DamagedFileError as error:
            if not is_gone(error):
                notices.add(error)
    return sorted(found, key=lambda one: (-one.imported, one.id))


def load(id: str) -> tuple[About, Published]:
    """An imported table.

    Raises:
        UsageError: there is none of that id.
        DamagedFileError: its file cannot be read.
    """
    if not _ID.fullmatch(id) or not _path(id).is_file():
        known = ", ".join(sorted(path.stem for path in _folder().glob("*.json")))
        raise UsageError(f"There is no imported table {id[:40]!r}. There are: {known or 'none'}.")
    found = _read(_path(id))
    metrics = {metric.key: metric for metric in found.metrics}
    return found.about, Published(found.runs, metrics, found.notes, found.about.source, found.lines)


def remove(id: str) -> None:
    """Delete an imported table; one that is gone is no fault."""
    rights.check()
    if _ID.fullmatch(id):
        _path(id).unlink(missing_ok=True)


def _folder() -> Path:
    return get_settings().home / "published"


def _path(id: str) -> Path:
    return _folder() / f"{id}.json"


def _read(path: Path) -> _Document:
    with reading(path, _REMEDY):
        return _Document.model_validate_json(path.read_text("utf-8"))
