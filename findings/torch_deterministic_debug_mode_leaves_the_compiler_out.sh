#!/usr/bin/env bash
# torch 2.13.0 (CPU), torch.set_deterministic_debug_mode.
#
# Its documentation calls it an alternative interface for torch.use_deterministic_algorithms: "error" is True, "warn" is True
# with warn_only, "default" is False. One would guess that either can be set where the other was, as
# torch.are_deterministic_algorithms_enabled() and get_deterministic_debug_mode() say.
#
# Seen: use_deterministic_algorithms tells the compiler too (torch._inductor.config.deterministic, by which it chooses its
# kernels), the debug mode does not. After set_deterministic_debug_mode("error") torch says that it is deterministic, and what is
# compiled is not asked to be; after use_deterministic_algorithms(True) and set_deterministic_debug_mode("default") it is the other way
# round. A study whose runs must repeat to the bit, and some of which are compiled, has to call use_deterministic_algorithms.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import torch
import torch._inductor.config as compiler


def said():
    return torch.are_deterministic_algorithms_enabled(), compiler.deterministic


print("torch", torch.__version__, "- deterministic: torch, its compiler")
ways = {
    "as it begins": lambda: None,
    'set_deterministic_debug_mode("error")': lambda: torch.set_deterministic_debug_mode("error"),
    "use_deterministic_algorithms(True)": lambda: torch.use_deterministic_algorithms(True),
    'set_deterministic_debug_mode("default")': lambda: torch.set_deterministic_debug_mode("default"),
    "use_deterministic_algorithms(False)": lambda: torch.use_deterministic_algorithms(False),
}
seen = []
for name, way in ways.items():
    way()
    seen.append(said())
    print(f"  {name}:", *seen[-1])
assert seen == [(False, False), (True, False), (True, True), (False, True), (False, False)], seen
PYTHON
