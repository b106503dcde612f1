"""Run the demo study through an executor on real clusters, kill at random meanwhile, and compare it with itself here.

    python -m benchmarks.many_machines ray --home /tmp/many [--kills 20] [--seed 1] [--apart]
    python -m benchmarks.many_machines slurm --home /tmp/many [--minutes 1] [--long 60]

The demo study's 10 runs are trained on this machine once; then `ray`: on two Ray nodes of one core each
(`clusters.py`; with `--apart` they share no folder), `slurm`: through slurmctld and slurmd of this machine (Debian's
slurmctld, slurmd and munge). With `--kills`, processes are killed with signal 9 at random moments: a task, the worker
node, the queue's supervisor, a steward, the app. A job whose task or steward was killed is shown as failed, and is
resumed; whatever else is killed must not be seen. The study is launched anew until there were so many kills. With
`--long`, a run of so many epochs meets SLURM's time limit and goes on. Then each job must have ended with one finished
run, none may have run twice at a time, and metrics of every epoch, those of the result, predictions and weights must
equal those of this machine to the last bit. Exits with 1 on a violation. Needs requirements-ray.txt or requirements-
slurm.txt; the app needs Playwright and Chromium, as the tests.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.chaos import App, check_runs, command, processes
from benchmarks.clusters import RayCluster, SlurmCluster

DATASET = "many"
CONFIGURATIONS = ("mdaf-full", "mdaf-static", "mdaf-sequential", "dcnv2", "lr")
SEEDS = (42, 43)
DEMO = ("--seeds", ",".join(map(str, SEEDS)))
STUCK_AFTER = 900.0
"""Seconds without a job that ends, begins or goes on."""
VICTIMS = ("task", "node", "supervisor", "steward", "app")
NOT_COMPARED = {"run_id", "wall_seconds", "seconds", "rows_per_second", "peak_memory_mb", "provenance"}


def long_run(epochs: int) -> tuple[str, ...]:
    """A study of one run that ends after so many epochs and no sooner."""
    lengths = (f"training.max_epochs={epochs}", f"training.patience={epochs}")
    return ("--only", "mdaf-full", "--seeds", "42", *(part for one in lengths for part in ("--set", one)))


def launch(options: tuple[str, ...]) -> str:
    return str(command("study", "run", "demo", "--data", DATASET, *options)["study"])


def jobs_of(study: str) -> list[dict[str, Any]]:
    return [job for job in command("jobs") if job["study"] == study]


def without_timing(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_timing(one) for key, one in value.items() if key not in NOT_COMPARED}
    return [without_timing(one) for one in value] if isinstance(value, list) else value


def outcomes(home: Path, study: str) -> dict[tuple[str, int], tuple[Any, dict[str, str]]]:
    """Configuration and seed → what the result's file says, time left out, and digests of predictions and weights."""
    found = {}
    for file in home.glob("runs/*/artifacts/result.json"):
        if json.loads((file.parent / "run.json").read_text())["study"] == study:
            result = json.loads(file.read_text())
            files = [*file.parent.glob("predictions/*"), *file.parent.glob("weights*")]
            found[result["configuration"], result["seed"]] = (
                without_timing(result),
                {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in files},
            )
    return found


def compare(here: Path, of_here: str, away: Path, study: str, configurations: tuple[str, ...]) -> list[str]:
    """In which runs of these configurations two studies differ."""
    one = {run: outcome for run, outcome in outcomes(here, of_here).items() if run[0] in configurations}
    other = outcomes(away, study)
    wrong = [] if one.keys() == other.keys() else [f"runs {sorted(other)} instead of {sorted(one)}"]
    for run in one.keys() & other.keys():
        for what, mine, theirs in zip(("metrics", "predictions or weights"), one[run], other[run], strict=True):
            if not mine:
                wrong.append(f"{run} has no {what}")
            if mine != theirs:
                wrong.append(f"{run}: other {what} than here")
    return wrong


class Kills:
    """At most so many, at random moments; what was wrong."""

    def __init__(self, count: int, pause: float, cluster: RayCluster | SlurmCluster, app: App, dice: random.Random):
        self.left, self.pause, self.cluster, self.app, self.dice = count, pause, cluster, app, dice
        self.order: list[str] = []
        self.next = time.monotonic()
        self.done: Counter[str] = Counter()

    def one(self, home: Path) -> None:
        """Kill whose turn it is, if it is time and it is there."""
        if not self.left or time.monotonic() < self.next:
            return
        if not self.order:  # each as often as the others, in random order
            self.order = self.dice.sample(VICTIMS, len(VICTIMS))
        tasks = node_processes(home)
        victim = self.order[-1]
        if victim == "app":
            self.app.kill()
            self.app.start()
            self.app.open()
        elif victim == "supervisor":
            if not (pids := processes("mdaf_core.queue.supervisor", home)):
                return
            os.kill(pids[0], signal.SIGKILL)
        elif not tasks:
            return
        elif victim == "node":
            self.cluster.kill_node()
        else:
            running = [job["pid"] for job in command("jobs") if job["state"] == "running" and job["pid"]]
            pids = tasks if victim == "task" else running
            if not pids:
                return
            try:
                os.kill(self.dice.choice(pids), signal.SIGKILL)
            except ProcessLookupError:  # it ended in between
                return
        self.order.pop()
        self.left -= 1
        self.done[victim] += 1
        self.next = time.monotonic() + self.dice.uniform(0, self.pause)
        print(f"  {time.strftime('%H:%M:%S')}  killed: {victim}", flush=True)


def node_processes(home: Path) -> list[int]:
    """Processes that do jobs elsewhere, where nodes share no folder in homes of their own."""
    attempts = home.parent / "nodes" / "attempts"
    return [*processes("mdaf_core.tasks.node", home), *processes(f"mdaf_core.tasks.node\0{attempts}", None)]


def twice(home: Path) -> list[str]:
    """Jobs of which two processes are at work."""
    jobs = Counter()
    for pid in node_processes(home):
        try:
            jobs[re.findall(r"elsewhere/(\d+)-", Path(f"/proc/{pid}/cmdline").read_bytes().decode())[0]] += 1
        except (OSError, IndexError):
            continue
    return [f"job {job} runs {count} times" for job, count in jobs.items() if count > 1]


def see_through(study: str, home: Path, kills: Kills) -> list[str]:
    """Until the study's jobs have finished, resuming those that a kill has ended; what was wrong."""
    wrong: list[str] = []
    seen, moved = "", time.monotonic()
    doubled: list[str] = []
    while True:
        jobs = jobs_of(study)
        if all(job["state"] == "finished" for job in jobs):
            return wrong
        now = json.dumps([(job["state"], job["attempts"], job["progress"]) for job in jobs])
        if now != seen:
            seen, moved = now, time.monotonic()
        if time.monotonic() - moved > STUCK_AFTER:
            return [
                *wrong,
                *(f"job {job['id']} is stuck: {job['state']}" for job in jobs if job["state"] != "finished"),
            ]
        for job in jobs:
            if job["state"] == "failed":
                if not re.search("illed by signal 9|process died; how is not known", job["reason"]):
                    wrong.append(f"job {job['id']} failed for another reason: {job['reason']}")
                print(f"  {time.strftime('%H:%M:%S')}  job {job['id']}: {job['reason'][:90]} Resumed.", flush=True)
                command("jobs", "resume", str(job["id"]))
        doubling = twice(home)  # one that is being ended may be seen once beside the next
        wrong += [word for word in doubling if word in doubled]
        doubled = doubling
        kills.one(home)
        time.sleep(1)


def lives(home: Path, jobs: list[dict[str, Any]]) -> int:
    """How often processes have begun these jobs elsewhere."""
    return sum((home / "jobs/logs" / f"{job['id']}.log").read_text().count(" Runs on ") for job in jobs)


def use(home: Path, environment: dict[str, str]) -> None:
    """Have commands work in this folder, and with these settings."""
    os.environ.update({"MDAF_HOME": str(home), **environment})


def end_queue(home: Path) -> None:
    """Leave no process of this folder, also where a run of this was broken off."""
    for part, sign in (("mdaf_core.queue.supervisor", signal.SIGTERM), ("mdaf_core.tasks", signal.SIGKILL)):
        for pid in processes(part, home):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sign)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("executor", choices=("ray", "slurm"))
    parser.add_argument("--home", type=Path, required=True, help="a folder of its own")
    parser.add_argument("--only", default=",".join(CONFIGURATIONS), help="configurations, for a shorter trial")
    parser.add_argument("--apart", action="store_true", help="nodes share no folder (ray, as root)")
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--pause", type=float, default=20.0, help="longest, between two kills, in seconds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=int, default=1, help="SLURM's time limit")
    parser.add_argument("--long", type=int, metavar="EPOCHS", help="a run that is to meet the time limit")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    here, away = options.home.resolve() / "here", options.home.resolve() / options.executor
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # leaves no cluster behind
    shutil.rmtree(away, ignore_errors=True)
    only = tuple(options.only.split(","))
    kinds = {"demo": DEMO, **({"long": long_run(options.long)} if options.long else {})}

    use(here, {"MDAF_EXECUTOR": "local", "MDAF_THREADS": "1"})  # as elsewhere: a run alone would take both cores
    if not (here / "datasets" / DATASET).exists():
        command("data", "prepare", "synthetic", "--name", DATASET, "--set", "size=tiny")
    references: dict[str, str] = {}
    for kind, arguments in kinds.items():
        kept = here / f"{kind}{options.long if kind == 'long' else ''}.study"
        if not kept.exists():
            study = launch(arguments)
            while not all(job["state"] == "finished" for job in jobs_of(study)):
                time.sleep(1)
            kept.write_text(study)
        references[kind] = kept.read_text()
    end_queue(here)
    shutil.copytree(here / "datasets", away / "datasets")

    from playwright.sync_api import sync_playwright

    nodes = options.home.resolve() / "nodes" if options.apart else None
    cluster = RayCluster(away, nodes) if options.executor == "ray" else SlurmCluster(away, options.minutes)
    use(away, cluster.environment)
    violations = 0
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=options.chromium, args=["--no-sandbox"])
            app = App(browser, away / "app.log")
            kills = Kills(options.kills, options.pause, cluster, app, random.Random(options.seed))
            try:
                todo = list(kinds)
                while todo:
                    kind, begin = todo.pop(0), time.monotonic()
                    chosen, seeds = (only, SEEDS) if kind == "demo" else (("mdaf-full",), (42,))
                    study = launch((*kinds[kind], *(("--only", options.only) if kind == "demo" else ())))
                    app.open()
                    wrong = see_through(study, away, kills)
                    jobs = jobs_of(study)
                    wrong += check_runs(study, jobs, chosen, seeds)
                    wrong += compare(here, references[kind], away, study, chosen)
                    violations += len(wrong)
                    print(
                        f"{study}: {len(jobs)} jobs, begun {lives(away, jobs)} times, "
                        f"{time.monotonic() - begin:.0f} s; wrong: {'; '.join(wrong) or 'nothing'}",
                        flush=True,
                    )
                    if not todo and kills.left and not wrong:
                        todo.append("demo")
            finally:
                app.kill()
                end_queue(away)
    finally:
        cluster.stop()
    print(f"{sum(kills.done.values())} kills ({dict(kills.done)}), {violations} violations")
    sys.exit(int(violations > 0))


if __name__ == "__main__":
    main()
