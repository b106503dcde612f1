"""What the input was like, and how much of it training does not know."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np

from mdaf_core.data.audit import Check
from mdaf_core.data.checks.base import Written, check
from mdaf_core.data.schema import UNKNOWN


def unseen(data: Written) -> Iterator[Check]:
    if data.meta.has_user:
        train = data.rows["train"].user
        users = 1 + max(int(rows.user.max(initial=0)) for rows in data.rows.values())
        known = np.zeros(users, bool)
        known[train] = True
        shares = {split: float((~known[data.rows[split].user]).mean()) for split in ("val", "test")}
        yield _unseen_check("unseen-users", "Unseen users", "user", shares)
    item = data.role("item")
    if item:
        shares = {split: float((data.rows[split].columns[item] == UNKNOWN).mean()) for split in ("val", "test")}
        yield _unseen_check("unseen-items", "Unseen items", item, shares)


def _unseen_check(id: str, title: str, what: str, shares: dict[str, float]) -> Check:
    many = max(shares.values()) > 0.5
    article = "an" if what[0] in "aeio" else "a"
    return check(
        id,
        title,
        "warn" if many else "pass",
        shares["val"],
        f"{shares['val']:.1%} of validation rows and {shares['test']:.1%} of test rows have {article} {what} that "
        "training does not know" + (": its embedding says nothing about most of them." if many else "."),
        shares,
    )


def input_notes(data: Written) -> Iterator[Check]:
    meta = data.meta
    if meta.window is not None:
        inside = {
            split: int(((rows.timestamp < meta.window[0]) | (rows.timestamp >= meta.window[1])).sum())
            for split, rows in data.rows.items()
        }
        kept = sum(inside.values())
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
        yield check("timestamps-in-window", "Stated period", "warn" if number else "pass", number, sentence)
    if meta.skipped_rows:
        share = meta.skipped_rows / (meta.skipped_rows + data.total)
        yield check(
            "skipped-rows",
            "Skipped input",
            "warn",
            meta.skipped_rows,
            f"{meta.skipped_rows:,} input lines could not be read and were left out on request ({share:.2%}).",
        )
    else:
        yield check("skipped-rows", "Skipped input", "pass", 0, "No input line was skipped.")
    if meta.notes:
        yield check("input-notes", "Notes on the input", "warn", len(meta.notes), " ".join(meta.notes))
    if meta.has_time:
        yield check(
            "timezone",
            "Timezone",
            "pass",
            None,
            f"Hours, weekdays and days are taken in {meta.timezone}"
            + (", which is assumed: the data does not state it." if meta.timezone_assumed else "."),
        )
