"""Small folders in the exact format of reczoo/Datasets, written by the tests.

Names and order of columns: each set's conversion script (github.com/reczoo/Datasets, convert_*_x*.py); of KKBox_x1 and
MicroVideo1.7M_x1, which have none or copy the input's columns, BARS' data set settings, in an order of our own. Which
parts there are: the tables of each README.md.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

PARTS = {"train.csv": 160, "valid.csv": 40, "test.csv": 40}
WITHOUT_VALIDATION = ("TaobaoAd_x1", "AmazonElectronics_x1", "KuaiVideo_x1", "MicroVideo1.7M_x1")
_HEX_AVAZU = [f"{of}_{what}" for of in ("site", "app") for what in ("id", "domain", "category")]
_HEX_AVAZU += ["device_id", "device_ip", "device_model"]
_PROFILE = ["cms_segid", "cms_group_id", "final_gender_code", "age_level", "pvalue_level", "shopping_level"]
_PROFILE += ["occupation", "new_user_class_level"]


def write_set(name: str, folder: Path, seed: int = 0) -> dict[str, list[dict[str, Any]]]:
    """Write the files of a set and return their rows, values as they are written."""
    draw = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for file, size in PARTS.items():
        if file == "valid.csv" and name in WITHOUT_VALIDATION:
            continue
        rows = [_ROWS[name](draw, i, file) for i in range(size)]
        if name == "KuaiVideo_x1":  # the script sorts by time
            rows.sort(key=lambda row: row["timestamp"])
        with (folder / file).open("w", newline="", encoding="utf-8") as out:
            writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")  # as pandas quotes
            writer.writeheader()
            writer.writerows(rows)
        written[file] = rows
    return written


def _label(draw: np.random.Generator, i: int) -> int:
    return int(i % 4 == 0 or draw.random() < 0.1)


def _joined(ids: Any) -> str:
    return "^".join(map(str, ids))


def _codes(draw: np.random.Generator, names: list[str], begin: int) -> dict[str, int]:
    """Codes that are unique over all columns."""
    return {name: begin + 10 * k + int(draw.integers(0, 6)) for k, name in enumerate(names)}


def _criteo_x1(draw: np.random.Generator, i: int, _file: str) -> dict[str, Any]:
    numbers = {f"I{k}": f"{draw.random():.6f}" for k in range(1, 14)}
    return {"label": _label(draw, i)} | numbers | _codes(draw, [f"C{k}" for k in range(1, 27)], 100)


def _criteo_x4(draw: np.random.Generator, i: int, _file: str) -> dict[str, Any]:
    counts = {f"I{k}": "" if draw.random() < 0.3 else int(draw.integers(-2, 90)) for k in range(1, 14)}
    ids = {f"C{k}": "" if draw.random() < 0.1 else f"{int(draw.integers(0, 9)):08x}" for k in range(1, 27)}
    return {"Label": _label(draw, i)} | counts | ids


def _avazu_x1(draw: np.random.Generator, i: int, _file: str) -> dict[str, Any]:
    return {"label": _label(draw, i)} | _codes(draw, [f"feat_{k}" for k in range(1, 23)], 1)


def _avazu_x4(draw: np.random.Generator, i: int, _file: str) -> dict[str, Any]:
    row: dict[str, Any] = {"id": f"1{draw.integers(10**17):018d}", "click": _label(draw, i)}
    row |= {"hour": f"1410{draw.integers(21, 31)}{draw.integers(0, 24):02d}", "C1": 1005, "banner_pos": i % 2}
    row |= {name: f"{int(draw.integers(0, 9)):08x}" for name in _HEX_AVAZU} | {
        "device_type": 1,
        "device_conn_type": i % 3,
    }
    return row | {f"C{k}": int(draw.integers(-1, 9)) for k in range(14, 22)}


def _frappe(draw: np.random.Generator, i: int, _file: str) -> dict[str, Any]:
    context = ["daytime", "weekday", "isweekend", "homework", "cost", "weather", "country", "city"]
    return {
        "label": _label(draw, i),
        "user": int(draw.integers(0, 30)),
        "item": 957 + int(draw.integers(0, 40)),
    } | _codes(draw, context, 5000)


def _movielens(draw: np.random.Generator, i: int, _file: str) -> dict[str, Any]:
    ids = {"user_id": int(draw.integers(0, 30)), "item_id": 100 + int(draw.integers(0, 40))}
    return {"label": _label(draw, i)} | ids | {"tag_id": 200 + int(draw.integers(0, 20))}


def _taobao(draw: np.random.Generator, i: int, _file: str) -> dict[str, Any]:
    events = draw.integers(0, 5, (3, int(draw.integers(0, 6))))  # zeros are stripped from each list by itself
    lists = {
        name: _joined(x for x in one if x)
        for name, one in zip(("btag_his", "cate_his", "brand_his"), events, strict=True)
    }
    row = {"clk": _label(draw, i)} | lists | {"userid": int(draw.integers(1, 30))}
    row |= {name: int(draw.integers(0, 4)) for name in _PROFILE}
    row |= {"adgroup_id": int(draw.integers(1, 40)), "cate_id": int(draw.integers(1, 5)), "campaign_id": i % 7}
    row |= {"customer": i % 5, "brand": int(draw.integers(0, 5)), "price": f"{draw.random() * 900:.1f}"}
    return row | {"pid": ("430548_1007", "430539_1007")[i % 2], "btag": 1}


def _amazon(draw: np.random.Generator, i: int, _file: str) -> dict[str, Any]:
    past = draw.integers(0, 60, int(draw.integers(1, 8)))
    item = int(draw.integers(0, 60))
    row = {"label": i % 2, "user_id": int(draw.integers(0, 30)), "item_id": item, "cate_id": item % 7}
    return row | {"item_history": _joined(past), "cate_history": _joined(past % 7)}


def _kuaivideo(draw: np.random.Generator, i: int, _file: str) -> dict[str, Any]:
    row = {"timestamp": int(draw.integers(4_000_000, 900_000_000)), "user_id": int(draw.integers(0, 20))}
    row |= {"item_id": int(draw.integers(0, 60)), "is_click": _label(draw, i), "is_like": i % 3 // 2, "is_follow": 0}
    full = 100 if i % 10 == 0 else int(draw.integers(0, 9))
    return row | {"pos_items": _joined(draw.integers(0, 60, full)), "neg_items": _joined(draw.integers(0, 60, 5))}


def _microvideo(draw: np.random.Generator, i: int, file: str) -> dict[str, Any]:
    past = draw.integers(0, 60, int(draw.integers(0, 8)))
    item = int(draw.integers(0, 60)) + 60 * (file == "test.csv")  # items of the test are new
    row = {"user_id": int(draw.integers(0, 20)), "item_id": item, "cate_id": item % 9, "is_click": _label(draw, i)}
    row |= {"timestamp": int(draw.integers(1000, 9000)) + 9000 * (file == "test.csv")}
    return row | {"clicked_items": _joined(past), "clicked_categories": _joined(past % 9)}


def _kkbox(draw: np.random.Generator, i: int, _file: str) -> dict[str, Any]:
    row = {"msno": f"u{draw.integers(0, 30)}=", "song_id": f"s{draw.integers(0, 40)}=", "source_system_tab": "explore"}
    row |= {
        "source_screen_name": "",
        "source_type": "radio",
        "label": _label(draw, i),
        "city": i % 5,
        "bd": (0, 25, 1030)[i % 3],
    }
    row |= {"gender": ("male", "female", "")[i % 3], "registered_via": 7, "genre_ids": ("465", "465|458")[i % 2]}
    row |= {"artist_name": ('Simon, Paul "S"', "周杰倫 (Jay Chou)")[i % 2], "language": "3.0", "name": "x, y"}
    return row | {"isrc": ("TWUM71200043", "")[i % 2]}


_ROWS: dict[str, Any] = {
    "Criteo_x1": _criteo_x1, "Criteo_x4": _criteo_x4, "Avazu_x1": _avazu_x1, "Avazu_x4": _avazu_x4,
    "Frappe_x1": _frappe, "MovielensLatest_x1": _movielens, "TaobaoAd_x1": _taobao,
    "AmazonElectronics_x1": _amazon, "KuaiVideo_x1": _kuaivideo, "MicroVideo1.7M_x1": _microvideo, "KKBox_x1": _kkbox,
}  # fmt: skip
NAMES = list(_ROWS)
