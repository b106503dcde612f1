"""From a list of runs to a comparison of 10 of them: these pages and MLflow's own, over the same store, in Chromium.

    python -m venv /tmp/mlflow && /tmp/mlflow/bin/pip install -r requirements-mlflow.txt
    python -m benchmarks.workbench --home /tmp/thousand --fill
    python -m benchmarks.beside_mlflow --home /tmp/thousand --mlflow /tmp/mlflow/bin/mlflow

Method. A study with 20 runs in the middle of the store; 10 of them are compared by their metrics. Here: the study's
link to Compare, whose table and charts test the differences of 4 configurations over 5 seeds (all 20 runs). There:
the list of the study's runs, its first 10 chosen by their boxes, "Compare", until all 10 stand beside each other.
Each time a browser with an empty cache and a server that has answered before (Launch; MLflow's first page), so that
neither waits for a program to start. *Straight*: MLflow's comparison by its address, without the list and the clicks.
Seconds on the clock from the first address to the picture at rest: no request under way and nothing drawn for half a
second, which is taken off again. Both are asked in turn, so that they have the machine as it is; the ratio is of
medians.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks.large_study import libraries_loaded
from benchmarks.page_speed import start_app, wait_idle

RUNS = 10
REST = 0.5  # seconds without a change
BOXES = '.ag-row .ag-selection-checkbox input, tbody [role="checkbox"], tbody input[type="checkbox"]'


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return int(free.getsockname()[1])


@contextmanager
def studio() -> Iterator[str]:
    port = free_port()
    app = start_app(port)
    try:
        yield f"http://localhost:{port}"
    finally:
        app.terminate()
        app.wait(10)


@contextmanager
def mlflow_ui(program: Path, home: Path) -> Iterator[str]:
    """`mlflow ui` over the store as its users start it, without telemetry."""
    port = free_port()
    command = [str(program), "ui", "--backend-store-uri", f"sqlite:///{home / 'mlflow.db'}", "--port", str(port)]
    server = subprocess.Popen(
        command, env=os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    address = f"http://localhost:{port}"
    try:
        for _ in range(3000):
            if server.poll() is not None:
                raise SystemExit(f"`{' '.join(command)}` has ended with {server.returncode}.")
            try:
                urllib.request.urlopen(f"{address}/health", timeout=1)
                break
            except OSError:
                time.sleep(0.2)
        else:
            raise SystemExit("mlflow ui did not answer within 10 minutes.")
        yield address
    finally:
        os.killpg(server.pid, signal.SIGTERM)  # it has workers, some of which stay
        with suppress(subprocess.TimeoutExpired):
            server.wait(20)
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)


QUIET = ("--no-sandbox", "--disable-gpu")
ALONE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"
"""Requests to other machines fail at once: MLflow's page (3.17) sends some, which without a network stay under way."""


class Requests:
    """How many of a page's requests are under way; streams and sockets that stay open are none, nor are the scripts of
    workers, of which Playwright does not tell the end."""

    def __init__(self, page: Any) -> None:
        self.under_way: set[Any] = set()
        page.on("request", lambda one: "worker" in one.url or self.under_way.add(one))
        page.on("requestfinished", lambda one: self.under_way.discard(one))
        page.on("requestfailed", lambda one: self.under_way.discard(one))


def at_rest(page: Any, requests: Requests, seconds: float = 300) -> float:
    """Wait until nothing is asked for and nothing is drawn any more; the moment at which that began."""
    look = "() => [document.querySelectorAll('*').length, document.body.innerText.length]"
    last, since, until = None, time.perf_counter(), time.perf_counter() + seconds
    while time.perf_counter() < until:
        now = (len(requests.under_way), page.evaluate(look))
        if requests.under_way or now != last:
            last, since = now, time.perf_counter()
        elif time.perf_counter() - since >= REST:
            return since
        page.wait_for_timeout(25)
    raise SystemExit(f"{page.url} has not come to rest.")


def ours(browser: Any, address: str, study: str) -> float:
    """Seconds to the comparison of a study's configurations."""
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    requests, start = Requests(page), time.perf_counter()
    page.goto(f"{address}/compare?study={study}")
    page.locator(".st-key-table-comparison, [class*='st-key-table-']").first.wait_for(timeout=300_000)
    page.locator("[class*='st-key-chart-'] canvas, [class*='st-key-chart-'] svg").first.wait_for(timeout=300_000)
    wait_idle(page, 300)
    took = at_rest(page, requests) - start
    page.close()
    return took


def by_clicks(browser: Any, address: str, experiment: str, _runs: list[str], picture: Path | None) -> float:
    """Seconds from MLflow's list of the study's runs, through 10 boxes and a button, to its comparison."""
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    page.set_default_timeout(300_000)
    requests, start = Requests(page), time.perf_counter()
    page.goto(f"{address}/#/experiments/{experiment}/runs")
    boxes = page.locator(BOXES)
    boxes.nth(RUNS - 1).wait_for(state="attached")
    at_rest(page, requests)
    skip = boxes.count() - len(_rows(page))  # the heading's own, which chooses all
    for place in range(RUNS):
        boxes.nth(place + max(0, skip)).check(force=True)
    page.get_by_role("button", name="Compare", exact=True).click()
    return _compared(page, requests, start, picture)


def _rows(page: Any) -> list[str]:
    return list(page.locator(".ag-center-cols-container .ag-row, tbody tr").all_inner_texts())


def straight(browser: Any, address: str, experiment: str, runs: list[str], picture: Path | None) -> float:
    """Seconds to MLflow's comparison by its address."""
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    page.set_default_timeout(300_000)
    requests, start = Requests(page), time.perf_counter()
    asked = f"runs={quote(json.dumps(runs))}&experiments={quote(json.dumps([experiment]))}"
    page.goto(f"{address}/#/compare-runs?{asked}")
    return _compared(page, requests, start, picture)


def _compared(page: Any, requests: Requests, start: float, picture: Path | None) -> float:
    page.get_by_text(f"Comparing {RUNS} Runs").first.wait_for()
    took = at_rest(page, requests) - start
    if picture is not None:
        page.screenshot(path=picture)
    page.close()
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="artifacts folder, filled by benchmarks.workbench")
    parser.add_argument("--mlflow", type=Path, required=True, help="the program mlflow, of the store's version")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--pictures", type=Path, help="folder for what was seen at the end of each way")
    parser.add_argument("--chromium", default=shutil.which("chromium") or "/usr/bin/chromium")
    options = parser.parse_args()
    home = options.home.resolve()
    os.environ["MDAF_HOME"] = str(home)
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    from playwright.sync_api import sync_playwright

    from mdaf_core.runs import tracking
    from mdaf_core.runs.tracking import connection
    from mdaf_core.studies.store import list_studies

    study = list_studies()[len(list_studies()) // 2].id
    runs = [run.run_id for run in tracking.list_runs(study)][:RUNS]
    found = connection.client().get_experiment_by_name(study)
    if found is None or len(runs) < RUNS:
        raise SystemExit(f"Study {study} has no {RUNS} runs in {home / 'mlflow.db'}.")
    experiment = str(found.experiment_id)
    if options.pictures:
        options.pictures.mkdir(parents=True, exist_ok=True)
    took: dict[str, list[float]] = {}
    with studio() as here, mlflow_ui(options.mlflow, home) as there, sync_playwright() as playwright:

        def browser() -> Any:  # an empty cache
            return playwright.chromium.launch(executable_path=options.chromium, args=[*QUIET, ALONE])

        first = browser()
        libraries_loaded(first, here)
        page = first.new_page()
        requests = Requests(page)
        page.goto(there)
        at_rest(page, requests)
        first.close()
        ways: dict[str, Callable[[Any], float]] = {
            "here": lambda b: ours(b, here, study),
            "MLflow, by clicks": lambda b: by_clicks(b, there, experiment, runs, _picture(options.pictures, "clicks")),
            "MLflow, straight": lambda b: straight(b, there, experiment, runs, _picture(options.pictures, "straight")),
        }
        for _ in range(options.repeats):
            for name, way in ways.items():
                fresh = browser()
                took.setdefault(name, []).append(way(fresh))
                fresh.close()
                print(f"{name:18} {took[name][-1]:6.2f} s", file=sys.stderr, flush=True)
    own = statistics.median(took["here"])
    for name, times in took.items():
        median = statistics.median(times)
        print(
            f"{name:18} median {median:6.2f} s, worst {max(times):6.2f} s, {median / own:5.2f} times ours", flush=True
        )


def _picture(folder: Path | None, name: str) -> Path | None:
    return folder / f"mlflow-{name}.png" if folder else None


if __name__ == "__main__":
    main()
