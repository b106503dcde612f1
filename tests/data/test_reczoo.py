"""reczoo's folders: read as their columns are, and what a good guess gets wrong is refused or said."""

import zipfile
from hashlib import md5

import polars as pl
import pytest

from mdaf_core.base.errors import BadInputError, StudioError, UsageError
from mdaf_core.base.progress import no_progress
from mdaf_core.data.apply.reading import NewFile
from mdaf_core.data.audit.report import stored_audit
from mdaf_core.data.formats.registry import get_source
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.propose.table import propose
from mdaf_core.data.reading.reczoo_sets import SETS
from tests.data.reczoo_files import NAMES, WITHOUT_VALIDATION, write_set

pytestmark = pytest.mark.usefixtures("home")
TAKEN = {"accept_md5": True}  # what is written here is not what was published


def _read(folder, **options):
    source = get_source("reczoo")
    chosen = source.options(**TAKEN, **options).at(folder)
    source.check(folder, chosen)
    return source.read(folder, chosen, no_progress), chosen


@pytest.mark.parametrize("name", NAMES)
def test_every_set_is_read_as_it_is(tmp_path, name):
    written = write_set(name, tmp_path)
    raw, chosen = _read(tmp_path)
    published, rows = SETS[name], [row for part in written.values() for row in part]
    assert chosen.dataset == name and chosen.min_count == published.min_count and raw.title == f"{name} of reczoo"
    assert raw.rows["label"].to_list() == [int(row[published.of("label")[0]]) for row in rows]
    parts = [{"valid.csv": "val"}.get(file, file[:-4]) for file, part in written.items() for _ in part]
    assert raw.rows["split"].cast(pl.String).to_list() == parts
    assert ("valid.csv" in written) == (name not in WITHOUT_VALIDATION)
    inputs = {field.name for field in raw.fields}
    for column, (part, _, _) in published.columns.items():
        field = {"user": "user", "group": "user", "item": "item", "category": "category"}.get(part, column)
        assert (field in inputs) == (
            part in ("user", "item", "category", "id", "number", "bucket", "code") or column == "hour"
        )
        if part in ("user", "group", "item", "category", "id") and column not in ("isrc", "bd") and name != "Avazu_x4":
            assert raw.rows[field].cast(pl.String).fill_null("").to_list() == [str(row[column]) for row in rows]
        if part == "number":
            assert raw.rows[column].to_list() == pytest.approx([float(row[column]) for row in rows])
    lists = {"history_item": "item", "history_category": "category"}
    for column, field in [(c, lists[one.part]) for c, one in published.columns.items() if one.part in lists]:
        told = dict(raw.events.group_by("row", maintain_order=True).agg(pl.col(field).cast(pl.String)).rows())
        expected = [row[column].split("^") if row[column] else [] for row in rows]
        assert [told.get(i, []) for i in range(len(rows))] == expected
    assert get_source("reczoo").size(tmp_path, chosen).rows == len(rows)


def test_wrong_files_are_refused_with_both_sums(tmp_path):
    write_set("Frappe_x1", tmp_path)
    found = md5((tmp_path / "train.csv").read_bytes()).hexdigest()
    with pytest.raises(
        BadInputError, match=f"md5 is {found}, and its publisher gives ba7306e6c4fc19dd2cd84f2f0596d158"
    ):
        prepare("reczoo", path=tmp_path)
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for file in ("train.csv", "valid.csv", "test.csv"):
            archive.write(tmp_path / file, f"Frappe_x1/{file}")
    with pytest.raises(BadInputError, match=rf"set\.zip/train\.csv.*its md5 is {found}"):
        prepare("reczoo", path=tmp_path / "set.zip")


@pytest.mark.parametrize("name", ["KuaiVideo_x1", "Criteo_x4"])
def test_the_audit_says_what_the_publisher_did(tmp_path, name):
    write_set(name, tmp_path)
    dataset = prepare("reczoo", path=tmp_path, options=TAKEN)
    found = {check.id: check for check in stored_audit(dataset).checks}
    assert dataset.name == f"reczoo-{name.replace('_', '-')}" and dataset.meta.split["kind"] == "given"
    said = found["input-notes"].sentence
    if name == "KuaiVideo_x1":
        assert dataset.meta.split["validation"]["by"] == "time" and not dataset.meta.calendar
        assert "no test row is in it" in said and "chosen on test" in said and "full (100 clicks) in 20 of 200" in said
        assert found["random-split"].status == "warn"
        with pytest.raises(UsageError, match="an order without a calendar"):
            prepare("reczoo", path=tmp_path, options=TAKEN | {"split": "last-day"})
    else:
        assert "drew the parts at random" in said and found["split-times"].status == "warn"


def test_lists_that_do_not_pair_are_not_paired(tmp_path):
    rows = [row for part in write_set("TaobaoAd_x1", tmp_path).values() for row in part]
    lists = ("btag_his", "cate_his", "brand_his")
    lengths = [[len(row[name].split("^")) if row[name] else 0 for name in lists] for row in rows]
    raw, _ = _read(tmp_path)
    uneven = sum(len(set(three)) > 1 for three in lengths)
    assert any(f"not equally long in {uneven} of 200 rows" in note for note in raw.notes)
    assert raw.history_fields == ["category"] and len(raw.events) == sum(three[1] for three in lengths)
    brands, _ = _read(tmp_path, history="brand", newest=2)
    assert brands.history_fields == ["brand"] and len(brands.events) == sum(min(2, three[2]) for three in lengths)


@pytest.mark.parametrize(
    ("name", "column", "value", "words"),
    [
        ("AmazonElectronics_x1", "item_history", "1^2^3^4^5^6^7^8^9", r"train\.csv, line 4.*equally long"),
        ("KuaiVideo_x1", "pos_items", "1^^2", r"train\.csv, line 4.*must be ids joined by \^, or empty"),
        ("Criteo_x1", "I3", "x", r"train\.csv, line 4.*The field I3 must be a number"),
        ("Frappe_x1", "label", "2", r"train\.csv, line 4.*The field label must be one of"),
        ("KKBox_x1", "label", "2", r"train\.csv, line 4.*The field label must be 0 or 1"),
    ],
)
def test_faults_are_told_where_they_stand(tmp_path, name, column, value, words):
    write_set(name, tmp_path)
    frame = pl.read_csv(tmp_path / "train.csv", infer_schema=False)
    frame[2, column] = value
    frame.write_csv(tmp_path / "train.csv")
    with pytest.raises(BadInputError, match=words):
        _read(tmp_path)


def test_folders_that_are_not_whole(tmp_path):
    write_set("KuaiVideo_x1", tmp_path)
    (tmp_path / "test.csv").unlink()
    with pytest.raises(BadInputError, match=r"no test\.csv beside it.*set split=time, which goes by its order"):
        _read(tmp_path)
    assert "split" not in _read(tmp_path, split="time")[0].rows.columns
    with pytest.raises(UsageError, match="KuaiVideo_x1 has no list of brands"):
        _read(tmp_path, split="time", history="brand")
    with pytest.raises(BadInputError, match="lacks the column label of Frappe_x1"):
        _read(tmp_path, dataset="Frappe_x1")
    (tmp_path / "train.csv").write_text("a,b\n1,2\n")
    with pytest.raises(BadInputError, match=r"is of no known set\. It has a, b\. Known: Criteo_x1"):
        _read(tmp_path)


def test_labels_of_one_and_minus_one(tmp_path):
    rows = [row for part in write_set("Frappe_x1", tmp_path).values() for row in part]
    for file in tmp_path.glob("*.csv"):
        frame = pl.read_csv(file)
        frame.with_columns(pl.col("label").replace(0, -1)).write_csv(file)
    assert _read(tmp_path)[0].rows["label"].to_list() == [row["label"] for row in rows]


def test_new_rows_are_coded_as_the_sets_own(tmp_path):
    written = write_set("Frappe_x1", tmp_path / "in")
    dataset = prepare("reczoo", path=tmp_path / "in", options=TAKEN)
    new = pl.read_csv(tmp_path / "in" / "valid.csv").drop("label")
    new.write_csv(tmp_path / "new.csv")
    (tmp_path / "scratch").mkdir()
    raw = next(iter(NewFile(dataset.meta, tmp_path / "new.csv", tmp_path / "scratch").read(no_progress)))
    assert raw.rows["cost"].to_list() == [row["cost"] for row in written["valid.csv"]]
    assert raw.rows["label"].null_count() == len(new) and "split" not in raw.rows.columns


WRONG = [
    ("Frappe_x1", {"label": "label", "numeric": "cost"}, "cost is an id, not a number"),
    ("MovielensLatest_x1", {"numeric": "tag_id"}, "tag_id is an id, not a number"),
    ("AmazonElectronics_x1", {"item": "item_id", "categorical": "item_history"}, "item_history holds lists of ids"),
    ("KuaiVideo_x1", {"label": "is_click", "item": "item_id", "history_item": "neg_items"}, "no history of clicks"),
    ("KuaiVideo_x1", {"label": "is_click", "categorical": "is_like"}, "known only after the row was shown"),
    ("KuaiVideo_x1", {"label": "is_click", "item": "item_id", "timestamp": "timestamp"}, "(order|Unix)"),
    ("TaobaoAd_x1", {"label": "clk", "item": "adgroup_id", "category": "brand", "history_item": "cate_his",
                     "history_category": "brand_his"}, "must be equally long"),
    ("TaobaoAd_x1", {"label": "clk", "categorical": "btag"}, "1 in every row"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options", "words"), WRONG)
def test_wrong_guesses_of_a_table_are_named(tmp_path, name, options, words):
    write_set(name, tmp_path)
    source = get_source("table")
    try:
        raw = source.read(tmp_path / "train.csv", source.options(**options), no_progress)
    except StudioError as error:
        said = str(error)
    else:
        said = next(note for note in raw.notes if name in note)
    assert pl.Series([said]).str.contains(words)[0], said


def test_proposals_name_the_source(tmp_path):
    for name in ("Avazu_x4", "Frappe_x1", "KuaiVideo_x1"):
        write_set(name, tmp_path / name)
        found = propose(tmp_path / name)
        assert found.source == "reczoo" and name in found.findings[0] and found.options == TAKEN


def test_samples_that_are_handed_out(shared_data):
    folder = shared_data / "formats" / "reczoo"
    raw, _ = _read(folder / "AmazonElectronics_x1")
    assert raw.rows["split"].cast(pl.String).value_counts().sort("split").rows() == [("test", 160), ("train", 400)]
    assert len(_read(folder / "KuaiVideo_x1", split="time")[0].rows) == 400
    frappe = shared_data / "formats" / "frappe"
    plain, minus = (_read(frappe / f"Frappe_x1_{end}.csv", split="random")[0].rows for end in ("train", "minus1"))
    assert plain.equals(minus)
