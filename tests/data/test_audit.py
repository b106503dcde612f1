"""Every way to spoil a data set is found from its files alone."""

import json

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from mdaf_core.data.audit import audit, report
from mdaf_core.data.batches.gather import match_names
from mdaf_core.data.batches.loader import BatchLoader
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.store.columns import read_columns
from mdaf_core.data.store.dataset import PreparedDataset
from tests.data.planting import change, impressions, prepare_table
from tests.data.raw_files import write_criteo, write_user_behavior

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def dataset(tmp_path) -> PreparedDataset:
    path = tmp_path / "UserBehavior.csv"
    write_user_behavior(path)
    return prepare("user-behavior", path=path, name="data")


def _statuses(dataset):
    return {check.id: check for check in audit.audit_dataset(PreparedDataset(dataset.path)).checks}


def test_a_sound_data_set_has_no_failure(dataset):
    found = _statuses(dataset)
    assert not [check for check in found.values() if check.status == "fail"]
    assert found["integrity"].status == "pass"
    assert report.failed(dataset) == []


@pytest.mark.parametrize(("shift", "fails"), [(1, "history-earlier"), (-1, "history-complete")])
def test_shifted_history_end(dataset, shift, fails):
    def alter(columns):
        columns["history_end"] = np.maximum(columns["history_end"] + shift, columns["history_start"])

    change(dataset, "rows/val.arrow", alter)
    check = _statuses(dataset)[fails]
    assert check.status == "fail" and check.number > 200 and check.details["val"] == check.number


def test_one_leaking_row_is_enough(dataset):
    rows = dataset.rows("test")
    events = dataset.events
    target = next(
        i for i in range(len(rows))
        if rows.history_end[i] < len(events["timestamp"]) and events["user_index"][rows.history_end[i]] == rows.user[i]
    )  # fmt: skip

    def alter(columns):
        columns["history_end"][target] += 1

    change(dataset, "rows/test.arrow", alter)
    found = _statuses(dataset)
    assert (found["history-earlier"].status, found["history-earlier"].number) == ("fail", 1)
    # The next event of a conversion row is the row's own event.
    assert found["history-target"].status == "fail"


def test_history_of_another_user(dataset):
    def alter(columns):
        columns["history_start"], columns["history_end"] = (
            np.roll(columns["history_start"], 7),
            np.roll(columns["history_end"], 7),
        )

    change(dataset, "rows/val.arrow", alter)
    assert _statuses(dataset)["history-own-user"].status == "fail"


def test_history_outside_the_log(dataset):
    def alter(columns):
        columns["history_end"][0] = len(dataset.events["timestamp"]) + 5

    change(dataset, "rows/train.arrow", alter)
    assert _statuses(dataset)["history-own-user"].number == 1


def test_emptied_histories(dataset):
    def alter(columns):
        columns["history_start"][:] = 0
        columns["history_end"][:] = 0

    change(dataset, "rows/test.arrow", alter)
    found = _statuses(dataset)["history-complete"]
    assert found.status == "fail" and found.number > 200


def test_unsorted_log(dataset):
    def alter(columns):
        columns["timestamp"] = columns["timestamp"][::-1].copy()

    change(dataset, "events.arrow", alter)
    assert _statuses(dataset)["history-earlier"].status == "fail"


def test_a_test_id_in_the_vocabulary(dataset):
    path = dataset.path / "vocabulary" / "item.arrow"
    table = pl.read_ipc(path).rechunk()
    extra = pl.DataFrame({"code": [len(table) + 2], "id": ["777777"], "title": [None]}, schema=table.schema)
    path.unlink()
    pl.concat([table, extra]).write_ipc(path)
    meta = json.loads((dataset.path / "dataset.json").read_text())
    next(f for f in meta["fields"] if f["name"] == "item")["vocabulary_size"] += 1
    (dataset.path / "dataset.json").write_text(json.dumps(meta))
    check = _statuses(dataset)["vocabulary-training"]
    assert (check.status, check.number) == ("fail", 1) and "777777" in check.sentence


def test_a_test_row_in_train(dataset):
    test = read_columns(dataset.path / "rows" / "test.arrow")
    known = int(np.flatnonzero(test["item"] > 1)[0])
    change(
        dataset, "rows/train.arrow", lambda c: {n: np.append(v, test[n][known]).astype(v.dtype) for n, v in c.items()}
    )
    found = _statuses(dataset)
    assert found["rows-across-splits"].status == "fail" and found["rows-across-splits"].number >= 1
    assert found["split-times"].status == "fail"
    assert found["integrity"].status == "fail" and "rows/train.arrow" in found["integrity"].sentence


def test_a_copied_row_with_another_id_is_found_by_its_content(dataset):
    test = read_columns(dataset.path / "rows" / "test.arrow")
    known = int(np.flatnonzero(test["item"] > 1)[0])

    def alter(columns):
        out = {name: np.append(values, test[name][known]).astype(values.dtype) for name, values in columns.items()}
        out["row_id"][-1] = 10**9
        return out

    change(dataset, "rows/train.arrow", alter)
    assert (_statuses(dataset)["rows-across-splits"].status, _statuses(dataset)["rows-across-splits"].number) == (
        "fail",
        2,
    )


@pytest.mark.parametrize("code", [0, 10**6, -1])
def test_codes_without_an_id(dataset, code):
    def alter(columns):
        columns["category"][3] = code

    change(dataset, "rows/val.arrow", alter)
    check = _statuses(dataset)["reserved-codes"]
    assert (check.status, check.number) == ("fail", 1)


def test_a_real_id_on_a_reserved_code(dataset):
    path = dataset.path / "vocabulary" / "category.arrow"
    table = pl.read_ipc(path).with_columns(code=pl.when(pl.col("code") == 2).then(1).otherwise("code").cast(pl.Int32))
    path.unlink()
    table.write_ipc(path)
    assert _statuses(dataset)["reserved-codes"].status == "fail"


def test_an_input_that_knows_the_label(dataset):
    for split in ("train", "val", "test"):

        def alter(columns):
            columns["hour"] = columns["label"].astype(np.int32) + 2

        change(dataset, f"rows/{split}.arrow", alter)
    check = _statuses(dataset)["label-leak"]
    assert check.status == "fail" and check.number == pytest.approx(1.0) and "'hour'" in check.sentence


def test_what_each_input_reaches_alone(dataset):
    check = _statuses(dataset)["label-leak"]
    for split in ("val", "test"):
        batch = next(iter(BatchLoader(dataset, split, 10**6)))
        names = match_names(dataset.meta.history_fields)
        recency = batch.match_BM[:, names.index("category_recency")].numpy()
        expected = roc_auc_score(batch.label_B.numpy(), recency)
        assert check.details[f"{split} category recency"] == pytest.approx(max(expected, 1 - expected), abs=1e-12)
    frame = report.alone_frame(audit.refresh_audit(dataset))
    assert frame["validation AUC"].is_sorted(descending=True)
    assert frame["validation AUC"][0] == check.number
    assert {"item", "hour", "category seen", "last event recency"} <= set(frame["input"])


def test_unknown_ids_that_mark_positives(dataset):
    def alter(columns):
        columns["item"][columns["label"] == 1] = 1

    change(dataset, "rows/val.arrow", alter)
    check = _statuses(dataset)["unknown-by-label"]
    assert check.status == "fail" and "100.0% of positives" in check.sentence


def test_one_label_only(dataset):
    change(dataset, "rows/val.arrow", lambda c: c["label"].fill(0))
    found = _statuses(dataset)
    assert found["both-labels"].status == "fail" and "validation" in found["both-labels"].sentence
    assert found["positive-rate-drift"].status == "warn"


def test_contradicting_and_repeated_rows(tmp_path):
    path = tmp_path / "UserBehavior.csv"
    write_user_behavior(path)
    first = path.read_text().splitlines()[0]
    user, item, category, _, time = first.split(",")
    extra = f"{user},{item},{category},pv,{time}\n" * 2 + f"{user},{item},{category},buy,{time}\n"
    path.write_text(path.read_text() + extra)
    found = _statuses(prepare("user-behavior", path=path, name="repeats"))
    assert found["contradicting-rows"].status == "warn" and found["contradicting-rows"].number >= 3
    assert found["duplicate-rows"].status == "warn" and found["duplicate-rows"].number >= 1
    assert found["rows-across-splits"].status == "pass"


def test_random_split_is_marked_and_blocks(tmp_path):
    path = tmp_path / "UserBehavior.csv"
    write_user_behavior(path)
    dataset = prepare("user-behavior", path=path, name="random", options={"split": "random"})
    found = _statuses(dataset)
    assert found["random-split"].status == "warn"
    assert found["split-times"].status == "warn" and found["split-times"].number > 0
    assert [check.id for check in report.failed(dataset)] == ["user-interleaved"]
    rows = {split: dataset.rows(split) for split in ("train", "val", "test")}
    mixed = 0
    for user in range(dataset.meta.users):
        times = [rows[split].timestamp[rows[split].user == user] for split in ("train", "val", "test")]
        mixed += any(
            len(earlier) and len(later) and earlier.max() > later.min()
            for i, earlier in enumerate(times) for later in times[i + 1 :]
        )  # fmt: skip
    assert found["user-interleaved"].number == mixed


def test_leave_last_out_does_not_mix_a_users_rows(tmp_path):
    path = tmp_path / "UserBehavior.csv"
    write_user_behavior(path)
    found = _statuses(prepare("user-behavior", path=path, options={"split": "leave-last-out"}))
    assert found["user-interleaved"].status == "pass" and found["split-times"].status == "warn"


def test_rows_without_users_or_times(tmp_path):
    write_criteo(tmp_path / "train.txt")
    found = _statuses(prepare("criteo", path=tmp_path))
    assert "user-interleaved" not in found and "history-earlier" not in found
    assert not [check for check in found.values() if check.status == "fail"]


@pytest.mark.parametrize("file", ["rows/val.arrow", "events.arrow", "vocabulary/item.arrow"])
def test_files_that_cannot_be_read(dataset, file):
    (dataset.path / file).write_bytes(b"ARROW1 but no more")
    checks = audit.audit_dataset(PreparedDataset(dataset.path)).checks
    assert [(check.id, check.status) for check in checks] == [("integrity", "fail")]


def test_a_refreshed_audit_is_stored(dataset):
    change(dataset, "rows/val.arrow", lambda c: c["label"].fill(0))
    assert report.failed(dataset) == []
    audit.refresh_audit(dataset)
    assert {check.id for check in report.failed(PreparedDataset(dataset.path))} >= {"both-labels", "integrity"}


def test_auc_against_all_pairs():
    from mdaf_core.data.audit.scores import auc

    generator = np.random.default_rng(0)
    label, score = generator.integers(0, 2, 60), generator.integers(0, 8, 60)
    pairs = [(p > n) + 0.5 * (p == n) for p in score[label == 1] for n in score[label == 0]]
    assert auc(label, score) == pytest.approx(np.mean(pairs), abs=1e-12)


def test_sentences_are_sentences(dataset):
    for check in audit.audit_dataset(dataset).checks:
        assert check.sentence[0].isupper() or check.sentence[0].isdigit() or check.sentence[0] == "u"
        assert check.sentence.endswith(".") and "nan" not in check.sentence


def test_what_was_left_out_is_shown(tmp_path):
    path = tmp_path / "UserBehavior.csv"
    write_user_behavior(path, 300)
    bad = "1,2,3,look,1511539300\n1,2\n"
    path.write_text(f"1,2,3,pv,2141234567\n{path.read_text()}{bad}9,9,9,pv,{10**17}\n")
    dataset = prepare("user-behavior", path=path, name="left-out", options={"skip_bad_rows": True})
    checks = {check.id: check for check in report.stored_audit(dataset).checks}
    first, second = checks["timestamps-in-window"].examples
    assert (first["user_id"], first["timestamp"], first["time"]) == (1, 2141234567, "2037-11-08 03:22:47")
    assert (second["timestamp"], second["time"]) == (10**17, None)  # beyond any calendar
    assert "outside_window=keep" in checks["timestamps-in-window"].todo
    assert checks["skipped-rows"].examples == [
        {"file": "UserBehavior.csv", "line": 302, "problem": "The field behavior must be one of pv, cart, fav, buy",
         "text": "look"},
        {"file": "UserBehavior.csv", "line": 303, "problem": "The line must have 5 fields, it has 2", "text": "1,2"},
    ]  # fmt: skip
    assert audit.audit_dataset(dataset).checks == report.stored_audit(dataset).checks


def test_what_was_left_out_of_a_table_is_shown(tmp_path):
    rows = [f"{i % 2},{i % 7},{1_600_000_000 + i}" for i in range(60)]
    rows[10], rows[20], rows[30] = "maybe,1,1600000000", "1,2", "1,3,soon"
    (tmp_path / "a.csv").write_text("label,item,when\n" + "\n".join(rows) + "\n")
    options = {"item": "item", "timestamp": "when", "skip_bad_rows": True}
    dataset = prepare("table", path=tmp_path / "a.csv", name="left-out", options=options)
    found = next(check for check in report.stored_audit(dataset).checks if check.id == "skipped-rows")
    assert [(row["record"], row["text"]) for row in found.examples] == [(22, "1,2"), (12, "maybe"), (32, "soon")]
    assert "fields" in found.examples[0]["problem"] and "0 or 1" in found.examples[1]["problem"]


@pytest.mark.parametrize(
    ("below", "counted"), [(-0.37, False), (-3.0, False), (-1.0, True), (-9.0, True), (-999.0, True)]
)
def test_a_number_below_zero_is_missing_only_where_it_is_one_that_stands_for_it(tmp_path, below, counted):
    """One value below zero among amounts is a small amount, or the usual -1."""
    frame = impressions()
    amounts = frame["price"].abs() * 100
    rows = np.arange(frame.height)
    frame = frame.with_columns(price=pl.when(pl.Series(rows % 40 == 7)).then(below).otherwise(amounts))
    answer = next(
        (c for c in audit.audit_dataset(prepare_table(tmp_path, frame)).checks if c.id == "missing-by-label"), None
    )
    assert (answer is not None) == counted
    if answer:
        assert "price" in answer.sentence and set(answer.details) == {"price"}
