#!/usr/bin/env bash
# statsmodels 0.15.0 (scipy 1.17.1), stats.multitest.multipletests, over the p values of several comparisons of models.
#
# A part that is switched off may change nothing: both models have the same AUC with every seed, and scipy's paired t test of them is
# NaN. One would guess that such a comparison is left aside, is an error, or at worst is NaN and not significant, and that the p values
# of the others are adjusted as ever.
#
# Seen: with Holm's method, and with the one that is taken when none is named (holm-sidak), the comparison without a difference is
# among the significant ones as soon as all others are: its corrected p value is NaN, reject is True. The methods that step up (BH, BY,
# Hochberg) turn the corrected p values of all comparisons into NaN, but reject is as if there were none; with Hommel's nothing is
# significant any more, not a p of 0.00001 either. Bonferroni alone does what one would guess.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check statsmodels==0.15.0 scipy==1.17.1 numpy==2.4.6 pandas==3.1.1
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import statsmodels
from scipy.stats import ttest_rel
from statsmodels.stats.multitest import multipletests

# The AUC of five seeds: the whole model, and it without one part each.
rng = np.random.default_rng(0)
whole = 0.7610 + rng.normal(0, 0.0004, 5)
without = {name: whole - lost - rng.normal(0, 0.0006, 5) for name, lost in [("attention", 0.004), ("cross", 0.003), ("history", 0.008)]}
without["a bias that is 0"] = whole.copy()
p = [ttest_rel(whole, other).pvalue for other in without.values()]
print("statsmodels", statsmodels.__version__, "- p of", {name: round(float(one), 6) for name, one in zip(without, p)})
assert max(p[:3]) < 0.01 and np.isnan(p[3])

methods = ["holm", "holm-sidak", "fdr_bh", "fdr_by", "simes-hochberg", "hommel", "bonferroni"]
found = {method: multipletests(p, method=method)[:2] for method in methods}
for method, (reject, corrected) in found.items():
    print(f"  {method}: corrected {corrected.round(5).tolist()}, reject {reject.tolist()}")
for method in ("holm", "holm-sidak"):
    reject, corrected = found[method]
    assert reject.all() and np.isnan(corrected[3]) and not np.isnan(corrected[:3]).any()
assert multipletests(p)[0][3]
for method in ("fdr_bh", "fdr_by", "simes-hochberg"):
    reject, corrected = found[method]
    assert reject.tolist() == [True, True, True, False] and np.isnan(corrected).all()
assert not found["hommel"][0].any() and multipletests(p[:3], method="hommel")[0].all()
assert found["bonferroni"][0].tolist() == [True, True, True, False]
PYTHON
