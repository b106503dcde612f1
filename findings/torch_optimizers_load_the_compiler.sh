#!/usr/bin/env bash
# torch 2.13.0 (CPU), torch.optim and torch.utils.flop_counter, in a program that compiles nothing.
#
# torch.compile is asked for by name, and "import torch" leaves its compiler out: torch._dynamo, SymPy and some 800 modules more.
# One would guess that a program that trains eagerly never loads it.
#
# Seen: the first optimiser of any kind loads all of it when it is made (add_param_group is marked to be left alone by the
# compiler, and the mark is put on by the compiler itself), as does the first operation under FlopCounterMode. Here that takes
# about as long as torch itself and 70 MB, in each process that trains: a model's forward and backward pass, loading and
# saving weights need none of it. A service that only scores stays without it as long as nobody makes an optimiser to
# "restore" one.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
cd "$folder"
cat >loads.py <<'PYTHON'
import resource
import sys
import time


def loaded():
    return {name for name in ("torch._dynamo", "torch._inductor", "sympy") if name in sys.modules}


begin = time.process_time()
import torch

imported, modules = time.process_time() - begin, len(sys.modules)
network, rows = torch.nn.Linear(4, 1), torch.ones(8, 4)
network(rows).sum().backward()
torch.save(network.state_dict(), "weights.pt")
network.load_state_dict(torch.load("weights.pt", weights_only=True))
assert not loaded(), loaded()
before, begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
if sys.argv[1] == "count":
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False):
        network(rows)
else:
    getattr(torch.optim, sys.argv[1])(network.parameters(), lr=0.1)
seconds, grown = time.process_time() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(f"{sys.argv[1]}: {seconds:.1f} s of processor time (torch itself {imported:.1f}), {grown / 1024:.0f} MB,", end=" ")
print(len(sys.modules) - modules, "modules:", *sorted(loaded()))
assert loaded() == {"torch._dynamo", "torch._inductor", "sympy"}
PYTHON
echo "torch $("$folder/venv/bin/python" -c 'import torch; print(torch.__version__)')"
for what in SGD Adam count; do "$folder/venv/bin/python" loads.py "$what"; done
