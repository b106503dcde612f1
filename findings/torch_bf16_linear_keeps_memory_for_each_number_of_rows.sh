#!/usr/bin/env bash
# torch 2.13.0 (CPU), torch.nn.Linear in bfloat16, which torch gives to oneDNN.
#
# A ranking model is asked about as many candidates as a request has, and a history model encodes as many events as its batch holds: the
# number of rows of a linear layer differs from call to call. One would guess that a layer needs no memory between calls, and that a call
# costs what its rows cost, as it does in float32.
#
# Seen: for each number of rows that was not met before, oneDNN compiles kernels anew and keeps some half a megabyte of them for each layer's
# shape, however small the layer is: 64 x 64 weights take 8 kB, and 400 different numbers of rows leave 230 MB behind. It is kept for up to
# 1,024 such shapes in a list of torch's and as many in one of oneDNN's. Numbers of rows that come again add nothing, and in float32
# nothing is kept. Environment variables that bound the lists (LRU_CACHE_CAPACITY, ONEDNN_PRIMITIVE_CACHE_CAPACITY) help only together:
# either alone leaves the other list holding the same kernels; and they are read when the first product is formed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
cat > "$folder/kept.py" <<'PYTHON'
import ctypes
import json
import sys

import torch

SIZES = 400
dtype = getattr(torch, sys.argv[1])


class Heap(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena a b c d e f used free g".split()]


libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Heap
torch.set_num_threads(1)
torch.manual_seed(0)
layer, rows = torch.nn.Linear(64, 64).to(dtype), torch.randn(2_000, 64).to(dtype)


def ask(sizes):
    before = libc.mallinfo2().used
    with torch.inference_mode():
        for size in sizes:
            layer(rows[:size])
    return (libc.mallinfo2().used - before) / 1e6


ask([20])
print(json.dumps({"different": ask(range(21, 21 + SIZES)), "again": ask([21 + SIZES - 1] * SIZES)}))
PYTHON
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import json
import os
import subprocess
import sys

LISTS = "LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY"


def kept(dtype, *bounded):
    environment = {name: value for name, value in os.environ.items() if name not in LISTS}
    environment |= dict.fromkeys(bounded, "32")
    done = subprocess.run([sys.executable, "kept.py", dtype], env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


found = {
    "bfloat16": kept("bfloat16"),
    "bfloat16, torch's list of 32": kept("bfloat16", LISTS[0]),
    "bfloat16, oneDNN's list of 32": kept("bfloat16", LISTS[1]),
    "bfloat16, both": kept("bfloat16", *LISTS),
    "float32": kept("float32"),
}
print("torch 2.13.0, a layer of 64 x 64, MB kept after 400 numbers of rows, and after one of them 400 times more")
for name, one in found.items():
    print(f"  {name}: {one['different']:.1f}, {one['again']:.1f}")
whole = found["bfloat16"]["different"]
assert whole > 60
assert all(abs(one["again"]) < 5 for one in found.values())
assert found["float32"]["different"] < 5
assert all(found[name]["different"] > 0.3 * whole for name in found if "list" in name)
assert found["bfloat16, both"]["different"] < 0.2 * whole
PYTHON
