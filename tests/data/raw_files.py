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
