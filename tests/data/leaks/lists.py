"""Ready-made histories that hold more than the past."""

from __future__ import annotations

import numpy as np
import polars as pl

from tests.data.leaks.base import BASE, Table, clean, leak, log

LISTS = BASE | {"history_item": "past"}
CANNOT_BE_VERIFIED = "history-earlier"


def _lists(frame: pl.DataFrame, length: int = 10) -> list[list[int]]:
    """Each row's list of the user's earlier targets, the newest last."""
    seen: dict[int, list[int]] = {}
    lists = []
    for user, item in frame.select("user", "item").rows():
        past = seen.setdefault(user, [])
        lists.append(past[-length:])
        past.append(item)
    return lists


def _joined(lists: list[list[int]]) -> pl.Series:
    return pl.Series("past", ["^".join(map(str, items)) for items in lists])


@leak("lists", "history-padding")
def lists_filled_up_at_the_beginning(seed: int) -> Table:
    frame = log(seed)
    return frame.with_columns(past=_joined([[0] * (10 - len(p)) + p for p in _lists(frame)])).with_columns(
        item=pl.col("item") + 1
    ), LISTS


@leak("lists", "history-padding", quick=False)
def lists_filled_up_at_the_end(seed: int) -> Table:
    frame = log(seed).with_columns(item=pl.col("item") + 1)
    return frame.with_columns(past=_joined([p + [-1] * (10 - len(p)) for p in _lists(frame)])), LISTS


@leak("lists", "history-later", "history-next", "history-target")
def lists_that_hold_the_next_target(seed: int) -> Table:
    frame = log(seed)
    following: dict[int, int] = {}
    after = []
    for user, item in reversed(frame.select("user", "item").rows()):
        after.append(following.get(user, item))
        following[user] = item
    lists = [[*past[:5], new, *past[5:]] for past, new in zip(_lists(frame), reversed(after), strict=True)]
    return frame.with_columns(past=_joined(lists)), LISTS


@leak("lists", "history-later", "history-next", "history-target", quick=False)
def one_list_for_all_rows_of_a_user(seed: int) -> Table:
    """All targets of the user, later ones too, but never the row's own."""
    frame = log(seed)
    everything: dict[int, list[int]] = {}
    for user, item in frame.select("user", "item").rows():
        everything.setdefault(user, []).append(item)
    draw = np.random.default_rng(seed)
    lists = []
    for user, item in frame.select("user", "item").rows():
        others = [other for other in everything[user] if other != item]
        lists.append(draw.permutation(others).tolist()[:50])
    return frame.with_columns(past=_joined(lists)), LISTS


@clean(CANNOT_BE_VERIFIED)
def lists_of_the_past(seed: int) -> Table:
    frame = log(seed)
    return frame.with_columns(past=_joined(_lists(frame))), LISTS
