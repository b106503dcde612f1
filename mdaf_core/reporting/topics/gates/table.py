"""The table of gates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from mdaf_core.base.errors import UsageError
from mdaf_core.data.store.schema import SPLIT_NAMES, Split
from mdaf_core.reporting.paper.table import PaperTable
from mdaf_core.reporting.topics.gates import frames
from mdaf_core.reporting.words import MISSING, signed

if TYPE_CHECKING:
    from mdaf_core.analysis.effects import EffectName
    from mdaf_core.analysis.margins import Margin
    from mdaf_core.reporting.material import Material
    from mdaf_core.runs.tracking import RunRecord


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
    from mdaf_core.analysis.gate_groups import Value, groups
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


def _groups(material: Material) -> PaperTable:
    if not material.gated:
        raise UsageError(f"No finished run of study {material.study.id} has a gate.")
    first = material.gated[0].configuration
    run = min((r for r in material.gated if r.configuration == first), key=lambda r: r.seed)
    return groups_table(run, material.split)


TABLES = {
    "gates": ("Gates", lambda material: gates_table(material.gated, material.split, material.auc_margin)),
    "gate-groups": ("Gate and branches by history length", _groups),
}
