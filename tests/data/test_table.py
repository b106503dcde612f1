import numpy as np
import polars as pl
import pytest

from mdaf_core.base.errors import BadInputError, StudioError, UsageError
from mdaf_core.data.audit.report import stored_audit
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.reading.table_file import TableFile, read_head
from mdaf_core.data.store.schema import SPLITS
from mdaf_core.data.store.statistics import read_statistics

pytestmark = pytest.mark.usefixtures("home")
BASE = {"label": "clk", "user": "uid", "timestamp": "when", "item": "ad", "category": "cate"}


def _frame(n=400, seed=0):
    generator = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "clk": generator.integers(0, 2, n),
            "uid": generator.integers(0, 30, n),
            "when": np.sort(1_600_000_000 + generator.integers(0, 864_000, n)),
            "ad": [f"a{i}" for i in generator.integers(0, 20, n)],
            "cate": generator.integers(0, 5, n),
            "price": generator.normal(size=n).round(3),
            "device": [["ios", "web", None][i] for i in generator.integers(0, 3, n)],
        }
    )


def _prepare(path, **options):
    return prepare("table", path=path, options=BASE | options)


def test_columns_that_no_option_names_are_said(tmp_path):
    _frame().write_csv(tmp_path / "a.csv")
    for more, count, said in (
        ({}, 2, "names them: price, device."),
        ({"numeric": ["price"]}, 1, "names them: device."),
        ({"numeric": ["price"], "categorical": ["device"]}, 0, "Every column of the input is used."),
    ):
        dataset = _prepare(tmp_path / "a.csv", **more)
        check = next(c for c in stored_audit(dataset).checks if c.id == "unread-columns")
        assert (check.status, check.number) == ("pass", count) and check.sentence.endswith(said)


def test_csv_and_parquet_give_the_same_rows(tmp_path):
    frame = _frame()
    frame.write_csv(tmp_path / "a.csv")
    frame.write_csv(tmp_path / "a.tsv", separator="\t")
    frame.write_parquet(tmp_path / "a.parquet")
    found = [
        _prepare(tmp_path / name, categorical="device", numeric="price") for name in ("a.csv", "a.tsv", "a.parquet")
    ]
    for dataset in found:
        assert [f.name for f in dataset.meta.fields] == [
            "item",
            "category",
            "user",
            "device",
            "price",
            "hour",
            "dayofweek",
        ]
        for split in SPLITS:
            rows = dataset.rows(split)
            source = frame[rows.row_id.tolist()]
            assert rows.label.tolist() == source["clk"].to_list()
            price = next(f for f in dataset.meta.fields if f.name == "price").numbers(rows.columns["price"])
            assert price == pytest.approx(source["price"].to_numpy(), rel=1e-4, abs=1e-6)
            names = dict(dataset.vocabulary("device").select("code", "id").rows())
            assert [names[c] for c in rows.columns["device"].tolist()] == source["device"].fill_null("").to_list()
            for i in range(len(rows)):
                earlier = frame.filter((pl.col("uid") == source["uid"][i]) & (pl.col("when") < source["when"][i]))
                assert rows.history_end[i] - rows.history_start[i] == len(earlier)


def test_missing_numbers_stay_missing(tmp_path):
    frame = _frame().with_columns(price=pl.when(pl.col("cate") == 1).then(None).otherwise("price"))
    frame.write_csv(tmp_path / "a.csv")
    dataset = _prepare(tmp_path / "a.csv", numeric=["price"], numeric_scaling="none")
    for split in SPLITS:
        rows = dataset.rows(split)
        expected = frame["price"][rows.row_id.tolist()].fill_null(float("nan")).to_numpy()
        assert np.isnan(expected).any()
        assert rows.columns["price"] == pytest.approx(expected, rel=1e-6, nan_ok=True)
    figures = read_statistics(dataset).fields[[f.name for f in dataset.meta.fields].index("price")]
    values = dataset.rows("train").columns["price"]
    assert figures.missing["train"] == np.isnan(values).mean() and figures.mean == pytest.approx(
        np.nanmean(values), rel=1e-5
    )


def test_a_number_that_is_missing_for_one_label_only_is_a_leak(tmp_path):
    frame = _frame().with_columns(price=pl.when(pl.col("clk") == 1).then(None).otherwise("price"))
    frame.write_parquet(tmp_path / "a.parquet")
    checks = {c.id: c for c in stored_audit(_prepare(tmp_path / "a.parquet", numeric=["price"])).checks}
    assert checks["label-leak"].status == "fail" and "price" in checks["label-leak"].sentence


@pytest.mark.parametrize("parquet", [False, True])
def test_ready_made_histories(tmp_path, parquet):
    generator = np.random.default_rng(3)
    lists = [[f"a{i}" for i in generator.integers(0, 20, generator.integers(0, 6))] for _ in range(400)]
    kinds = [[f"{len(x)}"] * len(x) for x in lists]
    frame = _frame().with_columns(cate=pl.col("cate").cast(pl.String))
    if parquet:
        path = tmp_path / "a.parquet"
        frame.with_columns(seen=pl.Series(lists), kinds=pl.Series(kinds)).write_parquet(path)
    else:
        path = tmp_path / "a.csv"
        joined = {"seen": ["^".join(x) for x in lists], "kinds": ["^".join(x) for x in kinds]}
        frame.with_columns(**{name: pl.Series(values) for name, values in joined.items()}).write_csv(path)
    dataset = _prepare(path, history_item="seen", history_category="kinds")
    events = dataset.events
    names = dict(dataset.vocabulary("item").select("code", "id").rows())
    known = set(names.values())
    for split in SPLITS:
        rows = dataset.rows(split)
        for i, row_id in enumerate(rows.row_id.tolist()):
            codes = events["item"][rows.history_start[i] : rows.history_end[i]].tolist()
            assert [names.get(c) for c in codes] == [x if x in known else None for x in lists[row_id]]
            assert (events["timestamp"][rows.history_start[i] : rows.history_end[i]] < rows.timestamp[i]).all()
    checks = {check.id: check for check in stored_audit(dataset).checks}
    assert checks["history-earlier"].status == "warn" and "ready-made" in checks["history-earlier"].sentence
    assert checks["history-own-user"].status == "pass"


def test_ready_made_histories_that_hold_the_target(tmp_path):
    frame = _frame().with_columns(seen=pl.concat_list(pl.lit("a1"), "ad"))
    frame.write_parquet(tmp_path / "a.parquet")
    checks = {c.id: c for c in stored_audit(_prepare(tmp_path / "a.parquet", history_item="seen")).checks}
    assert checks["history-target"].status == "fail" and checks["history-target"].number > 0.9


def test_without_users_or_times(tmp_path):
    _frame().select("clk", "cate", "price").write_csv(tmp_path / "plain.csv")
    options = {"label": "clk", "categorical": ["cate"], "numeric": ["price"]}
    dataset = prepare("table", path=tmp_path / "plain.csv", options=options)
    assert dataset.name == "table-plain"
    assert not dataset.meta.has_user and not dataset.meta.has_time and not dataset.meta.history_fields
    assert [dataset.rows(s).row_id.tolist() for s in SPLITS] == [
        list(range(320)),
        list(range(320, 360)),
        list(range(360, 400)),
    ]


@pytest.mark.parametrize(
    ("write", "options"),
    [
        (lambda t: t, {}),
        (lambda t: t * 1000, {"timestamp_unit": "ms"}),
        (lambda t: pl.from_epoch(t).dt.to_string("%Y-%m-%d %H:%M:%S"), {}),
        (lambda t: pl.from_epoch(t).dt.to_string("%Y-%m-%dT%H:%M:%SZ"), {}),
        (lambda t: (pl.from_epoch(t) + pl.duration(hours=8)).dt.to_string("%Y-%m-%dT%H:%M:%S+08:00"), {}),
        (
            lambda t: (pl.from_epoch(t) + pl.duration(hours=8)).dt.to_string("%Y-%m-%d %H:%M:%S.000"),
            {"timezone": "Asia/Shanghai"},
        ),
    ],
)
def test_ways_to_write_a_time(tmp_path, write, options):
    frame = _frame()
    frame.with_columns(when=write(pl.col("when"))).write_csv(tmp_path / "a.csv")
    dataset = _prepare(tmp_path / "a.csv", **options)
    for split in SPLITS:
        rows = dataset.rows(split)
        assert rows.timestamp.tolist() == frame["when"][rows.row_id.tolist()].to_list()


def test_parquet_datetimes_and_booleans(tmp_path):
    frame = _frame()
    frame.with_columns(when=pl.from_epoch("when"), clk=pl.col("clk") == 1).write_parquet(tmp_path / "a.parquet")
    rows = _prepare(tmp_path / "a.parquet").rows("train")
    assert rows.timestamp.tolist() == frame["when"][rows.row_id.tolist()].to_list()
    assert rows.label.tolist() == frame["clk"][rows.row_id.tolist()].to_list()


def test_ratings_and_positive_histories(tmp_path):
    frame = _frame().with_columns(stars=pl.col("cate") + 1.0)
    frame.write_csv(tmp_path / "a.csv")
    dataset = _prepare(tmp_path / "a.csv", label="stars", positive_from=4, category=None, history="positives")
    assert dataset.meta.events == int((frame["stars"] >= 4).sum())
    assert sum(c.positives for c in dataset.meta.splits.values()) == dataset.meta.events


def test_hostile_column_names_stay_names(tmp_path):
    frame = _frame().rename({"device": "../../etc", "price": "label"})
    frame.write_csv(tmp_path / "a.csv")
    dataset = _prepare(tmp_path / "a.csv", categorical=["../../etc"], numeric=["label"])
    assert {"etc", "label_2"} <= {f.name for f in dataset.meta.fields}
    assert sorted(p.name for p in (dataset.path / "vocabulary").iterdir() if p.stem == "etc") == ["etc.arrow"]


def test_quoted_values_and_line_numbers(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('clk,uid,when,ad,cate\n1,1,5,"two\nlines",1\n0,1,6,"a, ""b""",1\nx,1,7,a,1\n')
    with pytest.raises(BadInputError, match="must be 0 or 1") as error:
        _prepare(path)
    assert error.value.line == 5 and error.value.text == "x"


def test_histories_of_categories_alone(tmp_path):
    """As where a shopping log was joined to impressions: what was looked at is known by category only."""
    frame = _frame().with_columns(pl.col("cate").cast(pl.String), seen=pl.lit("1^4^2"))
    frame.write_csv(tmp_path / "a.csv")
    dataset = _prepare(tmp_path / "a.csv", history_category="seen")
    assert dataset.meta.history_fields == ["category"] and dataset.meta.events == 3 * 400
    names = dict(dataset.vocabulary("category").select("code", "id").rows())
    assert [names[code] for code in dataset.events["category"][:3].tolist()] == ["1", "4", "2"]
    assert not stored_audit(dataset).with_status("fail")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("1,2", "must have 7 fields"),
        ("1,1,1600000000,a1,1,0.5,ios,more", "must have 7 fields"),
        ("2,1,1600000000,a1,1,0.5,ios", "label clk must be 0 or 1"),
        (",1,1600000000,a1,1,0.5,ios", "label clk is empty"),
        ("1,,1600000000,a1,1,0.5,ios", "field uid is empty"),
        ("1,1,1600000000,,1,0.5,ios", "field ad is empty"),
        ("1,1,yesterday,a1,1,0.5,ios", "time when must be"),
        ("1,1,,a1,1,0.5,ios", "time when is unknown in 1 of"),
        ("1,1,1600000000,a1,1,cheap,ios", "field price must be a number"),
        ("1,1,1600000000,a1,1,inf,ios", "field price must be a finite number"),
        ("", "label clk is empty"),
    ],
)
def test_bad_lines_are_named_or_counted(tmp_path, line, words):
    path = tmp_path / "a.csv"
    lines = _frame().write_csv().splitlines()
    lines.insert(123, line)
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(BadInputError, match=words) as error:
        _prepare(path, numeric=["price"])
    assert error.value.line == 124
    dataset = _prepare(path, numeric=["price"], skip_bad_rows=True)
    assert dataset.meta.skipped_rows == 1 and sum(c.rows for c in dataset.meta.splits.values()) == 400
    check = next(c for c in stored_audit(dataset).checks if c.id == "skipped-rows")
    assert (check.status, check.number) == ("warn", 1)


def test_lines_after_skipped_ones_keep_their_number(tmp_path):
    lines = _frame().write_csv().splitlines()
    lines[10], lines[20] = "short", "1,1,1600000000,a1,1,0.5,ios".replace("1,1,", "9,1,", 1)
    (tmp_path / "a.csv").write_text("\n".join(lines))
    reader = TableFile(tmp_path / "a.csv", skip_bad_rows=True)
    frame = reader.read(["clk"])
    assert reader.line(int((frame["clk"] == "9").arg_max())) == 21


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"clk,uid,when,ad,cate\n", "no rows below its header"),
        (b"PAR1 no", "Parquet file cannot be read"),
        (b"PK\x03\x04", "cut off or damaged"),
        ("clk,uid,when,ad,cate\n1,1,1,a,1\n".encode("utf-16"), "UTF-16"),
        (b"clk,uid,when,ad,ad\n", "Two columns are named 'ad'"),
        (b"clk;uid;when;ad;cate\n1;1;1;a;1\n", "no column 'clk'"),
        (b"clk,uid,when,ad,cate\n1,1,5,\xe9t\xe9,1\n", "not UTF-8"),
    ],
)
def test_wrong_files(tmp_path, content, words):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(BadInputError, match=words):
        _prepare(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"label": "nope"}, "no column 'nope'"),
        ({"user": "ad"}, "named twice"),
        ({"history_category": "device", "category": None}, "needs category"),
        ({"history_item": "device", "item": None}, "needs item"),
        ({"timezone": "Mars/Base"}, "timezone"),
        ({"label": "uid", "user": None}, "0 or 1"),
        ({"timestamp": "ad", "item": None}, "Unix time or ISO 8601"),
    ],
)
def test_wrong_mappings(tmp_path, options, words):
    _frame().write_csv(tmp_path / "a.csv")
    with pytest.raises(StudioError, match=words):
        _prepare(tmp_path / "a.csv", **options)


def test_milliseconds_taken_as_seconds_are_noticed(tmp_path):
    _frame().with_columns(pl.col("when") * 1000).write_csv(tmp_path / "a.csv")
    with pytest.raises(UsageError, match="timestamp_unit"):
        _prepare(tmp_path / "a.csv")


def test_byte_order_mark_and_windows_line_ends(tmp_path):
    text = _frame().write_csv()
    (tmp_path / "unix.csv").write_text(text)
    (tmp_path / "windows.csv").write_bytes(("\ufeff" + text.replace("\n", "\r\n") + "\r\n").encode())
    first, second = (_prepare(tmp_path / name, categorical="device") for name in ("unix.csv", "windows.csv"))
    assert first.meta.fingerprint["content"] == second.meta.fingerprint["content"]
    assert read_head(tmp_path / "windows.csv", 2).first.columns[0] == "clk"


def test_ids_and_labels_of_odd_types(home, tmp_path):
    frame = pl.DataFrame({"label": [0, 1] * 50, "item": [2**64 - 1, 5] * 50}, schema_overrides={"item": pl.UInt64})
    frame.with_columns(pl.col("label").cast(pl.Decimal(10, 2))).write_parquet(tmp_path / "t.parquet")
    dataset = prepare("table", path=tmp_path / "t.parquet", name="odd", options={"item": "item"})
    assert sorted(dataset.vocabulary("item")["id"].to_list()) == ["18446744073709551615", "5"]
    assert sum(counts.positives for counts in dataset.meta.splits.values()) == 50


@pytest.mark.parametrize(
    ("seconds", "timezone", "sentence"),
    [
        ([0, 1, 2, 3], "UTC", "The times name days without an hour (column when)"),
        ([0, 1, 2, 3], "Asia/Shanghai", "midnight in UTC: in Asia/Shanghai they may be of the day before"),
        ([0.75, 1.75, 2.75, 3.75], "UTC", "All times are of the hour 18 of the day"),
        ([2 / 3, 5 / 3, 8 / 3, 11 / 3], "Asia/Shanghai", "The times name days without an hour (column when)"),
        ([0, 1, 2, 3.5], "UTC", ""),
        ([0, 0.9, 0.95, 0.97], "UTC", ""),
    ],
)
def test_an_hour_that_says_nothing_is_no_field_and_why_is_said(tmp_path, seconds, timezone, sentence):
    lines = [f"{i % 2},{i},{round(1_600_000_000 // 86400 * 86400 + day * 86400)}" for i, day in enumerate(seconds)]
    path = tmp_path / "log.csv"
    path.write_text("\n".join(["y,item,when", *lines]) + "\n")
    options = {"label": "y", "item": "item", "timestamp": "when", "timezone": timezone, "fractions": (0.5, 0.25, 0.25)}
    meta = prepare("table", path=path, name="data", options=options).meta
    assert ("hour" in meta.categorical) == (not sentence)
    said = " ".join(meta.notes)
    assert sentence in said and ("hour" in said) == bool(sentence)
