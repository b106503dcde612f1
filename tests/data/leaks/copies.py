"""Rows that come again where nobody would see it."""

from __future__ import annotations

import numpy as np
import polars as pl

from tests.data.leaks.base import BASE, DAY, Table, latest, leak, log, luck


def _rows_with_numbers(seed: int) -> pl.DataFrame:
    """A log each of whose rows has a number of its own besides."""
    frame = log(seed)
    return frame.with_columns(place=pl.Series(np.round(np.random.default_rng(seed).random(len(frame)), 4)))


NUMBERS = BASE | {"numeric": "price,score,place"}


@leak("copies", "copied-users")
def users_again_under_other_ids(seed: int) -> Table:
    frame = log(seed)
    copied = frame.filter(pl.col("user") < 20).with_columns(
        user=pl.col("user") + 1000, time=pl.col("time") + 3 * DAY, score=pl.col("score") + 0.01
    )
    return pl.concat([frame, copied]).sort("time"), BASE


@leak("copies", "copied-users", quick=False)
def users_again_with_other_times(seed: int) -> Table:
    frame = log(seed)
    draw = np.random.default_rng(seed)
    copied = frame.filter(pl.col("user") < 30)
    copied = copied.with_columns(
        user=pl.col("user") + 1000,
        time=pl.col("time") + 4 * DAY + pl.Series(draw.integers(-600, 600, len(copied))),
        score=pl.Series(draw.normal(size=len(copied))),
        device=pl.Series(draw.integers(0, 4, len(copied))),
    )
    return pl.concat([frame, copied.select(frame.columns)]).sort("time"), BASE


@leak("copies", "copied-users", quick=False)
def test_users_that_are_training_users(seed: int) -> Table:
    """The last fifth of the rows are those of earlier users, renamed."""
    frame = log(seed)
    early = frame.filter(pl.Series(~latest(frame, 0.25)))
    span = int(np.ptp(early["time"].to_numpy()))
    copied = early.filter(pl.col("user") % 3 == 0).with_columns(
        user=pl.col("user") + 1000, time=pl.col("time") + span, score=-pl.col("score")
    )
    return pl.concat([early, copied]).sort("time"), BASE


@leak("copies", "rows-again", "rows-across-splits")
def rows_again_days_later(seed: int) -> Table:
    frame = _rows_with_numbers(seed)
    again = frame.filter(pl.Series(~latest(frame, 0.3) & (luck(frame, seed) < 0.1)))
    later = pl.Series(np.random.default_rng(seed).integers(0, 3 * DAY, len(again)))
    return pl.concat([frame, again.with_columns(time=pl.col("time") // DAY * 0 + frame["time"][-1] - later)]).sort(
        "time"
    ), NUMBERS


@leak("copies", "rows-again", "rows-across-splits", quick=False)
def rows_again_seconds_later_split_at_random(seed: int) -> Table:
    frame = _rows_with_numbers(seed)
    again = frame.filter(pl.Series(luck(frame, seed) < 0.15))
    later = pl.Series(np.random.default_rng(seed).integers(1, 30, len(again)))
    return pl.concat([frame, again.with_columns(time=pl.col("time") + later)]).sort("time"), NUMBERS | {
        "split": "random"
    }


@leak("copies", "rows-again", "rows-across-splits", quick=False)
def rows_again_with_another_device(seed: int) -> Table:
    frame = _rows_with_numbers(seed)
    again = frame.filter(pl.Series(luck(frame, seed) < 0.1))
    draw = np.random.default_rng(seed)
    again = again.with_columns(
        time=pl.col("time") + pl.Series(draw.integers(1, 9000, len(again))), device=(pl.col("device") + 1) % 4
    )
    return pl.concat([frame, again]).sort("time"), NUMBERS | {"split": "random"}


@leak("copies", "rows-again", "rows-across-splits")
def rows_without_users_or_times_but_one_input_alike(seed: int) -> Table:
    frame = log(seed).with_columns(pl.col("score").round(2))
    again = frame.filter(pl.Series(luck(frame, seed) < 0.08))
    draw = np.random.default_rng(seed)
    again = again.with_columns(price=pl.col("price") + pl.Series(draw.random(len(again))))
    return pl.concat([frame, again]).sample(fraction=1, shuffle=True, seed=seed), BASE | {
        "timestamp": None, "user": None, "history": "none", "categorical": "device,user",
    }  # fmt: skip


@leak("copies", "rows-again", quick=False)
def rows_of_ids_alone_again_within_minutes(seed: int) -> Table:
    frame = log(seed).drop("price", "score")
    again = frame.filter(pl.Series(luck(frame, seed) < 0.1))
    later = pl.Series(np.random.default_rng(seed).integers(1, 120, len(again)))
    return pl.concat([frame, again.with_columns(time=pl.col("time") + later)]).sort("time"), {"categorical": "device"}
