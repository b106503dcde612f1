"""Was a number made from labels or rows that a model is judged on?

An encoding of ids (the click rate of an item, how often it was shown) is a leak where it was computed over all rows.
No model has to be trained to see it: the labels of the rows of one id scatter about its true rate, and only a number
that was computed from these very labels follows that scatter.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mdaf_core.data.audit import Check
from mdaf_core.data.checks.base import WORDS, Written, check, mixed_hash
from mdaf_core.data.checks.scatter import FEWEST_GROUPS, PRIORS, function_of, inside, scatter
from mdaf_core.data.describe import field_word
from mdaf_core.data.schema import SPLITS, UNKNOWN, Split

_MOST_ROWS = 400_000
_MOST_NUMBERS, _MOST_KEYS, _MOST_PAIRED = 40, 10, 4
_WITHIN = 0.3
"""Share of a number's variance within the rows of one id, up to which it is taken as a property of the id."""
CHANCE = 1e-6
_CLOSER = 0.7
_SEPARATES = 0.9

Parts = tuple[Split, ...]
_OVER: dict[Split, tuple[Parts, ...]] = {
    "val": (("train", "val"), ("train", "val", "test"), ("val",)),
    "test": (("train", "val", "test"), ("train", "test"), ("val", "test"), ("test",)),
}
"""Rows that an input of a part's rows must not have been computed over. Earlier rows it may know."""


class Found(NamedTuple):
    field: str
    key: str
    part: Split
    what: str
    over: Parts


class Keys:
    """Groups of rows of one id, or of a pair of ids, in a sample that holds groups whole.

    Attributes:
        group: (N,) from 0 on; size: groups; rows: (N,) positions in all rows.
    """

    def __init__(self, columns: list[np.ndarray], known: np.ndarray):
        hashes = mixed_hash(columns)
        share = int(known.sum()) // _MOST_ROWS + 1
        self.rows = np.flatnonzero(known & (hashes % np.uint64(share) == 0))
        _, self.group = np.unique(hashes[self.rows], return_inverse=True)
        self.size = int(self.group.max(initial=-1)) + 1


def encodings(data: Written) -> Iterator[Check]:
    numbers = data.meta.numeric[:_MOST_NUMBERS]
    if not numbers:
        return
    part = np.repeat(np.arange(len(SPLITS)), [len(data.rows[split]) for split in SPLITS])
    label = _whole(data, "label").astype(np.int64)
    columns = {name: _whole(data, name) for name in numbers}
    found: list[Found] = []
    within: dict[str, tuple[float, str]] = {}
    tests = len(numbers) * 15 * len(PRIORS)
    for words, keys in _keys(data):
        for name in numbers:
            values = columns[name][keys.rows].astype(np.float64)
            there = ~np.isnan(values)
            if not _of_the_id(values[there], keys.group[there]):
                continue
            rows, group = keys.rows[there], keys.group[there]
            counts = _counts(group, keys.size, part[rows], label[rows])
            for split in ("val", "test"):
                over = _knows(values[there], group, part[rows], counts, split, CHANCE / tests)  # type: ignore[arg-type]
                if over:
                    found.append(Found(name, words, split, *over))  # type: ignore[arg-type]
            reached = inside(values[there], group, label[rows])
            if reached is not None and abs(reached - 0.5) > abs(within.get(name, (0.5, ""))[0] - 0.5):
                within[name] = reached, words
    telling = {name: one for name, one in within.items() if max(one[0], 1 - one[0]) > _SEPARATES}
    named = dict.fromkeys([one.field for one in found] + list(telling))
    sentence = (
        "No number follows the chance scatter of the labels, or the counts, of the validation or test rows of an id."
    )
    if found:
        one = found[0]
        sentence = (
            f"The input {one.field!r} is the {one.what} of each {one.key}, computed over {_listed(one.over)} rows: it "
            f"follows their chance scatter, which nothing else can know. {WORDS[one.part].capitalize()} rows tell it "
            "of their own labels."
            if one.what == "click rate"
            else f"The input {one.field!r} counts the {one.what} of each {one.key} over {_listed(one.over)} rows: at "
            f"the time of a {WORDS[one.part]} row, later rows were not there to be counted."
        )
    elif telling:
        name, (reached, words) = next(iter(telling.items()))
        sentence = (
            f"Among the rows of one {words}, {name!r} alone tells positives from negatives (AUC "
            f"{max(reached, 1 - reached):.4f}), though it hardly differs there: it was computed with the row's own "
            "label left out, or put in."
        )
    if len(named) > 1:
        sentence += f" So it is with {', '.join(map(repr, list(named)[1:6]))}."
    first = next(iter(named), "")
    yield check(
        "encodings",
        "Numbers computed from labels and rows of ids",
        "fail" if found or telling else "pass",
        len(named),
        sentence,
        {f"{name} within {words}": reached for name, (reached, words) in within.items()},
        todo=f"Compute {first!r} from training rows alone, or from the rows before each row.",
        examples=lambda: data.examples({"test": np.arange(20)}),
    )


def _listed(parts: Parts) -> str:
    words = [WORDS[part] for part in parts]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _whole(data: Written, name: str) -> np.ndarray:
    return np.concatenate([data.rows[split].columns[name] for split in SPLITS])


def _keys(data: Written) -> Iterator[tuple[str, Keys]]:
    """Ids and pairs of ids, those of users, items and categories before others; and each of them on one local day."""
    roles = {"item": 0, "user": 1, "category": 2, "context": 3}
    fields = sorted(
        (field for field in data.categorical if field.name not in ("hour", "dayofweek")), key=lambda f: roles[f.role]
    )
    columns: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for field in fields[:_MOST_KEYS]:
        if field.role == "user" and data.meta.has_user:
            continue
        codes = _whole(data, field.name)
        columns[field_word(field.name)] = codes, codes > UNKNOWN
    if data.meta.has_user:
        users = _whole(data, "user_index")
        columns = {"user": (users, users >= 0)} | columns
    for name, (codes, known) in columns.items():
        yield name, Keys([codes], known)
    paired = list(columns)[:_MOST_PAIRED]
    if data.meta.has_time:
        day = data.meta.seconds(_whole(data, "timestamp")) // 86400
        columns["day"] = day, np.ones(len(day), np.bool_)
        paired.append("day")
    for i, one in enumerate(paired):
        for other in paired[i + 1 :]:
            (codes, known), (more, too) = columns[one], columns[other]
            yield f"{one} and {other}", Keys([codes, more], known & too)


def _of_the_id(values: np.ndarray, group: np.ndarray) -> bool:
    """Whether numbers hardly differ among the rows of an id, but between ids."""
    if len(values) < 2 * FEWEST_GROUPS:
        return False
    values = values - values.mean()
    rows = np.bincount(group)
    sums = np.bincount(group, values)
    many = rows >= 2
    if int(many.sum()) < FEWEST_GROUPS:
        return False
    total = np.bincount(group, values**2)
    inside = float((total[many] - sums[many] ** 2 / rows[many]).sum()) / float((rows[many] - 1).sum())
    all_of_it = float(values.var())
    return all_of_it > 0 and inside <= _WITHIN * all_of_it


def _counts(group: np.ndarray, size: int, part: np.ndarray, label: np.ndarray) -> dict[Split, np.ndarray]:
    """By part, (2, G) rows and positives of each group."""
    found = {}
    for i, split in enumerate(SPLITS):
        own = part == i
        found[split] = np.stack([np.bincount(group[own], minlength=size), np.bincount(group[own], label[own], size)])
    return found


def _knows(
    values: np.ndarray,
    group: np.ndarray,
    part: np.ndarray,
    counts: dict[Split, np.ndarray],
    split: Split,
    chance: float,
) -> tuple[str, Parts] | None:
    """What of which rows the numbers of a part's rows were computed from, where they may not know them."""
    own = part == SPLITS.index(split)
    size = counts[split].shape[1]
    rows = np.bincount(group[own], minlength=size)
    chosen = np.flatnonzero(rows)
    if len(chosen) < FEWEST_GROUPS:
        return None
    score = np.bincount(group[own], values[own], size)[chosen] / rows[chosen]
    if score.std() == 0:
        return None

    def over(parts: Parts) -> np.ndarray:
        return np.sum([counts[one] for one in parts], axis=0)[:, chosen]

    earlier: tuple[Parts, ...] = (("train",),) if split == "val" else (("train",), ("train", "val"))
    allowed = min(scatter(score, over(parts)[0], over(parts)[1], chance)[0] for parts in earlier)
    best, closest = None, np.inf
    for parts in _OVER[split]:
        ratio, improbable = scatter(score, over(parts)[0], over(parts)[1], chance)
        if improbable and ratio < min(_CLOSER * allowed, closest):
            best, closest = parts, ratio
    if best:
        return "click rate", best
    for row, what in ((0, "rows"), (1, "clicks")):
        if any(function_of(score, over(parts)[row]) for parts in earlier):
            continue
        for parts in _OVER[split]:
            if function_of(score, over(parts)[row]):
                return what, parts
    return None
