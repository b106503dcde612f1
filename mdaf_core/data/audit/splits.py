"""Do the parts follow each other, and share no row?"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from mdaf_core.data.audit.base import EXAMPLES, Written, rows_text
from mdaf_core.data.audit.registry import Answer, check
from mdaf_core.data.store.schema import SPLITS, Split

_FEWEST_TO_JUDGE = 20
_QUANTILES = 1000
_BUT_CHANCE = ", but for what chance explains"


@check("random-split", "Random split", place=40)
def random_split(data: Written) -> Answer | None:
    if data.once(_kind) != "random":
        return None
    given = data.meta.split.get("kind") == "given"
    said = (
        "The given test rows lie in time as rows drawn at random from all would"
        if given
        else "Rows were assigned to the parts at random"
    )
    return Answer(
        "warn",
        1,
        f"{said}: results say how well a model fills gaps in the past, not how well it predicts.",
        todo="Use it only to reproduce work that did so; else split by time.",
    )


def _kind(data: Written) -> str:
    """The kind of split; of given parts the one they look like: random, leave-last-out, or given still."""
    kind = str(data.meta.split.get("kind", "unknown"))
    if kind != "given" or not data.meta.has_time:
        return kind
    if _drawn_from_all(data):
        return "random"
    last_of_users = data.meta.has_user and not any(map(len, data.once(_interleaved)[0].values()))
    return "leave-last-out" if last_of_users else kind


def _drawn_from_all(data: Written) -> bool:
    """Whether the test rows' times are distributed as those of the rows before them (Kolmogorov and Smirnov's distance,
    at the thousandth level)."""
    made = "validation" in data.meta.split  # of training rows
    earlier = [data.rows[split].timestamp for split in (("train", "val") if made else ("train",))]
    test = data.rows["test"].timestamp
    size = sum(map(len, earlier))
    if min(size, len(test)) < _FEWEST_TO_JUDGE:
        return False
    at = test[np.linspace(0, len(test) - 1, _QUANTILES).astype(np.int64)]  # parts are in order of time
    distances = [
        sum(np.searchsorted(times, at, side) for times in earlier) / size - np.searchsorted(test, at, side) / len(test)
        for side in ("left", "right")
    ]
    return bool(np.abs(distances).max() < max(0.01, 1.95 * np.sqrt(1 / size + 1 / len(test))))


@check("split-times", "Order of the parts in time", place=41)
def split_times(data: Written) -> Answer:
    kind = data.once(_kind)
    if kind == "given" and not data.meta.has_time:
        return Answer(
            "warn",
            0,
            "Rows carry no time: nothing says whether the given parts follow each other in time or were drawn at "
            "random.",
            todo="Look up how the publisher parted them, and say so beside results.",
            title="Order of the given parts",
        )
    found: dict[Split, np.ndarray] = {}
    latest = np.iinfo(np.int64).min
    for split in SPLITS:
        timestamp = data.rows[split].timestamp
        found[split] = np.flatnonzero(timestamp <= latest)
        latest = max(latest, int(timestamp.max(initial=latest)))
    overlap = sum(map(len, found.values()))
    chronological = kind not in ("random", "leave-last-out")
    timed = data.meta.has_time
    what = "lie" if timed else "lie, in file order,"
    in_order = "Every validation row is later than all training rows, every test row later than all validation rows."
    if not timed:
        in_order = (
            "Rows carry no time. In the file, every validation row comes after all training rows and every test row "
            "after all validation rows; whether the file is in order of time, nothing says."
        )
    elif not data.meta.has_calendar:
        in_order += " Later is what the input's own order says: it is no calendar."
    return Answer(
        "pass" if not overlap else "fail" if chronological else "warn",
        overlap,
        f"{overlap:,} validation or test rows {what} before the end of an earlier part"
        + ("." if chronological else f", as a split of kind {kind!r} allows: trends leak between the parts.")
        if overlap
        else in_order,
        {split: float(len(rows)) for split, rows in found.items()},
        todo="Split by time, unless you reproduce work that did not.",
        examples=lambda: data.examples(found),
        title="" if timed else "Order of the parts in the file",
    )


@check("user-interleaved", "Order of a user's rows", place=50)
def interleaved(data: Written) -> Answer | None:
    if not (data.meta.has_user and data.meta.has_time):
        return None
    found, latest = data.once(_interleaved)

    def later(split: Split, at: np.ndarray) -> dict[str, Any]:
        return {"a row in an earlier part at": data.local(latest[data.rows[split].user[at]])}

    count = len(np.unique(np.concatenate([data.rows[split].user[at] for split, at in found.items()])))
    return Answer(
        "fail" if count else "pass",
        count,
        f"{count:,} users have rows in an earlier part that happened after rows of a later part: a model is judged on "
        "a user's past after it learned from that user's future."
        if count
        else "No user has a row in an earlier part that happened after one in a later part.",
        todo="Split by time or leave the last rows out, unless you reproduce work that did not.",
        examples=lambda: data.examples(found, later),
    )


def _interleaved(data: Written) -> tuple[dict[Split, np.ndarray], np.ndarray]:
    """Positions of rows that happened before a row of their user in an earlier part; each user's last time."""
    latest = np.full(1 + max(int(rows.user.max(initial=0)) for rows in data.rows.values()), np.iinfo(np.int64).min)
    found: dict[Split, np.ndarray] = {}
    for split in SPLITS:
        rows = data.rows[split]
        found[split] = np.flatnonzero(rows.timestamp < latest[rows.user])
        np.maximum.at(latest, rows.user, rows.timestamp)
    return found, latest


@check("rows-across-splits", "Rows in two parts", place=60)
def rows_across_splits(data: Written) -> Answer:
    shared = _repeated([rows.row_id for rows in data.rows.values()])
    across = _counted(data).filter(pl.col("parts") > 1)
    total = max(shared, len(across))
    alike = "" if data.told_apart else " (the same in all inputs, too many for chance)"
    return Answer(
        "fail" if shared or (total and data.told_apart) else "warn" if total else "pass",
        total,
        f"{rows_text(total, 'is', 'are')} in more than one part{alike}: a model is judged on rows it was trained on."
        if total
        else "No two rows of different parts share the number of their line"
        + (", or user, time, inputs and label." if data.told_apart else f"; none share all inputs{_BUT_CHANCE}."),
        todo="Remove repeated rows from the input, or split by time so that rows of one moment stay together.",
        examples=lambda: data.examples(_positions(across) if len(across) else _same_row_id(data)),
    )


@check("duplicate-rows", "Duplicate rows", place=61)
def duplicate_rows(data: Written) -> Answer:
    inside = _counted(data).filter((pl.col("rows") > 1) & (pl.col("parts") == 1))
    again = inside.filter(~pl.struct(_everything(data)).is_first_distinct()) if len(inside) else inside
    same = "same user, time, inputs" if data.told_apart else "the same in all inputs, too many for chance"
    return Answer(
        "warn" if len(again) else "pass",
        len(again),
        f"{rows_text(len(again), 'repeats', 'repeat')} another row of the part ({same} and label)."
        if len(again)
        else "No two rows of a part share user, time, inputs and label."
        if data.told_apart
        else f"No two rows of a part share all inputs and the label{_BUT_CHANCE}.",
        todo="If they are one event written twice, remove the copies from the input.",
        examples=lambda: data.examples(_positions(inside)),
    )


@check("contradicting-rows", "Contradicting labels", place=62)
def contradicting_rows(data: Written) -> Answer:
    target = [name for name in data.repeats.columns if name in ("user", "time") or name.startswith("target_")]
    contradicting = data.repeats.filter(pl.col("label").n_unique().over(target) > 1)
    shares = "user, time and target" if data.told_apart else "all inputs, too many for chance,"
    return Answer(
        "warn" if len(contradicting) else "pass",
        len(contradicting),
        f"{len(contradicting):,} rows share {shares} with a row of the other label: no model can get both right."
        if len(contradicting)
        else "No two rows of one user, time and target have different labels."
        if data.told_apart
        else f"No two rows of the same inputs have different labels{_BUT_CHANCE}.",
        todo="Decide which of them counts (usually the click) and remove the others from the input.",
        examples=lambda: data.examples(_positions(contradicting)),
    )


def _everything(data: Written) -> list[str]:
    """Columns in which a row and its repetition are equal."""
    return [name for name in data.repeats.columns if name not in ("split", "at")]


def _counted(data: Written) -> pl.DataFrame:
    """`Written.repeats` with how many `rows` are equal, and in how many `parts`."""
    same = _everything(data)
    return data.repeats.with_columns(rows=pl.len().over(same), parts=pl.col("split").n_unique().over(same))


def _positions(repeats: pl.DataFrame) -> dict[Split, np.ndarray]:
    """Positions by split of the first repeated rows, those that belong together side by side."""
    first = repeats.sort("user", "time")[:EXAMPLES] if "user" in repeats.columns else repeats
    return {split: first.filter(pl.col("split") == split)["at"].to_numpy() for split in SPLITS}


def _same_row_id(data: Written) -> dict[Split, np.ndarray]:
    """Positions of rows whose `row_id` another row has too."""
    ids = pl.Series(np.concatenate([rows.row_id for rows in data.rows.values()]))
    double = ids.filter(ids.is_duplicated())
    return {split: np.flatnonzero(np.isin(rows.row_id, double)) for split, rows in data.rows.items()}


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
