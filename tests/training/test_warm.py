"""Kernels compiled ahead: everything a first training would compile, and said to be so only afterwards."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numba

from mdaf_core.base.settings import PROJECT_ROOT
from mdaf_core.ops import adam, conv_numba, dropout, field_attention, scan_numba, slices
from mdaf_core.ops.compiled import compiled_folder, complete
from mdaf_core.training import warm

KERNELS = {
    (module.__name__.rpartition(".")[2], name)
    for module in (adam, conv_numba, dropout, field_attention, scan_numba, slices)
    for name, kernel in vars(module).items()
    if isinstance(kernel, numba.core.registry.CPUDispatcher)
    and kernel.py_func.__module__ == module.__name__
    and kernel.targetoptions.get("parallel")
}


def test_every_parallel_kernel_is_compiled(monkeypatch, tmp_path: Path) -> None:
    """Run in a process of its own, with a copy of the kernels that nobody has compiled."""
    assert len(KERNELS) >= 11
    copy = tmp_path / "mdaf_core"
    shutil.copytree(PROJECT_ROOT / "mdaf_core", copy, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([sys.executable, "-m", "mdaf_core.training.warm"], cwd=tmp_path, check=True)
    (folder,) = (copy / "ops" / "__pycache__").glob("numba-*")
    assert (folder / "complete").exists()
    found = {tuple(path.name.split("-")[0].split(".")[:2]) for path in folder.rglob("*.nbi")}
    assert found >= KERNELS


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
