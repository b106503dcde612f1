"""EB-NeRD against its rows, read by plain Python; and what a good guess gets wrong."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl
import pytest

from mdaf_core.base.errors import BadInputError, UsageError
from mdaf_core.base.progress import no_progress
from mdaf_core.data.audit.report import stored_audit
from mdaf_core.data.formats.base import parse_options
from mdaf_core.data.formats.ebnerd import SOURCE, EbnerdOptions
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.store.schema import SPLITS
from tests.data.published_files import write_ebnerd


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("MDAF_HOME", str(tmp_path / "artifacts"))


@pytest.fixture
def folder(tmp_path):
    write_ebnerd(tmp_path / "ebnerd_small")
    return tmp_path / "ebnerd_small"


def _read(path, **options):
    return SOURCE.read(path, EbnerdOptions(**options), no_progress)


def _seconds(moment):
    return int((moment - datetime(1970, 1, 1)).total_seconds())


def _expected(folder):
    """One dict an article in view."""
    for part, split in (("train", "train"), ("validation", "test")):
        past = {row["user_id"]: row for row in pl.read_parquet(folder / part / "history.parquet").to_dicts()}
        for view in pl.read_parquet(folder / part / "behaviors.parquet").to_dicts():
            own = past.get(view["user_id"], {"article_id_fixed": [], "impression_time_fixed": []})
            events = list(zip(map(_seconds, own["impression_time_fixed"]), own["article_id_fixed"], strict=True))
            for article in view["article_ids_inview"]:
                label = int(article in view["article_ids_clicked"])
                yield {"split": split, "item": article, "label": label, "past": events, "view": view}


def test_one_row_an_article_in_view_with_the_history_of_its_part(folder):
    dataset, expected = prepare("ebnerd", path=folder), list(_expected(folder))
    meta = dataset.meta
    assert meta.split["kind"] == "given" and meta.history_times and meta.time_unit == "s" and not meta.notes[1:]
    about = {row["article_id"]: row for row in pl.read_parquet(folder / "articles.parquet").to_dicts()}
    names = {field: dict(dataset.vocabulary(field).select("code", "id").rows()) for field in meta.categorical}
    seen = 0
    for split in SPLITS:
        rows = dataset.rows(split)
        for position, row in enumerate(rows.row_id.tolist()):
            wanted, view = expected[row], expected[row]["view"]
            seen += 1
            assert (split == "test") == (wanted["split"] == "test")
            assert rows.label[position] == wanted["label"]
            assert rows.timestamp[position] == _seconds(view["impression_time"])
            assert rows.columns["impression"][position] == view["impression_id"]
            found = {field: names[field].get(int(rows.columns[field][position])) for field in names}
            usual = {"item": wanted["item"], "category": about[wanted["item"]]["category_str"]}
            usual |= {"premium": str(about[wanted["item"]]["premium"]).lower(), "user": view["user_id"]}
            usual |= {name: view[name] for name in ("device_type", "gender", "age", "postcode")}
            usual["is_sso_user"] = int(view["is_sso_user"])
            for name, value in usual.items():
                assert found[name] in (None, "" if value is None else str(value)), name
            here = slice(int(rows.history_start[position]), int(rows.history_end[position]))
            assert dataset.events["timestamp"][here].tolist() == [time for time, _ in wanted["past"]]
            items = [names["item"].get(int(code)) for code in dataset.events["item"][here]]
            assert all(item in (None, str(id)) for item, (_, id) in zip(items, wanted["past"], strict=True))
    assert seen == len(expected)
    checks = {check.id: check.status for check in stored_audit(dataset).checks}
    assert "fail" not in checks.values() and checks["history-earlier"] == "pass"
    late = {"read_time", "scroll_percentage", "next_read_time", "next_scroll_percentage", "total_pageviews"}
    assert not late & {field.name for field in meta.fields}


def test_the_page_is_no_target(folder):
    table, expected = _read(folder, context="page,is_subscriber"), list(_expected(folder))
    pages = [row["view"]["article_id"] for row in expected]
    assert table.rows["page"].to_list() == pages and None in pages
    assert table.rows["item"].to_list() == [row["item"] for row in expected]


@pytest.mark.parametrize("late", ["read_time", "next_read_time", "next_scroll_percentage"])
def test_what_is_known_later_is_no_input(late):
    with pytest.raises(UsageError, match=f"{late} is of .*known only .*: it is no input"):
        parse_options(SOURCE, {"context": f"gender,{late}"})
    with pytest.raises(UsageError, match="total_pageviews is of the week after"):
        parse_options(SOURCE, {"article_fields": ["total_pageviews"]})


def test_all_clicks_that_are_earlier(folder):
    table = _read(folder, history="all")
    events = {
        (row["user_id"], _seconds(time), article)
        for part in ("train", "validation")
        for row in pl.read_parquet(folder / part / "history.parquet").to_dicts()
        for time, article in zip(row["impression_time_fixed"], row["article_id_fixed"], strict=True)
    }
    assert sorted(table.events.select("user", "timestamp", "item").rows()) == sorted(events)


def test_histories_that_go_on_into_the_week_are_said_and_cut(folder):
    path = folder / "train" / "history.parquet"
    first = pl.read_parquet(folder / "train" / "behaviors.parquet")["impression_time"].min()
    frame = pl.read_parquet(path)
    late = pl.concat_list("impression_time_fixed", pl.lit(first).dt.offset_by("1h"))
    lists = {name: pl.concat_list(name, pl.col(name).list.first()) for name in frame.columns[2:]}
    frame.with_columns(impression_time_fixed=late, **lists).write_parquet(path)
    dataset = prepare("ebnerd", path=folder)
    assert [note for note in dataset.meta.notes if "go on after the part's first page view" in note]
    assert {check.id: check.status for check in stored_audit(dataset).checks}["history-earlier"] == "pass"
    for split in SPLITS:
        rows = dataset.rows(split)
        full = np.flatnonzero(rows.history_end > rows.history_start)
        assert (dataset.events["timestamp"][rows.history_end[full] - 1] < rows.timestamp[full]).all()


def _as_text(frame):
    return frame.with_columns(pl.col("article_ids_inview").cast(pl.List(pl.String)).list.join(" "))


WRONG = {
    "lists as text": ("train/behaviors.parquet", _as_text, "'article_ids_inview' must hold lists of article ids"),
    "no clicks": ("train/behaviors.parquet", lambda frame: frame.drop("article_ids_clicked"), "no labels"),
    "no history": ("train/history.parquet", None, "no history.parquet"),
    "no articles": ("articles.parquet", None, "no articles.parquet"),
    "a user twice": ("train/history.parquet", lambda frame: pl.concat([frame, frame[:1]]), "described twice"),
    "times as text": (
        "train/behaviors.parquet",
        lambda frame: frame.with_columns(pl.col("impression_time").cast(pl.String)),
        "'impression_time' must hold times",
    ),
    "uneven lists": (
        "train/history.parquet",
        lambda frame: frame.with_columns(pl.col("article_id_fixed").list.tail(3)),
        "times without an article",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_files_that_are_none_of_it(folder, wrong):
    name, change, words = WRONG[wrong]
    if change is None:
        (folder / name).unlink()
    else:
        change(pl.read_parquet(folder / name)).write_parquet(folder / name)
    with pytest.raises(BadInputError, match=words):
        _read(folder)


def test_the_official_test_set_has_no_labels(tmp_path):
    write_ebnerd(tmp_path / "all", ("train", "validation", "test"))
    assert "test was not read: its rows have no labels" in _read(tmp_path / "all").notes[0]
    with pytest.raises(BadInputError, match="no labels"):
        SOURCE.check(tmp_path / "all" / "test", EbnerdOptions())
    new = SOURCE.read(tmp_path / "all" / "test", EbnerdOptions().for_new_rows(), no_progress)
    assert new.rows["label"].null_count() == len(new.rows) > 0
    assert SOURCE.is_own(tmp_path / "all" / "test" / "behaviors.parquet")  # and no plain table of new rows
    assert not SOURCE.is_own(tmp_path / "all" / "articles.parquet")
