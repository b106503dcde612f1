"""Does one user hold much of the data, and is the label a property of a group of rows rather than of each?"""

from __future__ import annotations

import numpy as np

from mdaf_core.data.audit.base import Written
from mdaf_core.data.audit.registry import Answer, check
from mdaf_core.data.store.counts import occurrences, tally
from mdaf_core.data.store.describe import field_word
from mdaf_core.data.store.sample import CONCENTRATED, sample_of_counts
from mdaf_core.data.store.schema import EVALUATED, SPLIT_NAMES, SPLITS, UNKNOWN, Split

_ONE_LABEL = 0.1
_FEWEST_GROUPS, _FEWEST_LABELS = 20, 20


@check("concentrated-users", "Rows of one user", place=240)
def concentrated_users(data: Written) -> Answer | None:
    """A part's rows that one user holds, and how many users of equal weight the part is worth (Kish 1965)."""
    if not data.meta.has_user:
        return None
    details: dict[str, float] = {}
    found: list[tuple[bool, float, Split, int, float]] = []
    for split in SPLITS:
        user = data.rows[split].user
        if not len(user):
            continue
        count = occurrences(user, 1 + int(user.max()))
        sample, largest = sample_of_counts(count), int(count.argmax())
        share, effective = sample.largest_user or 1.0, sample.effective_users or 1.0
        details |= {f"{split} largest share": share, f"{split} effective users": effective}
        equal = len(user) / (sample.users or 1)  # of few users each has much, and of few rows some more by chance
        apart = share >= CONCENTRATED and count[largest] > 1.5 * equal + 4 * equal**0.5
        found.append((apart, share, split, largest, effective))
    if not found:
        return None
    concentrated, share, split, largest, effective = max(found)
    raw = data.dataset.users[largest]
    words = (
        f"User {raw!r} holds {share:.1%} of the {SPLIT_NAMES[split]} rows, which are worth {effective:,.1f} equal users"
    )
    return Answer(
        "warn" if concentrated else "pass",
        share,
        words + (": metrics and intervals hang on this one." if concentrated else ", the largest share."),
        details,
        todo="Crawlers, shared devices and ids that stand for an unknown user look like that. If it is no person, take "
        "its rows out of the input; else say so beside results.",
        examples=lambda: data.examples({split: np.flatnonzero(data.rows[split].user == largest)}),
    )


@check("one-label-groups", "Labels within groups", place=200)
def one_label_groups(data: Written) -> Answer | None:
    """Users, sessions, items whose rows all have one label: the share of the labels' variance that lies within groups
    (analysis of variance), which is 1 where labels are drawn row by row at one rate."""
    columns = {field.name: field.name for field in data.categorical if field.role != "user"}
    if data.meta.has_user:
        columns = {"user": "user_index"} | columns
    shares: dict[str, float] = {}
    found: list[tuple[str, tuple[Split, ...]]] = []
    parts: tuple[tuple[str, tuple[Split, ...]], ...] = (
        ("training", ("train",)),
        ("validation and test", EVALUATED),
    )
    for name, column in columns.items():
        for words, splits in parts:
            codes = np.maximum(np.concatenate([data.rows[split].columns[column] for split in splits]), 0)
            label = np.concatenate([data.rows[split].label for split in splits])
            within = _within(codes, label, 0 if column == "user_index" else UNKNOWN + 1)
            if within is None:
                continue
            shares[f"{words} {name}"] = within
            if within < _ONE_LABEL:
                found.append((name, splits))
    worst = min(shares, key=lambda key: shares[key], default=None)
    if worst is None:
        return None
    sentence = (
        f"Rows that share an id have both labels; least so by {field_word(worst.rpartition(' ')[2])}, where "
        f"{shares[worst]:.0%} of the variance of labels lies within groups."
    )
    if found:
        where = next(words for words, splits in parts if splits == found[0][1])
        name = found[0][0]
        sentence = (
            f"Almost all {where} rows of one {field_word(name)} have one label ({shares[f'{where} {name}']:.1%} of the "
            "variance of labels lies within): the label is said of the group, not of the row, and one row of it gives "
            "the others away."
        )
    return Answer(
        "warn" if found else "pass",
        shares[worst],
        sentence,
        shares,
        todo="See how labels were made. If they are meant so, split whole groups apart and say so beside results.",
        examples=lambda: data.examples({split: np.arange(10) for split in found[0][1]}),
    )


def _within(codes: np.ndarray, label: np.ndarray, first: int) -> float | None:
    """Share of the labels' variance within groups of two rows and more; None where there are too few to tell."""
    rows, positives = tally(codes, label, 1 + int(codes.max(initial=0)))
    rows[:first] = 0
    many = rows >= 2
    n, k = rows[many].astype(np.float64), positives[many]
    freedom = float((n - 1).sum())
    if len(n) < _FEWEST_GROUPS or min(k.sum(), (n - k).sum()) < _FEWEST_LABELS or freedom < 2 * _FEWEST_GROUPS:
        return None
    rate = k.sum() / n.sum()
    return float((k - k * k / n).sum() / freedom / (rate * (1 - rate)))
