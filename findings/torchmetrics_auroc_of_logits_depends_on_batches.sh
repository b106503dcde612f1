#!/usr/bin/env bash
# torchmetrics 1.9.0 (torch 2.13.0), BinaryAUROC and its relatives fed batch by batch, as Lightning modules do.
#
# The area under the ROC curve depends on the order of the scores alone, so one would guess that logits do as well as
# probabilities, and that it does not matter in which batches they come: `update` a batch, `compute` at the end.
#
# Seen: each `update` looks whether its own values lie in [0, 1], and where one does not, it takes the sigmoid of that batch.
# A batch whose logits all happen to lie in [0, 1] is kept as it is. The values that are ranked are then some logits, some
# probabilities: the same 1,000 scores have AUC 0.750 as one batch, as in batches of 100, and 0.729 in batches of two. It
# matters where batches are small or logits near each other, as early in training, and in the last, short batch of an epoch.
# Passing probabilities avoids it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 torchmetrics==1.9.0 numpy scikit-learn==1.9.1
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import torch
import torchmetrics
from sklearn.metrics import roc_auc_score
from torchmetrics.classification import BinaryAUROC

generator = torch.Generator().manual_seed(0)
logit = torch.randn(1000, generator=generator)
label = (torch.rand(1000, generator=generator) < torch.sigmoid(logit)).int()


def auc(score, size):
    metric = BinaryAUROC()
    for begin in range(0, len(score), size):
        metric.update(score[begin : begin + size], label[begin : begin + size])
    return metric.compute().item()


print("torchmetrics", torchmetrics.__version__)
print("scikit-learn:", round(roc_auc_score(label, logit), 4))
found = {size: auc(logit, size) for size in (1000, 100, 4, 2)}
sure = {size: auc(torch.sigmoid(logit), size) for size in (1000, 100, 4, 2)}
for size in found:
    print(f"batches of {size}: logits {found[size]:.4f}, probabilities {sure[size]:.4f}")
true = roc_auc_score(label, logit)
assert abs(found[1000] - true) < 1e-6 and all(abs(value - true) < 1e-6 for value in sure.values())
assert abs(found[2] - true) > 0.01 and abs(found[4] - true) > 1e-4
PYTHON
