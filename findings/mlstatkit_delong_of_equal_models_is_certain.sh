#!/usr/bin/env bash
# MLstatkit 0.1.91, Delong_test, which compares the AUCs of two models on the same rows.
#
# Of a model and a copy of it, or of a model and the same with calibrated probabilities, one would guess a p-value of 1, or none
# (the difference is 0 and so is its variance).
#
# Seen: p = 0, the strongest evidence there is, with z = 0 and equal AUCs beside it. Where DeLong's variance is 0 it falls
# back to a bootstrap of the difference, whose share of draws beyond 0 is taken for the p-value, and there is none. So it is wherever
# two models order clicked and unclicked rows alike. Of models that differ the p-value is DeLong's; z is of the second less
# the first.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check MLstatkit==0.1.91 scikit-learn==1.9.1 scipy==1.17.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - 2> /dev/null <<'PYTHON'
import numpy as np
from MLstatkit import Delong_test

rng = np.random.default_rng(0)
x = rng.normal(size=2000)
click = (rng.random(2000) < 1 / (1 + np.exp(2 - x))).astype(int)
score = 1 / (1 + np.exp(2 - x))
print("MLstatkit 0.1.91")
for name, other in (("itself", score), ("itself calibrated", score**1.3)):
    z, p, _, _, one, two, facts = Delong_test(click, score, other)
    print(f"a model against {name}: AUC {one:.4f} and {two:.4f}, z = {z}, p = {p} (by {facts['method']})")
    assert (z, p) == (0.0, 0.0) and one == two and facts["method"] == "bootstrap"
worse = x + rng.normal(size=2000)
z, p, _, _, one, two, _ = Delong_test(click, score, worse)
print(f"a model against a worse one: AUC {one:.4f} and {two:.4f}, z = {z:.2f}, p = {p:.1e}")
assert one > two and z < 0 and 0 < p < 0.05
PYTHON
