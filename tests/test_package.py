"""The wheel: all that the dashboard needs, no name beside the package's, and it runs where there is no clone."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

from mdaf_core.base.version import __version__

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling", reason="hatchling is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages that holds the wheel's files."""
    folder = tmp_path_factory.mktemp("packages")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def pins(name: str) -> set[str]:
    lines = [re.sub(r"\s*#.*", "", line).strip() for line in (ROOT / name).read_text("utf-8").splitlines()]
    return {line for line in lines if line and not line.startswith("-")}


def test_it_holds_the_dashboard_and_takes_no_other_name(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.split("/")[0] for name in names} == {"mdaf.py", "mdaf_core", f"mdaf_studio-{__version__}.dist-info"}
    dashboard = {name.removeprefix("mdaf_core/dashboard/") for name in names if "/dashboard/" in name}
    ours = {str(path.relative_to(ROOT)) for path in (ROOT / "pages").iterdir() if path.suffix in (".py", ".css")}
    assert dashboard >= {*ours, "app.py", "serving/speed.py", ".streamlit/config.toml"}
    core = {str(path.relative_to(ROOT)) for path in (ROOT / "mdaf_core").rglob("*.py")}
    assert core <= names and not [name for name in names if "__pycache__" in name]


def test_metadata_are_the_version_and_the_pins_of_the_requirements(wheel: Path) -> None:
    metadata = message_from_bytes(zipfile.ZipFile(wheel).read(f"mdaf_studio-{__version__}.dist-info/METADATA"))
    assert metadata["Version"] == __version__
    needed: dict[str, set[str]] = {}
    for line in metadata.get_all("Requires-Dist", []):
        pin, _, extra = line.partition("; extra == ")
        needed.setdefault(extra.strip("'\""), set()).add(pin)
    assert needed.pop("") == pins("requirements.txt")
    for extra, found in needed.items():
        assert found == pins(f"requirements-{extra}.txt")
    files = {file.stem.removeprefix("requirements-") for file in ROOT.glob("requirements-*.txt")}
    assert set(needed) == files - {"bench"}  # what is measured beside it is no part of it
    scripts = zipfile.ZipFile(wheel).read(f"mdaf_studio-{__version__}.dist-info/entry_points.txt").decode()
    assert "mdaf = mdaf_core.cli.main:main" in scripts


def environment(installed: Path) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MDAF_", "MLFLOW_"))}
    return own | {"PYTHONPATH": str(installed)}


def test_it_works_in_the_working_folder(installed: Path, tmp_path: Path) -> None:
    code = (
        "import mdaf; from mdaf_core.base import settings; from mdaf_core.cli import app; "
        "from mdaf_core.runs.provenance import code_version; "
        "print(settings.get_settings().home, app.script(), code_version(), mdaf.list_datasets(), sep='\\n')"
    )
    command = [sys.executable, "-P", "-c", code]
    run = subprocess.run(command, cwd=tmp_path, env=environment(installed), capture_output=True, text=True, check=True)
    home, script, version, datasets = run.stdout.splitlines()
    assert home == str(tmp_path / "artifacts") and datasets == "[]"
    assert script == str(installed / "mdaf_core" / "dashboard" / "app.py")
    assert version == f"version {__version__}"


def test_the_dashboard_answers_from_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-P", "-m", "mdaf_core", "app", "--port", str(port)]
    with (tmp_path / "log").open("wb") as log:
        app = subprocess.Popen(command, cwd=tmp_path, env=environment(installed), stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 120
        while True:
            try:
                assert urllib.request.urlopen(f"{address}/compare", timeout=10).status == 200
                break
            except urllib.error.URLError:
                assert app.poll() is None and time.monotonic() < deadline, (tmp_path / "log").read_text()
                time.sleep(0.1)
        # Its own settings hold in a folder that has none: this machine alone, and nobody under another name.
        request = urllib.request.Request(address, headers={"Host": "studio.example.org"})
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(request, timeout=10)
        assert f"URL: http://127.0.0.1:{port}" in (tmp_path / "log").read_text()
    finally:
        app.terminate()
        app.wait(30)
