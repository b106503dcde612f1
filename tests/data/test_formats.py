"""Files of the forms that this field publishes: each ends in the right reading, by the command that is printed for it,
or in a refusal that names it."""

import io
import shlex
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mdaf_core.base.errors import BadInputError
from mdaf_core.cli.main import main
from mdaf_core.data.audit.report import stored_audit
from mdaf_core.data.propose.table import propose
from mdaf_core.data.store.dataset import PreparedDataset, list_datasets
from tests.cli.conftest import strict

HANDED_OUT = Path(__file__).parents[3] / "shared" / "data" / "formats"
N = 240
DRAW = np.random.default_rng(3)
LABEL, USER, ITEM = DRAW.integers(0, 2, N), DRAW.integers(0, 12, N), DRAW.integers(1, 30, N)
TIME = 1_650_000_000 + np.sort(DRAW.integers(0, 864_000, N))


def _run(*arguments):
    """`python -m mdaf_core …` in this process: exit status, output, errors."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["mdaf_core", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
            raise SystemExit(0)
    return ended.value.code or 0, out.getvalue(), err.getvalue()


def _printed(path):
    """The command of `data propose`, as a shell takes it apart."""
    code, out, err = _run("data", "propose", str(path))
    assert code == 0, err
    command = shlex.split(out.splitlines()[-1])
    assert command[:3] == ["python", "-m", "mdaf_core"], out
    return command[3:]


def _prepared(path):
    code, out, err = _run(*_printed(path), "--json")
    assert code == 0, err
    return PreparedDataset.open(strict(out)["name"])


def _roles(dataset):
    return {field.name: field.kind for field in dataset.meta.fields}


@pytest.fixture(autouse=True)
def _home(home):
    return home


@pytest.mark.skipif(not HANDED_OUT.exists(), reason="the files that were handed out are not beside the project")
@pytest.mark.parametrize(
    "name", sorted(str(path.relative_to(HANDED_OUT)) for path in HANDED_OUT.rglob("*.*") if path.is_file())
)
def test_files_that_were_handed_out(name):
    path = HANDED_OUT / name
    proposal = propose(path)
    dataset = _prepared(path)
    audit = stored_audit(dataset)
    failed = {check.id for check in audit.with_status("fail")}
    if "last_out" in name:  # a user's last review may be long before another's first
        failed -= {"split-times"}
    assert failed <= {"label-leak", "unknown-by-label", "both-labels", "history-unknown", "value-decides-label"}, failed
    meta = dataset.meta
    if name.startswith("avazu"):
        assert meta.splits["train"].first_time >= 1_413_849_600 and not meta.has_user
    if name.startswith("kuairand"):
        assert meta.timezone == "Asia/Shanghai" and meta.has_calendar and meta.time_unit == "ms"
        assert {"is_like", "play_time_ms", "long_view", "date"}.isdisjoint(_roles(dataset))
    if name.startswith("reczoo/KuaiVideo"):
        assert meta.has_time and not meta.has_calendar and meta.ready_made_history
    if "amazon2023" in name:
        assert proposal.source == "amazon-reviews" and meta.splits["train"].first_time > 1_300_000_000
        assert meta.label.startswith("rated 4 stars or more") and meta.time_unit == "ms"
        assert meta.split["kind"] == ("given" if "last_out" in name else "time")
    if name.startswith("mind"):
        assert proposal.source == "mind" and "'mind'" in proposal.findings[0] and meta.ready_made_history
    if "padded" in name or "zero_ts" in name:
        assert proposal.options["history_padding"] == "0"
    if "zero_ts" in name:
        assert any("12 of the first 600 rows" in finding for finding in proposal.findings)
        assert any("unknown in 12 of 600 rows (0 in 12)" in note for note in meta.notes)
    if "purchase" in name:
        assert "purchase" in proposal.left_out


ODD_NAME = st.text(
    st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from(",\"' \t;|^[]{}=$`\\\\#%\u540d\u30a4"),
    min_size=1,
    max_size=12,
).filter(lambda name: name.strip() and name not in ("label", "user_id"))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(names=["0", "*"], ending="parquet")  # Polars' own names for all columns, and for those that fit
@example(names=["^a$", "^.*$"], ending="csv")
@example(names=["^b$", "b"], ending="parquet")
@given(names=st.lists(ODD_NAME, min_size=2, max_size=2, unique=True), ending=st.sampled_from(["csv", "parquet", "tsv"]))
def test_a_printed_command_runs_whatever_columns_are_called(tmp_path_factory, names, ending):
    folder = tmp_path_factory.mktemp("odd")
    frame = pl.DataFrame({"label": LABEL, names[0]: ITEM, "user_id": USER, names[1]: DRAW.normal(size=N)})
    path = folder / f"odd name {len(list_datasets())}.{ending}"
    if ending == "parquet":
        frame.write_parquet(path)
    else:
        frame.write_csv(path, separator="\t" if ending == "tsv" else ",", quote_style="always")
    proposal = propose(path)
    code, out, err = _run(*proposal.command(path)[2:], "--again", "--json")
    assert code == 0, err
    used = {field["description"].removeprefix("Column ") for field in strict(out)["fields"]}
    assert {name for name in names if name not in proposal.left_out} <= used


CASES = {
    "tenrec": (
        "user_id item_id click follow like share video_category watching_times gender age hist_1 hist_2",
        {"label": "click", "user": "user_id", "item": "item_id", "category": "video_category"},
        {"follow", "like", "share", "watching_times", "hist_1", "hist_2"},
    ),
    "kkbox": (
        "msno song_id source_system_tab source_screen_name source_type target",
        {"label": "target", "user": "msno", "item": "song_id"},
        set(),
    ),
    "ali-ccp": ("click purchase 101 121 205 206", {"label": "click"}, {"purchase"}),
    "chinese": (
        "标签 用户 商品 类别 城市",
        {"label": "标签", "user": "用户", "item": "商品", "category": "类别"},
        set(),
    ),
    "japanese": ("クリック ユーザー 商品 カテゴリ", {"label": "クリック", "user": "ユーザー", "item": "商品"}, set()),
    "outcomes": (
        "is_clicked uid aid ad_id dwell_time next_item_id watch_ratio read_time is_purchased is_weekend",
        {"label": "is_clicked", "user": "uid", "item": "ad_id"},
        {"dwell_time", "next_item_id", "watch_ratio", "read_time", "is_purchased"},
    ),
    "opposite": ("label nonlabel user_id item_id", {"label": "label"}, {"nonlabel"}),
}
BINARY = {"click", "follow", "like", "share", "target", "purchase", "is_clicked", "is_purchased", "is_weekend", "label"}
BINARY |= {"标签", "クリック"}


@pytest.mark.parametrize("name", CASES)
def test_headers_of_other_files(tmp_path, name):
    header, options, left_out = CASES[name]
    draw = np.random.default_rng(1)
    columns = {
        column: draw.integers(0, 2, N) if column in BINARY else draw.integers(1, 25, N) for column in header.split()
    }
    if "nonlabel" in columns:
        columns["nonlabel"] = 1 - columns["label"]
    pl.DataFrame(columns).write_csv(tmp_path / "log.csv")
    proposal = propose(tmp_path / "log.csv")
    assert {key: proposal.options.get(key) for key in options} == options
    assert left_out <= set(proposal.left_out)
    assert "is_weekend" not in proposal.left_out
    dataset = _prepared(tmp_path / "log.csv")
    assert len(dataset.meta.fields) >= 1


def _write(path, **columns):
    pl.DataFrame(columns).write_csv(path)
    return path


@pytest.mark.parametrize(
    ("values", "options"),
    [
        (np.where(LABEL, "buy", "pv"), {"label": "behavior", "positive_values": ["buy"]}),
        (np.where(LABEL, "transaction", "view"), {"label": "behavior", "positive_values": ["transaction"]}),
    ],
)
def test_a_label_in_words_is_a_guess_that_is_said(tmp_path, values, options):
    path = _write(tmp_path / "a.csv", user_id=USER, item_id=ITEM, behavior=values, timestamp=TIME)
    proposal = propose(path)
    assert {key: proposal.options[key] for key in options} == options and "guess" in proposal.findings[0]
    positives = sum(counts.positives for counts in _prepared(path).meta.splits.values())
    assert positives == int(LABEL.sum())


def test_ratings_of_zeros_and_ones_are_a_label(tmp_path):
    path = _write(tmp_path / "a.csv", user_id=USER, item_id=ITEM, rating=LABEL, timestamp=TIME)
    proposal = propose(path)
    assert "positive_from" not in proposal.options and "0 and 1 alone" in " ".join(proposal.findings)
    assert sum(c.positives for c in _prepared(path).meta.splits.values()) == int(LABEL.sum())


def test_without_a_label_that_is_said_first_and_there_is_no_command(tmp_path):
    path = _write(tmp_path / "a.csv", user_id=USER, item_id=ITEM, timestamp=TIME)
    code, out, _ = _run("data", "propose", str(path))
    assert code == 0 and out.startswith("No label was found") and "no command" in out.splitlines()[-1]


def test_a_user_that_stands_for_unknown_is_said(tmp_path):
    user = np.where(DRAW.random(N) < 0.3, "unknown", USER.astype(str))
    findings = " ".join(propose(_write(tmp_path / "a.csv", user_id=user, item_id=ITEM, click=LABEL)).findings)
    assert "'unknown' holds" in findings and "one user with one history" in findings
    together = np.sort(np.where(DRAW.random(N) < 0.3, "0", USER.astype(str)))  # sorted by user: no such thing
    findings = " ".join(propose(_write(tmp_path / "b.csv", user_id=together, item_id=ITEM, click=LABEL)).findings)
    assert "holds" not in findings


LISTS = [[f"i{k}" for k in DRAW.integers(1, 30, size)] for size in DRAW.integers(0, 6, N)]
WRITINGS = {
    "caret": "^".join, "bar": "|".join, "blank": " ".join, "comma": ",".join, "comma and blank": ", ".join,
    "python": lambda row: str(row), "json": lambda row: str(row).replace("'", '"'),
    "numpy": lambda row: "[" + " ".join(f"'{part}'" for part in row) + "]", "semicolon": ";".join,
}  # fmt: skip


@pytest.mark.parametrize("writing", WRITINGS)
@pytest.mark.parametrize("padding", [None, "pre", "post"])
def test_lists_of_every_form_are_the_same_histories(tmp_path, writing, padding):
    rows = LISTS
    if padding:
        rows = [["0"] * (6 - len(row)) + row if padding == "pre" else row + ["0"] * (6 - len(row)) for row in LISTS]
    item = [f"i{k}" for k in ITEM]
    path = _write(
        tmp_path / "a.csv", user_id=USER, item_id=item, click=LABEL, timestamp=TIME,
        item_history=[WRITINGS[writing](row) for row in rows],
    )  # fmt: skip
    assert propose(path).options.get("history_padding") == ("0" if padding else None)
    dataset = _prepared(path)
    names = dict(dataset.vocabulary("item").select("code", "id").rows())
    for split in ("train", "val", "test"):
        part = dataset.rows(split)
        for i, row_id in enumerate(part.row_id.tolist()):
            codes = dataset.events["item"][part.history_start[i] : part.history_end[i]].tolist()
            assert [names.get(code) for code in codes] == [k if k in names.values() else None for k in LISTS[row_id]]


def test_more_than_one_pair_of_lists(tmp_path):
    path = _write(
        tmp_path / "a.csv", label=LABEL, user_id=USER, item_id=ITEM, cate_id=ITEM % 4,
        click_items=["1^2"] * N, click_cates=["1^2"] * N, buy_items=["3^4"] * N, buy_cates=["3^0"] * N,
        neg_items=["5^6"] * N,
    )  # fmt: skip
    proposal = propose(path)
    assert proposal.options["history_item"] == "click_items" and proposal.options["history_category"] == "click_cates"
    assert any("more lists than one pair" in finding for finding in proposal.findings)
    assert {"buy_items", "buy_cates", "neg_items"} <= set(proposal.left_out)


def test_json_lines_are_the_same_rows_as_csv(tmp_path):
    frame = pl.DataFrame({"click": LABEL, "user_id": USER, "item_id": ITEM, "ts": TIME, "price": DRAW.normal(size=N)})
    frame = frame.with_columns(seen=pl.Series(LISTS))
    frame.write_ndjson(tmp_path / "a.jsonl")
    frame.with_columns(pl.col("seen").list.join("^")).write_csv(tmp_path / "b.csv")
    one, other = (_prepared(tmp_path / name) for name in ("a.jsonl", "b.csv"))
    assert one.meta.fields == other.meta.fields
    for split in ("train", "val", "test"):
        for name, values in one.rows(split).columns.items():
            assert np.array_equal(values, other.rows(split).columns[name]), name
    lines = (tmp_path / "a.jsonl").read_text().splitlines()
    lines[4] = lines[4][:-5]
    (tmp_path / "c.jsonl").write_text("\n".join(lines))
    code, _, err = _run(*_printed(tmp_path / "c.jsonl"))
    assert code == 1 and "c.jsonl, line 5: The line must be one JSON object" in err
    assert _run(*_printed(tmp_path / "c.jsonl"), "--set", "skip_bad_rows=true")[0] == 0
    (tmp_path / "d.json").write_text("[" + ",".join(lines[:3]) + "]")
    code, _, err = _run("data", "propose", str(tmp_path / "d.json"))
    assert code == 1 and "JSON array" in err


def test_a_file_without_a_header(tmp_path):
    path = tmp_path / "a.csv"
    pl.DataFrame({"a": USER, "b": ITEM, "c": LABEL, "d": TIME}).write_csv(path, include_header=False)
    proposal = propose(path)
    assert any("no header" in finding for finding in proposal.findings)
    assert proposal.options["timestamp"] == "column_4" and proposal.options["label"] == "column_3"
    assert sum(counts.rows for counts in _prepared(path).meta.splits.values()) == N
    code, _, err = _run("data", "prepare", "table", "--path", str(path))
    assert code == 1 and "set names" in err
    options = ["names=user,item,clk,when", "label=clk", "user=user", "item=item", "timestamp=when"]
    code, _, err = _run("data", "prepare", "table", "--path", str(path), *(x for o in options for x in ("--set", o)))
    assert code == 0, err


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("1,2268318,2520377,pv,1511544070\n" * 3, "user-behavior"),
        ("196\t242\t3\t881250949\n186\t302\t3\t891717742\n", "movielens"),
        ("1::1193::5::978300760\n1::661::3::978302109\n", "movielens"),
        ("\t".join(["0", *map(str, range(13)), *["68fd1e64"] * 26]) + "\n", "criteo"),
    ],
)
def test_published_files_without_a_header_name_their_source(tmp_path, text, source):
    (tmp_path / "file.txt").write_text(text * 4)
    proposal = propose(tmp_path / "file.txt")
    assert proposal.source == source and f"'{source}'" in proposal.findings[0]


def test_lists_of_impressions_name_the_source_that_reads_them(tmp_path):
    frame = pl.DataFrame(
        {"impression_id": range(50), "user_id": [1] * 50, "impression_time": ["2023-05-01 10:00:00"] * 50,
         "article_ids_inview": [[1, 2]] * 50, "article_ids_clicked": [[1]] * 50}
    )  # fmt: skip
    frame.write_parquet(tmp_path / "behaviors.parquet")
    proposal = propose(tmp_path / "behaviors.parquet")
    assert proposal.source == "ebnerd" and "'ebnerd' makes a row of each in view" in proposal.findings[0]
    assert proposal.command("x") == [] and "articles.parquet" in proposal.findings[1]  # which is not beside it


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_long_ids_in_floats_are_refused(tmp_path, ending):
    ids = (9_007_199_254_740_993 + ITEM * 7).astype(np.float64)
    frame = pl.DataFrame(
        {"label": LABEL, "item_id": ids if ending == "parquet" else [f"{value:.15e}" for value in ids]}
    )
    path = tmp_path / f"a.{ending}"
    frame.write_parquet(path) if ending == "parquet" else frame.write_csv(path)
    code, _, err = _run("data", "prepare", "table", "--path", str(path), "--set", "item=item_id")
    assert code == 1 and "'item_id' holds ids as floating-point numbers" in err
    for whole in (ids.astype(np.int64), [f"{int(value)}" for value in ids]):
        frame.with_columns(item_id=pl.Series(whole)).write_parquet(tmp_path / "whole.parquet")
        code, _, err = _run(
            "data", "prepare", "table", "--path", str(tmp_path / "whole.parquet"), "--set", "item=item_id", "--json"
        )
        assert code == 0, err
    hexadecimal = [f"9000{value:02d}e26" for value in ITEM]
    _write(tmp_path / "hex.csv", label=LABEL, item_id=hexadecimal)
    assert _run("data", "prepare", "table", "--path", str(tmp_path / "hex.csv"), "--set", "item=item_id")[0] == 0


def test_a_hundred_thousand_columns(tmp_path):
    path = tmp_path / "wide.csv"
    names = ["label", "user_id", *(f"c{i}" for i in range(100_000))]
    lines = [",".join(names)] + [",".join([str(i % 2), str(i % 7), *["1"] * 100_000]) for i in range(40)]
    path.write_text("\n".join(lines))
    proposal = propose(path)
    assert any("100,002 columns" in finding for finding in proposal.findings)
    chosen = ("--set", "user=user_id", "--set", "categorical=c99999")
    code, _, err = _run("data", "prepare", "table", "--path", str(path), *chosen)
    assert code == 0, err
    code, _, err = _run("data", "prepare", "table", "--path", str(path), "--set", "user=nobody")
    assert code == 1 and len(err) < 3000


@pytest.mark.parametrize("source", ["table", "user-behavior"])
@pytest.mark.parametrize("where", ["first", "later"])
def test_a_line_that_is_no_line(tmp_path, source, where, monkeypatch):
    from mdaf_core.data.reading import blocks, table_file

    monkeypatch.setattr(table_file, "LONGEST", 1 << 20)
    monkeypatch.setattr(blocks, "LONGEST", 1 << 20)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 1 << 18)
    path = tmp_path / ("UserBehavior.csv" if source == "user-behavior" else "a.csv")
    good = "1,1,1,pv,1511544070\n" if source == "user-behavior" else "label,user_id\n1,2\n"
    path.write_text(("" if where == "first" else good) + "1" * (3 << 20))
    code, _, err = _run("data", "prepare", source, "--path", str(path))
    assert code == 1 and "longer than" in err and "Traceback" not in err
    if source == "table":
        assert "line 1" in err if where == "first" else "line 3" in err


@pytest.mark.parametrize(("quote", "line", "words"), [("", 3, "longer than 64 MB"), ('"', 3, "not closed")])
def test_what_is_too_long_is_never_held_whole(tmp_path, monkeypatch, quote, line, words):
    """A line, or a row over many lines whose quote is not closed: 32 MB where 1 MB is allowed."""
    import csv
    import tracemalloc

    from mdaf_core.data.reading import table_file

    monkeypatch.setattr(table_file, "LONGEST", 1 << 20)
    before = csv.field_size_limit(1 << 20)
    path = tmp_path / "a.csv"
    piece = ("1" * 999 + ("\n" if quote else "1")) * 1000
    with path.open("w") as file:
        file.write("label,user_id\n1,2\n" + quote)
        for _ in range(32):
            file.write(piece)
    tracemalloc.start()
    try:
        with pytest.raises(BadInputError, match=words) as refused:
            propose(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        csv.field_size_limit(before)
    assert f"line {line}" in str(refused.value) and peak < 16 << 20
