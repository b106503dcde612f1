"""A margin of parity for a study to come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.schema import Split
from mdaf_core.runs.config import RunConfig

if TYPE_CHECKING:
    from mdaf_core.analysis.margins import Proposal


def propose_margin(dataset: PreparedDataset, reference: RunConfig, metric: str, split: Split) -> Proposal:
    """A margin to accept or not, from the rows of the split and what has been seen of the reference on these data."""
    from mdaf_core.analysis.margins import propose
    from mdaf_core.runs import tracking

    facts = dataset.meta.splits[split]
    metrics = [
        getattr(run.result, split)
        for run in tracking.list_runs()
        if run.dataset == dataset.name and run.preset == reference.preset and run.result is not None
    ]
    known = [m for m in metrics if m.auc is not None and m.auc_se is not None and m.rows == facts.rows]
    if not known:
        return propose(metric, facts.rows, facts.positives)
    auc = sum(m.auc for m in known) / len(known)
    return propose(metric, facts.rows, facts.positives, auc, sum(m.auc_se for m in known) / len(known))
