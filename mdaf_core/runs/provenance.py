"""Where a result comes from: versions, machine, code."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from contextlib import suppress
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mdaf_core.base.errors import StudioError
from mdaf_core.base.files import write_json
from mdaf_core.base.settings import IN_CLONE, PROJECT_ROOT
from mdaf_core.base.version import __version__
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.runs import tracking

PACKAGES = ("torch", "mamba-ssm", "numba", "numpy", "polars", "lightgbm", "scikit-learn", "mlflow-skinny")


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


def describe(device: str, scan: str, products: str, threads: dict[str, int]) -> dict[str, Any]:
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
        "products": products,
        "arguments": sys.argv[1:],
    }


def write_once(path: Path, facts: dict[str, Any]) -> None:
    """Write down the provenance of a run that another machine opened for this one, which knew nothing of it yet. Best
    effort: the result tells it too."""
    with suppress(OSError, ValueError):
        if "code" not in json.loads(path.read_text("utf-8")):
            write_json(path, facts)


def fingerprint(dataset: PreparedDataset) -> str:
    """Short id of a data set's content: runs are comparable where it is the same."""
    facts = {"input": dataset.meta.fingerprint, "split": dataset.meta.split, "options": dataset.meta.options}
    return sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def check_same_data(dataset: PreparedDataset, study: str = "", run_id: str | None = None) -> None:
    """Refuse data that is not what a study's finished runs, or the run to go on with, were made on.

    Raises:
        StudioError: it is other data of that name.
    """
    mine = fingerprint(dataset)
    for run in tracking.list_runs(study) if study else []:
        before = run.run_id == run_id or (run_id is None and run.state == "finished")
        if before and run.dataset == dataset.name and run.fingerprint != mine:
            raise StudioError(
                f"Data set {dataset.name!r} was prepared anew, differently, since run {run.run_id[:8]} of this study: "
                f"it is {mine[:8]} now and was {run.fingerprint[:8]}. Prepare it as it was, or launch a new study."
            )
