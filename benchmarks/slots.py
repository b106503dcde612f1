"""A whole study through the queue: trainings that share the cores beside one after another on all of them.

    python -m benchmarks.slots --path ~/ml-100k                       18 runs, each way twice, turn by turn
    python -m benchmarks.slots --path ~/ml-100k --today ../today      beside an earlier commit's checkout

Wall time from launch to the last run's end, preparation left out. Each turn has an artifacts folder of its own; each
checkout prepares the data by itself.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import parser, report

ROOT = Path(__file__).resolve().parent.parent


def studio(checkout: Path, home: Path, *command: str, slots: int | None = None) -> Any:
    """What a command of the program in `checkout` answers."""
    environment = {k: v for k, v in os.environ.items() if k not in ("MDAF_SLOTS", "MDAF_THREADS")}
    environment |= {"MDAF_HOME": str(home), "PYTHONPATH": str(checkout)} | ({"MDAF_SLOTS": str(slots)} if slots else {})
    done = subprocess.run(
        [sys.executable, "-m", "mdaf_core", *command, "--json"],
        cwd=checkout, env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def turn(checkout: Path, slots: int | None, options: Any) -> dict[str, float]:
    """Seconds of the study, and of its runs together."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        studio(checkout, home, "data", "prepare", "movielens", "--path", str(options.path.resolve()), "--name", "ml")
        epochs = ["--set", f"training.max_epochs={options.epochs}"] if options.epochs else []
        chosen = [word for name in options.only for word in ("--only", name)]
        began = time.time()
        command = ("study", "run", options.study, "--data", "ml", "--seeds", options.seeds, *chosen, *epochs)
        studio(checkout, home, *command, slots=slots)
        while any(job["state"] in ("queued", "running") for job in studio(checkout, home, "jobs")):
            time.sleep(1)
        jobs = studio(checkout, home, "jobs")
        broken = [job["reason"] for job in jobs if job["state"] != "finished"]
        if broken:
            raise SystemExit(f"A run did not finish: {broken[0]}")
        return {
            "wall": max(job["ended"] for job in jobs) - began,
            "first": min(job["started"] for job in jobs) - began,
            "runs": sum(job["ended"] - job["started"] for job in jobs),
        }


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--path", type=Path, required=True, help="folder of a MovieLens release")
    arguments.add_argument("--study", default="peers")
    arguments.add_argument("--seeds", default="42,43,44")
    arguments.add_argument("--only", action="append", default=[], help="a configuration of the study; may be repeated")
    arguments.add_argument("--epochs", type=int, help="at most so many; default: the study's")
    arguments.add_argument("--turns", type=int, default=2)
    arguments.add_argument("--today", type=Path, help="checkout of an earlier commit, as it is by default")
    options = arguments.parse_args()
    ways: dict[str, tuple[Path, int | None]] = {"shared cores": (ROOT, None), "one after another": (ROOT, 1)}
    if options.today:
        ways["earlier commit"] = (options.today.resolve(), None)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for number in range(options.turns):
        for name in list(ways)[:: 1 if number % 2 == 0 else -1]:
            found[name].append(turn(*ways[name], options))
            print(f"turn {number + 1}, {name}: {found[name][-1]['wall']:.1f} s", file=sys.stderr, flush=True)
    medians = {
        name: {key: statistics.median(one[key] for one in turns) for key in turns[0]} for name, turns in found.items()
    }
    base = medians["shared cores"]["wall"]
    rows = [(name, one["wall"], one["first"], one["runs"], one["wall"] / base) for name, one in medians.items()]
    head = ("way", "study, s", "first run begins after, s", "runs together, s", "times shared cores")
    report({"turns": found, "medians": medians}, {f"{options.study}, medians": [head, *rows]}, options.json)


if __name__ == "__main__":
    main()
