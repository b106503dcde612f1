"""Prepared folders against plain Python definitions, for every source."""

import json

import numpy as np
import polars as pl
import pytest

from mdaf_core.base.errors import BadInputError, UsageError
from mdaf_core.data.audit.report import stored_audit
from mdaf_core.data.batches.loader import BatchLoader
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.store.columns import read_columns
from mdaf_core.data.store.dataset import PreparedDataset, list_datasets
from mdaf_core.data.store.schema import SPLITS, UNKNOWN
from tests.data.raw_files import (
    USER_BEHAVIOR_START,
    write_criteo,
    write_ml_1m,
    write_ml_100k,
    write_ml_csv,
    write_user_behavior,
)

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def behavior(tmp_path):
    path = tmp_path / "UserBehavior.csv"
    return path, write_user_behavior(path)


def _raw(dataset, field, codes):
    names = dict(dataset.vocabulary(field).select("code", "id").rows())
    return [names.get(int(code)) for code in codes]


def test_every_row_of_user_behavior_against_the_definition(behavior):
    path, source = behavior
    dataset = prepare("user-behavior", path=path, options={"history": "pv,cart"})
    events = dataset.events
    seen = set()
    training_items = set()
    for split in SPLITS:
        rows = dataset.rows(split)
        times = list(zip(rows.timestamp.tolist(), rows.row_id.tolist(), strict=True))
        assert times == sorted(times), "by time, then input order"
        items = _raw(dataset, "item", rows.columns["item"])
        for i, row_id in enumerate(rows.row_id.tolist()):
            seen.add(row_id)
            user, item, _, behavior_, time = source[row_id]
            assert rows.label[i] == (behavior_ != "pv")
            assert rows.timestamp[i] == time
            assert dataset.users[int(rows.user[i])] == str(user)
            if split == "train":
                training_items.add(str(item))
                assert items[i] == str(item)
            else:
                assert items[i] == (str(item) if str(item) in training_items else None)
            earlier = [r for r in source if r[0] == user and r[4] < time and r[3] in ("pv", "cart")]
            a, b = rows.history_start[i], rows.history_end[i]
            assert b - a == len(earlier)
            assert events["timestamp"][a:b].tolist() == sorted(r[4] for r in earlier)
            assert all(dataset.users[int(u)] == str(user) for u in set(events["user_index"][a:b].tolist()))
    assert seen == set(range(len(source)))
    assert set(dataset.vocabulary("item")["id"]) == training_items


def test_hours_and_weekdays_are_shanghai_time(tmp_path):
    path = tmp_path / "UserBehavior.csv"
    path.write_text(
        "".join(f"1,{i},1,{'pv' if i % 2 else 'buy'},{USER_BEHAVIOR_START + 3600 * i}\n" for i in range(30))
    )
    dataset = prepare("user-behavior", path=path)
    rows = dataset.rows("train")
    assert _raw(dataset, "hour", rows.columns["hour"])[:3] == ["0", "1", "2"]  # midnight in Shanghai, not in UTC
    assert set(_raw(dataset, "dayofweek", rows.columns["dayofweek"])) == {"6"}  # 25 November 2017, a Saturday
    assert dataset.meta.timezone == "Asia/Shanghai"
    assert "Asia/Shanghai" in next(c.sentence for c in stored_audit(dataset).checks if c.id == "timezone")


def test_next_click_pairs_each_view_with_others(behavior):
    path, source = behavior
    dataset = prepare("user-behavior", path=path, options={"task": "next-click", "negatives": 2})
    views = sum(row[3] == "pv" for row in source)
    counts = dataset.meta.splits
    assert sum(c.rows for c in counts.values()) == 3 * views
    assert all(c.positives * 3 == c.rows for c in counts.values())
    for split in SPLITS:
        rows = dataset.rows(split)
        order = np.argsort(rows.row_id)
        groups = order.reshape(-1, 3)
        assert (rows.row_id[groups] % 3 == [0, 1, 2]).all()
        assert (rows.label[groups] == [1, 0, 0]).all()
        for column in ("timestamp", "user", "history_start", "history_end"):
            values = getattr(rows, column)[groups]
            assert (values == values[:, :1]).all()


def test_negatives_leave_no_mark_in_unknown_ids(tmp_path):
    """Many items are new in every period: being unknown must not tell positives from negatives."""
    path = tmp_path / "UserBehavior.csv"
    generator = np.random.default_rng(0)
    lines = [
        f"{generator.integers(1, 60)},{i // 20 * 10 + generator.integers(0, 40)},1,pv,{USER_BEHAVIOR_START + 60 * i}\n"
        for i in range(12_000)
    ]
    path.write_text("".join(lines))
    dataset = prepare("user-behavior", path=path, options={"task": "next-click"})
    check = next(c for c in stored_audit(dataset).checks if c.id == "unknown-by-label")
    rows = dataset.rows("test")
    unknown = rows.columns["item"] == 1
    assert unknown.mean() > 0.5
    assert abs(unknown[rows.label == 1].mean() - unknown[rows.label == 0].mean()) < 0.03
    assert check.status == "pass"


def test_events_outside_the_stated_period(tmp_path):
    path = tmp_path / "UserBehavior.csv"
    write_user_behavior(path, n=300)
    text = path.read_text()
    path.write_text(text + "1,1,1,pv,-5000\n" + f"2,1,1,pv,{USER_BEHAVIOR_START - 1}\n3,1,1,pv,2000000000\n")
    dropped = prepare("user-behavior", path=path, name="dropped")
    kept = prepare("user-behavior", path=path, name="kept", options={"outside_window": "keep"})
    assert sum(c.rows for c in dropped.meta.splits.values()) == 300
    assert sum(c.rows for c in kept.meta.splits.values()) == 303
    for dataset, words in ((dropped, "left out"), (kept, "kept")):
        check = next(c for c in stored_audit(dataset).checks if c.id == "timestamps-in-window")
        assert (check.status, check.number) == ("warn", 3) and words in check.sentence
    path.write_text("1,1,1,pv,1600000000\n2,1,1,buy,1600000001\n")
    with pytest.raises(BadInputError, match="outside_window=keep"):
        prepare("user-behavior", path=path)


def test_preparing_twice_gives_the_same_content(behavior):
    path, _ = behavior
    first = prepare("user-behavior", path=path, name="first", options={"task": "next-click"}).meta
    second = prepare("user-behavior", path=path, name="second", options={"task": "next-click"}).meta
    other = prepare("user-behavior", path=path, name="other", options={"task": "next-click", "negatives_seed": 1}).meta
    assert first.fingerprint == second.fingerprint
    assert first.fingerprint["sha256"] != other.fingerprint["sha256"]
    assert first.fingerprint["inputs"]["UserBehavior.csv"]["bytes"] == path.stat().st_size


def test_a_failure_leaves_nothing_and_keeps_what_was(behavior, monkeypatch):
    path, _ = behavior
    before = prepare("user-behavior", path=path, name="data").meta.fingerprint
    monkeypatch.setattr("mdaf_core.data.prepare.pipeline.write_statistics", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        prepare("user-behavior", path=path, name="data", options={"task": "next-click"})
    assert PreparedDataset.open("data").meta.fingerprint == before
    assert list_datasets() == ["data"]
    assert [p.name for p in PreparedDataset.open("data").path.parent.iterdir()] == ["data"]


def test_progress_goes_from_nothing_to_everything(behavior):
    path, _ = behavior
    seen = []
    prepare("user-behavior", path=path, progress=lambda fraction, message: seen.append((fraction, message)))
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions) and fractions[0] == 0 and fractions[-1] == 1
    assert all(message for _, message in seen)


def test_movielens_100k_reads_every_field(tmp_path):
    ratings = write_ml_100k(tmp_path / "ml-100k")
    dataset = prepare("movielens", path=tmp_path / "ml-100k", options={"positive_from": 3})
    assert dataset.name == "movielens-ml-100k-positive-from-3"
    rows = dataset.rows("train")
    for name, expected in {
        "user": lambda r: str(r[0]),
        "age": lambda r: str(20 + r[0]),
        "gender": lambda r: "MF"[r[0] % 2],
        "occupation": lambda r: ["artist", "writer"][r[0] % 2],
    }.items():
        assert _raw(dataset, name, rows.columns[name]) == [expected(ratings[i]) for i in rows.row_id]
    assert rows.label.tolist() == [int(ratings[i][2] >= 3) for i in rows.row_id]
    titles = dict(dataset.vocabulary("item").select("id", "title").rows())
    assert titles["7"] == "Amélie 7 (2001)"
    # Film 7's first flag is genre 7 of u.genre.
    assert _raw(dataset, "category", rows.columns["category"][rows.columns["item"] == 2])[0] is not None
    categories = dict(
        zip(
            _raw(dataset, "item", rows.columns["item"]),
            _raw(dataset, "category", rows.columns["category"]),
            strict=True,
        )
    )
    assert categories["7"] == "Documentary" and categories["18"] == "Western"


@pytest.mark.parametrize(("write", "name"), [(write_ml_1m, "ml-1m"), (write_ml_csv, "ml-latest-small")])
def test_other_movielens_releases(tmp_path, write, name):
    write(tmp_path / name)
    dataset = prepare("movielens", path=tmp_path / name)
    assert dataset.name == f"movielens-{name}"
    assert sum(c.rows for c in dataset.meta.splits.values()) == 400
    assert dataset.vocabulary("category")["id"].sort().to_list()[-1] == "Drama"
    title = dataset.vocabulary("item")["title"][0]
    assert "Été" in title if name == "ml-1m" else title.startswith("Film, the")
    assert not stored_audit(dataset).with_status("fail")
    nested = prepare(
        "movielens", path=tmp_path / name / ("ratings.dat" if name == "ml-1m" else "ratings.csv"), name="file"
    )
    assert nested.meta.fingerprint["content"] == dataset.meta.fingerprint["content"]


def test_movielens_users_that_nobody_describes_are_noted(tmp_path):
    write_ml_100k(tmp_path)
    with (tmp_path / "u.data").open("a") as file:
        file.write("999\t1\t5\t880000000")
    dataset = prepare("movielens", path=tmp_path, name="ml")
    assert sum(c.rows for c in dataset.meta.splits.values()) == 601
    check = next(c for c in stored_audit(dataset).checks if c.id == "input-notes")
    assert check.status == "warn" and "user 999" in check.sentence
    rows = dataset.rows("train")
    mine = np.flatnonzero(np.array(_raw(dataset, "user", rows.columns["user"])) == "999")
    assert _raw(dataset, "gender", rows.columns["gender"][mine]) == [""]


def test_movielens_lines_that_are_bad(tmp_path):
    write_ml_100k(tmp_path)
    for name, line in [("u.data", "1\t1\t6\t880000000"), ("u.item", "5|half"), ("u.user", "21|old|M|artist|1")]:
        with (tmp_path / name).open("a", encoding="latin-1") as file:
            file.write(line + "\n")
        with pytest.raises(BadInputError) as error:
            prepare("movielens", path=tmp_path)
        assert error.value.path == tmp_path / name
        assert error.value.line == {"u.data": 601, "u.item": 41, "u.user": 21}[name]
        assert prepare("movielens", path=tmp_path, options={"skip_bad_rows": True}).meta.skipped_rows == 1
        lines = (tmp_path / name).read_text("latin-1").splitlines()[:-1]
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="latin-1")


def test_movielens_time_split_of_the_published_100k(shared_data, tmp_path):
    """The counts that GroupLens's file gives. A copy that had its last row replaced is put right first."""
    lines = (shared_data / "ml-100k" / "u.data").read_text().splitlines()
    known = {line.split("|")[0] for line in (shared_data / "ml-100k" / "u.user").read_text().splitlines()}
    lines = [line for line in lines if line.split("\t")[0] in known]
    if len(lines) == 99_999:
        lines.append("12\t203\t3\t879959583")
    (tmp_path / "u.data").write_text("\n".join(lines) + "\n")
    for name in ("u.item", "u.user"):
        (tmp_path / name).write_bytes((shared_data / "ml-100k" / name).read_bytes())
    dataset = prepare("movielens", path=tmp_path, name="ml")
    counts = dataset.meta.splits
    assert [counts[split].rows for split in SPLITS] == [80_003, 9_997, 10_000]
    assert [round(counts[split].positive_rate, 3) for split in SPLITS] == [0.551, 0.568, 0.563]
    unseen = next(c for c in stored_audit(dataset).checks if c.id == "unseen-users")
    assert unseen.number == pytest.approx(0.847, abs=0.0005)
    rows = [dataset.rows(split) for split in SPLITS]
    pairs = pl.DataFrame(
        {"user": np.concatenate([r.user for r in rows]), "time": np.concatenate([r.timestamp for r in rows])}
    )
    assert pairs.group_by("user", "time").len().filter(pl.col("len") > 1)["len"].sum() == 75_772


def test_criteo_buckets_counts_and_missing_values(tmp_path):
    source = write_criteo(tmp_path / "train.txt")
    dataset = prepare("criteo", path=tmp_path, options={"min_count": 3})
    meta = dataset.meta
    assert not meta.has_time and not meta.has_user and not meta.history_fields
    assert [meta.splits[s].rows for s in SPLITS] == [320, 40, 40]
    seen = [dataset.rows(split).row_id.tolist() for split in SPLITS]
    assert [row for part in seen for row in part] == list(range(400)), "file order is time order"
    train = source[:320]

    def winners(text):  # the challenge winners' transform, as they wrote it down
        if text == "":
            return ""
        value = int(text)
        return str(int(np.log(float(value)) ** 2)) if value > 2 else f"SP{value}"

    for split in SPLITS:
        rows = dataset.rows(split)
        for column, name in [(1, "I1"), (5, "I5"), (14, "C1"), (39, "C26")]:
            change = winners if name.startswith("I") else str
            often = [change(r[column]) for r in train]
            expected = [change(source[i][column]) for i in rows.row_id]
            expected = [value if often.count(value) >= 3 else None for value in expected]
            assert _raw(dataset, name, rows.columns[name]) == expected


def test_criteo_numbers_tell_missing_from_zero(tmp_path):
    source = write_criteo(tmp_path / "train.txt")
    dataset = prepare("criteo", path=tmp_path / "train.txt", options={"counts": "numbers", "min_count": 1})
    assert dataset.name == "criteo-numbers-min-count-1" and dataset.meta.numeric == [f"I{i}" for i in range(1, 14)]
    rows = dataset.rows("train")
    for i in range(len(rows)):
        text = source[rows.row_id[i]][1]
        expected = np.sign(int(text)) * np.log1p(abs(int(text))) if text else np.nan
        assert rows.columns["I1"][i] == pytest.approx(expected, rel=1e-6, nan_ok=True)


def test_criteo_lines_that_lost_their_empty_ends(tmp_path):
    rows = write_criteo(tmp_path / "whole.txt")
    for row in rows:
        row[-4] = row[-4] or "0000000a"  # C23 is never missing
    whole = "".join("\t".join(row) + "\n" for row in rows)
    (tmp_path / "whole.txt").write_text(whole)
    (tmp_path / "stripped.txt").write_text("\n".join(line.rstrip("\t") for line in whole.splitlines()))
    first = prepare("criteo", path=tmp_path / "whole.txt", name="whole").meta.fingerprint
    second = prepare("criteo", path=tmp_path / "stripped.txt", name="stripped").meta.fingerprint
    assert first["content"] == second["content"]


@pytest.mark.parametrize("source", ["criteo/train.txt", "userbehavior/UserBehavior.csv", "ml-100k"])
def test_the_sample_data_prepares_and_passes(shared_data, source):
    name = {"criteo": "criteo", "userbehavior": "user-behavior", "ml-100k": "movielens"}[source.split("/")[0]]
    dataset = prepare(name, path=shared_data / source)
    assert not stored_audit(dataset).with_status("fail")
    assert sum(c.rows for c in dataset.meta.splits.values()) > 900


def test_the_loader_reads_what_was_prepared(behavior):
    path, _ = behavior
    dataset = prepare("user-behavior", path=path)
    for split in SPLITS:
        batches = list(BatchLoader(dataset, split, 64))
        assert sum(len(batch) for batch in batches) == dataset.meta.splits[split].rows
        assert all((batch.history_age_T > 0).all() for batch in batches)


def test_matches_are_of_raw_ids_unseen_ones_included(tmp_path):
    """Equality and match features against the raw lines, where most items of later parts are unseen in training."""
    path = tmp_path / "UserBehavior.csv"
    draw = np.random.default_rng(1)
    source = [
        (int(draw.integers(1, 6)), i // 60 * 20 + int(draw.integers(0, 40)), int(draw.integers(1, 9)), "pv", 300 * i)
        for i in range(1500)
    ]
    path.write_text("".join(f"{u},{i},{c},{b},{USER_BEHAVIOR_START + t}\n" for u, i, c, b, t in source))
    dataset = prepare("user-behavior", path=path, options={"task": "next-click"})
    rows = dataset.rows("test")
    targets = _targets_by_code(dataset, source)
    unseen_matches = 0
    for batch in BatchLoader(dataset, "test", 64):
        for b in range(len(batch)):
            start, end = int(batch.cu_seqlens[b]), int(batch.cu_seqlens[b + 1])
            user = int(dataset.users[int(batch.user_B[b])])
            time = int(batch.timestamp_B[b]) - USER_BEHAVIOR_START
            history = sorted((r for r in source if r[0] == user and r[4] < time), key=lambda r: r[4])[-50:]
            assert len(history) == end - start
            i = int(np.flatnonzero(rows.row_id == int(batch.row_id_B[b]))[0])
            item, category = (
                targets(rows.columns["item:identity"][i]),
                int(dataset.vocabulary("category")["id"][int(batch.categorical_BF[b, 1]) - 2]),
            )
            equal = np.array([[r[1] == item, r[2] == category] for r in history]).reshape(-1, 2)
            assert np.array_equal(batch.equal_TH[start:end].numpy(), equal)
            unseen_matches += int(equal[:, 0].sum()) if int(batch.categorical_BF[b, 0]) == UNKNOWN else 0
            for f in range(2):
                seen, count, recency, time_recency = batch.match_BM[b, 4 * f : 4 * f + 4].tolist()
                places = np.flatnonzero(equal[:, f])
                assert seen == (len(places) > 0)
                if len(places):
                    age = time - history[places[-1]][4]
                    assert count == pytest.approx(min(1, np.log1p(len(places)) / np.log1p(50)))
                    assert recency == pytest.approx(1 / (len(history) - places[-1]))
                    assert time_recency == pytest.approx(max(0, 1 - np.log1p(age) / np.log1p(30 * 86400)), abs=1e-6)
                else:
                    assert count == recency == time_recency == 0
    assert unseen_matches > 50


def _targets_by_code(dataset, source):
    """Raw item of an identity: known ones by the vocabulary, the others in ascending order behind it."""
    known = [int(i) for i in dataset.vocabulary("item")["id"]]
    rest = sorted({r[1] for r in source} - set(known))
    return lambda identity: [None, None, *known, *rest][identity]


def test_unreasonable_requests_say_what_is_wrong(tmp_path, behavior):
    path, _ = behavior
    for arguments, error, words in [
        (("nothing",), UsageError, "Known: synthetic"),
        (("user-behavior",), UsageError, "needs a path"),
        (("synthetic", path), UsageError, "reads no file"),
        (("user-behavior", tmp_path / "none.csv"), BadInputError, "nothing at this path"),
        (("user-behavior", path, "../up"), UsageError, "cannot be used"),
        (("user-behavior", path, None, {"tusk": 1}), UsageError, "has no option 'tusk'. Known: split, "),
        (("user-behavior", path, None, {"alpha": "high"}), UsageError, "alpha must be a number; it is 'high'"),
        (("user-behavior", path, None, {"history": "pv,click"}), UsageError, "history, entry 2, must be"),
        (("movielens", tmp_path), BadInputError, "Expected a MovieLens folder"),
        (("criteo", path), BadInputError, "40 fields"),
        (("movielens", path), BadInputError, "Expected a MovieLens folder"),
        (("criteo", tmp_path), BadInputError, "There is no train.txt here"),
    ]:
        values = [*arguments, None, None, None][:4]
        with pytest.raises(error, match=words.replace("(", r"\(")):
            prepare(values[0], path=values[1], name=values[2], options=values[3] or {})
    assert list_datasets() == []


def test_dataset_json_is_plain(behavior):
    path, _ = behavior
    dataset = prepare("user-behavior", path=path)
    raw = json.loads((dataset.path / "dataset.json").read_text())
    assert raw["options"]["task"] == "conversion" and raw["split"] == {"kind": "time", "fractions": [0.8, 0.1, 0.1]}
    assert raw["versions"]["polars"] == pl.__version__


def test_one_column_is_read_without_the_others(tiny):
    """What a page asks for at every re-run: a column of texts takes as long as a hundred of numbers."""
    ids = tiny.row_ids("val")
    assert np.array_equal(ids, tiny.rows("val").row_id) and ids.dtype == np.int64
    assert list(read_columns(tiny.path / "rows" / "val.arrow", ["label", "row_id"])) == ["label", "row_id"]
