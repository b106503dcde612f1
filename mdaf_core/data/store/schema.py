"""What a prepared data set is: the contents of `dataset.json`. See docs/data.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, Field

from mdaf_core.data.store.scaling import Scaling

SCHEMA_VERSION = 1
PADDING, UNKNOWN, FIRST_ID = 0, 1, 2
MAX_HISTORY = 50
"""Newest events of a history that are read where nothing else is asked for."""
LONGEST_HISTORY = 10_000
"""The most that can be asked for: "all"."""

IDENTITY = ":identity"
"""Ending of the columns that tell raw ids apart where codes cannot: ids unseen in training share one code."""

OUTCOME = ":outcome"
"""Column of the log that says what came of an event, and its name among a batch's histories."""

Role = Literal["item", "category", "user", "context"]
"""What a field is to a row."""

TimeUnit = Literal["s", "ms", "us", "ns"]
TICKS: dict[TimeUnit, int] = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
"""Units of time and how many of them are a second."""

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

Evaluated = Literal["val", "test"]
Split = Literal["train", Evaluated]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
EVALUATED: tuple[Evaluated, ...] = ("val", "test")
SPLIT_NAMES: dict[str, str] = {"train": "training", "val": "validation", "test": "test"}


class FieldSpec(BaseModel):
    """One input column of a row. Codes of categorical fields: 0 padding, 1 unknown, real ids from 2."""

    name: str
    kind: Literal["categorical", "numeric"] = "categorical"
    role: Role = "context"
    vocabulary_size: int = Field(0, description="Codes including the two reserved ones; 0 for numeric fields.")
    description: str = ""
    scaling: Scaling | None = Field(None, description="How numbers became inputs. None: as the source gave them.")

    def numbers(self, inputs: np.ndarray) -> np.ndarray:
        """(N,) float64 numbers of a numeric field as the source gave them, from its column; NaN: missing."""
        return inputs.astype(np.float64) if self.scaling is None else self.scaling.invert(inputs)


class SplitCounts(BaseModel):
    """Rows and positives of one split; times are whole Unix seconds, or None where rows carry no time."""

    rows: int
    positives: int
    first_time: int | None = None
    last_time: int | None = None

    @property
    def positive_rate(self) -> float:
        return self.positives / self.rows if self.rows else float("nan")


class DatasetMeta(BaseModel):
    """`dataset.json` of a prepared data set."""

    schema_version: int = SCHEMA_VERSION
    name: str
    source: str
    options: dict[str, Any] = {}
    path: str = Field("", description="Where the input lay when it was prepared; empty: nowhere, or not recorded.")
    title: str = ""
    fields: list[FieldSpec]
    history_fields: list[str] = Field([], description="Fields recorded for each history event; empty: no histories.")
    outcomes: list[str] | None = Field(
        None,
        description="What came of events, in the order of its codes in the log, from 1 on; empty: nothing tells them "
        "apart. None: prepared before that was recorded.",
    )
    has_time: bool = True
    time_unit: TimeUnit = Field("s", description="Of the timestamps of rows and events: the coarsest that holds all.")
    calendar: bool = Field(True, description="Times are moments; false: they order rows, hours and days are unknown.")
    has_user: bool = True
    has_oracle: bool = Field(False, description="Rows carry `true_probability` (synthetic data).")
    timezone: str = "UTC"
    label: str = Field("label", description="What a label of 1 means, in words.")
    split: dict[str, Any] = Field({}, description="Kind of split and its parameters.")
    splits: dict[str, SplitCounts] = {}
    users: int = 0
    events: int = 0
    skipped_rows: int = Field(0, description="Bad rows left out on request.")
    examples: dict[str, list[dict[str, Any]]] = Field(
        {}, description="The first lines that were `skipped`, the first rows `outside` the stated period."
    )
    notes: list[str] = Field([], description="What in the input deserves a look, as sentences.")
    unread: list[str] | None = Field(
        None, description="Columns of the input that no option names; None: not recorded, or of a known format."
    )
    ready_made_history: bool = Field(False, description="Histories came with the rows, and are no log of all events.")
    history_times: bool = Field(False, description="Events of ready-made histories have times of their own.")
    timezone_assumed: bool = Field(False, description="Nothing in the data states the timezone.")
    window: tuple[int, int] | None = Field(None, description="Period stated for the data: first, last + 1 second.")
    outside_window: int = Field(0, description="Input events outside that period.")
    outside_window_kept: bool = Field(True, description="Whether they are still in the data set.")
    fingerprint: dict[str, Any] = Field(
        {}, description="`sha256` of all that was written; `inputs`: bytes, sha256 and md5 of each file read."
    )
    request: str = Field("", description="Hash of source, options and content of the input: the same is not repeated.")
    versions: dict[str, str] = {}
    created: str = ""

    @property
    def has_event_times(self) -> bool:
        """Whether it is known when events were; else timestamps of events keep their order alone."""
        return self.history_times or not self.ready_made_history

    @property
    def has_calendar(self) -> bool:
        """Whether hours, days and seconds between rows can be told."""
        return self.has_time and self.calendar

    @property
    def ticks(self) -> int:
        """Units of `timestamp` in a second."""
        return TICKS[self.time_unit]

    def seconds(self, timestamp: np.ndarray) -> np.ndarray:
        """Timestamps of rows or events as whole Unix seconds, fractions cut: for calendars, bins and periods, never to
        say what was first."""
        return timestamp if self.ticks == 1 else timestamp // self.ticks

    @property
    def categorical(self) -> dict[str, int]:
        """Name → vocabulary size, in column order."""
        return {f.name: f.vocabulary_size for f in self.fields if f.kind == "categorical"}

    @property
    def numeric(self) -> list[str]:
        return [f.name for f in self.fields if f.kind == "numeric"]

    def features(self) -> FeatureSpec:
        roles = {f.role: f.name for f in self.fields if f.kind == "categorical"}
        return FeatureSpec(
            categorical=dict(self.categorical),
            numeric=tuple(self.numeric),
            history=tuple(self.history_fields),
            outcomes=len(self.outcomes or []),
            item=roles.get("item"),
            category=roles.get("category"),
            user=roles.get("user"),
        )


@dataclass(frozen=True)
class FeatureSpec:
    """What a model must know of a data set to be built: no data, only names and sizes.

    Attributes:
        categorical: field name → vocabulary size, in the order of `Batch.categorical_BF`'s columns.
        numeric: numeric field names, in the order of `Batch.numeric_BG`'s columns.
        history: names of the categorical fields recorded for each history event; they share the field's codes.
        outcomes: of how many kinds is what came of an event (`:outcome` among histories); 0: not recorded.
        item, category, user: names of the fields that play these roles for the target, or None.
    """

    categorical: dict[str, int]
    numeric: tuple[str, ...] = ()
    history: tuple[str, ...] = ()
    outcomes: int = 0
    item: str | None = None
    category: str | None = None
    user: str | None = None

    @property
    def event_sizes(self) -> dict[str, int]:
        """Codes of each of what is recorded for an event, as in `Batch.history`."""
        sizes = {name: self.categorical[name] for name in self.history}
        return sizes | ({OUTCOME: self.outcomes + 1} if self.outcomes else {})

    @classmethod
    def from_vocabulary(cls, sizes: dict[str, int]) -> FeatureSpec:
        """The usual layout from sizes alone: `item` and `category`, where named, make up the history."""
        history = tuple(name for name in ("item", "category") if name in sizes)
        return cls(
            dict(sizes),
            history=history,
            item="item" if "item" in sizes else None,
            category="category" if "category" in sizes else None,
            user="user" if "user" in sizes else None,
        )

    @property
    def context(self) -> tuple[str, ...]:
        """Categorical fields that are not recorded in the history: user, hour, …"""
        return tuple(name for name in self.categorical if name not in self.history)
