#!/usr/bin/env bash
# vowpalwabbit 9.11.9, --loss_function logistic, on clicks labelled 1 and 0.
#
# The documentation wants labels of 1 and -1 for the logistic loss. One would guess that a 0, as every CTR data set has it, is
# taken for a negative, or that it is refused, or warned of.
#
# Seen: no word (not without --quiet either), and training goes on. A row of label 0 has the loss log 2 whatever is predicted, so
# unclicked rows teach nothing: all predictions lie above a half, and their mean is two and a half times the click rate. The
# AUC hardly shows it, as items with many clicks are still pushed up more often.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check vowpalwabbit==9.11.9 scikit-learn==1.9.1 numpy==2.4.6
cd "$folder"
cat > clicks.py <<'PYTHON'
import sys

import numpy as np
import vowpalwabbit
from sklearn.metrics import roc_auc_score
from vowpalwabbit import Workspace

rng = np.random.default_rng(0)
item = rng.integers(0, 50, 4000)
click = rng.random(4000) < 0.5 * rng.random(50)[item]


def predictions(negative):
    model = Workspace("--loss_function logistic --link logistic")
    for clicked, i in zip(click, item):
        model.learn(f"{1 if clicked else negative} |item i{i}")
    found = np.array([model.predict(f"|item i{i}") for i in item])
    model.finish()
    return found


right, wrong = predictions(-1), predictions(0)
print("vowpalwabbit", vowpalwabbit.__version__, f"- click rate {click.mean():.3f}")
for name, found in (("-1", right), ("0", wrong)):
    print(f"unclicked rows labelled {name}: mean {found.mean():.3f}, least {found.min():.3f}, AUC {roc_auc_score(click, found):.3f}")
assert abs(right.mean() - click.mean()) < 0.05
assert wrong.min() > 0.5 and wrong.mean() > 2.5 * click.mean()
assert roc_auc_score(click, wrong) > roc_auc_score(click, right) - 0.02
PYTHON
"$folder/venv/bin/python" clicks.py 2> said.txt
if grep -qiE "warn|label 0|expects|invalid" said.txt; then echo "it says something of the labels now"; exit 1; fi
echo "what it says while it trains: $(wc -l < said.txt) lines of progress, none of labels"
