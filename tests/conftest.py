"""Fixtures for all tests: an artifacts folder of their own, and the real sample data where it is at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty artifacts folder, set as MDAF_HOME."""
    folder = tmp_path / "artifacts"
    folder.mkdir()
    monkeypatch.setenv("MDAF_HOME", str(folder))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with small real data sets: `$MDAF_SHARED_DATA`, else `../shared/data` beside the project."""
    folder = Path(os.environ.get("MDAF_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no sample data: {folder} does not exist (set MDAF_SHARED_DATA)")
    return folder


@pytest.fixture
def tiny(home: Path):  # type: ignore[no-untyped-def]
    """The embedded data set `synthetic tiny`, prepared in this test's artifacts folder."""
    from mdaf_core.data.prepare import prepare

    return prepare("synthetic", path=None, name="tiny", options={"size": "tiny"})
