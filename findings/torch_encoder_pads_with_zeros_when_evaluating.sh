#!/usr/bin/env bash
# torch 2.13.0, torch.nn.TransformerEncoder with src_key_padding_mask, as BST and other behaviour transformers use it.
#
# Padded positions are left out of the attention. One would guess that what the encoder returns at these positions, of no use
# as it is, is the same when training and when evaluating (dropout 0), so that what is computed from all positions, such as
# their mean, is at least the same function in both.
#
# Seen: with gradients the padded positions hold numbers like all others; in evaluation mode without gradients the encoder
# takes its quick path, which removes the padding and puts zeros in its place. A mean over all positions, or flattening them
# for a tower, is then another function of the same row than the one that was trained: for a history of 2 of 6 events the
# mean moves by three quarters of its length. Positions that hold events agree. enable_nested_tensor=False gives one
# function in both modes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import copy
import warnings

import torch

warnings.filterwarnings("ignore", message=".*nested.*")
torch.manual_seed(0)
layer = torch.nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
x = torch.randn(2, 6, 16)
padding = torch.tensor([[False] * 4 + [True] * 2, [False] * 2 + [True] * 4])
print("torch", torch.__version__)
away = {}
for nested in (True, False):
    encoder = torch.nn.TransformerEncoder(copy.deepcopy(layer), 2, enable_nested_tensor=nested)
    trained = encoder.train()(x, src_key_padding_mask=padding).detach()
    with torch.no_grad():
        evaluated = encoder.eval()(x, src_key_padding_mask=padding)
    events = (trained - evaluated)[~padding].abs().max().item()
    zeros = bool((evaluated[padding] == 0).all())
    mean = ((trained.mean(1) - evaluated.mean(1)).norm(dim=1) / trained.mean(1).norm(dim=1)).tolist()
    away[nested] = events, zeros, mean
    print(f"enable_nested_tensor={nested}: events differ by {events:.1e}; padding is zero when evaluating: {zeros}; "
          f"the mean moves by {mean[0]:.2f} and {mean[1]:.2f} of its length")
assert away[True][0] < 1e-5 and away[True][1] and min(away[True][2]) > 0.1
assert away[False][0] < 1e-5 and not away[False][1] and max(away[False][2]) < 1e-4
PYTHON
