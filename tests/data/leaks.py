"""Logs of clicks with a leak of the label planted, and logs without one: each is a function of a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from mdaf_core.data.dataset import PreparedDataset
from mdaf_core.data.prepare import prepare

START = 1_494_000_000 // 86400 * 86400 - 8 * 3600
"""A midnight in Shanghai."""
DAY = 86400
AWAKE = np.array([3, 2, 1, 0.5, 0.4, 0.5, 1, 2, *[3] * 11, *[5] * 5])
MAPPING = {"label": "click", "user": "user", "timestamp": "time", "item": "item", "category": "category"}
ALWAYS_SAID = {"history-clicks"}
"""Histories of impressions hold few clicks: true of each of these logs."""

Table = tuple[pl.DataFrame, dict[str, Any]]


@dataclass(frozen=True)
class Leak:
    """A log and what the audit is to say of it.

    Attributes:
        make: seed → columns, and options of the source beside `MAPPING`.
        ids: the checks one of which is to warn or fail; of clean data, those that may.
        quick: whether the suite tries it too; the benchmark tries all.
    """

    kind: str
    make: Callable[[int], Table]
    ids: frozenset[str]
    quick: bool = True
    source: str = field(default="table")

    def __str__(self) -> str:
        return self.make.__name__

    def prepare(self, folder: Path, seed: int = 0) -> PreparedDataset:
        frame, options = self.make(seed)
        frame.write_parquet(folder / "log.parquet")
        chosen = MAPPING | {"timezone": "Asia/Shanghai"} | options
        return prepare(self.source, path=folder / "log.parquet", name=str(self), options=chosen)


LEAKS: list[Leak] = []
CLEAN: list[Leak] = []


def leak(kind: str, *ids: str, quick: bool = True) -> Callable[[Callable[[int], Table]], Callable[[int], Table]]:
    def register(make: Callable[[int], Table]) -> Callable[[int], Table]:
        LEAKS.append(Leak(kind, make, frozenset(ids), quick))
        return make

    return register


def clean(*may: str) -> Callable[[Callable[[int], Table]], Callable[[int], Table]]:
    def register(make: Callable[[int], Table]) -> Callable[[int], Table]:
        CLEAN.append(Leak("clean", make, frozenset(may) | ALWAYS_SAID))
        return make

    return register


def log(
    seed: int,
    rows: int = 8000,
    users: int = 300,
    items: int = 200,
    rate: float = 0.25,
    days: int = 10,
    tail: float = 0.6,
    taste: float = 0.6,
    hours: float = 0.3,
) -> pl.DataFrame:
    """Impressions by time: users and items differ in how often they click and are clicked, and so do hours of the day.

    Args:
        tail: exponent of how much more frequent some users and items are than others.
        taste: standard deviation of the log odds of users, of items and of what a device changes.
        hours: amplitude of the log odds over the day.

    Returns:
        Columns click, user, time, item, category, device, price (of the item), score (of the row, mildly informative).
    """
    draw = np.random.default_rng(1000 + seed)

    def choose(size: int, exponent: float) -> np.ndarray:
        weight = np.arange(1, size + 1.0) ** -exponent
        return draw.permutation(size)[draw.choice(size, rows, p=weight / weight.sum())]

    user, item = choose(users, tail), choose(items, tail)
    hour = draw.choice(24, rows, p=AWAKE / AWAKE.sum())
    time = START + draw.integers(0, days, rows) * DAY + hour * 3600 + draw.integers(0, 3600, rows)
    device = draw.choice(4, rows, p=[0.5, 0.3, 0.15, 0.05])
    score = draw.normal(size=rows)
    odds = np.log(rate / (1 - rate)) + taste * (
        draw.normal(size=users)[user] + draw.normal(size=items)[item] + 0.5 * draw.normal(size=4)[device]
    )
    odds += hours * np.sin((hour - 12) / 24 * 2 * np.pi) + 0.4 * score
    click = (draw.random(rows) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    price = np.round(np.exp(draw.normal(3, 1, items)), 2)[item]
    frame = pl.DataFrame(
        {
            "click": click, "user": user, "time": time, "item": item, "category": item % 12, "device": device,
            "price": price, "score": score,
        }
    )  # fmt: skip
    return frame.unique(["user", "time", "item"], maintain_order=True).sort("time")


def luck(frame: pl.DataFrame, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(5000 + seed).random(len(frame))


def where(chosen: np.ndarray, then: Any, otherwise: Any) -> pl.Series:
    return pl.Series(np.where(chosen, then, otherwise))


def latest(frame: pl.DataFrame, share: float = 0.2) -> np.ndarray:
    """Whether a row is among the latest, which become validation and test."""
    return np.arange(len(frame)) >= (1 - share) * len(frame)


BASE = {"categorical": "device", "numeric": "price,score"}


# A value that decides the label


@leak("a value that decides", "deciding-values")
def purchase_only_with_clicks(seed: int) -> Table:
    frame = log(seed)
    bought = (frame["click"].to_numpy() == 1) & (luck(frame, seed) < 0.06)
    return frame.with_columns(purchase=where(bought, 1, 0)), BASE | {"categorical": "device,purchase"}


@leak("a value that decides", "deciding-values")
def dwell_only_with_some_clicks(seed: int) -> Table:
    frame = log(seed)
    dwell = np.where((frame["click"].to_numpy() == 1) & (luck(frame, seed) < 0.3), 1 + 60 * luck(frame, seed + 1), 0)
    return frame.with_columns(dwell=pl.Series(dwell)), BASE | {"numeric": "price,score,dwell"}


@leak("a value that decides", "deciding-values", quick=False)
def coupon_of_a_click(seed: int) -> Table:
    frame = log(seed)
    given = (frame["click"].to_numpy() == 1) & (luck(frame, seed) < 0.08)
    coupon = where(given, np.char.add("c", np.arange(len(frame)).astype(str)), "")
    return frame.with_columns(coupon=coupon), BASE | {"categorical": "device,coupon"}


@leak("a value that decides", "deciding-values", quick=False)
def skipped_only_without_clicks(seed: int) -> Table:
    frame = log(seed)
    skipped = (frame["click"].to_numpy() == 0) & (luck(frame, seed) < 0.15)
    return frame.with_columns(skipped=where(skipped, 1, 0)), BASE | {"categorical": "device,skipped"}


@leak("a value that decides", "deciding-values", quick=False)
def several_words_of_clicks(seed: int) -> Table:
    frame = log(seed)
    draw = np.random.default_rng(seed)
    words = np.where(
        draw.random(len(frame)) < 0.1, 5 + draw.integers(0, 3, len(frame)), draw.integers(0, 5, len(frame))
    )
    words = np.where(frame["click"].to_numpy() == 1, words, words % 5)
    return frame.with_columns(state=pl.Series(words)), BASE | {"categorical": "device,state"}


@leak("a value that decides", "deciding-values", quick=False)
def large_numbers_of_some_clicks(seed: int) -> Table:
    frame = log(seed)
    depth = np.random.default_rng(seed).exponential(1.0, len(frame))
    depth += np.where((frame["click"].to_numpy() == 1) & (luck(frame, seed) < 0.05), 20, 0)
    return frame.with_columns(depth=pl.Series(depth)), BASE | {"numeric": "price,score,depth"}


@leak("a value that decides", "deciding-values", "missing-by-label", quick=False)
def number_given_only_with_clicks(seed: int) -> Table:
    frame = log(seed)
    given = (frame["click"].to_numpy() == 1) & (luck(frame, seed) < 0.2)
    values = pl.Series(luck(frame, seed + 2)).to_frame("x").select(pl.when(pl.Series(given)).then("x"))["x"]
    return frame.with_columns(rating=values), BASE | {"numeric": "price,score,rating"}


# Missing by label


@leak("missing by label", "missing-by-label", "deciding-values")
def missing_in_many_negatives(seed: int) -> Table:
    frame = log(seed)
    gone = luck(frame, seed) < np.where(frame["click"].to_numpy() == 1, 0.05, 0.6)
    return frame.with_columns(age=pl.when(pl.Series(~gone)).then(pl.Series(luck(frame, 7)))), BASE | {
        "numeric": "price,score,age"
    }


@leak("missing by label", "missing-by-label", "deciding-values", quick=False)
def category_missing_in_half_of_the_negatives(seed: int) -> Table:
    frame = log(seed)
    gone = (luck(frame, seed) < 0.5) & (frame["click"].to_numpy() == 0)
    city = np.random.default_rng(seed).integers(0, 30, len(frame)).astype(str)
    return frame.with_columns(city=pl.when(pl.Series(~gone)).then(pl.Series(city))), BASE | {
        "categorical": "device,city"
    }


@leak("missing by label", "missing-by-label", quick=False)
def a_little_missing_everywhere_in_negatives(seed: int) -> Table:
    frame = log(seed)
    draw = np.random.default_rng(seed)
    lost = np.where(frame["click"].to_numpy() == 1, 0.03, 0.2)
    names = [f"x{i}" for i in range(8)]
    columns = {
        name: pl.Series(draw.normal(size=len(frame))).to_frame("x").select(
            pl.when(pl.Series(draw.random(len(frame)) >= lost)).then("x")
        )["x"]
        for name in names
    }  # fmt: skip
    return frame.with_columns(**columns), BASE | {"numeric": ",".join(["price", *names])}


# Inputs that say nothing in a part


@leak("blank in a part", "blank-inputs")
def a_session_that_never_comes_again(seed: int) -> Table:
    frame = log(seed)
    session = pl.col("user").cast(pl.String) + "-" + ((pl.col("time") - START) // DAY).cast(pl.String)
    return frame.with_columns(session=session), BASE | {"categorical": "device,session"}


@leak("blank in a part", "blank-inputs", quick=False)
def a_number_missing_in_late_rows(seed: int) -> Table:
    frame = log(seed)
    return frame.with_columns(quality=pl.when(pl.Series(~latest(frame, 0.25))).then("score")), BASE | {
        "numeric": "price,quality"
    }


@leak("blank in a part", "blank-inputs", quick=False)
def a_category_that_is_the_same_in_late_rows(seed: int) -> Table:
    frame = log(seed)
    version = where(latest(frame, 0.1), 0, np.random.default_rng(seed).integers(0, 6, len(frame)))
    return frame.with_columns(version=version), BASE | {"categorical": "device,version"}


# Labels of groups


@leak("labels of groups", "one-label-groups")
def labels_of_sessions(seed: int) -> Table:
    frame = log(seed)
    session = frame["user"] * 1000 + (frame["time"] - START) // (2 * DAY)
    kind = np.random.default_rng(seed).random(301_000) < 0.3
    return frame.with_columns(click=pl.Series(kind[session.to_numpy()].astype(np.int64)), session=session), BASE | {
        "categorical": "device,session"
    }


@leak("labels of groups", "one-label-groups", "label-leak", quick=False)
def labels_of_users(seed: int) -> Table:
    frame = log(seed)
    kind = np.random.default_rng(seed).random(300) < 0.3
    return frame.with_columns(click=pl.Series(kind[frame["user"].to_numpy()].astype(np.int64))), BASE


# One user


@leak("one user", "concentrated-users")
def a_crawler(seed: int) -> Table:
    frame = log(seed)
    return frame.with_columns(user=where(luck(frame, seed) < 0.14, 7, frame["user"])), BASE


@leak("one user", "concentrated-users", quick=False)
def unknown_users_at_the_end(seed: int) -> Table:
    frame = log(seed)
    return frame.with_columns(user=where(latest(frame, 0.1) & (luck(frame, seed) < 0.3), 9999, frame["user"])), BASE


# Without a leak


@clean()
def an_ordinary_log(seed: int) -> Table:
    return log(seed), BASE


@clean("history-empty", "concentrated-users")
def heavy_skew(seed: int) -> Table:
    return log(seed, users=3000, items=4000, tail=1.0), BASE


@clean()
def few_rows(seed: int) -> Table:
    return log(seed, rows=400, users=25, items=30, tail=0.2), BASE


@clean()
def rare_clicks(seed: int) -> Table:
    return log(seed, rows=12_000, rate=0.03), BASE


@clean()
def strong_tastes(seed: int) -> Table:
    return log(seed, taste=1.5), BASE


@clean()
def strong_hours(seed: int) -> Table:
    return log(seed, hours=1.5), BASE


@clean()
def a_strong_number(seed: int) -> Table:
    """A bid that explains most of the clicks, as an auction's own forecast might."""
    frame = log(seed)
    draw = np.random.default_rng(seed)
    bid = draw.normal(size=len(frame))
    click = draw.random(len(frame)) < 1 / (1 + np.exp(1.2 - 1.8 * bid))
    return frame.with_columns(click=pl.Series(click.astype(np.int64)), bid=pl.Series(bid)), BASE | {
        "numeric": "price,score,bid"
    }


@clean()
def position_on_the_page(seed: int) -> Table:
    frame = log(seed)
    draw = np.random.default_rng(seed)
    position = draw.integers(1, 11, len(frame))
    click = draw.random(len(frame)) < 0.5 / position
    return frame.with_columns(click=pl.Series(click.astype(np.int64)), position=pl.Series(position)), BASE | {
        "categorical": "device,position"
    }


@clean()
def many_columns(seed: int) -> Table:
    frame = log(seed)
    draw = np.random.default_rng(seed)
    numbers = {f"n{i}": pl.Series(draw.lognormal(size=len(frame))) for i in range(20)}
    ids = {f"c{i}": pl.Series(draw.integers(0, 3 ** (i % 7 + 1), len(frame))) for i in range(20)}
    return frame.with_columns(**numbers, **ids), {
        "categorical": ",".join(["device", *ids]),
        "numeric": ",".join(["price", "score", *numbers]),
    }


@clean()
def numbers_that_some_items_lack(seed: int) -> Table:
    frame = log(seed)
    lacking = np.random.default_rng(seed).random(200) < 0.25
    guest = luck(frame, seed) < 0.3
    click = np.where(guest & (luck(frame, seed + 1) < 0.3), 0, frame["click"].to_numpy())  # guests click less
    return frame.with_columns(
        click=pl.Series(click),
        price=pl.when(pl.Series(~lacking[frame["item"].to_numpy()])).then("price"),
        age=pl.when(pl.Series(~guest)).then(pl.col("user") % 60 + 18),
    ), BASE | {"numeric": "price,score,age"}


@clean()
def click_rates_of_training_rows(seed: int) -> Table:
    frame = log(seed)
    past = frame.filter(pl.Series(~latest(frame)))
    rates = past.group_by("item").agg(item_rate=(pl.col("click").sum() + 1) / (pl.len() + 4), item_rows=pl.len())
    users = past.group_by("user").agg(user_rate=(pl.col("click").sum() + 1) / (pl.len() + 4))
    joined = frame.join(rates, on="item", how="left", maintain_order="left").join(
        users, on="user", how="left", maintain_order="left"
    )
    return joined.with_columns(pl.col("item_rate", "user_rate").fill_null(0.25), pl.col("item_rows").fill_null(0)), (
        BASE | {"numeric": "price,score,item_rate,user_rate,item_rows"}
    )


@clean()
def counts_so_far(seed: int) -> Table:
    """Rows and clicks of a user and of an item before each row."""
    before = {}
    for name in ("user", "item", "category"):
        before[f"{name}_rows"] = pl.int_range(pl.len()).over(name)
        before[f"{name}_rate"] = (pl.col("click").cum_sum().over(name) - pl.col("click") + 1) / (
            pl.int_range(pl.len()).over(name) + 4
        )
    return log(seed).with_columns(**before), BASE | {"numeric": ",".join(["price", "score", *before])}


@clean()
def shown_again(seed: int) -> Table:
    """A third of the impressions come again to the same user, minutes later, with a click of its own chance."""
    frame = log(seed, rows=6000)
    again = frame.filter(pl.Series(luck(frame, seed) < 0.33))
    later = pl.Series(np.random.default_rng(seed).integers(30, 3000, len(again)))
    click = (np.random.default_rng(seed + 1).random(len(again)) < 0.15).astype(np.int64)
    again = again.with_columns(time=pl.col("time") + later, click=pl.Series(click))
    return pl.concat([frame, again]).unique(["user", "time", "item"], maintain_order=True).sort("time"), BASE


@clean()
def lists_of_ten(seed: int) -> Table:
    """Pages of impressions of one moment, most with one click."""
    draw = np.random.default_rng(seed)
    pages, size = 900, 8
    page = log(seed, rows=pages, users=120)
    item = draw.integers(0, 200, (len(page), size))
    liked = draw.integers(0, size, len(page))
    click = (np.arange(size) == liked[:, None]) & (draw.random(len(page)) < 0.9)[:, None]
    frame = page.select("user", "time", "device").select(pl.all().repeat_by(size).explode())
    frame = frame.with_columns(item=pl.Series(item.ravel()), click=pl.Series(click.ravel().astype(np.int64)))
    frame = frame.with_columns(
        category=pl.col("item") % 12, price=pl.col("item") * 1.5, score=pl.Series(draw.normal(size=len(frame)))
    ).unique(["user", "time", "item"], maintain_order=True)
    return frame, BASE
