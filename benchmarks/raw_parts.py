"""Raw files of data sets that come in parts, of any size: MIND, EB-NeRD, Ali-CCP, Amazon Reviews 2023, Criteo_x1.

Lengths of lists, shares of clicks and numbers of ids are about those that publishers state or readers of the files
report.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.raw_data import CHUNK, _ranks, _write

_PARTS = (("train", 0.86), ("dev", 0.14))


def _lists(draw: np.random.Generator, mean: float, most: int, lines: int) -> np.ndarray:
    """(lines,) lengths."""
    return np.minimum(1 + draw.geometric(1 / mean, lines), most)


def _joined(parts: pl.Expr, lengths: np.ndarray, columns: dict[str, np.ndarray], by: str) -> pl.Series:
    """(lines,) texts of so many elements each, joined."""
    line = np.repeat(np.arange(len(lengths)), lengths)
    whole = pl.DataFrame({"line": line, **columns}).select("line", part=parts)
    texts = whole.group_by("line", maintain_order=True).agg(pl.col("part").str.join(by))
    empty = pl.DataFrame({"line": np.arange(len(lengths))}).join(texts, on="line", how="left", maintain_order="left")
    return empty["part"]


def write_mind(folder: Path, rows: int, seed: int = 0) -> Path:
    """MINDlarge_train and MINDlarge_dev: 37 articles an impression, 33 in its history, one in 25 clicked."""
    draw, articles, users = np.random.default_rng(seed), 100_000, max(10, round(rows / 37 / 2.5))
    for part, (name, share) in enumerate(_PARTS):
        path = folder / f"MINDlarge_{name}"
        path.mkdir()
        ids = np.arange(articles)
        frame = pl.DataFrame({"id": ids, "kind": ids % 17, "sub": ids % 264})
        frame = frame.select(
            pl.format("N{}", "id"), pl.format("c{}", "kind"), pl.format("s{}", "sub"),
            *(pl.lit(text).alias(text[:9]) for text in ('A "title', "abstract", "https://x", "[]", "-[]")),
        )  # fmt: skip
        frame.write_csv(path / "news.tsv", include_header=False, separator="\t", quote_style="never")

        def chunk(first: int, size: int, part: int = part) -> pl.DataFrame:
            shown, past = _lists(draw, 37, 299, size), _lists(draw, 33, 400, size) - 2
            n, items = int(shown.sum()), _ranks(draw, int(past.sum()), articles, 3.0)
            columns = {"item": _ranks(draw, n, articles, 6.0), "click": (draw.random(n) < 0.04).astype(int)}
            time = pl.Series(1_573_257_600 + part * 518_400 + draw.integers(0, 518_400 if part == 0 else 86_400, size))
            return pl.DataFrame(
                {
                    "impression": np.arange(first + 1, first + size + 1),
                    "user": pl.select(pl.format("U{}", pl.Series(draw.integers(0, users, size)))).to_series(),
                    "time": pl.from_epoch(time).dt.strftime("%-m/%-d/%Y %-I:%M:%S %p"),
                    "history": _joined(pl.format("N{}", "item"), past, {"item": items}, " "),
                    "impressions": _joined(pl.format("N{}-{}", "item", "click"), shown, columns, " "),
                }
            )

        _write(path / "behaviors.tsv", max(1, round(rows * share / 38)), chunk, separator="\t", at_once=CHUNK // 20)
    return folder


def write_ali_ccp(folder: Path, rows: int, seed: int = 0) -> Path:
    """The four files: an index for 58 impressions, 518 features of each."""
    draw = np.random.default_rng(seed)
    single = (("101", 240_000), ("121", 98), ("122", 14), ("124", 3), ("125", 8), ("126", 4), ("127", 4), ("128", 3),
              ("129", 5))  # fmt: skip
    of_item = (
        ("205", 4_300_000, 4.0),
        ("206", 6_929, 2.5),
        ("207", 263_942, 3.0),
        ("216", 106_399, 2.5),
        ("301", 4, 1.0),
    )
    crossed = (("210", 90_000), ("508", 5_888), ("509", 104_830), ("702", 51_878), ("853", 37_148))
    for part in ("train", "test"):
        count, indices = rows // 2, max(1, rows // 2 // 58)

        def users(first: int, size: int) -> pl.DataFrame:
            lengths = _lists(draw, 508, 3000, size)
            columns: dict[str, Any] = {
                "field": pl.Series(["109_14", "110_14", "127_14", "150_14"]).gather(draw.integers(0, 4, lengths.sum())),
                "id": draw.integers(3_000_000, 9_000_000, lengths.sum()),
                "value": np.round(draw.random(lengths.sum()) * 3, 5),
            }
            lists = _joined(pl.format("{}\x02{}\x03{}", "field", "id", "value"), lengths, columns, "\x01")
            own = [
                pl.format(f"{field}\x02{{}}\x031.0", pl.Series(draw.integers(1, ids + 1, size)))
                for field, ids in single
            ]
            return pl.DataFrame(
                {"at": np.arange(first, first + size), "n": lengths + len(single), "lists": lists}
            ).select(
                pl.format("bacff916{}", pl.col("at").cast(pl.String).str.zfill(8)),
                "n",
                pl.concat_str(*own, "lists", separator="\x01"),
            )

        def impressions(first: int, size: int, indices: int = indices) -> pl.DataFrame:
            own = [
                pl.format(f"{field}\x02{{}}\x031.0", pl.Series(_ranks(draw, size, ids, skew) + 1))
                for field, ids, skew in of_item
            ]
            own += [
                pl.format(
                    f"{field}\x02{{}}\x03{{}}", pl.Series(draw.integers(1, ids, size)), pl.Series(draw.random(size))
                )
                for field, ids in crossed
            ]
            click = (draw.random(size) < 0.04).astype(int)
            return pl.DataFrame({"sample": np.arange(first, first + size), "click": click}).select(
                "sample",
                "click",
                (pl.col("click") * pl.Series((draw.random(size) < 0.005).astype(int))).alias("bought"),
                pl.format("bacff916{}", pl.Series(draw.integers(0, indices, size)).cast(pl.String).str.zfill(8)).alias(
                    "i"
                ),
                pl.lit(len(own)).alias("n"),
                pl.concat_str(*own, separator="\x01").alias("features"),
            )

        _write(folder / f"common_features_{part}.csv", indices, users, at_once=2_000)
        _write(folder / f"sample_skeleton_{part}.csv", count, impressions, at_once=CHUNK // 2)
    return folder


def write_ebnerd(folder: Path, rows: int, seed: int = 0) -> Path:
    """articles.parquet, train and validation: 11.6 articles in view of a page, 190 clicks in a history."""
    draw, start = np.random.default_rng(seed), datetime(2023, 5, 18, 7)
    ids = np.arange(9_600_000, 9_725_000)
    pl.DataFrame(
        {
            "article_id": pl.Series(ids, dtype=pl.Int32),
            "title": [f"Title {i}" for i in ids],
            "category_str": pl.Series([f"c{i}" for i in range(32)]).gather(ids % 32),
            "article_type": pl.Series(["article_default", "article_video"]).gather(ids % 2),
            "premium": ids % 5 == 0,
            "sentiment_label": pl.Series(["Negative", "Neutral", "Positive"]).gather(ids % 3),
        }
    ).write_parquet(folder / "articles.parquet")
    first = int((start - datetime(1970, 1, 1)).total_seconds())

    def lists(lengths: np.ndarray, values: pl.Series) -> pl.Series:
        whole = pl.DataFrame({"line": np.repeat(np.arange(len(lengths)), lengths), "value": values})
        return whole.group_by("line", maintain_order=True).agg("value")["value"]

    for part, name in enumerate(("train", "validation")):
        path, views = folder / name, max(10, round(rows / 2 / 11.6))
        path.mkdir()
        users, week = max(5, views // 15), first + 604_800 * part
        shown = _lists(draw, 10.6, 100, views)
        in_view = lists(shown, pl.Series(ids[_ranks(draw, int(shown.sum()), len(ids), 6.0)]).cast(pl.Int32))
        pl.DataFrame(
            {
                "impression_id": pl.Series(np.arange(views), dtype=pl.UInt32),
                "article_id": pl.Series(draw.choice(ids, views), dtype=pl.Int32),
                "impression_time": pl.from_epoch(pl.Series(week + draw.integers(0, 604_800, views))).cast(
                    pl.Datetime("us")
                ),
                "device_type": pl.Series(draw.integers(1, 4, views), dtype=pl.Int8),
                "article_ids_inview": in_view,
                "article_ids_clicked": in_view.list.head(1),
                "user_id": pl.Series(draw.integers(0, users, views), dtype=pl.UInt32),
                "is_sso_user": draw.random(views) < 0.05,
                **{
                    one: pl.Series([None, 0, 1], dtype=pl.Int8).gather(draw.integers(0, 3, views))
                    for one in ("gender", "postcode", "age")
                },
            }
        ).write_parquet(path / "behaviors.parquet")
        lengths = _lists(draw, 190, 1500, users)
        times = np.sort(week - draw.integers(1, 1_814_400, int(lengths.sum())))
        pl.DataFrame(
            {
                "user_id": pl.Series(np.arange(users), dtype=pl.UInt32),
                "impression_time_fixed": lists(lengths, pl.from_epoch(pl.Series(times)).cast(pl.Datetime("us"))),
                "article_id_fixed": lists(lengths, pl.Series(draw.choice(ids, len(times))).cast(pl.Int32)),
            }
        ).write_parquet(path / "history.parquet")
    return folder


def write_amazon_reviews(folder: Path, rows: int, seed: int = 0) -> Path:
    """rating_only of one category: 8 reviews a user, by user, then time."""
    draw, users = np.random.default_rng(seed), max(5, rows // 8)

    def chunk(first: int, size: int) -> pl.DataFrame:
        user = np.sort(draw.integers(first // 8, (first + size) // 8 + 1, size))
        time = draw.integers(1_200_000_000_000, 1_690_000_000_000, size)
        return pl.DataFrame(
            {
                "user_id": pl.select(pl.format("A{}", pl.Series(user).cast(pl.String).str.zfill(27))).to_series(),
                "parent_asin": pl.select(
                    pl.format("B{}", pl.Series(_ranks(draw, size, users // 4, 2.5)).cast(pl.String).str.zfill(9))
                ).to_series(),
                "rating": draw.choice([1.0, 2.0, 3.0, 4.0, 5.0], size, p=[0.1, 0.05, 0.08, 0.14, 0.63]),
                "timestamp": time[np.lexsort((time, user))],
            }
        )

    _write(folder / "Toys_and_Games.csv", rows, chunk, header=True)
    return folder


_CRITEO_IDS = (
    1400, 550, 430_000, 160_000, 300, 24, 12_000, 630, 3, 90_000, 5600, 350_000, 3100, 27, 13_000, 250_000, 10, 5500,
    2100, 4, 300_000, 17, 15, 120_000, 100, 85_000,
)  # fmt: skip
"""Ids of C1 to C26: 1.8 million in all."""


def write_reczoo(folder: Path, rows: int, seed: int = 0) -> Path:
    """Criteo_x1 of reczoo, in its shares: fractions, and codes that are unique over all columns."""
    draw, begin = np.random.default_rng(seed), 13 + np.cumsum((0, *_CRITEO_IDS))

    def chunk(_first: int, size: int) -> pl.DataFrame:
        numbers = {f"I{i}": draw.integers(0, 100_000, size) / 100_000 for i in range(1, 14)}
        ids = {f"C{i + 1}": begin[i] + _ranks(draw, size, most, 3.0) for i, most in enumerate(_CRITEO_IDS)}
        return pl.DataFrame({"label": (draw.random(size) < 0.256).astype(np.int8)} | numbers | ids)

    for name, share in (("train", 0.72), ("valid", 0.18), ("test", 0.1)):
        _write(folder / f"{name}.csv", round(share * rows), chunk, header=True)
    return folder
