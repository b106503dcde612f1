"""Memory of this program, not of the one that started it."""

from __future__ import annotations

import subprocess
import sys

from mdaf_core.base.settings import PROJECT_ROOT
from mdaf_core.training.memory import peak_memory_mb

PROGRAM = "from mdaf_core.training.memory import peak_memory_mb; print(peak_memory_mb())"


def test_a_small_process_of_a_large_one_is_small() -> None:
    held = bytearray(400 << 20)
    assert peak_memory_mb() > 400
    found = subprocess.run([sys.executable, "-c", PROGRAM], cwd=PROJECT_ROOT, capture_output=True, check=True)
    assert 1 < float(found.stdout) < 200
    del held


def test_what_was_once_held_counts() -> None:
    grown = f"x = bytearray(300 << 20); del x; {PROGRAM}"
    found = subprocess.run([sys.executable, "-c", grown], cwd=PROJECT_ROOT, capture_output=True, check=True)
    assert 300 < float(found.stdout) < 500
