"""Raw files in the formats of the published data sets, of any size, with their skew: many users, few popular items.

The figures behind them (ids, rates, periods, shares of missing values) are those of the published files. Fewer rows
have proportionally fewer users, as an excerpt by user has; items are drawn from all there are.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import polars as pl
import pyarrow as pa

CHUNK = 1_000_000
_DAY = 86_400
# Share of events by local hour, as in UserBehavior.
_HOURS = np.array(
    [37, 16, 9, 5, 5, 8, 16, 27, 36, 44, 51, 49, 50, 54, 52, 53, 52, 48, 51, 69, 82, 88, 77, 59], np.float64
)

Generator = np.random.Generator


def write_user_behavior(folder: Path, rows: int, seed: int = 0) -> Path:
    """UserBehavior.csv: user_id,item_id,category_id,behavior,timestamp, no header; users in the order of their ids as
    text, each user's events by time. One event in 2,000 lies outside the stated nine days."""
    draw = np.random.default_rng(seed)
    users = max(1, min(987_994, round(rows / 101.4)))
    ids = draw.choice(np.arange(1, 1_018_012), users, replace=False)
    ids = ids[np.argsort(ids.astype(str), kind="stable")]
    activity = 1 + draw.gamma(1.2, 84, users)
    ends = np.round(np.cumsum(activity) / activity.sum() * rows).astype(np.int64)
    item_ids = draw.permutation(5_163_070)[:4_162_024] + 1
    category_ids = draw.permutation(5_161_669)[:9_439] + 1
    category_of = category_ids[_ranks(draw, 4_162_024, 9_439, 2.5)]
    behaviors = pl.Series(["pv", "cart", "fav", "buy"])
    path = folder / "UserBehavior.csv"

    def chunk(first: int, size: int) -> pl.DataFrame:
        owner = np.searchsorted(ends, np.arange(first, first + size), side="right")
        day = draw.choice(9, size, p=np.array([10, 10, 10, 10, 10, 11, 11, 14, 14]) / 100)
        time = 1_511_539_200 + day * _DAY + _moment(draw, size)
        stray = draw.random(size) < 0.0005
        time[stray] -= (draw.pareto(1.0, int(stray.sum())) * _DAY).astype(np.int64) % 100_000_000 + 10 * _DAY
        order = np.argsort(owner * 2**33 + time, kind="stable")
        rank = _ranks(draw, size, len(item_ids), 2.2)
        again = np.flatnonzero((draw.random(size - 1) < 0.22) & (owner[1:] == owner[:-1])) + 1
        rank[again] = rank[again - 1]
        kind = np.searchsorted([0.896, 0.951, 0.980], draw.random(size))
        return pl.DataFrame(
            {
                "user": ids[owner],
                "item": item_ids[rank],
                "category": category_of[rank],
                "behavior": behaviors.gather(kind),
                "time": time[order],
            }
        )

    _write(path, rows, chunk)
    return path


_CRITEO_IDS = (
    1460, 583, 10_131_227, 2_202_608, 305, 24, 12_517, 633, 3, 93_145, 5_683, 8_351_593, 3_194, 27, 14_992, 5_461_306,
    10, 5_652, 2_173, 4, 7_046_547, 18, 15, 286_181, 105, 142_572,
)  # fmt: skip
_CRITEO_MISSING = dict.fromkeys((3, 4, 12, 16, 21, 24), 0.034) | {6: 0.12, 19: 0.44, 20: 0.44, 22: 0.76, 25: 0.44,
                                                                  26: 0.44}  # fmt: skip
_CRITEO_COUNTS = (  # median, spread of the logarithm, share missing
    (1, 1.2, 0.45), (3, 2.0, 0.0), (6, 1.6, 0.21), (4, 1.1, 0.22), (2900, 2.2, 0.03), (44, 1.5, 0.22), (3, 1.4, 0.04),
    (8, 1.0, 0.0), (47, 1.3, 0.04), (0.5, 0.6, 0.45), (1, 1.1, 0.04), (0.3, 1.0, 0.77), (5, 1.0, 0.22),
)  # fmt: skip


def write_criteo(folder: Path, rows: int, seed: int = 0) -> Path:
    """train.txt of Criteo's challenge: label, I1 to I13, C1 to C26, tab-separated, empty where missing."""
    draw = np.random.default_rng(seed)
    path = folder / "train.txt"

    def chunk(_first: int, size: int) -> pl.DataFrame:
        columns: dict[str, Any] = {"label": (draw.random(size) < 0.256).astype(np.uint8)}
        for i, (median, spread, missing) in enumerate(_CRITEO_COUNTS, 1):
            values = (median * np.exp(spread * draw.normal(size=size))).astype(np.int64)
            if i == 2:
                values -= draw.integers(0, 3, size)
            columns[f"I{i}"] = _with_missing(pl.Series(values), draw, missing)
        for i, ids in enumerate(_CRITEO_IDS, 1):
            rank = _ranks(draw, size, ids, 4.0)
            columns[f"C{i}"] = _with_missing(_hex(rank * 64 + i), draw, _CRITEO_MISSING.get(i, 0.0))
        return pl.DataFrame(columns)

    _write(path, rows, chunk, separator="\t")
    return path


def write_taobao_ads(folder: Path, rows: int, seed: int = 0, events: int | None = None) -> Path:
    """The four files of Taobao's Ad Display/Click data, with their headers; impressions and log in no order.

    Args:
        rows: of raw_sample.csv.
        events: of behavior_log.csv; default: as many for each row as in the published files (27).
    """
    draw = np.random.default_rng(seed)
    ads, users = 846_811, max(1, min(1_141_729, round(rows / 23.3)))
    events = round(rows * 723_268_134 / 26_557_961) if events is None else events
    user_ids = draw.permutation(1_141_729)[:users] + 1
    category = _ranks(draw, ads, 6_769, 2.5) + 1
    brand = _with_missing(pl.Series(_ranks(draw, ads, 99_814, 2.0) + 1).cast(pl.String), draw, 0.29)
    features = pl.DataFrame(
        {
            "adgroup_id": draw.permutation(ads) + 1,
            "cate_id": category,
            "campaign_id": _ranks(draw, ads, 423_436, 1.2) + 1,
            "customer": _ranks(draw, ads, 255_875, 1.5) + 1,
            "brand": brand,
            "price": np.round(np.exp(5 + 1.3 * draw.normal(size=ads)), 2),
        }
    )
    features.write_csv(folder / "ad_feature.csv", null_value="NULL")

    described = np.sort(user_ids[draw.random(users) < 0.95])
    n = len(described)
    profile = {
        "userid": described,
        "cms_segid": draw.integers(0, 97, n),
        "cms_group_id": draw.integers(0, 13, n),
        "final_gender_code": draw.integers(1, 3, n),
        "age_level": draw.integers(0, 7, n),
        "pvalue_level": _with_missing(pl.Series(draw.integers(1, 4, n)), draw, 0.54),
        "shopping_level": draw.integers(1, 4, n),
        "occupation": draw.integers(0, 2, n),
        "new_user_class_level ": _with_missing(pl.Series(draw.integers(1, 5, n)), draw, 0.32),  # the published header
    }
    pl.DataFrame(profile).write_csv(folder / "user_profile.csv")

    activity = np.cumsum(1 + draw.gamma(0.8, 28, users))
    activity /= activity[-1]
    places, tags = pl.Series(["430548_1007", "430539_1007"]), pl.Series(["pv", "cart", "fav", "buy"])
    ad_ids = features["adgroup_id"].to_numpy()
    seen_brand = pl.Series(_ranks(draw, ads, 460_561, 2.0) + 1)

    def impressions(_first: int, size: int) -> pl.DataFrame:
        clicked = (draw.random(size) < 0.0514).astype(np.uint8)
        return pl.DataFrame(
            {
                "user": user_ids[np.searchsorted(activity, draw.random(size))],
                "time_stamp": 1_494_000_000 + draw.integers(0, 8, size) * _DAY + _moment(draw, size),
                "adgroup_id": ad_ids[_ranks(draw, size, ads, 3.0)],
                "pid": places.gather(draw.integers(0, 2, size)),
                "nonclk": 1 - clicked,
                "clk": clicked,
            }
        )

    def log(_first: int, size: int) -> pl.DataFrame:
        ad = _ranks(draw, size, ads, 2.5)
        return pl.DataFrame(
            {
                "user": user_ids[np.searchsorted(activity, draw.random(size))],
                "time_stamp": 1_492_790_400 + draw.integers(0, 22, size) * _DAY + _moment(draw, size),
                "btag": tags.gather(np.searchsorted([0.951, 0.976, 0.988], draw.random(size))),
                "cate": category[ad],
                "brand": seen_brand.gather(ad),
            }
        )

    _write(folder / "raw_sample.csv", rows, impressions, header=True)
    _write(folder / "behavior_log.csv", events, log, header=True)
    return folder


WRITERS: dict[str, Callable[..., Path]] = {
    "user-behavior": write_user_behavior,
    "criteo": write_criteo,
    "taobao-ads": write_taobao_ads,
}


def _write(
    path: Path,
    rows: int,
    chunk: Callable[[int, int], pl.DataFrame],
    *,
    separator: str = ",",
    header: bool = False,
    at_once: int = CHUNK,
) -> None:
    with path.open("wb") as file:
        for first in range(0, rows, at_once):
            frame = chunk(first, min(at_once, rows - first))
            _append(file, frame, separator, header and first == 0)


def _append(file: BinaryIO, frame: pl.DataFrame, separator: str, header: bool) -> None:
    frame.write_csv(file, separator=separator, include_header=header, quote_style="never")


def _ranks(draw: Generator, size: int, ids: int, skew: float) -> np.ndarray:
    """(size,) int64 ranks below `ids`: rank r is drawn with a probability that falls as r^(1/skew − 1)."""
    return np.minimum((draw.random(size) ** skew * ids).astype(np.int64), ids - 1)


def _moment(draw: Generator, size: int) -> np.ndarray:
    """Seconds since midnight, busiest in the evening."""
    return draw.choice(24, size, p=_HOURS / _HOURS.sum()) * 3600 + draw.integers(0, 3600, size)


def _with_missing(values: pl.Series, draw: Generator, share: float) -> pl.Series:
    return values.zip_with(pl.Series(draw.random(len(values)) >= share), pl.Series([None], dtype=values.dtype))


def _hex(numbers: np.ndarray) -> pl.Series:
    """Numbers below 2**32, scattered one to one, as 8 hexadecimal digits."""
    scattered = (numbers.astype(np.uint64) * np.uint64(2_654_435_761) % np.uint64(2**32)).astype(">u4")
    pairs = np.array([f"{i:02x}" for i in range(256)], dtype="S2")
    text = pairs[scattered.view(np.uint8)].tobytes()
    offsets = np.arange(0, 8 * len(numbers) + 1, 8, dtype=np.int64)
    return pl.Series(
        pl.from_arrow(pa.LargeStringArray.from_buffers(len(numbers), pa.py_buffer(offsets), pa.py_buffer(text)))
    )
