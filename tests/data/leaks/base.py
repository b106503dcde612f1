"""Logs of clicks with a leak of the label planted, and logs without one: each is a function of a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.store.dataset import PreparedDataset

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
