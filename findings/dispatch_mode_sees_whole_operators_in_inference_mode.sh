#!/usr/bin/env bash
# torch 2.13.0, torch.utils._python_dispatch.TorchDispatchMode.
#
# A dispatch mode is told of every operator that runs. Composite operators (linear, pad, pad_sequence) have no kernel of
# their own, so one would guess that it sees what they are made of (addmm, constant_pad_nd, copy_), however gradients
# are switched off: the same computation, the same kernels.
#
# Seen: under torch.no_grad() it is told of the parts; under torch.inference_mode() of the composite operator whole, and of
# nothing inside it. A mode that counts, watches memory or looks for writes by the names of the parts finds nothing in
# inference mode, and says so without an error. Counting must be done under no_grad, or take composite operators apart
# itself (func.decompose), as torch's own FlopCounterMode does.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode


class Told(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


def told(switch):
    x, weight = torch.ones(3, 8), torch.ones(4, 8)
    with switch(), Told() as mode:
        F.linear(x, weight, torch.ones(4))
        F.pad(x, (0, 0, 0, 2))
    return mode.names


parts, whole = told(torch.no_grad), told(torch.inference_mode)
print("torch", torch.__version__)
print("no_grad:       ", *parts)
print("inference_mode:", *whole)
assert "aten.addmm.default" in parts and "aten.constant_pad_nd.default" in parts, parts
assert "aten.linear.default" in whole and "aten.pad.default" in whole, whole
assert "aten.addmm.default" not in whole and "aten.constant_pad_nd.default" not in whole, whole
PYTHON
