"""What numbers and texts that are called a time are taken for, and that none is taken for 1970 without a word."""

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mdaf_core.analysis.slices import _by_ids
from mdaf_core.base.errors import BadInputError, UsageError
from mdaf_core.data.audit.report import stored_audit
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.reading.time_forms import likely_formats, likely_numbers, parse
from mdaf_core.data.reading.times import doubt_unix, read_times
from mdaf_core.data.store.describe import describe_history, describe_rows
from mdaf_core.data.store.schema import SPLITS
from mdaf_core.data.store.statistics import read_statistics
from mdaf_core.data.store.statistics_frames import parts_frame, time_frame
from tests.data.raw_files import write_ml_100k, write_taobao_ads, write_user_behavior

pytestmark = pytest.mark.usefixtures("home")
N = 400
DRAW = np.random.default_rng(5)
MOMENTS = pl.Series(1_413_849_600 + np.sort(DRAW.integers(0, 864_000, N)))  # ten days from 2014-10-21
BASE = {"label": "click", "user": "user", "item": "item", "timestamp": "hour"}


def _frame(times):
    draw = np.random.default_rng(1)
    return pl.DataFrame(
        {
            "click": draw.integers(0, 2, N),
            "user": draw.integers(0, 30, N),
            "item": draw.integers(0, 20, N),
            "hour": times,
        }
    )


def _prepare(tmp_path, times, ending="csv", **options):
    path = tmp_path / f"log.{ending}"
    frame = _frame(times)
    frame.write_parquet(path) if ending == "parquet" else frame.write_csv(path)
    return prepare("table", path=path, options=BASE | options)


def _digits(format, width=None):
    return pl.from_epoch(MOMENTS).dt.strftime(format).cast(pl.Int64)


def _stored(dataset):
    found = np.empty(N, np.int64)
    for split in SPLITS:
        rows = dataset.rows(split)
        found[rows.row_id] = dataset.meta.seconds(rows.timestamp)
    return found


CALENDARS = {
    "%y%m%d%H": 3600,
    "%Y%m%d": 86400,
    "%Y%m%d%H": 3600,
    "%Y%m%d%H%M": 60,
    "%y%m%d%H%M": 60,
    "%Y%m%d%H%M%S": 1,
    "%y%m%d": 86400,
}


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize(("format", "step"), CALENDARS.items())
def test_a_calendar_in_digits_is_refused_with_its_format_and_read_with_it(tmp_path, format, step, ending):
    with pytest.raises(UsageError, match="timestamp_format=" + format) as error:
        _prepare(tmp_path, _digits(format), ending)
    assert "'hour'" in str(error.value) and "2014-10-21" in str(error.value)
    dataset = _prepare(tmp_path, _digits(format), ending, timestamp_format=format)
    assert _stored(dataset).tolist() == (MOMENTS // step * step).to_list()
    # Days have no hours: a field that is midnight for all would vouch for one.
    assert ("hour" in [field.name for field in dataset.meta.fields]) == (step < 86400)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("chosen", ["s", "ms", "us", "ns"])
def test_a_wrong_unit_is_refused_with_the_right_one(tmp_path, unit, chosen):
    scale = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    if unit == chosen:
        assert _stored(_prepare(tmp_path, MOMENTS * scale, timestamp_unit=chosen)).tolist() == MOMENTS.to_list()
        return
    with pytest.raises(UsageError, match=f"timestamp_unit={unit}"):
        _prepare(tmp_path, MOMENTS * scale, timestamp_unit=chosen)


CLOCKS = {
    "relative seconds": MOMENTS - MOMENTS[0],
    "relative milliseconds": (MOMENTS - MOMENTS[0]) * 1000 + 7,
    "sequence": pl.Series(range(N)),
    "MMDD": _digits("%m%d"),
    "MMDDhh": _digits("%m%d%H"),
    "spreadsheet": MOMENTS / 86400 + 25569,
    "years": pl.Series(np.arange(N) // 10 + 1980),
}


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("what", CLOCKS)
def test_a_clock_that_starts_anywhere_is_refused_and_can_be_an_order(tmp_path, what, ending):
    times = CLOCKS[what]
    with pytest.raises(UsageError, match="timestamp_unit=order"):
        _prepare(tmp_path, times, ending)
    dataset = _prepare(tmp_path, times, ending, timestamp_unit="order")
    assert dataset.meta.time_unit == "s"
    stored = _stored(dataset)
    # The same order with the same ties.
    assert (np.sign(np.diff(stored)) == np.sign(np.diff(times.to_numpy()))).all()


def test_a_time_of_day_is_no_time(tmp_path):
    with pytest.raises(UsageError, match=r"hhmm, a time of day.*another column"):
        _prepare(tmp_path, _digits("%H%M"))


def test_an_order_says_nothing_of_a_calendar(tmp_path):
    dataset = _prepare(tmp_path, MOMENTS - MOMENTS[0], timestamp_unit="order")
    meta = dataset.meta
    assert meta.has_time and not meta.has_calendar
    assert {"hour", "dayofweek"}.isdisjoint(field.name for field in meta.fields)
    audit = stored_audit(dataset)
    assert {"timezone", "timestamps-in-window"}.isdisjoint(check.id for check in audit.checks)
    assert not any("1970" in check.sentence or "UTC" in check.sentence for check in audit.checks)
    figures = read_statistics(dataset)
    assert not figures.by_clock and not time_frame(figures, "UTC")["start"].dtype.is_temporal()
    assert sum(bin.rows for bin in figures.over_time) >= 0.99 * N
    assert "first" not in parts_frame(dataset, figures).columns
    assert "hour" not in _by_ids(dataset, "val")
    assert not describe_rows(dataset, "val", [0])["time"].dtype.is_temporal()
    assert "age" not in describe_history(dataset, "test", 3).columns
    for options in ({"split": "last-day"}, {"val_from": "2014-10-28", "test_from": "2014-10-29"}):
        with pytest.raises(UsageError, match="order without a calendar"):
            _prepare(tmp_path, MOMENTS - MOMENTS[0], timestamp_unit="order", **options)
    # Histories are those of the same log with its real times.
    real = _prepare(tmp_path, MOMENTS)
    for split in SPLITS:
        one, other = dataset.rows(split), real.rows(split)
        assert (one.row_id == other.row_id).all()
        assert (one.history_end - one.history_start == other.history_end - other.history_start).all()


@pytest.mark.parametrize("write", [lambda t: t, lambda t: t.cast(pl.String), lambda t: t.cast(pl.Float64)])
def test_floats_are_times(tmp_path, write):
    dataset = _prepare(tmp_path, write(MOMENTS + 0.25), "parquet")
    assert _stored(dataset).tolist() == MOMENTS.to_list() and dataset.meta.ticks > 1
    assert set(dataset.rows("train").timestamp % dataset.meta.ticks / dataset.meta.ticks) == {0.25}


@pytest.mark.parametrize(
    ("stand_in", "words"),
    [(0, "0 in 3"), (-1, "-1 in 3"), (None, "empty in 3"), ("NaT", "empty in 3"), ("1970-01-01", "1970 in 3")],
)
def test_an_unknown_time_is_said_and_counted(tmp_path, stand_in, words):
    texts = pl.from_epoch(MOMENTS).dt.strftime("%Y-%m-%d %H:%M:%S") if isinstance(stand_in, str) else MOMENTS
    times = [stand_in if i in (0, 7, 300) else value for i, value in enumerate(texts.to_list())]
    with pytest.raises(BadInputError, match=f"unknown in 3 of 400 rows .*{words}.*skip_bad_rows") as error:
        _prepare(tmp_path, times)
    assert error.value.line == 2
    dataset = _prepare(tmp_path, times, skip_bad_rows=True)
    assert dataset.meta.skipped_rows == 3 and sum(c.rows for c in dataset.meta.splits.values()) == N - 3
    assert any(words in note and "left out" in note for note in dataset.meta.notes)
    assert min(dataset.rows("train").timestamp) > 1_400_000_000


@pytest.mark.parametrize("stand_in", [0, -1])
def test_an_unknown_time_beside_a_format(tmp_path, stand_in):
    times = [stand_in if i < 5 else value for i, value in enumerate(_digits("%y%m%d%H").to_list())]
    with pytest.raises(BadInputError, match="unknown in 5 of 400 rows"):
        _prepare(tmp_path, times, timestamp_format="%y%m%d%H")


@pytest.mark.parametrize(
    "format", ["%m/%d/%Y %I:%M:%S %p", "%Y/%m/%d %H:%M", "%d-%b-%Y %H:%M:%S", "%a %b %d %H:%M:%S %Y", "%d.%m.%Y %H:%M"]
)
def test_texts_of_other_formats(tmp_path, format):
    texts = pl.from_epoch(MOMENTS).dt.strftime(format)
    with pytest.raises(UsageError) as error:
        _prepare(tmp_path, texts)
    assert f"timestamp_format={format}" in str(error.value)
    step = 1 if "%S" in format else 60
    assert _stored(_prepare(tmp_path, texts, timestamp_format=format)).tolist() == (MOMENTS // step * step).to_list()


def test_days_and_months_that_cannot_be_told_apart_are_both_named(tmp_path):
    texts = [f"{1 + i // 40}/{1 + i % 12}/2019" for i in range(N)]
    with pytest.raises(UsageError, match=r"%m/%d/%Y \(or %d/%m/%Y"):
        _prepare(tmp_path, texts)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"timestamp_format": "%Q"}, "cannot be used"),
        ({"timestamp_format": "%Y", "timestamp_unit": "ms"}, "take one"),
        ({"timestamp_format": "%Y-%m-%d"}, "written as %Y-%m-%d"),
    ],
)
def test_formats_that_do_not_fit(tmp_path, options, words):
    with pytest.raises((UsageError, BadInputError), match=words):
        _prepare(tmp_path, MOMENTS, **options)


@given(start=st.integers(950_000_000, 1_890_000_000), span=st.integers(3_600, 100_000_000), seed=st.integers(0, 999))
@settings(max_examples=40, deadline=None)
def test_logs_of_our_days_are_unix_time(start, span, seed):
    times = pl.Series(start + np.sort(np.random.default_rng(seed).integers(0, span, 300)))
    assert doubt_unix(times) is None
    assert likely_numbers(times * 1000).options == {"timestamp_unit": "ms"}


@given(  # from 2001 on: "00" of 2000 leaves nothing of a number
    start=st.integers(980_000_000, 1_890_000_000), seed=st.integers(0, 999), format=st.sampled_from(sorted(CALENDARS))
)
@example(start=1_020_000_000, seed=2, format="%y%m%d")  # 20428 to 20607: no count of days, which would pass 20432
@settings(max_examples=40, deadline=None)
def test_calendars_are_read_back_whatever_the_day(start, seed, format):
    times = pl.Series(start + np.sort(np.random.default_rng(seed).integers(0, 40 * 86400, 200)))
    numbers = pl.from_epoch(times).dt.strftime(format).cast(pl.Int64)
    reading = likely_numbers(numbers)
    assert reading.options == {"timestamp_format": format}
    found = read_times(numbers, unit="s", format=format, timezone="UTC")
    assert found.unit == "s" and found.values.equals(times // CALENDARS[format] * CALENDARS[format])


def test_dates_of_one_month_may_count_days():
    for numbers in (range(20401, 20429), [20428, 20502]):
        assert likely_numbers(pl.Series(list(numbers))).words == "days since 1970, or YYMMDD of 2000 to 2009"
    assert likely_numbers(pl.Series(list(range(20401, 20607)))).words.startswith("days since 1970 (")


def test_formats_of_nothing():
    assert (
        likely_formats(pl.Series(["noon", "night"])) == [] and likely_formats(pl.Series([None], dtype=pl.String)) == []
    )
    assert parse(pl.Series(["2014"]), "%Y-%m").null_count() == 1


def _changed(path, column, change, mark):
    """Write the file's times otherwise; a header stays."""
    lines = [line.split(mark) for line in path.read_text().splitlines()]
    for cells in lines:
        if cells[column].isdigit():
            cells[column] = change(cells[column])
    path.write_text("".join(mark.join(cells) + "\n" for cells in lines))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t + "000", "Unix time in ms"),
        (lambda t: f"{pl.from_epoch(pl.Series([int(t)]))[0]:%Y%m%d%H%M%S}", "YYYYMMDDhhmmss"),
        (lambda t: t[-6:], "a clock that starts somewhere"),
    ],
)
@pytest.mark.parametrize("source", ["movielens", "user-behavior", "taobao-ads"])
@pytest.mark.parametrize("window", ["drop", "keep"])
def test_published_files_with_other_times_are_refused(tmp_path, source, change, words, window):
    options = {"outside_window": window}
    if source == "movielens":
        write_ml_100k(tmp_path)
        path, column, mark, options = tmp_path / "u.data", 3, "\t", {}
    elif source == "user-behavior":
        path, column, mark = tmp_path / "UserBehavior.csv", 4, ","
        write_user_behavior(path)
    else:
        write_taobao_ads(tmp_path)
        path, column, mark = tmp_path / "raw_sample.csv", 1, ","
    _changed(path, column, change, mark)
    with pytest.raises(BadInputError, match=f"{path.name}.*{words}.*source 'table'"):
        prepare(source, path=tmp_path, options=options)


def test_a_rating_without_a_time_is_noted(tmp_path):
    write_ml_100k(tmp_path)
    lines = (tmp_path / "u.data").read_text().splitlines()
    lines[5] = "\t".join([*lines[5].split("\t")[:3], "0"])
    (tmp_path / "u.data").write_text("\n".join(lines))
    assert any("the time is 0 in 1 rows" in note for note in prepare("movielens", path=tmp_path).meta.notes)
