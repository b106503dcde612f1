"""The kinds of task, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mdaf_core.queue.kind import Kind
from mdaf_core.tasks import message, predictions, prepare, speed, train

KINDS: Mapping[str, Kind[Any]] = {
    kind.name: kind for kind in (train.KIND, prepare.KIND, predictions.KIND, speed.KIND, message.KIND)
}
