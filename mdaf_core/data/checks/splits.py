"""Do the parts follow each other, and share no row?"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import polars as pl

from mdaf_core.data.audit import Check
from mdaf_core.data.checks.base import Written, check, rows_text
from mdaf_core.data.schema import SPLITS


def splits(data: Written) -> Iterator[Check]:
    kind = data.meta.split.get("kind", "unknown")
    if kind == "random":
        yield check(
            "random-split",
            "Random split",
            "warn",
            1,
            "Rows were assigned to the parts at random: results say how well a model fills gaps in the past, not how "
            "well it predicts. Use it only to reproduce work that did so.",
        )
    spans = {split: (int(r.timestamp.min()), int(r.timestamp.max())) for split, r in data.rows.items() if len(r)}
    latest, overlap = -math.inf, 0
    for split in SPLITS:
        if split in spans:
            overlap += int((data.rows[split].timestamp <= latest).sum())
            latest = max(latest, spans[split][1])
    chronological = kind in ("time", "last-day")
    what = "lie" if data.meta.has_time else "lie, in file order,"
    yield check(
        "split-times",
        "Parts follow each other in time",
        "pass" if not overlap else "fail" if chronological else "warn",
        overlap,
        f"{overlap:,} validation or test rows {what} before the end of an earlier part"
        + ("." if chronological else f", as a split of kind {kind!r} allows: trends leak between the parts.")
        if overlap
        else "Every validation row is later than all training rows, every test row later than all validation rows.",
    )


def interleaved(data: Written) -> Iterator[Check]:
    if not (data.meta.has_user and data.meta.has_time):
        return
    users = 1 + max(int(rows.user.max(initial=0)) for rows in data.rows.values())
    latest = np.full(users, np.iinfo(np.int64).min)
    mixed = np.zeros(users, bool)
    for split in SPLITS:
        rows = data.rows[split]
        mixed[rows.user[rows.timestamp < latest[rows.user]]] = True
        np.maximum.at(latest, rows.user, rows.timestamp)
    count = int(mixed.sum())
    yield check(
        "user-interleaved",
        "A user's rows in order",
        "fail" if count else "pass",
        count,
        f"{count:,} users have rows in an earlier part that happened after rows of a later part: a model is judged on "
        "a user's past after it learned from that user's future."
        if count
        else "No user has a row in an earlier part that happened after one in a later part.",
    )


def repeated_rows(data: Written) -> Iterator[Check]:
    shared = _repeated([rows.row_id for rows in data.rows.values()])
    across = inside = 0
    told_apart = data.meta.has_user and data.meta.has_time
    if told_apart:
        repeats = data.repeats
        everything = [name for name in repeats.columns if name != "split"]
        groups = repeats.group_by(everything).agg(rows=pl.len(), parts=pl.col("split").n_unique())
        across = int(groups.filter(pl.col("parts") > 1)["rows"].sum())
        inside = int((groups.filter((pl.col("rows") > 1) & (pl.col("parts") == 1))["rows"] - 1).sum())
    total = max(shared, across)
    yield check(
        "rows-across-splits",
        "No row in two parts",
        "fail" if total else "pass",
        total,
        f"{rows_text(total, 'is', 'are')} in more than one part: a model is judged on rows it was trained on."
        if total
        else "No row of one part is also in another.",
    )
    if not told_apart:
        return
    yield check(
        "duplicate-rows",
        "Duplicate rows",
        "warn" if inside else "pass",
        inside,
        f"{rows_text(inside, 'repeats', 'repeat')} another row of the part (same user, time, inputs and label)."
        if inside
        else "No row of a part repeats another.",
    )
    target = [name for name in data.repeats.columns if name in ("user", "time") or name.startswith("target_")]
    groups = data.repeats.group_by(target).agg(rows=pl.len(), labels=pl.col("label").n_unique())
    contradicting = int(groups.filter(pl.col("labels") > 1)["rows"].sum())
    yield check(
        "contradicting-rows",
        "Contradicting labels",
        "warn" if contradicting else "pass",
        contradicting,
        f"{contradicting:,} rows share user, time and target with a row of the other label: no model can get both "
        "right."
        if contradicting
        else "No two rows of one user, time and target have different labels.",
    )


def _repeated(ids: list[np.ndarray]) -> int:
    """How many of the ids in some arrays occurred before."""
    size = sum(len(part) for part in ids)
    low, high = min(int(part.min(initial=0)) for part in ids), max(int(part.max(initial=0)) for part in ids)
    if low < 0 or high > 4 * size:
        return size - len(np.unique(np.concatenate(ids)))
    seen = np.zeros(high + 1, bool)
    for part in ids:
        seen[part] = True
    return size - int(seen.sum())
