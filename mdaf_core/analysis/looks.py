"""The comparison of two configurations at every look, where seeds are added until it is decided."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mdaf_core.analysis.compared import ComparedConfiguration, StudyComparison
from mdaf_core.analysis.sampling import row_sampling
from mdaf_core.analysis.sequential import ALPHA, FUTILE, Look, UntilDecided, chance_to_decide, smallest
from mdaf_core.analysis.significance import BP, Difference, difference, equivalence, half_width, seed_component
from mdaf_core.data.store.schema import Split
from mdaf_core.runs.tracking import RunRecord

WORDS = ("better", "worse", "parity")


def look_again(
    entry: ComparedConfiguration,
    until: UntilDecided,
    pairs: Sequence[tuple[RunRecord, RunRecord]],
    split: Split,
    metric: str,
    margin_bp: float | None,
    over_items: bool,
) -> None:
    """Put what holds at every look in the place of the last look's p values and interval.

    Args:
        entry: with its differences over all `pairs`, runs of it and of the reference in the order of the looks.
    """
    values = list(entry.seed_differences.values())
    for n in range(until.first, len(pairs) + 1):
        shared = row_sampling(pairs[:n], split, metric, over_items).shared
        if shared is None:
            continue
        test = difference(float(np.mean(values[:n])), [shared, seed_component(values[:n])], "", "")
        parity = None if margin_bp is None else equivalence(test, margin_bp).p
        entry.looks.append(Look(seeds=n, estimate=test.estimate, p=test.p, p_parity=parity))
    entry.signed_rank = None  # a test of one look
    if entry.difference is not None:
        entry.difference = _at_every_look(entry.difference, entry.looks, until)
    if entry.equivalence is not None and entry.difference is not None:
        width = half_width(entry.difference.components, 2 * until.nominal(ALPHA, sides=1))
        middle = entry.difference.estimate
        p = until.adjusted(smallest([look.p_parity for look in entry.looks]), sides=1)
        found = {"p": 1.0 if p is None else p, "low": middle - width, "high": middle + width}
        entry.equivalence = entry.equivalence.model_copy(update=found)


def _at_every_look(test: Difference, looks: Sequence[Look], until: UntilDecided) -> Difference:
    """The repeated confidence interval (Jennison & Turnbull 1984), and the p value of all looks so far."""
    width = half_width(test.components, until.nominal(ALPHA))
    return test.model_copy(
        update={
            "low": test.estimate - width,
            "high": test.estimate + width,
            "p": until.adjusted(smallest([look.p for look in looks])),
            "covers": f"{test.covers}, at every look",
            "method": f"{test.method}, at every look (after {until.first} to {until.most} seeds)",
        }
    )


def stop(comparison: StudyComparison, name: str, tried: int, never: int) -> str | None:
    """Why a configuration needs no further seed; None: it is open.

    Args:
        comparison: by the study's plan. tried: seeds that the configuration has been looked at with.
        never: how many other configurations have stopped without a word for a difference: at best this one's p value is
            multiplied by one more than that (Holm).
    """
    until = comparison.until
    assert until is not None
    entry = next(c for c in comparison.configurations if c.configuration == name)
    if entry.verdict in WORDS:
        return entry.verdict
    if entry.verdict == "not comparable" or entry.undecided:
        return "it cannot be compared"
    if tried >= until.most:
        return f"not shown with {until.most} seeds"
    if not entry.looks or entry.difference is None:
        return None
    users = next((c for c in entry.difference.components if c.name != "seeds"), None)
    alpha = ALPHA / (1 + never)
    margin = None if comparison.margin_bp is None else comparison.margin_bp * BP
    chance = chance_to_decide(
        list(entry.seed_differences.values()),
        users,
        until,
        until.nominal(alpha),
        margin,
        None if margin is None else until.nominal(ALPHA, sides=1),
    )
    if chance >= FUTILE:
        return None
    return f"cannot be shown within {until.most} seeds (chance {'below 1%' if chance < 0.01 else f'{chance:.0%}'})"
