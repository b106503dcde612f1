"""What a table's columns are taken for, on the forms that people have."""

import gzip
import json

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
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


DAYS = pl.from_epoch(pl.Series(TIME)).dt.date()


@pytest.mark.parametrize(
    ("coarse", "fine"),
    [
        ({"day": DAYS}, {"event_ts": pl.from_epoch(pl.Series(TIME))}),
        ({"date": DAYS.dt.strftime("%Y%m%d")}, {"served": TIME * 1000}),
        ({"timestamp": TIME // 86_400 * 86_400}, {"created_at": pl.from_epoch(pl.Series(TIME)).dt.to_string()}),
        ({"hour": pl.from_epoch(pl.Series(TIME)).dt.strftime("%y%m%d%H")}, {"logged": TIME + 3600 * 8}),  # elsewhere
    ],
)
def test_the_finest_of_the_times_of_a_row_puts_rows_in_order(tmp_path, coarse, fine):
    """Within the day of the other nothing would say what came first, and histories would lack it."""
    proposal = _propose(tmp_path, "log.parquet", user_id=USER, item_id=AD, click=CLICK, **coarse, **fine)
    assert proposal.options["timestamp"] == next(iter(fine))
    assert proposal.reasons["timestamp"].endswith(f", finer than {next(iter(coarse))}")
    assert proposal.left_out[next(iter(coarse))] == "another time of the row"


def test_a_finer_time_of_something_else_is_not_that_of_the_row(tmp_path):
    signed_up = pl.from_epoch(pl.Series(DRAW.integers(1_500_000_000, 1_600_000_000, N)))
    proposal = _propose(tmp_path, "log.parquet", user_id=USER, click=CLICK, date=DAYS, signed_up_at=signed_up)
    assert proposal.options["timestamp"] == "date"


def test_the_timezone_of_a_type_is_proposed_and_an_offset_is_said(home, tmp_path):
    here = pl.from_epoch(pl.Series(TIME)).dt.replace_time_zone("UTC")
    columns = {"user_id": USER, "item_id": AD, "click": CLICK}
    zoned = _propose(tmp_path, "log.parquet", **columns, ts=here.dt.convert_time_zone("America/New_York"))
    assert zoned.options["timezone"] == "America/New_York" and not zoned.findings
    assert "timezone" not in _propose(tmp_path, "utc.parquet", **columns, ts=here).options
    written = here.dt.convert_time_zone("Europe/Berlin").dt.strftime("%Y-%m-%dT%H:%M:%S%:z")
    assert any("the offset +02:00" in said for said in _propose(tmp_path, **columns, ts=written).findings)

    left = {name: value for name, value in zoned.options.items() if name != "timezone"}
    utc = prepare("table", path=tmp_path / "log.parquet", name="utc", options=left)
    assert [note for note in utc.meta.notes if "set timezone=America/New_York" in note]
    assert not utc.meta.timezone_assumed
    local = prepare("table", path=tmp_path / "log.parquet", name="local", options=zoned.options)
    known = local.vocabulary("hour")
    raw = dict(zip(known["code"], known["id"], strict=True))
    hours = [int(raw[code]) for code in local.rows("train").columns["hour"].tolist()]
    assert hours == here.dt.convert_time_zone("America/New_York").dt.hour().to_list()[: len(hours)]


def test_objects_are_columns_of_their_own(home, tmp_path):
    """As one id, an ad with its bid would be another ad at every bid."""
    rows = [
        {"at": int(t), "user": {"id": f"u{u}", "geo": {"city": f"c{u % 3}"}}, "ad": {"id": int(a), "bid": float(p)},
         "click": int(y)}
        for t, u, a, p, y in zip(TIME, USER, AD, PRICE, CLICK, strict=True)
    ]  # fmt: skip
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pl.DataFrame(rows).write_parquet(tmp_path / "log.parquet")
    flat = {"at": TIME, "user.id": [f"u{u}" for u in USER], "user.geo.city": [f"c{u % 3}" for u in USER],
            "ad.id": AD, "ad.bid": PRICE, "click": CLICK}  # fmt: skip
    pl.DataFrame(flat).write_parquet(tmp_path / "flat.parquet")
    items, content = set(), []
    for name in ("flat.parquet", "log.parquet", "log.jsonl"):
        proposal = propose(tmp_path / name)
        assert proposal.options == {
            "label": "click", "timestamp": "at", "user": "user.id", "item": "ad.id", "numeric": ["ad.bid"],
            "categorical": ["user.geo.city"],
        }  # fmt: skip
        dataset = prepare("table", path=tmp_path / name, name=name.replace(".", "-"), options=proposal.options)
        content.append(dataset.meta.fingerprint["sha256"])
        items.add(frozenset(dataset.vocabulary("item")["id"]))
        with pytest.raises(BadInputError, match=r"There is no column 'user'.* a column of its own, such as user\.id"):
            prepare("table", path=tmp_path / name, name="no", options=proposal.options | {"user": "user"})
    assert content[0] == content[1] and len(items) == 1 and max(map(len, items)) <= 30


def test_what_a_published_file_is_known_for_is_proposed(tmp_path):
    """KuaiRec has no label of its own, and Criteo's counts are numbers."""
    watched = DRAW.integers(0, 3, N) + 0.5
    kuairec = _propose(
        tmp_path, user_id=USER, video_id=AD, play_duration=1000 * watched, video_duration=[1000] * N, time=[""] * N,
        date=[""] * N, timestamp=TIME + 0.5, watch_ratio=watched,
    )  # fmt: skip
    assert kuairec.runs and kuairec.options == {
        "label": "watch_ratio", "positive_from": 2, "timestamp": "timestamp", "timezone": "Asia/Shanghai",
        "user": "user_id", "item": "video_id", "numeric": ["video_duration"],
    }  # fmt: skip
    assert set(kuairec.left_out) == {"play_duration", "time", "date"}
    counts = {f"I{i}": DRAW.integers(0, 50, N) for i in range(1, 14)}
    ids = {f"C{i}": [f"{c:08x}" for c in DRAW.integers(0, 50, N)] for i in range(1, 27)}
    criteo = _propose(tmp_path, label=CLICK, **counts, **ids).options
    assert criteo == {"label": "label", "numeric": list(counts), "categorical": list(ids)}


def test_bytes_are_text_or_hexadecimal(home, tmp_path):
    """Hashes, as databases keep them."""
    raw = [bytes([255, a]) if a % 2 else f"a{a}".encode() for a in AD.tolist()]
    proposal = _propose(tmp_path, "log.parquet", user_id=USER, item_id=raw, click=CLICK, timestamp=TIME)
    assert proposal.options["item"] == "item_id"
    dataset = prepare("table", path=tmp_path / "log.parquet", options=proposal.options)
    known = set(dataset.vocabulary("item")["id"])
    assert known <= {f"ff{a:02x}" if a % 2 else f"a{a}" for a in AD.tolist()} and {len(id) for id in known} >= {2, 4}


def test_a_label_that_counts_says_what_to_set(tmp_path):
    proposal = _propose(tmp_path, user_id=USER, item_id=AD, click=CLICK * (1 + AD % 3), timestamp=TIME)
    assert not proposal.runs and proposal.findings[0] == (
        "click is called the label and holds numbers from 0 to 3: set label=click and positive_from to the smallest "
        "that is positive (of counts of clicks, 1)."
    )
    assert proposal.left_out["click"] == "the label, once positive_from is set"


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_hashes_of_64_bits_without_a_sign_are_ids(home, tmp_path, ending):
    """As Avazu's row numbers, and hashes of users: half of them are beyond the integers with a sign."""
    hashes = DRAW.integers(2**63, 2**64 - 1, 20, dtype=np.uint64)
    columns = {"user_id": pl.Series(hashes)[USER.tolist()], "item_id": AD, "click": CLICK, "timestamp": TIME}
    proposal = _propose(tmp_path, f"log.{ending}", **columns, session_key=columns["user_id"])
    assert proposal.options["user"] == "user_id" and proposal.options["categorical"] == ["session_key"]
    dataset = prepare("table", path=tmp_path / f"log.{ending}", options=proposal.options)
    assert set(dataset.vocabulary("user")["id"]) <= {str(value) for value in hashes.tolist()}


@pytest.mark.parametrize(("zone", "named"), [("+05:30", None), ("-03:00", "Etc/GMT+3"), ("UTC", None)])
def test_moments_whose_timezone_is_an_offset_are_read(home, tmp_path, zone, named):
    """As pandas writes what it parsed of 2023-11-15T03:49:02+05:30."""
    times = pa.array(TIME * 1000 + 250, pa.timestamp("ms", tz=zone))
    columns = {"user_id": USER, "item_id": AD, "click": CLICK, "ts": times}
    pq.write_table(pa.table(columns), tmp_path / "log.parquet")
    proposal = propose(tmp_path / "log.parquet")
    assert proposal.options["timestamp"] == "ts" and proposal.options.get("timezone") == named
    dataset = prepare("table", path=tmp_path / "log.parquet", options=proposal.options)
    found = np.concatenate([dataset.rows(split).timestamp for split in ("train", "val", "test")])
    assert dataset.meta.time_unit == "ms" and found.tolist() == (TIME * 1000 + 250).tolist()
