import io
import os
from collections import Counter
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from mdaf_core.base.errors import StudioError
from mdaf_core.data.audit.base import Written
from mdaf_core.data.prepare import uploads
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.prepare.uploads import save_uploads
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.describe import describe_codes, describe_history, describe_rows
from mdaf_core.data.store.schema import SPLITS
from mdaf_core.data.store.statistics import compute_statistics, read_statistics
from mdaf_core.data.store.statistics_frames import (
    clock_frame,
    cold_frame,
    fields_frame,
    history_frame,
    parts_frame,
    popularity_frame,
    time_frame,
)
from tests.data.raw_files import write_criteo, write_ml_100k, write_user_behavior

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def movies(tmp_path) -> PreparedDataset:
    write_ml_100k(tmp_path)
    return prepare("movielens", path=tmp_path)


def test_fields_called_as_other_columns_are_shown_beside_them(tmp_path):
    n, draw = 300, np.random.default_rng(0)
    columns = {
        "who": draw.integers(0, 9, n), "ad": draw.integers(0, 20, n), "at": 1_700_000_000 + 900 * np.arange(n),
        "label": np.arange(n) % 2, "history": draw.integers(0, 99, n), "time": draw.integers(0, 99, n),
        "part": draw.integers(0, 99, n),
    }  # fmt: skip
    pl.DataFrame(columns).write_csv(tmp_path / "log.csv")
    options = {
        "user": "who", "item": "ad", "timestamp": "at", "numeric": "history,time,part", "history": "rows",
        "numeric_scaling": "none",
    }  # fmt: skip
    data = prepare("table", path=tmp_path / "log.csv", name="log", options=options)
    shown, rows = describe_rows(data, "val", range(5)), data.rows("val")
    assert shown["time"].dtype == pl.String or shown["time"].dtype.is_temporal()
    assert shown["history"].dtype == pl.String
    for name, title in {"history": "history (field)", "time": "time (field)", "part": "part"}.items():
        assert shown[title].to_list() == rows.columns[name][:5].tolist()
    example = Written(data).examples({"val": np.arange(5)})[0]
    assert example["part"] == "validation" and float(example["part (field)"]) == rows.columns["part"][0]


def test_rows_as_people_read_them(movies, tmp_path):
    source = [tuple(map(int, line.split("\t"))) for line in (tmp_path / "u.data").read_text().splitlines()]
    shown = describe_rows(movies, "train", range(40), events=3)
    rows = movies.rows("train")
    for i, row in enumerate(shown.iter_rows(named=True)):
        user, item, stars, time = source[row["row"]]
        assert row["user"] == str(user) and row["item"] == f"Amélie {item} (2001)" and row["label"] == int(stars >= 4)
        assert row["time"] == pl.select(pl.from_epoch(pl.lit(time))).item()
        earlier = [r for r in source if r[0] == user and r[3] < time]
        assert row["history length"] == min(len(earlier), 50)
        parts = [] if row["history"] == "none" else row["history"].split("; ")
        assert len(parts) == min(len(earlier), 4)
        if len(earlier) > 3:
            assert parts[-1] == f"… {len(earlier) - 3} more"
        history = describe_history(movies, "train", i)
        assert len(history) == min(len(earlier), 50)
        assert history["age"].to_list() == sorted((time - r[3] for r in earlier), reverse=True)[-50:]
        if len(history):
            assert parts[0].startswith(history["item"][-1])
    assert len(rows) >= 40


def test_codes_without_a_title_or_an_id(movies, tmp_path):
    assert describe_codes(movies, "item", np.array([0, 1])).to_list() == ["unknown", "unknown"]
    assert describe_codes(movies, "user", np.array([2])).to_list() == ["1"]
    write_criteo(tmp_path / "train.txt")
    criteo = prepare("criteo", path=tmp_path / "train.txt", options={"min_count": 1})
    assert "missing" in describe_codes(criteo, "C1", criteo.rows("train").columns["C1"]).to_list()
    assert describe_rows(criteo, "val", [0, 1]).columns[:2] == ["row", "label"]


def test_statistics_count_what_is_there(tmp_path):
    path = tmp_path / "UserBehavior.csv"
    write_user_behavior(path)
    dataset = prepare("user-behavior", path=path)
    figures = read_statistics(dataset)
    assert figures == compute_statistics(dataset)
    for split in SPLITS:
        rows = dataset.rows(split)
        lengths = np.minimum(rows.history_end - rows.history_start, 50)
        assert figures.history_lengths[split] == [int((lengths == n).sum()) for n in range(51)]
        bins = [b for b in figures.over_time if b.split == split]
        assert (
            sum(b.rows for b in bins) + (figures.outside_bins if split == "train" else 0)
            >= len(rows) - figures.outside_bins
        )
        for b in bins:
            inside = (rows.timestamp >= b.start) & (rows.timestamp < b.start + figures.bin_width)
            assert (b.rows, b.positives) == (inside.sum(), rows.label[inside].sum())
    over_time = time_frame(figures, dataset.meta.timezone)
    assert over_time["start"].dt.minute().unique().to_list() == [0], "bins begin on full local hours"
    stacked = over_time.group_by("start").agg(pl.col("rows").sum(), pl.col("high").max())
    assert (stacked["rows"] == stacked["high"]).all()
    assert history_frame(figures).filter(pl.col("events") == 50)["at_most"].to_list() == [1.0] * 3
    assert parts_frame(dataset, figures)["rows"].to_list() == [c.rows for c in dataset.meta.splits.values()]
    assert fields_frame(figures)["field"].to_list() == [f.name for f in dataset.meta.fields]


def test_clock_popularity_and_cold_start_against_plain_counts(tmp_path):
    path = tmp_path / "UserBehavior.csv"
    source = write_user_behavior(path)
    dataset = prepare("user-behavior", path=path)
    figures = read_statistics(dataset)
    local = [datetime.fromtimestamp(row[4], ZoneInfo("Asia/Shanghai")) for row in source]
    for clock, of in (("hour", lambda t: t.hour), ("weekday", lambda t: t.isoweekday())):
        expected = Counter(of(time) for time in local)
        clicks = Counter(of(time) for time, row in zip(local, source, strict=True) if row[3] != "pv")
        bins = [b for b in figures.by_clock if b.clock == clock]
        assert {b.value: b.rows for b in bins} == expected and {b.value: b.positives for b in bins} == clicks
    rows = {split: [source[i] for i in dataset.rows(split).row_id.tolist()] for split in SPLITS}
    for field, at in (("item", 1), ("user", 0)):
        seen = Counter(row[at] for row in rows["train"])
        counts = sorted(seen.values(), reverse=True)
        points = [p for p in figures.popularity if p.field == field]
        for point in points:
            top = round(point.ids * len(counts))
            assert point.rows == pytest.approx(sum(counts[:top]) / sum(counts))
        assert points[-1].ids == points[-1].rows == 1 and points[0].ids == pytest.approx(1 / len(counts))
        for cold in (c for c in figures.cold if c.field == field):
            most = 10**9 if cold.most is None else cold.most
            inside = [cold.least <= seen[row[at]] <= most for row in rows[cold.split]]
            assert cold.share == pytest.approx(np.mean(inside))
    frame = cold_frame(figures)
    assert frame.group_by("field", "part").agg(pl.col("high").max())["high"].to_list() == pytest.approx([1.0] * 4)
    assert clock_frame(figures).filter(clock="weekday")["value"].to_list()[0] == "Mon"
    assert popularity_frame(figures).columns == ["field", "ids", "rows"]


def test_a_few_stray_times_do_not_flatten_the_chart(tmp_path):
    path = tmp_path / "UserBehavior.csv"
    write_user_behavior(path)
    path.write_text(path.read_text() + "1,1,1,pv,100\n")
    figures = read_statistics(prepare("user-behavior", path=path, options={"outside_window": "keep"}))
    assert figures.bin_width <= 6 * 3600 and figures.outside_bins >= 1


def test_statistics_of_rows_without_times(tmp_path):
    write_criteo(tmp_path / "train.txt")
    figures = read_statistics(prepare("criteo", path=tmp_path, options={"counts": "numbers"}))
    assert not figures.bin_is_time and sum(b.rows for b in figures.over_time) == 400
    assert not history_frame(figures).height
    assert time_frame(figures, "UTC")["start"].dtype.is_integer()
    assert {"mean", "min"} <= set(fields_frame(figures).columns)


def test_old_or_missing_statistics_are_computed(movies):
    expected = read_statistics(movies)
    (movies.path / "statistics.json").write_text("{not json")
    assert read_statistics(movies) == expected
    (movies.path / "statistics.json").unlink()
    assert read_statistics(movies) == expected


def test_uploads_never_leave_their_folder(home):
    one = save_uploads([("../../evil name.csv", io.BytesIO(b"abc"))])
    assert one.read_bytes() == b"abc" and one.resolve().is_relative_to(home.resolve()) and one.name == "evil-name.csv"
    folder = save_uploads([("u.data", io.BytesIO(b"1")), ("C:\\x\\u.item", io.BytesIO(b"2"))])
    assert sorted(p.name for p in folder.iterdir()) == ["u.data", "u.item"]
    assert save_uploads([("...", io.BytesIO(b""))]).name == "upload"


def test_uploads_are_bounded(home, monkeypatch):
    monkeypatch.setenv("MDAF_UPLOAD_LIMIT", "1000")
    save_uploads([("a.csv", io.BytesIO(b"1" * 600))])
    with pytest.raises(StudioError, match=r"give the path of the file"):
        save_uploads([("b.csv", io.BytesIO(b"1" * 401))])
    save_uploads([("b.csv", io.BytesIO(b"1" * 400))])
    assert sum(1 for _ in (home / "uploads").iterdir()) == 2, "a refused upload leaves nothing"


def test_uploads_of_one_name_are_refused(home):
    with pytest.raises(StudioError, match=r"a\.csv"):
        save_uploads([("a.csv", io.BytesIO(b"1")), ("x/a.csv", io.BytesIO(b"2"))])
    assert not list((home / "uploads").iterdir())


def test_uploads_are_emptied(home):
    """Once prepared; else after a day, unless a job still needs them."""
    one, two, three = (save_uploads([(name, io.BytesIO(b"1"))]) for name in ("a.csv", "b.csv", "c.csv"))
    uploads.discard(one)
    uploads.discard(home)
    uploads.discard(home / "uploads")
    assert not one.parent.exists() and two.exists()
    for old in (two, three):
        os.utime(old.parent, (0, 0))
    four = save_uploads([("d.csv", io.BytesIO(b"1"))], in_use=[three])
    assert not two.parent.exists() and three.exists() and four.exists()
