"""The figures of gates."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import polars as pl

from mdaf_core.base.errors import UsageError
from mdaf_core.reporting import captions
from mdaf_core.reporting.figure import Drawn, Kind
from mdaf_core.reporting.material import Material
from mdaf_core.reporting.topics.curves.figures import curves_of
from mdaf_core.reporting.topics.gates import charts, frames, values
from mdaf_core.runs.tracking import RunRecord

if TYPE_CHECKING:
    from mdaf_core.analysis.gate_groups import Value


def _gated(material: Material) -> list[RunRecord]:
    if not material.gated:
        raise UsageError(f"No finished run of study {material.study.id} has a gate.")
    return material.gated


def _gate_costs(material: Material) -> Drawn:
    from mdaf_core.analysis.effects import COSTS

    data = frames.gate_effects(_gated(material), material.split, COSTS, material.auc_margin)
    if data.is_empty():
        raise UsageError(f"No gate of study {material.study.id} could be tested on these rows.")
    caption = (
        "What is lost where g, the weight of the sequential branch's vector, is replaced: by its median for all rows, "
        "by another row's, by another row's of the same user (the last two: mean of 20 shuffles), in bp of AUC (1 bp "
        f"= 0.0001), on {captions.rows(material)}. {_covered(data)}"
    )
    return charts.effects(data), data, caption


def _contributions(material: Material) -> Drawn:
    from mdaf_core.analysis.effects import SHARES

    data = frames.gate_effects(material.runs, material.split, SHARES, material.auc_margin)
    if data.is_empty():
        raise UsageError(
            f"No run of study {material.study.id} holds an answer without its history: none reads histories, or they "
            "were trained by an earlier version (`gates STUDY --recompute` asks them anew)."
        )
    caption = (
        f"What histories and branches contribute, in bp of AUC (1 bp = 0.0001), on {captions.rows(material)}: AUC of "
        "the model minus its AUC with another user's history, and with an empty one; and the Shapley value of each "
        f"branch, whose vector is replaced by another row's. {_covered(data)}"
    )
    return charts.effects(data), data, caption


def _covered(data: pl.DataFrame) -> str:
    """What the intervals of a frame of effects cover, as a sentence."""
    return f"95% intervals: {'; '.join(data['covers'].unique(maintain_order=True).to_list())}."


def _one_gate(material: Material) -> tuple[RunRecord, Any, str]:
    """The reference's gate, or the first there is, of its smallest seed; its summary; and its name in words."""
    from mdaf_core.analysis.gates import gate_summary

    first = _gated(material)[0].configuration
    run = min((r for r in material.gated if r.configuration == first), key=lambda r: r.seed)
    return run, gate_summary(run, material.split), f"{run.configuration}, seed {run.seed}, {captions.rows(material)}"


def _gate_distribution(material: Material) -> Drawn:
    from mdaf_core.analysis.gate_groups import histograms

    run, summary, which = _one_gate(material)
    chart, data = values.by_label(histograms(run, material.split, "g"))
    whole = summary.overall
    caption = (
        f"Distribution of g, the weight of the sequential branch's vector, by label ({which}): mean {whole.mean:.3f}, "
        f"standard deviation {whole.sd:.3f}, 5% to 95% quantile {whole.q05:.3f} to {whole.q95:.3f}."
    )
    return chart, data, caption


def _gate_slices(dimension: str) -> Callable[[Material], Drawn]:
    def make(material: Material) -> Drawn:
        from mdaf_core.analysis.slices import TITLES

        _, summary, which = _one_gate(material)
        if dimension not in summary.slices:
            raise UsageError(summary.slices_note or f"There is nothing to slice by: {TITLES[dimension]}.")
        title = TITLES[dimension]
        chart, data = values.groups(summary.slices[dimension], title)
        caption = (
            f"g, the weight of the sequential branch's vector, by {captions.lower(title)} ({which}): mean with its 95% "
            "interval (other users); faint: from the 5% to the 95% quantile of rows."
        )
        return chart, data, caption

    return make


_MEANS: dict[Value, str] = {
    "g": "Mean g, the weight of the sequential branch's vector and no measure of how much the history is used,",
    "sequential_size": "How far the sequential branch moves a row's log-odds (mean size of its part, a Shapley value "
    "whose missing branch is another row's)",
}


def _gate_cells(value: Value, first: str, second: str) -> Callable[[Material], Drawn]:
    def make(material: Material) -> Drawn:
        from mdaf_core.analysis.gate_groups import cells
        from mdaf_core.analysis.slices import TITLES

        run, _, which = _one_gate(material)
        found, titles = cells(run, material.split, value, first, second), (TITLES[first], TITLES[second])
        if min(len(found.firsts), len(found.seconds)) < 2:
            raise UsageError(f"All rows are in one group of: {captions.lower(' or '.join(titles))}.")
        chart, data = values.cells(found, *titles)
        caption = (
            f"{_MEANS[value]} by {captions.lower(titles[0])} and {captions.lower(titles[1])} ({which}). Pale, without "
            f"a number: fewer than {values.FEW} rows. The CSV has the 95% interval of each cell over other users."
        )
        return chart, data, caption

    return make


def _gate_reliability(material: Material) -> Drawn:
    _, summary, which = _one_gate(material)
    lean = summary.lean
    if not lean.bins:
        raise UsageError(lean.note)
    chart, data = values.reliability(lean)
    probability = f"{lean.probability:.3f} [{lean.low:.3f}, {lean.high:.3f}]"
    caption = (
        "Share of rows where the sequential branch alone has a smaller loss than the static branch alone, for tenths "
        f"of the rows by g, with 95% intervals (other users; {which}); dashed: of all rows. g is higher where the "
        f"sequential branch is the nearer one with probability {probability} (0.5: no lean). It does not say that "
        "choosing by g improves the ranking."
    )
    return chart, data, caption


def _gate_curves(material: Material) -> Drawn:
    runs = [run for run in _gated(material) if run.configuration in material.lines]
    caption = "Mean g, the weight of the sequential branch's vector, on validation rows by epoch."
    return curves_of(material, runs, {"gate_mean": "mean g"}, "Mean g", caption)


FIGURES = {
    "contributions": Kind("What histories and branches contribute", "Gates", _contributions),
    "gate-adaptivity": Kind("What replacing the gate costs", "Gates", _gate_costs),
    "gate-distribution": Kind("Distribution of the gate", "Gates", _gate_distribution),
    "gate-history": Kind("Gate by history length", "Gates", _gate_slices("history_length")),
    "gate-history-popularity": Kind(
        "Gate by history length and popularity", "Gates", _gate_cells("g", "history_length", "item_popularity")
    ),
    "gate-activity-hour": Kind("Gate by activity and hour", "Gates", _gate_cells("g", "user_activity", "hour")),
    "sequential-history-popularity": Kind(
        "Sequential branch by history length and popularity",
        "Gates",
        _gate_cells("sequential_size", "history_length", "item_popularity"),
    ),
    "gate-reliability": Kind("Whether the gate leans to the nearer branch", "Gates", _gate_reliability),
    "gate-by-epoch": Kind("Gate by epoch", "Gates", _gate_curves, of_a_split=False),
}
