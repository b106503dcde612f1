"""Preparation equals its slow definition on random small inputs: histories, codes, splits, labels, ties in time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mdaf_core.data.audit import Audit
from mdaf_core.data.columns import identities
from mdaf_core.data.dataset import PreparedDataset
from mdaf_core.data.prepare import prepare
from mdaf_core.data.schema import SPLITS
from mdaf_core.errors import StudioError
from tests.data.raw_files import PROFILE_FIELDS, TAOBAO_START, USER_BEHAVIOR_START
from tests.data.slow_prepare import Input, Refused, Row, slow_prepare

pytestmark = pytest.mark.usefixtures("home")
random_inputs = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

DAY = 86400
ticks = st.integers(0, 23).map(lambda tick: tick * DAY // 4)  # a quarter of a day: many ties, six days
small = st.integers(1, 4)
optional = st.one_of(st.none(), st.integers(0, 3))
splits = st.fixed_dictionaries(
    {},
    optional={
        "split": st.sampled_from(["time", "last-day", "leave-last-out"]),
        "min_count": st.integers(1, 2),
    },
).flatmap(
    lambda chosen: (
        st.just(chosen)
        if chosen.get("split", "time") != "time"
        else st.sampled_from([(0.8, 0.1, 0.1), (0.5, 0.25, 0.25), (1 / 3, 1 / 3, 1 / 3)]).map(
            lambda fractions: chosen | {"fractions": fractions}
        )
    )
)


@pytest.fixture(autouse=True)
def without_audit(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Only what is written is judged here."""
    unaudited = Audit(dataset="data", created="", checks=[])
    monkeypatch.setattr("mdaf_core.data.prepare.audit_dataset", lambda *_: unaudited)
    monkeypatch.setattr("mdaf_core.data.prepare.write_statistics", lambda _: None)
    yield


def _agree(source: str, path: Path, given: Input, options: dict[str, Any]) -> None:
    """Prepare, and compare every row with the definition; where that refuses, so must the program."""
    try:
        expected = slow_prepare(given, options)
    except Refused:
        with pytest.raises(StudioError):
            prepare(source, path=path, name="data", options=options)
        return
    dataset = prepare(source, path=path, name="data", options=options)
    assert [field.name for field in dataset.meta.fields if field.kind == "categorical"][
        : len(given.fields)
    ] == given.fields
    assert dataset.meta.history_fields == given.history
    for split, rows in zip(SPLITS, expected, strict=True):
        assert len(dataset.rows(split)) == len(rows)
        for position, row in enumerate(rows):
            _same(dataset, split, position, row, given)


def _same(dataset: PreparedDataset, split: Any, position: int, row: Row, given: Input) -> None:
    rows, log = dataset.rows(split), dataset.events
    assert rows.row_id[position] == row.row_id and rows.label[position] == row.label
    assert rows.timestamp[position] == row.time and dataset.users[int(rows.user[position])] == row.user
    assert {name: int(rows.columns[name][position]) for name in given.fields} == row.codes
    if not given.history:
        assert rows.history_start[position] == rows.history_end[position] == 0
        return
    events = range(int(rows.history_start[position]), int(rows.history_end[position]))
    codes = [{name: int(log[name][event]) for name in given.history} for event in events]
    assert codes == [{name: code for name, (code, _) in event.items()} for event in row.history]
    for name in given.history:  # equality of raw ids, those without a code included
        target = identities(rows.columns, name)[position]
        equal = [bool(identities(log, name)[event] == target) for event in events]
        assert equal == [event[name][1] == row.raw[name] for event in row.history]


def _hours(rows: list[dict[str, Any]], timezone: str) -> None:
    for row in rows:
        local = datetime.fromtimestamp(row["time"], UTC).astimezone(ZoneInfo(timezone))
        row["hour"], row["dayofweek"] = local.hour, local.isoweekday()


def _text(value: Any) -> str:
    return "" if value is None else str(value)


@random_inputs
@given(
    lines=st.lists(
        st.tuples(small, small, small, st.sampled_from(["pv", "pv", "cart", "buy"]), ticks), min_size=10, max_size=24
    ),
    history=st.sets(st.sampled_from(["pv", "cart", "fav", "buy"]), min_size=1),
    outside=st.booleans(),
    options=splits,
)
def test_user_behavior(tmp_path, lines, history, outside, options):
    lines = [(u, i, c, b, USER_BEHAVIOR_START + t) for u, i, c, b, t in lines]
    if outside:
        lines.insert(len(lines) // 2, (1, 1, 1, "buy", 5))
    path = tmp_path / "UserBehavior.csv"
    path.write_text("".join(",".join(map(str, line)) + "\n" for line in lines))
    kept = [line for line in lines if line[4] > 5]
    rows = [
        {"label": int(b != "pv"), "user": u, "time": t, "item": i, "category": c} for u, i, c, b, t in kept
    ]  # fmt: skip
    events = [row for row, line in zip(rows, kept, strict=True) if line[3] in history]
    _hours(rows, "Asia/Shanghai")
    fields = ["item", "category", "user", "hour", "dayofweek"]
    given = Input(rows, events, fields, ["item", "category"], "Asia/Shanghai")
    _agree("user-behavior", path, given, options | {"history": sorted(history)})


@random_inputs
@given(
    lines=st.lists(
        st.tuples(st.integers(0, 1), small, ticks, small, optional, st.sampled_from(["ios", "web", None])),
        min_size=3,
        max_size=24,
    ),
    history=st.sampled_from(["rows", "positives", "none", "ready-made"]),
    lists=st.lists(st.lists(st.tuples(small, small), max_size=4), min_size=24, max_size=24),
    parquet=st.booleans(),
    options=splits,
)
def test_table(tmp_path, lines, history, lists, parquet, options):
    ids = (lambda value: value) if parquet else (lambda value: None if value is None else str(value))
    rows = [
        {"label": y, "user": ids(u), "time": TAOBAO_START + t, "item": ids(i), "category": ids(c), "device": d}
        for y, u, t, i, c, d in lines
    ]
    lists = lists[: len(rows)]
    columns = {
        "clk": [row["label"] for row in rows], "uid": [row["user"] for row in rows],
        "when": [row["time"] for row in rows], "ad": [row["item"] for row in rows],
        "cate": [row["category"] for row in rows], "device": [row["device"] for row in rows],
    }  # fmt: skip
    types = {"clk": pl.Int64, "when": pl.Int64, "device": pl.String}
    types |= dict.fromkeys(("uid", "ad", "cate"), pl.Int64 if parquet else pl.String)
    frame = pl.DataFrame(columns, schema_overrides=types)
    mapping: dict[str, Any] = {
        "label": "clk", "user": "uid", "timestamp": "when", "item": "ad", "category": "cate", "categorical": ["device"],
        "timezone": "America/New_York",
    }  # fmt: skip
    ready_made = None
    if history == "ready-made":
        ready_made = [[{"item": ids(i), "category": ids(c)} for i, c in pairs] for pairs in lists]
        seen = [[i for i, _ in pairs] for pairs in lists], [[c for _, c in pairs] for pairs in lists]
        if parquet:
            frame = frame.with_columns(
                pl.Series(name, values, dtype=pl.List(pl.Int64)) for name, values in zip("ab", seen, strict=True)
            )
        else:
            frame = frame.with_columns(
                pl.Series(name, ["^".join(map(str, pairs)) for pairs in values], dtype=pl.String)
                for name, values in zip("ab", seen, strict=True)
            )
        mapping |= {"history_item": "a", "history_category": "b"}
    else:
        mapping["history"] = history
    path = tmp_path / ("log.parquet" if parquet else "log.csv")
    frame.write_parquet(path) if parquet else frame.write_csv(path)
    events = [row for row in rows if history == "rows" or (history == "positives" and row["label"])]
    _hours(rows, "America/New_York")
    fields = ["item", "category", "user", "device", "hour", "dayofweek"]
    recorded = [] if history == "none" else ["item", "category"]
    given = Input(rows, events, fields, recorded, "America/New_York", ready_made)
    _agree("table", path, given, options | mapping)


@random_inputs
@given(
    lines=st.lists(st.tuples(small, ticks, st.integers(1, 6), st.integers(0, 1)), min_size=10, max_size=24),
    ads=st.lists(st.tuples(st.integers(0, 2), optional), min_size=5, max_size=5),  # the sixth is not described
    people=st.dictionaries(st.integers(1, 3), optional),
    log=st.lists(
        st.tuples(st.integers(1, 6), ticks, st.sampled_from(["pv", "buy"]), st.integers(0, 3), optional), max_size=24
    ),
    history=st.sampled_from(["clicked", "impressions", "behavior-log"]),
    behaviors=st.sampled_from([["pv", "cart", "fav", "buy"], ["buy"]]),
    brand=st.booleans(),
    options=splits,
)  # fmt: skip
def test_taobao_ads(tmp_path, lines, ads, people, log, history, behaviors, brand, options):
    lines = [(u, TAOBAO_START + t, ad, clk) for u, t, ad, clk in lines]
    log = [(u, TAOBAO_START - DAY + t, tag, c, b) for u, t, tag, c, b in log]
    null = lambda value: "NULL" if value is None else str(value)  # noqa: E731
    contents = {
        "raw_sample": ["user,time_stamp,adgroup_id,pid,nonclk,clk"]
        + [f"{u},{t},{ad},430539_1007,{1 - clk},{clk}" for u, t, ad, clk in lines],
        "ad_feature": ["adgroup_id,cate_id,campaign_id,customer,brand,price"]
        + [f"{i},{c},1,1,{null(b)},1.0" for i, (c, b) in enumerate(ads, 1)],
        "user_profile": ["userid," + ",".join(PROFILE_FIELDS) + " "]
        + [f"{u},0,0,1,{_text(age)},,1,0," for u, age in people.items()],
        "behavior_log": ["user,time_stamp,btag,cate,brand"]
        + [f"{u},{t},{tag},{c},{null(b)}" for u, t, tag, c, b in log],
    }
    for name, texts in contents.items():
        (tmp_path / f"{name}.csv").write_text("\n".join(texts) + "\n")
    described = dict(enumerate(ads, 1))
    rows = [
        {
            "label": clk, "user": u, "time": t, "item": ad, "category": described.get(ad, (None, None))[0],
            "brand": described.get(ad, (None, None))[1], "age_level": people.get(u, -1),
        }
        for u, t, ad, clk in lines
    ]  # fmt: skip
    _hours(rows, "Asia/Shanghai")
    events = [row for row in rows if history == "impressions" or row["label"]]
    recorded = ["item", "category", *(["brand"] if brand else [])]
    if history == "behavior-log":
        recorded = ["category", "brand"]
        events = [{"user": u, "time": t, "category": c, "brand": b} for u, t, tag, c, b in log if tag in behaviors]
    fields = ["item", "category", "user", *(["brand"] if brand or history == "behavior-log" else [])]
    fields += [*(["age_level"] if people else []), "hour", "dayofweek"]
    chosen = {"history": history, "log_behaviors": behaviors, "ad_fields": ["brand"] if brand else []}
    chosen["profile_fields"] = ["age_level"] if people else []
    needed = lines and (log or history != "behavior-log")  # a file without a line is refused
    if needed:
        _agree("taobao-ads", tmp_path, Input(rows, events, fields, recorded, "Asia/Shanghai"), options | chosen)
    else:
        with pytest.raises(StudioError):
            prepare("taobao-ads", path=tmp_path, name="data", options=options | chosen)


def test_the_definition_itself_on_a_case_done_by_hand():
    start = TAOBAO_START
    rows = [
        {"label": label, "user": 1, "time": start + t, "item": item}
        for t, item, label in [(0, 9, 1), (10, 7, 0), (10, 7, 0), (10, 5, 1), (20, 7, 0), (30, 8, 1)]
    ]
    train, val, test = slow_prepare(Input(rows, rows, ["item"], ["item"], "UTC"), {"fractions": (0.5, 0.3, 0.2)})
    # Half of six rows is three, and the fourth ties with the third.
    assert [row.row_id for row in train] == [0, 1, 2, 3] and [row.row_id for row in val] == [4]
    assert [row.codes["item"] for row in train] == [4, 3, 3, 2] and test[0].codes == {"item": 1}
    assert [row.history for row in train] == [[], *[[{"item": (4, 9)}]] * 3]
    assert [code for event in test[0].history for code, _ in event.values()] == [4, 3, 3, 2, 3]
    assert datetime.fromtimestamp(start, UTC) + timedelta(hours=8) == datetime(2017, 5, 6, tzinfo=UTC)
