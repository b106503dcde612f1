"""What came of the events of histories, counted: beside match features, which count the events themselves."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numba
import numpy as np

_WHAT = ("count", "time_recency")


def outcome_names(history: Sequence[str], outcomes: Sequence[object] | None) -> list[str]:
    """Names of the columns of `Batch.outcome_BK`: of the events with the target's id, field by field, and of all
    events, for each outcome how many there are (log-scaled to [0, 1]) and how recent the last one is in time (1 just
    now, 0 a month ago, log-scaled; 0: none). Scales are those of match features (`gather.match_scale`)."""
    if not history:
        return []
    return [f"{name}_{word}_{what}" for name in (*history, "events") for word in outcomes or () for what in _WHAT]


def count_outcomes(
    ids: Sequence[tuple[np.ndarray, np.ndarray]],
    outcomes: int,
    events: tuple[np.ndarray, np.ndarray],
    begin_B: np.ndarray,
    end_B: np.ndarray,
    time_B: np.ndarray,
    ticks: int,
    scale: tuple[float, float, float],
) -> np.ndarray:
    """`Batch.outcome_BK`, float32.

    Args:
        ids: of each history field, what tells the ids of events (E,) and of targets (B,) apart.
        outcomes: how many kinds there are; with 0 there are no columns.
        events: (E,) what came of them, and when they were; not looked at without outcomes.
        begin_B, end_B: the events of each row are `[begin_b, end_b)`.
        time_B: of the rows, in the unit of the events', of which a second has `ticks`.
    """
    if not outcomes or not ids:
        return np.zeros((len(end_B), 0), np.float32)
    width, none = len(_WHAT) * outcomes, np.zeros(1, ids[0][0].dtype)
    out_BK = np.zeros((len(end_B), (len(ids) + 1) * width), np.float32)
    given = *events, begin_B, end_B, time_B, float(ticks), scale[0], scale[2]
    for f, (event_E, target_B) in enumerate(ids):
        _count(event_E, target_B, False, *given, out_BK[:, f * width : (f + 1) * width])
    _count(none, none, True, *given, out_BK[:, -width:])
    return out_BK


@numba.njit(nogil=True, cache=True)
def _count(  # type: ignore[no-untyped-def]  # pragma: no cover
    event_E, target_B, every, outcome_E, time_E, begin_B, end_B, time_B, ticks, log_count, log_age, out_BK
):
    kinds = out_BK.shape[1] // 2
    count, last = np.empty(kinds + 1, np.int64), np.empty(kinds + 1, np.int64)
    for b in range(len(end_B)):
        if not every and target_B[b] <= 1:
            continue
        count[:] = 0
        for t in range(begin_B[b], end_B[b]):
            if every or event_E[t] == target_B[b]:
                count[outcome_E[t]] += 1
                last[outcome_E[t]] = time_E[t]
        for k in range(kinds):
            if count[k + 1]:
                out_BK[b, 2 * k] = min(1.0, math.log1p(count[k + 1]) / log_count)
                age = (time_B[b] - last[k + 1]) / ticks
                out_BK[b, 2 * k + 1] = max(0.0, 1.0 - math.log1p(age) / log_age)
