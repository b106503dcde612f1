#!/usr/bin/env bash
# safetensors 0.8.0 (numpy 2.4.6), safetensors.numpy.save with metadata.
#
# A file of the format is a JSON header and the numbers; tensors are put into an order of their own, so that a model saved
# twice gives the same bytes. One would guess the same of one saved with notes about it (metadata, a dict of texts), which
# Python keeps in their order, and hold runs by the SHA-256 of their weights: equal file, equal model.
#
# Seen: from two notes on, their order in the header is drawn anew at each save, within one process too: eight notes and
# the same tensors, saved 20 times, give 20 different files of one length. With one note (as transformers writes it) or
# none all are equal. So a run that is repeated bit for bit has weights of another hash as soon as a second note, such as the
# seed, stands beside the first. Hash the tensors, or keep the notes in one JSON text.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check safetensors==0.8.0 numpy==2.4.6
cd "$folder"
cat >saved.py <<'PYTHON'
import json
from hashlib import sha256

import numpy as np
import safetensors
from safetensors.numpy import load, save

weights = {"table": np.arange(6, dtype=np.float32).reshape(3, 2), "bias": np.zeros(2, np.float32)}
turned = dict(reversed(weights.items()))
notes = {name: name for name in ("format", "model", "data", "seed", "epoch", "split", "commit", "version")}


def files(tensors, metadata):
    saved = [save(tensors, metadata=metadata) for _ in range(20)]
    assert len({len(one) for one in saved}) == 1
    assert all(np.array_equal(load(one)["table"], weights["table"]) for one in saved)
    return {sha256(one).hexdigest() for one in saved}


def order(saved):
    return list(json.loads(saved[8 : 8 + int.from_bytes(saved[:8], "little")])["__metadata__"])


print("safetensors", safetensors.__version__, "- different files of 20 saves:")
for count in (0, 1, 2, 8):
    few = dict(list(notes.items())[:count]) or None
    found = files(weights, few)
    print(f"  {count} notes: {len(found)}")
    assert len(found) == 1 if count < 2 else len(found) > 1, count
assert files(weights, None) == files(turned, None)  # the tensors' own order is not the caller's
print("  notes as written:", *order(save(weights, metadata=notes)))
PYTHON
"$folder/venv/bin/python" saved.py
