"""Taobao's ads against the raw lines: every field, history and option, by plain Python."""

import math

import numpy as np
import pytest

from mdaf_core.base.errors import BadInputError, UsageError
from mdaf_core.data.audit.report import stored_audit
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.store.dataset import list_datasets
from mdaf_core.data.store.schema import SPLITS
from tests.data.raw_files import PROFILE_FIELDS, TAOBAO_START, write_taobao_ads

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def files(tmp_path):
    return tmp_path / "ads", write_taobao_ads(tmp_path / "ads")


def _prepare(path, **options):
    return prepare("taobao-ads", path=path, options=options)


def _raw(dataset, field, codes):
    names = dict(dataset.vocabulary(field).select("code", "id").rows())
    return [names.get(int(code)) for code in codes]


def _append(path, line):
    with path.open("a") as file:
        file.write(line + "\n")


def _every_row(dataset, lines):
    for split in SPLITS:
        rows = dataset.rows(split)
        for i, row_id in enumerate(rows.row_id.tolist()):
            yield split, rows, i, lines[row_id]


@pytest.mark.parametrize("history", ["clicked", "impressions"])
def test_rows_and_histories_of_ads(files, history):
    path, raw = files
    lines, ads = raw["raw_sample"], {line[0]: line for line in raw["ad_feature"]}
    dataset = _prepare(path, history=history, ad_fields="brand,campaign,customer,pid,price")
    assert dataset.name.startswith(f"taobao-ads-{history}-") and dataset.meta.history_fields == [
        "item",
        "category",
        "brand",
    ]
    columns = {"category": 1, "campaign": 2, "customer": 3, "brand": 4}
    names = {field: dict(dataset.vocabulary(field).select("code", "id").rows()) for field in dataset.meta.categorical}
    training = {lines[i][2] for i in dataset.rows("train").row_id.tolist()}
    seen = 0
    for split, rows, i, (user, time, ad, pid, _, clk) in _every_row(dataset, lines):
        seen += 1
        assert rows.label[i] == int(clk) and rows.timestamp[i] == int(time)
        assert names["item"].get(int(rows.columns["item"][i])) == (ad if ad in training else None)
        for field, at in columns.items():
            value = ads[ad][at].replace("NULL", "")
            code = int(rows.columns[field][i])
            assert names[field].get(code) == value or (code == 1 and split != "train")
        assert names["pid"][int(rows.columns["pid"][i])] == pid
        assert rows.columns["price"][i] == pytest.approx(math.log1p(float(ads[ad][5])), rel=1e-6)
        hours = (int(time) - TAOBAO_START) // 3600
        assert names["hour"][int(rows.columns["hour"][i])] == str(hours % 24)
        earlier = [
            line for line in lines
            if line[0] == user and int(line[1]) < int(time) and (history == "impressions" or line[5] == "1")
        ]  # fmt: skip
        a, b = rows.history_start[i], rows.history_end[i]
        assert b - a == len(earlier)
        past = [names["item"].get(int(code)) for code in dataset.events["item"][a:b]]
        expected = [line[2] if line[2] in training else None for line in sorted(earlier, key=lambda r: int(r[1]))]
        assert past == expected
        assert dataset.events["positive"][a:b].sum() == sum(line[5] == "1" for line in earlier)
    assert seen == len(lines)
    check = {c.id: c for c in stored_audit(dataset).checks}
    assert not [c.id for c in check.values() if c.status == "fail"]
    assert check["history-clicks"].status == ("warn" if history == "impressions" else "pass")
    if history == "impressions":  # what came of them is recorded
        assert "only where their setting outcomes is on" in check["history-clicks"].sentence
    assert check["timestamps-in-window"].status == "pass" and "2017-05-06" in check["timestamps-in-window"].sentence


def test_profiles_empty_values_and_users_without_one(files):
    path, raw = files
    dataset = _prepare(path, profile_fields=",".join(PROFILE_FIELDS))
    people = {line[0]: line[1:] for line in raw["user_profile"]}
    seen = set()
    names = {field: dict(dataset.vocabulary(field).select("code", "id").rows()) for field in PROFILE_FIELDS}
    for split, rows, i, line in _every_row(dataset, raw["raw_sample"]):
        for at, field in enumerate(PROFILE_FIELDS):
            value = people[line[0]][at] if line[0] in people else "-1"
            found = names[field].get(int(rows.columns[field][i]))
            assert found == value or (found is None and split != "train")
            seen.add(value)
    assert {"", "-1", "0", "1", "2", "3"} <= seen
    titles = dict(dataset.vocabulary("occupation").select("id", "title").rows())
    assert titles["-1"] == "no profile" and titles["1"] == "college student"
    assert [f.name for f in dataset.meta.fields][3:11] == list(PROFILE_FIELDS)


@pytest.mark.parametrize("behaviors", [None, "cart,buy"])
def test_histories_from_the_log(files, behaviors):
    path, raw = files
    options = {"log_behaviors": behaviors} if behaviors else {}
    dataset = _prepare(path, history="behavior-log", **options)
    wanted = behaviors.split(",") if behaviors else ["pv", "cart", "fav", "buy"]
    assert dataset.meta.history_fields == ["category", "brand"] and dataset.meta.categorical["brand"] > 2
    names = {field: dict(dataset.vocabulary(field).select("code", "id").rows()) for field in ("category", "brand")}
    known = {field: set(names[field].values()) for field in names}
    events = dataset.events
    for _split, rows, i, line in _every_row(dataset, raw["raw_sample"]):
        if i % 4:  # looking through the whole log takes a while
            continue
        earlier = sorted(
            (r for r in raw["behavior_log"] if r[0] == line[0] and int(r[1]) < int(line[1]) and r[2] in wanted),
            key=lambda r: int(r[1]),
        )
        a, b = rows.history_start[i], rows.history_end[i]
        assert events["timestamp"][a:b].tolist() == [int(r[1]) for r in earlier]
        for field, at in (("category", 3), ("brand", 4)):
            ids = [r[at].replace("NULL", "") for r in earlier]
            assert [names[field].get(int(c)) for c in events[field][a:b]] == [
                x if x in known[field] else None for x in ids
            ]
    kept = {r[0] for r in raw["raw_sample"]}
    assert dataset.meta.events == sum(r[0] in kept and r[2] in wanted for r in raw["behavior_log"])


def test_only_the_files_that_are_needed_are_read(files):
    path, _ = files
    (path / "user_profile.csv").unlink()
    (path / "behavior_log.csv").unlink()
    dataset = _prepare(path / "raw_sample.csv")
    assert sorted(dataset.meta.fingerprint["inputs"]) == ["ad_feature.csv", "raw_sample.csv"]
    for options, name in [
        ({"history": "behavior-log"}, "behavior_log"),
        ({"profile_fields": "occupation"}, "user_profile"),
    ]:
        with pytest.raises(BadInputError, match=f"There is no {name}.csv here"):
            _prepare(path, **options)


def test_the_reports_protocol(files):
    path, raw = files
    dataset = _prepare(path, protocol="report", sample=600)
    assert dataset.name == "taobao-ads-report-sample-600"
    counts = [dataset.meta.splits[split].rows for split in SPLITS]
    rows = sum(counts)
    assert [round(count / rows, 2) for count in counts] == [0.7, 0.15, 0.15]
    assert dataset.meta.split == {"kind": "random", "fractions": [0.7, 0.15, 0.15], "seed": 42}
    times = {int(line[1]) for line in raw["raw_sample"]}
    users = np.concatenate([dataset.rows(split).user for split in SPLITS])
    assert np.bincount(users).min() >= 3 and rows <= 600
    assert dataset.meta.events == rows, "the sample's own impressions are the histories"
    assert all(set(dataset.rows(split).timestamp.tolist()) <= times for split in SPLITS)
    check = {c.id: c for c in stored_audit(dataset).checks}
    assert check["random-split"].status == "warn" and check["user-interleaved"].status == "fail"
    assert f"{rows:,} of 1,500 impressions remain" in check["input-notes"].sentence
    assert dataset.meta.options["min_user_rows"] == 3 and dataset.meta.options["history"] == "impressions"
    again = prepare("taobao-ads", path=path, name="again", options={"protocol": "report", "sample": 600})
    other = _prepare(path, protocol="report", sample=600, sample_seed=1)
    assert again.meta.fingerprint == dataset.meta.fingerprint != other.meta.fingerprint


@pytest.mark.parametrize("options", [{"split": "time"}, {"history": "clicked"}, {"fractions": "80/10/10"}])
def test_the_protocol_is_what_it_is(files, options):
    with pytest.raises(UsageError, match="rotocol=report means"):
        _prepare(files[0], protocol="report", **options)
    _prepare(files[0], protocol="report", fractions="70/15/15", split="random")


def test_samples_of_users_keep_their_histories(files):
    path, raw = files
    dataset = _prepare(path, sample_users=7)
    chosen = set(dataset.users)
    assert len(chosen) == 7
    lines = [line for line in raw["raw_sample"] if line[0] in chosen]
    assert sum(count.rows for count in dataset.meta.splits.values()) == len(lines)
    assert dataset.meta.events == sum(line[5] == "1" for line in lines)
    check = next(c for c in stored_audit(dataset).checks if c.id == "input-notes")
    assert "a sample of 7 users (seed 42)" in check.sentence
    with pytest.raises(UsageError, match="lower min_user_rows"):
        _prepare(path, min_user_rows=10_000)


def test_times_outside_the_periods(files):
    path, raw = files
    for time in (TAOBAO_START - 1, TAOBAO_START + 8 * 86400, 0, 10**12):
        _append(path / "raw_sample.csv", f"1,{time},1,430539_1007,1,0")
        _append(path / "behavior_log.csv", f"1,{time - 14 * 86400 if time == TAOBAO_START - 1 else time},pv,1,1")
    dropped = _prepare(path, history="behavior-log")
    kept = prepare("taobao-ads", path=path, name="kept", options={"outside_window": "keep", "history": "behavior-log"})
    assert sum(count.rows for count in dropped.meta.splits.values()) == len(raw["raw_sample"])
    assert sum(count.rows for count in kept.meta.splits.values()) == len(raw["raw_sample"]) + 4
    assert kept.meta.events == dropped.meta.events + 4
    for dataset, words in ((dropped, "left out"), (kept, "kept")):
        check = {c.id: c for c in stored_audit(dataset).checks}
        assert (check["timestamps-in-window"].status, check["timestamps-in-window"].number) == ("warn", 4)
        assert words in check["timestamps-in-window"].sentence
        assert (
            "4 events of behavior_log.csv" in check["input-notes"].sentence and words in check["input-notes"].sentence
        )
    (path / "raw_sample.csv").write_text("user,time_stamp,adgroup_id,pid,nonclk,clk\n1,1600000000,1,a,1,0\n")
    with pytest.raises(BadInputError, match="outside_window=keep"):
        _prepare(path)


def test_ads_that_nobody_describes_are_kept_and_noted(files):
    path, raw = files
    _append(path / "raw_sample.csv", f"1,{TAOBAO_START},999,430539_1007,1,0")
    dataset = _prepare(path, ad_fields="brand,price")
    rows = dataset.rows("train")
    at = int(np.flatnonzero(rows.row_id == len(raw["raw_sample"]))[0])
    assert _raw(dataset, "category", [rows.columns["category"][at]]) == [""]
    assert _raw(dataset, "brand", [rows.columns["brand"][at]]) == [""] and np.isnan(rows.columns["price"][at])
    check = next(c for c in stored_audit(dataset).checks if c.id == "input-notes")
    assert "does not describe 1 ad of 1 rows (for instance ad 999)" in check.sentence


@pytest.mark.parametrize(
    ("file", "line", "words"),
    [
        ("raw_sample", f"1,{TAOBAO_START},1,430539_1007,1,1", "nonclk is 1 where clk is 0"),
        ("raw_sample", f"1,{TAOBAO_START},1,430539_1007,0,0", "nonclk is 1 where clk is 0"),
        ("raw_sample", f"1,{TAOBAO_START},1,430539_1007,0,2", "clk must be one of 0, 1"),
        ("raw_sample", f"-1,{TAOBAO_START},1,430539_1007,0,1", "user must lie between 0 and 2,147,483,647"),
        ("raw_sample", f"1,{TAOBAO_START},99999999999,430539_1007,0,1", "adgroup_id must lie between"),
        ("raw_sample", "1,noon,1,430539_1007,0,1", "time_stamp must be an integer"),
        ("raw_sample", "user,time_stamp,adgroup_id,pid,nonclk,clk", "header once more"),
        ("ad_feature", "81,1,1,1,none,1.0", "brand must be an integer"),
        ("ad_feature", "81,1,1,1,1,-3", "price must lie between"),
        ("ad_feature", "80,1,1,1,1,3", "adgroup_id 80 is described twice"),
        ("user_profile", "31,0,0,0,0,0,0,0,much", "new_user_class_level must be an integer"),
        ("user_profile", "1,0,0,0,0,0,0,0,0", "userid 1 is described twice"),
        ("behavior_log", f"1,{TAOBAO_START},look,1,1", "btag must be one of pv, cart, fav, buy"),
        ("behavior_log", f"1,{TAOBAO_START},pv,1", "must have 5 fields"),
    ],
)  # fmt: skip
def test_bad_lines_are_named(files, file, line, words):
    path, raw = files
    _append(path / f"{file}.csv", line)
    options = {"history": "behavior-log", "profile_fields": "occupation"}
    with pytest.raises(BadInputError, match=words) as error:
        _prepare(path, **options)
    assert error.value.line == len(raw[file]) + 2 and error.value.path == path / f"{file}.csv"
    assert list_datasets() == []
    if "twice" not in words:
        assert _prepare(path, **options, skip_bad_rows=True).meta.skipped_rows == 1
