"""Preparation as its documentation defines it, in plain Python: slow, obvious, and nothing shared with the program.

Where the definition leaves a choice to a seeded draw (a random split, a sample, negatives), what the program drew is
given, and it is checked that it may be drawn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

UNKNOWN = 1
Raw = int | str | None


@dataclass
class Input:
    """What a source is to make of its files.

    Attributes:
        rows: label, user, time, and the raw id or number of each field by name; in input order. `user` and `time` are
            absent where rows carry none.
        events: user, time, the raw id of each history field, and `positive` and `outcome` where they are known; in
            input order. Or, for ready-made histories (`ready_made`), one list of events a row.
        fields: names of the categorical fields; numbers: of the numeric ones; history: those recorded for each event.
        as_text: how a field's ids are written, where not as they are.
        outside: events outside the stated period; skipped: lines that cannot be read.
    """

    rows: list[dict[str, Any]]
    events: list[dict[str, Any]]
    fields: list[str]
    history: list[str]
    timezone: str = "UTC"
    numbers: list[str] = field(default_factory=list)
    ready_made: list[list[dict[str, Any]]] | None = None
    as_text: dict[str, Callable[[Any], str]] = field(default_factory=dict)
    outside: int = 0
    skipped: int = 0


@dataclass
class Row:
    """A row as it should be read back: codes and numbers by field, and for each event of its history its time, codes
    and raw ids, whether it was a click (None: nobody knows), and what came of it (None: not told apart)."""

    row_id: int
    label: int
    time: Fraction  # seconds
    user: str
    codes: dict[str, int]
    raw: dict[str, Raw]
    numbers: dict[str, float | None]
    history: list[Event] = field(default_factory=list)


@dataclass
class Event:
    time: Fraction  # seconds
    codes: dict[str, int]
    raw: dict[str, Raw]
    positive: int | None
    outcome: str | None = None


@dataclass
class Expected:
    """Rows of train, validation and test in the order in which they are to be written; by field, the id of each code
    as text."""

    parts: list[list[Row]]
    vocabularies: dict[str, dict[int, str]]


class Refused(Exception):
    """The input or the split is to be refused."""


def time_of(row: dict[str, Any], position: int) -> Fraction:
    """In seconds. Where rows carry no time, their order is time order."""
    return Fraction(row.get("time", position))


def split_of(given: Input, options: dict[str, Any], drawn: list[int] | None = None) -> list[int]:
    """0 train, 1 validation, 2 test for each row.

    Args:
        drawn: the parts that a random split drew.
    """
    rows, kind = given.rows, options.get("split", "time")
    times = [time_of(row, position) for position, row in enumerate(rows)]
    has_time = "time" in rows[0]
    fractions = options.get("fractions", (0.8, 0.1, 0.1))
    if kind == "random":
        return _stratified([row["label"] for row in rows], fractions, drawn)
    if "val_from" in options:
        if not has_time:
            raise Refused
        zone = ZoneInfo(given.timezone)
        val, test = (
            datetime.fromisoformat(options[name]).replace(tzinfo=zone).timestamp() for name in ("val_from", "test_from")
        )
        parts = [2 if time >= test else 1 if time >= val else 0 for time in times]
    elif kind == "time":
        ordered = sorted(times)
        last_of_train = ordered[max(round(len(rows) * fractions[0]), 1) - 1]
        last_of_val = ordered[max(round(len(rows) * (fractions[0] + fractions[1])), 1) - 1]
        parts = [0 if time <= last_of_train else 1 if time <= last_of_val else 2 for time in times]
    elif kind == "last-day":
        if not has_time:
            raise Refused
        days = [datetime.fromtimestamp(float(time), UTC).astimezone(ZoneInfo(given.timezone)).date() for time in times]
        if len(set(days)) < 3:
            raise Refused
        last = sorted(set(days))[-2:]
        parts = [0 if day < last[0] else 1 if day == last[0] else 2 for day in days]
    else:
        assert kind == "leave-last-out"
        if "user" not in rows[0]:
            raise Refused
        parts = [0] * len(rows)
        for user in {row["user"] for row in rows}:
            mine = sorted((times[i], i) for i, row in enumerate(rows) if row["user"] == user)
            if len(mine) >= 3:
                parts[mine[-2][1]], parts[mine[-1][1]] = 1, 2
    if set(parts) != {0, 1, 2}:
        raise Refused
    return parts


def _stratified(labels: list[int], fractions: tuple[float, ...], drawn: list[int] | None) -> list[int]:
    """Of either label, each part holds its share."""
    sizes: Counter[tuple[int, int]] = Counter()
    for label, count in Counter(labels).items():
        train, val = round(count * fractions[0]), round(count * (fractions[0] + fractions[1]))
        sizes.update({(label, 0): train, (label, 1): val - train, (label, 2): count - val})
    if any(sizes[0, part] + sizes[1, part] == 0 for part in range(3)):
        raise Refused
    assert drawn is not None and +sizes == Counter(zip(labels, drawn, strict=True))
    return drawn


def with_negatives(given: Input, parts: list[int], drawn: list[list[tuple[Raw, Raw]]] | None) -> Input:
    """Each row, a positive, followed by its negatives: all alike but item and category, which are those of a row of
    the same part that shows another item.

    Args:
        drawn: the item and category of each row's negatives.
    """
    shown = [
        {(row["item"], row["category"]) for row, p in zip(given.rows, parts, strict=True) if p == n} for n in range(3)
    ]
    if any(len({item for item, _ in pairs}) < 2 for pairs in shown):
        raise Refused
    assert drawn is not None
    rows = []
    for row, part, others in zip(given.rows, parts, drawn, strict=True):
        rows.append(row)
        for item, category in others:
            assert (item, category) in shown[part] and item != row["item"]
            rows.append(row | {"label": 0, "item": item, "category": category})
    return replace(given, rows=rows)


def codes_of(values: list[Raw], min_count: int) -> dict[Raw, int]:
    """Code of each raw id of the training rows: from 2, in ascending order, a missing value first."""
    counts = Counter(values)
    known = [value for value, count in counts.items() if count >= min_count]
    return {value: 2 + i for i, value in enumerate(sorted(known, key=lambda v: (v is not None, v)))}


def history_of(given: Input, position: int) -> list[dict[str, Any]]:
    """The events before a row, oldest first. Ready-made ones have an order but no times: the newest is put one second
    before the row, the one before it two seconds, and so on."""
    row = given.rows[position]
    now = time_of(row, position)
    if given.ready_made is not None:
        listed = given.ready_made[position]
        return [event | {"time": now - (len(listed) - i)} for i, event in enumerate(listed)]
    if not given.history:
        return []
    mine = [event for event in given.events if event["user"] == row["user"] and event["time"] < now]
    return sorted(mine, key=lambda event: event["time"])  # stable: input order at one moment


def _outcome(event: dict[str, Any]) -> str | None:
    positive = event.get("positive")
    return event.get("outcome", None if positive is None else str(positive))


def slow_prepare(given: Input, options: dict[str, Any], parts: list[int]) -> Expected:
    """All that is to be written.

    Args:
        parts: as `split_of` says.

    Raises:
        Refused: where the program is to refuse as well.
    """
    if len({row["label"] for row in given.rows}) < 2:
        raise Refused
    training = [row for row, part in zip(given.rows, parts, strict=True) if part == 0]
    codes = {name: codes_of([row[name] for row in training], options.get("min_count", 1)) for name in given.fields}

    def coded(names: list[str], ids: dict[str, Any]) -> dict[str, int]:
        return {name: codes[name].get(ids[name], UNKNOWN) for name in names}

    users = {row["user"] for row in given.rows if "user" in row}
    kinds = {_outcome(e) for e in given.events if e.get("user") in users}
    for listed in given.ready_made or []:
        kinds |= {_outcome(e) for e in listed}
    several = len(kinds - {None}) > 1

    out: list[list[Row]] = [[], [], []]
    for number, (row, part) in enumerate(zip(given.rows, parts, strict=True)):
        history = [
            Event(
                *(Fraction(e["time"]), coded(given.history, e), {n: e[n] for n in given.history}, e.get("positive")),
                _outcome(e) if several else None,
            )
            for e in history_of(given, number)
        ]
        out[part].append(
            Row(
                number, row["label"], time_of(row, number), str(row.get("user", "")), coded(given.fields, row),
                {name: row[name] for name in given.fields}, {name: row[name] for name in given.numbers}, history,
            )
        )  # fmt: skip
    vocabularies = {
        name: {code: "" if raw is None else given.as_text.get(name, str)(raw) for raw, code in codes[name].items()}
        for name in given.fields
    }
    return Expected([sorted(rows, key=lambda row: (row.time, row.row_id)) for rows in out], vocabularies)
