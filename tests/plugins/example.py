"""The plug-in of docs/plugins.md, as a file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.waiting import PATIENT

ROOT = Path(__file__).resolve().parents[2]
(SOURCE,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "plugins.md").read_text("utf-8"), re.S)


def name(file: Path, monkeypatch: pytest.MonkeyPatch, source: str = SOURCE) -> Path:
    """Write a plug-in and name it, for this test alone."""
    file.write_text(source, "utf-8")
    monkeypatch.setenv("MDAF_PLUGINS", str(file))
    return file


def page(name: str, **query: str) -> AppTest:
    """A page of the app, drawn without an error."""
    found = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENT)
    found.switch_page(f"pages/{name}.py")
    for key, value in query.items():
        found.query_params[key] = value
    found.run()
    assert not found.exception and not found.error
    return found
