"""The figures and tables of gates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from mdaf_core.base.errors import UsageError
from mdaf_core.data.store.schema import SPLIT_NAMES, Split
from mdaf_core.reporting import captions
from mdaf_core.reporting.figure import Drawn, Kind
from mdaf_core.reporting.material import Material
from mdaf_core.reporting.paper.table import PaperTable
from mdaf_core.reporting.topics.curves.figures import curves_of
from mdaf_core.reporting.topics.gates import charts, frames, values
from mdaf_core.reporting.words import MISSING, signed
from mdaf_core.runs.tracking import RunRecord

if TYPE_CHECKING:
    from mdaf_core.analysis.effects import EffectName
    from mdaf_core.analysis.gate_groups import Value
    from mdaf_core.analysis.margins import Margin


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


def _first_gated(material: Material) -> RunRecord:
    """The run with the reference's gate, or the first there is, of its smallest seed."""
    first = _gated(material)[0].configuration
    return min((r for r in material.gated if r.configuration == first), key=lambda r: r.seed)


def _one_gate(material: Material) -> tuple[RunRecord, Any, str]:
    """That run, the summary of its gate, and its name in words."""
    from mdaf_core.analysis.gates import gate_summary

    run = _first_gated(material)
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


def gates_table(runs: Sequence[RunRecord], split: Split, margin: Margin | None = None) -> PaperTable:
    """Of each configuration with a gate, over its seeds: what replacing g costs, and the verdict.

    Raises:
        UsageError: no gate, or none that can be tested on these rows.
    """
    from mdaf_core.analysis.effects import COSTS, TITLES

    data = frames.gate_effects(runs, split, COSTS, margin)
    if data.is_empty():
        raise UsageError("No finished run of this study has a gate that can be tested on these rows.")
    gates = data.partition_by("configuration", maintain_order=True)

    def costs(name: EffectName) -> list[str]:
        found = [gate.filter(effect=TITLES[name]).to_dicts() for gate in gates]
        return [
            f"{signed(r['estimate_bp'])} [{signed(r['low_bp'])}, {signed(r['high_bp'])}]" if r else MISSING
            for r in (rows[0] if rows else None for rows in found)
        ]

    covers = "; ".join(data["covers"].unique(maintain_order=True).to_list())
    return PaperTable(
        name=f"gates-{split}",
        title="Whether the gates are adaptive",
        caption=f"Gates on {SPLIT_NAMES[split]} rows: what is lost in bp of AUC [95% interval: {covers}] where g, the "
        "weight of the sequential branch's vector, is its median for all rows, another row's, or another row's of the "
        "same user (the last two: mean of 20 shuffles). Adaptive: each is above 0 at 5%, and more of it comes from "
        "choosing between the branches than from g as a score; not shown is not shown to be small.",
        cells={
            "Configuration": [gate["configuration"][0] for gate in gates],
            "Seeds": [str(gate["seeds"][0]) for gate in gates],
            "AUC": [MISSING if gate["auc"][0] is None else f"{gate['auc'][0]:.4f}" for gate in gates],
            "One g, bp": costs("g_median"),
            "Another row's, bp": costs("g_shuffled"),
            "Same user's, bp": costs("g_within_user"),
            "Gate": [gate["verdict"][0] for gate in gates],
        },
        data=data,
    )


def groups_table(run: RunRecord, split: Split, by: str = "history_length") -> PaperTable:
    """Of one trained gate: mean g, and how far each branch moves a row's log-odds, in groups of rows.

    Raises:
        UsageError: the run holds no parts of branches, or its rows cannot be grouped so.
    """
    from mdaf_core.analysis.gate_groups import groups
    from mdaf_core.analysis.slices import TITLES

    columns: dict[Value, str] = {"g": "Mean g", "static_size": "Static part", "sequential_size": "Sequential part"}
    found = {value: groups(run, split, value, by) for value in columns}

    def cell(low: float | None, mean: float, high: float | None) -> str:
        return f"{mean:.3f}" if low is None or high is None else f"{mean:.3f} [{low:.3f}, {high:.3f}]"

    return PaperTable(
        name=f"gate-groups-{split}",
        title=f"Gate and branches by {TITLES[by][0].lower()}{TITLES[by][1:]}",
        caption=f"Gate and branches of {run.configuration}, seed {run.seed}, on {SPLIT_NAMES[split]} rows [95% "
        "interval: other users, with this trained model]: mean of g, the weight of the sequential branch's vector, "
        "which does not measure how much the history is used, and mean size of each branch's part in a row's log-odds "
        "(Shapley values, a missing branch being another row's).",
        cells={
            TITLES[by]: [entry.group for entry in found["g"]],
            "Rows": [f"{entry.rows:,}" for entry in found["g"]],
            **{title: [cell(e.low, e.mean, e.high) for e in found[value]] for value, title in columns.items()},
        },
        data=pl.concat(
            [
                pl.DataFrame([entry.model_dump() for entry in entries]).insert_column(0, pl.lit(value).alias("value"))
                for value, entries in found.items()
            ]
        ),
    )


TABLES = {
    "gates": ("Gates", lambda material: gates_table(material.gated, material.split, material.auc_margin)),
    "gate-groups": (
        "Gate and branches by history length",
        lambda material: groups_table(_first_gated(material), material.split),
    ),
}
