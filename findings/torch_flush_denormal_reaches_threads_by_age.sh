#!/usr/bin/env bash
# torch 2.13.0 (CPU), torch.set_flush_denormal.
#
# Its documentation: "Disables denormal floating numbers on CPU", on a system that supports it. One would guess: for the program, so
# that after the call no result is too small to be normal, or that each call of torch decides for all of its threads.
#
# Seen: it is a register of the calling thread. Threads inherit it when they are started, and torch's pool starts at the first
# operation that is large enough. Called before that, all of a product is flushed to zero; called after it, only the part
# that the calling thread works out: one tensor, one factor, and a share of equal elements is 0 while the others are 1e-40. What comes
# out depends on the order of calls and on the number of threads. With one thread nothing of it shows.
# (States that decay, as those of recurrent and state space models, are where such numbers come from; an instruction of Intel's
# processors that meets one takes many times as long.)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import subprocess
import sys

PROGRAM = """
import sys
import torch

threads, early = int(sys.argv[1]), sys.argv[2] == "early"
torch.set_num_threads(threads)
if early:
    assert torch.set_flush_denormal(True), "this processor cannot"
small = torch.full((1_000_000,), 1e-20)  # the pool starts
if not early:
    assert torch.set_flush_denormal(True), "this processor cannot"
product = small * small  # 1e-40: too small to be normal
print((product == 0).float().mean().item())
"""
seen = {}
for threads in (1, 2, 4):
    for when in ("early", "late"):
        done = subprocess.run([sys.executable, "-c", PROGRAM, str(threads), when], check=True, capture_output=True, text=True)
        seen[threads, when] = float(done.stdout)
        called = "before" if when == "early" else "after"
        print(f"  {threads} threads, called {called} the first large operation: {seen[threads, when]:.2f} of the product is zero")
assert all(seen[threads, "early"] == 1 for threads in (1, 2, 4)), seen
assert seen[1, "late"] == 1, seen
assert abs(seen[2, "late"] - 1 / 2) < 0.1 and abs(seen[4, "late"] - 1 / 4) < 0.1, seen
PYTHON
