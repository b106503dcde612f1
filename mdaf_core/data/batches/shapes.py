"""How large batches are, without making them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mdaf_core.data.batches.loader import BatchLoader

_SAMPLE = 32


@dataclass(frozen=True)
class Shape:
    """Of a batch.

    Attributes:
        rows: rows; events: events in it, those that rows share once.
        longest: events of its longest history.
    """

    rows: int
    events: int
    longest: int

    def times(self, share: float) -> Shape:
        """A batch with this share of the rows and events."""
        return Shape(round(share * self.rows), round(share * self.events), self.longest)


def shapes_of(loader: BatchLoader, most: int = _SAMPLE) -> list[Shape]:
    """Of the batches of one pass, or of `most` of them, evenly spaced; none where there are no rows."""
    order, size = loader.order(), loader.batch_size
    count = -(-len(order) // size)
    found = []
    for batch in np.unique(np.linspace(0, max(count - 1, 0), min(count, most)).round().astype(int)):
        index_B = order[batch * size : (batch + 1) * size]
        length_B = np.minimum(loader.rows.history_end[index_B] - loader.rows.history_start[index_B], loader.max_history)
        found.append(Shape(len(index_B), loader.events_in(index_B), int(length_B.max(initial=0))))
    return found


def largest(shapes: Sequence[Shape]) -> Shape:
    """A batch that no one of these exceeds in anything."""
    return Shape(*(max((getattr(s, name) for s in shapes), default=0) for name in ("rows", "events", "longest")))
