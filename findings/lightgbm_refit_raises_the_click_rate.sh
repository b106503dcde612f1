#!/usr/bin/env bash
# lightgbm 4.7.0, Booster.refit(rows, clicks) with objective "binary": the trees stay as they are, their leaves are fitted to new rows, the
# old values counting 90% (decay_rate). It is a way to keep a model up to date between trainings.
#
# Training starts from the click rate of the rows (boost_from_average), so that few trees are calibrated too. One would guess that a refit
# starts there as well: on the rows of the training themselves nothing much changes, and on days of the same click rate the mean
# prediction stays what it is.
#
# Seen: a refit starts from a probability of a half, whatever boost_from_average says, and each tree may only go its learning rate back from
# there. Of 50 trees with learning rate 0.05 and a click rate of 1.0%, one refit on the training rows lifts the mean prediction to 1.3%, with
# decay_rate=0 to 2.0%; after 14 refits on days that have the same 1.0% it is 2.1%. The AUC does not fall, so a monitor of it sees
# nothing, while bids and expected clicks double. XGBoost's refresh of leaves keeps the mean. With boost_from_average=False and the same
# init_score in training and refit, added to what is predicted, LightGBM keeps it too.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    lightgbm==4.7.0 xgboost==3.2.0 scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import lightgbm as lgb
import numpy as np
import xgboost as xgb
from sklearn.metrics import roc_auc_score


def day(number):
    rng = np.random.default_rng(number)
    rows = rng.normal(size=(50_000, 3))
    return rows, (rng.random(len(rows)) < 0.01 * np.exp(0.7 * rows[:, 0] - 0.245)).astype(int)


rows, clicks = day(0)
settings = {"objective": "binary", "learning_rate": 0.05, "num_leaves": 15, "num_threads": 1, "verbose": -1}
trained = lgb.train(settings, lgb.Dataset(rows, clicks), 50)
followed = trained
for number in range(1, 15):
    followed = followed.refit(*day(number))
models = {
    "trained": trained,
    "refitted to the training rows": trained.refit(rows, clicks),
    "the same, boost_from_average=True": trained.refit(rows, clicks, boost_from_average=True),
    "the same, decay_rate=0": trained.refit(rows, clicks, decay_rate=0.0),
    "refitted on 14 days": followed,
}
later, later_clicks = day(15)
print("lightgbm", lgb.__version__, f"- click rate {clicks.mean():.4f}, on day 15 {later_clicks.mean():.4f}")
mean, auc = {}, {}
for name, model in models.items():
    predicted = model.predict(later)
    mean[name], auc[name] = predicted.mean(), roc_auc_score(later_clicks, predicted)
    print(f"  {name}: mean prediction {mean[name]:.4f}, AUC {auc[name]:.3f} on day 15")
assert abs(mean["trained"] - clicks.mean()) < 0.001
assert mean["refitted to the training rows"] > 1.15 * mean["trained"]
assert mean["the same, boost_from_average=True"] == mean["refitted to the training rows"]
assert mean["the same, decay_rate=0"] > 1.7 * mean["trained"]
assert mean["refitted on 14 days"] > 1.7 * mean["trained"]
assert auc["refitted on 14 days"] > auc["trained"] - 0.01

start = np.log(clicks.mean() / (1 - clicks.mean()))
started = lgb.Dataset(rows, clicks, init_score=np.full(len(rows), start))
own = lgb.train({**settings, "boost_from_average": False}, started, 50).refit(rows, clicks, init_score=np.full(len(rows), start))
kept = np.mean(1 / (1 + np.exp(-own.predict(later, raw_score=True) - start)))
print(f"  refitted with an init_score: mean prediction {kept:.4f}")
assert abs(kept - clicks.mean()) < 0.001

plain = {"objective": "binary:logistic", "learning_rate": 0.05, "nthread": 1}
matrix = xgb.DMatrix(rows, clicks)
booster = xgb.train(plain, matrix, 50)
refresh = {**plain, "process_type": "update", "updater": "refresh", "refresh_leaf": True, "verbosity": 0}
refreshed = xgb.train(refresh, matrix, 50, xgb_model=booster).predict(xgb.DMatrix(later)).mean()
print(f"xgboost: {booster.predict(xgb.DMatrix(later)).mean():.4f}, refreshed {refreshed:.4f}")
assert abs(refreshed - clicks.mean()) < 0.001
PYTHON
