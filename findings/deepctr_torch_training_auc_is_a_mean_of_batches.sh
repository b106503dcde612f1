#!/usr/bin/env bash
# deepctr-torch 0.3.0 (torch 2.13.0, scikit-learn 1.9.1), model.fit(...) with metrics=["auc"], and its History.
#
# History has "auc" beside "val_auc", and the gap of the two is read as overfitting. One would guess that both are areas under
# a ROC curve of all rows.
#
# Seen: val_auc is; auc is the mean of the AUCs of the batches, each ranked by itself, the last short one counting as much as
# the others, and nan for the whole epoch as soon as one batch has no click. With weights that do not move (learning rate 0, no
# dropout) and rows in the order of a log whose click rate and scores rise together, the same predictions have AUC 0.79 by
# evaluate() and 0.63 by History: the training curve lies far below the one of validation, though both are of the same rows.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 deepctr-torch==0.3.0 scikit-learn==1.9.1 numpy requests packaging
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON' 2>"$folder/err" || { cat "$folder/err"; exit 1; }
from importlib.metadata import version

import numpy as np
import torch
from deepctr_torch.inputs import DenseFeat
from deepctr_torch.models import WDL

rng = np.random.default_rng(0)
rows = 4096
drift = np.linspace(-2, 2, rows)  # over the log
score = drift + 0.5 * rng.normal(size=rows)
label = (rng.random(rows) < 1 / (1 + np.exp(-score))).astype(np.float32)
rare = (rng.random(rows) < 0.002).astype(np.float32)


def fit(y):
    torch.manual_seed(0)
    columns = [DenseFeat("score", 1)]
    model = WDL(columns, columns, dnn_hidden_units=(), l2_reg_linear=0, l2_reg_embedding=0, device="cpu")
    for name, weight in model.named_parameters():
        if weight.numel() == 1 and "bias" not in name:
            torch.nn.init.ones_(weight)  # the score itself is the logit
    model.compile(torch.optim.SGD(model.parameters(), lr=0.0), "binary_crossentropy", metrics=["auc"])
    x = {"score": score.astype(np.float32)}
    history = model.fit(x, y, batch_size=256, epochs=1, verbose=1, validation_data=(x, y), shuffle=False)
    return history.history["auc"][0], history.history["val_auc"][0]


print("deepctr-torch", version("deepctr-torch"))
batches, all_rows = fit(label)
print(f"one model, the same rows: auc {batches:.3f}, val_auc {all_rows:.3f}")
seldom = fit(rare)
print(f"clicks in 0.2% of the rows: auc {seldom[0]}, val_auc {seldom[1]:.3f}")
assert all_rows - batches > 0.1
assert np.isnan(seldom[0]) and not np.isnan(seldom[1])
PYTHON
