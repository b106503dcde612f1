"""Preparation equals its slow definition on random small inputs of each source: histories, codes, splits, labels, ties
in time, and what every option makes of them."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mdaf_core.base.errors import StudioError
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.store.columns import identities
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.schema import OUTCOME, SPLITS
from tests.data.raw_files import PROFILE_FIELDS, TAOBAO_START, USER_BEHAVIOR_START
from tests.data.slow_prepare import Event, Input, Refused, Row, slow_prepare, split_of, with_negatives

pytestmark = pytest.mark.usefixtures("audited_by_the_test")  # here: not at all
random_inputs = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

DAY = 86400
SHANGHAI, NEW_YORK = "Asia/Shanghai", "America/New_York"
ticks = st.integers(0, 23).map(lambda tick: tick * DAY // 4)  # a quarter of a day: many ties, six days
small = st.integers(1, 4)
optional = st.one_of(st.none(), st.integers(0, 3))
fractions = st.sampled_from([(0.8, 0.1, 0.1), (0.5, 0.25, 0.25), (1 / 3, 1 / 3, 1 / 3)])
bad_lines = st.one_of(st.just([]), st.just([]), st.lists(st.integers(0, 9), min_size=1, max_size=2))
"""Where lines that cannot be read are put in."""


def splits(start: int, timezone: str) -> st.SearchStrategy[dict[str, Any]]:
    """Every kind of split, and how many rows an id needs.

    Args:
        start: the first tick; timezone: of the data set, in which dates are given.
    """

    def dates(cuts: list[int]) -> dict[str, Any]:
        moments = [datetime.fromtimestamp(start + tick, ZoneInfo(timezone)) for tick in sorted(cuts)]
        return dict(zip(("val_from", "test_from"), (m.replace(tzinfo=None).isoformat() for m in moments), strict=True))

    cuts = st.lists(ticks, min_size=2, max_size=2, unique=True)
    kinds = st.one_of(
        st.just({}),
        st.builds(lambda shares: {"fractions": shares}, fractions),
        st.builds(dates, cuts),
        st.just({"split": "last-day"}),
        st.just({"split": "leave-last-out"}),
        st.builds(
            lambda shares, seed: {"split": "random", "fractions": shares, "split_seed": seed},
            fractions,
            st.integers(0, 5),
        ),
    )
    counts = st.one_of(st.just({}), st.builds(lambda least: {"min_count": least}, st.integers(1, 3)))
    return st.builds(lambda kind, count: kind | count, kinds, counts)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the program drew last: `sample` (impressions), `split` (of each row), `negatives` (rows with them)."""
    found: dict[str, Any] = {}

    def watch(name: str, place: str) -> None:
        module, _, function = place.rpartition(".")
        original = getattr(__import__(module, fromlist=[function]), function)

        def watched(*arguments: Any, **named: Any) -> Any:
            result = original(*arguments, **named)
            first = result[0] if isinstance(result, tuple) else result
            found[name] = first.clone() if isinstance(first, pl.DataFrame) else first  # columns are let go later
            return result

        monkeypatch.setattr(place, watched)

    watch("split", "mdaf_core.data.prepare.write.assign_splits")
    watch("negatives", "mdaf_core.data.prepare.write.add_negatives")
    watch("sample", "mdaf_core.data.formats.taobao_ads._sampled")
    return found


def _attempt(source: str, path: Path, options: dict[str, Any], drawn: dict[str, Any]) -> PreparedDataset | StudioError:
    drawn.clear()
    try:
        return prepare(source, path=path, name="data", options=options, again=True)
    except StudioError as error:
        return error


def _agree(found: PreparedDataset | StudioError, given: Input, options: dict[str, Any], drawn: dict[str, Any]) -> None:
    """Compare every row with the definition; where that refuses, so must the program."""
    each = 1 + options.get("negatives", 1) if options.get("task") == "next-click" else 1
    split = drawn.get("split") if isinstance(found, StudioError) else _parts(found, each)
    try:
        parts = split_of(given, options, None if split is None else list(split))
        if options.get("task") == "next-click":
            rows = drawn.get("negatives")
            given = with_negatives(given, parts, None if rows is None else _negatives(rows, each))
            parts = [part for part in parts for _ in range(each)]
        expected = slow_prepare(given, options, parts)
    except Refused:
        assert isinstance(found, StudioError), "is to be refused"
        return
    if isinstance(found, StudioError):
        raise found
    meta = found.meta
    assert list(meta.categorical) == given.fields and meta.numeric == given.numbers
    assert meta.history_fields == given.history
    assert (meta.outside_window, meta.skipped_rows) == (given.outside, given.skipped)
    for name, ids in expected.vocabularies.items():
        assert dict(found.vocabulary(name).select("code", "id").rows()) == ids
        assert meta.categorical[name] == len(ids) + 2
    for split, rows in zip(SPLITS, expected.parts, strict=True):
        assert (meta.splits[split].rows, meta.splits[split].positives) == (len(rows), sum(row.label for row in rows))
        assert len(found.rows(split)) == len(rows)
        for position, row in enumerate(rows):
            _same(found, split, position, row, given)


def _parts(dataset: PreparedDataset, each: int) -> list[int]:
    """The part of each input row, where `each` rows were made of one."""
    found = {int(i) // each: part for part, split in enumerate(SPLITS) for i in dataset.rows(split).row_id}
    return [found[i] for i in range(len(found))]


def _negatives(rows: pl.DataFrame, each: int) -> list[list[tuple[Any, Any]]]:
    pairs = rows.select("item", "category").rows()
    return [pairs[start + 1 : start + each] for start in range(0, len(pairs), each)]


def _same(dataset: PreparedDataset, split: Any, position: int, row: Row, given: Input) -> None:
    rows, log = dataset.rows(split), dataset.events
    assert rows.row_id[position] == row.row_id and rows.label[position] == row.label
    ticks = dataset.meta.ticks
    assert (
        Fraction(int(rows.timestamp[position]), ticks) == row.time
        and dataset.users[int(rows.user[position])] == row.user
    )
    assert {name: int(rows.columns[name][position]) for name in given.fields} == row.codes
    for name in given.numbers:
        field = next(field for field in dataset.meta.fields if field.name == name)
        value, wanted, close = rows.columns[name][position], row.numbers[name], 1e-6
        if dataset.meta.source == "table":  # `test_scaling.py` has the definition of what is stored
            value, close = field.numbers(value), 1e-4
        assert math.isnan(value) if wanted is None else value == pytest.approx(wanted, rel=close, abs=close)
    if not given.history:
        assert rows.history_start[position] == rows.history_end[position] == 0
        return
    events = range(int(rows.history_start[position]), int(rows.history_end[position]))
    known, words = "positive" in log, [None, *(dataset.meta.outcomes or [])]
    written = [
        Event(
            Fraction(int(log["timestamp"][event]), ticks),
            {name: int(log[name][event]) for name in given.history},
            {},
            int(log["positive"][event]) if known else None,
            words[log[OUTCOME][event]] if len(words) > 1 else None,
        )
        for event in events
    ]
    assert written == [replace(event, raw={}) for event in row.history]
    for name in given.history:  # equality of raw ids, those without a code included
        target = identities(rows.columns, name)[position]
        equal = [bool(identities(log, name)[event] == target) for event in events]
        assert equal == [event.raw[name] == row.raw[name] for event in row.history]


def _hours(rows: list[dict[str, Any]], timezone: str) -> None:
    for row in rows:
        local = datetime.fromtimestamp(float(row["time"]), UTC).astimezone(ZoneInfo(timezone))
        row["hour"], row["dayofweek"] = local.hour, local.isoweekday()


def _calendar(rows: list[dict[str, Any]], timezone: str) -> list[str]:
    """The hour is a field unless the rows span a day and every one is of the same hour, or of midnight in UTC."""
    times = [row["time"] for row in rows]
    days = all(time % DAY == 0 for time in times) or len({row["hour"] for row in rows}) == 1
    return ["dayofweek"] if days and max(times) - min(times) >= DAY else ["hour", "dayofweek"]


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _write(path: Path, lines: list[Any], bad: list[int], bad_line: str, header: str = "") -> None:
    """Lines, and among them bad ones."""
    texts = [line if isinstance(line, str) else ",".join(map(_text, line)) for line in lines]
    for position in bad:
        texts.insert(position, bad_line)
    path.write_text("".join(f"{text}\n" for text in ([header] if header else []) + texts))


def _refused_for_bad_lines(found: PreparedDataset | StudioError, options: dict[str, Any], bad: list[int]) -> bool:
    if bad and not options["skip_bad_rows"]:
        assert isinstance(found, StudioError)
    return bool(bad) and not options["skip_bad_rows"]


@random_inputs
@given(
    lines=st.lists(
        st.tuples(small, small, small, st.sampled_from(["pv", "pv", "cart", "buy"]), ticks), min_size=10, max_size=24
    ),
    history=st.sets(st.sampled_from(["pv", "cart", "fav", "buy"]), min_size=1),
    outside=st.sampled_from(["none", "drop", "keep"]),
    task=st.one_of(
        st.just({"task": "conversion"}),
        st.builds(
            lambda k, alpha, seed: {"task": "next-click", "negatives": k, "alpha": alpha, "negatives_seed": seed},
            st.integers(1, 3),
            st.sampled_from([0.0, 0.75, 1.0]),
            st.integers(0, 5),
        ),
    ),
    bad=bad_lines,
    skip=st.sampled_from([True, True, False]),
    options=splits(USER_BEHAVIOR_START, SHANGHAI),
)
def test_user_behavior(tmp_path, drawn, lines, history, outside, task, bad, skip, options):
    lines = [(u, i, c, b, USER_BEHAVIOR_START + t) for u, i, c, b, t in lines]
    if outside != "none":
        lines[len(lines) // 2 : 0] = [(1, 1, 1, "buy", 5), (1, 2, 1, "pv", USER_BEHAVIOR_START - 1)]
    path = tmp_path / "UserBehavior.csv"
    _write(path, lines, bad, "1,1,1,look,5")
    options = options | task | {"history": sorted(history), "skip_bad_rows": skip}
    options["outside_window"] = "drop" if outside == "none" else outside
    found = _attempt("user-behavior", path, options, drawn)
    if _refused_for_bad_lines(found, options, bad):
        return
    kept = lines if outside == "keep" else [line for line in lines if line[4] >= USER_BEHAVIOR_START]
    events = [{"user": u, "time": t, "item": i, "category": c, "outcome": b} for u, i, c, b, t in kept]
    _hours(events, SHANGHAI)
    next_click = task["task"] == "next-click"
    rows = [
        event | {"label": int(next_click or line[3] != "pv")}
        for event, line in zip(events, kept, strict=True)
        if line[3] == "pv" or not next_click
    ]
    if not rows:
        assert isinstance(found, StudioError)
        return
    given = Input(
        rows,
        [event for event, line in zip(events, kept, strict=True) if line[3] in history],
        ["item", "category", "user", "hour", "dayofweek"],
        ["item", "category"],
        SHANGHAI,
        outside=0 if outside == "none" else 2,
        skipped=len(bad),
    )
    _agree(found, given, options, drawn)


@st.composite
def tables(draw: st.DrawFn) -> dict[str, Any]:
    """How a table is written, and what its columns are for."""
    form = {
        "parquet": draw(st.booleans()),
        "delimiter": draw(st.sampled_from([",", ";"])),
        "label": draw(st.sampled_from(["digits", "words", "stars"])),
        "time": draw(st.sampled_from(["s", "ms", "local", "zoned", "s", None])),
        "timezone": draw(st.sampled_from([NEW_YORK, SHANGHAI, "UTC"])),
        "history": draw(st.sampled_from(["rows", "positives", "none", "ready-made", "ready-made"])),
        "separator": draw(st.sampled_from(["^", "|"])),
        "calendar": draw(st.booleans()),
    }
    usual = st.sampled_from([True, True, True, False])
    form["columns"] = [name for name in ("user", "item", "category", "device", "price") if draw(usual)]
    form["lists"] = [name for name in ("item", "category") if name in form["columns"] and draw(usual)]
    return form | {"options": draw(splits(TAOBAO_START, form["timezone"]))}


@random_inputs
@given(
    form=tables(),
    lines=st.lists(
        st.tuples(
            st.integers(1, 5), small, ticks, small, optional, st.sampled_from(["ios", "web", None]),
            st.sampled_from([None, -1.5, 0.0, 1e6]),
            st.one_of(st.none(), st.lists(st.tuples(small, small), max_size=4)),
        ),
        min_size=3,
        max_size=24,
    ),
    bad=bad_lines,
    skip=st.sampled_from([True, True, False]),
)  # fmt: skip
def test_table(tmp_path, drawn, form, lines, bad, skip):
    zone, parquet, columns = ZoneInfo(form["timezone"]), form["parquet"], form["columns"]
    ids = (lambda value: value) if parquet else (lambda value: None if value is None else str(value))
    rows, listed = [], []
    for stars, user, tick, item, category, device, price, pairs in lines:
        label = int(stars >= 4)
        row = {"user": ids(user), "time": TAOBAO_START + tick, "item": ids(item), "category": ids(category)}
        rows.append(row | {"device": device, "price": price, "label": label, "positive": label, "stars": stars})
        listed.append([{"item": ids(i), "category": ids(c)} for i, c in pairs or []])

    if form["time"] == "ms":
        for position, row in enumerate(rows):
            row["time"] += Fraction(position * 7 % 4, 4)
    utc = [datetime.fromtimestamp(float(row["time"]), UTC) for row in rows]
    local = [moment.astimezone(zone).replace(tzinfo=None) for moment in utc]
    times: dict[str | None, list[Any]] = {
        "s": [row["time"] for row in rows],
        "ms": [int(row["time"] * 1000) for row in rows],
        "local": local if parquet else [moment.isoformat(" ") for moment in local],
        "zoned": [moment.isoformat() for moment in utc],
    }
    labels = {"digits": "label", "words": "label", "stars": "stars"}[form["label"]]
    frame = pl.DataFrame(
        {"y": [bool(row[labels]) if form["label"] == "words" else row[labels] for row in rows]}
        | {name: [row[name] for row in rows] for name in columns}
        | ({"when": times[form["time"]]} if form["time"] else {}),
        schema_overrides={"device": pl.String, "price": pl.Float64}
        | dict.fromkeys(("user", "item", "category"), pl.Int64 if parquet else pl.String),
    )
    ready_made = form["lists"] if form["history"] == "ready-made" else []
    for name in ready_made:
        lists = [[event[name] for event in events] for events in listed]
        joined = [form["separator"].join(events) or None for events in lists] if not parquet else []
        nothing = [None if line[-1] is None else events for line, events in zip(lines, lists, strict=True)]
        of_lists = pl.Series(f"past {name}", nothing, dtype=pl.List(pl.Int64)) if parquet else None
        frame = frame.with_columns(pl.Series(f"past {name}", joined, dtype=pl.String) if of_lists is None else of_lists)
    path = tmp_path / ("log.parquet" if parquet else "log.csv")
    if parquet:
        without_label = frame.head(1).with_columns(pl.lit(None, frame.schema["y"]).alias("y"))
        for position in bad:
            frame = pl.concat([frame.head(position), without_label, frame.slice(position)])
        frame.write_parquet(path)
    else:
        header, *texts = frame.write_csv(separator=form["delimiter"]).splitlines()
        _write(path, texts, bad, form["delimiter"] * (frame.width + 1), header)

    options = form["options"] | {"label": "y", "timezone": form["timezone"], "calendar": form["calendar"]}
    options |= {name: name for name in ("user", "item", "category") if name in columns} | {"skip_bad_rows": skip}
    options |= {"categorical": [name for name in columns if name == "device"], "delimiter": form["delimiter"]}
    options |= {"numeric": [name for name in columns if name == "price"]}
    options |= {"numeric_scaling": "log" if parquet else "none"}
    options |= {"positive_from": 4} if form["label"] == "stars" else {}
    options |= {"timestamp": "when"} if form["time"] else {}
    options |= {"timestamp_unit": "ms"} if form["time"] == "ms" else {}
    if ready_made:
        options |= {f"history_{name}": f"past {name}" for name in ready_made}
        options["history_separator"] = form["separator"]
    else:
        options["history"] = form["history"].replace("ready-made", "rows")
    found = _attempt("table", path, options, drawn)
    if _refused_for_bad_lines(found, options, bad):
        return

    fields = [name for name in ("item", "category", "user", "device") if name in columns]
    if form["time"]:
        _hours(rows, form["timezone"])
        fields += _calendar(rows, form["timezone"]) if form["calendar"] else []
    else:
        rows = [{name: value for name, value in row.items() if name != "time"} for row in rows]
    if "user" not in columns:
        rows = [{name: value for name, value in row.items() if name != "user"} for row in rows]
    if not fields and "price" not in columns:
        assert isinstance(found, StudioError)
        return
    recorded = ready_made
    if not ready_made and form["time"] and {"user", "item"} <= set(columns) and options["history"] != "none":
        recorded = [name for name in ("item", "category") if name in columns]
    events = [row for row in rows if options.get("history") != "positives" or row["label"]]
    given = Input(
        rows, [] if ready_made else events, fields, recorded, form["timezone"],
        [name for name in columns if name == "price"], listed if ready_made else None, skipped=len(bad),
    )  # fmt: skip
    _agree(found, given, options, drawn)


RATED = 880_000_000 // DAY * DAY  # midnight in UTC
GENRES = {"unknown": 0, "Action": 1, "Comedy": 5, "War": 17}  # and their flags in u.item


@random_inputs
@given(
    release=st.sampled_from(["100K", "1M", "CSV"]),
    lines=st.lists(st.tuples(small, st.integers(1, 6), st.integers(1, 10), ticks), min_size=10, max_size=24),
    movies=st.lists(st.lists(st.sampled_from(list(GENRES)), max_size=2, unique=True), min_size=5, max_size=5),
    people=st.dictionaries(
        st.integers(1, 3), st.tuples(st.sampled_from([1, 25]), st.sampled_from("MF"), st.integers(0, 2)), min_size=1
    ),
    least=st.sampled_from([None, 1.5, 3.0, 5.0]),
    bad=bad_lines,
    skip=st.sampled_from([True, True, False]),
    options=splits(RATED, "UTC"),
)
def test_movielens(tmp_path, drawn, release, lines, movies, people, least, bad, skip, options):
    """The sixth movie and the users without a line are not described."""
    stars = [rating / 2 if release == "CSV" else float(-(-rating // 2)) for _, _, rating, _ in lines]
    ratings = [(u, i, f"{s:g}", RATED + t) for (u, i, _, t), s in zip(lines, stars, strict=True)]
    listed = [sorted(genres, key=GENRES.__getitem__) for genres in movies]
    words = {0: "other", 1: "writer", 2: "artist"}
    for name in ("u.data", "u.item", "u.user", "ratings.dat", "movies.dat", "users.dat", "ratings.csv", "movies.csv"):
        (tmp_path / name).unlink(missing_ok=True)
    none = ""
    if release == "100K":
        _write(tmp_path / "u.data", ["\t".join(map(str, line)) for line in ratings], bad, "1\t1\t9\t5")
        flags = [["1" if flag in {GENRES[g] for g in genres} else "0" for flag in range(19)] for genres in listed]
        _write(tmp_path / "u.item", [f"{i}|Film {i}||||" + "|".join(f) for i, f in enumerate(flags, 1)], [], "")
        _write(tmp_path / "u.user", [f"{u}|{a}|{g}|{words[o]}|0" for u, (a, g, o) in people.items()], [], "")
        none = "(no genres listed)"
    elif release == "1M":
        _write(tmp_path / "ratings.dat", ["::".join(map(str, line)) for line in ratings], bad, "1::1::1")
        named = ["|".join(genres) or "None" for genres in listed]
        _write(tmp_path / "movies.dat", [f"{i}::Film {i}::{g}" for i, g in enumerate(named, 1)], [], "")
        _write(tmp_path / "users.dat", [f"{u}::{g}::{a}::{o}::0" for u, (a, g, o) in people.items()], [], "")
        none = "None"
    else:
        _write(tmp_path / "ratings.csv", ratings, bad, "1,,1,5", "userId,movieId,rating,timestamp")
        named = ["|".join(genres) or "(no genres listed)" for genres in listed]
        header = "movieId,title,genres"
        _write(tmp_path / "movies.csv", [f'{i},"Film, the {i}th",{g}' for i, g in enumerate(named, 1)], [], "", header)
        none = "(no genres listed)"
    options = options | {"skip_bad_rows": skip} | ({} if least is None else {"positive_from": least})
    found = _attempt("movielens", tmp_path, options, drawn)
    if _refused_for_bad_lines(found, options, bad):
        return
    genre = {i: genres[0] if genres else none for i, genres in enumerate(listed, 1)}
    rows = []
    for (u, i, _, t), s in zip(ratings, stars, strict=True):
        age, gender, occupation = people.get(u, (None, None, None))
        rows.append(
            {
                "label": int(s >= (4.0 if least is None else least)), "user": u, "time": t, "item": i,
                "category": genre.get(i), "age": age, "gender": gender,
                "occupation": words.get(occupation) if release == "100K" else occupation,
            }
        )  # fmt: skip
        rows[-1] |= {"positive": rows[-1]["label"], "outcome": f"{s:g}"}
    _hours(rows, "UTC")
    traits = [] if release == "CSV" else ["age", "gender", "occupation"]
    fields = ["item", "category", "user", *traits, "hour", "dayofweek"]
    _agree(found, Input(rows, rows, fields, ["item", "category"], skipped=len(bad)), options, drawn)


@random_inputs
@given(
    lines=st.lists(
        st.tuples(
            st.integers(0, 1),
            st.sampled_from([None, -5, -1, 0, 1, 2, 3, 10, 2**31 - 1]),
            st.sampled_from([None, 0, 7, 400]),
            st.sampled_from([None, "0000000a", "ffffffff", "68fd1e64"]),
            st.sampled_from([None, "0000000a", "00000001"]),
        ),
        min_size=4,
        max_size=24,
    ),
    counts=st.sampled_from(["buckets", "numbers"]),
    stripped=st.booleans(),
    bad=bad_lines,
    skip=st.sampled_from([True, True, False]),
    options=splits(0, "UTC"),
)
def test_criteo(tmp_path, drawn, lines, counts, stripped, bad, skip, options):
    empty = [f"I{i}" for i in range(3, 14)], [f"C{i}" for i in range(2, 26)]
    texts = ["\t".join(map(_text, [y, a, b, *[None] * 11, c, *[None] * 24, d])) for y, a, b, c, d in lines]
    if stripped:  # C24 to C26
        texts = [text[:-3] if text.endswith("\t") else text for text in texts]
    _write(tmp_path / "train.txt", texts, bad, "1\tx" + "\t" * 38)
    options = options | {"counts": counts, "skip_bad_rows": skip}
    found = _attempt("criteo", tmp_path, options, drawn)
    if _refused_for_bad_lines(found, options, bad):
        return

    def bucket(x: int | None) -> int | None:
        return None if x is None else math.floor(math.log(x) ** 2) if x > 2 else x - 3

    def scaled(x: int | None) -> float | None:
        return None if x is None else math.copysign(math.log(1 + abs(x)), x)

    change = bucket if counts == "buckets" else scaled
    rows = [
        {"label": y, "I1": change(a), "I2": change(b), "C1": c, "C26": d} | dict.fromkeys(empty[0] + empty[1])
        for y, a, b, c, d in lines
    ]
    integers, ids = ["I1", "I2", *empty[0]], ["C1", *empty[1], "C26"]
    given = Input(rows, [], ids, [], numbers=integers, skipped=len(bad))
    if counts == "buckets":
        given.fields, given.numbers = integers + ids, []
        given.as_text = dict.fromkeys(integers, lambda number: f"SP{number + 3}" if number < 0 else str(number))
    _agree(found, given, {"min_count": 10} | options, drawn)


@random_inputs
@given(
    lines=st.lists(
        st.tuples(small, ticks, st.integers(1, 6), st.integers(0, 1), st.sampled_from(["430548_1007", "430539_1007"])),
        min_size=10,
        max_size=24,
    ),
    ads=st.lists(st.tuples(optional, optional, optional, st.sampled_from([None, 0.0, 99.5])), min_size=5, max_size=5),
    people=st.dictionaries(st.integers(1, 3), st.tuples(optional, st.integers(0, 1)), min_size=1),
    log=st.lists(
        st.tuples(st.integers(1, 6), ticks, st.sampled_from(["pv", "ipv", "buy"]), optional, optional),
        min_size=1,
        max_size=24,
    ),
    history=st.sampled_from(["clicked", "impressions", "behavior-log"]),
    behaviors=st.sampled_from([["pv", "cart", "fav", "buy"], ["buy"], ["pv"]]),
    ad_fields=st.lists(st.sampled_from(["campaign", "customer", "brand", "price", "pid"]), unique=True),
    profile_fields=st.lists(st.sampled_from(["age_level", "occupation"]), unique=True),
    outside=st.sampled_from(["none", "drop", "keep"]),
    chosen=st.one_of(
        st.just({}),
        st.just({}),
        st.fixed_dictionaries(
            {},
            optional={
                "sample": st.integers(8, 20), "sample_users": st.integers(2, 3), "min_user_rows": st.integers(1, 4),
                "sample_seed": st.integers(0, 3),
            },
        ),
        st.fixed_dictionaries({"protocol": st.just("report")}, optional={"sample": st.integers(8, 20)}),
    ),
    bad=bad_lines,
    skip=st.sampled_from([True, True, False]),
    options=splits(TAOBAO_START, SHANGHAI),
)  # fmt: skip
def test_taobao_ads(
    tmp_path, drawn, lines, ads, people, log, history, behaviors, ad_fields, profile_fields, outside, chosen, bad, skip,
    options,
):  # fmt: skip
    """The sixth ad and the users without a line are not described."""
    lines = [(u, TAOBAO_START + t, ad, pid, clk) for u, t, ad, clk, pid in lines]
    log = [(u, TAOBAO_START - DAY + t, tag, c, b) for u, t, tag, c, b in log]
    if outside != "none":
        lines.insert(3, (1, TAOBAO_START - 1, 1, "430548_1007", 1))
        log.insert(0, (1, TAOBAO_START - 15 * DAY, "buy", 1, 1))
    null = lambda value: "NULL" if value is None else str(value)  # noqa: E731
    _write(
        tmp_path / "raw_sample.csv",
        [(u, t, ad, pid, 1 - clk, clk) for u, t, ad, pid, clk in lines], bad, "1,1494000000,1,430548_1007,1,1",
        "user,time_stamp,adgroup_id,pid,nonclk,clk",
    )  # fmt: skip
    _write(
        tmp_path / "ad_feature.csv",
        [f"{i},{null(c)},{i % 2},{null(s)},{null(b)},{null(p)}" for i, (c, s, b, p) in enumerate(ads, 1)], [], "",
        "adgroup_id,cate_id,campaign_id,customer,brand,price",
    )  # fmt: skip
    header = "userid," + ",".join(PROFILE_FIELDS) + " "
    profiles = [f"{u},0,0,1,{_text(age)},,1,{student}," for u, (age, student) in people.items()]
    _write(tmp_path / "user_profile.csv", profiles, [], "", header)
    logged = [(u, t, tag, null(c), null(b)) for u, t, tag, c, b in log]
    _write(tmp_path / "behavior_log.csv", logged, [], "", "user,time_stamp,btag,cate,brand")

    options = options | chosen | {"skip_bad_rows": skip, "log_behaviors": behaviors}
    if "protocol" in chosen:
        history = "impressions"
        options = {k: v for k, v in options.items() if k not in ("split", "fractions", "val_from", "test_from")}
    else:
        options["history"] = history
    options |= {"ad_fields": ad_fields, "profile_fields": profile_fields}
    options["outside_window"] = "drop" if outside == "none" else outside
    found = _attempt("taobao-ads", tmp_path, options, drawn)
    if _refused_for_bad_lines(found, options, bad):
        return
    if "protocol" in chosen:
        options = options | {"split": "random", "fractions": (0.7, 0.15, 0.15), "min_user_rows": 3}

    impressions = lines if outside == "keep" else [line for line in lines if line[1] >= TAOBAO_START]
    impressions = _sampled(impressions, options, drawn.get("sample"))
    if not impressions:
        assert isinstance(found, StudioError)
        return
    rows = []
    for u, t, ad, pid, clk in impressions:
        category, customer, brand, price = ads[ad - 1] if ad <= len(ads) else (None,) * 4
        age, student = people.get(u, (-1, -1))
        rows.append(
            {
                "label": clk, "positive": clk, "user": u, "time": t, "item": ad, "category": category,
                "campaign": ad % 2 if ad <= len(ads) else None, "customer": customer, "brand": brand, "pid": pid,
                "price": None if price is None else math.log(1 + price), "age_level": age, "occupation": student,
            }
        )  # fmt: skip
    _hours(rows, SHANGHAI)
    recorded = ["item", "category", *(["brand"] if "brand" in ad_fields else [])]
    events = [row for row in rows if history == "impressions" or row["label"]]
    if history == "behavior-log":
        recorded = ["category", "brand"]
        events = [
            {"user": u, "time": t, "category": c, "brand": b, "outcome": tag.removeprefix("i")}
            for u, t, tag, c, b in log
            if tag.removeprefix("i") in behaviors and (outside == "keep" or t > TAOBAO_START - 15 * DAY)
        ]
    of_ad = [name for name in ad_fields if name not in ("price", "pid")]
    if history == "behavior-log" and "brand" not in of_ad:
        of_ad.append("brand")
    fields = ["item", "category", "user", *of_ad, *(["pid"] if "pid" in ad_fields else []), *profile_fields]
    given = Input(
        rows, events, [*fields, "hour", "dayofweek"], recorded, SHANGHAI, ["price"] if "price" in ad_fields else [],
        outside=int(outside != "none"), skipped=len(bad),
    )  # fmt: skip
    _agree(found, given, options, drawn)


def _sampled(lines: list[tuple], options: dict[str, Any], drawn: pl.DataFrame | None) -> list[tuple]:
    """The impressions that the options ask for, in input order: of a draw, those drawn, if they may be."""
    least = options.get("min_user_rows", 1)
    if not options.get("sample") and not options.get("sample_users"):
        rows = Counter(line[0] for line in lines)
        return [line for line in lines if rows[line[0]] >= least]
    if drawn is None:  # none were left
        return []
    kept: list[tuple] = []
    rest = iter(lines)
    for row in drawn.select("user", "timestamp", "item", "label").rows():
        kept.append(next(line for line in rest if (line[0], line[1], line[2], line[4]) == row))
    rows, before = Counter(line[0] for line in kept), Counter(line[0] for line in lines)
    assert min(rows.values()) >= least
    users, sample = options.get("sample_users") or len(before), options.get("sample") or len(lines)
    assert len(rows) <= users and len(kept) <= sample
    if sample >= len(lines):  # users are taken whole
        assert all(rows[user] == before[user] for user in rows)
        if least == 1:
            assert len(rows) == min(users, len(before))
    elif users >= len(before) and least == 1:
        assert len(kept) == sample
    return kept


def test_the_definition_itself_on_a_case_done_by_hand():
    start = TAOBAO_START
    rows = [
        {"label": label, "user": 1, "time": start + t, "item": item}
        for t, item, label in [(0, 9, 1), (10, 7, 0), (10, 7, 0), (10, 5, 1), (20, 7, 0), (30, 8, 1)]
    ]
    given, options = Input(rows, rows, ["item"], ["item"]), {"fractions": (0.5, 0.3, 0.2)}
    expected = slow_prepare(given, options, split_of(given, options))
    train, val, test = expected.parts
    # Half of six rows is three, and the fourth ties with the third.
    assert [row.row_id for row in train] == [0, 1, 2, 3] and [row.row_id for row in val] == [4]
    assert [row.codes["item"] for row in train] == [4, 3, 3, 2] and test[0].codes == {"item": 1}
    assert expected.vocabularies == {"item": {2: "5", 3: "7", 4: "9"}}
    assert [row.history for row in train] == [[], *[[Event(start, {"item": 4}, {"item": 9}, None)]] * 3]
    assert [event.codes["item"] for event in test[0].history] == [4, 3, 3, 2, 3]
    assert datetime.fromtimestamp(start, UTC) + timedelta(hours=8) == datetime(2017, 5, 6, tzinfo=UTC)
