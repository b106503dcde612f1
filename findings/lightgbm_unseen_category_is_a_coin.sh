#!/usr/bin/env bash
# lightgbm 4.7.0, categorical_feature, default settings.
#
# A category that training never saw (a new ad) is predicted from the other fields; with none there, one would guess that it
# gets about the mean, or what the largest part of the training rows gets, as a missing value does in scikit-learn's gradient
# boosting.
#
# Seen: a split names the categories of one side; every other one, unseen ones and missing values included, goes to the other
# side, and which side is named is no matter of how many rows it has. Of 31 ads with a click rate of 5% each but the rarest,
# which has 90%, a new ad is predicted to have 5% in some draws of the same data and 90% in others, where the mean is 6%. A
# cold-start figure of such a model is partly one of that coin.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check lightgbm==4.7.0 scikit-learn==1.9.1 numpy
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import lightgbm
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

ROWS, ADS, DRAWS = 40_000, 31, 20
ASKED = np.array([[0.0], [ADS - 1.0], [500.0], [np.nan]])
NAMES = "a usual ad", "the rare one", "one never seen", "missing"


def draw(seed):
    rng = np.random.default_rng(seed)
    ad = np.where(rng.random(ROWS) < 0.01, ADS - 1, rng.integers(0, ADS - 1, ROWS))
    label = (rng.random(ROWS) < np.where(ad == ADS - 1, 0.9, 0.05)).astype(int)
    x = ad[:, None].astype(float)
    data = lightgbm.Dataset(x, label, categorical_feature=[0], params={"verbose": -1})
    theirs = lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, data, 50).predict(ASKED)
    other = HistGradientBoostingClassifier(max_iter=50, categorical_features=[0], random_state=0).fit(x, label)
    return theirs, other.predict_proba(ASKED)[:, 1]


print("lightgbm", lightgbm.__version__, f"- {DRAWS} draws, smallest and largest prediction of each")
found = np.array([draw(seed) for seed in range(DRAWS)])
for i, name in enumerate(NAMES):
    print(name + ":", *(f"{who} {found[:, k, i].min():.2f} to {found[:, k, i].max():.2f}" for k, who in enumerate(("lightgbm", "scikit-learn"))))
high = int((found[:, 0, 2] > 0.5).sum())
print(f"in {high} of {DRAWS} draws lightgbm gives the unseen ad more than 0.5")
assert found[:, :, 0].max() < 0.1 and found[:, :, 1].min() > 0.8
assert (found[:, 0, 2] == found[:, 0, 3]).all(), "missing goes where the unseen one goes"
assert 0 < high < DRAWS
assert found[:, 1, 2].max() < 0.1
PYTHON
