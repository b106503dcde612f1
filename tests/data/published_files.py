"""Small folders in the exact formats of published data sets, with rows of our own. What is known of the formats, and
from where, stands in docs/data.md."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl


def write_mind(folder: Path, parts: tuple[str, ...] = ("MINDsmall_train", "MINDsmall_dev"), seed: int = 0) -> None:
    """Folders as MIND has them: no header, tabs, quotes that mean nothing, times without leading zeros and zone."""
    draw = np.random.default_rng(seed)
    titles = ['The "Queen" says', '"No end to it', "Plain: 5 o'clock", 'It"s', 'Old "news"']
    for part, name in enumerate(parts):
        path = folder / name
        path.mkdir(parents=True)
        articles = range(100, 140 + 5 * part)
        news = [
            f'N{i}\t{["news", "sports"][i % 2]}\tsub{i % 5}\t{titles[i % 5]}\t"said\thttps://x/{i}.html\t[]\t\n'
            for i in articles
        ]
        (path / "news.tsv").write_text("".join(news))
        lines = []
        for impression in range(60 if part == 0 else 24):
            user = int(draw.integers(0, 12))
            hours = timedelta(hours=144 * part + int(draw.integers(0, 140)), seconds=int(draw.integers(0, 3600)))
            time = datetime(2019, 11, 9) + hours
            written = f"{time.month}/{time.day}/{time.year} {time.hour % 12 or 12}:{time:%M:%S %p}"
            past = " ".join(f"N{i}" for i in draw.choice(articles, int(draw.integers(0, 6)), replace=False))
            shown = draw.choice(articles, int(draw.integers(3, 12)), replace=False)
            marks = ["-1", *["-0"] * (len(shown) - 1)] if not name.endswith("test") else [""] * len(shown)
            list_of = " ".join(f"N{i}{mark}" for i, mark in zip(shown, draw.permutation(marks), strict=True))
            lines.append(f"{impression + 1}\tU{user}\t{written}\t{past}\t{list_of}\n")
        (path / "behaviors.tsv").write_text("".join(lines))


def write_amazon_reviews(root: Path, users: int = 20, seed: int = 0) -> list[tuple[str, str, float, int]]:
    """`rating_only`, `last_out_w_his` and `timestamp_w_his` of one category, as benchmark_scripts of
    hyp1231/AmazonReviews2023 make them from reviews by user, then time: a pair's first review alone; the last one of
    each user is test, the one before it valid."""
    draw, header = np.random.default_rng(seed), "user_id,parent_asin,rating,timestamp"
    valid_from, test_from = 1628643414042, 1658002729837
    reviews: list[tuple[str, str, float, int]] = []
    files: dict[tuple[str, str], list[str]] = {}
    for user in range(users):
        items = draw.choice(60, int(draw.integers(3, 12)), replace=False)
        times = np.sort(draw.integers(1_540_000_000_000, 1_690_000_000_000, len(items)))
        own = [
            (f"A{user:027}", f"B{item:09}", float(draw.integers(1, 6)), int(time))
            for item, time in zip(items, times, strict=True)
        ]
        reviews += own
        for i, (who, what, stars, time) in enumerate(own):
            line = f"{who},{what},{stars},{time}"
            past = f"{line},{' '.join(item for _, item, _, _ in own[:i])}"
            at_end = {len(own) - 1: "test", len(own) - 2: "valid"}.get(i, "train")
            at_time = "test" if time >= test_from else "valid" if time >= valid_from else "train"
            files.setdefault(("rating_only", ""), []).append(line)
            files.setdefault(("last_out_w_his", f".{at_end}"), []).append(past)
            files.setdefault(("timestamp_w_his", f".{at_time}"), []).append(past)
    for (folder, part), lines in files.items():
        path = root / "5core" / folder / f"Toys_and_Games{part}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        names = header + (",history" if folder.endswith("his") else "")
        path.write_text("\n".join([names, *lines]) + "\n")
    return reviews


def write_ebnerd(root: Path, parts: tuple[str, ...] = ("train", "validation"), seed: int = 0) -> None:
    """Folders as EB-NeRD has them: `articles.parquet`, and for each part page views of one week and a row a user with
    clicks of the three weeks before it."""
    draw = np.random.default_rng(seed)
    start, articles = datetime(2023, 5, 18, 7), list(range(9_700_000, 9_700_060))
    root.mkdir(parents=True)
    pl.DataFrame(
        {
            "article_id": pl.Series(articles, dtype=pl.Int32),
            "title": [f'Title "{i}' for i in articles],
            "published_time": [start] * len(articles),
            "premium": [i % 3 == 0 for i in articles],
            "article_type": [["article_default", "article_video"][i % 2] for i in articles],
            "category_str": [["nyheder", "sport", "krimi"][i % 3] for i in articles],
            "total_pageviews": [None if i % 7 else i for i in articles],
            "sentiment_label": [["Negative", "Neutral"][i % 2] for i in articles],
        }
    ).write_parquet(root / "articles.parquet")
    users = np.arange(10_000, 10_016)
    for part, name in enumerate(parts):
        week = start + timedelta(days=7 * part)
        folder, views = root / name, []
        folder.mkdir()
        for _ in range(60):
            shown = draw.choice(articles, int(draw.integers(5, 12)), replace=False).tolist()
            clicked = shown[:2] if draw.random() < 0.1 else shown[:1]
            user = int(draw.choice(users))
            draw.shuffle(shown)
            views.append(
                {
                    "impression_id": int(draw.integers(1, 2**31)),
                    "article_id": None if draw.random() < 0.7 else int(draw.choice(articles)),
                    "impression_time": week + timedelta(seconds=int(draw.integers(0, 7 * 86400))),
                    "read_time": float(draw.integers(1, 100)),
                    "scroll_percentage": None if draw.random() < 0.7 else float(draw.integers(1, 101)),
                    "device_type": int(draw.integers(1, 4)),
                    "article_ids_inview": shown,
                    "article_ids_clicked": clicked,
                    "user_id": user,
                    "is_sso_user": user % 2 == 0,
                    "gender": None if user % 3 else user % 2,
                    "postcode": None if user % 4 else 2,
                    "age": None if user % 5 else 40,
                    "is_subscriber": user % 3 == 0,
                    "session_id": user,
                    "next_read_time": float(draw.integers(1, 100)),
                    "next_scroll_percentage": float(draw.integers(1, 101)),
                }
            )
        types = {
            "impression_id": pl.UInt32, "article_id": pl.Int32, "impression_time": pl.Datetime("us"),
            "read_time": pl.Float32, "scroll_percentage": pl.Float32, "device_type": pl.Int8,
            "article_ids_inview": pl.List(pl.Int32), "article_ids_clicked": pl.List(pl.Int32), "user_id": pl.UInt32,
            "is_sso_user": pl.Boolean, "gender": pl.Int8, "postcode": pl.Int8, "age": pl.Int8,
            "is_subscriber": pl.Boolean, "session_id": pl.UInt32, "next_read_time": pl.Float32,
            "next_scroll_percentage": pl.Float32,
        }  # fmt: skip
        frame = pl.DataFrame(views, schema=types)
        if name == "test":  # as the official test set
            late = ["article_id", "article_ids_clicked", "next_read_time", "next_scroll_percentage"]
            frame = frame.drop(late).with_columns(is_beyond_accuracy=False)
        frame.write_parquet(folder / "behaviors.parquet")
        counts = [int(draw.integers(5, 15)) for _ in users[1:]]  # the first one has no history
        times = [sorted(week - timedelta(seconds=int(s)) for s in draw.integers(1, 21 * 86400, n)) for n in counts]
        pl.DataFrame(
            {
                "user_id": pl.Series(users[1:], dtype=pl.UInt32),
                "impression_time_fixed": pl.Series(times, dtype=pl.List(pl.Datetime("us"))),
                "scroll_percentage_fixed": pl.Series([[50.0] * n for n in counts], dtype=pl.List(pl.Float32)),
                "article_id_fixed": pl.Series(
                    [draw.choice(articles, n).tolist() for n in counts], dtype=pl.List(pl.Int32)
                ),
                "read_time_fixed": pl.Series([[5.0] * n for n in counts], dtype=pl.List(pl.Float32)),
            }
        ).write_parquet(folder / "history.parquet")


def histories(dataset, split: str) -> list[list[str | None]]:  # type: ignore[no-untyped-def]
    """Of each row the items of its history, oldest first, as raw ids; None where training rows do not know one."""
    names = dict(dataset.vocabulary("item").select("code", "id").rows())
    rows, codes = dataset.rows(split), dataset.events["item"]
    return [
        [names.get(int(code)) for code in codes[start:end]]
        for start, end in zip(rows.history_start, rows.history_end, strict=True)
    ]


def write_ali_ccp(folder: Path, rows: int = 150, users: int = 20, seed: int = 0) -> dict[str, list[dict[str, Any]]]:
    """The four files of Ali-CCP: no header; each feature a field, an id and a value, parted and joined by control
    characters, those of the users in files of their own, in another order and named by an index. Returns the
    impressions of each part as dicts, the features as id → value by field."""
    draw, made = np.random.default_rng(seed), {}
    folder.mkdir(parents=True)

    def some(low: int, high: int, size: int) -> dict[int, float]:
        ids = (low + draw.choice(high - low, size, replace=False)).tolist()
        return {id: round(float(draw.random() * 3), 5) for id in ids}

    def written(features: dict[str, dict[int, float]]) -> str:
        found = [f"{field}\x02{id}\x03{value}" for field, ids in features.items() for id, value in ids.items()]
        return f"{len(found)},{chr(1).join(found[i] for i in draw.permutation(len(found)))}"

    for part in ("train", "test"):
        common = {}
        for user in range(users):
            single = {f: {100_000 + 100 * i + user % (i + 2): 1.0} for i, f in enumerate(("121", "122", "124", "125"))}
            single |= {"101": {2_000_000 + user: 1.0}, "127": {3_864_885 + user % 3: 1.0}}
            lists = {f: some(5_000, 5_030, int(draw.integers(0, 8))) for f in ("109_14", "110_14", "127_14", "150_14")}
            common[f"{user + (part == 'test') * 5:016x}"] = single | lists
        impressions = []
        for sample in range(rows if part == "train" else rows // 3):
            click = int(draw.random() < 0.2)
            bought = int(draw.random() < (0.3 if click else 0.05))
            features = {"205": {4_000_000 + int(draw.integers(0, 40)): 1.0}, "206": some(8_000, 8_009, 1)}
            features |= {"207": some(1, 30, 1), "301": {9_351_665 + int(draw.integers(0, 3)): 1.0}}
            features |= {"210": dict.fromkeys(some(1, 30, int(draw.integers(0, 3))), 1.0), "508": some(1, 9, 1)}
            features |= {"853": some(1, 30, int(draw.integers(0, 3)))}
            index = str(draw.choice(list(common)))
            impressions.append(
                {"sample": sample, "click": click, "conversion": bought, "index": index, "own": features}
            )
        made[part] = [one | {"features": one["own"] | common[one["index"]]} for one in impressions]
        lines = [
            f"{i['sample']},{i['click']},{i['conversion']},{i['index']},{written(i['own'])}\n" for i in impressions
        ]
        (folder / f"sample_skeleton_{part}.csv").write_text("".join(lines))
        (folder / f"common_features_{part}.csv").write_text(
            "".join(f"{index},{written(features)}\n" for index, features in common.items())
        )
    return made
