#!/usr/bin/env bash
# baycomp 1.0.3 (numpy 2.4.6), two_on_multiple: the Bayesian signed-rank test of two models on several data sets, as it is
# called by default, without a region of equivalence (rope=0).
#
# It returns the probabilities that the first and that the second model is better. Its prior is one more data set on which both
# are equal. One would guess that ties draw both to a half: a model and a copy of it have a half each, and one win by 0.001 with
# seven ties beside it is weak evidence (p = 1 by the sign test).
#
# Seen: what counts is in how many draws one side weighs more than the other, by however little, and ties weigh the same on
# both. One win beside seven ties is certain, 1.0 to 0.0, as eight wins are. Of two equal models the one that is named first is
# better with probability 0.7, as draws that are equal but for rounding go mostly to it: swapped, the other one is. Ties are usual
# where AUC is given in three decimals. With a region of 1e-6 in place of 0 both become "no difference".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check baycomp==1.0.3 numpy==2.4.6 scipy==1.17.1
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

import baycomp
import numpy as np
from scipy.stats import binomtest

old = np.array([0.712, 0.745, 0.681, 0.801, 0.774, 0.730, 0.699, 0.758])  # AUC on eight data sets
one_win = old.copy()
one_win[0] += 0.001


def probabilities(first, second, rope=0.0):  # the first is better, neither, the second is better
    return tuple(float(p) for p in baycomp.two_on_multiple(first, second, rope=rope, random_state=1))


print("baycomp", version("baycomp"))
shown = {}
for name, new in {"one win and seven ties": one_win, "eight wins": old + 0.001, "a copy": old.copy()}.items():
    shown[name] = probabilities(new, old), probabilities(old, new), probabilities(new, old, 1e-6)
    print(f"{name}: new, old {shown[name][0]}; old, new {shown[name][1]}; with rope=1e-6 {shown[name][2]}")
print("sign test of one win and no loss: p =", binomtest(1, 1).pvalue)
assert shown["one win and seven ties"][0] == shown["eight wins"][0] == (1, 0, 0)
assert shown["eight wins"][2][0] > 0.99 and shown["one win and seven ties"][2][1] > 0.9
assert shown["a copy"][0][0] > 0.6 and shown["a copy"][1][0] > 0.6 and shown["a copy"][2] == (0, 1, 0)
PYTHON
