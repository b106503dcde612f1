#!/usr/bin/env bash
# Package: fuxictr 2.3.10 (Python 3.11, Linux), fuxictr.metrics.evaluate_metrics, a library of CTR models.
#
# What one would guess: its four metrics by group (gAUC, avgAUC, MRR, NDCG) are means over the same groups. gAUC and
# avgAUC leave out a group in which nothing can be ranked (no click, or only clicks), so predictions that rank every click
# first should have 1 in all four; and predictions that say nothing (one score for all rows) should have what chance has.
#
# What is seen: MRR and NDCG count every group without a click as 0, so that perfect predictions of 10 groups, 4 of them
# with a click, have gAUC 1 and MRR 0.4: the figure is bounded by the share of groups with a click, and cannot be set
# beside another data set's. Ties are broken by the order of the rows, the last row first: one score for all rows has
# gAUC 0.5, but MRR 0.4, the same as perfect predictions, where the click stands last in its group, and 0.08 where it
# stands first of five.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0 numpy==2.4.6 scikit-learn==1.9.1
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps fuxictr==2.3.10  # its metrics take no more
cd "$folder"
cat > check.py <<'PY'
import multiprocessing
from importlib.metadata import version

import numpy as np
from fuxictr.metrics import evaluate_metrics

multiprocessing.cpu_count = lambda: 4  # it starts half as many processes, none where there is one core
NAMES = ["gAUC", "avgAUC", "MRR", "NDCG(k=5)"]
GROUPS, ROWS, CLICKED = 10, 5, 4


def show(title, label, score):
    group = np.repeat(np.arange(GROUPS), ROWS)
    found = {name: round(float(value), 6) for name, value in evaluate_metrics(label, score, NAMES, group).items()}
    print(f"{title}: {found}")
    return found


if __name__ == "__main__":
    first = np.zeros((GROUPS, ROWS), int)
    first[:CLICKED, 0] = 1
    last = first[:, ::-1]
    flat = np.full(GROUPS * ROWS, 0.5)
    perfect = show("every click has the highest score     ", first.ravel(), 0.1 + 0.8 * first.ravel())
    nothing = show("one score for all, the click is last  ", last.ravel(), flat)
    reversed_ = show("one score for all, the click is first ", first.ravel(), flat)
    assert version("fuxictr") == "2.3.10"
    assert perfect["gAUC"] == perfect["avgAUC"] == 1
    assert perfect["MRR"] == perfect["NDCG(k=5)"] == CLICKED / GROUPS
    assert nothing["gAUC"] == reversed_["gAUC"] == 0.5
    assert nothing["MRR"] == perfect["MRR"] and reversed_["MRR"] == 0.08
PY
"$folder/venv/bin/python" check.py
