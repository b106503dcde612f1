"""Kernels compiled ahead: everything a first training would compile, and said to be so only afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numba

from mdaf_core.base import locks
from mdaf_core.base.settings import PROJECT_ROOT
from mdaf_core.ops import (
    adam,
    conv_numba,
    crosses,
    dropout,
    field_attention,
    lanes,
    masked_crosses,
    scan_numba,
    slices,
    ssd_numba,
    tower,
)  # fmt: skip
from mdaf_core.ops.compiled import compiled_folder, complete
from mdaf_core.training import warm

MODULES = (
    *(adam, conv_numba, crosses, dropout, field_attention, lanes, masked_crosses, scan_numba, slices, ssd_numba),
    tower,
)
KERNELS = {
    (module.__name__.rpartition(".")[2], name)
    for module in MODULES
    for name, kernel in vars(module).items()
    if isinstance(kernel, numba.core.registry.CPUDispatcher)
    and kernel.py_func.__module__ == module.__name__
    and kernel.targetoptions.get("parallel")
}


USED = """
import sys
from importlib import import_module
MODULES = [import_module(name) for name in sys.argv[1:]]
import mdaf_core.ops.selective_scan
if "torch._dynamo" in sys.modules:
    print("torch compiler")
from mdaf_core.training.warm import compile_kernels
compile_kernels()
for module in MODULES:
    for name, kernel in vars(module).items():
        if getattr(kernel, "signatures", None):
            print(module.__name__.rpartition(".")[2], name)
"""


def test_every_parallel_kernel_is_compiled() -> None:
    """In a process of its own, where nothing but that has called them; a scan is loaded without torch's compiler,
    which takes as long as torch itself."""
    assert len(KERNELS) >= 13
    command = [sys.executable, "-c", USED, *(module.__name__ for module in MODULES)]
    run = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    found = {tuple(line.split()) for line in run.stdout.splitlines()}
    assert found >= KERNELS and ("torch", "compiler") not in found
    assert complete().exists()


def test_nothing_is_started_where_all_is_compiled(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(warm, "complete", lambda: tmp_path / "complete")
    started = []
    monkeypatch.setattr(warm.subprocess, "Popen", lambda *a, **k: started.append(a))
    warm.start()
    (tmp_path / "complete").touch()
    warm.start()
    assert len(started) == 1


def test_the_folder_follows_the_source() -> None:
    assert complete().parent == compiled_folder()
    assert compiled_folder().parent.parent == PROJECT_ROOT / "mdaf_core" / "ops"
    assert str(compiled_folder()) == numba.config.CACHE_DIR


def test_one_process_compiles_in_the_background(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(warm, "complete", lambda: tmp_path / "numba" / "complete")
    lock = locks.try_lock(tmp_path / "numba" / ".compiling.lock")
    assert lock is not None and not warm.alone()
    os.close(lock)
    assert warm.alone()
    (tmp_path / "file").touch()
    monkeypatch.setattr(warm, "complete", lambda: tmp_path / "file" / "complete")  # no folder can be made there
    assert warm.alone()
