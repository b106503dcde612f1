"""Rows as they are not: the same rows with other histories, or a row again without one of its events.

A loader reads them as any rows, so that every input, match features included, is computed as for those of a data set.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdaf_core.data.store.dataset import PreparedDataset, Rows


def with_histories_of(rows: Rows, donor: NDArray[np.int64] | None) -> Rows:
    """The rows with the histories of the rows `donor` (N,), or with empty ones.

    A history keeps its events' ages: it is moved to the row's time, so that no event is later than its row. The fields
    of a row, its time of day among them, stay its own.
    """
    columns = dict(rows.columns)
    if donor is None:
        columns["history_end"] = columns["history_start"]
    else:
        columns |= {name: np.asarray(columns[name])[donor] for name in ("history_start", "history_end", "timestamp")}
    return Rows(columns)


def view_of(dataset: PreparedDataset, rows: Rows, events: dict[str, NDArray[Any]] | None = None) -> PreparedDataset:
    """A data set, as far as a loader reads it, whose splits are these rows, over its events or over others."""
    view: Any = SimpleNamespace(meta=dataset.meta, rows=lambda _split: rows, events=events or dataset.events)
    return view
