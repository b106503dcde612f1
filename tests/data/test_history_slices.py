import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdaf_core.data.batches.history import earlier_events

pairs = st.lists(st.tuples(st.integers(0, 5), st.integers(-20, 20)), max_size=60)


def _check(events, rows):
    events = sorted(events)
    event_user, event_time = (np.array([e[i] for e in events], np.int64) for i in (0, 1))
    row_user, row_time = (np.array([r[i] for r in rows], np.int64) for i in (0, 1))
    start, end = earlier_events(event_user, event_time, row_user, row_time)
    for i, (user, time) in enumerate(rows):
        expected = [event for event in events if event[0] == user and event[1] < time]
        assert events[start[i] : end[i]] == expected


@settings(deadline=None)  # the first example compiles
@given(pairs, pairs)
def test_slices_hold_the_strictly_earlier_events(events, rows):
    _check(events, rows)


@settings(deadline=None)  # the first example compiles
@given(pairs, pairs)
def test_times_too_far_apart_for_one_key(events, rows):
    far = 2**60
    _check([(u, t * far // 20) for u, t in events], [(u, t * far // 20) for u, t in rows])


@pytest.mark.parametrize("rows", [[], [(0, 5)]])
def test_empty_log(rows):
    _check([], rows)
