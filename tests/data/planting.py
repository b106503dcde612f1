"""Clean data for the tests that plant faults into it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.store.columns import read_columns
from mdaf_core.data.store.dataset import PreparedDataset
from tests.data.raw_files import TAOBAO_START

MAPPING = {"label": "clk", "user": "uid", "timestamp": "when", "item": "ad", "category": "cate", "numeric": "price"}
AWAKE = np.array([3, 2, *[0.2] * 5, 1, *[3] * 12, *[5] * 4])
"""How busy each hour is in Shanghai: nobody is awake from two to seven."""


def impressions(
    seed: int = 0, rows: int = 3000, days: int = 10, users: int = 40, ads: int = 150, tail: float = 0.0
) -> pl.DataFrame:
    """Impressions in Shanghai, by time: nothing repeats, nothing drifts.

    Args:
        tail: how much more frequent some users and ads are than others (exponent of their rank).
    """
    draw = np.random.default_rng(seed)
    hour = draw.choice(24, rows, p=AWAKE / AWAKE.sum())
    when = TAOBAO_START + draw.integers(0, days, rows) * 86400 + hour * 3600 + draw.integers(0, 3600, rows)

    def choose(size: int) -> np.ndarray:
        weight = np.arange(1, size + 1) ** -tail
        return draw.choice(size, rows, p=weight / weight.sum())

    ad = choose(ads)
    frame = pl.DataFrame(
        {
            "clk": (draw.random(rows) < 0.2 + 0.2 * (ad % 2)).astype(np.int64),
            "uid": choose(users),
            "when": when,
            "ad": ad,
            "cate": ad % 9,
            "price": draw.normal(size=rows),
        }
    )
    return frame.unique(["uid", "when", "ad"], maintain_order=True).sort("when")


def prepare_table(folder: Path, frame: pl.DataFrame, **options: object) -> PreparedDataset:
    """Those impressions, and what columns they have besides, as a prepared data set."""
    frame.write_csv(folder / "log.csv")
    shanghai = {"timezone": "Asia/Shanghai"}
    return prepare("table", path=folder / "log.csv", name="data", options=MAPPING | shanghai | options)


def change(
    dataset: PreparedDataset, file: str, alter: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray] | None]
) -> None:
    """Write a file of the data set anew, its columns altered in place or returned."""
    columns = {name: values.copy() for name, values in read_columns(dataset.path / file).items()}
    batch = pa.record_batch({name: pa.array(values) for name, values in (alter(columns) or columns).items()})
    with pa.OSFile(str(dataset.path / file), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
