"""Positives and negatives whose times were not written by one clock."""

from __future__ import annotations

import numpy as np
import polars as pl

from tests.data.leaks.base import BASE, START, Table, leak, log


def _when(frame: pl.DataFrame, clicked: pl.Expr, otherwise: pl.Expr | None = None) -> pl.DataFrame:
    other = pl.col("time") if otherwise is None else otherwise
    return frame.with_columns(time=pl.when(pl.col("click") == 1).then(clicked).otherwise(other)).unique(
        ["user", "time", "item"], maintain_order=True
    )


@leak("times by label", "times-by-label", "timezone")
def clicks_in_another_timezone(seed: int) -> Table:
    return _when(log(seed), pl.col("time") + 8 * 3600), BASE


@leak("times by label", "times-by-label", quick=False)
def clicks_some_hours_later(seed: int) -> Table:
    frame = log(seed)
    delay = pl.Series(np.random.default_rng(seed).exponential(1.0, len(frame)) * 3600 + 3 * 3600).cast(pl.Int64)
    return _when(frame, pl.col("time") + delay), BASE


@leak("times by label", "times-by-label", quick=False)
def clicks_written_at_night(seed: int) -> Table:
    frame = log(seed)
    late = pl.Series(np.random.default_rng(seed).integers(0, 3600, len(frame)))
    return _when(frame, (pl.col("time") - START) // 86400 * 86400 + START + 3 * 3600 + late), BASE


@leak("times by label", "times-by-label")
def negatives_to_the_minute(seed: int) -> Table:
    return _when(log(seed), pl.col("time"), pl.col("time") // 60 * 60), BASE


@leak("times by label", "times-by-label", quick=False)
def even_seconds_of_clicks(seed: int) -> Table:
    return _when(log(seed), pl.col("time") // 2 * 2, pl.col("time") // 2 * 2 + 1), BASE


@leak("times by label", "times-by-label", quick=False)
def clicks_seconds_after_their_page(seed: int) -> Table:
    draw = np.random.default_rng(seed)
    size = 6
    page = log(seed, rows=1300, users=200)
    frame = page.select("user", "time", "device").select(pl.all().repeat_by(size).explode())
    rows = len(frame)
    click = (draw.random(rows) < 0.25).astype(np.int64)
    frame = frame.with_columns(
        item=pl.Series(draw.integers(0, 200, rows)), click=pl.Series(click), score=pl.Series(draw.normal(size=rows))
    ).with_columns(category=pl.col("item") % 12, price=pl.col("item") * 1.5)
    return _when(frame, pl.col("time") + pl.Series(draw.integers(3, 60, rows))), BASE


@leak("times by label", "times-by-label", "positive-rate-drift", "both-labels")
def sorted_by_label(seed: int) -> Table:
    """No times, and clicks first in each tenth of the file."""
    frame = log(seed)
    tenth = pl.int_range(pl.len()) * 10 // pl.len()
    rank = (tenth * 10 + 9 * (1 - pl.col("click"))).alias("rank")
    ordered = frame.with_columns(rank).sort((pl.col("rank") // 40), "click", "rank", descending=[False, True, False])
    return ordered.drop("rank"), BASE | {"timestamp": None, "history": "none"}
