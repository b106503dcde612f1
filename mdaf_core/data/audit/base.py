"""What the checks of the audit read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from threading import RLock
from typing import Any, TypeVar

import numpy as np
import polars as pl

from mdaf_core.data.audit.hashes import among, mixed_hash, shared
from mdaf_core.data.audit.sample import Sample
from mdaf_core.data.audit.steps import Steps, steps_of
from mdaf_core.data.prepare.order import stable_order
from mdaf_core.data.store.columns import free_name, identities
from mdaf_core.data.store.dataset import PreparedDataset, Rows
from mdaf_core.data.store.describe import CLOCK, describe_events, describe_rows, shown_times
from mdaf_core.data.store.schema import SPLIT_NAMES, SPLITS, UNKNOWN, FieldSpec, Split

T = TypeVar("T")
_PIECE = 1_000_000
EXAMPLES = 20


class _Parts(Mapping[Split, Rows]):
    """The rows of each part; their files are opened when they are asked for."""

    def __init__(self, dataset: PreparedDataset):
        self._dataset = dataset
        self._open: dict[Split, Rows] = {}

    def __getitem__(self, split: Split) -> Rows:
        rows = self._open.get(split)
        if rows is None:
            rows = self._open[split] = self._dataset.rows(split)
        return rows

    def __iter__(self) -> Iterator[Split]:
        return iter(SPLITS)

    def __len__(self) -> int:
        return len(SPLITS)

    def close(self) -> None:
        self._open = {}


class Written:
    """A prepared data set as it was written, with what several checks ask of it."""

    def __init__(self, dataset: PreparedDataset):
        self.dataset, self.meta = dataset, dataset.meta
        self.rows = _Parts(dataset)
        self._made: dict[Callable[[Written], Any], Any] = {}
        self._making = RLock()

    @property
    def events(self) -> dict[str, np.ndarray]:
        """Columns of the event log; none without histories."""
        return self.dataset.events if self.meta.history_fields else {}

    def close(self) -> None:
        """Let go of the mapped files, whose pages count as this process's memory: they are opened again when needed."""
        self.rows.close()
        self.dataset.__dict__.pop("events", None)

    @property
    def categorical(self) -> list[FieldSpec]:
        return [field for field in self.meta.fields if field.kind == "categorical"]

    def role(self, role: str) -> str | None:
        return next((field.name for field in self.categorical if field.role == role), None)

    def examples(
        self,
        found: Mapping[Split, np.ndarray],
        beside: Callable[[Split, np.ndarray], dict[str, Any]] | None = None,
    ) -> list[dict[str, Any]]:
        """The first rows of these positions as people read them; with their codes where even that cannot be read.

        Args:
            found: split → positions in it.
            beside: (split, positions) → further columns, shown first.
        """
        out: list[dict[str, Any]] = []
        for split, positions in found.items():
            at = np.asarray(positions, np.int64)[: EXAMPLES - len(out)]
            if not len(at):
                continue
            try:
                shown = describe_rows(self.dataset, split, at, events=3)
            except (LookupError, ValueError, pl.exceptions.PolarsError):
                columns = self.rows[split].columns
                shown = pl.DataFrame({name: columns[name][at] for name in ("row_id", "label", *sorted(self._inputs))})
            more = {name: pl.Series(values) for name, values in (beside(split, at) if beside else {}).items()}
            first = pl.DataFrame({"part": [SPLIT_NAMES[split]] * len(at)} | more)
            apart = {name: free_name(name, {*first.columns}, " (field)") for name in shown.columns}
            out += readable(first.hstack(shown.rename(apart)))
        return out

    def event_examples(self, positions: np.ndarray) -> list[dict[str, Any]]:
        """The first of these entries of the event log as people read them."""
        try:
            return readable(describe_events(self.dataset, positions[:EXAMPLES]))
        except (LookupError, ValueError, pl.exceptions.PolarsError):
            return []

    def local(self, timestamps: np.ndarray) -> pl.Series:
        """Timestamps as local times, or the numbers that stand for them where rows carry no moments."""
        return shown_times(self.meta, timestamps)

    def once(self, work: Callable[[Written], T]) -> T:
        """What `work` makes of this data set, worked out for the first check that asks."""
        with self._making:
            if work not in self._made:
                self._made[work] = work(self)
        made: T = self._made[work]
        return made

    @cached_property
    def sample(self) -> Sample:
        return Sample(self.rows, self.missing_codes)

    @cached_property
    def missing_codes(self) -> dict[str, int]:
        """Categorical field → code of the missing value, where training rows have one."""
        found = {field.name: self.dataset.vocabulary(field.name).filter(id="") for field in self.categorical}
        return {name: int(table["code"][0]) for name, table in found.items() if len(table)}

    def whole(self, name: str) -> np.ndarray:
        """A column of all parts, one behind the other."""
        return np.concatenate([self.rows[split].columns[name] for split in SPLITS])

    @cached_property
    def by_user(self) -> np.ndarray:
        """(N,) positions in all parts, by user, then time, then position."""
        return stable_order(self.whole("timestamp"), self.whole("user_index"))

    @cached_property
    def steps(self) -> Steps:
        """From each row in `by_user` to the next one."""
        return steps_of(self.by_user, self.whole("user_index"), self.whole("timestamp"))

    @cached_property
    def total(self) -> int:
        return sum(len(rows) for rows in self.rows.values())

    @cached_property
    def first_event(self) -> np.ndarray:
        """(U + 1,) position of each user's first event; the log must be sorted by user."""
        users = 1 + max(int(rows.user.max(initial=0)) for rows in self.rows.values())
        return np.searchsorted(self.events["user_index"], np.arange(users + 1, dtype=np.int32))

    @cached_property
    def slices_sound(self) -> dict[Split, np.ndarray]:
        """By split, (N,) whether a row's slice lies inside the log."""
        size = len(self.events["timestamp"])
        return {
            split: (rows.history_start >= 0) & (rows.history_start <= rows.history_end) & (rows.history_end <= size)
            for split, rows in self.rows.items()
        }

    @cached_property
    def late(self) -> dict[Split, np.ndarray]:
        """By split, positions of rows whose slice holds an event that is not strictly earlier."""
        time = self.events["timestamp"]

        def at(split: Split, piece: slice) -> np.ndarray:
            rows = self.rows[split]
            start, end = rows.history_start[piece], rows.history_end[piece]
            full = np.flatnonzero(self.slices_sound[split][piece] & (end > start))
            return full[time[end[full] - 1] >= rows.timestamp[piece][full]]

        return self.positions(at)

    def positions(self, at: Callable[[Split, slice], np.ndarray]) -> dict[Split, np.ndarray]:
        """By split, positions that `at` finds in one piece of it after the other, counted from the piece's start."""
        return {
            split: np.concatenate([at(split, piece) + piece.start for piece in pieces(len(rows))])
            for split, rows in self.rows.items()
        }

    @property
    def told_apart(self) -> bool:
        """Whether rows of one user, time and target are one event."""
        return self.meta.has_user and self.meta.has_time

    @cached_property
    def repeats(self) -> pl.DataFrame:
        """Rows that share user, time and target with another row: split, at, user, time, target, all codes, label.

        Rows whose target cannot be told apart are left out: two unknown items are not the same item. Where rows carry
        no user or no time, rows that share all inputs, if that is no chance.
        """
        item = self.role("item")
        names = [item] if item else [field.name for field in self.categorical]
        if not self.told_apart:
            names = [field.name for field in self.meta.fields]

        def whose(rows: Rows, at: Any) -> dict[str, np.ndarray]:
            """User and time, where rows carry them."""
            nothing = np.zeros_like(rows.label[at])
            return {
                "user": rows.user[at] if self.meta.has_user else nothing,
                "time": rows.timestamp[at] if self.meta.has_time else nothing,
            }

        def hashes(split: Split, piece: slice) -> tuple[np.ndarray, np.ndarray]:
            """Positions of rows whose target is known, from the piece's start, and their hashes."""
            rows = self.rows[split]
            ids = [identities(rows.columns, name)[piece] for name in names]
            known = np.arange(len(rows.label[piece]))
            if self.told_apart:
                known = np.flatnonzero(np.all([column > UNKNOWN for column in ids], axis=0))
            return known, mixed_hash([column[known] for column in (*whose(rows, piece).values(), *ids)])

        keys, size = np.empty(self.total, np.uint64), 0
        for split, rows in self.rows.items():
            for piece in pieces(len(rows)):
                found = hashes(split, piece)[1]
                keys[size : size + len(found)] = found
                size += len(found)
        several = shared(keys[:size])
        del keys

        def repeated(split: Split, piece: slice) -> np.ndarray:
            known, found = hashes(split, piece)
            return known[among(found, several)]

        frames = []
        found_in = self.positions(repeated)
        for split, found in (found_in if self.told_apart else self._rare(found_in)).items():
            rows = self.rows[split]
            inputs = {f"field_{name}": rows.columns[name][found] for name in rows.columns if name in self._inputs}
            target = {f"target_{name}": identities(rows.columns, name)[found] for name in names}
            frames.append(
                pl.DataFrame(whose(rows, found) | {"label": rows.label[found]} | target | inputs).with_columns(
                    split=pl.lit(split), at=pl.Series(found, dtype=pl.Int64)
                )
            )
        return pl.concat(frames)

    def _rare(self, found: dict[Split, np.ndarray]) -> dict[Split, np.ndarray]:
        """Those of these rows that no other would equal by chance, were inputs independent of each other (but for
        category and item, and what the time says)."""
        told = {"category"} if self.role("item") else set()
        names = {field.name for field in self.meta.fields if field.role not in told}
        if self.meta.has_time:
            names = names - {"hour", "dayofweek"} | {"timestamp"}
        if not any(map(len, found.values())):
            return found
        chance = {split: np.full(len(at), 2 * math.log(self.total)) for split, at in found.items()}
        for name in names:
            values = np.sort(np.concatenate([rows.columns[name] for rows in self.rows.values()]))
            for split, at in found.items():
                own = self.rows[split].columns[name][at]
                alike = np.searchsorted(values, own, "right") - np.searchsorted(values, own, "left")
                chance[split] += np.log(alike / self.total)
        return {split: at[chance[split] < math.log(0.01)] for split, at in found.items()}

    @property
    def _inputs(self) -> set[str]:
        return {field.name for field in self.meta.fields}


def pieces(size: int) -> Iterator[slice]:
    """Slices that cover so many rows: what is worked out of a piece is small. At least one, be it empty."""
    for start in range(0, max(size, 1), _PIECE):
        yield slice(start, min(start + _PIECE, size))


def readable(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain values that JSON takes: times as text, null where a number is missing."""
    times = [name for name, dtype in frame.schema.items() if dtype.is_temporal()]
    numbers = [name for name, dtype in frame.schema.items() if dtype.is_float()]
    frame = frame.with_columns(pl.col(times).dt.strftime(CLOCK), pl.col(numbers).fill_nan(None))
    return frame.to_dicts()


def rows_text(number: int, one: str, many: str) -> str:
    return f"1 row {one}" if number == 1 else f"{number:,} rows {many}"


def narrow(numbers: np.ndarray) -> np.ndarray:
    """Integers in 32 bits where these hold them all."""
    fit = len(numbers) and numbers.min() >= -(2**31) and numbers.max() < 2**31
    return numbers.astype(np.int32) if fit else numbers
