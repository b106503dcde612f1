"""Which parts of the true log-odds of generated rows has a run learned? `python -m benchmarks.oracle RUN…`

For runs on a synthetic data set of any size but `long`, on validation rows alone. The run's logit is regressed on the
parts (`synthetic.log_odds`) by kind of user; a slope of 1 is what the truth has. *share*: of the oracle's lift over
0.5; *repaired*: the share with the part's slope set to 1 beside the run's own scale, which says what is lost there.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from mdaf_core.data.formats.synthetic import SyntheticOptions, log_odds
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.metrics.auc import auc
from mdaf_core.runs.predictions import load_predictions
from mdaf_core.runs.tracking import get_run

Floats = NDArray[np.float64]


def slopes(logit: Floats, parts: dict[str, Floats]) -> dict[str, float]:
    """By part, its coefficient in the regression of a logit (N,) on all of them and a constant."""
    columns = np.column_stack([np.ones(len(logit)), *parts.values()])
    found = np.linalg.lstsq(columns, logit, rcond=None)[0][1:]
    return dict(zip(parts, found.tolist(), strict=True))


def repaired(logit: Floats, parts: dict[str, Floats], kinds: NDArray[np.bool_], name: str, scale: float) -> Floats:
    """The logit, divided by `scale`, with what is missing of one part added for either kind of user."""
    whole = logit / scale
    for kind in (kinds, ~kinds):
        here = {part: values[kind] for part, values in parts.items()}
        whole[kind] += (1 - slopes(whole[kind], here)[name]) * here[name]
    return whole


def describe(run_id: str) -> None:
    run = get_run(run_id)
    dataset = PreparedDataset.open(run.dataset)
    rows, scored = dataset.rows("val"), load_predictions(run.run_id, "val")
    options = SyntheticOptions.model_validate(dataset.meta.options)
    place, kinds = np.asarray(rows.row_id), np.asarray(rows.columns["segment"]) == "session"
    parts = {name: values[place] for name, values in log_odds(options).items()}
    segment, label, logit = parts.pop("segment"), scored["label"].to_numpy(), scored["logit"].to_numpy().astype(float)
    truth = segment + sum(parts.values())
    lift = auc(label, truth) - 0.5

    def share(score: Floats) -> float:
        return (auc(label, score) - 0.5) / lift

    scale = 1 / float(np.polyfit(logit, truth, 1)[0])
    print(f"{run.run_id} on {dataset.meta.name}: share {share(logit):.4f} (validation rows)")
    for name in parts:
        by_kind = [slopes(logit[k], {p: v[k] for p, v in parts.items()})[name] for k in (kinds, ~kinds)]
        print(f"  {name:10}  slope, session {by_kind[0]:.2f}, habit {by_kind[1]:.2f};"
              f"  repaired {share(repaired(logit, parts, kinds, name, scale)):.4f}")  # fmt: skip


if __name__ == "__main__":
    for given in sys.argv[1:]:
        describe(given)
