#!/usr/bin/env bash
# xgboost 3.2.0, eval_metric "auc" of a DMatrix that has `qid`: impressions of one user or page, as ranking objectives want them.
#
# Its documentation says that with groups the AUC of each is taken and their mean is shown. For clicks one would guess the
# mean of the groups' AUCs (the share of pairs of a clicked and an unclicked row that are in order), as GAUC is.
#
# Seen: all pairs of rows of a group count, those of two unclicked rows as well, and these by the order in which the rows lie in
# the data. A group whose click is on top has 0.5, and so has one whose click is at the bottom, as it happens; the same rows
# in another order have 1.0. A group without a click counts too. Without `qid` the figure is the usual one. For
# grouped clicks take another metric of its own (ndcg, map), or compute GAUC from predictions.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check xgboost==3.2.0 scikit-learn==1.9.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import xgboost
from sklearn.metrics import roc_auc_score

rng = np.random.default_rng(0)


def shown(click, score, group=None):
    """The AUC that is shown for these scores: they are the start of a model without trees."""
    data = xgboost.DMatrix(np.zeros((len(click), 1)), label=click, qid=group, base_margin=score)
    model = xgboost.train({"objective": "binary:logistic", "eval_metric": "auc"}, data, 0)
    return float(model.eval(data).split(":")[-1])


print("xgboost", xgboost.__version__)
one = np.zeros(4, int)
click, score = np.array([0, 0, 0, 1]), np.array([0.0, 1.0, 2.0, 3.0])
top, bottom, turned = shown(click, score, one), shown(click, -score, one), shown(click[::-1], score[::-1], one)
print(f"one group of four rows: its click on top {top}, at the bottom {bottom}, on top and the rows turned round {turned}")
none = shown(np.zeros(4), score, one)
print(f"a group without a click: {none}")
group = np.sort(rng.integers(0, 200, 3000))
score = rng.normal(size=3000)
click = (rng.random(3000) < 1 / (1 + np.exp(1 - score))).astype(int)
of_groups = [
    roc_auc_score(click[group == g], score[group == g]) for g in range(200) if 0 < click[group == g].mean() < 1
]
plain, grouped = shown(click, score), shown(click, score, group)
print(f"3,000 rows in 200 groups: without qid {plain:.4f} (scikit-learn {roc_auc_score(click, score):.4f}),")
print(f"with qid {grouped:.4f}; the mean of the groups' AUCs is {np.mean(of_groups):.4f}")
assert (top, bottom, turned, none) == (0.5, 0.5, 1.0, 0.0)
assert np.isclose(plain, roc_auc_score(click, score), atol=1e-6)
assert grouped < np.mean(of_groups) - 0.05
PYTHON
