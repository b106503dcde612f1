"""Yambda's files against their rows, and the guesses that they invite.

Facts: huggingface.co/datasets/yandex/yambda (fields; over 50% of a track played is a listen, and over 100% is no fault;
times count from a start that is not given, in steps of 5 s) and the constants of its benchmark: 26,000,000 s in all, a
day of test, a day of validation, half an hour before each.
"""

import numpy as np
import polars as pl
import pytest

from mdaf_core.base.errors import BadInputError, UsageError
from mdaf_core.base.progress import no_progress
from mdaf_core.data.audit.report import stored_audit
from mdaf_core.data.formats.base import parse_options
from mdaf_core.data.formats.yambda import SOURCE
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.propose.table import propose
from mdaf_core.data.store.schema import SPLITS

pytestmark = pytest.mark.usefixtures("home")
VAL, VAL_END, TEST = 25_825_400, 25_911_800, 25_913_600


def write_yambda(folder, n=500, users=12, tracks=60, seed=0, begin=25_500_000):
    """listens, likes, dislikes and multi_event of the flat files, by user and time as published; the listens."""
    draw = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    frame = pl.DataFrame(
        {
            "uid": draw.integers(1, users + 1, n) * 100,
            "timestamp": draw.integers(begin // 5, 5_200_001, n) * 5,
            "item_id": draw.integers(1, tracks + 1, n),
            "is_organic": draw.integers(0, 2, n),
            "played_ratio_pct": np.where(draw.random(n) < 0.5, draw.integers(0, 50, n), draw.integers(50, 160, n)),
            "track_length_seconds": draw.integers(12, 80, n) * 5,
        },
        schema={"uid": pl.UInt32, "timestamp": pl.UInt32, "item_id": pl.UInt32, "is_organic": pl.UInt8,
                "played_ratio_pct": pl.UInt16, "track_length_seconds": pl.UInt32},
    ).sort("uid", "timestamp")  # fmt: skip
    stranger = frame.tail(1).with_columns(uid=pl.lit(9900, pl.UInt32), timestamp=pl.lit(TEST, pl.UInt32))
    frame = pl.concat([frame, stranger])  # without a row to train on
    frame.write_parquet(folder / "listens.parquet")
    explicit = frame.select("uid", "timestamp", "item_id", "is_organic")
    parts = {"like": explicit.gather_every(3), "dislike": explicit.gather_every(7)}
    for name, part in parts.items():
        part.write_parquet(folder / f"{name}s.parquet")
    events = [frame.with_columns(event_type=pl.lit("listen"))]
    events += [part.with_columns(event_type=pl.lit(name)) for name, part in parts.items()]
    events += [explicit.head(2).with_columns(event_type=pl.lit("unlike"))]
    pl.concat(events, how="diagonal").sort("uid", "timestamp", maintain_order=True).write_parquet(
        folder / "multi_event.parquet"
    )
    return frame


@pytest.fixture
def listens(tmp_path):
    return tmp_path / "50m", write_yambda(tmp_path / "50m")


def _read(path, **options):
    return SOURCE.read(path, parse_options(SOURCE, options), no_progress)


def _part(time):
    return "train" if time < VAL - 1800 else "val" if VAL <= time < VAL_END else "test" if time >= TEST else None


def test_the_official_split(listens):
    folder, frame = listens
    dataset = prepare("yambda", path=folder)
    raw = [row for row in frame.to_dicts() if _part(row["timestamp"]) and row["uid"] != 9900]
    ids = {name: dict(dataset.vocabulary(name).select("code", "id").rows()) for name in dataset.meta.categorical}
    seen = 0
    for split in SPLITS:
        rows = dataset.rows(split)
        for i, row_id in enumerate(rows.row_id.tolist()):
            row, seen = raw[row_id], seen + 1
            assert _part(row["timestamp"]) == split and rows.timestamp[i] == row["timestamp"]
            assert rows.label[i] == (row["played_ratio_pct"] >= 50)
            for name, column in (("item", "item_id"), ("user", "uid"), ("is_organic", "is_organic")):
                found = ids[name].get(int(rows.columns[name][i]))
                assert found == str(row[column]) or (found is None and split != "train")
            past = frame.filter(
                (pl.col("uid") == row["uid"])
                & (pl.col("timestamp") < row["timestamp"])
                & (pl.col("played_ratio_pct") >= 50)
            )["timestamp"]  # those of the half hours before the parts too
            a, b = rows.history_start[i], rows.history_end[i]
            assert dataset.events["timestamp"][a:b].tolist() == past.to_list()
    assert seen == len(raw)
    meta = dataset.meta
    fields = {field.name: field.kind for field in meta.fields}
    assert fields == {  # no hour, no weekday, no share that was played
        "item": "categorical", "user": "categorical", "is_organic": "categorical", "track_length_seconds": "numeric"
    }  # fmt: skip
    assert meta.has_time and not meta.has_calendar and meta.split["kind"] == "given"
    gaps = sum(_part(time) is None for time in frame["timestamp"])
    assert gaps and any(note.startswith(f"{gaps} rows of the 30 minutes before") for note in meta.notes)
    assert any(note.startswith("1 validation or test rows of users without training rows") for note in meta.notes)
    assert not stored_audit(dataset).with_status("fail")


def test_other_splits_have_all_rows(listens):
    folder, frame = listens
    table = _read(folder / "listens.parquet", split="time", positive_from=101, history="rows")
    assert table.rows["label"].to_list() == [share > 100 for share in frame["played_ratio_pct"]]
    assert len(table.rows) == len(table.events) == len(frame) and "split" not in table.rows.columns


@pytest.mark.parametrize("task", ["listens", "likes"])
def test_one_file_of_all_events_is_the_same(listens, task):
    folder, _ = listens
    order = ["user", "timestamp", "item", "label"]
    apart, together = (_read(path, task=task).rows.sort(order) for path in (folder, folder / "multi_event.parquet"))
    assert apart.equals(together) and set(apart["label"]) == {0, 1}


def test_without_rows_on_the_day_of_validation(listens):
    folder, frame = listens
    kept = frame.filter(~pl.col("timestamp").is_between(VAL, VAL_END, closed="left"))
    kept.write_parquet(folder / "listens.parquet")
    rows = _read(folder).rows
    assert set(rows["split"]) == {"train", "test"}
    assert len(rows) == len(kept.filter(pl.col("timestamp").is_between(VAL_END, TEST, closed="left").not_())) - 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (pl.col("timestamp") + 1_700_000_000, "timestamp must be a whole number from 0 to 26,000,000"),  # Unix time
        (pl.col("timestamp") // 5, "tests on rows from 25,913,600 s on"),  # counted in steps
        (pl.col("played_ratio_pct") / 160, "must be per cent, as published"),
        (pl.lit(None, pl.UInt32).alias("item_id"), "item_id must be a whole number"),
        (pl.col("item_id").implode().over("uid", mapping_strategy="join"), "holds lists"),
    ],
)
def test_other_guesses_are_refused(listens, change, words):
    folder, frame = listens
    frame.with_columns(change).write_parquet(folder / "listens.parquet")
    with pytest.raises((BadInputError, UsageError), match=words):
        _read(folder)


def test_what_is_asked_for_is_not_there(listens):
    folder, frame = listens
    with pytest.raises(UsageError, match="positive_from must be at least 1"):  # of 100, not of 1
        parse_options(SOURCE, {"positive_from": 0})
    with pytest.raises(BadInputError, match="likes needs likes and dislikes"):
        SOURCE.check(folder / "likes.parquet", parse_options(SOURCE, {"task": "likes"}))
    frame.with_columns(pl.col("timestamp") + 2).write_parquet(folder / "listens.parquet")
    assert SOURCE.is_own(folder / "listens.parquet")  # rows to predict, and no table with the names of the fields
    assert any("no multiples of 5 s" in note for note in _read(folder / "listens.parquet", split="time").notes)


def test_the_proposal_names_the_source(listens):
    folder, _ = listens
    proposal = propose(folder / "listens.parquet")
    assert proposal.source == "yambda" and "played_ratio_pct" in proposal.left_out and proposal.runs
