"""The real app in a real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import new_home
from tests.waiting import PATIENT, STILL, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.e2e import recorded

ROOT = Path(__file__).resolve().parent.parent.parent

# `streamlit run`, with a demo study without the branches alone, whose trainings are small and take one epoch, and
# with three models in the study of peers.
STREAMLIT = """
import sys
from dataclasses import replace
from streamlit.web.cli import main
from mdaf_core.studies import definitions as here

def short(one):
    if one.name == "peers":
        return replace(one, presets=("dcnv2", "dcnv3", "autoint"))
    if one.name != "demo":
        return one
    few = [name for name in one.presets if name not in ("mdaf-static", "mdaf-sequential")]
    short = ("training.max_epochs=1", "training.batch_size=1024", "training.max_history=10")
    return replace(one, presets=tuple(few), overrides=(*one.overrides, *short, "model.sequential.blocks=1"))

here._DEFINITIONS = tuple(map(short, here._DEFINITIONS))
sys.exit(main())
"""


@pytest.fixture(scope="session")
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no browser is installed (Debian: apt-get install chromium)")
    return found


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The app's artifacts folder."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def app(home: Path) -> Iterator[str]:
    """Address of an app with an empty artifacts folder of its own; what it started ends with it."""
    with served(home, STREAMLIT) as address:
        yield address


@pytest.fixture(scope="session")
def _lab(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[tuple[Path, recorded.Lab, str]]:
    from tests.e2e import recorded

    with pytest.MonkeyPatch.context() as patch:
        home = new_home(tmp_path_factory.mktemp("lab") / "home", patch, empty_store)
        there = recorded.fill(patch)
    with served(home, recorded.STREAMLIT) as address:
        yield home, there, address


@pytest.fixture
def lab(_lab: tuple[Path, recorded.Lab, str], monkeypatch: pytest.MonkeyPatch) -> tuple[recorded.Lab, str]:
    """What is in the folder, which is MDAF_HOME, and the address of an app over it: of all walks one after another."""
    home, there, address = _lab
    monkeypatch.setenv("MDAF_HOME", str(home))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return there, address


@contextlib.contextmanager
def served(home: Path, program: str) -> Iterator[str]:
    """Address of an app with this artifacts folder, which `program` starts; what it started ends with it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"MDAF_HOME": str(home)}
    environment.pop("MLFLOW_TRACKING_URI", None)
    log = (home.parent / "app.log").open("w")
    command = [sys.executable, "-c", program, "run", "app.py", "--server.headless=true"]
    command += [f"--server.port={port}", "--server.address=127.0.0.1"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_until_up(process, f"{address}/_stcore/health")
        yield address
    finally:
        process.terminate()
        process.wait(PATIENT)
        _stop_processes(home)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """What was to be read on the page when a walk failed."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    page = getattr(item, "funcargs", {}).get("page")
    if report.when == "call" and report.failed and page is not None:
        with contextlib.suppress(Exception):
            report.sections.append(("page", page.get_by_test_id("stMain").inner_text(timeout=10_000)))


@pytest.fixture
def page(chromium: str) -> Iterator[Page]:
    """A tab of a browser of its own."""
    with browsing(chromium) as browser:
        yield new_page(browser)


@contextlib.contextmanager
def browsing(chromium: str) -> Iterator[Browser]:
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=STILL * 1000)  # a shared machine is slow
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-sync"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=quiet)
        yield browser
        browser.close()


def new_page(browser: Browser) -> Page:
    page = browser.new_page(viewport={"width": 1440, "height": 1000}, accept_downloads=True)
    page.set_default_timeout(STILL * 1000)
    return page


def _wait_until_up(process: subprocess.Popen, address: str) -> None:
    def answers() -> bool:
        assert process.poll() is None, "the app has ended"
        try:
            with urllib.request.urlopen(address, timeout=10):
                return True
        except OSError:
            return False

    wait_until(answers, lambda: None, still=PATIENT, every=0.5)


def _stop_processes(home: Path) -> None:
    """End the supervisor (and through it the launcher), and who counts costs, of this artifacts folder."""
    wanted = f"MDAF_HOME={home}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command, environment = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
        except OSError:
            continue
        started = b"mdaf_core.queue.supervisor" in command or b"mdaf_core.studies.estimate" in command
        if started and wanted in environment.split(b"\0"):
            os.kill(int(entry.name), signal.SIGTERM)
