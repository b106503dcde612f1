"""Was a number made from labels or rows that a model is judged on?

An encoding of ids (the click rate of an item, how often it was shown) is a leak where it was computed over all rows.
No model has to be trained to see it: the labels of the rows of one id scatter about its true rate, and only a number
that was computed from these very labels follows that scatter.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mdaf_core.base.words import listed
from mdaf_core.data.audit.base import Written
from mdaf_core.data.audit.keys import Keys, groups_of_ids, groups_of_values, numbers
from mdaf_core.data.audit.registry import Answer, check
from mdaf_core.data.audit.sample import drawn
from mdaf_core.data.audit.scatter import FEWEST_GROUPS, PRIORS, function_of, inside, scatter
from mdaf_core.data.audit.scores import auc, auc_error
from mdaf_core.data.store.schema import SPLIT_NAMES, SPLITS, Split

_WITHIN = 0.3
"""Share of a number's variance within the rows of one id, up to which it is taken as a property of the id."""
CHANCE = 1e-6
_CLOSER = 0.7
_SEPARATES, _NEXT = 0.9, 0.95
_MOST_STEPS = 1_000_000

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


class _Asked:
    """All that was found out about the numbers of a data set."""

    def __init__(self, data: Written):
        self.columns = numbers(data)
        self.part = np.repeat(np.arange(len(SPLITS), dtype=np.int8), [len(data.rows[split]) for split in SPLITS])
        self.label = data.whole("label")
        self.known: list[Found] = []
        self.within: dict[str, tuple[float, str]] = {}

    def ask(self, name: str, keys: Keys, of_values: bool = False) -> None:
        values = self.columns[name][keys.rows].astype(np.float64)
        there = ~np.isnan(values)
        values, rows, group = values[there], keys.rows[there], keys.group[there]
        if not _of_the_id(values, group):
            return
        part, label = self.part[rows], self.label[rows].astype(np.int64)
        counts = _counts(group, keys.size, part, label)
        chance = CHANCE / (len(self.columns) * 20 * len(PRIORS))
        for split in _OVER:
            over = _knows(values, group, part, counts, split, chance, not of_values)
            if over:
                self.known.append(Found(name, keys.words, split, *over))
        reached = None if of_values else inside(values, group, label)
        if reached is not None and abs(reached - 0.5) > abs(self.within.get(name, (0.5, ""))[0] - 0.5):
            self.within[name] = reached, keys.words

    @property
    def telling(self) -> dict[str, tuple[float, str]]:
        """Numbers that tell the label among rows of one id, though they hardly differ there."""
        return {name: one for name, one in self.within.items() if max(one[0], 1 - one[0]) > _SEPARATES}


@check("encodings", "Numbers computed from labels and rows of ids", place=170)
def encodings(data: Written) -> Answer | None:
    asked = _Asked(data)
    if not asked.columns:
        return None
    by_id, columns = groups_of_ids(data)
    for name, values in asked.columns.items():
        for keys in by_id:
            asked.ask(name, keys)
        for keys in groups_of_values(values, columns):
            asked.ask(name, keys, of_values=True)
    ahead = _label_of_the_next_row(data, asked)
    named = dict.fromkeys([one.field for one in asked.known] + list(asked.telling) + ahead)
    sentence = _sentence(asked, ahead)
    if len(named) > 1:
        sentence += f" So it is with {', '.join(map(repr, list(named)[1:6]))}."
    first = next(iter(named), "")
    return Answer(
        "fail" if named else "pass",
        len(named),
        sentence,
        {f"{name} within {words}": reached for name, (reached, words) in asked.within.items()},
        todo=f"Compute {first!r} from training rows alone, or from the rows before each row.",
        examples=lambda: data.examples({"test": np.arange(min(20, len(data.rows["test"])))}),
    )


def _sentence(asked: _Asked, ahead: list[str]) -> str:
    if asked.known:
        one = asked.known[0]
        over = listed([SPLIT_NAMES[part] for part in one.over])
        if one.what == "click rate":
            return (
                f"The input {one.field!r} is the click rate of each {one.key}, computed over {over} rows: it follows "
                "the chance scatter of their labels, which nothing else can know. "
                f"{SPLIT_NAMES[one.part].capitalize()} rows are told of their own labels."
            )
        return (
            f"The input {one.field!r} counts the {one.what} of each {one.key} over {over} rows: at the time of a "
            f"{SPLIT_NAMES[one.part]} row, later rows were not there to be counted."
        )
    for name, (reached, words) in asked.telling.items():
        return (
            f"Among the rows of one {words}, {name!r} alone tells positives from negatives (AUC "
            f"{max(reached, 1 - reached):.4f}), though it hardly differs there: it was computed with the row's own "
            "label left out, or put in."
        )
    if ahead:
        return f"The input {ahead[0]!r} tells the label of the user's next row: it was computed from later rows."
    return "No number follows the chance scatter of the labels, or the counts, of the validation or test rows of an id."


def _label_of_the_next_row(data: Written, asked: _Asked) -> list[str]:
    """Numbers that alone tell the label of the user's next row almost surely; of many rows, of some of them."""
    if not (data.meta.has_user and data.meta.has_time):
        return []
    step = drawn(len(data.steps.same), _MOST_STEPS)
    step = step[data.steps.same[step] & (data.steps.later[step] > 0)]
    at, after = data.by_user[step], data.by_user[step + 1]
    label = asked.label[after]
    if min(int(label.sum()), len(label) - int(label.sum())) < 20:
        return []
    least = max(_NEXT - 0.5, 5 * auc_error(label))
    return [name for name, values in asked.columns.items() if abs(auc(label, values[at]) - 0.5) > least]


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
    counted: bool,
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
    for row, what in ((0, "rows"), (1, "clicks")) if counted else ():
        if any(function_of(score, over(parts)[row]) for parts in earlier):
            continue
        for parts in _OVER[split]:
            if function_of(score, over(parts)[row]):
                return what, parts
    return None
