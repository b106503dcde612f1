#!/usr/bin/env bash
# optuna 5.0.0, MedianPruner and importance.get_param_importances.
#
# 1. A trial whose metric collapses (0.70 in its first epoch, 0.50 from the second on, where all earlier trials stand at
#    0.65) is below the median of every later epoch, so one would guess that a median pruner stops it.
#    Seen: it is never pruned. What is compared is the best value that the trial has reported so far, 0.70.
# 2. Where all trials came to the same value, or there is one alone, nothing tells which parameter matters; one would guess
#    no figures, zeros or an error.
#    Seen: the parameters share the importance equally (1/3 each of three), normalised as real ones are; a warning says so,
#    the returned numbers do not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check optuna==5.0.0 scikit-learn
"$folder/venv/bin/python" - <<'PYTHON'
import warnings

import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)
study = optuna.create_study(direction="maximize", pruner=optuna.pruners.MedianPruner(n_startup_trials=1))
for _ in range(5):
    trial = study.ask()
    for epoch in range(4):
        trial.report(0.65, epoch)
    study.tell(trial, 0.65)
trial = study.ask()
asked = []
for epoch, value in enumerate([0.70, 0.50, 0.50, 0.50]):
    trial.report(value, epoch)
    asked.append(bool(trial.should_prune()))
print("optuna", optuna.__version__)
print("a collapse to 0.50 beside 0.65, pruned after each epoch:", asked)
assert asked == [False] * 4, asked

for trials in (1, 20):
    flat = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=1))
    flat.optimize(lambda t: 0 * t.suggest_float("a", 0, 1) * t.suggest_float("b", 0, 1) * t.suggest_int("c", 1, 9), trials)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        shares = optuna.importance.get_param_importances(flat)
    print(f"{trials} trials of one value:", shares, "| warned:", bool(said))
    assert set(shares) == {"a", "b", "c"} and all(abs(share - 1 / 3) < 1e-9 for share in shares.values()), shares
PYTHON
