"""Rows and their histories as packed arrays: vectorised gathers over memory-mapped columns, never a loop over rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numba
import numpy as np

from mdaf_core.data.batches.events import Events, targets
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


def matches(
    ids: Sequence[tuple[np.ndarray, np.ndarray]],
    kinds: int,
    events: tuple[np.ndarray, np.ndarray],
    begin_B: np.ndarray,
    end_B: np.ndarray,
    time_B: np.ndarray,
    ticks: int,
    apart: int,
    number: type[np.floating[Any]] = np.float64,
) -> tuple[np.ndarray, np.ndarray]:
    """What the events of rows say of their targets: `Batch.match_BM` and `Batch.outcome_BK`.

    Args:
        ids: of each history field, what tells the ids of events (E,) and of targets (B,) apart.
        kinds: of outcomes; with 0 they are not counted.
        events: (E,) what came of them, and when they were.
        begin_B, end_B: the events of each row are `[begin_b, end_b)`.
        time_B: of the rows, in the unit of the events', of which a second has `ticks`.
        apart: how many events match features tell apart.
        number: what ages are computed in before they are float32 seconds.
    """
    scale, match_BM = match_scale(apart), np.zeros((len(end_B), 4 * len(ids) + 2 if ids else 0), np.float32)
    read = events[1], begin_B, end_B, time_B, number, ticks, scale
    for f, (event_E, target_B) in enumerate(ids):
        _match(event_E, target_B, *read, match_BM[:, 4 * f : 4 * f + 4])
    if ids:
        _lengths(*read, match_BM[:, -2:])
    return match_BM, count_outcomes(ids, kinds, events, begin_B, end_B, time_B, ticks, scale)


@numba.njit(nogil=True, cache=True)
def _match(event_E, target_B, time_E, begin_B, end_B, time_B, number, ticks, scale, out_BM):  # type: ignore[no-untyped-def]  # pragma: no cover
    log_count, power, log_age = scale
    for b in range(len(target_B)):
        count, target = 0, target_B[b]
        if target > 1:
            for t in range(begin_B[b], end_B[b]):
                count += event_E[t] == target
        if count > 0:
            last = end_B[b] - 1
            while event_E[last] != target:
                last -= 1
            since, age = end_B[b] - last, np.float32(number(time_B[b] - time_E[last]) / number(ticks))
            out_BM[b, 0] = 1.0
            out_BM[b, 1] = min(1.0, math.log1p(count) / log_count)
            out_BM[b, 2] = 1.0 / since if power == 1.0 else since**-power
            out_BM[b, 3] = max(0.0, 1.0 - math.log1p(age) / log_age)


@numba.njit(nogil=True, cache=True)
def _lengths(time_E, begin_B, end_B, time_B, number, ticks, scale, out_BM):  # type: ignore[no-untyped-def]  # pragma: no cover
    log_count, _, log_age = scale
    for b in range(len(end_B)):
        if end_B[b] > begin_B[b]:
            age = np.float32(number(time_B[b] - time_E[end_B[b] - 1]) / number(ticks))
            out_BM[b, 0] = min(1.0, math.log1p(end_B[b] - begin_B[b]) / log_count)
            out_BM[b, 1] = max(0.0, 1.0 - math.log1p(age) / log_age)


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
    features, ticks = dataset.meta.features(), dataset.meta.ticks
    names = features.history if max_history else ()
    end_B = rows.history_end[index_B]
    start_B = np.maximum(rows.history_start[index_B], end_B - max_history)
    length_B = end_B - start_B
    cu = np.zeros(len(index_B) + 1, np.int64)
    np.cumsum(length_B, out=cu[1:])
    event_T = np.repeat(start_B - cu[:-1], length_B) + np.arange(cu[-1])
    events, own = Events.of(dataset, event_T, names), own_columns(dataset, rows, index_B)
    ids = list(zip(events.identity, targets(rows, index_B, names), strict=True))

    age_T = (np.repeat(own["timestamp_B"], length_B) - events.time_T).astype(np.float32)
    equal_TH = np.empty((len(events), len(names)), np.bool_)
    for h, (event_id_T, target_B) in enumerate(ids):
        target_T = np.repeat(target_B, length_B)
        equal_TH[:, h] = (event_id_T == target_T) & (target_T > 1)
    known = events.outcome_T, events.time_T
    spans, apart = (cu[:-1], cu[1:], own["timestamp_B"]), match_events or max_history
    match_BM, outcome_BK = matches(ids, features.outcomes, known, *spans, ticks, apart, np.float32)
    return own | {
        "cu_seqlens": cu.astype(np.int32),
        "history": events.history,
        "history_age_T": age_T / np.float32(ticks) if ticks > 1 else age_T,
        "gap_T": gaps(events.time_T, cu, ticks),
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
    names, log = dataset.meta.features().history if max_history else (), dataset.events
    end_B = rows.history_end[index]
    start_B, apart = np.maximum(rows.history_start[index], end_B - max_history), match_events or max_history
    ids = [(identities(log, name), identities(rows.columns, name)[index]) for name in names]
    kinds, none = len(dataset.meta.outcomes or []) if outcomes else 0, np.empty(0, np.int64)
    known = log[OUTCOME] if kinds else none, log.get("timestamp", none)
    read = known, start_B, end_B, rows.timestamp[index], dataset.meta.ticks, apart
    match_BM, outcome_BK = matches(ids, kinds, *read, np.float32)
    return np.concatenate([match_BM, outcome_BK], axis=1) if kinds else match_BM
