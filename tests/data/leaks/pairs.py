"""Inputs that say nothing alone and the label together."""

from __future__ import annotations

import numpy as np
import polars as pl

from tests.data.leaks.base import BASE, Table, leak, log, luck, where


@leak("pairs", "inputs-together", "all-inputs")
def exclusive_or_of_two_flags(seed: int) -> Table:
    frame = log(seed)
    one = np.random.default_rng(seed).integers(0, 2, len(frame))
    return frame.with_columns(a=pl.Series(one), b=pl.Series(one ^ frame["click"].to_numpy())), BASE | {
        "categorical": "device,a,b"
    }


@leak("pairs", "inputs-together", "all-inputs", quick=False)
def exclusive_or_now_and_then_wrong(seed: int) -> Table:
    frame = log(seed)
    one = np.random.default_rng(seed).integers(0, 2, len(frame))
    other = one ^ frame["click"].to_numpy() ^ (luck(frame, seed) < 0.05)
    return frame.with_columns(a=pl.Series(one), b=pl.Series(other.astype(np.int64))), BASE | {
        "categorical": "device,a,b"
    }


@leak("pairs", "inputs-together", "all-inputs", quick=False)
def signs_of_two_numbers(seed: int) -> Table:
    frame = log(seed)
    draw = np.random.default_rng(seed)
    one, size = draw.normal(size=len(frame)), np.abs(draw.normal(size=len(frame)))
    sign = np.where(frame["click"].to_numpy() == 1, 1, -1) * np.sign(one)
    return frame.with_columns(a=pl.Series(one), b=pl.Series(sign * size)), BASE | {"numeric": "price,score,a,b"}


@leak("pairs", "inputs-together", "all-inputs", quick=False)
def sum_of_two_codes(seed: int) -> Table:
    frame = log(seed)
    one = np.random.default_rng(seed).integers(0, 10, len(frame))
    step = np.where(frame["click"].to_numpy() == 1, 3, np.random.default_rng(seed + 1).choice([0, 1, 5, 7], len(frame)))
    return frame.with_columns(a=pl.Series(one), b=pl.Series((one + step) % 10)), BASE | {"categorical": "device,a,b"}


@leak("pairs", "inputs-together", "all-inputs")
def equal_ids_when_clicked(seed: int) -> Table:
    frame = log(seed)
    draw = np.random.default_rng(seed)
    one = draw.integers(0, 300, len(frame))
    other = where(frame["click"].to_numpy() == 1, one, draw.integers(0, 300, len(frame)))
    return frame.with_columns(a=pl.Series(one), b=other), BASE | {"categorical": "device,a,b"}


@leak("pairs", "inputs-together", "all-inputs", quick=False)
def a_number_against_the_items_price(seed: int) -> Table:
    frame = log(seed)
    paid = frame["price"].to_numpy() * np.where(frame["click"].to_numpy() == 1, 1.0, 0.8)
    return frame.with_columns(paid=pl.Series(paid)), BASE | {"numeric": "price,score,paid"}


@leak("pairs", "inputs-together", "all-inputs", quick=False)
def parts_of_the_label_in_three_numbers(seed: int) -> Table:
    frame = log(seed)
    draw = np.random.default_rng(seed)
    parts = draw.normal(size=(len(frame), 3))
    total = parts.sum(axis=1)
    parts[:, 2] += np.where(frame["click"].to_numpy() == 1, np.abs(total), -np.abs(total)) - total
    columns = {name: pl.Series(parts[:, i]) for i, name in enumerate("abc")}
    return frame.with_columns(**columns), BASE | {"numeric": "price,score,a,b,c"}


@leak("pairs", "inputs-together", "all-inputs", "label-leak", quick=False)
def far_from_the_middle_when_clicked(seed: int) -> Table:
    frame = log(seed)
    draw = np.random.default_rng(seed)
    far = np.where(frame["click"].to_numpy() == 1, 2 + np.abs(draw.normal(size=len(frame))), draw.random(len(frame)))
    return frame.with_columns(a=pl.Series(far * draw.choice([-1, 1], len(frame)))), BASE | {"numeric": "price,score,a"}


@leak("pairs", "inputs-together", "all-inputs", quick=False)
def exclusive_or_of_three_flags(seed: int) -> Table:
    frame = log(seed)
    draw = np.random.default_rng(seed)
    one, other = draw.integers(0, 2, len(frame)), draw.integers(0, 2, len(frame))
    third = pl.Series(one ^ other ^ frame["click"].to_numpy())
    return frame.with_columns(a=pl.Series(one), b=pl.Series(other), c=third), BASE | {"categorical": "device,a,b,c"}


@leak("pairs", "inputs-together", "all-inputs", quick=False)
def exclusive_or_with_a_fifth_wrong(seed: int) -> Table:
    frame = log(seed)
    one = np.random.default_rng(seed).integers(0, 2, len(frame))
    other = one ^ frame["click"].to_numpy() ^ (luck(frame, seed) < 0.2)
    return frame.with_columns(a=pl.Series(one), b=pl.Series(other.astype(np.int64))), BASE | {
        "categorical": "device,a,b"
    }


@leak("pairs", "inputs-together", "all-inputs", quick=False)
def begin_and_end_of_a_stay(seed: int) -> Table:
    frame = log(seed)
    draw = np.random.default_rng(seed)
    begin = draw.normal(100, 20, len(frame))
    stay = np.where(frame["click"].to_numpy() == 1, 0.5 + 5 * draw.random(len(frame)), 0)
    return frame.with_columns(begin=pl.Series(begin), end=pl.Series(begin + stay)), BASE | {
        "numeric": "price,score,begin,end"
    }
