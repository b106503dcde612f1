"""What preparing works out quickly, against the plain definition."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdaf_core.data.audit import audit
from mdaf_core.data.audit.audit import audit_dataset
from mdaf_core.data.audit.copies import _Ordered, _part_of_rows, _sharing
from mdaf_core.data.audit.hashes import drawn_groups, mixed_hash, shared
from mdaf_core.data.audit.report import stored_audit
from mdaf_core.data.audit.scores import auc
from mdaf_core.data.audit.steps import steps_of
from mdaf_core.data.batches.gather import gather, match_features
from mdaf_core.data.prepare import resources
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.reading.blocks import occurrences
from mdaf_core.data.store.counts import occurrences as times_of
from mdaf_core.data.store.counts import tally
from mdaf_core.data.store.describe import local_clock, local_times
from mdaf_core.data.store.statistics import read_statistics
from tests.data.raw_files import write_user_behavior

SCORE = st.sampled_from([float("nan"), float("inf"), -float("inf"), -1.0, 0.0, -0.0, 0.5, 0.5000000000000001])


@given(st.binary(max_size=300), st.integers(0, 255))
def test_bytes_are_counted(text, byte):
    assert occurrences(text, bytes([byte])) == text.count(bytes([byte]))


def test_bytes_of_many_pieces_are_counted():
    text = np.random.default_rng(0).integers(0, 4, 700_001).astype(np.uint8).tobytes()
    assert occurrences(text, b"\3") == text.count(b"\3")


@given(st.lists(st.tuples(st.booleans(), SCORE), min_size=2, max_size=40).filter(lambda x: len({a for a, _ in x}) == 2))
def test_auc_counts_pairs(rows):
    def size(score: float) -> float:  # what is missing lies below all numbers
        return -np.inf if np.isnan(score) else np.nextafter(score, 0) if np.isinf(score) else score

    up, down = ([size(score) for label, score in rows if label is kind] for kind in (True, False))
    wins = sum((a > b) + (a == b) / 2 for a in up for b in down)
    label, score = (np.array(column) for column in zip(*rows, strict=True))
    assert auc(label.astype(np.uint8), score) == wins / (len(up) * len(down))


def test_hashes_depend_on_every_column_and_on_no_neighbour():
    draw = np.random.default_rng(0)
    columns = [draw.integers(-5, 5, 100_000), draw.integers(0, 3, 100_000).astype(np.int32)]
    columns.append(draw.choice(np.array([0.5, np.nan, -1], np.float32), 100_000))
    found = mixed_hash(columns)
    rows = pl.DataFrame({"a": columns[0], "b": columns[1], "c": columns[2].view(np.int32), "hash": found})
    assert rows.n_unique() == rows["hash"].n_unique() == rows.n_unique(["a", "b", "c"])
    assert (mixed_hash([column[70_000:] for column in columns]) == found[70_000:]).all()


@given(st.lists(st.integers(-3, 9), min_size=2, max_size=60), st.randoms(use_true_random=False))
def test_auc_of_whole_numbers_is_that_of_the_same_fractions(scores, random):
    label = np.array([0, 1] + [random.randint(0, 1) for _ in scores[2:]])
    assert auc(label, np.array(scores, np.int32)) == auc(label, np.array(scores, np.float64))


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 1)), max_size=50))
@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64])
def test_rows_and_positives_by_code(dtype, rows):
    code, label = (np.array([row[i] for row in rows], kind) for i, kind in enumerate((dtype, np.int64)))
    counts, positives = tally(code, label, 8)
    assert counts.tolist() == times_of(code, 8).tolist() == [(code == value).sum() for value in range(8)]
    assert positives.tolist() == [label[code == value].sum() for value in range(8)]


@pytest.mark.parametrize("strange", [-1, 8, 2**31 - 1])
def test_a_code_that_is_none_is_refused(strange):
    code = np.array([0, 3, strange], np.int32)
    with pytest.raises(IndexError, match="position 2"):
        times_of(code, 8)
    with pytest.raises(IndexError, match="position 2"):
        tally(code, np.zeros(3, np.uint8), 8)
    with pytest.raises(IndexError, match="3 codes and 2 labels"):
        tally(code, np.zeros(2, np.uint8), 8)


@pytest.mark.parametrize("size", [0, 1, 2, 500, 100_000])
@pytest.mark.parametrize("values", [2, 2_000, 2**63])
def test_what_occurs_more_than_once(size, values):
    draw = np.random.default_rng(size)
    hashes = draw.integers(0, values, size, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    hashes[size // 2 :][:3] = hashes[:3][: size - size // 2]
    found, counts = np.unique(hashes, return_counts=True)
    assert (shared(hashes) == found[counts > 1]).all()


def test_groups_are_drawn_whole():
    draw = np.random.default_rng(0)
    user, value = draw.integers(0, 500, 20_000).astype(np.int32), draw.choice([0.5, np.nan, 2], 20_000)
    known = draw.random(20_000) < 0.9
    for columns in ([user], [user, value.astype(np.float32)]):
        rows, hashes = drawn_groups(columns, known, 4_000)
        assert (hashes == mixed_hash(columns)[rows]).all() and known[rows].all() and (np.diff(rows) > 0).all()
        assert 2_000 < len(rows) < 6_000
        left = np.setdiff1d(np.flatnonzero(known), rows)
        assert not np.isin(mixed_hash(columns)[left], hashes).any()
        assert len(drawn_groups(columns, known, 10**6)[0]) == known.sum()


@pytest.mark.parametrize("span", [100, 2**40])
def test_steps_from_row_to_row(span):
    draw = np.random.default_rng(0)
    user, time, order = draw.integers(0, 9, 300), draw.integers(-span, span, 300), draw.permutation(300)
    same, later = steps_of(order, user, time)
    assert same.tolist() == [user[a] == user[b] for a, b in pairwise(order)]
    assert later.tolist() == [time[b] - time[a] for a, b in pairwise(order)]
    assert len(steps_of(order[:0], user[:0], time[:0]).same) == 0


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "Europe/Berlin", "Australia/Lord_Howe", "Africa/Monrovia", "UTC"])
@pytest.mark.parametrize(("unit", "ticks"), [("s", 1), ("ms", 1000)])
def test_local_times_of_many_rows(zone, unit, ticks):
    draw = np.random.default_rng(0)
    for low, high in ((1_711_800_000, 1_711_900_000), (63_590_000, 63_600_000), (-(10**9), 10**9)):
        times = draw.integers(low, high, 20_000) * ticks + ticks // 3
        expected = [
            datetime.fromtimestamp(int(time) // ticks, UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
            for time in times[:300]
        ]
        assert local_times(times, zone, unit).dt.truncate("1s")[:300].to_list() == expected
        hour, weekday = local_clock(times, zone, unit)
        assert hour[:300].tolist() == [moment.hour for moment in expected]
        assert weekday[:300].tolist() == [moment.isoweekday() for moment in expected]


@pytest.mark.parametrize("longest", [0, 1, 7, 50])
def test_match_features_from_the_log_are_those_of_batches(tmp_path, home, longest):
    write_user_behavior(tmp_path / "UserBehavior.csv")
    dataset = prepare("user-behavior", path=tmp_path / "UserBehavior.csv", options={"task": "next-click"})
    rows = dataset.rows("test")
    index = np.random.default_rng(0).permutation(len(rows))[:400]
    found = match_features(dataset, "test", index, longest)
    assert found.tobytes() == gather(dataset, rows, index, longest)["match_BM"].tobytes()
    assert not longest or found.any()


def test_checks_say_the_same_beside_each_other_and_alone(tmp_path, home, monkeypatch):
    write_user_behavior(tmp_path / "UserBehavior.csv")
    dataset = prepare("user-behavior", path=tmp_path / "UserBehavior.csv")
    together = audit_dataset(dataset)
    monkeypatch.setattr(audit, "MANY_ROWS", 0)
    assert audit_dataset(dataset, limit=1).checks == together.checks
    monkeypatch.setattr(resources, "_BESIDE", 10**12)
    again = prepare("user-behavior", path=tmp_path / "UserBehavior.csv", name="alone", again=True)
    assert stored_audit(again).checks == together.checks
    assert read_statistics(again) == read_statistics(dataset)


def test_users_that_share_stretches():
    """Two copies of a user's rows, one in a later part; everyone else is random."""
    draw = np.random.default_rng(0)
    key = draw.integers(4, 40_000, 6_000)
    user = np.repeat(np.arange(200, dtype=np.int32), 30)
    part = np.repeat(np.arange(200) % 3, 30).astype(np.int8)
    for copy, original in ((7, 3), (100, 5)):
        key[copy * 30 : copy * 30 + 30] = key[original * 30 : original * 30 + 30]
    pairs = _sharing(_Ordered(user, part, key))
    assert pairs.rows() == [(3, 7, True), (5, 100, True)]
    shares = _part_of_rows(_Ordered(user, part, key), pl.Series([3, 7, 5, 100], dtype=pl.Int32))
    assert shares == {"val": 2 / 67, "test": 1 / 66}
    assert _sharing(_Ordered(user[:2], part[:2], key[:2])).is_empty()
    assert _part_of_rows(_Ordered(user, part, key), pl.Series([], dtype=pl.Int32)) == {}
