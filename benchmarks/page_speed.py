"""Measure in a real browser how long Overview, Curves and Compare take over a store of 200 finished runs.

    python -m benchmarks.page_speed --home /tmp/many        an empty folder is filled first (benchmarks.many_runs)

Method: the app is started on a free port, Chromium opens each page once (first paint: from the request until the
script has ended, no element is stale and no chart in view is missing), then an input is changed again and again; a
re-run lasts from the click until the script has ended and no element is stale. `benchmarks.many_runs` measures the
same pages without a browser, in AppTest.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from benchmarks.many_runs import ROOT, fill

# Page → the input that is clicked for a re-run.
INPUTS = {
    "overview": '[data-testid="stSidebarNavLink"][href$="/overview"], [data-testid="stSidebarNavLink"] >> nth=0',
    "curves": 'label:has-text("Each run")',
    "compare": 'input[aria-label="Margin"]',
}
BUSY = """() => document.querySelector('[data-testid="stApp"]')?.getAttribute('data-test-script-state') !== 'notRunning'
    || document.querySelector('[data-stale="true"], [data-testid="stSkeleton"]') !== null
    || [...document.querySelectorAll('[data-testid="stVegaLiteChart"]')].some(
        chart => chart.getBoundingClientRect().top < window.innerHeight && !chart.querySelector('canvas'))"""


def wait_idle(page, seconds: float = 60) -> None:  # type: ignore[no-untyped-def]
    page.wait_for_function(f"() => !({BUSY})()", timeout=seconds * 1000, polling=20)


def start_app(port: int, folder: Path = ROOT) -> subprocess.Popen[bytes]:
    """`app.py` of a folder, once it answers."""
    app = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://localhost:{port}/_stcore/health", timeout=1)
            return app
        except OSError:
            time.sleep(0.1)
    app.terminate()
    raise SystemExit("The app did not start within 30 s.")


def measure(browser, url: str, selector: str, repeats: int) -> tuple[float, list[float]]:  # type: ignore[no-untyped-def]
    """Seconds of the first paint, and of each re-run."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    start = time.perf_counter()
    page.goto(url)
    page.wait_for_selector('[data-testid="stMain"] h1', timeout=60_000)
    wait_idle(page)
    first = time.perf_counter() - start
    page.wait_for_timeout(1000)
    times = []
    for number in range(repeats):
        start = time.perf_counter()
        field = page.locator(selector).first
        if selector.startswith("input"):  # a margin, another each time
            field.fill(f"{21 + number} bp")
            field.press("Enter")
        else:
            field.click()
        page.wait_for_timeout(30)  # until the browser has told the server
        wait_idle(page)
        times.append(time.perf_counter() - start)
        page.wait_for_timeout(300)
    page.close()
    return first, times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="artifacts folder; filled unless it holds studies")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    os.environ["MDAF_HOME"] = str(options.home.resolve())
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    from playwright.sync_api import sync_playwright

    from mdaf_core.studies.store import list_studies

    if not list_studies():
        fill(200, 2000)
    study = next(s.id for s in list_studies() if s.title == "Large study")
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    slow = False
    app = start_app(port)
    try:
        with sync_playwright() as p:
            browser = p.chromium.launch(executable_path=options.chromium, args=["--no-sandbox"])
            for name, selector in INPUTS.items():
                path = "" if name == "overview" else name
                first, again = measure(
                    browser, f"http://localhost:{port}/{path}?study={study}", selector, options.repeats
                )
                slow |= statistics.median(again) >= 1.0
                print(
                    f"{name:10} first paint {first:5.2f} s   re-run median {statistics.median(again):.2f} s, "
                    f"worst {max(again):.2f} s",
                    flush=True,
                )
    finally:
        app.terminate()
        app.wait(10)
    raise SystemExit(int(slow))


if __name__ == "__main__":
    main()
