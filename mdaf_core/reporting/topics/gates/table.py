"""The table of gates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mdaf_core.base.errors import UsageError
from mdaf_core.reporting.material import SPLIT_WORDS
from mdaf_core.reporting.paper.table import PaperTable
from mdaf_core.reporting.topics.gates import frames
from mdaf_core.reporting.words import MISSING, signed

if TYPE_CHECKING:
    from mdaf_core.analysis.effects import EffectName
    from mdaf_core.analysis.margins import Margin
    from mdaf_core.data.store.schema import Split
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
        caption=f"Gates on {SPLIT_WORDS[split]} rows: what is lost in bp of AUC [95% interval: {covers}] where g, the "
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


TABLES = {"gates": ("Gates", lambda material: gates_table(material.gated, material.split, material.auc_margin))}
