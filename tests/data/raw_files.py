"""Small raw files in the formats that users download, written by the tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

USER_BEHAVIOR_START = 1511539200  # 2017-11-25 00:00 in Shanghai


def write_user_behavior(path: Path, n: int = 3000, users: int = 25, items: int = 120, seed: int = 0) -> list[tuple]:
    generator = np.random.default_rng(seed)
    item = generator.integers(1, items, n)
    rows = sorted(
        zip(
            generator.integers(1, users + 1, n).tolist(),
            item.tolist(),
            (item % 11).tolist(),
            generator.choice(["pv", "cart", "fav", "buy"], n, p=[0.85, 0.06, 0.04, 0.05]).tolist(),
            (USER_BEHAVIOR_START + generator.integers(0, 9 * 86400, n) // 60 * 60).tolist(),  # minutes: many ties
            strict=True,
        ),
        key=lambda row: row[0],
    )
    path.write_text("".join(f"{','.join(map(str, row))}\n" for row in rows))
    return rows


def write_criteo(path: Path, n: int = 400, seed: int = 0) -> list[list[str]]:
    generator = np.random.default_rng(seed)
    rows = []
    for _ in range(n):
        counts = [
            ""
            if generator.random() < 0.3
            else str(int(generator.integers(-2, 2000)) if generator.random() < 0.5 else 0)
            for _ in range(13)
        ]
        ids = ["" if generator.random() < 0.2 else f"{int(generator.integers(0, 6)):08x}" for _ in range(26)]
        rows.append([str(int(generator.random() < 0.3)), *counts, *ids])
    path.write_text("".join("\t".join(row) + "\n" for row in rows))
    return rows


def write_ml_100k(folder: Path, n: int = 600, seed: int = 0) -> list[tuple[int, int, int, int]]:
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    ratings = [
        (
            int(generator.integers(1, 21)),
            int(generator.integers(1, 41)),
            int(generator.integers(1, 6)),
            880_000_000 + i // 2,
        )
        for i in range(n)
    ]
    (folder / "u.data").write_text("".join("\t".join(map(str, r)) + "\n" for r in ratings))
    flags = ["|".join("1" if g == i % 19 or g == 18 else "0" for g in range(19)) for i in range(41)]
    items = [f"{i}|Amélie {i} (2001)|01-Jan-2001||http://x/?{i}|{flags[i]}\n" for i in range(1, 41)]
    (folder / "u.item").write_bytes("".join(items).encode("latin-1"))
    people = [f"{u}|{20 + u}|{'MF'[u % 2]}|{['artist', 'writer'][u % 2]}|0000{u}\n" for u in range(1, 21)]
    (folder / "u.user").write_text("".join(people))
    return ratings


def write_ml_csv(folder: Path, n: int = 400, seed: int = 0) -> None:
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        f"{generator.integers(1, 15)},{generator.integers(1, 30)},{generator.integers(1, 11) / 2},{10**9 + 60 * i}"
        for i in range(n)
    ]
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + "\n".join(lines) + "\n")
    movies = [f'{i},"Film, the {i}th (1999)",Drama|War' for i in range(1, 29)] + ["29,Plain (2000),(no genres listed)"]
    (folder / "movies.csv").write_text("movieId,title,genres\n" + "\n".join(movies) + "\n")


def write_ml_1m(folder: Path, n: int = 400, seed: int = 0) -> None:
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    ratings = [
        f"{generator.integers(1, 15)}::{generator.integers(1, 30)}::{generator.integers(1, 6)}::{10**9 + i}"
        for i in range(n)
    ]
    (folder / "ratings.dat").write_text("\n".join(ratings) + "\n")
    movies = [f"{i}::Été {i}: a film (1999)::Drama|War" for i in range(1, 30)]
    (folder / "movies.dat").write_bytes(("\n".join(movies) + "\n").encode("latin-1"))
    (folder / "users.dat").write_text(
        "".join(f"{u}::{'MF'[u % 2]}::{[1, 25][u % 2]}::{u}::48067\n" for u in range(1, 15))
    )


TAOBAO_START = 1494000000  # 2017-05-06 00:00 in Shanghai
PROFILE_FIELDS = (
    "cms_segid", "cms_group_id", "final_gender_code", "age_level", "pvalue_level", "shopping_level", "occupation",
    "new_user_class_level",
)  # fmt: skip


def write_taobao_ads(
    folder: Path, n: int = 1500, users: int = 30, ads: int = 80, log: int = 4000, seed: int = 0
) -> dict[str, list[list[str]]]:
    """The four files as Tianchi ships them; returns their lines as lists of texts, by file name."""
    generator = np.random.default_rng(seed)
    draw = generator.integers
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, list[list[str]]] = {"raw_sample": [], "ad_feature": [], "user_profile": [], "behavior_log": []}
    for _ in range(n):
        clicked = int(generator.random() < 0.15)
        time = TAOBAO_START + int(draw(0, 8 * 86400)) // 600 * 600  # many ties
        files["raw_sample"].append(
            [*map(str, (draw(1, users + 1), time, draw(1, ads + 1))), f"430{draw(539, 549)}_1007",
             str(1 - clicked), str(clicked)]
        )  # fmt: skip
    for ad in range(1, ads + 1):
        brand = "NULL" if ad % 3 == 0 else str(ad % 9)
        files["ad_feature"].append([str(ad), str(ad % 7), str(ad // 2), str(ad // 4), brand, f"{ad * 1.5}"])
    for user in range(1, users + 1):
        if user % 5:  # every fifth has no profile
            levels = [str(user % 4) for _ in PROFILE_FIELDS]
            levels[4] = "" if user % 2 else levels[4]
            levels[7] = "" if user % 3 else levels[7]
            files["user_profile"].append([str(user), *levels])
    for _ in range(log):
        time = TAOBAO_START + int(draw(-14 * 86400, 8 * 86400)) // 600 * 600
        tag = generator.choice(["pv", "cart", "fav", "buy"], p=[0.85, 0.06, 0.04, 0.05])
        brand = "NULL" if generator.random() < 0.1 else str(draw(0, 12))
        files["behavior_log"].append([*map(str, (draw(1, users + 10), time, tag, draw(0, 9))), brand])
    headers = {
        "raw_sample": "user,time_stamp,adgroup_id,pid,nonclk,clk",
        "ad_feature": "adgroup_id,cate_id,campaign_id,customer,brand,price",
        "user_profile": f"userid,{','.join(PROFILE_FIELDS)} ",  # the real file's header ends with a space
        "behavior_log": "user,time_stamp,btag,cate,brand",
    }
    for name, lines in files.items():
        text = "".join(",".join(line) + "\n" for line in lines)
        (folder / f"{name}.csv").write_text(f"{headers[name]}\n{text}")
    return files
