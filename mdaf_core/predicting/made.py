"""Users with histories of a stated length, made from the events of a data set: to measure with, not to learn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mdaf_core.base.errors import StudioError
from mdaf_core.data.batches.variants import view_of
from mdaf_core.data.store.columns import identities
from mdaf_core.data.store.dataset import PreparedDataset, Rows
from mdaf_core.data.store.schema import IDENTITY, OUTCOME

HOW = (
    "Histories: a user's own events, continued with those of other users drawn at random until the length is exact, a "
    "minute apart; candidates are test rows drawn at random, with their fields as they are."
)


@dataclass
class MadeUsers:
    """Users whose logs have one length.

    Attributes:
        view: the data set as loaders and servers read it, with the made rows as its splits and the made log.
        log: begin and end of each user's events in it; empty without histories.
        rows: the candidates, `each` a user, one user after another.
    """

    view: PreparedDataset
    rows: Rows
    each: int
    log: list[tuple[int, int]]

    def of(self, user: int, count: int) -> np.ndarray:
        """Positions of some of a user's candidates."""
        return user * self.each + np.arange(count)

    def part(self, index: np.ndarray) -> Any:
        """These rows as a data set of their own, for models that score whole tables."""
        rows = Rows({name: np.asarray(values)[index] for name, values in self.rows.columns.items()})
        return _Table(self.view.meta, rows, self.view.events)


@dataclass
class _Table:
    meta: Any
    own: Rows
    events: Any

    def rows(self, _split: str = "") -> Rows:
        return self.own

    def __len__(self) -> int:
        return len(self.own)


def make_users(dataset: PreparedDataset, users: int, events: int, candidates: int, seed: int) -> MadeUsers:
    """Some users with this many events each, and candidates for each of them; the same for the same seed.

    Raises:
        StudioError: there is no test row, or no event to make histories of.
    """
    given = dataset.rows("test")
    if not len(given):
        raise StudioError(f"Data set {dataset.name!r} has no test rows: there are no candidates to score.")
    rng = np.random.default_rng([seed, users, candidates])
    drawn = rng.integers(len(given), size=users * candidates)
    columns = {name: np.asarray(values)[drawn] for name, values in given.columns.items()}
    if not dataset.meta.history_fields:
        return MadeUsers(view_of(dataset, rows := Rows(columns)), rows, candidates, [])
    start, end = (np.asarray(given.columns[name]).astype(np.int64) for name in ("history_start", "history_end"))
    filled = np.flatnonzero(end > start)
    if not len(filled):
        raise StudioError(f"No test row of {dataset.name!r} has an event before it: there are no histories to make.")
    log = np.concatenate([_events(rng, start, end, filled, events) for _ in range(users)])
    names = dataset.meta.history_fields
    made = {name: np.asarray(dataset.events[name])[log] for name in names}
    made |= {name + IDENTITY: np.asarray(identities(dataset.events, name))[log] for name in names}
    if dataset.meta.outcomes:
        made[OUTCOME] = np.asarray(dataset.events[OUTCOME])[log]
    tick, last = 60 * dataset.meta.ticks, int(np.max(dataset.events["timestamp"]))
    made["timestamp"] = np.tile(last - tick * np.arange(events, 0, -1, dtype=np.int64), users)
    begin = np.repeat(np.arange(users) * events, candidates)
    columns |= {"history_start": begin, "history_end": begin + events, "timestamp": np.full(len(begin), last)}
    rows = Rows(columns)
    logs = [(user * events, (user + 1) * events) for user in range(users)]
    return MadeUsers(view_of(dataset, rows, made), rows, candidates, logs)


def _events(
    rng: np.random.Generator, start: np.ndarray, end: np.ndarray, filled: np.ndarray, wanted: int
) -> np.ndarray:
    """Positions in the log: one user's events before a row, continued with those of others."""
    parts, found = [], 0
    while found < wanted:
        row = rng.choice(filled)
        parts.append(np.arange(start[row], end[row])[: wanted - found])
        found += len(parts[-1])
    return np.concatenate(parts)
