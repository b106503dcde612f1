"""Which rows train, validate and test."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from mdaf_core.base.errors import UsageError
from mdaf_core.data.formats.options import SourceOptions
from mdaf_core.data.store.schema import SPLITS, TICKS, TimeUnit

TRAIN, VAL, TEST = 0, 1, 2


def assign_splits(
    options: SourceOptions,
    *,
    label: np.ndarray,
    timestamp: np.ndarray,
    user: np.ndarray | None,
    has_time: bool,
    calendar: bool = True,
    timezone: str,
    unit: TimeUnit = "s",
) -> tuple[np.ndarray, dict[str, Any]]:
    """Assign each row to a split.

    Args:
        label: (N,) 0 or 1.
        timestamp: (N,) Unix time in `unit`, or the position in the input where `has_time` is false.
        calendar: whether times are moments; false: an order.
        user: (N,) dense user index, or None.

    Returns:
        (N,) uint8, 0 train, 1 validation, 2 test; and the split's parameters for `dataset.json`.

    Raises:
        UsageError: the split needs what the rows do not have, or leaves a split without rows.
    """
    kind = options.split
    parameters: dict[str, Any] = {"kind": kind}
    if kind == "given":
        raise UsageError(
            "The split 'given' needs files, or a column, that say the part of each row: name them (val_path and "
            "test_path, or part, where the source has these options), or choose another split."
        )
    if kind == "time":
        if options.val_from is not None and options.test_from is not None:
            if not (has_time and calendar):
                raise UsageError(f"{_no_days(has_time)}: cut them by fractions, not by dates.")
            cuts = [TICKS[unit] * _local_seconds(moment, timezone) for moment in (options.val_from, options.test_from)]
            split = np.searchsorted(np.array(cuts), timestamp, side="right").astype(np.uint8)
            parameters |= {"val_from": options.val_from.isoformat(), "test_from": options.test_from.isoformat()}
        else:
            split = by_time(timestamp, options.fractions)
            parameters["fractions"] = list(options.fractions)
    elif kind == "last-day":
        if not (has_time and calendar):
            order = "their order" if has_time else "file order"
            raise UsageError(f"{_no_days(has_time)}: the split 'last-day' needs it. Take 'time' ({order}).")
        split = by_last_day(timestamp, timezone, unit)
    elif kind == "leave-last-out":
        if user is None:
            raise UsageError("These rows carry no user: the split 'leave-last-out' needs one. Take 'time'.")
        split = leave_last_out(timestamp, user)
    else:
        split = stratified(label, options.fractions, options.split_seed)
        parameters |= {"fractions": list(options.fractions), "seed": options.split_seed}

    _refuse_empty(split, kind)
    return split, parameters


def given_parts(
    given: pl.Series, *, label: np.ndarray, timestamp: np.ndarray, has_time: bool, seed: int
) -> tuple[np.ndarray, dict[str, Any], list[str]]:
    """The parts that the source gives; without a validation part, a tenth of the training rows, never of the test's.

    That tenth is the last one by time, where rows carry a time (rows of one moment stay together); else it is drawn
    with the positive rate kept, as the order of a file need not be that of time and may be that of users or labels.

    Args:
        given: (N,) 'train', 'val' or 'test'.
        label, timestamp: (N,), as `assign_splits` takes them.
        seed: of the draw.

    Returns:
        (N,) uint8 parts; the split's parameters for `dataset.json`; sentences on what was not given.

    Raises:
        UsageError: there are no training rows or no test rows, or too few training rows to make a part of.
    """
    split = given.cast(pl.Enum(SPLITS)).to_physical().cast(pl.UInt8).to_numpy().copy()
    parameters: dict[str, Any] = {"kind": "given"}
    counts = np.bincount(split, minlength=3)
    if counts[TRAIN] == 0 or counts[TEST] == 0:
        raise UsageError(
            f"The files give no {'training' if counts[TRAIN] == 0 else 'test'} rows: name a file that holds them, or "
            "choose another split; a test part is never made of other rows."
        )
    if counts[VAL]:
        return split, parameters, []
    train = np.flatnonzero(split == TRAIN)
    rule = "time" if has_time else "draw"
    last = _last_tenth(timestamp[train]) if has_time else np.zeros(len(train), np.bool_)
    if not 0 < np.count_nonzero(last) < len(train):  # all of one moment
        rule, last = "draw", stratified(label[train], (0.9, 0.1, 0.0), seed) == VAL
    split[train[last]] = VAL
    _refuse_empty(split, "given")
    parameters["validation"] = {"made_of": "train", "by": rule} | ({"seed": seed} if rule == "draw" else {})
    how = (
        "the last tenth of the training rows by time"
        if rule == "time"
        else f"a tenth of the training rows, drawn by seed {seed} with their positive rate kept,"
    )
    size = int(np.count_nonzero(last))
    return split, parameters, [
        f"The files give no validation part: {how} became it ({size:,} of {len(train):,}); no test row is in it."
    ]  # fmt: skip


def _last_tenth(timestamp: np.ndarray) -> np.ndarray:
    """(N,) whether a row is later than the first nine tenths; where none is, whether it is of the last moment."""
    cut = np.partition(timestamp, at := max(round(0.9 * len(timestamp)), 1) - 1)[at]
    later: np.ndarray = timestamp > cut
    return later if later.any() else timestamp == cut


def _refuse_empty(split: np.ndarray, kind: str) -> None:
    counts = np.bincount(split, minlength=3)
    if counts.min() == 0:
        shown = ", ".join(f"{name} {count}" for name, count in zip(SPLITS, counts, strict=True))
        raise UsageError(
            f"The split {kind!r} leaves a part without rows ({shown}): choose another split or other cuts."
        )


def by_time(timestamp: np.ndarray, fractions: tuple[float, float, float]) -> np.ndarray:
    """Cut at quantiles of time; rows that tie with the last row of a part go with it, to the earlier side."""
    n = len(timestamp)
    if n == 0:
        return np.zeros(0, np.uint8)
    positions = [max(round(n * share), 1) - 1 for share in (fractions[0], fractions[0] + fractions[1])]
    cuts = np.partition(timestamp, positions)[positions]
    return np.searchsorted(cuts, timestamp, side="left").astype(np.uint8)


def by_last_day(timestamp: np.ndarray, timezone: str, unit: TimeUnit = "s") -> np.ndarray:
    """The last local day with rows is test, the last one before it validation, the rest train."""
    moments = pl.from_epoch(pl.Series(timestamp), time_unit=unit).dt.replace_time_zone("UTC")
    day = moments.dt.convert_time_zone(timezone).dt.date()
    days = day.unique().sort()
    if len(days) < 3:
        raise UsageError(f"The split 'last-day' needs rows on at least three days; these are on {len(days)}.")
    return ((day == days[-1]).cast(pl.UInt8) * TEST + (day == days[-2]).cast(pl.UInt8) * VAL).to_numpy()


def leave_last_out(timestamp: np.ndarray, user: np.ndarray) -> np.ndarray:
    """Each user's last row is test, the one before it validation; users with fewer than three rows only train.

    Rows of one user at one time keep their input order.
    """
    ordered = pl.DataFrame({"user": user, "time": timestamp}).with_row_index("row")
    ordered = ordered.sort("user", "time", maintain_order=True).with_columns(
        from_end=pl.len().over("user") - 1 - pl.int_range(pl.len()).over("user"), rows=pl.len().over("user")
    )
    split = np.zeros(len(user), np.uint8)
    for part, from_end in ((TEST, 0), (VAL, 1)):
        chosen = ordered.filter((pl.col("from_end") == from_end) & (pl.col("rows") >= 3))["row"]
        split[chosen.to_numpy()] = part
    return split


def stratified(label: np.ndarray, fractions: tuple[float, float, float], seed: int) -> np.ndarray:
    """A seeded random split that keeps the positive rate of each part."""
    generator = np.random.default_rng(seed)
    split = np.empty(len(label), np.uint8)
    for value in (0, 1):
        rows = generator.permutation(np.flatnonzero(label == value))
        cuts = [round(len(rows) * fractions[0]), round(len(rows) * (fractions[0] + fractions[1]))]
        for part, members in enumerate(np.split(rows, cuts)):
            split[members] = part
    return split


def _no_days(has_time: bool) -> str:
    return "The times of these rows are an order without a calendar" if has_time else "These rows carry no time"


def _local_seconds(moment: datetime, timezone: str) -> int:
    return int((moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(timezone))).timestamp())
