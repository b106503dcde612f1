"""Histories of 1 to 10,000 events: what a row reads, and features that tell 50 events from 5,000."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from mdaf_core.data.batches.gather import match_names, match_scale
from mdaf_core.data.batches.loader import BatchLoader
from mdaf_core.data.batches.stream import GRID, StreamLoader
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.export import export_rows
from mdaf_core.data.store.schema import LONGEST_HISTORY
from mdaf_core.data.store.statistics import read_statistics
from mdaf_core.data.store.statistics_frames import history_frame
from mdaf_core.reporting import export
from mdaf_core.reporting.topics.data import history_lengths
from tests.conftest import LONG_LOGS

MONTH = 30 * 86400


def features_of(dataset: PreparedDataset, position: int, most: int, apart: int) -> list[float]:
    """The match features of a test row by their definition, event by event, in Python's floats."""
    rows, events = dataset.rows("test"), dataset.events
    end = int(rows.history_end[position])
    read = range(max(int(rows.history_start[position]), end - most), end)
    old = MONTH * apart / 50

    def recency(t: int) -> float:
        age = int(rows.timestamp[position]) - int(events["timestamp"][t])
        return max(0.0, 1 - math.log1p(age) / math.log1p(old))

    out: list[float] = []
    for name in dataset.meta.history_fields:
        code = int(rows.columns[name][position])
        same = [t for t in read if events[name][t] == code and code > 1]
        if same:
            count = min(1.0, math.log1p(len(same)) / math.log1p(apart))
            out += [1.0, count, (end - same[-1]) ** -(math.log(50) / math.log(apart)), recency(same[-1])]
        else:
            out += [0.0] * 4
    return [*out, min(1.0, math.log1p(len(read)) / math.log1p(apart)), recency(end - 1)] if read else [*out, 0.0, 0.0]


def longest_rows(dataset: PreparedDataset) -> np.ndarray:
    """Every twentieth test row, the longest and the shortest histories among them."""
    rows = dataset.rows("test")
    order = np.argsort(rows.history_end - rows.history_start, kind="stable")
    return np.unique(np.r_[order[:3], order[::20], order[-3:]])


def test_the_logs_are_as_long_as_they_are_meant_to_be(long_logs):
    rows = long_logs.rows("test")
    length = rows.history_end - rows.history_start
    assert length.max() > LONGEST_HISTORY
    assert len(np.unique(long_logs.events["user_index"])) == len(LONG_LOGS)
    assert ((length > 1000) & (length < 2000)).any()


@pytest.mark.parametrize("most", [1, 50, 200, 1000, LONGEST_HISTORY])
def test_match_features_are_those_of_their_definition_at_any_length(long_logs, most):
    index = longest_rows(long_logs)
    defined = [features_of(long_logs, int(i), most, max(most, 50)) for i in index]
    for loader in (BatchLoader, StreamLoader):
        batch = loader(long_logs, "test", 1, max_history=most).gather(index)
        np.testing.assert_array_equal(batch.lengths_B, np.minimum(length_of(long_logs)[index], most))
        np.testing.assert_allclose(batch.match_BM, np.array(defined), rtol=1e-5, atol=1e-6)


def length_of(dataset: PreparedDataset) -> np.ndarray:
    rows = dataset.rows("test")
    return np.asarray(rows.history_end - rows.history_start)


def test_features_tell_fifty_events_from_five_thousand_where_so_many_are_read(long_logs):
    """And only there: at 50, and where a model was trained with features that end at 50, they are what they were."""
    length, index = length_of(long_logs), longest_rows(long_logs)
    column = match_names(long_logs.meta.history_fields).index("history_length")
    for loader in (BatchLoader, StreamLoader):
        whole = loader(long_logs, "test", 1, max_history=LONGEST_HISTORY).gather(index).match_BM[:, column].numpy()
        ends = loader(long_logs, "test", 1, max_history=LONGEST_HISTORY, match_events=50)
        ended = ends.gather(index).match_BM[:, column].numpy()
        fifty, thousands = (length[index] > 40) & (length[index] < 60), length[index] > 5000
        assert whole[thousands].min() - whole[fifty].max() > 0.4
        assert (ended[thousands] == 1).all() and ended[fifty].min() > 0.9


def test_at_fifty_the_scale_is_what_it_was():
    assert match_scale(1) == match_scale(50) == (math.log1p(50.0), 1.0, math.log1p(30 * 86400.0))


@pytest.mark.parametrize("most", [50, 1000, LONGEST_HISTORY])
def test_scaled_features_stay_between_0_and_1_and_fall_with_distance(most):
    log_count, power, log_age = match_scale(most)
    since = np.arange(1, most + 1, dtype=float)
    recency = since**-power
    assert recency[0] == 1 and recency[-1] == pytest.approx(1 / 50) and (np.diff(recency) < 0).all()
    assert math.log1p(most) / log_count == 1 and log_age >= math.log1p(MONTH)


def test_encoding_of_a_long_log_begins_on_a_grid_and_reaches_the_whole_history(long_logs):
    index = np.argsort(length_of(long_logs))[-40:]
    rows = long_logs.rows("test")
    for most in (50, 1000, LONGEST_HISTORY):
        batch = StreamLoader(long_logs, "test", 1, max_history=most).gather(index)
        assert batch.slices is not None
        assert batch.cu_seqlens[-1] <= len(np.unique(rows.user[index])) * (2 * max(GRID, most) + most)
        for b in (0, 20, 39):
            position, read = index[b], slice(batch.slices.begin_B[b], batch.slices.end_B[b])
            end = int(rows.history_end[position])
            own = long_logs.events["item"][max(int(rows.history_start[position]), end - most) : end]
            np.testing.assert_array_equal(batch.history["item"][read], own)


def test_rows_are_exported_with_as_many_events_as_are_asked_for(long_logs, tmp_path):
    export_rows(long_logs, ["test"], tmp_path / "rows.parquet", history=True, max_history=1000)
    lists = pl.read_parquet(tmp_path / "rows.parquet")["history_item"]
    np.testing.assert_array_equal(lists.list.len(), np.minimum(length_of(long_logs), 1000))


def test_the_data_page_tells_long_histories_apart(long_logs):
    figures = read_statistics(long_logs)
    frame = history_frame(figures, long_logs).filter(part="test")
    length = length_of(long_logs)
    for events, at_most in frame.select("events", "at_most").rows():
        assert at_most == (1.0 if events == LONGEST_HISTORY else pytest.approx(np.mean(length <= events)))
    assert frame["rows"].sum() == len(length) and frame["events"].max() == LONGEST_HISTORY
    assert history_frame(figures).filter(part="test")["events"].max() == 50
    assert export.render(history_lengths(history_frame(figures, long_logs)), "svg").startswith(b"<svg")
