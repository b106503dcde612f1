#!/usr/bin/env bash
# hyperopt 0.3.0 (numpy 1.26.4), hp.uniformint("layers", 1, 3).
#
# A number of layers is 1, 2 or 3, drawn uniformly. One would guess that a random search spends a third of its trials on each,
# as with Optuna's suggest_int, numpy's integers and hp.randint("layers", 1, 4) beside it.
#
# Seen: a real number is drawn between the bounds and rounded, so that the first and the last value have half the share of the
# others: half of the trials have 2 layers, a quarter 1, a quarter 3; of 1 to 5 the ends have an eighth each. The best of more
# trials is better by that alone, and "two layers are best" is partly a statement of how often they were tried.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check hyperopt==0.3.0 numpy==1.26.4 scipy==1.17.1
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON' 2>"$folder/err" || { cat "$folder/err"; exit 1; }
from collections import Counter
from importlib.metadata import version

import numpy as np
from hyperopt import Trials, fmin, hp, rand

TRIALS = 1500


def shares(space):
    trials = Trials()
    rng = np.random.default_rng(0)
    fmin(lambda layers: 0.0, space, rand.suggest, TRIALS, trials=trials, rstate=rng, show_progressbar=False)
    return {int(value): round(count / TRIALS, 3) for value, count in sorted(Counter(trials.vals["layers"]).items())}


print("hyperopt", version("hyperopt"), "- random search, share of the trials with each number of layers")
rounded, wider, even = (
    shares(space)
    for space in (hp.uniformint("layers", 1, 3), hp.uniformint("layers", 1, 5), hp.randint("layers", 1, 4))
)
print(f"uniformint(1, 3): {rounded}", f"uniformint(1, 5): {wider}", f"randint(1, 4): {even}", sep="\n")
assert np.allclose([rounded[n] for n in (1, 2, 3)], [1 / 4, 1 / 2, 1 / 4], atol=0.05)
assert np.allclose([wider[n] for n in range(1, 6)], [1 / 8, 1 / 4, 1 / 4, 1 / 4, 1 / 8], atol=0.05)
assert np.allclose([even[n] for n in (1, 2, 3)], 1 / 3, atol=0.05)
PYTHON
