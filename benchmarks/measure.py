"""What the benchmarks share: arguments, the machine, medians, tables."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any


def parser(doc: str | None, steps: int | None = None) -> argparse.ArgumentParser:
    """Arguments that every benchmark takes; `steps` where it repeats measurements."""
    made = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    made.add_argument("--json", action="store_true", help="one JSON document on stdout instead of tables")
    if steps is not None:
        made.add_argument("--steps", type=int, default=steps, help=f"repeats of each measurement (default {steps})")
    return made


def machine() -> dict[str, Any]:
    import torch

    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": names[0].partition(":")[2].strip() if names else platform.processor(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def seconds(function: Callable[[], Any], repeats: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Median time of some calls, after one that may compile or load.

    Args:
        clock: `time.process_time` counts this process alone, which a shared machine leaves comparable.
    """
    function()
    times = []
    for _ in range(repeats):
        start = clock()
        function()
        times.append(clock() - start)
    return median(times)


def memory_kib(what: str) -> int:
    """Of this process, by the kernel's name: `VmRSS` now, `VmHWM` at most so far (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:"))


def report(result: dict[str, Any], tables: dict[str, Sequence[Sequence[Any]]], as_json: bool) -> None:
    """Print a result: as JSON, or its tables (title → rows, the first of which is the head) as Markdown."""
    if as_json:
        json.dump({"machine": machine(), **result}, sys.stdout, indent=2)
        print()
        return
    print(", ".join(f"{value}" if key == "cpu" else f"{key} {value}" for key, value in machine().items()))
    for title, (head, *rows) in tables.items():
        print(f"\n{title}\n")
        print("| " + " | ".join(str(cell) for cell in head) + " |")
        print("|---" + "|---:" * (len(head) - 1) + "|")
        for row in rows:
            print("| " + " | ".join(f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row) + " |")
