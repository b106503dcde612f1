"""Rows and their histories as packed arrays: vectorised gathers over memory-mapped columns, never a loop over rows."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from mdaf_core.data.batches.outcomes import count_outcomes
from mdaf_core.data.store.columns import identities
from mdaf_core.data.store.dataset import PreparedDataset, Rows
from mdaf_core.data.store.schema import MAX_HISTORY, OUTCOME, Split

_MONTH = 30 * 86400.0  # seconds
Scale = tuple[float, float, float]
"""Of match features: log(1 + the largest count), the power of recency in events, log(1 + the oldest age)."""


def match_scale(most: int) -> Scale:
    """How match features spread over [0, 1] where they are to tell up to `most` events apart, 50 at least.

    Counts and lengths end at `most`; a match that many events ago has recency 1/50; and ages end at a month for each 50
    events. At 50 that is log(1 + n) / log(51), 1 / n, and a month.
    """
    most = max(most, MAX_HISTORY)
    power = math.log(MAX_HISTORY) / math.log(most)
    return math.log1p(float(most)), power, math.log1p(_MONTH * (most / MAX_HISTORY))


def match_names(history: tuple[str, ...] | list[str]) -> list[str]:
    """Names of the match features of a data set with these history fields, in the order of `match_BM`'s columns.

    For each history field that the target shares: `seen` (0 or 1), `count` (log-scaled to [0, 1]), `recency` in
    events (1 / (1 + events since the last match)) and in time (1 just now, 0 a month ago, log-scaled; 0: never).
    Then the history's length (log-scaled) and the recency of its last event. Where more than 50 events are read, as
    `match_scale` says.
    """
    if not history:
        return []
    per_field = [f"{name}_{what}" for name in history for what in ("seen", "count", "recency", "time_recency")]
    return [*per_field, "history_length", "last_event_recency"]


@numba.njit(cache=True)
def put_match(out_BM, b, field, count, since, age, scale):  # type: ignore[no-untyped-def]  # pragma: no cover
    """What a row's history says of one field of its target: so many events match, the last of them `since` events from
    the end (1: the newest) and `age` seconds old."""
    log_count, power, log_age = scale
    out_BM[b, 4 * field] = 1.0
    out_BM[b, 4 * field + 1] = min(1.0, math.log1p(count) / log_count)
    out_BM[b, 4 * field + 2] = 1.0 / since if power == 1.0 else since**-power
    out_BM[b, 4 * field + 3] = max(0.0, 1.0 - math.log1p(age) / log_age)


@numba.njit(cache=True)
def put_length(out_BM, b, fields, length, age, scale):  # type: ignore[no-untyped-def]  # pragma: no cover
    """How long a row's history is, and how old its newest event."""
    log_count, _, log_age = scale
    out_BM[b, 4 * fields] = min(1.0, math.log1p(length) / log_count)
    out_BM[b, 4 * fields + 1] = max(0.0, 1.0 - math.log1p(age) / log_age)


@numba.njit(cache=True)
def _match(target_HB, event_HT, age_T, cu, scale, equal_TH, out_BM):  # type: ignore[no-untyped-def]  # pragma: no cover
    n_fields = event_HT.shape[0]
    for b in range(target_HB.shape[1]):
        start, end = cu[b], cu[b + 1]
        for f in range(n_fields):
            count, last = 0, -1
            for t in range(start, end):
                if event_HT[f, t] == target_HB[f, b] and target_HB[f, b] > 1:
                    equal_TH[t, f] = True
                    count += 1
                    last = t
            if count > 0:
                put_match(out_BM, b, f, count, end - last, age_T[last], scale)
        if end > start:
            put_length(out_BM, b, n_fields, end - start, age_T[end - 1], scale)


@numba.njit(cache=True)
def _match_field(event_E, target_B, time_E, start_B, end_B, time_B, ticks, scale, field, out_BM):  # type: ignore[no-untyped-def]  # pragma: no cover
    """As `_match` for one field, from the log itself: nothing is gathered."""
    for b in range(len(target_B)):
        count, target = 0, target_B[b]
        if target > 1:
            for t in range(start_B[b], end_B[b]):
                count += event_E[t] == target
        if count > 0:
            last = end_B[b] - 1
            while event_E[last] != target:
                last -= 1
            age = np.float32(time_B[b] - time_E[last]) / ticks
            put_match(out_BM, b, field, count, end_B[b] - last, age, scale)


@numba.njit(cache=True)
def _match_lengths(time_E, start_B, end_B, time_B, ticks, scale, fields, out_BM):  # type: ignore[no-untyped-def]  # pragma: no cover
    for b in range(len(end_B)):
        if end_B[b] > start_B[b]:
            age = np.float32(time_B[b] - time_E[end_B[b] - 1]) / ticks
            put_length(out_BM, b, fields, end_B[b] - start_B[b], age, scale)


def gather(
    dataset: PreparedDataset,
    rows: Rows,
    index_B: np.ndarray,
    max_history: int = MAX_HISTORY,
    match_events: int | None = None,
) -> dict[str, Any]:
    """The rows of a split at these positions with their newest events: the arrays of a `loader.Batch`, by name.

    Match features tell `match_events` events apart, or as many as are read. With `max_history` 0 there are no history
    fields at all: a model that reads them all the same fails instead of taking every history for an empty one.
    """
    features = dataset.meta.features()
    history_fields = features.history if max_history else ()
    columns = rows.columns
    end_B = rows.history_end[index_B]
    start_B = np.maximum(rows.history_start[index_B], end_B - max_history)
    length_B = end_B - start_B
    cu = np.zeros(len(index_B) + 1, np.int64)
    np.cumsum(length_B, out=cu[1:])
    event_T = np.repeat(start_B - cu[:-1], length_B) + np.arange(cu[-1])
    timestamp_B = rows.timestamp[index_B]

    history = {name: np.empty(0, np.int64) for name in history_fields}
    outcome_BK = np.zeros((len(index_B), 0), np.float32)
    age_T, gap_T = np.zeros(len(event_T), np.float32), np.zeros(len(event_T), np.float32)
    equal_TH = np.zeros((len(event_T), len(history_fields)), np.bool_)
    match_BM = np.zeros((len(index_B), len(match_names(history_fields))), np.float32)
    if history_fields:
        events = dataset.events
        event_HT = np.empty((len(history_fields), len(event_T)), np.int32)
        target_HB = np.empty((len(history_fields), len(index_B)), np.int32)
        for h, name in enumerate(history_fields):
            history[name] = events[name][event_T].astype(np.int64)
            event_HT[h] = identities(events, name)[event_T]
            target_HB[h] = identities(columns, name)[index_B]
        time_T = events["timestamp"][event_T]
        age_T[:] = np.repeat(timestamp_B, length_B) - time_T
        if dataset.meta.ticks > 1:
            age_T /= dataset.meta.ticks
        gap_T = gaps(time_T, cu, dataset.meta.ticks)
        scale = match_scale(match_events or max_history)
        _match(target_HB, event_HT, age_T, cu, scale, equal_TH, match_BM)
        if features.outcomes:
            outcome_T, ids = np.asarray(events[OUTCOME][event_T]), list(zip(event_HT, target_HB, strict=True))
            history[OUTCOME] = outcome_T.astype(np.int64)
            given = (outcome_T, time_T), cu[:-1], cu[1:], timestamp_B
            outcome_BK = count_outcomes(ids, features.outcomes, *given, dataset.meta.ticks, scale)

    return own_columns(dataset, rows, index_B) | {
        "cu_seqlens": cu.astype(np.int32),
        "history": history,
        "history_age_T": age_T,
        "gap_T": gap_T,
        "equal_TH": equal_TH,
        "match_BM": match_BM,
        "outcome_BK": outcome_BK,
    }


def gaps(time_T: np.ndarray, cu: np.ndarray, ticks: int) -> np.ndarray:
    """`Batch.gap_T` of events at these times, in the data set's unit: (T,) float32 seconds.

    Args:
        cu: (S + 1,) boundaries of the sequences.
    """
    gap_T = np.zeros(len(time_T), np.float32)
    np.subtract(time_T[1:], time_T[:-1], out=gap_T[1:], casting="unsafe")
    gap_T[cu[:-1][cu[:-1] < cu[1:]]] = 0
    return gap_T / np.float32(ticks) if ticks > 1 else gap_T


def own_columns(dataset: PreparedDataset, rows: Rows, index_B: np.ndarray) -> dict[str, np.ndarray]:
    """What belongs to the rows alone: the arrays of a `loader.Batch` without histories, by name."""
    features, columns = dataset.meta.features(), rows.columns
    categorical_BF = np.empty((len(index_B), len(features.categorical)), np.int64)
    for f, name in enumerate(features.categorical):
        categorical_BF[:, f] = columns[name][index_B]
    numeric_BG = np.empty((len(index_B), len(features.numeric)), np.float32)
    for g, name in enumerate(features.numeric):
        numeric_BG[:, g] = columns[name][index_B]
    return {
        "label_B": rows.label[index_B].astype(np.float32),
        "categorical_BF": categorical_BF,
        "numeric_BG": numeric_BG,
        "row_id_B": rows.row_id[index_B].astype(np.int64),
        "user_B": rows.user[index_B].astype(np.int64),
        "timestamp_B": rows.timestamp[index_B].astype(np.int64),
    }


def match_features(
    dataset: PreparedDataset,
    split: Split,
    index: np.ndarray | None = None,
    max_history: int = MAX_HISTORY,
    rows: Rows | None = None,
    match_events: int | None = None,
    outcomes: bool = False,
) -> np.ndarray:
    """The match features of these rows (default: all of the split), (N, M) float32; columns as in `match_names`.

    Args:
        rows: in the place of the split's.
        outcomes: then those of `outcome_names` as well, where the data set records what came of events.
    """
    rows = dataset.rows(split) if rows is None else rows
    index = np.arange(len(rows)) if index is None else index
    names = dataset.meta.features().history if max_history else ()
    match_BM = np.zeros((len(index), len(match_names(names))), np.float32)
    if not names:
        return match_BM
    log, end_B = dataset.events, rows.history_end[index]
    start_B, time_B = np.maximum(rows.history_start[index], end_B - max_history), rows.timestamp[index]
    ids = [(identities(log, name), identities(rows.columns, name)[index]) for name in names]
    ticks, scale = dataset.meta.ticks, match_scale(match_events or max_history)
    slices = log["timestamp"], start_B, end_B, time_B, np.float32(ticks), scale
    for f, (event_E, target_B) in enumerate(ids):
        _match_field(event_E, target_B, *slices, f, match_BM)
    _match_lengths(*slices, len(names), match_BM)
    if not outcomes or not dataset.meta.outcomes:
        return match_BM
    events = log[OUTCOME], log["timestamp"]
    outcome_BK = count_outcomes(ids, len(dataset.meta.outcomes), events, start_B, end_B, time_B, ticks, scale)
    return np.concatenate([match_BM, outcome_BK], axis=1)
