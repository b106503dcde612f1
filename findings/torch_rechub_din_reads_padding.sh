#!/usr/bin/env bash
# torch-rechub 0.9.0 (torch 2.13.0), models.ranking.DIN, sequences of pooling="concat" as its documentation prescribes for it.
#
# Histories are padded to one length. One would guess that padding is left out, at least where the sequence names its
# padding_idx ("will be masked"), so that a user of three events gets the same prediction whatever the others' length is.
#
# Seen: the mask is used by the poolings mean and sum, not by DIN's attention. By default (padding_idx None, no softmax) each padded
# place adds its weight times the vector of id 0; with padding_idx=0 and use_softmax=True that vector is zero, but the padded
# places take their share of the attention, so that the events count less the longer the padding is. Only padding_idx=0 without softmax
# is safe, and only when evaluating. A model trained with histories of 50 and asked with 10 is another model.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 torch-rechub==0.9.0 numpy
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

import torch
from torch_rechub.basic.features import SequenceFeature, SparseFeature
from torch_rechub.models.ranking import DIN

EVENTS, LENGTHS = [4, 7, 9], (3, 10, 50)


def scores(padding_idx, softmax):
    torch.manual_seed(0)
    user = [SparseFeature("user", 10, 8)]
    item = [SparseFeature("item", 20, 8, padding_idx=padding_idx)]
    history = [SequenceFeature("hist", 20, 8, pooling="concat", shared_with="item", padding_idx=padding_idx)]
    model = DIN(user, history, item, {"dims": [16]}, {"dims": [16], "use_softmax": softmax}).eval()
    table = model.embedding.embed_dict["item"].weight.data
    table.normal_(std=0.3)  # as after some training; it begins at 1e-4
    if padding_idx is not None:
        table[padding_idx] = 0
    found = []
    for length in LENGTHS:
        hist = torch.tensor([EVENTS + [0] * (length - len(EVENTS))])
        with torch.no_grad():
            found.append(model({"user": torch.tensor([3]), "item": torch.tensor([5]), "hist": hist}).item())
    return found


print("torch-rechub", version("torch-rechub"), "- the same three events, padded to", LENGTHS)
spread = {}
for padding_idx in (None, 0):
    for softmax in (False, True):
        found = scores(padding_idx, softmax)
        spread[padding_idx, softmax] = max(found) - min(found)
        print(f"padding_idx={padding_idx}, use_softmax={softmax}:", ", ".join(f"{p:.4f}" for p in found))
assert spread[0, False] < 1e-6
assert min(spread[None, False], spread[None, True], spread[0, True]) > 1e-3
PYTHON
