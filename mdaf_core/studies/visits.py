"""When someone last looked at a study, so that the overview can say what changed since."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import suppress

from mdaf_core.base import rights
from mdaf_core.base.files import write_json
from mdaf_core.base.locks import exclusive
from mdaf_core.base.settings import get_settings
from mdaf_core.studies.status import Cell


def begin_visit(study_id: str) -> float | None:
    """Note that the study is being looked at; returns when that last happened (Unix seconds), None if never."""
    path = get_settings().cache_dir / "visits.json"
    previous = None
    # A lost or damaged note, or a folder that may only be read, only costs the summary of changes.
    with suppress(OSError), exclusive(path.with_name(".visits.lock")):
        visits: dict[str, float] = {}
        with suppress(OSError, ValueError, RecursionError):
            found = json.loads(path.read_text("utf-8"))
            if isinstance(found, dict):
                visits = {name: when for name, when in found.items() if isinstance(when, int | float)}
        previous = visits.get(study_id)
        if rights.may_change():  # a reader's look is no visit of its owner's
            write_json(path, {**visits, study_id: time.time()})
    return previous


def changes_since(cells: Sequence[Cell], moment: float) -> list[Cell]:
    """Cells whose job ended after `moment`, latest first."""
    changed = [cell for cell in cells if cell.job and cell.job.ended and cell.job.ended > moment]
    return sorted(changed, key=lambda cell: -(cell.job.ended or 0) if cell.job else 0)
