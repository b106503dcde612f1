"""What a run in progress tells those who wait for it, and how it is asked to stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import BaseModel

from mdaf_core.base.errors import StudioError

REPORT_EVERY = 0.5
"""Seconds between two progress reports, and between two looks at the request to stop."""


class Cancelled(StudioError):
    """The run was asked to stop. What it finished is kept."""


class Progress(BaseModel):
    """A moment of a run. `seconds_left` assumes that all epochs are needed; early stopping ends sooner."""

    run_id: str
    phase: str = "training"
    epoch: int = 1
    max_epochs: int = 1
    step: int = 0
    steps: int = 0
    rows_per_second: float = 0.0
    seconds_left: float | None = None
    val_auc: float | None = None
    best_val_auc: float | None = None


@dataclass
class Monitor:
    """Passes progress on, not too often, and raises `Cancelled` where a stop was asked for."""

    on_progress: Callable[[Progress], None] | None = None
    should_stop: Callable[[], bool] | None = None
    _last: float = field(default=0.0, init=False)

    def tick(self, progress: Callable[[], Progress], force: bool = False) -> None:
        """Call often; `progress` is only evaluated when a report is due."""
        now = time.monotonic()
        if not force and now - self._last < REPORT_EVERY:
            return
        self._last = now
        if self.should_stop is not None and self.should_stop():
            raise Cancelled("Cancelled; the epochs finished before are kept.")
        if self.on_progress is not None:
            self.on_progress(progress())
