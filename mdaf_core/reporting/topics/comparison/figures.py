"""The figures of a comparison."""

from __future__ import annotations

from typing import Literal

import polars as pl

from mdaf_core.analysis.compared import StudyComparison
from mdaf_core.base.errors import UsageError
from mdaf_core.data.store.schema import SPLIT_NAMES
from mdaf_core.metrics import registry
from mdaf_core.reporting import captions, words
from mdaf_core.reporting.drawing import alt
from mdaf_core.reporting.figure import Drawn, Kind
from mdaf_core.reporting.material import Material
from mdaf_core.reporting.paper import paragraph
from mdaf_core.reporting.parts import short_name
from mdaf_core.reporting.topics.comparison import charts, frames


def _leaderboard(material: Material) -> Drawn:
    comparison = material.comparison
    frame = captions.comparable(material, comparison.frame())
    if frame["mean"].is_null().all():
        raise UsageError(f"{captions.metric(material)} is undefined for every run of study {material.study.id}.")
    shown = [c for c in comparison.configurations if c.configuration in set(frame["configuration"])]
    members = frames.comparison_members(comparison).filter(
        pl.col("configuration").is_in(frame["configuration"].implode())
    )
    x_title = f"{captions.metric(material)}, {SPLIT_NAMES[material.split]} rows"
    chart = charts.leaderboard(frame, members, x_title=x_title)
    if comparison.noise_floor is None:
        how = "one seed each, so no variance over seeds is known"
    else:
        how = f"mean over seeds ({captions.seeds(material.runs)}); ticks are single seeds"
    diamond = "; the diamond is the reference." if paragraph.has_reference(comparison) else "."
    what = f"{captions.metric(material)} on {captions.rows(material)}{captions.lower_is_better(material)}"
    lines = captions.of_means([(c.configuration, c.mean) for c in shown if c.summary], "Lines, 95% intervals,")
    return chart, frame, f"{what}: {how}{diamond} {lines}{captions.not_compared(material)}"


def comparison_chart(comparison: StudyComparison, kind: Literal["differences", "leaderboard"]) -> alt.TopLevelMixin:
    """The chart of a comparison: its means ("leaderboard"), or its differences to the reference.

    Raises:
        UsageError: the metric is undefined for all, or nothing was compared.
    """
    metric, frame = registry.metric(comparison.metric).title, comparison.frame()
    if kind == "leaderboard":
        if frame["mean"].is_null().all():
            raise UsageError(f"{metric} is undefined for every run.")
        return charts.leaderboard(frame, frames.comparison_members(comparison), x_title=metric)
    if frame["difference_bp"].is_null().all():
        raise UsageError(f"Nothing could be compared with the reference {comparison.reference!r} yet.")
    title = f"{metric} minus that of {short_name(comparison.reference)}, bp"
    return charts.differences(frame, margin_bp=comparison.margin_bp, x_title=title)


def _differences(material: Material) -> Drawn:
    comparison = material.comparison
    frame, chart = comparison.frame(), comparison_chart(comparison, "differences")
    title = f"{captions.metric(material)} minus that of {comparison.reference}"
    shared = words.seeds([len(c.shared_seeds) for c in comparison.configurations if c.difference])
    parts = [
        f"{title} in bp (1 bp = 0.0001) on {captions.rows(material)}, paired by seed "
        f"({shared}){', below 0 is better' if captions.lower_is_better(material) else ''}.",
        f"Lines: {captions.of_differences(comparison)}",
        (comparison.untested_margin or "No margin is set, so parity is not tested.")
        if comparison.margin_bp is None
        else f"Grey band: the margin of {comparison.margin_words}.",
    ]
    if comparison.tests:
        many = "comparisons" if comparison.tests > 1 else "comparison"
        equivalence = "" if comparison.margin_bp is None else " and of equivalence within the margin (TOST)"
        parts.append(
            f"Marks say what the tests of difference{equivalence} show at 5% after "
            f"Holm's correction over {comparison.tests} {many}."
        )
    else:
        parts.append("With one seed no variance over seeds is known, so nothing is tested.")
    if any(c.below_noise_floor for c in comparison.configurations) and comparison.noise_floor is not None:
        parts.append(f"Faint: smaller than the standard deviation over seeds ({comparison.noise_floor * 1e4:.1f} bp).")
    return chart, frame, " ".join(parts) + captions.not_compared(material)


def _matrix(material: Material) -> Drawn:
    data = frames.run_values(material.study, material.split, material.metric)
    chart = charts.ablation_matrix(data, order=material.study.configuration_names)
    others = [c.configuration for c in paragraph.not_comparable(material.comparison)]
    note = f" Not comparable with the reference: {', '.join(others)}." if others else ""
    what = f"{captions.metric(material)} of every run on {captions.rows(material)}{captions.lower_is_better(material)}"
    return chart, data, f"{what}; darker is larger.{note}"


FIGURES = {
    "leaderboard": Kind("Leaderboard", "Comparison", _leaderboard, of_a_metric=True),
    "differences": Kind("Differences to the reference", "Comparison", _differences, of_a_metric=True),
    "runs": Kind("Configurations × seeds", "Comparison", _matrix, of_a_metric=True),
}
