#!/usr/bin/env bash
# torch 2.13.0 (CPU), torch.optim.Adam, AdamW and SGD with momentum.
#
# The first moment of a parameter that gets no more gradient (a unit that never fires again, an id that is not seen) is multiplied by
# 0.9 a step. One would guess that it is zero after some thousand steps, since 0.9^1000 is below the smallest float32.
#
# Seen: after 1,000 steps it is some 5.6e-45, and stays there for ever: of the smallest positive float32 (1.4e-45) four are left, and
# four times 0.9 is 3.6, which is rounded to four again. Adam's three ways to step and SGD's momentum alike. The weights do not feel it, but
# the numbers are too small to be normal: instructions of Intel's processors that meet one take many times as long, so an optimiser's step
# grows slower as units die (not timed here); and who counts moments that are not zero to find what still learns counts them all.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import torch

SMALLEST = 2.0**-149
ways = {
    "Adam, one by one": (torch.optim.Adam, {"foreach": False}, "exp_avg"),
    "Adam, foreach": (torch.optim.Adam, {"foreach": True}, "exp_avg"),
    "Adam, fused": (torch.optim.Adam, {"fused": True}, "exp_avg"),
    "AdamW": (torch.optim.AdamW, {}, "exp_avg"),
    "SGD, momentum 0.9": (torch.optim.SGD, {"momentum": 0.9}, "momentum_buffer"),
}
print("torch", torch.__version__, "- the largest moment in smallest floats, and those that are not zero, of 1,000")
for name, (kind, options, moment) in ways.items():
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.ones(1000))
    optimizer = kind([weight], lr=1e-3, weight_decay=0.0, **options)
    weight.grad = torch.randn(1000)
    optimizer.step()
    weight.grad = torch.zeros(1000)
    for step in range(2, 10_001):
        optimizer.step()
        if step in (1_000, 10_000):
            left = optimizer.state[weight][moment].double()
            most, count = left.abs().max().item() / SMALLEST, int((left != 0).sum())
            print(f"  {name}, step {step:,}: {most:.0f}, {count}")
    assert most == 4 and count > 990, (name, most, count)
PYTHON
