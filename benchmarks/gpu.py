"""What a GPU computes, how fast, with how much memory: `python -m benchmarks.gpu --out gpu.md`, on a machine with one.

    python -m benchmarks.gpu --out gpu.md             15 minutes at most; installs what is missing beside a CUDA torch
    python -m benchmarks.gpu --out gpu.md --small     a few steps of each part, wherever; nothing is installed

Each part is a process of its own with a time of its own, and what it has measured is written as it comes: a run that
is cut off leaves a table. Deviations are the largest difference, in parts of the largest number of the answer: of
kernels to their definitions in float64, of models to the same model on the CPU. Without a GPU what needs one is
skipped by name.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

COLUMNS = (
    "part",
    "what",
    "on",
    "precision",
    "deviation",
    "of gradients",
    "seconds",
    "rows/s",
    "peak memory, MB",
    "note",
)
Row = dict[str, Any]

ROOT = Path(__file__).resolve().parents[1]
LIMITS = {"install": 300, "machine": 60, "warm": 100, "kernels": 60, "models": 120, "report": 130, "stream": 80}
"""Seconds that each part may take, in the order in which they run."""


def install() -> Iterator[Row]:
    """What requirements.txt names and is not here (a torch that is there stays), then mamba-ssm with its scan."""
    from importlib.metadata import PackageNotFoundError, version

    wanted = [line.split("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines()]
    missing = []
    for name in filter(None, wanted):
        try:
            version(name.partition("==")[0])
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        yield _pip("requirements", missing)
    # Version 2.3.2.post1 compiles the scan of Mamba-1, or fetches it compiled; later sources do when asked to by this.
    flags = {"MAMBA_KEEP_CUDA_BUILD": "TRUE", "MAX_JOBS": str(os.cpu_count())}
    for line in (ROOT / "requirements-gpu.txt").read_text().splitlines():
        if name := line.split("#")[0].strip():
            yield _pip(name, ["--no-build-isolation", name], flags)


def _pip(what: str, arguments: list[str], environment: dict[str, str] | None = None) -> Row:
    start = time.perf_counter()
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, env=os.environ | (environment or {}), capture_output=True, text=True, check=False)
    last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    note = "installed" if done.returncode == 0 else f"not installed: {last[:120]}"
    return {"what": what, "seconds": time.perf_counter() - start, "note": note}


def watch(command: list[str], limit: float, take: Callable[[str], None], **options: Any) -> str:
    """Run a command, hand on each line it prints, end it after `limit` seconds; returns why it is no success, if so."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process: Any = subprocess.Popen(command, start_new_session=True, **pipes, **options)  # type: ignore[call-overload]
    cut_off = threading.Event()

    def end() -> None:
        cut_off.set()
        os.killpg(process.pid, signal.SIGKILL)  # compilers that it started, too

    timer = threading.Timer(limit, end)
    timer.start()
    errors: list[str] = []
    reader = threading.Thread(target=lambda: errors.extend(process.stderr or ()))
    reader.start()
    try:
        for line in process.stdout or ():
            take(line)
        code = process.wait()
    finally:
        timer.cancel()
        reader.join()
    if cut_off.is_set():
        return f"cut off after {limit:.0f} s"
    return "" if code == 0 else f"failed ({code}): {(errors or ['without a word'])[-1].strip()[:160]}"


def table(rows: list[Row]) -> str:
    """Markdown."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---|---|---|---|---:|---:|---:|---:|---:|---|"]
    for row in rows:
        cells = (row.get(column) for column in COLUMNS)
        lines.append(
            "| " + " | ".join("" if c is None else f"{c:.3g}" if isinstance(c, float) else str(c) for c in cells) + " |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("gpu.md"), help="the table, written anew after each row")
    parser.add_argument("--small", action="store_true", help="a few steps of each part; nothing is installed")
    parser.add_argument(
        "--parts", default=",".join(LIMITS), help="of install,machine,warm,kernels,models,report,stream"
    )
    parser.add_argument("--minutes", type=float, default=15.0, help="for all parts together")
    parser.add_argument("--part", choices=list(LIMITS), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        measured = importlib.import_module("benchmarks.gpu_parts") if given.part != "install" else None
        for row in getattr(measured, given.part)(given.small) if measured else install():
            print(json.dumps({"part": given.part} | row), flush=True)
        return
    parts = given.parts.split(",")
    if unknown := set(parts) - set(LIMITS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; parts are {', '.join(LIMITS)}")
    ends, rows = time.monotonic() + 60 * given.minutes, []
    with tempfile.TemporaryDirectory() as home:
        environment = os.environ | {"MDAF_HOME": os.environ.get("MDAF_HOME", home)}

        def take(line: str) -> None:
            if line.startswith('{"part"'):
                rows.append(json.loads(line))
                given.out.write_text(table(rows))
                print(table(rows[-1:]).splitlines()[-1], flush=True)

        for part in parts:
            if part == "install" and given.small:
                continue
            command = [sys.executable, "-m", "benchmarks.gpu", "--part", part, *(["--small"] if given.small else [])]
            left = min(LIMITS[part], ends - time.monotonic())
            why = watch(command, left, take, cwd=ROOT, env=environment) if left > 0 else "no time was left"
            if why:
                take(json.dumps({"part": part, "note": why}))


if __name__ == "__main__":
    main()
