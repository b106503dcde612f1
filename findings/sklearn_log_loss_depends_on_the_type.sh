#!/usr/bin/env bash
# scikit-learn 1.9.1, sklearn.metrics.log_loss.
#
# Predictions of 0 and 1 are clipped by an eps, so that one wrong certain prediction does not make the loss infinite. One
# would guess that this eps is a constant (it was 1e-15 for years), and that the same numbers, each exact in every type, have
# the same loss.
#
# Seen: it is the machine epsilon of the array's type. A click that was given probability 0 costs 36.04 as float64, 15.94 as
# float32 and 6.93 as float16. Of two otherwise equal models the one whose scores were stored in the shorter type has the
# better loss: with one such row in a thousand the difference is 0.02, more than published models differ by. A column that a
# CSV or Parquet file gives as float64 is no longer what the model wrote in float32.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check scikit-learn==1.9.1 numpy
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import sklearn
from sklearn.metrics import log_loss

label = np.zeros(1000, int)
label[:250] = 1
score = np.where(np.arange(1000) < 500, 0.5, 0.25)  # exact in every type
score[0] = 0.0  # one click that was said to be impossible
print("scikit-learn", sklearn.__version__)
found = {kind: float(log_loss(label, score.astype(kind), labels=[0, 1])) for kind in ("float64", "float32", "float16")}
one = {kind: float(log_loss(label[:2], np.array([0.0, 1.0], kind), labels=[0, 1])) for kind in found}
for kind in found:
    print(f"{kind}: 1,000 rows {found[kind]:.4f}; two clicks, one said to be impossible {one[kind]:.4f}")
    assert abs(2 * one[kind] + np.log(np.finfo(kind).eps)) < 0.01
assert found["float64"] - found["float32"] > 0.02 and found["float32"] - found["float16"] > 0.008
PYTHON
