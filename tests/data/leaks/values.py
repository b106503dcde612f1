"""Values that decide the label, that are missing by label or in a part; labels of groups; one user."""

from __future__ import annotations

import numpy as np
import polars as pl

from tests.data.leaks.base import BASE, DAY, START, Table, latest, leak, log, luck, where

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


@leak("missing by label", "missing-by-label", "deciding-values", quick=False)
def minus_one_in_many_negatives(seed: int) -> Table:
    frame = log(seed)
    gone = luck(frame, seed) < np.where(frame["click"].to_numpy() == 1, 0.02, 0.5)
    return frame.with_columns(age=where(gone, -1, 18 + frame["user"].to_numpy() % 50)), BASE | {
        "numeric": "price,score,age"
    }


@leak("a value that decides", "deciding-values", quick=False)
def purchase_with_nearly_only_clicks(seed: int) -> Table:
    frame = log(seed)
    bought = luck(frame, seed) < np.where(frame["click"].to_numpy() == 1, 0.1, 0.001)
    return frame.with_columns(purchase=where(bought, 1, 0)), BASE | {"categorical": "device,purchase"}
