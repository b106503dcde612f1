"""Do rows come again where nobody would see it: under another user's id, with other times, with one input changed?"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import polars as pl

from mdaf_core.data.audit.base import EXAMPLES, Written
from mdaf_core.data.audit.hashes import among, mixed_hash, shared
from mdaf_core.data.audit.registry import Answer, check
from mdaf_core.data.prepare.order import stable_order
from mdaf_core.data.store.columns import identities
from mdaf_core.data.store.describe import field_word
from mdaf_core.data.store.schema import SPLIT_NAMES, SPLITS, UNKNOWN, Split

_MOST_ROWS = 4_000_000
_RARE = 0.01
"""Chance repeats expected of a stretch of three rows, over all data, below which its repeat is told."""
_MOST_HOLDERS = 12
_FEWEST_SHARED, _SHARED = 3, 0.6
_MOST_KEYS = 300_000
_MOST_INPUTS = 40
_FEWEST_PAIRS = 10
_SAME_LABEL = 0.95
_WITHIN = (60, 600, 3600)
"""Seconds: among rows that come soon after each other, copies stand out from what people see again."""
CHANCE = 1e-6
_LARGEST_GROUP = 5
_GRAVE = 0.01


@check("copied-users", "Rows under another user's id", place=70)
def copied_users(data: Written) -> Answer | None:
    """Users whose rows, in their order, are another's. A stretch of three rows (targets and labels) that is too rare to
    come twice by chance is looked for under other ids; a copy shares most of its stretches with one other user."""
    target = data.role("item") or data.role("category")
    if not (data.meta.has_user and data.meta.has_time and target) or data.total > _MOST_ROWS:
        return None
    rows = _rows(data, target)
    pairs = _sharing(rows)
    across = pairs.filter(pl.col("across"))
    copied = pl.concat([across["one"], across["other"]]).unique()
    later = _part_of_rows(rows, copied)
    share = max(later.values(), default=0.0)
    names = [data.dataset.users[int(user)] for user in pairs[0].row(0)[:2]] if len(pairs) else ["", ""]
    return Answer(
        "fail" if share > _GRAVE else "warn" if len(pairs) else "pass",
        len(pairs),
        f"{len(pairs):,} {'pair' if len(pairs) == 1 else 'pairs'} of users have the same targets and labels in the "
        f"same order, for instance {names[0]!r} and {names[1]!r}"
        + (f"; the rows of such users make up {share:.1%} of a later part, and are in training rows." if share else ".")
        if len(pairs)
        else "No user's stretches of three rows, of those too rare to come twice, are mostly another user's too.",
        later,
        todo="Take the copies out of the input: a model is judged on rows it was trained on.",
        examples=lambda: [
            row
            for user in (pairs["one"][0], pairs["other"][0])
            for row in data.examples({split: _of_user(data, split, user) for split in SPLITS})[: EXAMPLES // 2]
        ],
    )


def _of_user(data: Written, split: Split, user: int) -> np.ndarray:
    return np.flatnonzero(data.rows[split].user == user)[: EXAMPLES // 2]


class _Ordered(NamedTuple):
    """All rows with a known target, by user, then time, (N,) each: `key` is of target and label."""

    user: np.ndarray
    part: np.ndarray
    key: np.ndarray


def _rows(data: Written, target: str) -> _Ordered:
    ids = np.concatenate([identities(data.rows[split].columns, target) for split in SPLITS])
    at = data.by_user[(ids > UNKNOWN)[data.by_user]]
    part = np.repeat(np.arange(len(SPLITS), dtype=np.int8), [len(data.rows[split]) for split in SPLITS])
    return _Ordered(data.whole("user_index")[at], part[at], ids[at].astype(np.int64) * 2 + data.whole("label")[at])


def _sharing(rows: _Ordered) -> pl.DataFrame:
    """Pairs of users (`one`, `other`) that share most of their stretches, and whether these lie in two parts."""
    none = pl.DataFrame(schema={"one": pl.Int32, "other": pl.Int32, "across": pl.Boolean})
    key, user = rows.key, rows.user
    if len(key) < 3:
        return none
    odds = np.log(np.maximum(np.bincount(key), 1) / len(key))[key]
    whole = user[2:] == user[:-2]
    rare = odds[2:] + odds[1:-1] + odds[:-2] + 2 * math.log(len(key)) < math.log(_RARE * len(key))
    at = np.flatnonzero(whole & rare)
    hashes = mixed_hash([key[:-2], key[1:-1], key[2:]])[at]
    again = among(hashes, shared(hashes))  # most come once: whose, nobody asks
    if not len(again):
        return none

    def stretches(chosen: np.ndarray) -> pl.DataFrame:
        columns = {"hash": hashes[chosen], "user": user[at[chosen]].astype(np.int32), "part": rows.part[at[chosen]]}
        return pl.DataFrame(columns)

    held = stretches(again).group_by("hash", "user").agg(first=pl.col("part").min(), last=pl.col("part").max())
    several = held.filter(pl.len().over("hash").is_between(2, _MOST_HOLDERS))
    pairs = several.join(several, on="hash", suffix="_other").filter(pl.col("user") < pl.col("user_other"))
    if pairs.is_empty():
        return none
    both = pairs.group_by(one="user", other="user_other").agg(
        shared=pl.len(),
        across=((pl.col("first") != pl.col("last_other")) | (pl.col("last") != pl.col("first_other"))).any(),
    )
    asked = np.zeros(int(user.max()) + 1, np.bool_)
    asked[both["one"].to_numpy()] = asked[both["other"].to_numpy()] = True
    size = stretches(np.flatnonzero(asked[user[at]])).group_by("user").agg(stretches=pl.col("hash").n_unique())
    both = both.join(size.rename({"user": "one"}), on="one").join(size.rename({"user": "other"}), on="other")
    least = pl.max_horizontal(pl.lit(_FEWEST_SHARED), _SHARED * pl.min_horizontal("stretches", "stretches_right"))
    found = both.filter(pl.col("shared") >= least)
    return found.sort("shared", "one", "other", descending=[True, False, False]).select("one", "other", "across")


def _part_of_rows(rows: _Ordered, users: pl.Series) -> dict[str, float]:
    """By later part, the share of its rows that these users hold."""
    if users.is_empty():
        return {}
    copied = np.isin(rows.user, users.to_numpy())
    shares = {split: copied[rows.part == i].mean() for i, split in enumerate(SPLITS) if i and (rows.part == i).any()}
    return {split: float(share) for split, share in shares.items() if share > 0}


@check("rows-again", "Rows that come again", place=80)
def rows_again(data: Written) -> Answer | None:
    """Rows that share all inputs, or all but one, with another row, and its label, more often than rows of their own.

    Times are left out, and what is made of them. People do see one thing twice, so equal rows alone say nothing; but a
    copy always has its original's label, and rows of their own have not.
    """
    sample = _keyed(data)
    if sample is None:
        return None
    positions, part, label, time, hashes = sample
    whole = np.zeros(len(label), np.uint64)
    for column in hashes.values():
        whole += column
    found: list[tuple[int, str, np.ndarray]] = []
    for left_out in ["", *hashes]:
        key = whole if not left_out else whole - hashes[left_out]
        pairs = _pairs(key)
        for within in _WITHIN if data.meta.has_calendar and not left_out else ():
            near = pairs[time[pairs[:, 1]] - time[pairs[:, 0]] <= within * data.meta.ticks]
            if _copies(near, label):
                found.append((len(near), left_out, near))
        if _copies(pairs, label):
            found.append((len(pairs), left_out, pairs))
        if found and not left_out:
            break
    size, left_out, pairs = max(
        found, key=lambda one: (not one[1], one[0]), default=(0, "", np.empty((0, 2), np.int64))
    )
    across = part[pairs[:, 0]] != part[pairs[:, 1]] if size else np.empty(0, np.bool_)
    shares = {
        split: float(len(np.unique(pairs[across & (part[pairs[:, 1]] == i), 1])) / max(1, int((part == i).sum())))
        for i, split in enumerate(SPLITS)
        if i
    }
    worst = max(shares.values(), default=0.0)
    but = f" but {field_word(left_out)!r}" if left_out else ""
    return Answer(
        "fail" if worst > _GRAVE else "warn" if size else "pass",
        size,
        f"{size:,} rows share all inputs{but} with an earlier row, times apart, and have its label, which rows of "
        f"their own would not: they are copies. Of the {SPLIT_NAMES[max(shares, key=lambda key: shares[key])]} rows, "
        f"{worst:.1%} are copies of rows of an earlier part."
        if size
        else "No rows share all inputs, or all but one, with another row and always its label.",
        shares,
        todo="Take the copies out of the input, or keep all copies of a row in one part.",
        examples=lambda: data.examples(_split(data, positions[pairs[:EXAMPLES].ravel()])),
    )


def _split(data: Written, positions: np.ndarray) -> dict[Split, np.ndarray]:
    """Positions in all parts, one behind the other, as positions by part."""
    found, start = {}, 0
    for split in SPLITS:
        size = len(data.rows[split])
        inside = positions[(positions >= start) & (positions < start + size)]
        found[split], start = np.unique(inside - start), start + size
    return found


def _keyed(data: Written) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, np.ndarray]] | None:
    """Rows to compare, by time: positions, part, label, time, and the hash of each input. Of many rows those of some
    users (or values of the first input), so that all rows of one are there."""
    fields = [field for field in data.meta.fields if field.name not in ("hour", "dayofweek")]
    columns = {field.name: field.name for field in fields if not (field.role == "user" and data.meta.has_user)}
    if data.meta.has_user:
        columns["user"] = "user_index"
    if len(columns) < 2:
        return None

    def whole(name: str) -> np.ndarray:
        return np.concatenate([identities(data.rows[split].columns, name) for split in SPLITS])

    anchor = "user_index" if data.meta.has_user else columns[next(iter(columns))]
    kept = np.arange(data.total)
    if data.total > _MOST_KEYS:
        picked = mixed_hash([whole(anchor)]) % np.uint64(data.total // _MOST_KEYS + 1) == 0
        kept = np.flatnonzero(picked)
    label = whole("label")[kept].astype(np.int64)
    part = np.repeat(np.arange(3), [len(data.rows[split]) for split in SPLITS])[kept]
    time = whole("timestamp")[kept]
    order = np.argsort(time, kind="stable")
    known = np.ones(len(kept), np.bool_)
    hashes: dict[str, np.ndarray] = {}
    for i, (name, column) in enumerate(list(columns.items())[:_MOST_INPUTS]):
        values = whole(column)[kept]
        if values.dtype != np.float32 and column != "user_index":
            known &= values != UNKNOWN  # two unknown ids are not the same
        salt = np.full(len(values), i, np.int64)
        hashes[name] = mixed_hash([salt, values])[order]
    keep = known[order]
    chosen = order[keep]
    return kept[chosen], part[chosen], label[chosen], time[chosen], {name: h[keep] for name, h in hashes.items()}


def _pairs(key: np.ndarray) -> np.ndarray:
    """(P, 2) positions of rows that follow each other among the rows of one key, where these are few: what many rows
    share is common."""
    order = stable_order(key)
    ordered = key[order]
    same = ordered[1:] == ordered[:-1]
    if not same.any():
        return np.empty((0, 2), np.int64)
    group = np.append(0, np.cumsum(~same))
    few = np.bincount(group)[group] <= _LARGEST_GROUP
    at = np.flatnonzero(same & few[1:])
    return np.stack([order[at], order[at + 1]], axis=1)


def _copies(pairs: np.ndarray, label: np.ndarray) -> bool:
    """Whether rows of one key agree in their labels as only copies do: nearly always, of positives and of negatives,
    and more than rows of one positive rate would."""
    if len(pairs) < _FEWEST_PAIRS:
        return False
    one, other = label[pairs[:, 0]], label[pairs[:, 1]]
    base = float(label.mean())
    odds = 0.0
    for value, rate in ((1, base), (0, 1 - base)):
        own = one == value
        if not own.any():
            continue
        agree = float((other[own] == value).mean())
        if agree < _SAME_LABEL:
            return False
        # Of copies that agree, each would have by chance with the rate of its label; those few that do not count back.
        odds += float(own.sum()) * (agree * math.log(max(rate, 1e-9)) + (1 - agree) * math.log(max(1 - rate, 1e-9)))
        odds += float(own.sum()) * _entropy(agree)
    return odds < math.log(CHANCE / _MOST_INPUTS) and int((one == 1).sum()) >= 5


def _entropy(share: float) -> float:
    return -sum(p * math.log(p) for p in (share, 1 - share) if p > 0)
