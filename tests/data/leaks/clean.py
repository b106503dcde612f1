"""Logs without a leak: hard, skewed, or well explained by honest inputs."""

from __future__ import annotations

import numpy as np
import polars as pl

from tests.data.leaks.base import BASE, Table, clean, latest, log, luck


@clean()
def an_ordinary_log(seed: int) -> Table:
    return log(seed), BASE


@clean("history-empty", "concentrated-users")
def heavy_skew(seed: int) -> Table:
    return log(seed, users=3000, items=4000, tail=1.0), BASE


@clean("few-labels")
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


@clean()
def rates_of_the_day_before(seed: int) -> Table:
    frame = log(seed).with_columns(day=pl.col("time") // 86400)
    rates = frame.group_by("item", "day").agg(before=pl.col("click").mean()).with_columns(pl.col("day") + 1)
    frame = frame.join(rates, on=["item", "day"], how="left", maintain_order="left").drop("day")
    return frame, BASE | {"numeric": "price,score,before"}


@clean()
def a_quality_that_items_have(seed: int) -> Table:
    """What an item's click rate follows, known without any click."""
    frame = log(seed)
    draw = np.random.default_rng(seed)
    quality = draw.normal(size=200)[frame["item"].to_numpy()]
    click = draw.random(len(frame)) < 1 / (1 + np.exp(1.5 - 1.2 * quality))
    return frame.with_columns(click=pl.Series(click.astype(np.int64)), quality=pl.Series(quality)), BASE | {
        "numeric": "price,score,quality"
    }


@clean()
def devices_that_like_categories(seed: int) -> Table:
    """Inputs that say more together than alone, as tastes do."""
    frame = log(seed)
    draw = np.random.default_rng(seed)
    taste = draw.normal(0, 1.5, (4, 12))[frame["device"].to_numpy(), frame["category"].to_numpy()]
    click = draw.random(len(frame)) < 1 / (1 + np.exp(1.2 - taste))
    return frame.with_columns(click=pl.Series(click.astype(np.int64))), BASE


@clean()
def requests_with_numbers_of_their_own(seed: int) -> Table:
    frame = log(seed)
    ids = np.random.default_rng(seed).permutation(len(frame) * 3)[: len(frame)] // 20
    return frame.with_columns(place=pl.Series(ids % 600)), BASE | {"categorical": "device,place"}
