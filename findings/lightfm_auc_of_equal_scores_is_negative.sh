#!/usr/bin/env bash
# lightfm-next 1.19.0 (numpy 2.4.6), lightfm.evaluation.auc_score.
#
# It is told to be the chance that an ad that a user clicked has a higher score than another one, by user. One would guess that it is a half
# where all scores are equal, as everywhere, and never below 0 or above 1.
#
# Seen: every other ad of at least the same score counts as above the clicked one. Ties are lost, those with the user's other clicked
# ads too, and these are then taken off as if they stood in the first places: the mean AUC of a model that has one score for all ads is
# -0.11, and the more a user clicked the lower it is. For new ads a model has features in place of ids, so that all ads of a
# campaign have one score: here its AUC is 0.72 for scikit-learn, also with noise that orders ads within a campaign alone, and 0.63 for
# lightfm. So a model of ids, without ties, wins over it by being measured otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip=("$folder/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" lightfm-next==1.19.0 numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1
cd "$folder"
OMP_NUM_THREADS=1 "$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

import numpy as np
from lightfm import LightFM
from lightfm.evaluation import auc_score
from scipy.sparse import csr_matrix
from sklearn.metrics import roc_auc_score

USERS, ADS, CAMPAIGNS = 300, 60, 6
rng = np.random.default_rng(0)
campaign = np.arange(ADS) % CAMPAIGNS
taste = rng.normal(0, 1.5, (USERS, CAMPAIGNS))[:, campaign]
train, test = (csr_matrix((rng.random((USERS, ADS)) < 1 / (1 + np.exp(2 - taste))).astype(np.float32)) for _ in range(2))
clicks = test.toarray()
some = [user for user in range(USERS) if 0 < clicks[user].sum() < ADS]
of_ads = csr_matrix((np.ones(ADS, np.float32), (np.arange(ADS), campaign)), shape=(ADS, CAMPAIGNS))

model = LightFM(no_components=8, loss="warp", random_state=0)
model.fit(train, item_features=of_ads, epochs=20, num_threads=1)


def measured() -> tuple[np.ndarray, float, float]:
    """AUC by user of lightfm, the mean AUC of scikit-learn, and this with noise that decides between equal scores."""
    theirs = auc_score(model, test, item_features=of_ads, preserve_rows=True, num_threads=1)[some]
    scores = [model.predict(user, np.arange(ADS), item_features=of_ads, num_threads=1).astype(float) for user in some]
    steps = [np.diff(np.unique(score)).min() if len(np.unique(score)) > 1 else 1.0 for score in scores]
    noisy = [score + step / 2 * rng.random(ADS) for score, step in zip(scores, steps)]
    means = [float(np.mean([roc_auc_score(clicks[u], s[i]) for i, u in enumerate(some)])) for s in (scores, noisy)]
    return theirs, *means


theirs, truth, noisy = measured()
print("lightfm-next", version("lightfm-next"))
print(f"scores by campaign: lightfm {theirs.mean():.3f}, scikit-learn {truth:.3f}, with noise within campaigns {noisy:.3f}")
assert abs(truth - noisy) < 0.01 and 0.71 < truth < 0.73 and theirs.mean() < truth - 0.08

for name in ("item_embeddings", "user_embeddings", "item_biases", "user_biases"):
    getattr(model, name)[:] = 0
theirs, truth, noisy = measured()
clicked = clicks[some].sum(axis=1)
few, many = theirs[clicked <= 5].mean(), theirs[clicked >= 20].mean()
print(f"one score for all: lightfm {theirs.mean():.3f}, of users with up to 5 clicks {few:.3f}, with 20 or more {many:.3f}", end="")
print(f"; scikit-learn {truth:.3f}, with noise {noisy:.3f}")
assert truth == 0.5 and abs(noisy - 0.5) < 0.02
assert theirs.max() <= 0 and theirs.mean() < -0.1 and many < few < 0.0
PYTHON
