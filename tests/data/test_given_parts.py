"""Parts that are given are kept row for row; a validation part that is not is made of training rows alone."""

import shutil
from hashlib import md5

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdaf_core.base.errors import BadInputError, UsageError
from mdaf_core.base.progress import no_progress
from mdaf_core.data.apply.reading import NewFile
from mdaf_core.data.audit.report import stored_audit
from mdaf_core.data.formats.registry import get_source
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.prepare.split import given_parts
from mdaf_core.data.store.schema import SPLITS
from mdaf_core.tasks.prepare import job

pytestmark = pytest.mark.usefixtures("home")
COLUMNS = {"label": "y", "user": "uid", "item": "iid", "timestamp": "t", "categorical": "c"}
SIZES = {"train": 120, "valid": 30, "test": 40}


def _frame(n, seed=0, begin=1_600_000_000):
    generator = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "uid": generator.integers(0, 9, n),
            "iid": [f"i{i}" for i in generator.integers(0, 20, n)],
            "y": np.arange(n) % 2,
            "t": begin + generator.integers(0, 864_000, n),
            "c": generator.integers(0, 4, n),
        }
    )


@pytest.fixture
def folder(tmp_path):
    """train.csv, valid.csv and test.csv whose times overlap."""
    (tmp_path / "in").mkdir()
    for seed, (name, size) in enumerate(SIZES.items()):
        _frame(size, seed).write_csv(tmp_path / "in" / f"{name}.csv")
    return tmp_path / "in"


def _written(dataset):
    """All rows as `row_id` → (part, item, label)."""
    names = dict(dataset.vocabulary("item").select("code", "id").rows())
    found = {}
    for split in SPLITS:
        rows = dataset.rows(split)
        items = [names.get(code) for code in rows.columns["item"].tolist()]
        found |= {
            row: (split, *rest) for row, *rest in zip(rows.row_id.tolist(), items, rows.label.tolist(), strict=True)
        }
    return found


def _expected(folder, names=("train", "valid", "test")):
    """The same from the files, one after another; an item that no training row has is unknown."""
    files = {name: pl.read_csv(folder / f"{name}.csv") for name in names}
    known = set(files["train"]["iid"])
    parts = [
        ("val" if name == "valid" else name, item if item in known else None, y)
        for name, frame in files.items()
        for item, y in frame.select("iid", "y").rows()
    ]
    return dict(enumerate(parts))


def test_files_are_kept_row_for_row(folder):
    files = {"val_path": "valid.csv", "test_path": str(folder / "test.csv")}
    named = prepare("table", path=folder / "train.csv", options=COLUMNS | files)
    assert _written(named) == _expected(folder)
    assert named.meta.split == {"kind": "given"} and named.meta.options["split"] == "given" and not named.meta.notes
    inputs = named.meta.fingerprint["inputs"]
    assert {name: facts["md5"] for name, facts in inputs.items()} == {
        f"{name}.csv": md5((folder / f"{name}.csv").read_bytes()).hexdigest() for name in SIZES
    }
    assert _written(prepare("table", path=folder, options=COLUMNS, name="folder")) == _expected(folder)
    joined = prepare("table", path=folder, options=COLUMNS | {"split": "time"}, name="joined")
    assert joined.meta.split["kind"] == "time" and len(_written(joined)) == sum(SIZES.values())


def test_a_column_says_the_part(folder, tmp_path):
    frames = [pl.read_csv(folder / f"{name}.csv").with_columns(fold=pl.lit(name.title())) for name in SIZES]
    whole = pl.concat(frames)
    whole.write_parquet(tmp_path / "all.parquet")
    dataset = prepare("table", path=tmp_path / "all.parquet", options=COLUMNS | {"part": "fold"})
    assert _written(dataset) == _expected(folder) and dataset.meta.split == {"kind": "given"}
    numbered = whole.with_columns(fold=pl.col("fold").replace_strict({"Train": 1, "Valid": 7, "Test": 0}))
    numbered.write_csv(tmp_path / "all.csv")
    options = COLUMNS | {"part": "fold", "part_values": "1,7,0"}
    assert _written(prepare("table", path=tmp_path / "all.csv", options=options, name="n")) == _expected(folder)
    with pytest.raises(BadInputError, match=r"all\.csv, line 122.*The part fold must be one of 1, 0") as error:
        prepare("table", path=tmp_path / "all.csv", options=options | {"part_values": "1,0"})
    assert error.value.line == 122


def test_files_of_other_types_are_one_table(folder, tmp_path):
    """Ids that are numbers in one file and texts in another are the same ids; a fault is told where it stands."""
    other = tmp_path / "other"
    other.mkdir()
    for name in SIZES:
        frame = pl.read_csv(folder / f"{name}.csv")
        frame.with_columns(pl.col("c").cast(pl.String if name == "test" else pl.Int64)).write_parquet(
            other / f"{name}.parquet"
        )
    options = COLUMNS | {"test_path": "test.parquet", "val_path": "valid.parquet"}
    mixed = prepare("table", path=other / "train.parquet", options=options, name="mixed")
    plain = prepare("table", path=folder, options=COLUMNS, name="plain")
    for split in SPLITS:
        assert (mixed.rows(split).columns["c"] == plain.rows(split).columns["c"]).all()
    text = (folder / "valid.csv").read_text().splitlines()
    text[3] = text[3].rsplit(",", 3)[0] + ",7,1600000000,1"
    (folder / "valid.csv").write_text("\n".join(text))
    with pytest.raises(BadInputError, match=r"valid\.csv, line 4.*The label y must be 0 or 1"):
        prepare("table", path=folder, options=COLUMNS, name="plain")
    skipped = prepare("table", path=folder, options=COLUMNS | {"skip_bad_rows": True}, name="skipped")
    assert skipped.meta.splits["val"].rows == SIZES["valid"] - 1
    assert skipped.meta.examples["skipped"][0]["file"] == "valid.csv"


def test_types_that_cannot_be_one_are_refused(tmp_path):
    """A column that one file lacks, and lists in one beside single values in another."""
    frame = pl.DataFrame({"y": [0, 1] * 10, "iid": ["a", "b"] * 10, "past": [["a"]] * 20})
    source = get_source("table")
    options = source.options(label="y", item="iid", history_item="past", test_path="test.parquet")
    frame.write_parquet(tmp_path / "train.parquet")
    frame.drop("past").write_parquet(tmp_path / "test.parquet")
    with pytest.raises(BadInputError, match=r"test\.parquet.*There is no column 'past'"):
        source.read(tmp_path / "train.parquet", options, no_progress)
    frame.with_columns(past=pl.lit("a")).write_parquet(tmp_path / "test.parquet")
    with pytest.raises(BadInputError, match=r"test\.parquet.*The column 'past' is of another type"):
        source.read(tmp_path / "train.parquet", options, no_progress)
    frame.with_columns(past=pl.lit(None)).write_parquet(tmp_path / "test.parquet")
    assert len(source.read(tmp_path / "train.parquet", options, no_progress).events) == 20


@pytest.mark.parametrize("timed", [True, False])
def test_validation_rows_come_from_training_rows(folder, timed):
    (folder / "valid.csv").unlink()
    options = {name: value for name, value in COLUMNS.items() if timed or name != "timestamp"}
    dataset = prepare("table", path=folder, options=options)
    files, written = _expected(folder, ("train", "test")), _written(dataset)
    assert [written[row][0] for row in sorted(written)][120:] == ["test"] * 40
    assert {row: rest for row, (_, _, *rest) in written.items()} == {row: rest for row, (_, _, *rest) in files.items()}
    assert dataset.meta.splits["val"].rows == 12
    by = {"by": "time"} if timed else {"by": "draw", "seed": 42}
    assert dataset.meta.split == {"kind": "given", "validation": {"made_of": "train"} | by}
    note = next(check for check in stored_audit(dataset).checks if check.id == "input-notes")
    assert note.status == "warn" and "no test row is in it" in note.sentence


@given(
    st.lists(st.tuples(st.sampled_from(["train", "test"]), st.integers(0, 30), st.integers(0, 1)), max_size=80),
    st.booleans(),
)
def test_the_rule_by_its_definition(rows, has_time):
    parts, times, labels = ([row[i] for row in rows] for i in range(3))
    train = [i for i, part in enumerate(parts) if part == "train"]

    facts = {"label": np.array(labels, np.uint8), "timestamp": np.array(times, np.int64), "has_time": has_time}

    def split():
        return given_parts(pl.Series(parts, dtype=pl.String), **facts, seed=1)

    if not train or len(train) == len(parts):
        with pytest.raises(UsageError, match=r"give no (training|test) rows"):
            split()
        return
    moments = sorted(times[i] for i in train)
    first = moments[max(round(0.9 * len(moments)), 1) - 1]
    if has_time and moments[0] < moments[-1]:
        found, parameters, notes = split()
        late = [i for i in train if times[i] > first] or [i for i in train if times[i] == first]
        assert parameters["validation"]["by"] == "time" and [i for i in train if found[i] == 1] == late
        assert max(times[i] for i in train if found[i] == 0) < min(times[i] for i in late)
    else:
        counts = [sum(labels[i] == value for i in train) for value in (0, 1)]
        expected = [n - round(0.9 * n) for n in counts]
        if not 0 < sum(expected) < len(train):
            with pytest.raises(UsageError, match="leaves a part without rows"):
                split()
            return
        found, parameters, notes = split()
        assert [sum(labels[i] == v and found[i] == 1 for i in train) for v in (0, 1)] == expected
        assert parameters["validation"] == {"made_of": "train", "by": "draw", "seed": 1}
    assert all((found[i] == 2) == (part == "test") for i, part in enumerate(parts)) and len(notes) == 1


def test_another_file_is_refused_with_both_sums(folder):
    right = {name: md5((folder / f"{name}.csv").read_bytes()).hexdigest() for name in SIZES}
    wrong = right["test"][::-1]
    sums = {"expect_md5": f"train.csv={right['train'].upper()},test.csv={wrong}"}
    with pytest.raises(BadInputError, match=f"md5 is {right['test']}, and expect_md5 gives {wrong}") as error:
        prepare("table", path=folder, options=COLUMNS | sums)
    assert error.value.path.name == "test.csv"
    taken = prepare("table", path=folder, options=COLUMNS | sums | {"accept_md5": True})
    assert len(taken.meta.notes) == 1 and wrong in taken.meta.notes[0]
    with pytest.raises(UsageError, match=r"names 'other\.csv', which is no file that was read. Read: train\.csv, "):
        prepare("table", path=folder, options=COLUMNS | {"expect_md5": f"other.csv={wrong}"})


def test_one_file_for_two_parts_is_said(folder):
    shutil.copy(folder / "test.csv", folder / "valid.csv")  # as BARS' settings of four data sets have it
    dataset = prepare("table", path=folder, options=COLUMNS)
    assert dataset.meta.notes == [
        "valid.csv and test.csv are the same file: what is chosen on the rows of one is chosen on those of the other."
    ]
    assert {check.id: check.status for check in stored_audit(dataset).checks}["rows-across-splits"] == "fail"


def test_all_files_are_the_request(folder, tmp_path):
    options = COLUMNS | {"val_path": str(folder / "valid.csv"), "test_path": "test.csv"}
    first = prepare("table", path=folder / "train.csv", options=options)
    moved = shutil.copytree(folder, tmp_path / "moved")
    same = prepare("table", path=moved / "train.csv", options=options | {"val_path": "valid.csv"}, name="same")
    assert same.meta.request == first.meta.request
    with (moved / "valid.csv").open("a") as file:
        file.write("1,i1,1,1600000000,1\n")
    altered = prepare("table", path=moved / "train.csv", options=options | {"val_path": "valid.csv"}, name="altered")
    assert altered.meta.request != first.meta.request and altered.meta.splits["val"].rows == SIZES["valid"] + 1


def test_jobs_know_where_the_files_lie(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    queued = job("table", "in/train.csv", None, COLUMNS | {"val_path": "in/valid.csv", "test_path": "test.csv"})
    assert queued.payload["options"]["val_path"] == str(folder / "valid.csv")
    assert queued.payload["options"]["test_path"] == str(folder / "test.csv")


def test_new_rows_come_alone(folder, tmp_path):
    dataset = prepare("table", path=folder, options=COLUMNS | {"test_path": str(folder / "test.csv")})
    rows = pl.read_csv(folder / "valid.csv").drop("y")
    rows.write_csv(tmp_path / "new.csv")
    (tmp_path / "scratch").mkdir()
    pieces = NewFile(dataset.meta, tmp_path / "new.csv", tmp_path / "scratch").read(no_progress)
    found = pl.concat([raw.rows for raw in pieces])
    assert found["item"].to_list() == rows["iid"].to_list() and "split" not in found.columns


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"test_path": "gone.csv"}, "nothing at the path of test_path"),
        ({"val_path": "valid.csv"}, "give no test rows"),
        ({"split": "given"}, "needs files, or a column"),
        ({"part": "c", "test_path": "test.csv"}, "take one"),
        ({"part_values": "a,b"}, "needs part"),
        ({"expect_md5": "test.csv=12"}, "32 hexadecimal digits"),
        ({"train_path": "valid.csv"}, "leave train_path out"),
    ],
)
def test_what_cannot_be(folder, options, words):
    with pytest.raises((UsageError, BadInputError), match=words):
        prepare("table", path=folder / "train.csv", options=COLUMNS | options)


def test_a_folder_without_parts_is_refused(folder):
    (folder / "test.csv").unlink()
    with pytest.raises(BadInputError, match=r"no training and test file by their names.*It holds train\.csv, v"):
        prepare("table", path=folder, options=COLUMNS)


def test_criteo_in_three_files(tmp_path):
    lines = ["\t".join([str(i % 2), *([str(i % 7)] * 13), *([f"{i % 11:08x}"] * 26)]) for i in range(90)]
    for name, part in (("train.txt", lines[:60]), ("v.txt", lines[60:70]), ("t.txt", lines[70:])):
        (tmp_path / name).write_text("\n".join(part) + "\n")
    options = {"val_path": "v.txt", "test_path": "t.txt", "min_count": 1}
    dataset = prepare("criteo", path=tmp_path, options=options)
    assert [sorted(dataset.rows(split).row_id.tolist()) for split in SPLITS] == [
        list(range(60)), list(range(60, 70)), list(range(70, 90)),
    ]  # fmt: skip
    assert get_source("criteo").size(tmp_path, get_source("criteo").options(**options)).lines == 90


JUDGED = {  # random-split, split-times, user-interleaved
    "random": ("warn", "warn", "fail"),
    "time": (None, "pass", "pass"),
    "last": (None, "warn", "pass"),
    "half": (None, "fail", "fail"),
}


@pytest.mark.parametrize("given_as", JUDGED)
def test_the_audit_judges_given_parts_as_others(tmp_path, given_as):
    frame = _frame(1500).sort("t").with_row_index("at")
    last = pl.len().over("uid") - 1 - pl.int_range(pl.len()).over("uid")
    test = {
        "random": pl.col("at") % 5 == 0,
        "time": pl.col("at") >= 1200,
        "last": last < 40,
        "half": (pl.col("at") >= 700) & (pl.col("at") % 3 == 0),
    }[given_as]
    fold = pl.when(test).then(pl.lit("test")).otherwise(pl.lit("train"))
    frame.with_columns(fold=fold).write_csv(tmp_path / "all.csv")
    dataset = prepare("table", path=tmp_path / "all.csv", options=COLUMNS | {"part": "fold"})
    found = {check.id: check.status for check in stored_audit(dataset).checks}
    assert tuple(map(found.get, ("random-split", "split-times", "user-interleaved"))) == JUDGED[given_as]


def test_the_audit_knows_what_nothing_says(folder):
    options = {name: value for name, value in COLUMNS.items() if name != "timestamp"}
    checks = {check.id: check for check in stored_audit(prepare("table", path=folder, options=options)).checks}
    assert checks["split-times"].status == "warn" and "nothing says whether" in checks["split-times"].sentence
