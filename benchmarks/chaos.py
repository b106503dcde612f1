"""Kill the worker, the supervisor, or the app in the middle of a study, again and again, and count what went wrong.

    python -m benchmarks.chaos --home /tmp/chaos [--rounds 20] [--seed 1]
    python -m benchmarks.chaos --home /tmp/chaos --until-decided [--rounds 9]
    python -m benchmarks.chaos --home /tmp/chaos --store-kills 40

Each round launches a study of 6 jobs through the command line, kills one process with signal 9 at a random moment,
starts the app again if it was the app, and opens a page. Then every job must end; the one whose worker was killed as
failed, with the reason, all others as finished, each with exactly one finished run; and the failed one, resumed, must
finish too. With --until-decided the study adds seeds one at a time until it is decided, and must end with the decision
of one that was left alone. Exits with 1 on a violation.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DATASET = "chaos"
CONFIGURATIONS = ("lr", "dcnv2")
SEEDS = (1, 2, 3)
FIXED = ("--seeds", ",".join(map(str, SEEDS)))
UNTIL_DECIDED = ("--seeds", "1", "--until", "decided", "--max-seeds", "8")
END_WITHIN = 300.0
VICTIMS = ("worker", "supervisor", "app")


def command(*arguments: str) -> Any:
    """Run the program's command line; its JSON."""
    run = subprocess.run(
        [sys.executable, "-m", "mdaf_core", *arguments, "--json"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if run.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: {run.stderr.strip()[-500:]}")
    return json.loads(run.stdout)


class App:
    """A real `streamlit run app.py`, and a browser that opens its first page."""

    def __init__(self, browser: Any, log: Path):
        self.browser, self.log = browser, log
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless", "true"),
                    *("--server.port", str(self.port), "--server.fileWatcherType", "none"),
                ],
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/_stcore/health", timeout=2).read()
                return
            except OSError:
                time.sleep(0.2)
        raise RuntimeError("the app does not start")

    def open(self) -> None:
        page = self.browser.new_page()
        page.goto(f"http://127.0.0.1:{self.port}/")
        page.wait_for_selector("h1", timeout=60_000)
        page.close()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def processes(part: str, home: Path | None) -> list[int]:
    """Processes of this artifacts folder (None: of any) whose command line holds `part`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            named = part.encode() in (folder / "cmdline").read_bytes()
            if named and (home is None or f"MDAF_HOME={home}\0".encode() in (folder / "environ").read_bytes()):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def launch(seeds: tuple[str, ...]) -> str:
    """Id of a new study of two configurations."""
    study: str = command(
        *("study", "run", "report-ablations", "--data", DATASET, "--only", ",".join(CONFIGURATIONS), *seeds),
        *("--set", "training.max_epochs=2", "--set", "training.batch_size=64"),
    )["study"]
    return study


def jobs_of(study: str) -> list[dict[str, Any]]:
    return [job for job in command("jobs") if job["study"] == study]


def decision(study: str) -> list[tuple[str, int, str]]:
    """Why each configuration of a study got no further seed, and after how many."""
    from mdaf_core.studies.store import get_study

    found = get_study(study)
    return [(one.configuration, one.seeds, one.why) for one in found.stopped] + [
        (name, len(found.seeds), "open") for name in found.undecided
    ]


def goes_on(study: str) -> bool:
    """Whether jobs are to end, or nobody has looked yet whether the next seed is due."""
    states = {job["state"] for job in jobs_of(study)}
    looks = "failed" not in states and any(why == "open" for _, _, why in decision(study))
    return looks or bool(states & {"queued", "running"})


def left_alone(seeds: tuple[str, ...]) -> tuple[list[tuple[str, int, str]], float]:
    """The decision of a study of which nothing is killed, and the seconds it took."""
    started, study = time.monotonic(), launch(seeds)
    while goes_on(study):
        time.sleep(0.5)
    return decision(study), time.monotonic() - started


def one_round(
    number: int, app: App, home: Path, dice: random.Random, seeds: tuple[str, ...], within: float
) -> tuple[dict[str, Any], list[str], str]:
    """Launch, kill `within` so many seconds, wait; what happened, what was wrong, and the study."""
    from mdaf_core.studies.store import get_study

    victim = VICTIMS[number % len(VICTIMS)] if number < 2 * len(VICTIMS) else dice.choice(VICTIMS)
    started = time.monotonic()
    study = launch(seeds)
    app.open()
    time.sleep(dice.uniform(0, within))
    killed, killed_at = None, 0.0
    deadline = time.monotonic() + 60
    while victim == "worker" and killed is None and time.monotonic() < deadline:
        listed = jobs_of(study)
        running = [job for job in listed if job["state"] == "running" and job["pid"]]
        if all(job["state"] not in ("queued", "running") for job in listed):
            break  # it had ended before
        for job in running[:1]:
            try:
                os.kill(job["pid"], signal.SIGKILL)
                killed, killed_at = job["id"], time.time()
            except ProcessLookupError:
                pass  # it ended in between: take the next one
    if victim == "supervisor":
        for pid in processes("mdaf_core.queue.supervisor", home):
            os.kill(pid, signal.SIGKILL)
    if victim == "app":
        app.kill()
        app.start()
    moment = time.monotonic()
    app.open()
    wrong: list[str] = []

    while goes_on(study):
        if time.monotonic() - moment > END_WITHIN:
            wrong.append("stuck: " + ", ".join(f"job {j['id']} {j['state']}" for j in jobs_of(study)))
            row = {"victim": victim, "states": {}, "noticed": None, "seconds": time.monotonic() - started}
            return row, wrong, study
        time.sleep(0.5)
    ended = jobs_of(study)
    states = Counter(job["state"] for job in ended)
    noticed = next(
        (job["ended"] - killed_at for job in ended if job["id"] == killed and job["state"] == "failed"), None
    )
    if seeds == FIXED and len(ended) != len(CONFIGURATIONS) * len(SEEDS):
        wrong.append(f"{len(ended)} jobs instead of {len(CONFIGURATIONS) * len(SEEDS)}")
    for job in ended:
        # A worker killed after its run was complete has finished; that it ended as failed would be untrue.
        expected = ("failed", "finished") if job["id"] == killed else ("finished",)
        if job["state"] not in expected:
            wrong.append(f"job {job['id']} {job['state']}: {job['reason']}")
        if job["state"] == "failed" and "Killed" not in job["reason"]:
            wrong.append(f"job {job['id']} failed for another reason: {job['reason']}")
        if job["state"] == "failed":
            command("jobs", "resume", str(job["id"]))
    if noticed is not None and noticed > 10:
        wrong.append(f"the death was shown after {noticed:.0f} s")
    deadline = time.monotonic() + END_WITHIN
    while goes_on(study) and time.monotonic() < deadline:
        time.sleep(0.5)
    tried = SEEDS if seeds == FIXED else get_study(study).expected_seeds
    wrong += check_runs(study, jobs_of(study), CONFIGURATIONS, tried)
    row = {"victim": victim, "states": states, "noticed": noticed, "seconds": time.monotonic() - started}
    return row, wrong, study


def check_runs(
    study: str,
    jobs: list[dict[str, Any]],
    configurations: Sequence[str],
    seeds: Sequence[int] | Mapping[str, Sequence[int]],
) -> list[str]:
    """After all was resumed: one finished run a job, none open, none without a job, no epoch twice."""
    from mdaf_core.runs import tracking

    wrong = [f"job {job['id']} {job['state']} after it was resumed" for job in jobs if job["state"] != "finished"]
    runs = tracking.list_runs(study)
    finished = Counter((run.configuration, run.seed) for run in runs if run.state == "finished")
    for configuration in configurations:
        for seed in seeds[configuration] if isinstance(seeds, Mapping) else seeds:
            if finished[configuration, seed] != 1:
                wrong.append(f"{configuration}, seed {seed}: {finished[configuration, seed]} finished runs")
    named = {(name, seed) for name, seed in finished if name in configurations}
    more = named - {(n, s) for n in configurations for s in (seeds[n] if isinstance(seeds, Mapping) else seeds)}
    wrong += [f"{name}, seed {seed}: nobody asked for it" for name, seed in sorted(more)]
    wrong += [f"run {run.run_id[:8]} is left {run.state}" for run in runs if run.state == "running"]
    for run in runs:
        epochs = [epoch.epoch for epoch in run.epochs]
        if epochs != sorted(set(epochs)):
            wrong.append(f"run {run.run_id[:8]} has the epochs {epochs}")
    return wrong


def begin_run(home: Path, die_after: float | None = None) -> float:
    """Begin a run in a child process, which makes the run store if there is none, and kill it so many seconds later.

    Returns:
        Seconds it took where it was left alive.

    Raises:
        RuntimeError: it was left alive and failed.
    """
    from mdaf_core.runs import tracking
    from mdaf_core.runs.presets import get_preset

    begin = time.monotonic()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.environ["MDAF_HOME"] = str(home)
            os.dup2(os.open(home.parent / "child.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
            tracking.start_run(get_preset("lr"), 1, "data", "abc")
            code = 0 if tracking.list_runs() else 2
        finally:
            os._exit(code)
    if die_after is not None:
        time.sleep(die_after)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if die_after is None and status:
        raise RuntimeError(f"a run cannot begin in {home}: see {home.parent / 'child.log'}")
    return time.monotonic() - begin


def store_kills(home: Path, rounds: int, dice: random.Random) -> int:
    """Kill a process at a random moment while it makes the run store and begins a run, and begin another one on what
    it left; returns how often that failed."""
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401  # once, for all children

    folder = home / "store-kills"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "unharmed").mkdir(parents=True)
    whole = begin_run(folder / "unharmed")
    unusable = made = 0
    for number in range(rounds):
        mine = folder / str(number)
        mine.mkdir()
        begin_run(mine, die_after=dice.uniform(0, whole))
        made += (mine / "mlflow.db").exists()
        try:
            begin_run(mine)
        except RuntimeError as error:
            unusable += 1
            print(error, flush=True)
    print(f"{rounds} kills within {whole:.1f} s, {made} after the store was made: {unusable} unusable stores")
    return unusable


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="an artifacts folder of its own")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--store-kills", type=int, metavar="N", help="instead: N kills while the run store is made")
    parser.add_argument("--until-decided", action="store_true", help="instead: studies that add seeds until decided")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    home = options.home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    os.environ["MDAF_HOME"] = str(home)
    os.environ.pop("MLFLOW_TRACKING_URI", None)

    if options.store_kills:
        raise SystemExit(int(store_kills(home, options.store_kills, random.Random(options.seed)) > 0))

    from playwright.sync_api import sync_playwright

    if not (home / "datasets" / DATASET).exists():
        command("data", "prepare", "synthetic", "--name", DATASET, "--set", "size=tiny")
    dice = random.Random(options.seed)
    violations, seeds, within, alone = 0, FIXED, 12.0, None
    if options.until_decided:
        seeds = UNTIL_DECIDED
        alone, within = left_alone(seeds)
        print(f"Left alone, in {within:.0f} s: " + "; ".join(f"{name}: {why} ({n} seeds)" for name, n, why in alone))
    print(
        f"{'round':>5}  {'killed':<10}  {'ended at first':<24}  {'death shown after':<18}  {'took':>6}  wrong",
        flush=True,
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=options.chromium, args=["--no-sandbox"])
        app = App(browser, home / "app.log")
        try:
            for number in range(options.rounds):
                row, wrong, study = one_round(number, app, home, dice, seeds, within)
                if alone is not None and decision(study) != alone:
                    wrong.append(f"decided otherwise: {decision(study)}")
                violations += len(wrong)
                states = ", ".join(f"{n} {state}" for state, n in row["states"].items())
                noticed = "" if row["noticed"] is None else f"{row['noticed']:.1f} s"
                print(
                    f"{number + 1:>5}  {row['victim']:<10}  {states:<24}  {noticed:<18}  {row['seconds']:>4.0f} s  "
                    f"{'; '.join(wrong) or 'nothing'}",
                    flush=True,
                )
        finally:
            app.kill()
            for pid in processes("mdaf_core.queue.supervisor", home):
                os.kill(pid, signal.SIGTERM)
    print(f"{options.rounds} rounds, {violations} violations")
    raise SystemExit(int(violations > 0))


if __name__ == "__main__":
    main()
