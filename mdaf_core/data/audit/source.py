"""What the input was like, and how much of it training does not know."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from mdaf_core.base.words import ROOM, some
from mdaf_core.data.audit.base import Written, pieces, rows_text
from mdaf_core.data.audit.registry import Answer, check
from mdaf_core.data.audit.report import Status
from mdaf_core.data.store.counts import occurrences
from mdaf_core.data.store.describe import local_clock, local_times
from mdaf_core.data.store.schema import EVALUATED, UNKNOWN, Split

# Six hours in a row in which people sleep begin between these hours.
QUIET_FROM, QUIET_TO = 22, 5
_TIME_BINS = 4096
_FAR_SHARE = 0.01


@check("unseen-users", "Unseen users", place=230)
def unseen_users(data: Written) -> Answer | None:
    if not data.meta.has_user:
        return None
    known = np.zeros(1 + max(int(rows.user.max(initial=0)) for rows in data.rows.values()), bool)
    known[data.rows["train"].user] = True
    return _unseen(data, "user", {split: ~known[data.rows[split].user] for split in EVALUATED})


@check("unseen-items", "Unseen items", place=231)
def unseen_items(data: Written) -> Answer | None:
    item = data.role("item")
    if item is None:
        return None
    return _unseen(data, item, {split: data.rows[split].columns[item] == UNKNOWN for split in EVALUATED})


def _unseen(data: Written, what: str, new: dict[Split, np.ndarray]) -> Answer:
    shares = {split: float(rows.mean()) for split, rows in new.items()}
    many = max(shares.values()) > 0.5
    article = "an" if what[0] in "aeio" else "a"
    return Answer(
        "warn" if many else "pass",
        shares["val"],
        f"{shares['val']:.1%} of validation rows and {shares['test']:.1%} of test rows have {article} {what} that "
        "training does not know" + (": its embedding says nothing about most of them." if many else "."),
        shares,
        todo="Say so beside results, and lean on inputs that such rows have in common with training (category, "
        "histories); a longer training part helps too.",
        examples=lambda: data.examples({split: np.flatnonzero(rows) for split, rows in new.items()}),
    )


@check("timestamps-in-window", "Stated period", place=250)
def timestamps_in_window(data: Written) -> Answer | None:
    meta = data.meta
    if meta.window is None:
        return _far_times(data) if meta.has_calendar else None
    begin, end = meta.window
    beyond = {
        split: np.flatnonzero((seconds < begin) | (seconds >= end))
        for split, seconds in ((split, meta.seconds(rows.timestamp)) for split, rows in data.rows.items())
    }
    kept = sum(map(len, beyond.values()))
    number = max(kept, meta.outside_window)
    zone = ZoneInfo(meta.timezone)
    first, last = (datetime.fromtimestamp(t, UTC).astimezone(zone).date() for t in (begin, end - 1))
    period = f"the stated period {first} to {last} ({meta.timezone})"
    if not number:
        sentence = f"All timestamps lie within {period}."
    elif kept:
        sentence = f"{number:,} input events lie outside {period} and were kept."
    else:
        sentence = f"{number:,} input events lie outside {period} and were left out."
    return Answer(
        "warn" if number else "pass",
        number,
        sentence,
        todo="If they are many, look at the unit and the timezone of the times in the input; "
        + ("outside_window=drop leaves such events out." if kept else "outside_window=keep would keep them."),
        examples=lambda: data.examples(beyond) if kept else _with_times(meta.examples.get("outside", []), zone),
    )


@check("skipped-rows", "Skipped input", place=251)
def skipped_rows(data: Written) -> Answer:
    meta = data.meta
    if not meta.skipped_rows:
        return Answer("pass", 0, "No input line was skipped.")
    share = meta.skipped_rows / (meta.skipped_rows + data.total)
    return Answer(
        "warn",
        meta.skipped_rows,
        f"{meta.skipped_rows:,} input lines could not be read and were left out on request ({share:.2%}).",
        todo="Correct the input if they are many: what is left out here may not be left out at random.",
        examples=lambda: meta.examples.get("skipped", []),
    )


@check("unread-columns", "Unread columns", place=254)
def unread_columns(data: Written) -> Answer | None:
    unread = data.meta.unread
    if unread is None:
        return None
    if not unread:
        return Answer("pass", 0, "Every column of the input is used.")
    number = "1 column of the input is" if len(unread) == 1 else f"{len(unread):,} columns of the input are"
    return Answer("pass", len(unread), f"{number} not used, as no option names them: {some(unread, room=ROOM)}.")


@check("input-notes", "Notes on the input", place=252)
def input_notes(data: Written) -> Answer | None:
    notes = data.meta.notes
    if not notes:
        return None
    return Answer(
        "warn",
        len(notes),
        " ".join(notes),
        todo="Make sure that this is what you mean, and say so beside results.",
    )


def _far_times(data: Written) -> Answer:
    """Few rows, parted from all others by more than those span: a wrong unit, a default date, a clock gone wrong."""
    first, last = _main_period(data)

    def outside(split: Split, piece: slice) -> np.ndarray:
        times = data.meta.seconds(data.rows[split].timestamp[piece])
        return np.flatnonzero((times < first) | (times > last))

    far = data.positions(outside)
    number = sum(map(len, far.values()))
    start, end = (moment.date() for moment in local_times(np.array([first, last]), data.meta.timezone, "s"))
    return Answer(
        "warn" if number else "pass",
        number,
        f"{rows_text(number, 'lies', 'lie')} far from all others, which are from {start} to {end} "
        f"({data.meta.timezone}): splits by time and days are pulled apart."
        if number
        else f"All rows are from {start} to {end} ({data.meta.timezone}), none far from the others.",
        {split: float(len(rows)) for split, rows in far.items()},
        todo="Look at how such times came about (a default date, another unit), and take these rows out of the input.",
        examples=lambda: data.examples(far),
        title="Times together",
    )


def _main_period(data: Written) -> tuple[int, int]:
    """First and last second of the rows without those, under 1% on either side, that a gap parts from the rest which is
    longer than the rest itself."""
    first, last = np.iinfo(np.int64).min, np.iinfo(np.int64).max
    while True:
        ends = [
            (int(inside.min()), int(inside.max()))
            for inside in (times[(times >= first) & (times <= last)] for times in _times(data))
            if len(inside)
        ]
        first, last = min(low for low, _ in ends), max(high for _, high in ends)
        width = max(1, -(-(last + 1 - first) // _TIME_BINS))
        counts = np.zeros(_TIME_BINS, np.int64)
        for times in _times(data):
            counts += np.bincount((times[(times >= first) & (times <= last)] - first) // width, minlength=_TIME_BINS)
        held = np.flatnonzero(counts)
        if len(held) == 1:
            return first, last
        gap = int(np.argmax(np.diff(held)))
        below, above = held[: gap + 1], held[gap + 1 :]
        early, late = int(counts[below].sum()), int(counts[above].sum())
        body = above if early < late else below
        empty = int(above[0] - below[-1]) - 1
        if min(early, late) > _FAR_SHARE * data.total or empty <= body[-1] - body[0] + 1:
            return first, last
        first, last = first + int(body[0]) * width, first + (int(body[-1]) + 1) * width - 1


def _times(data: Written) -> Iterator[np.ndarray]:
    for rows in data.rows.values():
        for piece in pieces(len(rows)):
            yield data.meta.seconds(rows.timestamp[piece])


def _with_times(rows: list[dict[str, Any]], zone: ZoneInfo) -> list[dict[str, Any]]:
    """Rows with their `timestamp` in local time beside it, where the calendar goes so far."""

    def local(timestamp: int) -> str | None:
        try:
            return f"{datetime.fromtimestamp(timestamp, UTC).astimezone(zone):%Y-%m-%d %H:%M:%S}"
        except (ValueError, OverflowError, OSError):
            return None

    return [row | {"time": local(row["timestamp"])} for row in rows]


@check("timezone", "Timezone", place=253)
def timezone(data: Written) -> Answer | None:
    """Do hours and weekdays agree with the times, and do people sleep at night?"""
    meta = data.meta
    if not meta.has_calendar:
        return None
    wrong: dict[Split, np.ndarray] = {}
    offsets: list[np.ndarray] = []
    by_hour = np.zeros(24, np.int64)
    for split, rows in data.rows.items():
        hour, weekday = local_clock(rows.timestamp, meta.timezone, meta.time_unit)
        by_hour += occurrences(hour, 24)
        disagree = np.zeros(len(rows), np.bool_)
        for name, expected in (("hour", hour), ("dayofweek", weekday)):
            written = _numbers(data, name, split)
            if written is not None:
                differ = (written >= 0) & (written != expected)
                disagree |= differ
                if name == "hour" and differ.any():
                    offsets.append((written[differ] - expected[differ]) % 24)
        wrong[split] = np.flatnonzero(disagree)
    total = sum(map(len, wrong.values()))
    quiet = _quietest(by_hour) if _whole_day(data) else None
    assumed = ", which is assumed: the data does not state it." if meta.timezone_assumed else "."
    sentence = f"Hours, weekdays and days are taken in {meta.timezone}{assumed}"
    status: Status = "pass"
    todo = "Find out in which timezone the times were written, and prepare with it."
    if total:
        status = "fail"
        usual = int(np.bincount(np.concatenate(offsets)).argmax()) if offsets else 0
        shift = f", most often by {(usual + 12) % 24 - 12:+d} hours" if usual else ""
        sentence = (
            f"The hour or weekday of {total:,} rows is not that of their time in {meta.timezone}{shift}: they were "
            "taken in another timezone."
        )
    elif quiet is not None and not _at_night(quiet):
        status = "warn"
        sentence += (
            f" The quietest six hours of the day are {quiet:02d}:00 to {(quiet + 6) % 24:02d}:00 there, when people "
            "are usually awake: the timezone may be another."
        )
    return Answer(
        status,
        total if total else None if quiet is None else quiet,
        sentence,
        todo=todo,
        examples=lambda: data.examples(wrong) or [{"hour": h, "rows": n} for h, n in enumerate(by_hour.tolist())],
    )


def _numbers(data: Written, name: str, split: Split) -> np.ndarray | None:
    """The numbers that a field's codes stand for, -1 where unknown; None where there is no such field."""
    if name not in (field.name for field in data.categorical):
        return None
    table = data.dataset.vocabulary(name)
    codes = data.rows[split].columns[name]
    size = 1 + max(int(table["code"].max() or 0), int(codes.max(initial=0)))  # type: ignore[arg-type]
    numbers = np.full(size, -1, np.int64)
    values = table["id"].cast(pl.Int64, strict=False).fill_null(-1).to_numpy()
    inside = table["code"].to_numpy() >= 0
    numbers[table["code"].to_numpy()[inside]] = values[inside]
    return numbers[np.maximum(codes, 0)]


def _whole_day(data: Written) -> bool:
    """Whether the rows span a day, or little less."""
    times = [rows.timestamp for rows in data.rows.values() if len(rows)]
    span = max(int(part.max()) for part in times) - min(int(part.min()) for part in times)
    return span >= 20 * 3600 * data.meta.ticks


def _at_night(hour: int) -> bool:
    """Whether the quietest six hours of people's days may begin at this hour."""
    return (hour - QUIET_FROM) % 24 <= (QUIET_TO - QUIET_FROM) % 24


def _quietest(by_hour: np.ndarray) -> int | None:
    """First of the six hours in a row with the fewest rows, of those at night where these are as quiet but for chance;
    None where the day has no rhythm."""
    sums = np.array([int(np.roll(by_hour, -hour)[:6].sum()) for hour in range(24)])
    low, high = int(sums.min()), int(sums.max())
    if high < 2 * low or high - low < 4 * math.sqrt(high + low):
        return None
    night = min((hour for hour in range(24) if _at_night(hour)), key=lambda hour: sums[hour])
    return night if sums[night] - low <= 4 * math.sqrt(sums[night] + low) else int(sums.argmin())
