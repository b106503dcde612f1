"""Numbers made from ids over rows that a model is judged on."""

from __future__ import annotations

import numpy as np
import polars as pl

from tests.data.leaks.base import BASE, DAY, START, Table, latest, leak, log

RATE = BASE | {"numeric": "price,score,rate"}
DAY_OF = ((pl.col("time") - START) // DAY).alias("day")


def _rate(*by: str | pl.Expr, prior: float = 0.0) -> pl.Expr:
    """The click rate over all rows, smoothed by so many rows of the mean."""
    base = pl.col("click").mean()
    return ((pl.col("click").sum().over(*by) + prior * base) / (pl.len().over(*by) + prior)).alias("rate")


@leak("encodings", "encodings", "label-leak")
def item_rate_over_all_rows(seed: int) -> Table:
    return log(seed).with_columns(_rate("item")), RATE


@leak("encodings", "encodings", "label-leak", quick=False)
def item_rate_smoothed(seed: int) -> Table:
    return log(seed).with_columns(_rate("item", prior=20)), RATE


@leak("encodings", "encodings", "label-leak", quick=False)
def user_rate_over_all_rows(seed: int) -> Table:
    return log(seed).with_columns(_rate("user", prior=5)), RATE


@leak("encodings", "encodings", "label-leak", quick=False)
def category_rate_over_all_rows(seed: int) -> Table:
    return log(seed).with_columns(_rate("category")), RATE


@leak("encodings", "encodings", "label-leak")
def rate_of_users_in_categories(seed: int) -> Table:
    return log(seed).with_columns(_rate("user", "category", prior=1)), RATE


@leak("encodings", "encodings", "label-leak", quick=False)
def rate_of_an_item_on_its_day(seed: int) -> Table:
    return log(seed).with_columns(_rate("item", DAY_OF, prior=2)), RATE


@leak("encodings", "encodings", "label-leak", quick=False)
def item_rate_with_noise(seed: int) -> Table:
    draw = np.random.default_rng(seed)
    frame = log(seed).with_columns(_rate("item", prior=5))
    return frame.with_columns(rate=pl.col("rate") + pl.Series(0.01 * draw.normal(size=len(frame)))), RATE


@leak("encodings", "encodings", "label-leak", quick=False)
def item_rate_as_log_odds(seed: int) -> Table:
    frame = log(seed).with_columns(_rate("item", prior=3))
    return frame.with_columns(rate=(pl.col("rate") / (1 - pl.col("rate"))).log()), RATE


@leak("encodings", "encodings", "label-leak", quick=False)
def item_rate_over_training_and_test_folds(seed: int) -> Table:
    """Five folds, each encoded by the four others: test rows see test labels all the same."""
    frame = log(seed)
    fold = pl.Series("fold", np.random.default_rng(seed).integers(0, 5, len(frame)))
    frame = frame.with_columns(fold)
    k, n = pl.col("click").sum(), pl.len()
    others = (k.over("item") - k.over("item", "fold") + 0.5) / (n.over("item") - n.over("item", "fold") + 2)
    return frame.with_columns(rate=others), RATE


@leak("encodings", "encodings", "label-leak")
def item_rate_without_the_row_itself(seed: int) -> Table:
    k, n = pl.col("click").sum().over("item"), pl.len().over("item")
    return log(seed).with_columns(rate=(k - pl.col("click") + 0.25) / n), RATE


@leak("encodings", "encodings", "label-leak", quick=False)
def item_rate_over_test_rows(seed: int) -> Table:
    frame = log(seed)
    late = frame.filter(pl.Series(latest(frame))).group_by("item").agg(rate=pl.col("click").mean())
    joined = frame.join(late, on="item", how="left", maintain_order="left")
    return joined.with_columns(pl.col("rate").fill_null(0.25)), RATE


@leak("encodings", "encodings", "label-leak", quick=False)
def rate_of_rarely_clicked_items(seed: int) -> Table:
    return log(seed, rows=20_000, rate=0.04).with_columns(_rate("item", prior=10)), RATE


@leak("encodings", "encodings")
def item_rows_over_all_rows(seed: int) -> Table:
    return log(seed).with_columns(rate=pl.len().over("item").log1p()), RATE


@leak("encodings", "encodings", quick=False)
def user_rows_over_all_rows(seed: int) -> Table:
    return log(seed).with_columns(rate=pl.len().over("user")), RATE


@leak("encodings", "encodings", quick=False)
def item_clicks_over_all_rows(seed: int) -> Table:
    return log(seed).with_columns(rate=pl.col("click").sum().over("item") / pl.len()), RATE


@leak("encodings", "encodings", "label-leak", quick=False)
def item_rate_of_its_week(seed: int) -> Table:
    """Computed over groups that no pair of inputs names."""
    return log(seed).with_columns(_rate("item", (pl.col("time") - START) // (4 * DAY))), RATE


@leak("encodings", "encodings", "label-leak", quick=False)
def user_rate_as_an_id(seed: int) -> Table:
    frame = log(seed).with_columns(_rate("user"))
    return frame.with_columns(rate=pl.col("rate").round(4).cast(pl.String)), BASE | {"categorical": "device,rate"}


@leak("encodings", "encodings", quick=False)
def label_of_the_users_next_row(seed: int) -> Table:
    return log(seed).with_columns(rate=pl.col("click").shift(-1).over("user").fill_null(0)), RATE


@leak("ids that know", "written-ids")
def label_at_the_end_of_request_ids(seed: int) -> Table:
    request = pl.format("r{}-{}", pl.int_range(pl.len()) * 7919 % 1_000_003, pl.col("click"))
    return log(seed).with_columns(request=request), BASE | {"categorical": "device,request"}


@leak("ids that know", "written-ids", quick=False)
def odd_numbers_of_clicks(seed: int) -> Table:
    number = pl.int_range(pl.len()) * 2 + pl.col("click")
    return log(seed).with_columns(request=number), BASE | {"categorical": "device,request"}
