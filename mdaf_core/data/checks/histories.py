"""Do histories hold the past of the row's user, all of it and nothing else?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mdaf_core.data.audit import Check, Status
from mdaf_core.data.checks.base import Written, check
from mdaf_core.data.columns import identities
from mdaf_core.data.schema import MAX_HISTORY, UNKNOWN, Split

AGAIN = "Prepare the data set again; if it was not written by this program, see docs/data.md for what a history is."


def histories(data: Written) -> Iterator[Check]:
    if not data.events:
        return
    yield _earlier(data)
    yield from _whose_and_whole(data)
    yield _own_target(data)
    yield from _history_contents(data)


def _earlier(data: Written) -> Check:
    time, owner = data.events["timestamp"], data.events["user_index"]
    late = {split: float(len(rows)) for split, rows in data.late.items()}
    disorder = np.empty(0, np.int64)
    if not data.meta.ready_made_history:
        same = owner[1:] == owner[:-1]
        disorder = 1 + np.flatnonzero((owner[1:] < owner[:-1]) | (same & (time[1:] < time[:-1])))
    total = int(sum(late.values()))
    status: Status = "fail" if total or len(disorder) else "warn" if data.meta.ready_made_history else "pass"
    todo = f"A model would see the future. {AGAIN}"
    if status == "fail":
        sentence = f"{total:,} rows have an event in their history that is not earlier than the row"
        sentence += f", and the event log is out of order in {len(disorder):,} places." if len(disorder) else "."
    elif status == "warn":
        sentence = "Histories came ready-made, without times: that their events precede the row cannot be verified."
        todo = "Ask whoever made the lists up to which moment they reach, and say so beside results."
    else:
        sentence = "Every event of every history is strictly earlier than its row."

    def newest(split: Split, at: np.ndarray) -> dict[str, Any]:
        return {"newest event": data.local(time[data.rows[split].history_end[at] - 1])}

    return check(
        "history-earlier",
        "History strictly earlier",
        status,
        total + len(disorder),
        sentence,
        late,
        todo=todo,
        examples=lambda: data.examples(data.late, newest) or data.event_examples(disorder),
    )


def _whose_and_whole(data: Written) -> Iterator[Check]:
    owner = data.events["user_index"]

    def not_own(split: Split, piece: slice) -> np.ndarray:
        rows, sound = data.rows[split], data.slices_sound[split][piece]
        start, end, user = rows.history_start[piece], rows.history_end[piece], rows.user[piece]
        foreign = ~sound
        full = np.flatnonzero(sound & (end > start))
        foreign[full] = (owner[start[full]] != user[full]) | (owner[end[full] - 1] != user[full])
        return np.flatnonzero(foreign)

    wrong = data.positions(not_own)
    missing = {} if data.meta.ready_made_history else data.positions(lambda *where: _incomplete(data, *where))
    total = sum(map(len, wrong.values()))
    yield check(
        "history-own-user",
        "History of the row's own user",
        "fail" if total else "pass",
        total,
        f"{total:,} rows have a history that is another user's, or outside the event log."
        if total
        else "Every history holds events of the row's own user alone.",
        {split: float(len(rows)) for split, rows in wrong.items()},
        todo=AGAIN,
        examples=lambda: data.examples(wrong),
    )
    if missing:
        total = sum(map(len, missing.values()))
        yield check(
            "history-complete",
            "History complete",
            "fail" if total else "pass",
            total,
            f"{total:,} rows lack earlier events of their user in their history."
            if total
            else "No history lacks an earlier event of its user.",
            {split: float(len(rows)) for split, rows in missing.items()},
            todo=AGAIN,
            examples=lambda: data.examples(missing),
        )


def _incomplete(data: Written, split: Split, piece: slice) -> np.ndarray:
    """Positions in the piece of rows with an earlier event of the user outside their slice, on either side."""
    time, rows = data.events["timestamp"], data.rows[split]
    if not len(time):
        return np.empty(0, np.int64)
    start, end, user, now = (a[piece] for a in (rows.history_start, rows.history_end, rows.user, rows.timestamp))
    first, after = data.first_event[user], data.first_event[user + 1]
    next_is_earlier = (end < after) & (end >= first) & (time[np.clip(end, 0, len(time) - 1)] < now)
    starts_late = (start > first) & (first < after)
    elsewhere = (end < first) & (time[np.clip(first, 0, len(time) - 1)] < now) & (first < after)
    return np.flatnonzero(data.slices_sound[split][piece] & (next_is_earlier | starts_late | elsewhere))


def _own_target(data: Written) -> Check:
    names = data.meta.history_fields
    if data.meta.ready_made_history:
        return _ready_made_target(data)
    found: dict[Split, np.ndarray] = {}
    for split, rows in data.rows.items():
        suspects = data.late[split]
        end = rows.history_end[suspects]
        start = np.maximum(rows.history_start[suspects], end - MAX_HISTORY)
        lengths = end - start
        at = np.repeat(np.arange(len(suspects)), lengths)
        event = np.repeat(end - np.cumsum(lengths), lengths) + np.arange(int(lengths.sum()))
        hit = data.events["timestamp"][event] == rows.timestamp[suspects][at]
        for name in names:
            hit &= identities(data.events, name)[event] == identities(rows.columns, name)[suspects][at]
        found[split] = suspects[np.unique(at[hit])]
    total = sum(map(len, found.values()))
    return check(
        "history-target",
        "Target not in its own history",
        "fail" if total else "pass",
        total,
        f"{total:,} rows find themselves in their own history." if total else "No row is an event of its own history.",
        {split: float(len(rows)) for split, rows in found.items()},
        todo=f"A model could read the label off the history. {AGAIN}",
        examples=lambda: data.examples(found),
    )


def _ready_made_target(data: Written) -> Check:
    """Without times, a list that ends with the row itself shows by how often its newest event is the target."""
    name = data.meta.history_fields[0]
    shares: dict[str, float] = {}
    found: dict[Split, np.ndarray] = {}
    for split, rows in data.rows.items():
        full = np.flatnonzero(data.slices_sound[split] & (rows.history_end > rows.history_start))
        newest = identities(data.events, name)[rows.history_end[full] - 1]
        same = (newest == identities(rows.columns, name)[full]) & (newest > UNKNOWN)
        shares[split], found[split] = float(same.mean()) if len(full) else 0.0, full[same]
    worst = max(shares.values())
    # Of categories many newest ones are the target's: people look at one thing after another.
    suspicious = 0.9 if data.meta.history_fields == ["category"] else 0.5
    status: Status = "fail" if worst > suspicious else "warn" if worst > suspicious - 0.3 else "pass"
    ending = " The lists seem to include the row itself." if status != "pass" else ""
    return check(
        "history-target",
        "Target not in its own history",
        status,
        worst,
        f"In up to {worst:.1%} of a part's rows the newest event of the history is the target's {name}.{ending}",
        shares,
        todo="Cut the last entry off the lists, or make them from earlier events alone.",
        examples=lambda: data.examples(found),
    )


def _history_contents(data: Written) -> Iterator[Check]:
    empty = {split: rows.history_end == rows.history_start for split, rows in data.rows.items()}
    share = sum(int(rows.sum()) for rows in empty.values()) / max(1, data.total)
    none = share == 1
    yield check(
        "history-empty",
        "Empty histories",
        "fail" if none else "warn" if share > 0.5 else "pass",
        share,
        "Not one row has a history: a sequence model has nothing to read."
        if none
        else f"{share:.1%} of rows have an empty history"
        + (": a sequence model can say little about them." if share > 0.5 else "."),
        {split: float(rows.mean()) for split, rows in empty.items() if len(rows)},
        todo="See whether rows and events name users alike, and whether events lie before the rows; or take more "
        "events into histories.",
        examples=lambda: data.examples({split: np.flatnonzero(rows) for split, rows in empty.items()}),
    )
    if "positive" in data.events:
        positive = data.events["positive"]
        clicks = float(positive.mean()) if len(positive) else 1.0
        yield check(
            "history-clicks",
            "Histories hold clicks",
            "warn" if clicks < 0.5 else "pass",
            1 - clicks,
            f"{1 - clicks:.1%} of the event log are not clicks (label 0)"
            + (
                ": histories say what was shown rather than what was wanted, and models cannot tell them apart."
                if clicks < 0.5
                else "."
            ),
            todo="Take histories from positives alone (an option of the source), or say beside results what they hold.",
            examples=lambda: data.event_examples(np.flatnonzero(positive == 0)),
        )
