"""New rows coded as those of a data set: by its vocabularies and scaling, with histories from its log and the new rows.

What is made is read as the rows of a prepared data set are, so that batches, match features and models are the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from mdaf_core.data.apply.columns import GrowingColumns
from mdaf_core.data.apply.histories import merged_log
from mdaf_core.data.apply.known import Events, Known, ranges
from mdaf_core.data.apply.reading import CALENDAR, SHOWN
from mdaf_core.data.batches.history import earlier_ends, first_events
from mdaf_core.data.formats.base import RawTable, calendar_columns
from mdaf_core.data.prepare.event_log import ready_made, timestamps
from mdaf_core.data.store.dataset import Rows
from mdaf_core.data.store.outcomes import outcome_codes
from mdaf_core.data.store.schema import IDENTITY, OUTCOME, TICKS, UNKNOWN, DatasetMeta, TimeUnit

_SLICE = 100_000


@dataclass
class NewRows:
    """New rows and their events, as `PreparedDataset` has those of a split.

    Attributes:
        meta: of the data set, with the finer time unit where the new rows' is finer.
        labelled: (N,) whether a row has a label; `Rows.label` is 0 where it has none.
        unknown: rows whose id the model does not know, by field.
        log_events: of the log that rows may read; new_events: of the file; known_events: of the file, which the log
            has already.
    """

    meta: DatasetMeta
    columns: dict[str, np.ndarray]
    events: Events
    labelled: np.ndarray
    unknown: dict[str, int]
    log_events: int
    new_events: int
    known_events: int
    _shown: list[Path] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.labelled)

    def rows(self, _split: str = "") -> Rows:
        return Rows(self.columns)

    def shown(self) -> Iterator[pl.DataFrame]:
        """Frames of the rows in order, with what tells them apart: `row` (from 0), and those of `SHOWN` that there are,
        as in the input."""
        for path in self._shown:
            yield pl.read_ipc(path)


class Coder:
    """Codes tables of new rows, one after another.

    Args:
        scratch: an empty folder.
        max_history: newest events that are read of a history.
    """

    def __init__(self, known: Known, scratch: Path, max_history: int):
        self.known, self.meta, self.max_history = known, known.meta, max_history
        self._scratch = scratch
        self._rows, self._events = GrowingColumns(scratch / "rows"), GrowingColumns(scratch / "events")
        self._ids = {name: Ids(known.vocabulary(name), known.unseen(name)) for name in self.meta.categorical}
        users = known.users
        numbered = users.alias("id").to_frame().with_row_index("code")
        self._users, self._known_users = Ids(numbered), len(users)
        self._unknown: Counter[str] = Counter()
        self._units: list[tuple[int, int, TimeUnit]] = []  # rows and events so far, and the unit of those added last
        self._shown: list[Path] = []

    def add(self, raw: RawTable) -> None:
        """Code the rows and events of a table.

        Raises:
            BadInputError: a number is infinite, or too large.
        """
        begin = self._rows.length
        for start in range(0, len(raw.rows), _SLICE):
            self._add_rows(raw.rows.slice(start, _SLICE), raw)
        if raw.events is not None and self.meta.history_fields:
            if "user" not in raw.events.columns:
                self._add_ready_made(raw, begin)
            else:
                for start in range(0, len(raw.events), _SLICE):
                    part = raw.events.slice(start, _SLICE)
                    columns = {"user": self._users.numbers(as_text(part["user"])), "timestamp": timestamps(part)}
                    self._events.add(_wide(columns) | self._event_columns(part, raw))
        self._units.append((self._rows.length, self._events.length, raw.time_unit))

    def _add_rows(self, part: pl.DataFrame, raw: RawTable) -> None:
        missing = [name for name in CALENDAR if name in self.meta.categorical and name not in part.columns]
        if missing:
            calendar = zip(CALENDAR, calendar_columns(self.meta.timezone, raw.time_unit), strict=True)
            part = part.with_columns(column for name, column in calendar if name in missing)
        begin, label = self._rows.length, part["label"]
        timestamp = timestamps(part) + (0 if "timestamp" in part.columns else begin)
        user = self._users.numbers(as_text(part["user"])) if "user" in part.columns else np.zeros(len(part), np.int32)
        columns = _wide({"timestamp": timestamp}) | {
            "label": label.fill_null(0).cast(pl.UInt8).to_numpy(),
            "labelled": label.is_not_null().to_numpy(),
            "user_index": user,
            "row_id": np.arange(begin, begin + len(part), dtype=np.int64),
        }
        for spec in self.meta.fields:
            values = part[spec.name]
            if spec.kind == "numeric":
                plain = values.cast(pl.Float32).fill_null(float("nan"))
                columns[spec.name] = spec.scaling.apply(values) if spec.scaling else plain.to_numpy()
                continue
            coded = self._coded(spec.name, values, raw)
            columns |= coded
            self._unknown[spec.name] += int(np.count_nonzero(coded[spec.name] == UNKNOWN))
        self._rows.add(columns)
        path = self._scratch / f"shown-{len(self._shown):06}.arrow"
        row = pl.int_range(begin, begin + len(part), dtype=pl.Int64).alias("row")
        part.select(row, *(name for name in SHOWN if name in part.columns)).write_ipc(path)
        self._shown.append(path)

    def _coded(self, name: str, values: pl.Series, raw: RawTable) -> dict[str, np.ndarray]:
        """Codes of a field, and of a history field what tells its ids apart."""
        text, size = as_text(values, raw.as_text.get(name)), self.meta.categorical[name]
        if name not in self.meta.history_fields:
            codes = self._ids[name].known(text).fill_null(UNKNOWN).to_numpy()
            return {name: np.where(codes < size, codes, UNKNOWN).astype(np.int32)}
        numbers = self._ids[name].numbers(text)
        return {name: np.where(numbers < size, numbers, UNKNOWN).astype(np.int32), name + IDENTITY: numbers}

    def _event_columns(self, part: pl.DataFrame, raw: RawTable) -> dict[str, np.ndarray]:
        columns: dict[str, np.ndarray] = {}
        for name in self.meta.history_fields:
            columns |= self._coded(name, part[name], raw)
        positive = part["positive"] if "positive" in part.columns else pl.Series([None]).new_from_index(0, len(part))
        if self.meta.outcomes:
            columns[OUTCOME] = outcome_codes(part, self.meta.outcomes)
        return columns | {"positive": positive.cast(pl.Int8).fill_null(-1).to_numpy()}

    def _add_ready_made(self, raw: RawTable, begin: int) -> None:
        assert raw.events is not None
        timestamp = timestamps(raw.rows) + (0 if "timestamp" in raw.rows.columns else begin)
        shared = raw.rows["history"] if "history" in raw.events.columns else None
        log = ready_made(raw.events, shared, np.zeros(len(raw.rows), np.int32), timestamp, TICKS[raw.time_unit])
        owner = np.repeat(np.arange(begin, begin + len(raw.rows), dtype=np.int32), log.end - log.first)
        events = ranges(log.first, log.end)
        for start in range(0, len(owner), _SLICE):
            piece = slice(start, start + _SLICE)
            part = self._event_columns(log.frame[events[piece]], raw)
            self._events.add(_wide({"user": owner[piece], "timestamp": log.time[events[piece]]}) | part)

    def _no_events(self) -> Events:
        names = [ending for name in self.meta.history_fields for ending in (name, name + IDENTITY)]
        none = {"timestamp": np.empty(0, np.int64)} | {name: np.empty(0, np.int32) for name in names}
        return none | ({OUTCOME: np.empty(0, np.uint8)} if self.meta.outcomes else {})

    def finish(self) -> NewRows:
        """All rows that were added, with their histories."""
        rows, events = self._rows.arrays(), self._events.arrays()
        unit = max([self.meta.time_unit, *(unit for *_, unit in self._units)], key=lambda unit: TICKS[unit])
        row = event = 0
        for row_end, event_end, own in self._units:
            for columns, piece in ((rows, slice(row, row_end)), (events, slice(event, event_end))):
                if TICKS[unit] > TICKS[own] and piece.stop > piece.start:
                    columns["timestamp"][piece] *= TICKS[unit] // TICKS[own]
            row, event = row_end, event_end
        made = NewRows(
            meta=self.meta.model_copy(update={"time_unit": unit}),
            columns=rows,
            events={},
            labelled=rows["labelled"],
            unknown=dict(self._unknown),
            log_events=0,
            new_events=0,
            known_events=0,
            _shown=self._shown,
        )
        self._give_histories(made, events)
        return made

    def _give_histories(self, made: NewRows, events: Events) -> None:
        rows, user, time = made.columns, made.columns["user_index"], made.columns["timestamp"]
        if not self.meta.history_fields:
            rows["history_start"] = rows["history_end"] = np.zeros(len(user), np.int64)
            return
        if self.meta.ready_made_history:
            owner = events.get("user", np.empty(0, np.int32))
            made.events, made.new_events = events or self._no_events(), len(owner)
            bounds = first_events(owner, len(user))
            rows["history_start"], rows["history_end"] = bounds[:-1], bounds[1:]
            return
        present, place = np.unique(user, return_inverse=True)
        merged = merged_log(
            self.known,
            self._scratch / "log",
            events,
            present,
            int(np.searchsorted(present, self._known_users)),
            _spans(place, time, len(present)),
            made.meta.ticks // self.meta.ticks,
            self.max_history,
        )
        made.events, made.log_events = merged.events, merged.log
        made.new_events, made.known_events = merged.new, merged.known
        first = first_events(merged.events["user"], len(present))
        ends = earlier_ends(first, merged.events["timestamp"], place, time)
        rows["history_start"], rows["history_end"] = first[place], ends.astype(np.int64)


def _wide(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Times as 64-bit integers, whatever the source kept them as."""
    return {name: values.astype(np.int64) if name == "timestamp" else values for name, values in columns.items()}


def _spans(place: np.ndarray, time: np.ndarray, users: int) -> tuple[np.ndarray, np.ndarray]:
    """(users,) the first and the last time of each user's rows."""
    info = np.iinfo(np.int64)
    first, last = np.full(users, info.max), np.full(users, info.min)
    np.minimum.at(first, place, time)
    np.maximum.at(last, place, time)
    return first, last


FIRST_NEW = 2**30
"""New ids are numbered from here on: beyond all codes, and all numbers of ids that training rows do not hold."""
_WHOLE, _FRACTION = r"^-?\d+$", r"^-?\d+\.0$"


class Ids:
    """Raw ids, as text, and their numbers. Ids that are not known are numbered as they come.

    Args:
        known: columns `id` and `code`.
    """

    def __init__(self, *known: pl.DataFrame):
        self._known = pl.concat([frame.select("id", pl.col("code").cast(pl.Int32)) for frame in known])
        self._new = self._known.clear()

    def known(self, text: pl.Series) -> pl.Series:
        """(N,) Int32 numbers, null where an id is not known. Where programs have written whole numbers as 12 here and
        12.0 there, both are the same id, unless both are known."""
        numbers = self._look_up(text)
        if not numbers.null_count():
            return numbers
        left = numbers.is_null()
        strange = text.filter(left)
        other = pl.DataFrame({"id": strange}).select(
            pl.when(pl.col("id").str.contains(_FRACTION))
            .then(pl.col("id").str.strip_suffix(".0"))
            .when(pl.col("id").str.contains(_WHOLE))
            .then(pl.col("id") + ".0")
        )["id"]
        found = self._look_up(other)
        if found.null_count() == len(found):
            return numbers
        return numbers.scatter(left.arg_true(), found)

    def numbers(self, text: pl.Series) -> np.ndarray:
        """(N,) int32: of known ids their numbers, of new ones numbers from `FIRST_NEW` on, equal where the ids are."""
        numbers = self.known(text)
        if not numbers.null_count():
            return numbers.to_numpy()
        left = numbers.is_null()
        strange = text.filter(left).alias("id")
        fresh = strange.unique().to_frame().join(self._new, on="id", how="anti").sort("id")
        begin = FIRST_NEW + len(self._new)
        numbered = pl.int_range(begin, begin + len(fresh), dtype=pl.Int32, eager=True).alias("code")
        self._new = pl.concat([self._new, fresh.with_columns(numbered)])
        found = strange.to_frame().join(self._new, on="id", how="left", maintain_order="left")["code"]
        return numbers.scatter(left.arg_true(), found).to_numpy()

    def _look_up(self, text: pl.Series) -> pl.Series:
        frame = text.alias("id").to_frame()
        return frame.join(self._known, on="id", how="left", maintain_order="left")["code"]


def as_text(values: pl.Series, words: Callable[[pl.Series], pl.Series] | None = None) -> pl.Series:
    """(N,) ids as vocabularies write them; a missing one is ''.

    Args:
        words: how the source writes ids that it keeps as numbers.
    """
    if words is None or not values.dtype.is_integer():
        return values.cast(pl.String).fill_null("")
    distinct = values.unique().drop_nulls()
    table = pl.DataFrame({"id": distinct, "text": words(distinct)})
    frame = values.alias("id").to_frame()
    return frame.join(table, on="id", how="left", maintain_order="left")["text"].fill_null("")
