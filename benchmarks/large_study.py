"""How long the pages take over a study of real size: 8 configurations × 5 seeds, 225,446 rows a split.

    python -m benchmarks.large_study --home /tmp/large        fill an empty folder, then AppTest, a browser, the bundle

Method: `synthetic report` is prepared, and 40 finished runs of its rows are made up as trainings leave them (known
means, predictions that rank accordingly, 20 epochs, gates, and for one run weights of full size), with what jobs
compute when a run ends (`studies.summaries`). *Cold* is the first opening of a page by an app that has started, its
libraries loaded, as they are in the background after the first page: nothing of the study has been read before. *Re-
run*: the page again, in the browser after an input was changed. AppTest has a fresh process for each page; the
browser a fresh app whose Launch page was opened first and, for each page, an empty cache; it counts until the script
has ended, no element is stale, no chart in view is missing and the browser answers again. *From Overview*: the same,
but opened by its link from Overview, as people get there. An app that shows nothing but a title tells what Streamlit,
the browser and the machine take by themselves.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.many_runs import ROOT, measure
from benchmarks.page_speed import measure as measure_in_browser
from benchmarks.page_speed import start_app, wait_idle

CONFIGURATIONS = ("mdaf-full", "mdaf-static", "mdaf-sequential", "mdaf-bst", "bst", "autoint", "dcnv2", "lr")
SEEDS = (42, 43, 44, 45, 46)
# Page → the input that is clicked for a re-run.
INPUTS = {
    "compare": 'input[aria-label="Margin"]',
    "curves": 'label:has-text("Each run")',
    "gates": '[data-testid="stButtonGroup"] button:has-text("1") >> visible=true',
    "export": 'input[aria-label="Margin"]',
}


def fill() -> None:
    """Data set, study, and the weights of the first run, so that its rows' stories can be told."""
    from safetensors.torch import save_file

    from mdaf_core.data.prepare.pipeline import prepare
    from mdaf_core.data.store.dataset import PreparedDataset, list_datasets
    from mdaf_core.models.registry import build_model
    from mdaf_core.runs import tracking
    from mdaf_core.runs.presets import get_preset
    from mdaf_core.tasks.summaries import summarise
    from tests.reporting.example_study import make_study

    if "synthetic-report" not in list_datasets():
        prepare("synthetic", options={"size": "report"})
    dataset = PreparedDataset.open("synthetic-report")
    study = make_study(CONFIGURATIONS, SEEDS, title="Large study", dataset=dataset, gates=True, epochs=20)
    first = next(r for r in tracking.list_runs(study.id) if (r.configuration, r.seed) == ("mdaf-full", SEEDS[0]))
    model = build_model(get_preset("mdaf-full").model, dataset.meta.features())
    save_file(model.state_dict(), first.directory / "weights.safetensors")
    for run in reversed(tracking.list_runs(study.id)):
        summarise(run.run_id)


def one_page(page: str, study: str, repeats: int) -> None:
    """In a process of its own, as JSON: seconds of the first run, of re-runs, and processor seconds of the first."""
    from pages import shared

    shared.load_libraries()
    before = time.process_time()
    cold, _ = measure(page, study, 0)
    processor = time.process_time() - before
    _, again = measure(page, study, repeats)
    print(json.dumps([cold, again, processor]))


def in_apptest(home: Path, page: str, repeats: int) -> tuple[float, list[float], float]:
    command = [sys.executable, "-m", "benchmarks.large_study", "--home", str(home), "--repeats", str(repeats)]
    done = subprocess.run([*command, "--page", page], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    cold, again, processor = json.loads(done.stdout.splitlines()[-1])
    return cold, again, processor


@contextmanager
def browser_and_app(chromium: str, folder: Path = ROOT) -> Iterator[tuple[Any, str]]:
    from playwright.sync_api import sync_playwright

    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    app = start_app(port, folder)
    try:
        with sync_playwright() as p:
            yield p.chromium.launch(executable_path=chromium, args=["--no-sandbox"]), f"http://localhost:{port}"
    finally:
        app.terminate()
        app.wait(10)


def libraries_loaded(browser: Any, address: str) -> None:
    first = browser.new_page()
    first.goto(f"{address}/launch")
    first.wait_for_selector('[data-testid="stMain"] h1', timeout=60_000)
    first.wait_for_timeout(15_000)  # libraries load in the background
    first.close()


def in_browser(chromium: str, study: str, page: str, repeats: int) -> tuple[float, list[float]]:
    with browser_and_app(chromium) as (browser, address):
        libraries_loaded(browser, address)
        return measure_in_browser(browser, f"{address}/{page}?study={study}", INPUTS[page], repeats)


def from_overview(chromium: str, study: str, page: str) -> float:
    """Seconds from the click on a page's link on Overview, which has read the list of runs and nothing else of it."""
    with browser_and_app(chromium) as (browser, address):
        libraries_loaded(browser, address)
        tab = browser.new_page(viewport={"width": 1440, "height": 900})
        tab.goto(f"{address}/?study={study}")
        tab.wait_for_selector('[data-testid="stMain"] h1', timeout=60_000)
        wait_idle(tab)
        tab.wait_for_timeout(1000)
        start = time.perf_counter()
        tab.locator(f'[data-testid="stSidebarNavLink"][href$="/{page}"]').click()
        tab.wait_for_selector(f'[data-testid="stMain"] h1:has-text("{page.capitalize()}")', timeout=60_000)
        wait_idle(tab)
        return time.perf_counter() - start


def floor(chromium: str) -> float:
    """Seconds that an app takes which shows nothing but a title, median of three: Streamlit, browser and machine."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "app.py").write_text('import streamlit as st\n\nst.title("Nothing")\n')
        shutil.copytree(ROOT / ".streamlit", Path(folder) / ".streamlit")
        with browser_and_app(chromium, Path(folder)) as (browser, address):
            browser.new_page().goto(address)
            time.sleep(3)
            return statistics.median(measure_in_browser(browser, address, "h1", 1)[0] for _ in range(3))


def show(page: str, how: str, cold: float, again: list[float], more: str = "") -> None:
    middle, worst = statistics.median(again), max(again)
    print(f"{page:8} {how}  cold {cold:5.2f} s   re-run median {middle:.2f} s, worst {worst:.2f} s{more}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="artifacts folder; filled unless it holds studies")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--pages", nargs="*", default=list(INPUTS))
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--no-browser", action="store_true")
    parser.add_argument("--fill", action="store_true", help="do not measure")
    parser.add_argument("--page", help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ["MDAF_HOME"] = str(options.home.resolve())
    os.environ.pop("MLFLOW_TRACKING_URI", None)

    from mdaf_core.studies.store import list_studies

    if not list_studies():
        fill()
    study = list_studies()[0].id
    if options.page:
        one_page(options.page, study, options.repeats)
        return
    if options.fill:
        return
    if not options.no_browser:
        print(f"an app without contents, browser, cold {floor(options.chromium):.2f} s", flush=True)
    for page in options.pages:
        cold, again, processor = in_apptest(options.home, page, options.repeats)
        show(page, "AppTest", cold, again, f"   cold, of the processor {processor:.2f} s")
        if not options.no_browser:
            show(page, "browser", *in_browser(options.chromium, study, page, options.repeats))
            print(f"{page:8} from Overview   {from_overview(options.chromium, study, page):5.2f} s", flush=True)
    if options.pages != list(INPUTS):
        return
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        command = [sys.executable, "-m", "mdaf_core", "export", study, "--out", folder]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        files = sum(path.is_file() for path in Path(folder).rglob("*"))
        print(f"export of the whole bundle, {files} files: {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
