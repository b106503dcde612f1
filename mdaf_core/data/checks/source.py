"""What the input was like, and how much of it training does not know."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from mdaf_core.data.audit import Check, Status
from mdaf_core.data.checks.base import Written, check
from mdaf_core.data.schema import UNKNOWN, Split

# Six hours in a row in which people sleep begin between these hours.
QUIET_FROM, QUIET_TO = 22, 5


def unseen(data: Written) -> Iterator[Check]:
    judged: tuple[Split, ...] = ("val", "test")
    if data.meta.has_user:
        train = data.rows["train"].user
        users = 1 + max(int(rows.user.max(initial=0)) for rows in data.rows.values())
        known = np.zeros(users, bool)
        known[train] = True
        yield _unseen_check(data, "users", "user", {split: ~known[data.rows[split].user] for split in judged})
    item = data.role("item")
    if item:
        new = {split: data.rows[split].columns[item] == UNKNOWN for split in judged}
        yield _unseen_check(data, "items", item, new)


def _unseen_check(data: Written, whose: str, what: str, new: dict[Split, np.ndarray]) -> Check:
    shares = {split: float(rows.mean()) for split, rows in new.items()}
    many = max(shares.values()) > 0.5
    article = "an" if what[0] in "aeio" else "a"
    return check(
        f"unseen-{whose}",
        f"Unseen {whose}",
        "warn" if many else "pass",
        shares["val"],
        f"{shares['val']:.1%} of validation rows and {shares['test']:.1%} of test rows have {article} {what} that "
        "training does not know" + (": its embedding says nothing about most of them." if many else "."),
        shares,
        todo="Say so beside results, and lean on inputs that such rows have in common with training (category, "
        "histories); a longer training part helps too.",
        examples=lambda: data.examples({split: np.flatnonzero(rows) for split, rows in new.items()}),
    )


def input_notes(data: Written) -> Iterator[Check]:
    meta = data.meta
    if meta.window is not None:
        beyond = {
            split: np.flatnonzero((rows.timestamp < meta.window[0]) | (rows.timestamp >= meta.window[1]))
            for split, rows in data.rows.items()
        }
        kept = sum(map(len, beyond.values()))
        number = max(kept, meta.outside_window)
        zone = ZoneInfo(meta.timezone)
        first, last = (
            datetime.fromtimestamp(t, UTC).astimezone(zone).date() for t in (meta.window[0], meta.window[1] - 1)
        )
        period = f"the stated period {first} to {last} ({meta.timezone})"
        if not number:
            sentence = f"All timestamps lie within {period}."
        elif kept:
            sentence = f"{number:,} input events lie outside {period} and were kept."
        else:
            sentence = f"{number:,} input events lie outside {period} and were left out."
        yield check(
            "timestamps-in-window",
            "Stated period",
            "warn" if number else "pass",
            number,
            sentence,
            todo="If they are many, look at the unit and the timezone of the times in the input; outside_window=drop "
            "leaves such events out.",
            examples=lambda: data.examples(beyond),
        )
    if meta.skipped_rows:
        share = meta.skipped_rows / (meta.skipped_rows + data.total)
        yield check(
            "skipped-rows",
            "Skipped input",
            "warn",
            meta.skipped_rows,
            f"{meta.skipped_rows:,} input lines could not be read and were left out on request ({share:.2%}).",
            todo="Prepare without skip_bad_rows to see the first of them, and correct the input if they are many.",
        )
    else:
        yield check("skipped-rows", "Skipped input", "pass", 0, "No input line was skipped.")
    if meta.notes:
        yield check(
            "input-notes",
            "Notes on the input",
            "warn",
            len(meta.notes),
            " ".join(meta.notes),
            todo="Make sure that this is what you mean, and say so beside results.",
        )
    if meta.has_time:
        yield from _timezone(data)


def _timezone(data: Written) -> Iterator[Check]:
    """Do hours and weekdays agree with the times, and do people sleep at night?"""
    meta = data.meta
    wrong: dict[Split, np.ndarray] = {}
    offsets: list[np.ndarray] = []
    by_hour = np.zeros(24, np.int64)
    for split, rows in data.rows.items():
        local = data.local(rows.timestamp)
        hour = local.dt.hour().to_numpy()
        by_hour += np.bincount(hour, minlength=24)
        disagree = np.zeros(len(rows), np.bool_)
        for name, expected in (("hour", hour), ("dayofweek", local.dt.weekday().to_numpy())):
            written = _numbers(data, name, split)
            if written is not None:
                differ = (written >= 0) & (written != expected)
                disagree |= differ
                if name == "hour" and differ.any():
                    offsets.append((written[differ] - expected[differ]) % 24)
        wrong[split] = np.flatnonzero(disagree)
    total = sum(map(len, wrong.values()))
    quiet = _quietest(by_hour)
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
    elif quiet is not None and (quiet - QUIET_FROM) % 24 > (QUIET_TO - QUIET_FROM) % 24:
        status = "warn"
        sentence += (
            f" The quietest six hours of the day are {quiet:02d}:00 to {(quiet + 6) % 24:02d}:00 there, when people "
            "are usually awake: the timezone may be another."
        )
    yield check(
        "timezone",
        "Timezone",
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


def _quietest(by_hour: np.ndarray) -> int | None:
    """First of the six hours in a row with the fewest rows; None where rows are few or the day has no rhythm."""
    sums = np.array([np.roll(by_hour, -h)[:6].sum() for h in range(24)])
    if by_hour.sum() < 2000 or sums.max() < 2 * sums.min():
        return None
    return int(sums.argmin())
