"""MIND against its lines, read by plain Python; and what a good guess gets wrong."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

from mdaf_core.base.errors import BadInputError
from mdaf_core.base.progress import no_progress
from mdaf_core.data.audit.report import stored_audit
from mdaf_core.data.formats.mind import SOURCE, MindOptions
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.store.schema import SPLITS
from tests.data.published_files import histories, write_mind


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("MDAF_HOME", str(tmp_path / "artifacts"))


@pytest.fixture
def folder(tmp_path):
    write_mind(tmp_path / "MIND")
    return tmp_path / "MIND"


def _read(path, **options):
    return SOURCE.read(path, MindOptions(**options), no_progress)


def _lines(path):
    return [line.rstrip("\n").split("\t") for line in path.read_text().split("\n") if line]


def _expected(folder):
    """One tuple a shown article: part, impression, user, time, past, article, label."""
    at = 0
    for part, name in (("train", "MINDsmall_train"), ("test", "MINDsmall_dev")):
        for _, user, time, past, shown in _lines(folder / name / "behaviors.tsv"):
            moment = datetime.strptime(time, "%m/%d/%Y %I:%M:%S %p").replace(tzinfo=UTC)
            for one in shown.split():
                article, label = one.split("-")
                yield part, at, user, int(moment.timestamp()), past.split(), article, int(label)
            at += 1


def test_one_row_a_shown_article(folder):
    table, expected = _read(folder), list(_expected(folder))
    columns = ["split", "impression", "user", "timestamp", "item", "label"]
    rows = table.rows.select(pl.col(columns).cast(pl.String)).rows()
    assert rows == [tuple(map(str, (*row[:4], *row[5:]))) for row in expected]
    blocks = table.events.group_by("history", maintain_order=True).agg(pl.col("item").cast(pl.String)).rows()
    assert dict(blocks) == {row[1]: row[4] for row in expected if row[4]}
    about = {line[0]: line for name in ("train", "dev") for line in _lines(folder / f"MINDsmall_{name}" / "news.tsv")}
    for item, category, subcategory in table.rows.select("item", "category", "subcategory").unique().rows():
        assert [category, subcategory] == about[item][1:3]
    assert dict(table.titles["item"].rows()) == {name: line[3] for name, line in about.items()}  # quotes are kept
    assert not table.notes and table.timezone_assumed


def test_prepared_with_the_histories_of_the_impressions(folder):
    dataset = prepare("mind", path=folder)
    expected = list(_expected(folder))
    assert dataset.meta.split["kind"] == "given" and dataset.meta.ready_made_history
    for split in SPLITS:
        rows = dataset.rows(split)
        for row, number, past in zip(
            rows.row_id.tolist(), rows.columns["impression"], histories(dataset, split), strict=True
        ):
            assert expected[row][0] == ("test" if split == "test" else "train") and expected[row][1] == number
            assert len(past) == len(expected[row][4])
            assert all(item in (None, known) for item, known in zip(past, expected[row][4], strict=True))
    checks = {check.id: check.status for check in stored_audit(dataset).checks}
    assert "fail" not in checks.values() and checks["history-earlier"] == "warn"


def test_clicks_of_one_impression_are_in_no_history_of_it(folder):
    table = _read(folder, history="clicks")
    rows = table.rows.with_columns(pl.col("item").cast(pl.String))
    clicks = rows.filter(pl.col("label") == 1)
    assert table.events.select(pl.col("item").cast(pl.String)).equals(clicks.select("item"))
    assert "history" not in rows.columns  # the log's strictly earlier events alone, and these have one time
    assert rows.group_by("impression").agg(pl.col("timestamp").n_unique())["timestamp"].max() == 1


def _header(text):
    return "impression_id\tuser_id\ttime\thistory\timpressions\n" + text


def _iso(text):
    return text.replace("11/", "2019-11-", 1)


WRONG = {
    "a header": (_header, "looks like a header"),
    "times as ISO": (_iso, "time must be written as 11/9/2019 7:21:07 PM"),
    "24 hours": (lambda text: text.replace(" PM", "", 1), "time must be written"),
    "histories joined by ^": (
        lambda text: text.replace("\tN", "\tN1^N", 1),
        "history must be written as N40766 N26917",
    ),
    "commas": (lambda text: text.replace("\t", ",").replace(",", "\t", 4), "line 2"),
    "no day": (lambda text: text.replace("11/9/2019", "2/30/2019").replace("11/10/2019", "2/30/2019"), "no day"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_lines_that_are_none_of_mind(folder, wrong):
    change, words = WRONG[wrong]
    path = folder / "MINDsmall_train" / "behaviors.tsv"
    path.write_text(change(path.read_text()))
    with pytest.raises(BadInputError, match=words):
        _read(folder)


def test_impressions_without_labels_are_no_part(tmp_path):
    write_mind(tmp_path / "large", ("MINDlarge_train", "MINDlarge_dev", "MINDlarge_test"))
    table = _read(tmp_path / "large")
    assert set(table.rows["split"].cast(pl.String)) == {"train", "test"}
    assert [note for note in table.notes if "MINDlarge_test was not read: its rows have no labels" in note]
    for path in (tmp_path / "large" / "MINDlarge_test", tmp_path / "without"):
        if path.name == "without":
            write_mind(path, ("MINDlarge_train", "MINDlarge_test"))
        with pytest.raises(BadInputError, match="no labels, as the test part is published"):
            SOURCE.check(path, MindOptions())
    new = SOURCE.read(tmp_path / "large" / "MINDlarge_test", MindOptions().for_new_rows(), no_progress)
    assert new.rows["label"].null_count() == len(new.rows) > 0


def test_a_test_part_that_is_the_training_part(folder):
    for name in ("behaviors.tsv", "news.tsv"):
        (folder / "MINDsmall_dev" / name).write_bytes((folder / "MINDsmall_train" / name).read_bytes())
    with pytest.raises(BadInputError, match="byte for byte"):
        _read(folder)


def test_the_sample(shared_data):
    table = _read(shared_data / "formats" / "mind")
    lines = _lines(shared_data / "formats" / "mind" / "behaviors.tsv")
    assert len(table.rows) == sum(len(line[4].split()) for line in lines) and "split" not in table.rows.columns


def test_a_file_of_another_name_is_not_called_a_folder(tmp_path):
    (tmp_path / "log.csv").write_text("impression_id,user_id\n")
    with pytest.raises(BadInputError, match=r"The folder of log\.csv holds no behaviors\.tsv; .* It holds log\.csv\."):
        prepare("mind", path=tmp_path / "log.csv", name="mind")
    with pytest.raises(BadInputError, match=r"This folder holds no behaviors\.tsv"):
        prepare("mind", path=tmp_path, name="mind")
