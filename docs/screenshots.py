"""Screenshots of every page, light and dark, from a real study, into `docs/images/`.

    python docs/screenshots.py [--home FOLDER] [--only export,gates]        or: make screenshots

Prepares `synthetic tiny`, runs the demo study with a third seed and a search for settings in an artifacts folder of its
own (some minutes; `--home` keeps it for the next time), then opens each page in headless Chromium.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
DATASET = "tiny"
SEARCHED = "tiny-again"  # of its own: what is tried of two models alone would stand beside the demo as unequal budgets
SIZE = {"width": 1440, "height": 1000}
PAGES = {
    "studies": "studies",
    "overview": "?study={study}",
    "data": f"data?dataset={DATASET}",
    "launch": f"launch?dataset={DATASET}",
    "jobs": "jobs",
    "curves": "curves?study={study}",
    "run": "run?run={run}",
    "tuning": "tuning?search={search}",
    "compare": "compare?study={study}",
    "gates": "gates?study={study}",
    "export": "export?study={study}",
}


def cli(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "mdaf_core", *words], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def study() -> str:
    """Id of the study in the artifacts folder; run first where there is none."""
    from mdaf_core.data.store.dataset import list_datasets
    from mdaf_core.studies.store import list_studies

    if DATASET not in list_datasets():
        cli("data", "prepare", "synthetic", "--set", "size=tiny", "--name", DATASET)
    if all(one.tuned_in for one in list_studies()):
        cli("study", "run", "demo", "--data", DATASET, "--seeds", "42,43,44", "--title", "Demo study", "--wait")
    return next(one.id for one in list_studies() if not one.tuned_in)


def search() -> str:
    """Id of the newest search for settings in the artifacts folder; run first where there is none."""
    from mdaf_core.studies.tuning.search import list_searches

    if not list_searches():
        cli("data", "prepare", "synthetic", "--set", "size=tiny", "--set", "seed=2", "--name", SEARCHED)
        cli("study", "tune", "demo", "--data", SEARCHED, "--only", "dcnv2,lr", "--trials", "8", "--wait")
    return list_searches()[0].id


def run(study: str) -> str:
    """Id of the first run of a study's reference."""
    from mdaf_core.runs import tracking
    from mdaf_core.studies.store import get_study

    runs = [one for one in tracking.list_runs(study) if one.configuration == get_study(study).reference]
    return min(runs, key=lambda one: one.seed).run_id


@contextmanager
def app() -> Iterator[str]:
    """Address of the running app."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--server.headless=true", f"--server.port={port}", "--server.address=127.0.0.1"]
    process = subprocess.Popen([sys.executable, "-m", "streamlit", "run", "app.py", *options], cwd=ROOT)
    try:
        for _ in range(120):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2):
                    break
            except OSError:
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


BUSY = """() => !!document.querySelector(
        '[data-testid=stStatusWidget], [data-testid=stSpinner], [data-testid=stSkeleton], [data-stale=true]')
    || document.body.innerText.includes('computing')"""


def settle(page: Page) -> None:
    """Until the page has been at rest for a second: the script has run, charts are drawn, nothing is greyed out."""
    page.get_by_role("heading").first.wait_for()
    rest = 0
    for _ in range(600):
        rest = 0 if page.evaluate(BUSY) else rest + 1
        if rest == 4:
            break
        page.wait_for_timeout(250)
    failed = page.locator("[data-testid=stException], [data-testid=stAlertContentError]")
    if rest < 4 or failed.count():
        sys.exit(f"{page.url} has not come to rest, or shows an error.")


def save(picture: bytes, path: Path) -> None:
    Image.open(io.BytesIO(picture)).convert("RGB").save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, help="artifacts folder; default: a temporary one")
    parser.add_argument("--only", default=",".join(PAGES), help="pages, separated by commas")
    options = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("No browser is installed (Debian: apt-get install chromium).")
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["MDAF_HOME"] = str((options.home or Path(temporary)).resolve())
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        IMAGES.mkdir(exist_ok=True)
        wanted, there = options.only.split(","), dict[str, str]()
        if set(wanted) - {"tuning"}:
            there["study"] = study()
            there["run"] = run(there["study"])
        if "tuning" in wanted:
            there["search"] = search()
        links = {name: PAGES[name].format(**there) for name in wanted}
        with app() as address, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            for scheme in ("light", "dark"):
                page = browser.new_page(viewport=SIZE, color_scheme=scheme)  # type: ignore[arg-type]
                page.set_default_timeout(120_000)
                for name, link in links.items():
                    page.goto(f"{address}/{link}")
                    settle(page)
                    save(page.screenshot(), IMAGES / f"{name}-{scheme}.png")
                    print(IMAGES / f"{name}-{scheme}.png")
                page.close()
            browser.close()


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
