"""Where a result comes from: versions, machine, code."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from mdaf_core.base.settings import IN_CLONE, PROJECT_ROOT
from mdaf_core.base.version import __version__

PACKAGES = ("torch", "lightning", "mamba-ssm", "numba", "numpy", "polars", "lightgbm", "scikit-learn", "mlflow-skinny")


def versions(*packages: str) -> dict[str, str]:
    """Python's and the packages' versions (default: `PACKAGES`); packages that are not installed are left out."""
    found = {"python": platform.python_version()}
    for name in packages or PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def code_version() -> str:
    """Commit of the program, with `+changes` where files differ from it; of an installed package its version;
    `unknown` in a clone that has lost its history."""
    if not IN_CLONE:  # the folder may be in somebody else's repository
        return f"version {__version__}"

    def git(*args: str) -> str:
        run = subprocess.run(["git", *args], cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=5, check=True)
        return run.stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def describe(device: str, scan: str, threads: dict[str, int]) -> dict[str, Any]:
    """Provenance of a run started now."""
    return {
        "code": code_version(),
        "versions": versions(),
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": threads["torch"],
        "threads_of_kernels": threads["numba"],
        "device": device,
        "scan": scan,
        "arguments": sys.argv[1:],
    }
