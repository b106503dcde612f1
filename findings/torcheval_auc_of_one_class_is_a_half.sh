#!/usr/bin/env bash
# torcheval 0.0.7 (torch 2.13.0), torcheval.metrics.functional.binary_auroc and binary_normalized_entropy.
#
# The AUC of rows that all have one label does not exist: there is no pair to order. One would guess NaN, or an error as
# scikit-learn and others give, so that a mean over users (gAUC) leaves these users out.
#
# Seen: it is 0.5, without a word, and with num_tasks (one AUC a user) it stands among the others. A mean over users is then drawn to 0.5 by
# as much as there are users without a click, or with nothing else, who are most of them in click logs. The normalised entropy of rows
# without a click is not undefined either, but a number of 13 digits.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torcheval==0.0.7 torch==2.13.0 numpy
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from torcheval.metrics.functional import binary_auroc, binary_normalized_entropy

draw = torch.Generator().manual_seed(1)
users, rows = 1000, 8
label = (torch.rand(users, rows, generator=draw) < 0.1).double()
score = torch.rand(users, rows, generator=draw).double() + 0.5 * label
auc = binary_auroc(score, label, num_tasks=users)
both = (label.sum(1) > 0) & (label.sum(1) < rows)
print(f"{int(both.sum())} of {users} users have both labels: mean AUC {auc[both].mean():.3f}; of all users {auc.mean():.3f}")
assert not auc.isnan().any() and (auc[~both] == 0.5).all()
assert auc[both].mean() - auc.mean() > 0.1
entropy = binary_normalized_entropy(score[0].clamp(0.01, 0.99), torch.zeros(rows, dtype=torch.float64)).item()
print(f"normalised entropy of rows without a click: {entropy:.3g}")
assert entropy > 1e12
PYTHON
