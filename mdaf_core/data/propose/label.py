"""Which column is the label, from names and values: told from a guess, and said where there is none."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import polars as pl

from mdaf_core.data.propose import words
from mdaf_core.data.propose.look import Look
from mdaf_core.data.propose.proposal import Proposal

Find = Callable[[Sequence[str], Callable[[Look], bool]], str | None]
"""The column with the first of some names, among those that suit."""


def find_label(plain: dict[str, Look], proposal: Proposal, find: Find) -> None:
    """Propose the label, and take its column out of `plain`; without one the proposal cannot be run."""
    if not any(way(plain, proposal, find) for way in (_named, _in_words, _ratings, _action, _only_binary)):
        _none(plain, proposal, find)


def _take(plain: dict[str, Look], proposal: Proposal, name: str, why: str) -> bool:
    proposal.take("label", name, why)
    plain.pop(name)
    return True


def _named(plain: dict[str, Look], proposal: Proposal, find: Find) -> bool:
    name = find(words.LABELS, lambda look: look.is_binary or look.is_signed)
    if name is None:
        return False
    look = plain[name]
    if look.distinct == 1:
        proposal.findings.append(f"{name} holds one value only in the first {look.rows:,} rows.")
    held = "1 and -1, of which 1 is positive" if look.is_signed else "0 and 1"
    return _take(plain, proposal, name, f"by its name, and it holds {held}")


def _ratings(plain: dict[str, Look], proposal: Proposal, find: Find) -> bool:
    name = find(words.RATINGS, lambda look: look.numbers is not None)
    if name is None:
        return False
    look = plain[name]
    if look.is_binary:
        proposal.findings.append(f"{name} holds 0 and 1 alone: it is taken as the label as it is, not as stars.")
        return _take(plain, proposal, name, "by its name; it holds 0 and 1, no stars")
    highest = float(look.numbers.max())  # type: ignore[union-attr, arg-type]
    if highest > 10:
        return False
    scale = 5 if highest <= 5 else 10
    proposal.take("positive_from", 0.8 * scale, f"stars of one to {'five' if scale == 5 else 'ten'}: a guess")
    return _take(plain, proposal, name, "by its name, and it holds ratings")


def _in_words(plain: dict[str, Look], proposal: Proposal, _find: Find) -> bool:
    """A column named like an outcome that holds two words of which one says yes and one no: Yes and No."""
    told = words.AFTER.union(words.LABELS, ("outcome",))
    for name, look in plain.items():
        if look.numbers is None and not look.is_binary and look.distinct == 2 and told.intersection(look.tokens):
            positive, others = _stands_for(look)
            if positive and others and all(_folded(value) in words.STANDS_FOR["negative"] for value in others):
                return _guess(plain, proposal, name, positive, others, "its name and its two words")
    return False


def _action(plain: dict[str, Look], proposal: Proposal, find: Find) -> bool:
    """A column of what was done, in words: what is more than looking is positive."""
    name = find(words.ACTIONS, lambda look: look.numbers is None and 2 <= look.distinct <= 12)
    if name is None:
        return False
    positive, others = _stands_for(plain[name])
    return bool(positive and others) and _guess(plain, proposal, name, positive, others, "what was done")


def _guess(
    plain: dict[str, Look], proposal: Proposal, name: str, positive: list[str], others: list[str], why: str
) -> bool:
    proposal.take("positive_values", positive, f"against {', '.join(others)}: a guess")
    proposal.findings.append(
        f"The label is a guess: {name} holds {', '.join(positive)}, taken as positive, and {', '.join(others)}, taken "
        "as negative."
    )
    return _take(plain, proposal, name, why)


def _stands_for(look: Look) -> tuple[list[str], list[str]]:
    """The values that say that something was done, and the others."""
    values = look.text.unique().sort().to_list()
    positive = [value for value in values if _folded(value) in words.STANDS_FOR["positive"]]
    return positive, [value for value in values if value not in positive]


def _folded(value: str) -> str:
    return re.sub(r"[\W_]+", "", value.lower())


def _only_binary(plain: dict[str, Look], proposal: Proposal, find: Find) -> bool:
    if _named_otherwise(find) is not None:
        return False  # a guess beside a column that is called the label would be wrong
    two = [name for name, look in plain.items() if (look.is_binary or look.is_signed) and look.distinct == 2]
    likely = [name for name in two if not words.STATES.intersection(plain[name].tokens)]
    likely = [name for name in likely if words.AFTER.intersection(plain[name].tokens)] or likely
    if len(likely) != 1:
        return False
    proposal.findings.append(
        f"The label is a guess: {likely[0]} is the only column of two values that may be one, and its name does not "
        "say so."
    )
    return _take(plain, proposal, likely[0], "the only column of two values: a guess")


def _named_otherwise(find: Find) -> str | None:
    """A column that is called the label and holds two other values than 0 and 1."""
    return find(words.LABELS, lambda look: look.distinct == 2)


def _none(plain: dict[str, Look], proposal: Proposal, find: Find) -> None:
    name = _named_otherwise(find)
    counts = find(words.LABELS, lambda look: look.is_whole and look.distinct > 2)
    if counts is not None:
        numbers = plain[counts].text.cast(pl.Float64).to_list()
        proposal.findings.insert(
            0,
            f"{counts} is called the label and holds numbers from {min(numbers):g} to {max(numbers):g}: set "
            f"label={counts} and positive_from to the smallest that is positive (of counts of clicks, 1).",
        )
        proposal.left_out[counts] = "the label, once positive_from is set"
        plain.pop(counts)
    elif name is not None:
        first, second = plain[name].text.unique().sort().to_list()
        proposal.findings.insert(
            0,
            f"{name} is called the label and holds {first} and {second}, which do not say which of them is positive: "
            f"set label={name} and positive_values to that one.",
        )
        proposal.left_out[name] = "the label, once positive_values is set"
        plain.pop(name)
    else:
        two = [name for name, look in plain.items() if look.distinct == 2]
        shown = [f"{name} ({', '.join(plain[name].text.unique().sort().to_list())})" for name in two[:10]]
        more = f" Columns of two values: {', '.join(shown)}." if two else ""
        proposal.findings.insert(
            0,
            f"No label was found: no column of zeros and ones is named like one.{more} Set label to its column (and "
            "positive_from or positive_values, where it holds other values).",
        )
    proposal.runs = False
