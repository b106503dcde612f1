"""Generated impressions whose click probability is known: the embedded default, and a truth to test models against.

Each user belongs to one of two planted segments. For a *habit* user the click mostly follows a **static** part (taste ×
category, item quality, category, hour), for a *session* user mostly a **sequential** part of the recent history:

    p = σ(b + s · [(1 − w) · static + w · sequential]),   w = 0.1 (habit) or 0.9 (session)

    sequential = Σ_{k=1..10} 0.7^(k−1) · 1[c_k = c] + 1[c = next(c_1)]

with c the target's category, c_k that of the k-th newest event and next(·) a fixed order of the categories: how
recently the category occurred counts, and so does what came last, so a shuffled history loses signal. Both parts are
scaled to zero mean and unit variance over the rows; b sets the click rate. A fusion gate has something true to find:
it should lean to the history for session users. `true_probability` and `segment` are stored with each row and are never
model inputs.

Of size `long` are other rows: what they depend on lies thousands of events back (`planted_cue`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from pydantic import Field
from scipy.optimize import brentq
from scipy.special import expit

from mdaf_core.base.progress import Progress
from mdaf_core.data.formats import planted_cue
from mdaf_core.data.formats.base import RawTable, Source, id_fields
from mdaf_core.data.formats.options import SourceOptions, SplitKind, given_split
from mdaf_core.data.store.schema import LONGEST_HISTORY, MAX_HISTORY

START = 1_714_953_600  # 2024-05-06 00:00 UTC, a Monday
DAY = planted_cue.DAY
LOG_DAYS, ROW_DAYS = 14, 14
"""The event log begins two weeks before the first impression; training rows cover every weekday."""

SEQUENTIAL_WEIGHT = {"habit": 0.1, "session": 0.9}
SCALE = 2.5
"""s: how far the known part moves the log-odds."""
EVENTS_PER_USER = (4.6, 2.6)
"""Mean events of a session user and of a habit user of average activity."""
STAY_OR_FOLLOW = ((0.5, 0.1), (0.8, 0.2))
"""Chance (session, habit) that the next event stays in its category; that it stays or moves to the one that follows."""
RECENT, DECAY, NEXT = 10, 0.7, 1.0


@dataclass(frozen=True)
class Size:
    """How much is generated; `rows` are train, validation, test."""

    rows: tuple[int, int, int]
    users: int
    items: int
    categories: int
    click_rate: float


SIZES = {
    "tiny": Size((14_000, 3_000, 3_000), 150, 150, 12, 0.3),
    "small": Size((140_000, 30_000, 30_000), 1_000, 600, 30, 0.2),
    "report": Size((1_052_081, 225_446, 225_446), 577_480, 335_162, 5_478, 0.05),
}


class SyntheticOptions(SourceOptions):
    """The split is part of the generation: by time, 70 % / 15 % / 15 %; of size long also by users."""

    split: SplitKind = given_split(always=True)
    size: Literal["tiny", "small", "report", "long"] = Field(
        "tiny",
        description="tiny: 20,000 rows, seconds. small: 200,000. report: 1.5 million, with the report's row counts, "
        "vocabulary sizes and click rate. long: 400 users whose clicks depend on what they did thousands of events "
        "earlier, and on nothing later.",
    )
    seed: int = Field(0, ge=0, description="Seed of the generator.")
    cue_distance: int = Field(
        3000,
        ge=1,
        le=LONGEST_HISTORY - planted_cue.LONGEST,
        description="Events between what a user's clicks depend on and the first of them.",
        json_schema_extra={"with": {"size": ["long"]}},
    )

    @classmethod
    def has_effect(cls, name: str, chosen: dict[str, Any]) -> bool:
        """Nothing is read, so no row is bad and no file another one; all parts are given."""
        if name == "split_seed" and chosen.get("split", "given") == "given":
            return False
        return name not in ("skip_bad_rows", "expect_md5", "accept_md5") and super().has_effect(name, chosen)

    def request(self) -> dict[str, Any]:
        """Its own split is another one than those that somebody asks for; stored data sets call it `time`."""
        asked = "split" in self.model_fields_set
        request = super().request() | ({"own_split": False} if asked else {"split": "time"})
        if self.size != "long":
            del request["cue_distance"]
        return request


def read(path: Path | None, options: SyntheticOptions, progress: Progress) -> RawTable:
    """Generate the rows and the event log."""
    return (_long_logs if options.size == "long" else _impressions)(path, options, progress)


def _long_logs(_path: Path | None, options: SyntheticOptions, progress: Progress) -> RawTable:
    progress(0.0, "Generating logs")
    logs = planted_cue.generate(options.cue_distance, START, _rng(options))
    progress(1.0, "Generated")
    return RawTable(
        rows=logs.rows,
        fields=id_fields("Item shown", "Category of the item")[:2],
        history_fields=["item", "category"],
        events=logs.events,
        titles=planted_cue.titles(),
        title=f"Synthetic logs with a cue {options.cue_distance:,} events back",
        label="click",
        timezone="UTC",
        window=(START, START + sum(planted_cue.DAYS.values()) * DAY),
    )


def _impressions(_path: Path | None, options: SyntheticOptions, progress: Progress) -> RawTable:
    size = SIZES[options.size]
    rng = _rng(options)
    drawn = _draw(size, rng, progress)
    time, user, item, category, n = drawn.time, drawn.user, drawn.item, drawn.category, len(drawn.time)

    progress(0.7, "Drawing clicks")
    static, w = drawn.static, drawn.sequential_weight
    score = SCALE * ((1 - w) * _unit(static) + w * _unit(drawn.sequential))
    intercept = brentq(lambda b: expit(score + b).mean() - size.click_rate, -30, 30)
    probability = expit(score + intercept)
    label = rng.random(n) < probability

    split = np.repeat(["train", "val", "test"], size.rows)
    rows = pl.DataFrame(
        {
            "label": label.astype(np.int8),
            "timestamp": time,
            "user": user + 1,
            "item": item + 1,
            "category": category + 1,
            "true_probability": probability,
            "segment": np.where(drawn.world.session[user], "session", "habit"),
            "split": split,
        }
    )
    events = drawn.events.with_columns(pl.col("user", "item", "category") + 1)
    progress(1.0, "Generated")
    return RawTable(
        rows=rows,
        fields=id_fields("Item shown", "Category of the item"),
        history_fields=["item", "category"],
        events=events,
        titles={
            "item": pl.DataFrame({"id": np.arange(1, size.items + 1)}).with_columns(title=pl.format("Item {}", "id")),
            "category": pl.DataFrame({"id": np.arange(1, size.categories + 1)}).with_columns(
                title=pl.format("Category {}", "id")
            ),
        },
        title=f"Synthetic impressions ({options.size})",
        label="click",
        timezone="UTC",
        window=(START, START + ROW_DAYS * DAY),
    ).with_calendar()


def sequential_part(recent: np.ndarray, category: np.ndarray, following: np.ndarray) -> np.ndarray:
    """(N,) the sequential part, not scaled.

    Args:
        recent: (N, RECENT) categories of the newest events, newest first; -1 where there is none.
        category: (N,) the target's; following: (categories,) next(·).
    """
    weights = DECAY ** np.arange(RECENT)
    same = ((recent == category[:, None]) * weights).sum(1)
    return same + NEXT * ((recent[:, 0] >= 0) & (following[recent[:, 0]] == category))


def following_categories(options: SyntheticOptions) -> np.ndarray:
    """(categories,) the category that tends to come after each: next(·) of the data that `options` generate."""
    return _world(SIZES[options.size], _rng(options)).following


@dataclass(frozen=True)
class _World:
    """Users, items and categories: what is fixed before anything happens.

    Attributes:
        category_of_item, popularity: (items,); session: (users,) whether a session user.
        user_taste: (users, 4); category_taste: (categories, 4); following: (categories,).
    """

    category_of_item: np.ndarray
    popularity: np.ndarray
    session: np.ndarray
    user_taste: np.ndarray
    category_taste: np.ndarray
    following: np.ndarray


def log_odds(options: SyntheticOptions) -> dict[str, np.ndarray]:
    """What the log-odds of generated rows (of any size but `long`) are the sum of, but for one constant: name → (N,).

    Rows are in the order of `read`. `taste`, `item`, `category` and `hour` are of the static part, `sequential` is the
    other one, and `segment` what scaling to zero mean leaves of both, which differs by kind of user.
    """
    drawn = _draw(SIZES[options.size], _rng(options), lambda *_: None)
    static, w = drawn.static, drawn.sequential_weight
    of_static, of_history = SCALE * (1 - w) / static.std(), SCALE * w / drawn.sequential.std()
    parts = {name: of_static * part for name, part in drawn.static_parts.items()} | {
        "sequential": of_history * drawn.sequential
    }
    return parts | {"segment": -of_static * static.mean() - of_history * drawn.sequential.mean()}


@dataclass(frozen=True)
class _Drawn:
    """Rows by time, (N,) each, and the log.

    Attributes:
        events: user, timestamp, item, category, each counted from 0.
        static_parts: what the static part is the sum of; sequential: not scaled; sequential_weight: w.
    """

    world: _World
    events: pl.DataFrame
    time: np.ndarray
    user: np.ndarray
    item: np.ndarray
    category: np.ndarray
    static_parts: dict[str, np.ndarray]
    sequential: np.ndarray
    sequential_weight: np.ndarray

    @property
    def static(self) -> np.ndarray:
        """(N,) not scaled."""
        total: np.ndarray = np.sum(list(self.static_parts.values()), axis=0)
        return total


def _draw(size: Size, rng: np.random.Generator, progress: Progress) -> _Drawn:
    progress(0.0, "Generating users and items")
    world = _world(size, rng)
    category_of_item, popularity, session, following = (
        world.category_of_item, world.popularity, world.session, world.following,
    )  # fmt: skip
    user_taste, category_taste = tastes = (world.user_taste, world.category_taste)

    progress(0.1, "Generating the event log")
    activity = rng.lognormal(0.0, 0.9, size.users)
    event_user, event_time, event_category = _events(size, session, activity, following, tastes, rng)
    event_item = _item_in_category(event_category, category_of_item, popularity, rng)

    progress(0.4, "Generating impressions")
    n = sum(size.rows)
    time = np.sort(START + rng.integers(0, ROW_DAYS * DAY, n))
    user = _covering(size.rows[0], n, size.users, activity / activity.sum(), rng)
    recent = _recent_categories(user, time, event_user, event_time, event_category)
    item, category = _targets(size, recent, following, category_of_item, popularity, rng)

    hour = (time % DAY) // 3600
    static = {
        "taste": 0.8 * _unit((user_taste[user] * category_taste[category]).sum(1)),
        "item": 0.8 * rng.normal(size=size.items)[item],
        "category": 0.4 * rng.normal(size=size.categories)[category],
        "hour": 0.4 * np.sin(2 * np.pi * (hour - 15) / 24),
    }
    sequential = sequential_part(recent, category, following)
    w = np.where(session[user], SEQUENTIAL_WEIGHT["session"], SEQUENTIAL_WEIGHT["habit"])
    events = pl.DataFrame({"user": event_user, "timestamp": event_time, "item": event_item, "category": event_category})
    return _Drawn(world, events, time, user, item, category, static, sequential, w)


def _rng(options: SyntheticOptions) -> np.random.Generator:
    return np.random.default_rng([options.seed, 20240506])


def _world(size: Size, rng: np.random.Generator) -> _World:
    category_of_item, popularity = _items(size, rng)
    session = rng.random(size.users) < 0.5
    cluster = rng.integers(0, 8, size.users)
    user_taste = rng.normal(size=(8, 4))[cluster] + 0.2 * rng.normal(size=(size.users, 4))
    category_taste = rng.normal(size=(size.categories, 4)) / 2
    following = rng.permutation(size.categories)
    return _World(category_of_item, popularity, session, user_taste, category_taste, following)


def _unit(x: np.ndarray) -> np.ndarray:
    return (x - x.mean()) / x.std()


def _items(size: Size, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Category of each item (each category has at least one) and its popularity (Zipf-like, sums to 1)."""
    free = rng.choice(size.categories, size.items - size.categories, p=_zipf(size.categories, rng))
    category = rng.permutation(np.concatenate([np.arange(size.categories), free]))
    return category, _zipf(size.items, rng)


def _zipf(n: int, rng: np.random.Generator) -> np.ndarray:
    weight = 1 / (np.arange(n) + 10) ** 0.8
    return rng.permutation(weight / weight.sum())


def _events(
    size: Size,
    session: np.ndarray,
    activity: np.ndarray,
    following: np.ndarray,
    tastes: tuple[np.ndarray, np.ndarray],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """User, time and category of every event, by user, then time.

    A user's next category is the same again, or the one that follows it, or drawn anew (the better liked of two);
    session users mostly go on, habit users mostly start anew, so that a history tells which segment it is from.
    """
    user_taste, category_taste = tastes
    count = np.minimum(rng.poisson(np.where(session, *EVENTS_PER_USER) * activity), 4 * MAX_HISTORY)
    user = np.repeat(np.arange(size.users), count)
    first = np.cumsum(count) - count
    category = np.empty(len(user), np.int64)
    popular = np.cumsum(_zipf(size.categories, rng))
    for k in range(int(count.max())):  # the k-th event of every user that has one
        active = np.flatnonzero(count > k)
        two = np.searchsorted(popular, rng.random((len(active), 2)) * popular[-1], side="right")
        liking = (user_taste[active, None, :] * category_taste[two]).sum(2)
        drawn = two[np.arange(len(active)), liking.argmax(1)]
        last = category[first[active] + k - 1] if k else drawn
        chance = rng.random(len(active))
        again, on = (np.where(session[active], *pair) for pair in STAY_OR_FOLLOW)
        category[first[active] + k] = np.where(chance < again, last, np.where(chance < on, following[last], drawn))
    time = START - LOG_DAYS * DAY + rng.integers(0, (LOG_DAYS + ROW_DAYS) * DAY, len(user))
    return user, time[np.lexsort((time, user))], category


def _item_in_category(
    category: np.ndarray, category_of_item: np.ndarray, popularity: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """An item of each given category, by popularity: one search in the running sum of the items sorted by category."""
    order = np.argsort(category_of_item, kind="stable")
    running = np.cumsum(popularity[order])
    sizes = np.bincount(category_of_item)
    last = np.cumsum(sizes) - 1
    low = np.concatenate([[0.0], running[last[:-1]]])
    point = low[category] + rng.random(len(category)) * (running[last] - low)[category]
    return order[np.clip(np.searchsorted(running, point), (last - sizes + 1)[category], last[category])]


def _covering(first: int, n: int, ids: int, probability: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """n draws of which the first `first` (the training rows) contain every id at least once."""
    drawn = rng.choice(ids, n, p=probability)
    drawn[rng.choice(first, ids, replace=False)] = np.arange(ids)
    return drawn


def _recent_categories(
    user: np.ndarray, time: np.ndarray, event_user: np.ndarray, event_time: np.ndarray, event_category: np.ndarray
) -> np.ndarray:
    """(N, RECENT) categories of the events strictly before each row, newest first; -1 where there is none."""
    span = event_time.max() + 1
    end = np.searchsorted(event_user * span + event_time, user * span + time, side="left")
    start = np.searchsorted(event_user, user, side="left")
    place = end[:, None] - 1 - np.arange(RECENT)
    return np.where(place >= start[:, None], event_category[np.maximum(place, 0)], -1)


def _targets(
    size: Size,
    recent: np.ndarray,
    following: np.ndarray,
    category_of_item: np.ndarray,
    popularity: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Item and category of each impression: a third repeats a recent category, a tenth follows the last one.

    Some training rows are given the items not shown otherwise, so that every item is in the training rows.
    """
    n = len(recent)
    item = _covering(size.rows[0], n, size.items, popularity, rng)
    forced = np.zeros(n, bool)
    forced[np.unique(item, return_index=True)[1]] = True  # the first (training) row of each item stays
    chance = rng.random(n)
    again = recent[np.arange(n), rng.integers(0, 5, n)]
    wanted = np.where(chance < 0.35, again, np.where(chance < 0.45, following[recent[:, 0]], -1))
    wanted[(recent[:, 0] < 0) | forced] = -1
    chosen = wanted >= 0
    item[chosen] = _item_in_category(wanted[chosen], category_of_item, popularity, rng)
    return item, category_of_item[item]


SOURCE = Source(
    name="synthetic",
    title="Synthetic impressions with a known click probability",
    path_help="",
    options=SyntheticOptions,
    read=read,
    default_name=lambda _path, options: f"synthetic-{options.size}",
    place=10,
)
