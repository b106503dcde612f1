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

RECORDED = (
    *("code", "versions", "platform", "processor", "cores", "threads", "threads_of_kernels", "device", "scan"),
    "products",
)
"""Of a run's provenance what another machine or another day may make other."""
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


def gone_on(path: Path, facts: dict[str, Any], epochs: int) -> dict[str, Any]:
    """Provenance of a run that goes on, written down: `facts` of now, and under `earlier` what its epochs so far were
    trained with where that was anything else, each entry with the last epoch that it holds for.

    Best effort: the result tells it too.

    Args:
        path: the run's provenance so far, which another machine may have opened and knew nothing of.
        epochs: how many it has finished.
    """
    with suppress(OSError, ValueError):
        before = json.loads(path.read_text("utf-8"))
        earlier = before.get("earlier", [])
        was = {name: before[name] for name in RECORDED if name in before}
        since = earlier[-1]["epochs"] if earlier else 0
        if was and epochs > since and any(facts.get(name) != value for name, value in was.items()):
            earlier = [*earlier, {"epochs": epochs, **was}]
        facts = facts | ({"earlier": earlier} if earlier else {})
        write_json(path, facts)
    return facts


def sittings(known: dict[str, Any]) -> list[dict[str, Any]]:
    """What each part of a run was trained with, the first one first; one entry where it was not resumed elsewhere."""
    return [*(known | one for one in known.get("earlier", [])), known]


def earlier_words(known: dict[str, Any]) -> list[str]:
    """What epochs before a resumption were trained with, where it was not what the last were: a clause each."""
    out, first = [], 1
    for one in known.get("earlier", []):
        was = {name: one[name] for name in RECORDED if name in one and one[name] != known.get(name)}
        versions_now = known.get("versions", {})
        of_packages = {name: v for name, v in was.pop("versions", {}).items() if v != versions_now.get(name)}
        said = [f"{name.replace('_', ' ')} {value}" for name, value in (was | of_packages).items()]
        if said:
            out.append(f"epochs {first} to {one['epochs']}, before it was resumed: {', '.join(said)}")
        first = one["epochs"] + 1
    return out


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
