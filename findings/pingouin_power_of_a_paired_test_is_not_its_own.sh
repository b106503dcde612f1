#!/usr/bin/env bash
# pingouin 0.7.0 (scipy 1.17.1), pingouin.ttest(..., paired=True).
#
# Two models trained with the same seeds on the same data are compared by a paired t test; its line has p, the interval of
# the difference (CI95) and the power that the test had. One would guess that the power is that of this test, so that a small
# p comes with a power above a half, and that the interval tells whether 0 is inside.
#
# Seen: the power is computed from cohen_d, which for pairs too is the difference over the spread of the two columns, not
# over that of the differences. The pairing, which is why one pairs, is not in it: of six seeds whose AUC differs
# by 0.001 in nearly every pair, p is about 0.0005 and the power 0.08, while of 2,000 such comparisons nearly all are
# significant. A plan from that effect asks for 179 seeds where 4 do. CI95 is rounded to two decimals in the frame
# itself (pingouin.options), so at the scale of AUC it is [0.0, 0.0] for a difference that is there.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pingouin==0.7.0 scipy==1.17.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import pingouin
from scipy.stats import ttest_rel

SEEDS, DRAWS = 6, 2000
rng = np.random.default_rng(0)


def draw():
    seed = rng.normal(0.75, 0.01, SEEDS)  # what the seed does to both models
    return seed + 0.001 + rng.normal(0, 0.0003, SEEDS), seed


one, other = draw()
row = pingouin.ttest(one, other, paired=True).iloc[0]
exact = ttest_rel(one, other)
interval = exact.confidence_interval()
significant = np.mean([ttest_rel(*draw()).pvalue < 0.05 for _ in range(DRAWS)])
d = (one - other).mean() / (one - other).std(ddof=1)
needed = pingouin.power_ttest(d=row["cohen_d"], power=0.9, contrast="paired")
own = pingouin.power_ttest(d=d, power=0.9, contrast="paired")
print("pingouin", pingouin.__version__)
print(f"p {row['p_val']:.5f}, power {row['power']:.3f}; {significant:.1%} of {DRAWS} such comparisons have p < 0.05")
print(f"CI95 {row['CI95'].tolist()}, by scipy [{interval.low:.6f}, {interval.high:.6f}]")
print(f"seeds for a power of 90%: {needed:.0f} by its cohen_d, {own:.1f} by that of the differences")
assert np.isclose(row["p_val"], exact.pvalue) and row["p_val"] < 0.001
assert row["power"] < 0.1 and significant > 0.99
assert row["CI95"].tolist() == [0.0, 0.0] and interval.low > 0
assert needed > 25 * own
PYTHON
