"""Do ready-made histories hold what fills them up, or what the user did later?"""

from __future__ import annotations

import numpy as np
import polars as pl

from mdaf_core.data.audit.base import Written
from mdaf_core.data.audit.histories import beyond, holding
from mdaf_core.data.audit.registry import Answer, check
from mdaf_core.data.audit.sample import drawn
from mdaf_core.data.store.columns import identities
from mdaf_core.data.store.describe import describe_codes
from mdaf_core.data.store.schema import FIRST_ID, SPLITS, UNKNOWN, Split

_LISTS, _EVENTS = 100_000, 15_000_000
_AT_ENDS, _OF_LISTS, _FEWEST = 0.99, 0.05, 50
_NEXT, _FEWEST_ROWS = 0.6, 100


def _bounds(data: Written) -> tuple[np.ndarray, np.ndarray]:
    """(L,) first event and last event + 1 of the lists of some rows, each list once."""
    starts, ends = [], []
    for split, rows in data.rows.items():
        at = drawn(len(rows), _LISTS)
        sound = data.slices_sound[split][at] & (rows.history_end[at] > rows.history_start[at])
        starts.append(rows.history_start[at][sound])
        ends.append(rows.history_end[at][sound])
    start, once = np.unique(np.concatenate(starts), return_index=True)  # rows may share a list
    end = np.concatenate(ends)[once]
    some = drawn(len(start), _most(end - start))
    return start[some], end[some]


def _most(sizes: np.ndarray) -> int:
    """How many lists of these lengths are looked at: many short ones, or fewer long ones."""
    return min(_LISTS * len(SPLITS), int(_EVENTS / max(1.0, float(sizes.mean()) if len(sizes) else 1.0)))


@check("history-padding", "What fills up histories", place=30)
def padding(data: Written) -> Answer | None:
    """An id that stands in runs at one end of the lists, and nowhere else."""
    if not (data.meta.ready_made_history and data.events):
        return None
    start, end = _bounds(data)
    size = end - start
    found: list[tuple[float, str, str, str]] = []
    for name in data.meta.history_fields:
        ids = identities(data.events, name)
        at = np.repeat(start - (np.cumsum(size) - size), size) + np.arange(int(size.sum()))
        values, whose = ids[at].astype(np.int64), np.repeat(np.arange(len(size)), size)
        for side, order in (("beginning", slice(None)), ("end", slice(None, None, -1))):
            outer = _outermost(values[order], whose[order])
            everywhere = np.bincount(values)
            there = np.bincount(values[order][outer], minlength=len(everywhere))
            holders = np.bincount(values[order][_first(whose[order])], minlength=len(everywhere))
            only = (there >= _FEWEST) & (there >= _AT_ENDS * everywhere)
            filling = np.flatnonzero(only & (holders >= _OF_LISTS * len(size)) & (there >= 2 * holders))
            for id in filling:
                word = "an id that training rows do not have"
                if FIRST_ID <= id < data.meta.categorical[name]:
                    word = repr(describe_codes(data.dataset, name, np.array([id]))[0])
                found.append((float(there[id] / max(1, len(values))), name, side, word))
    share, name, side, word = max(found, default=(0.0, "", "", ""))
    known = word.startswith("'")
    option = f"history_padding={word.strip(chr(39))}" if known else "history_padding=0, or whatever fills them"
    return Answer(
        "warn" if found else "pass",
        share,
        f"{share:.1%} of the events in ready-made histories are {word} ({name}), in runs at the {side} of the lists "
        "and nowhere else: it fills them up and is no event. Models read it as one, and histories look longer than "
        "they are."
        if found
        else "No id stands at one end of the lists only.",
        todo=f"Prepare the data set with {option}.",
        examples=lambda: data.examples({"train": np.arange(20)}),
    )


def _first(whose: np.ndarray) -> np.ndarray:
    """Positions of the first event of each list."""
    return np.flatnonzero(np.append(True, whose[1:] != whose[:-1]))


def _outermost(values: np.ndarray, whose: np.ndarray) -> np.ndarray:
    """(T,) whether an event is in the run of equal ids that its list begins with."""
    begins = np.append(True, whose[1:] != whose[:-1])
    run = np.cumsum(begins | np.append(True, values[1:] != values[:-1]))
    first = run[np.flatnonzero(begins)]
    return run == first[np.cumsum(begins) - 1]


@check("history-next", "Later targets in histories", place=31)
def later_targets(data: Written) -> Answer | None:
    """Lists that hold a target which the user meets only later. Retargeting shows again what was viewed, so some do."""
    item = data.role("item")
    if not (data.meta.ready_made_history and data.events and data.meta.has_user and data.meta.has_time):
        return None
    if item is None or item not in data.meta.history_fields:
        return None
    ids = identities(data.events, item)
    parts: list[pl.DataFrame] = []
    for i, split in enumerate(SPLITS):
        rows = data.rows[split]
        columns = {"user": rows.user, "time": rows.timestamp, "item": identities(rows.columns, item)}
        columns |= {"start": rows.history_start, "end": rows.history_end, "sound": data.slices_sound[split]}
        parts.append(pl.DataFrame(columns).with_columns(part=pl.lit(i, pl.Int8), at=pl.int_range(pl.len())))
    frame = pl.concat(parts).sort("user", "time", maintain_order=True)
    frame = frame.with_columns(
        next=pl.col("item").shift(-1).over("user"),
        new=pl.struct("user", "item").is_first_distinct().shift(-1).over("user"),
        later=pl.col("time").shift(-1).over("user") > pl.col("time"),
    )
    asked = frame.filter(pl.col("sound") & (pl.col("end") > pl.col("start")) & pl.col("new") & pl.col("later"))
    asked = asked.filter((pl.col("next") > UNKNOWN) & (pl.col("next") != pl.col("item")))
    asked = asked[drawn(len(asked), min(_LISTS, _most((asked["end"] - asked["start"]).to_numpy())))]
    share, holds = 0.0, np.zeros(len(asked), np.bool_)
    if len(asked) >= _FEWEST_ROWS:
        start, size = asked["start"].to_numpy(), (asked["end"] - asked["start"]).to_numpy()
        event = np.repeat(start - (np.cumsum(size) - size), size) + np.arange(int(size.sum()))
        row = np.repeat(np.arange(len(size)), size)
        holds, chance = holding(ids[event], row, asked["next"].to_numpy())
        share = beyond(float(holds.mean()), chance)
    found = share > _NEXT

    def examples() -> list[dict[str, object]]:
        held = asked.filter(pl.Series(holds))
        split: dict[Split, np.ndarray] = {
            split: held.filter(pl.col("part") == i)["at"].to_numpy() for i, split in enumerate(SPLITS)
        }
        return data.examples(split)

    return Answer(
        "warn" if found else "pass",
        share,
        f"{share:.1%} of ready-made histories hold the target of the user's next row, which the user had not met "
        "before: they seem to reach into the future."
        if found
        else f"Beyond chance, {share:.1%} of ready-made histories hold what the user meets first in the next row.",
        todo="Ask whoever made the lists up to which moment they reach; cut off what is not earlier than the row.",
        examples=examples,
    )
