"""Measure how soon commands and the app answer, and what an installation takes.

    ENV/bin/python benchmarks/start.py --folder CLONE      ENV: a fresh environment with the clone's requirements alone

Times are the least of several tries, each in a fresh process with compiled bytecode; CPU time says what an idle machine
would need. The app: from `streamlit run app.py` on an empty artifacts folder until its address answers.
"""

from __future__ import annotations

import argparse
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from importlib.metadata import distributions
from pathlib import Path


def least(command: list[str], folder: Path, tries: int) -> tuple[float, float]:
    """Least wall time and least CPU time of a command, in seconds."""
    walls, cpus = [], []
    for _ in range(tries + 1):  # the first compiles
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=True)
        walls.append(time.perf_counter() - start)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpus.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(walls[1:]), min(cpus[1:])


def app(folder: Path) -> tuple[float, float]:
    """Seconds until the app answers, and of CPU that it takes for it."""
    with socket.socket() as free, tempfile.TemporaryDirectory() as home:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        start = time.perf_counter()
        command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
        environment = {**os.environ, "MDAF_HOME": home}
        server = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            while time.perf_counter() - start < 120:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).read()
                    wall = time.perf_counter() - start
                    spent = Path(f"/proc/{server.pid}/stat").read_text().split()[13:15]
                    return wall, sum(map(int, spent)) / os.sysconf("SC_CLK_TCK")
                except OSError:
                    time.sleep(0.02)
            raise SystemExit("The app did not answer within 120 s.")
        finally:
            server.terminate()
            server.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path.cwd())
    parser.add_argument("--tries", type=int, default=5)
    chosen = parser.parse_args()
    names = sorted({d.metadata["Name"].lower() for d in distributions()} - {"pip", "setuptools"})
    files = [path for path in Path(sys.prefix).rglob("*") if path.is_file() and not path.is_symlink()]
    print(f"packages {len(names)}, {sum(path.stat().st_size for path in files) / 1e6:,.0f} MB with compiled bytecode")
    for what, code in (
        ("--help", ["-m", "mdaf_core", "--help"]),
        ("import mdaf_core.cli.main", ["-c", "import mdaf_core.cli.main"]),
        ("import mlflow's store", ["-c", "import mlflow.tracking, mlflow.store.tracking.sqlalchemy_store"]),
    ):
        wall, cpu = least([sys.executable, *code], chosen.folder, chosen.tries)
        print(f"{what}: {wall:.2f} s, {cpu:.2f} s of CPU")
    wall, cpu = (min(values) for values in zip(*(app(chosen.folder) for _ in range(3)), strict=True))
    print(f"app answers after {wall:.1f} s, {cpu:.2f} s of CPU")


if __name__ == "__main__":
    main()
