"""Histories that rows share: each row's slice is its block, and where events have times, what is earlier of it."""

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from mdaf_core.data.prepare.event_log import ready_made

SECOND = 1000


@st.composite
def shared(draw):
    blocks = draw(st.integers(1, 6))
    rows = [
        (block, draw(st.integers(0, 9)))
        for block in draw(st.lists(st.integers(0, blocks - 1), min_size=1, max_size=20))
    ]
    events = [(draw(st.integers(0, blocks)), draw(st.integers(-2, 9)), i) for i in range(draw(st.integers(0, 30)))]
    return rows, events, draw(st.booleans())


@settings(deadline=None)
@given(shared())
def test_rows_read_their_block_alone(case):
    rows, events, timed = case
    block = pl.Series([block for block, _ in rows], dtype=pl.UInt32)
    time = np.array([moment for _, moment in rows], np.int64)
    frame = pl.DataFrame(events, schema={"history": pl.UInt32, "timestamp": pl.Int64, "item": pl.Int64}, orient="row")
    log = ready_made(frame if timed else frame.drop("timestamp"), block, block.to_numpy() * 7, time, SECOND)
    assert log.timed == timed and not log.by_user
    read = 0
    for i, (own, moment) in enumerate(rows):
        mine = [event for event in events if event[0] == own]
        if timed:
            mine = sorted((event for event in mine if event[1] < moment), key=lambda event: (event[1], event[2]))
        here = slice(int(log.first[i]), int(log.end[i]))
        assert log.frame["item"][here].to_list() == [event[2] for event in mine]
        assert (log.user[here] == own * 7).all()
        if timed:
            assert log.time[here].tolist() == [event[1] for event in mine]
        else:
            assert (log.time[here] < moment).all() and (np.diff(log.time[here]) > 0).all()
        read = max(read, here.stop)
    assert read <= len(log.order) == sum(event[0] in {own for own, _ in rows} for event in events)


def test_a_block_of_each_row_is_as_before():
    events = pl.DataFrame({"row": [2, 0, 2], "item": [5, 6, 7]})
    log = ready_made(events, None, np.array([4, 5, 6], np.int32), np.array([10, 20, 30]), 1)
    assert log.frame["item"].to_list() == [6, 5, 7] and log.user.tolist() == [4, 6, 6]
    assert log.time.tolist() == [9, 28, 29]
    assert list(zip(log.first, log.end, strict=True)) == [(0, 1), (1, 1), (1, 3)]
