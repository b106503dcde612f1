"""What a table's columns are taken for, on the forms that people have."""

import gzip

import numpy as np
import polars as pl
import pytest

from mdaf_core.base.errors import BadInputError
from mdaf_core.data.audit.report import stored_audit
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.propose.table import propose

N = 200
DRAW = np.random.default_rng(0)
CLICK, USER, AD = DRAW.integers(0, 2, N), DRAW.integers(0, 20, N), DRAW.integers(0, 30, N)
TIME = 1_600_000_000 + np.sort(DRAW.integers(0, 864_000, N))
PRICE = DRAW.normal(size=N).round(3)


def _propose(tmp_path, name="log.csv", **columns):
    frame = pl.DataFrame(columns)
    path = tmp_path / name
    frame.write_parquet(path) if name.endswith("parquet") else frame.write_csv(path)
    return propose(path)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (
            {"user_id": USER, "item_id": AD, "click": CLICK, "timestamp": TIME, "price": PRICE},
            {"label": "click", "user": "user_id", "item": "item_id", "timestamp": "timestamp", "numeric": ["price"]},
        ),
        (  # another order of names, milliseconds, further ids, a row number
            {"n": range(N), "uid": USER, "adgroupId": AD, "cate": AD % 4, "ts": TIME * 1000, "is_click": CLICK,
             "pid": USER % 3},
            {"label": "is_click", "user": "uid", "item": "adgroupId", "category": "cate", "timestamp": "ts",
             "timestamp_unit": "ms", "categorical": ["pid"]},
        ),
        (  # ratings
            {"userId": USER, "movieId": AD, "rating": AD % 5 + 1, "timestamp": TIME},
            {"label": "rating", "positive_from": 4.0, "user": "userId", "item": "movieId", "timestamp": "timestamp"},
        ),
        (  # histories joined to the rows
            {"label": CLICK, "user_id": USER, "item_id": AD, "cate_id": AD % 4,
             "item_history": ["1^2^3"] * N, "cate_history": ["1^2^3"] * N},
            {"label": "label", "user": "user_id", "item": "item_id", "category": "cate_id",
             "history_item": "item_history", "history_category": "cate_history"},
        ),
        (  # of categories alone, with another mark; a list that nothing can be said of
            {"clk": CLICK, "userid": USER, "cate_id": AD % 4, "cate_his": ["1|2"] * N, "btag_his": ["1|1"] * N},
            {"label": "clk", "user": "userid", "category": "cate_id", "history_category": "cate_his",
             "history_separator": "|"},
        ),
        (  # nothing has a known name but one column holds zeros and ones
            {"a": USER, "b": CLICK, "c": PRICE},
            {"label": "b", "categorical": ["a"], "numeric": ["c"]},
        ),
        (
            {"user": USER, "when": ["2020-09-13 12:26:40"] * N, "y": CLICK},
            {"label": "y", "user": "user", "timestamp": "when"},
        ),
        ({"user": USER, "time": ["noon"] * N, "y": CLICK}, {"label": "y", "user": "user", "categorical": ["time"]}),
    ],
)  # fmt: skip
def test_columns_by_their_names_and_values(tmp_path, columns, expected):
    for name in ("log.csv", "log.parquet"):
        proposal = _propose(tmp_path, name, **columns)
        assert proposal.options == expected
        assert set(proposal.reasons) == set(expected) and len(proposal.rows) == N
        used = {v for value in expected.values() for v in (value if isinstance(value, list) else [value])}
        assert set(proposal.left_out) == set(columns) - used


ZONED = (
    "2020-09-13 12:{:02d}:40 UTC",
    "20200913T12{:02d}40Z",
    "2020-09-13 14:{:02d}:40+02",
    "2020-09-13T12:{:02d}:40,000Z",
)


@pytest.mark.parametrize(
    ("written", "options"),
    [(form, {}) for form in ZONED]
    + [
        ("2020-09-13 12:{:02d}:40 PM", {"timestamp_format": "%Y-%m-%d %I:%M:%S %p"}),
        ("2020-09-13T12:{:02d}Z", {}),
        ("2020-09-13T14:{:02d}+02:00", {}),
    ],
)
def test_what_is_proposed_of_a_time_can_be_prepared(home, tmp_path, written, options):
    """Times of PostgreSQL, BigQuery, loggers and spreadsheets, in other spellings than the usual one of ISO 8601."""
    minutes = np.sort(DRAW.integers(0, 60, N))
    columns = {"user_id": USER, "item_id": AD, "click": CLICK, "served_at": [written.format(m) for m in minutes]}
    proposal = _propose(tmp_path, **columns)
    assert proposal.options.pop("timestamp") == "served_at"
    assert {k: v for k, v in proposal.options.items() if k.startswith("timestamp")} == options
    dataset = prepare(
        "table", path=tmp_path / "log.csv", name="log", options=proposal.options | {"timestamp": "served_at"}
    )
    times = np.concatenate([dataset.rows(split).timestamp for split in ("train", "val", "test")])
    seconds = 0 if "40" not in written else 40
    assert np.sort(times).tolist() == (1_599_998_400 + 60 * minutes + seconds).tolist()


def test_a_column_of_one_value_is_named(tmp_path):
    proposal = _propose(tmp_path, user_id=USER, click=CLICK, country=["DE"] * N, bid=[1.5] * N, device=AD % 3)
    assert [text for text in proposal.findings if "one value" in text] == [
        "bid, country hold one value only in the first 200 rows: they say nothing to a model, unless later rows differ."
    ]


def test_the_words_of_a_label_that_nothing_is_known_of_are_shown(tmp_path):
    said = np.where(CLICK == 1, "clicked", "ignored")
    proposal = _propose(tmp_path, user_id=USER, outcome=said, device=AD % 3)
    assert (proposal.options["label"], proposal.options["positive_values"]) == ("outcome", ["clicked"])
    assert any("The label is a guess: outcome holds clicked" in text for text in proposal.findings)
    proposal = _propose(tmp_path, user_id=USER, result=np.where(CLICK == 1, "A", "B"), device=AD % 3)
    assert not proposal.runs and "Columns of two values: result (A, B)." in proposal.findings[0]


def test_lists_and_times_of_parquet(tmp_path):
    proposal = _propose(
        tmp_path,
        "log.parquet",
        clicked=CLICK == 1,
        item=AD,
        when=pl.from_epoch(pl.Series(TIME)),
        click_history=[[1, 2]] * N,
    )
    assert proposal.options == {
        "label": "clicked",
        "timestamp": "when",
        "item": "item",
        "history_item": "click_history",
    }


@pytest.mark.parametrize("mark", ["\t", ";", "|"])
def test_what_parts_the_fields(tmp_path, mark):
    pl.DataFrame({"label": CLICK, "user": USER, "city": USER % 3}).write_csv(tmp_path / "log.txt", separator=mark)
    proposal = propose(tmp_path / "log.txt")
    assert proposal.options == {"delimiter": mark, "label": "label", "user": "user", "categorical": ["city"]}


def test_a_proposal_can_be_run_as_it_is(tmp_path, home):
    columns = {
        "uid": USER,
        "ad": AD,
        "clk": CLICK,
        "when": TIME,
        "price": PRICE,
        "device": [["ios", None][i % 2] for i in AD],
    }
    proposal = _propose(tmp_path, **columns)
    dataset = prepare("table", path=tmp_path / "log.csv", options=proposal.options)
    assert dataset.meta.history_fields == ["item"] and dataset.meta.numeric == ["price"]
    assert not stored_audit(dataset).with_status("fail")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04..", b"PAR1 no", b"a,a\n1,2\n"])
def test_what_is_no_table_is_said(tmp_path, content):
    (tmp_path / "log.csv").write_bytes(content)
    with pytest.raises(BadInputError):
        propose(tmp_path / "log.csv")


def test_a_header_alone_proposes_by_names_nothing_that_needs_values(tmp_path):
    (tmp_path / "log.csv").write_text("label,user,item,price\n")
    assert propose(tmp_path / "log.csv").options == {"user": "user", "item": "item"}


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_packed_file_is_proposed_as_the_plain_one(tmp_path, ending):
    frame = pl.DataFrame({"clk": [0, 1] * 20, "user_id": range(40), "ad_id": range(40)})
    plain, packed = tmp_path / f"log{ending}", tmp_path / f"log{ending}.gz"
    frame.write_csv(plain, separator=";") if ending == ".csv" else frame.write_parquet(plain)
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    one, other = propose(plain), propose(packed)
    assert one.options == other.options and one.rows.equals(other.rows) and one.options["label"] == "clk"


def test_times_with_fractions_are_found_by_their_values_and_a_missing_user_is_said(tmp_path):
    columns = {"Klick": CLICK, "Zeitpunkt": TIME + 0.25, "Besucher": [f"B{u}" for u in USER], "Preis": PRICE}
    found = _propose(tmp_path, **columns)
    assert found.options["timestamp"] == "Zeitpunkt" and found.options["numeric"] == ["Preis"]
    assert any("No user was found" in said for said in found.findings)
    named = _propose(tmp_path, **columns | {"user_id": USER})
    assert not any("No user" in said for said in named.findings)
