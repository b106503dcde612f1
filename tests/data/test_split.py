import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdaf_core.base.errors import UsageError
from mdaf_core.data.formats.options import SourceOptions
from mdaf_core.data.prepare.split import assign_splits, by_last_day, by_time, leave_last_out, stratified

DAY = 86400


@given(st.lists(st.integers(0, 30), min_size=1, max_size=200))
def test_time_split_keeps_ties_on_the_earlier_side(times):
    timestamp = np.array(times)
    split = by_time(timestamp, (0.8, 0.1, 0.1))
    ordered = sorted(times)
    n = len(times)
    first, second = ordered[max(round(n * 0.8), 1) - 1], ordered[max(round(n * 0.9), 1) - 1]
    assert split.tolist() == [0 if t <= first else 1 if t <= second else 2 for t in times]


def test_time_split_without_ties_is_exact():
    timestamp = np.random.default_rng(0).permutation(1000)
    assert np.bincount(by_time(timestamp, (0.8, 0.1, 0.1))).tolist() == [800, 100, 100]


def test_last_day_is_a_day_of_the_timezone():
    # 20:00 UTC on 1 January is already 2 January in Shanghai.
    timestamp = np.array([0, 10 * 3600, 20 * 3600, DAY + 3600, DAY + 20 * 3600])
    assert by_last_day(timestamp, "Asia/Shanghai").tolist() == [0, 0, 1, 1, 2]
    with pytest.raises(UsageError, match="at least three days"):
        by_last_day(timestamp, "UTC")


def test_last_day_skips_days_without_rows():
    assert by_last_day(np.array([0, 5 * DAY, 9 * DAY]), "UTC").tolist() == [0, 1, 2]


def test_leave_last_out_by_definition():
    generator = np.random.default_rng(1)
    user = generator.integers(0, 20, 120)
    timestamp = generator.integers(0, 40, 120)
    split = leave_last_out(timestamp, user)
    for u in np.unique(user):
        rows = sorted(np.flatnonzero(user == u), key=lambda i: (timestamp[i], i))
        expected = [0] * len(rows) if len(rows) < 3 else [0] * (len(rows) - 2) + [1, 2]
        assert [split[i] for i in rows] == expected


def test_stratified_keeps_the_rate_and_repeats():
    label = (np.random.default_rng(2).random(10_000) < 0.05).astype(np.uint8)
    split = stratified(label, (0.7, 0.15, 0.15), seed=3)
    assert (split == stratified(label, (0.7, 0.15, 0.15), seed=3)).all()
    assert (split != stratified(label, (0.7, 0.15, 0.15), seed=4)).any()
    rates = [label[split == part].mean() for part in range(3)]
    assert max(rates) - min(rates) < 0.001


def _assign(options, n=100, **changes):
    facts = {
        "label": np.arange(n) % 2,
        "timestamp": np.arange(n) * 3600,
        "user": np.arange(n) % 5,
        "has_time": True,
        "timezone": "UTC",
    }
    return assign_splits(SourceOptions(**options), **(facts | changes))


def test_explicit_dates_are_local():
    split, parameters = _assign({"val_from": "1970-01-03", "test_from": "1970-01-04"}, timezone="Asia/Shanghai")
    # Midnight in Shanghai is 16:00 UTC of the day before.
    assert np.flatnonzero(split == 1).tolist() == list(range(40, 64))
    assert parameters["val_from"] == "1970-01-03T00:00:00"


@pytest.mark.parametrize(
    ("options", "changes", "words"),
    [
        ({"split": "last-day"}, {"has_time": False}, "no time"),
        ({"split": "leave-last-out"}, {"user": None}, "no user"),
        ({"val_from": "1980-01-01", "test_from": "1981-01-01"}, {}, "without rows"),
        ({}, {"timestamp": np.zeros(100, int)}, "without rows"),
        ({"val_from": "1970-01-02", "test_from": "1970-01-03"}, {"has_time": False}, "by fractions"),
    ],
)
def test_impossible_splits_say_why(options, changes, words):
    with pytest.raises(UsageError, match=words):
        _assign(options, **changes)


@pytest.mark.parametrize("text", ["0.8,0.1,0.1", "80/10/10", [0.8, 0.1, 0.1], "80, 10, 10"])
def test_fractions_may_be_text(text):
    assert SourceOptions(fractions=text).fractions == pytest.approx((0.8, 0.1, 0.1))


@pytest.mark.parametrize("bad", ["0.8,0.1", "0.8,0.3,0.1", "1,0,0", "a,b,c", "0.5,0.7,-0.2"])
def test_bad_fractions_are_refused(bad):
    with pytest.raises(ValueError):
        SourceOptions(fractions=bad)


@pytest.mark.parametrize(
    "options",
    [
        {"val_from": "2020-01-01"},
        {"val_from": "2020-01-02", "test_from": "2020-01-01"},
        {"split": "random", "val_from": "2020-01-01", "test_from": "2020-01-02"},
    ],
)
def test_dates_that_do_not_go_together(options):
    with pytest.raises(ValueError):
        SourceOptions(**options)
