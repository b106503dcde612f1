#!/usr/bin/env bash
# recommenders 1.2.1 (pandas 2.3.3), recommenders.evaluation.python_evaluation: auc and logloss of a log of impressions.
#
# They take two tables, what was seen (user, ad, click) and what a model said (user, ad, prediction). In a log an ad is shown to the same
# user again and again, each time with its own prediction. One would guess that rows belong to each other one by one, as tables of the
# same rows in the same order do, or that a user's second row with the same ad is refused.
#
# Seen: the tables are joined by user and ad, so of an ad that was shown n times every click meets every prediction: n² rows, most of
# which pair a click with the prediction of another hour. Of 20,000 impressions 221,000 rows are scored: a model that knows user, ad and
# hour has an AUC of 0.57 in place of 0.79, and one that knows user and ad alone, 0.61, wins over it; the log loss is wrong alike. With one
# row a user and ad, both functions agree with scikit-learn.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip=("$folder/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" numpy==2.4.6 pandas==2.3.3 scipy==1.17.1 scikit-learn==1.9.1
"${pip[@]}" --no-deps recommenders==1.2.1
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

import numpy as np
import pandas as pd
from recommenders.evaluation.python_evaluation import auc, logloss
from sklearn.metrics import log_loss, roc_auc_score

IMPRESSIONS, USERS, ADS = 20_000, 100, 20
rng = np.random.default_rng(0)
log = pd.DataFrame({"userID": rng.integers(0, USERS, IMPRESSIONS), "itemID": rng.integers(0, ADS, IMPRESSIONS)})
of_pair = 0.5 * rng.normal(size=(USERS, ADS))[log.userID, log.itemID] - 1.5
of_hour = 1.2 * rng.normal(size=IMPRESSIONS)
log["rating"] = (rng.random(IMPRESSIONS) < 1 / (1 + np.exp(-of_pair - of_hour))).astype(int)
models = {"of user, ad and hour": of_pair + of_hour, "of user and ad": of_pair}


def said(score) -> pd.DataFrame:
    return log[["userID", "itemID"]].assign(prediction=1 / (1 + np.exp(-score)))


joined = log.merge(said(of_pair), on=["userID", "itemID"])
print("recommenders", version("recommenders"), f"- {len(log)} impressions, {len(joined)} rows after a join by user and ad")
found = {}
for name, score in models.items():
    given = said(score)
    found[name] = auc(log, given), roc_auc_score(log.rating, given.prediction)
    losses = logloss(log, given), log_loss(log.rating, given.prediction)
    print(f"model {name}: AUC {found[name][0]:.3f}, of the rows as they are {found[name][1]:.3f}; log loss {losses[0]:.3f} and {losses[1]:.3f}")
    again = given.merge(log, on=["userID", "itemID"])
    assert np.isclose(found[name][0], roc_auc_score(again.rating, again.prediction))
better, worse = found.values()
assert better[1] > worse[1] + 0.1 and better[0] < worse[0] - 0.02

once = log.drop_duplicates(["userID", "itemID"])
given = said(of_pair + of_hour).loc[once.index]
print(f"one row a user and ad: AUC {auc(once, given):.3f} and {roc_auc_score(once.rating, given.prediction):.3f}")
assert np.isclose(auc(once, given), roc_auc_score(once.rating, given.prediction))
assert np.isclose(logloss(once, given), log_loss(once.rating, given.prediction))
PYTHON
