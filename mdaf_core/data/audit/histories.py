"""Do histories hold the past of the row's user, all of it and nothing else?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from mdaf_core.data.audit.base import Written, pieces
from mdaf_core.data.audit.registry import Answer, check, rows_answer
from mdaf_core.data.audit.report import GRADES, Status
from mdaf_core.data.audit.sample import drawn
from mdaf_core.data.store.columns import identities
from mdaf_core.data.store.schema import LONGEST_HISTORY, MAX_HISTORY, SPLIT_NAMES, UNKNOWN, Split

_TARGETS, _EVENTS = 200_000, 10_000_000
_FEWEST = 20
AGAIN = "Prepare the data set again; if it was not written by this program, see docs/data.md for what a history is."


@check("history-earlier", "Events before their rows", place=20)
def earlier(data: Written) -> Answer | None:
    if not data.events:
        return None
    time, owner = data.events["timestamp"], data.events["user_index"]
    late = {split: float(len(rows)) for split, rows in data.late.items()}
    disorder = np.empty(0, np.int64)
    if data.meta.has_event_times:
        begins = owner[1:] > owner[:-1]
        if data.meta.ready_made_history:
            of_rows = np.zeros(len(time) + 1, np.bool_)
            for split, rows in data.rows.items():
                of_rows[rows.history_start[data.slices_sound[split]]] = True
            begins = of_rows[1:-1]
        disorder = 1 + np.flatnonzero(~begins & ((owner[1:] != owner[:-1]) | (time[1:] < time[:-1])))
    total = int(sum(late.values()))
    status: Status = "fail" if total or len(disorder) else "pass" if data.meta.has_event_times else "warn"
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

    return Answer(
        status,
        total + len(disorder),
        sentence,
        late,
        todo=todo,
        examples=lambda: data.examples(data.late, newest) or data.event_examples(disorder),
    )


@check("history-own-user", "Whose histories", place=21)
def own_user(data: Written) -> Answer | None:
    if not data.events:
        return None
    owner = data.events["user_index"]

    def not_own(split: Split, piece: slice) -> np.ndarray:
        rows, sound = data.rows[split], data.slices_sound[split][piece]
        start, end, user = rows.history_start[piece], rows.history_end[piece], rows.user[piece]
        foreign = ~sound
        full = np.flatnonzero(sound & (end > start))
        foreign[full] = (owner[start[full]] != user[full]) | (owner[end[full] - 1] != user[full])
        return np.flatnonzero(foreign)

    return rows_answer(
        data,
        data.positions(not_own),
        "rows have a history that is another user's, or outside the event log.",
        "Every history holds events of the row's own user alone.",
        AGAIN,
    )


@check("history-complete", "Earlier events in histories", place=22)
def complete(data: Written) -> Answer | None:
    if not data.events or data.meta.ready_made_history:
        return None
    return rows_answer(
        data,
        data.positions(lambda *where: _incomplete(data, *where)),
        "rows lack earlier events of their user in their history.",
        "No history lacks an earlier event of its user.",
        AGAIN,
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


@check("history-target", "Targets in their own histories", place=23)
def own_target(data: Written) -> Answer | None:
    """Rows that are an event of their own history: to the second, or by how often the target is among the events."""
    if not data.events:
        return None
    exact = {} if data.meta.ready_made_history else {split: _own_event(data, split) for split in data.rows}
    if any(map(len, exact.values())):
        words, todo = (
            "rows find themselves in their own history.",
            f"A model could read the label off the history. {AGAIN}",
        )
        return rows_answer(data, exact, words, "", todo)
    name = data.meta.history_fields[0]
    shares = {f"{split} {where}": share for split in data.rows for where, share in _with_target(data, split).items()}
    judged = [(_own_grade(data, where, share), share, where) for where, share in shares.items()]
    grade, worst, words = max(judged, default=(0, 0.0, ""))
    status = GRADES[grade]
    if status == "pass":
        ready = data.meta.ready_made_history
        sentence = (
            "Targets are no usual part of their histories." if ready else "No row is an event of its own history."
        )
    else:
        split, _, where = words.partition(" ")
        sentence = (
            f"The {where} the target's {name} in {worst:.1%} of {SPLIT_NAMES[split]} rows with a history, more than "
            "chance gives: histories seem to include the row itself."
        )
    return Answer(
        status,
        0 if status == "pass" and not data.meta.ready_made_history else worst,
        sentence,
        shares,
        todo="Cut what belongs to the row itself off the histories: make them from earlier events alone.",
        examples=lambda: data.examples({split: _newest_is_target(data, split) for split in data.rows}),
    )


def _own_grade(data: Written, where: str, share: float) -> int:
    """0 to 2: whether rows seem to be part of their histories. People do come back to things, so most have to."""
    if where.split()[1] == "history":
        warn, fail = 0.8, 0.95
    elif data.meta.ready_made_history and data.role("item") == data.meta.history_fields[0]:
        warn, fail = 0.4, 0.7
    else:  # earlier by the clock; or categories, where people look at one thing after another
        warn, fail = 0.75, 0.9
    return int(share > warn) + int(share > fail)


def _own_event(data: Written, split: Split) -> np.ndarray:
    """Positions of rows whose history holds an event of their own time with all their own ids."""
    rows, suspects = data.rows[split], data.late[split]
    at, event = _events_of(rows.history_start[suspects], rows.history_end[suspects])
    hit = data.events["timestamp"][event] == rows.timestamp[suspects][at]
    for name in data.meta.history_fields:
        hit &= identities(data.events, name)[event] == identities(rows.columns, name)[suspects][at]
    return suspects[np.unique(at[hit])]


def _events_of(start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The newest events of each slice, as models may read them: position of the slice, and in the log, of each event.

    Of fewer slices more events: as many as models can be told to read, while all together stay few.
    """
    most = min(max(MAX_HISTORY, _EVENTS // max(len(start), 1)), LONGEST_HISTORY)
    lengths = np.minimum(end - start, most)
    at = np.repeat(np.arange(len(start)), lengths)
    return at, np.repeat(end - np.cumsum(lengths), lengths) + np.arange(int(lengths.sum()))


def _with_target(data: Written, split: Split) -> dict[str, float]:
    """Share of rows whose newest event is the target, and, of ready-made items, by label (clicks alone may have been
    added), whose history holds it at all. Each is what exceeds the share with another row's target in its place, so
    that few things to choose from are no fault."""
    name, rows = data.meta.history_fields[0], data.rows[split]
    target, event_ids = identities(rows.columns, name), identities(data.events, name)
    at = drawn(len(rows), _TARGETS)
    full = rows.history_end[at] > rows.history_start[at]
    picked = at[full & data.slices_sound[split][at] & (target[at] > UNKNOWN)]
    other = np.random.default_rng(0).permutation(target[picked])
    found: dict[str, float] = {}

    def beyond_chance(where: str, own: np.ndarray, others: np.ndarray) -> None:
        if len(own) >= _FEWEST and not others.all():
            found[where] = beyond(float(own.mean()), float(others.mean()))

    newest = event_ids[rows.history_end[picked] - 1]
    beyond_chance("newest event is", newest == target[picked], newest == other)
    if data.meta.ready_made_history and data.role("item") == name:
        at, event = _events_of(rows.history_start[picked], rows.history_end[picked])
        own, others = (np.zeros(len(picked), np.bool_) for _ in range(2))
        own[at[event_ids[event] == target[picked][at]]] = True
        others[at[event_ids[event] == other[at]]] = True
        for label, whose in ((1, "positives"), (0, "negatives")):
            chosen = rows.label[picked] == label
            beyond_chance(f"newest event of {whose} is", (newest == target[picked])[chosen], (newest == other)[chosen])
            beyond_chance(f"history of {whose} holds", own[chosen], others[chosen])
    return found


@check("history-later", "Later clicks in histories", place=24)
def later_clicks(data: Written) -> Answer | None:
    """Ready-made histories that hold what the user clicks next, of items that are new to the user's rows."""
    if not (data.events and data.meta.ready_made_history and data.meta.has_user and data.meta.has_time):
        return None
    name = data.meta.history_fields[0]
    if data.role("item") != name:
        return None
    sizes = [len(rows) for rows in data.rows.values()]

    def column(of: Callable[[Split], np.ndarray]) -> np.ndarray:
        return np.concatenate([of(split) for split in data.rows])

    frame = pl.DataFrame(
        {
            "user": column(lambda split: data.rows[split].user),
            "time": column(lambda split: data.rows[split].timestamp),
            "item": column(lambda split: identities(data.rows[split].columns, name)),
            "label": column(lambda split: data.rows[split].label),
            "start": column(lambda split: data.rows[split].history_start),
            "end": column(lambda split: data.rows[split].history_end),
            "sound": column(lambda split: data.slices_sound[split]),
            "part": np.repeat(np.arange(len(sizes)), sizes),
            "place": np.concatenate([np.arange(size) for size in sizes]),
        }
    ).sort("user", "time", maintain_order=True)
    first = pl.struct("user", "item").is_first_distinct()
    new = pl.when((pl.col("label") == 1) & first).then("item")
    frame = frame.with_columns(next=new.shift(-1).backward_fill().over("user"))
    frame = frame.filter(pl.col("sound") & (pl.col("end") > pl.col("start")) & pl.col("next").is_not_null())
    frame = frame.filter((pl.col("next") > UNKNOWN) & (pl.col("next") != pl.col("item")))
    frame = frame[drawn(len(frame), _TARGETS)]
    if len(frame) < 5 * _FEWEST:
        return None
    at, event = _events_of(frame["start"].to_numpy(), frame["end"].to_numpy())
    holds, chance = holding(identities(data.events, name)[event], at, frame["next"].to_numpy())
    own = float(holds.mean())
    share = beyond(own, chance)
    grade = int(share > 0.5) + int(share > 0.8)
    return Answer(
        GRADES[grade],
        share,
        f"Histories hold the item that the user clicks next, and had not been shown before, in {share:.1%} of rows"
        + (", more than chance gives: they seem to reach beyond the row." if grade else ", beyond chance."),
        {"own": own, "chance": chance},
        todo="Make the histories from events before the row alone.",
        examples=lambda: data.examples(
            {
                split: np.sort(frame.filter(pl.col("part") == i)["place"].to_numpy()[:20])
                for i, split in enumerate(data.rows)
            }
        ),
    )


def holding(ids: np.ndarray, whose: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, float]:
    """(N,) whether a list holds its row's target, and the share of lists that hold another row's.

    Args:
        ids, whose: (T,) events and the list that each is of; target: (N,).
    """
    holds, other = np.zeros(len(target), np.bool_), np.zeros(len(target), np.bool_)
    holds[whose[ids == target[whose]]] = True
    other[whose[ids == np.random.default_rng(0).permutation(target)[whose]]] = True
    return holds, float(other.mean())


def beyond(own: float, chance: float) -> float:
    """A share beyond what chance gives, of what chance leaves."""
    return max(0.0, (own - chance) / (1 - chance)) if chance < 1 else 0.0


def _newest_is_target(data: Written, split: Split) -> np.ndarray:
    name, rows = data.meta.history_fields[0], data.rows[split]
    full = np.flatnonzero(data.slices_sound[split] & (rows.history_end > rows.history_start))
    return full[identities(data.events, name)[rows.history_end[full] - 1] == identities(rows.columns, name)[full]]


@check("history-empty", "Empty histories", place=25)
def empty_histories(data: Written) -> Answer | None:
    if not data.events:
        return None
    empty = {split: rows.history_end == rows.history_start for split, rows in data.rows.items()}
    shares = {split: float(rows.mean()) for split, rows in empty.items() if len(rows)}
    share = sum(int(rows.sum()) for rows in empty.values()) / max(1, data.total)
    # All of a part, where that is no accident of a few rows.
    lost = [SPLIT_NAMES[split] for split, s in shares.items() if s == 1 and share ** len(empty[split]) < 1e-6]
    many = max(shares.values(), default=0.0) > 0.5
    if share == 1:
        sentence = "Not one row has a history: a sequence model has nothing to read."
    elif lost:
        sentence = (
            f"Not one of the {' and '.join(lost)} rows has a history: a sequence model has nothing to read there."
        )
    else:
        sentence = f"{share:.1%} of rows have an empty history"
        if many:
            part = max(shares, key=lambda split: shares[split])
            sentence += f" ({shares[part]:.1%} in {SPLIT_NAMES[part]}): a sequence model can say little about them"
        sentence += "."
    return Answer(
        "fail" if share == 1 or lost else "warn" if many else "pass",
        share,
        sentence,
        shares,
        todo="See whether rows and events name users alike, and whether events lie before the rows; or take more "
        "events into histories.",
        examples=lambda: data.examples({split: np.flatnonzero(rows) for split, rows in empty.items()}),
    )


@check("history-unknown", "Events with unknown ids", place=26)
def unknown_events(data: Written) -> Answer | None:
    if not (data.events and len(data.events["timestamp"])):
        return None
    size = len(data.events["timestamp"])
    of_field = {
        name: sum(int((data.events[name][piece] == UNKNOWN).sum()) for piece in pieces(size)) / size
        for name in data.meta.history_fields
    }
    name = max(of_field, key=lambda name: of_field[name])
    return Answer(
        "fail" if of_field[name] == 1 and size >= _FEWEST else "warn" if of_field[name] > 0.5 else "pass",
        of_field[name],
        f"{of_field[name]:.1%} of the events in histories have a{'n' if name[0] in 'aeiou' else ''} {name} that "
        "training rows do not know" + (": a model cannot tell them apart." if of_field[name] > 0.5 else "."),
        of_field,
        todo="See whether histories and rows name the same things alike; ids that training rows lack are unknown.",
        examples=lambda: data.event_examples(np.flatnonzero(data.events[name] == UNKNOWN)),
    )


@check("history-clicks", "Clicks in histories", place=27)
def clicks_in_histories(data: Written) -> Answer | None:
    if "positive" not in data.events:
        return None
    positive = data.events["positive"]
    clicks = float(positive.mean()) if len(positive) else 1.0
    recorded = bool(data.meta.outcomes)
    told = (
        "models tell them apart only where their setting outcomes is on"
        if recorded
        else "models cannot tell them apart"
    )
    return Answer(
        "warn" if clicks < 0.5 else "pass",
        1 - clicks,
        f"{1 - clicks:.1%} of the event log are not clicks (label 0)"
        + (f": histories say what was shown rather than what was wanted, and {told}." if clicks < 0.5 else "."),
        todo="Take histories from positives alone (an option of the source), "
        + ("let models read what came of events (their setting outcomes), " if recorded else "")
        + "or say beside results what they hold.",
        examples=lambda: data.event_examples(np.flatnonzero(positive == 0)),
    )
