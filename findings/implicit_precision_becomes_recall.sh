#!/usr/bin/env bash
# implicit 0.7.3 (scipy 1.17.1, numpy 2.4.6), implicit.evaluation.precision_at_k, which is ranking_metrics_at_k's precision.
#
# Precision at K is the share of clicked ads among the K that are recommended, its mean over users. One would guess that a random list has
# the click rate whatever K is, that no list is more precise than it has clicks for its places, and that users count alike.
#
# Seen: hits are divided by K or by the number of the user's clicks, whichever is less, both summed over all users first. Where K is above
# most users' clicks that is recall: of random lists of ads that are clicked at 3% it rises from 0.03 at 1 over 0.10 at 10 to 1 for the
# list of all ads, which the reverse of the right order has too. A user of 20 clicks weighs ten times one of two. So it cannot be set beside
# the precision of a paper or of another library, nor beside itself at another K or where users click more.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check implicit==0.7.3 scipy==1.17.1 numpy==2.4.6
cd "$folder"
OPENBLAS_NUM_THREADS=1 "$folder/venv/bin/python" - <<'PYTHON'
import implicit
import numpy as np
from implicit.als import AlternatingLeastSquares
from implicit.evaluation import precision_at_k
from scipy.sparse import csr_matrix

USERS, ADS = 2_000, 100


def measured(scores, clicks, k: int) -> tuple[float, float, float]:
    """implicit's precision at k, the share of clicked ads among those recommended, and the share of clicks that are among them."""
    nothing = csr_matrix(scores.shape, dtype=np.float32)
    model = AlternatingLeastSquares(factors=scores.shape[1])
    model.user_factors, model.item_factors = scores.astype(np.float32), np.eye(scores.shape[1], dtype=np.float32)
    theirs = precision_at_k(model, nothing, csr_matrix(clicks), K=k, show_progress=False, num_threads=1)
    ads, _ = model.recommend(np.arange(len(scores)), nothing, N=k)
    hits = np.take_along_axis(clicks, ads, axis=1)
    return theirs, float(hits.mean()), float(hits.sum() / clicks.sum())


rng = np.random.default_rng(0)
clicks = (rng.random((USERS, ADS)) < 0.03).astype(np.float32)
by_chance = rng.random((USERS, ADS))
print("implicit", implicit.__version__, f"- click rate {clicks.mean():.3f}, {clicks.sum(axis=1).mean():.1f} clicks a user")
found = {k: measured(by_chance, clicks, k) for k in (1, 3, 10, 30, ADS)}
for k, (theirs, precision, recall) in found.items():
    print(f"random lists of {k}: {theirs:.3f}; clicked among recommended {precision:.3f}, clicks that are among them {recall:.3f}")
    assert abs(precision - 0.03) < 0.006
assert abs(found[1][0] - 0.03) < 0.01 and found[10][0] > 0.09 and found[30][0] > 0.28 and found[ADS][0] == 1
assert all(abs(found[k][0] - found[k][2]) < 0.001 for k in (10, 30, ADS))
backwards = measured(-clicks, clicks, ADS)[0]
print(f"the reverse of the right order, list of {ADS}: {backwards:.3f}")
assert backwards == 1

two = np.zeros((2, ADS), np.float32)
two[0, :20] = two[1, 90:92] = 1
theirs, precision, _ = measured(np.tile(np.arange(ADS)[::-1], (2, 1)), two, 20)
print(f"20 hits of 20 clicks and none of 2, lists of 20: {theirs:.3f}; clicked among recommended {precision:.3f}")
assert np.isclose(theirs, 20 / 22) and precision == 0.5
PYTHON
