#!/usr/bin/env bash
# river 0.26.1, river.metrics.ROCAUC, which online click models are measured with while they learn.
#
# It is an approximation, and says so: of no significant error "as long as the predicted probabilities are well calibrated",
# and reliable for comparing models in any case. One would guess that calibrated probabilities of clicks are the good case.
#
# Seen: the curve is taken at ten thresholds that are spread over [0, 1], the second at 0.111. Calibrated probabilities of
# clicks, 0.2% to 9%, all lie below it, so the AUC is 0.5 whatever they say: for the true probabilities, for all the same, and
# for scores that put every click above every other row. A model that predicts ten times too much is the better one by
# it. A thousand thresholds come near; metrics.RollingROCAUC ranks.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check river==0.26.1 scikit-learn==1.9.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import river
from river.metrics import ROCAUC
from sklearn.metrics import roc_auc_score

rng = np.random.default_rng(0)
true = np.exp(rng.uniform(np.log(0.002), np.log(0.09), 20_000))
click = rng.random(len(true)) < true
scores = {
    "the true probabilities": true,
    "one for all": np.full(len(true), true.mean()),
    "every click above all others": np.where(click, 0.08, 0.01),
    "ten times too much": 10 * true,
}


def by_river(score, **options):
    metric = ROCAUC(**options)
    for label, value in zip(click.tolist(), score.tolist()):
        metric.update(label, value)
    return metric.get()


print("river", river.__version__, f"- {click.sum()} clicks in {len(click)} rows, probabilities up to {true.max():.3f}")
found = {}
for name, score in scores.items():
    found[name] = by_river(score), roc_auc_score(click, score)
    print(f"{name}: river {found[name][0]:.3f}, scikit-learn {found[name][1]:.3f}")
fine = by_river(true, n_thresholds=1000)
print(f"the true probabilities at 1,000 thresholds: {fine:.3f}")
calibrated, scaled = found["the true probabilities"], found["ten times too much"]
assert calibrated[0] == found["one for all"][0] == found["every click above all others"][0] == 0.5
assert calibrated[1] > 0.7 and found["every click above all others"][1] == 1.0
assert np.isclose(scaled[1], calibrated[1]) and scaled[0] > 0.65
assert abs(fine - calibrated[1]) < 0.01
PYTHON
