"""Events of a data set's log, and what they say of the rows that read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mdaf_core.data.store.columns import identities
from mdaf_core.data.store.dataset import PreparedDataset, Rows
from mdaf_core.data.store.schema import IDENTITY, OUTCOME


@dataclass
class Events:
    """T events of a log.

    Attributes:
        history: field → (T,) int64 codes; with `:outcome`, as of `loader.Batch`, where the data set records it.
        identity: of each history field (T,) int64, what tells raw ids apart.
        time_T: int64, in the data set's unit; outcome_T: uint8, what came of them (0: not known).
    """

    history: dict[str, np.ndarray]
    identity: list[np.ndarray]
    time_T: np.ndarray
    outcome_T: np.ndarray

    def __len__(self) -> int:
        return len(self.time_T)

    def __getitem__(self, part: slice) -> Events:
        history = {name: codes_T[part] for name, codes_T in self.history.items()}
        return Events(history, [one[part] for one in self.identity], self.time_T[part], self.outcome_T[part])

    @property
    def identity_TH(self) -> np.ndarray:
        """As of `loader.Slices`."""
        return np.stack(self.identity, axis=1)

    @classmethod
    def of(cls, dataset: PreparedDataset, part: slice | np.ndarray, names: Sequence[str] | None = None) -> Events:
        """The events of this part of a data set's log, with these history fields (None: all); no fields, no events."""
        names = dataset.meta.history_fields if names is None else names
        if not names:
            return cls({}, [], np.empty(0, np.int64), np.empty(0, np.uint8))
        log = dataset.events
        history = {name: log[name][part].astype(np.int64) for name in names}
        own = {name: log[name + IDENTITY][part].astype(np.int64) for name in names if name + IDENTITY in log}
        time_T = log["timestamp"][part].astype(np.int64)
        outcome_T = log[OUTCOME][part] if dataset.meta.outcomes else np.zeros(len(time_T), np.uint8)
        outcomes = {OUTCOME: outcome_T.astype(np.int64)} if dataset.meta.outcomes else {}
        return cls(history | outcomes, [(history | own)[name] for name in names], time_T, outcome_T)


def targets(rows: Rows, index_B: np.ndarray, names: Sequence[str]) -> list[np.ndarray]:
    """Of each history field what tells the raw ids of the rows at these positions apart, (B,) int64."""
    return [identities(rows.columns, name)[index_B].astype(np.int64) for name in names]
