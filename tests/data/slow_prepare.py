"""Preparation as its documentation defines it, in plain Python: slow, obvious, and nothing shared with the program."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

UNKNOWN = 1
Raw = int | str | None


@dataclass
class Input:
    """What a source is to make of its files.

    Attributes:
        rows: label, user, time and the raw id of each field by name; in input order.
        events: user, time and the raw id of each history field; in input order. Or, for ready-made histories, one list
            of events a row.
        fields: names of the categorical fields; history: those recorded for each event.
    """

    rows: list[dict[str, Any]]
    events: list[dict[str, Any]]
    fields: list[str]
    history: list[str]
    timezone: str
    ready_made: list[list[dict[str, Any]]] | None = None


@dataclass
class Row:
    """A row as it should be read back: codes by field, and for each event of its history codes and raw ids."""

    row_id: int
    label: int
    time: int
    user: str
    codes: dict[str, int]
    raw: dict[str, Raw]
    history: list[dict[str, tuple[int, Raw]]] = field(default_factory=list)


class Refused(Exception):
    """The input or the split is to be refused."""


def split_of(rows: list[dict[str, Any]], options: dict[str, Any], timezone: str) -> list[int]:
    """0 train, 1 validation, 2 test for each row."""
    kind = options.get("split", "time")
    times = [row["time"] for row in rows]
    if kind == "time":
        train, val, _ = options.get("fractions", (0.8, 0.1, 0.1))
        ordered = sorted(times)
        last_of_train = ordered[max(round(len(rows) * train), 1) - 1]
        last_of_val = ordered[max(round(len(rows) * (train + val)), 1) - 1]
        parts = [0 if time <= last_of_train else 1 if time <= last_of_val else 2 for time in times]
    elif kind == "last-day":
        days = [datetime.fromtimestamp(time, UTC).astimezone(ZoneInfo(timezone)).date() for time in times]
        last = sorted(set(days))[-2:]
        if len(set(days)) < 3:
            raise Refused
        parts = [0 if day < last[0] else 1 if day == last[0] else 2 for day in days]
    else:
        assert kind == "leave-last-out"
        parts = [0] * len(rows)
        for user in {row["user"] for row in rows}:
            mine = sorted((row["time"], i) for i, row in enumerate(rows) if row["user"] == user)
            if len(mine) >= 3:
                parts[mine[-2][1]], parts[mine[-1][1]] = 1, 2
    if set(parts) != {0, 1, 2}:
        raise Refused
    return parts


def codes_of(values: list[Raw], min_count: int) -> dict[Raw, int]:
    """Code of each raw id of the training rows: from 2, in ascending order, a missing value first."""
    counts = Counter(values)
    known = [value for value, count in counts.items() if count >= min_count]
    return {value: 2 + i for i, value in enumerate(sorted(known, key=lambda v: (v is not None, v)))}


def slow_prepare(given: Input, options: dict[str, Any]) -> list[list[Row]]:
    """The rows of train, validation and test, in the order in which they are to be written.

    Raises:
        Refused: where the program is to refuse as well.
    """
    if not given.rows or len({row["label"] for row in given.rows}) < 2:
        raise Refused
    parts = split_of(given.rows, options, given.timezone)
    training = [row for row, part in zip(given.rows, parts, strict=True) if part == 0]
    codes = {name: codes_of([row[name] for row in training], options.get("min_count", 1)) for name in given.fields}

    def coded(name: str, value: Raw) -> int:
        return codes[name].get(value, UNKNOWN)

    out: list[list[Row]] = [[], [], []]
    for number, (row, part) in enumerate(zip(given.rows, parts, strict=True)):
        if given.ready_made is not None:
            events = given.ready_made[number]
        else:
            mine = [event for event in given.events if event["user"] == row["user"] and event["time"] < row["time"]]
            events = sorted(mine, key=lambda event: event["time"])  # stable: input order within a second
        out[part].append(
            Row(
                number,
                row["label"],
                row["time"],
                str(row["user"]),
                {name: coded(name, row[name]) for name in given.fields},
                {name: row[name] for name in given.fields},
                [{name: (coded(name, event[name]), event[name]) for name in given.history} for event in events],
            )
        )
    return [sorted(rows, key=lambda row: (row.time, row.row_id)) for rows in out]
