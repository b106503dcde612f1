#!/usr/bin/env bash
# deepctr-torch 0.3.0 (torch 2.13.0), SparseFeat and every model that reads one: fit, predict, evaluate.
#
# A categorical field is given as integers below vocabulary_size, in an array of its own (int64), and looked up in a
# torch.nn.Embedding. One would guess that each of these integers has its own row, as it has in torch.
#
# Seen: all fields are joined to one matrix that is made float32 before the model, and the ids are taken out of it again. From
# 2^24 (16,777,216) on only every second integer is left: an id gets its neighbour's vector, trains it, and is scored as it;
# half of the table is never read. From 2^25 on it is every fourth one. Users or hashed features of a large log are so many.
# No error, but where the last id is rounded up past the end. Histories (VarLenSparseFeat) stand in the same matrix.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 deepctr-torch==0.3.0 scikit-learn==1.9.1 numpy requests packaging
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

import numpy as np
import torch
from deepctr_torch.inputs import SparseFeat
from deepctr_torch.models import WDL

LIMIT = 2**24
torch.manual_seed(0)
columns = [SparseFeat("ad", LIMIT + 16, embedding_dim=1)]
model = WDL(columns, [], dnn_hidden_units=(), l2_reg_linear=0, init_std=1.0, device="cpu")  # a number for each ad
table = next(weight for weight in model.parameters() if weight.shape[0] == LIMIT + 16)
torch.nn.init.normal_(table)
model.compile("adagrad", "binary_crossentropy")
print("deepctr-torch", version("deepctr-torch"), "- table of", len(table), "rows")
for first in (LIMIT - 8, LIMIT):
    ads = np.arange(first, first + 8, dtype=np.int64)
    found, own = model.predict({"ad": ads}, 8).ravel(), torch.sigmoid(table[first : first + 8]).detach().numpy().ravel()
    right = np.isclose(found, own, atol=1e-6)
    print(f"ads {first} to {first + 7}: {len(np.unique(found))} different scores, {right.sum()} of 8 from the ad's own row")
    assert right.all() == (first < LIMIT)
assert (right == (ads % 2 == 0) & np.isin(ads, ads.astype(np.float32).astype(np.int64))).all() and right.sum() == 4

before = table.detach().clone()
model.fit({"ad": np.full(8, LIMIT + 1)}, np.ones(8, np.float32), batch_size=8, epochs=1, verbose=0)
moved = torch.nonzero((table != before).any(1)).ravel().tolist()
print(f"trained on ad {LIMIT + 1}: the row of {moved} has moved")
assert moved == [LIMIT], moved
PYTHON
