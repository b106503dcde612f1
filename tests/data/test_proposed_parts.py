"""What a proposal must not get wrong: outcomes and scores as inputs, times that are read as others, guessed labels."""

import numpy as np
import polars as pl
import pytest

from mdaf_core.base.errors import BadInputError, UsageError
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.propose.table import propose
from mdaf_core.data.reading.time_forms import likely_numbers
from mdaf_core.data.reading.times import read_times

N = 400
DRAW = np.random.default_rng(0)
CLICK, USER, AD = DRAW.integers(0, 2, N), DRAW.integers(0, 20, N), DRAW.integers(0, 30, N)
TIME = 1_600_000_000 + np.sort(DRAW.integers(0, 864_000, N))
PLAIN = {"click": CLICK, "user_id": USER, "item_id": AD}
TIMED = PLAIN | {"ts": TIME}


def _propose(tmp_path, columns, name="log.csv"):
    frame, path = pl.DataFrame(columns), tmp_path / name
    frame.write_parquet(path) if name.endswith("parquet") else frame.write_csv(path)
    return propose(path)


def _inputs(proposal) -> set[str]:
    return {*proposal.options.get("categorical", []), *proposal.options.get("numeric", [])}


AFTER = ["ctcvr", "attribution", "bounce", "payprice", "pay_price", "cpo", "useful", "vote", "refunded", "playtime"]
SCORES = ["ctr_pred", "prediction", "pCTR", "propensity"]


@pytest.mark.parametrize("name", AFTER + SCORES)
def test_what_is_known_after_and_what_a_model_said_are_no_inputs(tmp_path, name):
    proposal = _propose(tmp_path, TIMED | {name: DRAW.normal(size=N).round(3), "place": AD % 7})
    assert name in proposal.left_out and name not in _inputs(proposal)
    assert "place" in _inputs(proposal)


REVIEWS = {"user_id": USER, "stars": AD % 5 + 1, "useful": AD % 3, "funny": AD % 2, "cool": AD % 3}


@pytest.mark.parametrize(
    ("columns", "name", "never", "item"),
    [
        (REVIEWS | {"review_id": np.arange(N), "business_id": AD, "text": ["good"] * N}, "Yelp", "text", "business_id"),
        (
            {"overall": AD % 5 + 1, "reviewerID": USER, "asin": AD, "unixReviewTime": TIME,
             "summary": ["x", "y"] * 200},
            "Amazon Reviews 2018", "summary", "asin",
        ),
        (
            {"app_id": AD, "user_id": USER, "is_recommended": CLICK, "hours": DRAW.random(N)},
            "Steam", "hours", "app_id",
        ),
        (
            {"timestamp": TIME - TIME[0], "uid": USER, "campaign": AD, "conversion": CLICK, "attribution": CLICK,
             "click": CLICK, "cost": DRAW.random(N), "cpo": DRAW.random(N)}, "Criteo's attribution", "cpo", None,
        ),
    ],
)  # fmt: skip
def test_published_files_are_named(tmp_path, columns, name, never, item):
    proposal = _propose(tmp_path, columns)
    assert any(f"looks like {name}" in finding for finding in proposal.findings), proposal.findings
    assert never in proposal.left_out and never not in _inputs(proposal)
    assert proposal.options.get("item") == item


def test_numbers_behind_the_number_of_their_field_are_refused(tmp_path):
    path = tmp_path / "train.svm"
    path.write_text("".join(f"{y} 1:{u} 2:{a} 3:0.961\n" for y, u, a in zip(CLICK, USER, AD, strict=True)))
    proposal = propose(path)
    assert "LIBSVM" in proposal.findings[0] and not proposal.command(path)


def test_labels_in_words(tmp_path):
    for yes, no in (("Yes", "No"), ("click", "noclick"), ("clicked", "not_clicked")):
        words = TIMED | {"click": np.where(CLICK, yes, no), "sex": np.where(AD % 2, "m", "f")}
        proposal = _propose(tmp_path, words)
        assert (proposal.options["label"], proposal.options["positive_values"]) == ("click", [yes])
        assert "guess" in proposal.findings[0]


def test_a_label_of_one_and_two_is_neither_guessed_nor_an_input(tmp_path):
    proposal = _propose(tmp_path, TIMED | {"click": CLICK + 1, "flag": AD % 2})
    assert "click is called the label and holds 1 and 2" in proposal.findings[0] and not proposal.command("log.csv")
    assert "click" in proposal.left_out and "label" not in proposal.options


@pytest.mark.parametrize("marks", [("2020-09-13", "later"), ("0900", "2359")])
def test_a_time_that_is_not_read_is_said_and_no_input(tmp_path, marks):
    hours = [f"{marks[k % 2]}" if k % 3 else f"0{k % 9}30" for k in range(N)]
    proposal = _propose(tmp_path, PLAIN | {"time": hours})
    assert "time" in proposal.left_out and "time" not in _inputs(proposal)
    assert any(finding.startswith("time ") for finding in proposal.findings)


def test_a_column_that_only_rises_is_no_input(tmp_path):
    proposal = _propose(tmp_path, PLAIN | {"t_dat": np.sort(DRAW.random(N) * 20).round(5)})
    assert "rises" in proposal.left_out["t_dat"]
    assert any("timestamp_unit=order" in finding for finding in proposal.findings)
    shuffled = _propose(tmp_path, PLAIN | {"t_dat": (DRAW.random(N) * 20).round(5)})
    assert "t_dat" in _inputs(shuffled)


def test_days_since_1970_are_an_order():
    for first in (14_610, 18_518, 20_101, 20_454):  # 20101 to 20131 could be January 2002, zeros in front lost
        reading = likely_numbers(pl.Series(range(first, first + 20)))
        assert "days since 1970" in reading.words and reading.options == {"timestamp_unit": "order"}


def test_months_and_days_of_six_digits_are_told_apart_or_an_order():
    assert likely_numbers(pl.Series([200101, 200109, 200120, 200131])).options == {"timestamp_format": "%y%m%d"}
    assert likely_numbers(pl.Series([202101, 202109, 202110, 202112])).options == {"timestamp_format": "%Y%m"}
    assert likely_numbers(pl.Series([200101, 200102, 200103, 200104])).options == {"timestamp_unit": "order"}


def test_months_have_no_weekday(tmp_path, home):
    path = tmp_path / "log.csv"
    pl.DataFrame(PLAIN | {"month": np.sort(202101 + DRAW.integers(0, 12, N))}).write_csv(path)
    options = propose(path).options | {"timestamp": "month", "timestamp_format": "%Y%m"}
    options["categorical"] = [name for name in options.get("categorical", []) if name != "month"]
    dataset = prepare("table", path=path, options=options)
    assert not {"hour", "dayofweek"} & {field.name for field in dataset.meta.fields}


def test_the_number_of_a_day_of_a_year():
    reading = likely_numbers(pl.Series([2020001, 2020257, 2020366, 2021001]))
    assert reading.options == {"timestamp_format": "%Y%j"}
    times = read_times(pl.Series("day", [2020257]), unit="s", format="%Y%j", timezone="UTC")
    assert times.values.to_list() == [1_599_955_200]


@pytest.mark.parametrize(
    ("text", "format"),
    [
        ("Sun Sep 13 14:26:40 +0200 2020", "%a %b %d %H:%M:%S %z %Y"),
        ("13/Sep/2020:14:26:40 +0200", "%d/%b/%Y:%H:%M:%S %z"),
    ],
)
def test_times_that_name_their_zone_are_read_with_it(tmp_path, text, format):
    proposal = _propose(tmp_path, PLAIN | {"time": [text] * N})
    assert (proposal.options["timestamp"], proposal.options["timestamp_format"]) == ("time", format)
    times = read_times(pl.Series("time", [text]), unit="s", format=format, timezone="Asia/Shanghai")
    assert times.values.to_list() == [1_600_000_000]


def test_a_number_among_unix_times_that_is_none_is_an_unknown_time():
    for values in ([*TIME.tolist(), 9999], [*TIME.astype(float).tolist(), 9999.0, 0.0]):
        times = read_times(pl.Series("ts", values), unit="s", format=None, timezone="UTC")
        assert times.counts["no year of 1990 to 2103"] == 1 and times.values.null_count() == len(values) - N


@pytest.mark.parametrize(
    ("values", "unit", "words"),
    [
        (pl.Series("ts", TIME, dtype=pl.Float32), "s", "rounded to 128 s"),
        (pl.Series("ts", [f"{t * 1000:.6e}" for t in TIME.tolist()]), "ms", "rounded to 1,000 s"),
        (pl.Series("ts", ["1.6E+12", "1.6E+12"]), "ms", "written with 2 digits"),
    ],
)
def test_rounded_times_are_refused(values, unit, words):
    with pytest.raises(UsageError, match=words):
        read_times(values, unit=unit, format=None, timezone="UTC")


def test_times_with_an_exponent_and_all_digits_are_read():
    times = read_times(pl.Series("ts", ["1.600000000123e+12"]), unit="ms", format=None, timezone="UTC")
    assert (times.values.to_list(), times.unit) == ([1_600_000_000_123], "ms")


def test_ids_of_32_bit_floats_say_how_many_digits_they_keep(tmp_path, home):
    path = tmp_path / "log.parquet"
    pl.DataFrame(TIMED | {"item_id": pl.Series(AD + 20_000_001, dtype=pl.Float32)}).write_parquet(path)
    with pytest.raises(BadInputError, match="keep 7 digits"):
        prepare("table", path=path, options=propose(path).options)


def test_empty_ids_at_the_ends_of_lists_are_no_events(tmp_path, home):
    lists = [[""] * (4 - k % 5) + [str(a)] * (k % 5) for k, a in enumerate(AD)]
    path = tmp_path / "log.parquet"
    pl.DataFrame(TIMED | {"item_id": AD.astype(str), "hist_item": lists}).write_parquet(path)
    proposal = propose(path)
    assert "history_padding" not in proposal.options
    dataset = prepare("table", path=path, options=proposal.options)
    assert len(dataset.events["timestamp"]) == sum(k % 5 for k in range(N))


def test_numbers_with_a_decimal_comma_are_no_lists(tmp_path):
    path = tmp_path / "log.csv"
    pl.DataFrame(TIMED | {"price": [f"{k % 90},{k % 7}5" for k in range(N)]}).write_csv(path, separator=";")
    proposal = propose(path)
    assert "decimal comma" in proposal.left_out["price"]
    with pytest.raises(BadInputError, match="must be a number"):
        prepare("table", path=path, options=proposal.options | {"numeric": ["price"]})


def test_numbers_that_may_stand_for_unknown_ones_are_said(tmp_path):
    ages = np.where(AD == 3, 9999, 20 + AD)
    proposal = _propose(tmp_path, TIMED | {"age": ages, "price": DRAW.random(N).round(3)})
    assert [finding for finding in proposal.findings if "9999" in finding]
    assert not [f for f in _propose(tmp_path, TIMED | {"price": DRAW.normal(size=N)}).findings if "unknown" in f]
