"""When someone last looked at a study, so that the overview can say what changed since."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from mdaf_core.files import write_json
from mdaf_core.jobs.locks import exclusive
from mdaf_core.settings import get_settings
from mdaf_core.studies.status import Cell


def begin_visit(study_id: str) -> float | None:
    """Note that the study is being looked at; returns when that last happened (Unix seconds), None if never."""
    path = get_settings().cache_dir / "visits.json"
    with exclusive(path.with_name(".visits.lock")):
        try:
            visits = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):  # a lost or damaged note only costs the summary of changes
            visits = {}
        previous = visits.get(study_id)
        write_json(path, {**visits, study_id: time.time()})
    return previous


def changes_since(cells: Sequence[Cell], moment: float) -> list[Cell]:
    """Cells whose job ended after `moment`, latest first."""
    changed = [cell for cell in cells if cell.job and cell.job.ended and cell.job.ended > moment]
    return sorted(changed, key=lambda cell: -(cell.job.ended or 0) if cell.job else 0)
