#!/usr/bin/env bash
# optuna 5.0.0, create_study(study_name=…, storage=…, load_if_exists=True, direction=…), the call that goes on with a search.
#
# A search was begun without a direction, which is "minimize", and is gone on with once it was noticed that AUC is to be
# maximised. One would guess that the contradiction is an error (earlier versions raised "Cannot overwrite study direction"),
# or that the direction asked for holds.
#
# Seen: what is asked for is passed over without a word, also for several objectives and for their number: the study goes on
# minimising, best_trial is the worst model, and the sampler draws ever more trials like it. study.direction tells.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check optuna==5.0.0
cd "$folder"
"$folder/venv/bin/python" -W error - <<'PYTHON' 2>err || { cat "$folder/err"; exit 1; }
import optuna

STORE = "sqlite:///search.db"
print("optuna", optuna.__version__)


def search(**direction):
    return optuna.create_study(study_name="auc", storage=STORE, load_if_exists=True, **direction)


def train(trial):
    return 0.8 - (trial.suggest_float("x", 0, 1) - 0.5) ** 2  # the best AUC is in the middle


search().optimize(train, n_trials=3)
study = search(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
study.optimize(train, n_trials=40)
values = [trial.value for trial in study.trials]
print(f"asked to maximize: direction {study.direction.name}, best_value {study.best_value:.3f} of {min(values):.3f} to {max(values):.3f}")
print(f"mean of the last ten trials: {sum(values[-10:]) / 10:.3f}")
assert study.direction == optuna.study.StudyDirection.MINIMIZE
assert study.best_value == min(values) < 0.6 < max(values)
assert sum(values[-10:]) / 10 < sum(values) / len(values)
two = search(directions=["maximize", "minimize"])
print("asked for two objectives:", [direction.name for direction in two.directions])
assert two.directions == study.directions
PYTHON
grep -i "direction" "$folder/err" && exit 1
exit 0
