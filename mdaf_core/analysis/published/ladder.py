"""The models of one data set against the best of them: what their seeds can tell apart, and what parity would be."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence

import numpy as np
import polars as pl

from mdaf_core.analysis.margins import EQUIVALENCE_REACH, PROPOSED, Margin, margin_words
from mdaf_core.analysis.published.cells import Cell
from mdaf_core.analysis.published.choices import expected_at
from mdaf_core.analysis.published.found import DataSetFound, Entry, Lead
from mdaf_core.analysis.significance import (
    BP,
    LEVEL,
    difference,
    equivalence,
    holm,
    noise_floor,
    seed_component,
    seed_summary,
    verdict,
)
from mdaf_core.base.errors import UsageError
from mdaf_core.metrics.registry import metrics
from mdaf_core.runs.published.metric import ReportedMetric

LADDER = 0.25
"""Of the distance from the best figure to the median one: the most that is proposed as parity."""
MOST_PAIRED = 150
"""Models with seeds up to which all pairs of them are tested, too: seconds, not minutes."""
_OF_ANY_RATE = ("auc", "gauc")
"""Metrics whose gain over knowing nothing does not depend on the base rate."""


def entry(cell: Cell) -> Entry:
    """A model as it stands in the table of its data set."""
    group, basis = cell.chosen
    values = dict(sorted(group.values.items(), key=lambda item: (len(item[0]), item[0])))
    spread = seed_summary(sorted(values.values()))
    return Entry(
        model=cell.model,
        setting=group.setting,
        basis=basis,
        figure=spread.mean,
        runs=len(cell.runs),
        settings=len(cell.candidates),
        seeds=len(values),
        sd=spread.sd,
        low=spread.low,
        high=spread.high,
        values=values,
        shown=None if cell.shown is None else cell.shown[0],
    )


def climb(out: DataSetFound, cells: Sequence[Cell], reference: str | None, margin: str | Margin | None) -> None:
    """Fill in what the entries of a data set can be told apart by.

    Args:
        margin: of parity; `proposed`: from the standard errors and the ladder of figures; None: parity is not tested.

    Raises:
        UsageError: the margin has no meaning for this metric.
    """
    seeded = [one for one in out.entries if one.seeds > 1]
    _shown_order(out, seeded)
    _budgets(out, cells)
    if not seeded:
        return
    out.noise_floor = noise_floor([list(one.values.values()) for one in seeded])
    base = next((one for one in seeded if one.model == reference), None)
    out.chosen = base is None
    base = base or seeded[0]
    out.reference = base.model
    paired = {cell.model for cell in cells if cell.chosen[0].seeded}
    out.leads = [_lead(base, one, out.metric, paired) for one in seeded if one is not base]
    _margin(out, base, margin)
    p = holm([lead.difference.p for lead in out.leads])
    for lead in out.leads:
        lead.equivalence = None if out.margin is None else equivalence(lead.difference, out.margin / BP)
    parity = holm([None if lead.equivalence is None else lead.equivalence.p for lead in out.leads])
    for lead, p_one, p_parity in zip(out.leads, p, parity, strict=True):
        lead.p_holm, lead.p_parity_holm = p_one, p_parity
        lead.verdict = verdict(-lead.difference.estimate, p_one, p_parity, lead.seeds)
    among = seeded if len(seeded) <= MOST_PAIRED else []
    pairs = [_lead(a, b, out.metric, paired) for a, b in itertools.combinations(among, 2)]
    out.pairs = len(pairs)
    out.pairs_survive = sum(q is not None and q < 1 - LEVEL for q in holm([pair.difference.p for pair in pairs]))
    if out.noise_floor is not None:
        shown = sorted((one.shown for one in out.entries if one.shown is not None), reverse=True)
        steps = [a - b for a, b in itertools.pairwise(shown)]
        out.neighbours, out.within_noise = len(steps), sum(step < out.noise_floor for step in steps)


def _lead(a: Entry, b: Entry, metric: ReportedMetric, with_seeds: set[str]) -> Lead:
    """`a` against `b`, above 0 where `a` is better: paired by seed where both have two in common."""
    shared = sorted(a.values.keys() & b.values.keys()) if {a.model, b.model} <= with_seeds else []
    if len(shared) > 1:
        each = metric.direction * np.array([a.values[seed] - b.values[seed] for seed in shared])
        test = difference(
            float(each.mean()),
            [seed_component(each)],
            covers="other seeds, on these test rows",
            method="t test paired by seed",
        )
        return Lead(model=b.model, seeds=len(shared), paired=True, difference=test)
    sides = [np.array(sorted(one.values.values())) for one in (a, b)]
    test = difference(
        float(metric.direction * (sides[0].mean() - sides[1].mean())),
        [seed_component(side) for side in sides],
        covers="other seeds, on these test rows",
        method="t test of two groups (no seeds in common)",
    )
    return Lead(model=b.model, seeds=min(map(len, sides)), paired=False, difference=test)


# ---- what counts as parity -------------------------------------------------------------------------------------------


def _margin(out: DataSetFound, base: Entry, margin: str | Margin | None) -> None:
    if margin is None or not out.leads:
        return
    if isinstance(margin, str):
        out.margin, out.margin_words = _proposed(out, base)
    else:
        out.margin, out.margin_words = _asked(out.metric, base, margin)
    if out.margin is None:
        return
    figures = [base.figure, *(one.figure for one in out.entries if one.model in {lead.model for lead in out.leads})]
    ladder = max(figures) - min(figures)
    if out.margin > ladder > 0:
        scale, unit = out.scale, out.unit
        out.margin_note = (
            f"The margin of {out.margin_words} exceeds the whole range of the means that are compared "
            f"({ladder * scale:.3g} {unit}".rstrip()
            + "): within it all of them would be the same."
        )


def _asked(metric: ReportedMetric, base: Entry, margin: Margin) -> tuple[float | None, str]:
    if margin.unit == "bp":
        if not metric.in_bp:
            raise UsageError(
                f"A margin in bp has no meaning for {metric.words}, whose size is its own unit's: give a share of the "
                "reference's figure, such as --margin 1%."
            )
        return margin.size * BP, margin_words(margin, margin.size * BP)
    if metric.key in _OF_ANY_RATE:
        width = margin.half_width(metrics()[metric.key].gained(base.figure, 0.5))
        return width, margin_words(margin, width)
    width = margin.size / 100 * abs(base.figure) or None
    return width, f"±{margin.text} of the reference's figure ({margin.origin})"


def _proposed(out: DataSetFound, base: Entry) -> tuple[float | None, str]:
    """As narrow as these seeds can resolve, but at most a quarter of the way from the best to the median model."""
    resolved = EQUIVALENCE_REACH * statistics.median(lead.difference.se for lead in out.leads)
    figures = sorted((one.figure for one in out.entries), key=lambda value: -out.metric.direction * value)
    ladder = abs(base.figure - statistics.median(figures)) * LADDER if len(figures) > 2 else math.inf
    width = min(resolved, ladder)
    if not width > 0:
        return None, ""
    width = float(f"{width:.1g}")
    words = f"±{width / BP:.3g} bp" if out.metric.in_bp else f"±{width:.3g}"
    why = (
        f"2.93 standard errors of these differences, {resolved * out.scale:.2g} {out.unit}".rstrip()
        if resolved <= ladder
        else "a quarter of the way from the best figure to the median one; these seeds resolve "
        f"{resolved * out.scale:.2g} {out.unit}".rstrip()
    )
    return width, f"{words} ({PROPOSED.partition(',')[0]}: {why})"


# ---- orders ----------------------------------------------------------------------------------------------------------


def _shown_order(out: DataSetFound, seeded: Sequence[Entry]) -> None:
    both = [one for one in seeded if one.shown is not None]
    if len(both) < 3:
        both = [one for one in out.entries if one.shown is not None and one.basis == "best on validation"]
        out.ranked_by = "figures chosen on validation"
    out.ranked = len(both)
    out.rank_correlation = spearman([one.shown or 0.0 for one in both], [one.figure for one in both])


def _budgets(out: DataSetFound, cells: Sequence[Cell]) -> None:
    counts = {one.settings for one in out.entries}
    if len(counts) < 2 or len(out.entries) < 2:
        return
    out.budget = min(counts)
    of = {cell.model: cell for cell in cells}
    for one in out.entries:
        one.at_equal_budget = expected_at(of[one.model], out.budget)
    known = [one for one in out.entries if one.at_equal_budget is not None]
    if len(known) < len(out.entries):
        return
    out.best_at_equal_budget = min(
        known, key=lambda e: (-out.metric.direction * (e.at_equal_budget or 0.0), e.model)
    ).model
    out.budget_rank_correlation = spearman([e.figure for e in known], [e.at_equal_budget or 0.0 for e in known])


def spearman(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Rank correlation, ties at their mean rank; None for fewer than three, or where one side is all the same."""
    if len(a) < 3 or len(set(a)) < 2 or len(set(b)) < 2:
        return None
    one, other = (pl.Series(side, dtype=pl.Float64).rank("average").to_numpy() for side in (a, b))
    return float(np.corrcoef(one, other)[0, 1])
