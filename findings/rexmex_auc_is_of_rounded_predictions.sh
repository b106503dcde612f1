#!/usr/bin/env bash
# rexmex 0.1.3 (scikit-learn 1.9.1, numpy 1.26.4), ScoreCard(ClassificationMetricSet()): 32 metrics of a recommender at once.
#
# Some of them count (precision, recall: a score of at least 0.5 is a click), others rank (roc_auc, average_precision). One would guess
# that each gets the scores as they are, so that roc_auc is what scikit-learn says, and that two names of one quantity agree.
#
# Seen: the first metric that counts writes its zeros and ones into the array of scores, and all that follow get those: the area is that
# of rounded scores, here 0.55 for 0.70. At the click rate of a log, where no score reaches 0.5, roc_auc is exactly 0.5 and
# average_precision the click rate, for a good model and for noise alike. What stands before the first rounding is computed of the
# scores as they are: sensitivity is 0.33 and recall, the same thing, 0.14. The caller's own array holds zeros and ones afterwards, so
# whatever is computed of it next is of these.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip=("$folder/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" rexmex==0.1.3 scikit-learn==1.9.1 numpy==1.26.4 pandas==2.3.3 scipy==1.17.1 six==1.17.0
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

import numpy as np
from rexmex.metricset import ClassificationMetricSet
from rexmex.scorecard import ScoreCard
from sklearn.metrics import average_precision_score, recall_score, roc_auc_score

card = ScoreCard(ClassificationMetricSet())
rng = np.random.default_rng(0)
print("rexmex", version("rexmex"))


def shown(name, click, score):
    given = score.copy()
    found = card.get_performance_metrics(click, given).loc[0]
    names = ["sensitivity", "recall", "roc_auc", "average_precision"]
    truth = roc_auc_score(click, score), average_precision_score(click, score)
    print(f"{name}: {found[names].astype(float).round(4).to_dict()}; scikit-learn: AUC {truth[0]:.4f}, average precision {truth[1]:.4f}")
    assert set(np.unique(given)) <= {0.0, 1.0}, "the caller's scores"
    assert found["roc_auc"] == roc_auc_score(click, score >= 0.5)
    return found, truth


score = rng.beta(2, 6, 5_000)
click = (rng.random(5_000) < score).astype(int)
found, (auc, _) = shown("click rate 0.25", click, score)
assert 0.70 < auc < 0.71 and 0.55 < found["roc_auc"] < 0.56
assert found["recall"] == recall_score(click, score >= 0.5) < 0.14 < 0.32 < found["sensitivity"]

score = rng.beta(1, 40, 20_000)
click = (rng.random(20_000) < score).astype(int)
assert score.max() < 0.5
for name, scores in {"click rate 0.025": score, "the same clicks, noise": rng.permutation(score)}.items():
    found, (auc, _) = shown(name, click, scores)
    assert found["roc_auc"] == 0.5 and np.isclose(found["average_precision"], click.mean())
    assert auc > 0.7 if scores is score else abs(auc - 0.5) < 0.05
PYTHON
