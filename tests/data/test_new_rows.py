"""Logs merged, ids numbered and files cut as their definitions say, on random input."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mdaf_core.data.apply import histories, pieces
from mdaf_core.data.apply.histories import merged_log
from mdaf_core.data.apply.new_rows import FIRST_NEW, Ids
from mdaf_core.data.batches.history import earlier_ends, first_events

events = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6), st.integers(2, 4), st.integers(-1, 1)), max_size=40)
rows = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), min_size=1, max_size=12)


class Log:
    """A data set's log of users 0 to 3, as `Known` gives it."""

    def __init__(self, events: list[tuple[int, int, int, int]]):
        self.meta = SimpleNamespace(history_fields=["item"], outcomes=None)
        self.columns = np.array(sorted(events, key=lambda event: event[:2]) or np.empty((0, 4)), np.int64).T

    def unseen(self, _field: str) -> pl.DataFrame:
        return pl.DataFrame()

    def events_of(self, users: np.ndarray) -> dict[str, np.ndarray]:
        user, time, item, positive = self.columns[:, np.isin(self.columns[0], users)]
        codes = item.astype(np.int32)
        return {
            "user_index": user.astype(np.int32),
            "timestamp": time,
            "item": codes,
            "positive": positive.astype(np.uint8),
        }


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events, events, rows, st.integers(1, 3))
def test_histories_are_of_the_log_and_of_what_it_lacks(tmp_path_factory, monkeypatch, log, new, wanted, most) -> None:
    monkeypatch.setattr(histories, "_USERS", 2)
    log = [(user, time, item, abs(positive)) for user, time, item, positive in log if user < 4]
    user, time = np.array(wanted).T
    present, place = np.unique(user, return_inverse=True)
    spans = tuple(np.array([pick(time[user == one]) for one in present]) for pick in (np.min, np.max))
    columns = np.array(new or np.empty((0, 4)), np.int64).T
    mine = dict(zip(("user", "timestamp", "item", "positive"), columns, strict=True)) if new else {}
    if new:
        mine |= {name: mine[name].astype(np.int32) for name in ("user", "item")}
        mine |= {"item:identity": mine["item"], "positive": mine["positive"].astype(np.int8)}
    folder = tmp_path_factory.mktemp("log") / "columns"
    merged = merged_log(Log(log), folder, mine, present, int(np.searchsorted(present, 4)), spans, 1, most)  # type: ignore[arg-type]
    first = first_events(merged.events["user"], len(present))
    end = earlier_ends(first, merged.events["timestamp"], place, time)
    for row in range(len(wanted)):
        got = merged.events["item"][max(first[place[row]], end[row] - most) : end[row]].tolist()
        assert got == expected(log, new, user[row], time[row], most, set(user.tolist()))


def expected(log, new, user: int, time: int, most: int, present: set[int]) -> list[int]:
    """Items of the newest events before a row: those of the log, and those of the file beyond how often it has them."""
    everyone = [event for event in new if event[0] in present]
    labelled = all(event[3] >= 0 for event in new)  # labels count where all events have one
    left: dict[tuple, int] = {}
    for event in log:
        key = event if labelled else event[:3]
        left[key] = left.get(key, 0) + 1
    kept = []
    for event in everyone:
        key = tuple(event if labelled else event[:3])
        if left.get(key, 0):
            left[key] -= 1
        else:
            kept.append(event)
    both = sorted((e for e in log if e[0] == user), key=lambda e: e[1]) + [e for e in kept if e[0] == user]
    before = [e for e in sorted(both, key=lambda e: e[1]) if e[1] < time]
    return [e[2] for e in before][-most:]


def test_ids_are_known_by_their_text_and_new_ones_told_apart() -> None:
    ids = Ids(pl.DataFrame({"code": [2, 3, 4, 5], "id": ["", "12", "7.0", "x"]}))
    assert ids.known(pl.Series(["x", "12.0", "7", "12", "7.0", "", "12.00", "y"])).to_list() == [
        5,
        3,
        4,
        3,
        4,
        2,
        None,
        None,
    ]
    first = ids.numbers(pl.Series(["b", "x", "a", "b"])).tolist()
    assert first == [FIRST_NEW + 1, 5, FIRST_NEW, FIRST_NEW + 1]
    assert ids.numbers(pl.Series(["c", "a"])).tolist() == [FIRST_NEW + 2, FIRST_NEW]


cells = st.text(st.sampled_from('ab",\n\r é1'), max_size=6)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=30), st.integers(1, 60), st.sampled_from(["\n", "\r\n"]))
def test_pieces_hold_every_record_once(tmp_path: Path, monkeypatch, records, size, ends) -> None:
    monkeypatch.setattr(pieces, "PIECE_BYTES", size)
    monkeypatch.setattr(pieces, "LONGEST", 10_000)
    path = tmp_path / "table.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator=ends, quoting=csv.QUOTE_ALL if size % 2 else csv.QUOTE_MINIMAL)
        writer.writerows([("one", 'two "and"\nmore'), *records])
    whole = list(csv.reader(io.StringIO(path.read_bytes().decode("utf-8"), newline="")))
    found, lines = [], path.read_bytes().split(b"\n")
    for piece in pieces.cut(path, tmp_path, [], header=True):
        header, *own = csv.reader(io.StringIO(piece.path.read_bytes().decode("utf-8"), newline=""))
        assert header == whole[0]
        found += own
        below = piece.path.read_bytes().split(b"\n")[2:]  # the header takes two lines
        if below[0].strip():
            assert lines[piece.before + 2].rstrip(b"\r") == below[0].rstrip(b"\r")
    assert found == whole[1:]
    assert not list(tmp_path.glob("piece-*"))
