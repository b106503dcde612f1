"""Factorial ablations: main effects and interactions of components, over seeds and users.

Each component is on or off; every run tells of every component, so that an effect is the difference of two means over
half of the runs each (Fisher 1935; Yates 1937). A fraction 2^(k-p) leaves out runs and mixes up effects: with
which, is said (Box & Hunter 1961). docs/statistics.md, "Factorial ablations".
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from pydantic import BaseModel, Field

from mdaf_core.analysis.design import Design
from mdaf_core.analysis.items import given_items
from mdaf_core.analysis.margins import Margin, check_margin
from mdaf_core.analysis.sampling import one_way
from mdaf_core.analysis.significance import (
    BP,
    ONE_SEED,
    Component,
    Difference,
    Sampled,
    Verdict,
    difference,
    equivalence,
    holm,
    verdict,
)
from mdaf_core.data.store.schema import Split
from mdaf_core.metrics.jackknife import units_of_rarer_label
from mdaf_core.metrics.registry import metric as known_metric
from mdaf_core.metrics.values import Floats, Undefined, clusters
from mdaf_core.runs.groups import by_configuration
from mdaf_core.runs.metric_values import metric_of
from mdaf_core.runs.predictions import difference_of_rows, predictions_of, sampling_errors
from mdaf_core.runs.tracking import RunRecord


class Effect(BaseModel):
    """Of one component, or of two together: half of how much the one changes with the other."""

    effect: str
    together: bool
    estimate: float = Field(description="Mean of the runs where it is on (+1) minus that where it is off.")
    test: Difference | None = None
    p_adjusted: float | None = None
    p_parity_adjusted: float | None = None
    verdict: Verdict = "not comparable"
    mixed_up: list[str] = Field([], description="Effects that these runs cannot tell from it.")


class Effects(BaseModel):
    """All of a study's, main effects first."""

    design: Design
    split: Split
    metric: str
    seeds: list[int] = []
    runs: int = 0
    margin_bp: float | None = None
    effects: list[Effect] = []
    missing: str = Field("", description="Why there are none yet.")
    notes: list[str] = []


def contrasts(design: Design, names: Sequence[str]) -> dict[frozenset[int], Floats]:
    """Effect → (C,) weights of the configurations `names`; of effects that cannot be told apart the first."""
    table = np.array([design.levels[name] for name in names], np.float64)
    k = len(design.factors)
    subsets = [frozenset(c) for n in (1, 2) for c in combinations(range(k), n)]
    out: dict[frozenset[int], Floats] = {}
    for subset in subsets:
        column = table[:, sorted(subset)].prod(1)
        if not any(np.array_equal(column, known * len(names) / 2) for known in out.values()):
            out[subset] = column * 2 / len(names)
    return out


def seeds_part(x: Floats) -> Component:
    """Variance over seeds of an effect, 4/C times that of a configuration's mean, from all configurations together.

    What a seed does to all of them is in no effect, and is left out. Weights are equal, so that the mean of the
    variances is what counts, however different they are; their degrees of freedom are Satterthwaite's for unequal ones,
    (S + 1) (sum s²)² / sum s⁴, at most (C - 1)(S - 1).

    Args:
        x: (C, S ≥ 2) metrics.
    """
    count, seeds = x.shape
    residual = x - x.mean(0) - x.mean(1, keepdims=True) + x.mean()
    square = (residual**2).sum(1)
    pooled = float(square.sum()) / ((count - 1) * (seeds - 1))
    fourth = float((square**2).sum())
    most = (count - 1) * (seeds - 1)
    df = most if fourth == 0 else min(most, (seeds + 1) * float(square.sum()) ** 2 / fourth)
    return Component(name="seeds", variance=4 * pooled / count / seeds, df=max(1.0, df))


def effects(
    design: Design,
    names: Sequence[str],
    x: Floats,
    errors: Floats | None,
    units: int,
    what: Sampled,
    margin_bp: float | None,
    given: str = "",
) -> list[Effect]:
    """Every effect with its interval over seeds and users; p values by Holm, main effects and interactions each by
    themselves.

    Args:
        names: (C,) configurations; x: (C, S) metrics, higher is better; errors: (C, S, K) sampling errors, or None.
        given: what intervals take as it is, in words.
    """
    out = []
    seeds = x.shape[1]
    of_seeds = seeds_part(x) if seeds > 1 else None
    for subset, weight in contrasts(design, names).items():
        estimate = float((weight @ x).mean())
        found = Effect(
            effect=design.name(subset), together=len(subset) > 1, estimate=estimate, mixed_up=design.aliases(subset)
        )
        if of_seeds is None:
            found.verdict = verdict(estimate, None, None, 1)
        elif errors is not None:
            _, shared = one_way(np.einsum("c,csk->sk", weight, errors), what, units)
            assert shared is not None
            covers = f"other seeds and other {what}{given}"
            found.test = difference(estimate, [shared, of_seeds], covers, f"seeds × {what}, factorial contrast")
        out.append(found)
    for together in (False, True):
        family = [e for e in out if e.together == together and e.test is not None]
        adjusted = holm([e.test.p for e in family if e.test])
        equal: list[float | None] = [None] * len(family)
        if margin_bp is not None:
            equal = holm([equivalence(e.test, margin_bp).p for e in family if e.test])
        for e, p, q in zip(family, adjusted, equal, strict=True):
            e.p_adjusted, e.p_parity_adjusted = p, q
            e.verdict = verdict(e.estimate, p, q, seeds)
    return out


def factorial_effects(
    design: Design, runs: Sequence[RunRecord], split: Split = "test", metric: str = "auc", margin: Margin | None = None
) -> Effects:
    """The effects of a study, over the seeds that all its configurations have finished.

    Raises:
        UsageError: unknown metric, or a margin that is not in bp of it.
    """
    known = known_metric(metric)
    check_margin(margin, metric)
    out = Effects(design=design, split=split, metric=known.key)
    groups = {n: g for n, g in by_configuration(runs).items() if n in design.levels}
    groups = {
        n: {s: r for s, r in g.items() if r.state == "finished" and metric_of(r, split, metric) is not None}
        for n, g in groups.items()
    }
    waiting = [name for name in design.levels if not groups.get(name)]
    seeds = sorted(set.intersection(*(set(g) for g in groups.values()))) if groups and not waiting else []
    if not seeds:
        left = f": {', '.join(waiting[:4])}{' …' if len(waiting) > 4 else ''}" if waiting else ""
        out.missing = f"every configuration of the design must have finished with one seed at least{left}"
        return out
    names = list(design.levels)
    first = groups[names[0]][seeds[0]]
    for name in names:
        for run in groups[name].values():
            if refused := difference_of_rows(run, first, split):
                out.missing = refused.rstrip(".")
                return out
    x = known.direction * np.array([[metric_of(groups[n][s], split, metric) for s in seeds] for n in names], np.float64)
    frame = predictions_of(first, split)
    label, cluster = frame["label"].to_numpy().astype(np.bool_), clusters(frame["user"].to_numpy())
    errors, units = None, 0
    try:
        errors = known.direction * np.stack(
            [np.stack([sampling_errors(groups[n][s], split, metric) for s in seeds]) for n in names]
        )
        units = units_of_rarer_label(label, cluster)
    except Undefined as reason:
        out.notes.append(f"No interval: {reason}")
    rows = first.metrics(split)
    if margin is not None and rows is not None:
        gain = known.gained(float(x.mean()) * known.direction, rows.positives / rows.rows)
        width = margin.half_width(gain)
        out.margin_bp = None if width is None else width / BP
    out.seeds, out.runs = seeds, len(names) * len(seeds)
    what: Sampled = "rows" if cluster is None else "users"
    given = "" if cluster is None else given_items(first, split)
    out.effects = effects(design, names, x, errors, units, what, out.margin_bp, given)
    if design.generators:
        out.notes.append(
            f"{design.words} runs, resolution {design.resolution}: effects that these runs cannot tell apart "
            "stand together; interactions of three components and more are taken to be none."
        )
    if len(seeds) == 1:
        out.notes.append(ONE_SEED)
    return out
