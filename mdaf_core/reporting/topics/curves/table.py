"""The table of overfitting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mdaf_core.reporting import captions
from mdaf_core.reporting.paper.table import PaperTable
from mdaf_core.reporting.topics.curves import frames
from mdaf_core.reporting.words import MISSING, seeds, signed

if TYPE_CHECKING:
    from mdaf_core.runs.tracking import RunRecord


def overfitting_paper_table(runs: Sequence[RunRecord]) -> PaperTable:
    """Gaps at the best and the last epoch, by both definitions of the train AUC."""
    both = {kind: frames.overfitting(runs, kind, each=False) for kind in ("eval", "online")}
    data = both["eval"]

    def column(kind: str, name: str, text: Callable[[float], str]) -> list[str]:
        return [MISSING if v is None else text(v) for v in both[kind][name]]

    def auc(value: float) -> str:
        return f"{value:.4f}"

    def gap(value: float) -> str:
        return signed(value, 4)

    return PaperTable(
        name="overfitting",
        title="How far training and validation came apart",
        caption=f"{_over_seeds(runs)} Gap: train minus validation AUC, signed, with the train AUC measured in "
        "evaluation mode (eval) or accumulated while training (online), at the best epoch and at the last.",
        cells={
            "Configuration": data["Configuration"].to_list(),
            "Best epoch": column("eval", "Best epoch", lambda v: f"{v:.1f}"),
            "Validation AUC": column("eval", "Val AUC at best", auc),
            "Gap at best, eval": column("eval", "Gap at best", gap),
            "Gap at last, eval": column("eval", "Gap at last", gap),
            "Gap at best, online": column("online", "Gap at best", gap),
            "Gap at last, online": column("online", "Gap at last", gap),
        },
        data=data,
    )


def _over_seeds(runs: Sequence[RunRecord]) -> str:
    counts = captions.seed_counts(runs)
    return "One run of each configuration." if max(counts) == 1 else f"Means over {seeds(counts)}."


TABLES = {"overfitting": ("Overfitting", lambda material: overfitting_paper_table(material.runs))}
