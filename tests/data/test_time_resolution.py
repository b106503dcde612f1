"""Times finer than a second: order, histories, splits, ages and words keep what the input says."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mdaf_core.data.audit.report import stored_audit
from mdaf_core.data.batches.gather import gather
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.reading.times import _scaled, _times
from mdaf_core.data.store.content import content_hashes
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.describe import describe_history, describe_rows
from mdaf_core.data.store.schema import SPLITS
from mdaf_core.data.store.statistics import compute_statistics

pytestmark = pytest.mark.usefixtures("home")
START = datetime(2024, 3, 1, 6, tzinfo=UTC)
OPTIONS = {"label": "clk", "user": "uid", "timestamp": "when", "item": "ad"}


def dense(rows: int = 400, seed: int = 0) -> pl.DataFrame:
    """A log in which most seconds hold several rows of a user, in no order in the file; `ms` since 1970."""
    draw = np.random.default_rng(seed)
    first = int(START.timestamp() * 1000)
    return pl.DataFrame(
        {
            "clk": draw.integers(0, 2, rows),
            "uid": draw.integers(0, 4, rows),
            "ad": draw.integers(0, 12, rows),
            "ms": first + draw.choice(60_000, rows, replace=False),
        }
    )


def moment(ms: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)


WAYS = {
    "ms": (lambda ms: ms, {"timestamp_unit": "ms"}),
    "us": (lambda ms: 1000 * ms, {"timestamp_unit": "us"}),
    "iso": (lambda ms: moment(ms).isoformat(timespec="milliseconds").replace("+00:00", "Z"), {}),
    "local": (
        lambda ms: moment(ms + 8 * 3_600_000).strftime("%Y-%m-%d %H:%M:%S.%f"),
        {"timezone": "Asia/Shanghai"},
    ),
}


@pytest.mark.parametrize("way", [*WAYS, "parquet", "floats"])
def test_milliseconds_are_kept(tmp_path: Path, way: str) -> None:
    frame = dense()
    times, options = frame["ms"].to_list(), {}
    path = tmp_path / ("a.parquet" if way in ("parquet", "floats") else "a.csv")
    if way == "parquet":
        frame.with_columns(when=pl.from_epoch("ms", time_unit="ms")).write_parquet(path)
    elif way == "floats":
        frame.with_columns(when=pl.col("ms") / 1000).write_parquet(path)
    else:
        write, options = WAYS[way]
        frame.with_columns(when=pl.Series([write(ms) for ms in times])).write_csv(path)
    dataset = prepare("table", path=path, options=OPTIONS | options)
    assert dataset.meta.time_unit == "ms"
    assert_as_defined(dataset, frame)


def assert_as_defined(dataset: PreparedDataset, frame: pl.DataFrame) -> None:
    """Rows, their order, parts, histories and ages, from the definition, row by row."""
    lines = list(frame.select("uid", "ad", "ms").iter_rows())
    ordered = sorted(range(len(lines)), key=lambda i: (lines[i][2], i))
    assert [i for split in SPLITS for i in dataset.rows(split).row_id.tolist()] == ordered
    ads = dict(dataset.vocabulary("ad" if "ad" in dataset.meta.categorical else "item").select("id", "code").rows())
    seen = 0
    for split in SPLITS:
        rows = dataset.rows(split)
        batch = gather(dataset, rows, np.arange(len(rows)))
        for b, i in enumerate(rows.row_id.tolist()):
            user, _, now = lines[i]
            earlier = sorted((ms, j) for j, (uid, _, ms) in enumerate(lines) if uid == user and ms < now)[-50:]
            begin, end = batch["cu_seqlens"][b : b + 2]
            assert rows.timestamp[b] == now and end - begin == len(earlier)
            assert batch["history"]["item"][begin:end].tolist() == [ads.get(str(lines[j][1]), 1) for _, j in earlier]
            ages = [(now - ms) / 1000 for ms, _ in earlier]
            assert batch["history_age_T"][begin:end] == pytest.approx(ages, rel=1e-6)
            seen += sum(now // 1000 == ms // 1000 for ms, _ in earlier)
    assert seen > len(lines) / 2, "events of the row's own second are what this is about"
    assert {c.id: c for c in stored_audit(dataset).checks}["duplicate-rows"].status == "pass"


def test_the_audit_and_the_figures_know_the_unit(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    frame = dense()
    day = frame.with_columns(ms=START.timestamp() * 1000 + (pl.col("ms") - frame["ms"].min()) * 4321 // 1)
    day.with_columns(when=pl.col("ms").cast(pl.Int64)).write_csv(path)
    dataset = prepare("table", path=path, options=OPTIONS | {"timestamp_unit": "ms", "split": "last-day"})
    when = {i: moment(int(ms)) for i, ms in enumerate(day["ms"])}
    parts = [{when[i].date() for i in dataset.rows(split).row_id.tolist()} for split in SPLITS]
    assert max(parts[0]) < min(parts[1]) and len(parts[1]) == len(parts[2]) == 1 and max(parts[1]) < min(parts[2])
    checks = {c.id: c for c in stored_audit(dataset).checks}
    assert checks["timezone"].status != "fail" and checks["history-earlier"].status == "pass"
    assert f"{min(when.values()):%Y-%m-%d} to {max(when.values()):%Y-%m-%d}" in checks["timestamps-in-window"].sentence
    figures = compute_statistics(dataset)
    hours = {b.value: b.rows for b in figures.by_clock if b.clock == "hour"}
    assert hours == {h: n for h in range(24) if (n := sum(t.hour == h for t in when.values()))}
    assert sum(b.rows for b in figures.over_time) + figures.outside_bins == len(day)
    first = dataset.meta.splits["train"].first_time
    assert first == int(min(when.values()).timestamp())
    shown = describe_rows(dataset, "test", [0])["time"][0]
    i = int(dataset.rows("test").row_id[0])
    assert shown == when[i].replace(tzinfo=None)
    lengths = dataset.rows("test").history_end - dataset.rows("test").history_start
    history = describe_history(dataset, "test", int(np.argmax(lengths)))
    assert history["age"].dtype == pl.Float64 and (history["age"] > 0).all()


def test_whole_seconds_are_written_as_ever_however_they_come(tmp_path: Path) -> None:
    frame = dense().with_columns(when=pl.col("ms") // 1000)
    frame.write_csv(tmp_path / "s.csv")
    frame.with_columns(when=1000 * pl.col("when")).write_csv(tmp_path / "ms.csv")
    one = prepare("table", path=tmp_path / "s.csv", options=OPTIONS)
    other = prepare("table", path=tmp_path / "ms.csv", options=OPTIONS | {"timestamp_unit": "ms"})
    assert one.meta.time_unit == other.meta.time_unit == "s"
    assert content_hashes(one.path) == content_hashes(other.path)
    ties = pl.DataFrame({"time": one.rows("train").timestamp, "row": one.rows("train").row_id})
    assert ties.group_by("time", maintain_order=True).agg((pl.col("row").diff() > 0).all())["row"].all()


def test_a_data_set_of_before_is_in_seconds(tmp_path: Path) -> None:
    dense().with_columns(when=pl.col("ms") // 1000).write_csv(tmp_path / "s.csv")
    dataset = prepare("table", path=tmp_path / "s.csv", options=OPTIONS)
    path = dataset.path / "dataset.json"
    content = json.loads(path.read_text())
    del content["time_unit"]
    path.write_text(json.dumps(content))
    assert PreparedDataset(dataset.path).meta.ticks == 1


@pytest.mark.parametrize(
    ("values", "unit", "expected"),
    [
        ([0, 1, -1], "s", ([0, 1, -1], "s")),
        ([1500, -1], "ms", ([1500, -1], "ms")),
        ([2_000_000, 3_000], "us", ([2000, 3], "ms")),
        ([1_700_000_000_123_456_789], "ns", ([1_700_000_000_123_456_789], "ns")),
        ([1_700_000_000.25, -0.5], "s", ([1_700_000_000_250, -500], "ms")),
        ([1_700_000_000.0], "s", ([1_700_000_000], "s")),
        ([1_711_111_111_123.0], "ms", ([1_711_111_111_123], "ms")),
        ([10**17 * 10 + 1, 0], "ms", ([10**18 + 1, 0], "ms")),
        ([2 * 10**18], "s", ([2 * 10**18], "s")),
    ],
)
def test_the_coarsest_unit_that_holds_all(values: list, unit: str, expected: tuple) -> None:
    none = pl.Series([False] * len(values))
    found = _times(_scaled(pl.Series(values), unit), none, {"nothing": none}, "")  # type: ignore[arg-type]
    assert (found.values.to_list(), found.unit) == expected
