"""The app as a whole: every page opens on an empty folder, and nothing heavy is imported before it is needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT
from tests.waiting import PATIENT

PAGES = ["studies", "overview", "run", "data", "launch", "jobs", "curves", "compare", "gates", "export"]


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_on_an_empty_folder(home: Path, page: str) -> None:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENT)
    app.switch_page(f"pages/{page}.py").run()
    assert not app.exception
    assert not app.error, app.error[0].value
    assert app.title[0].value.lower() == page


def test_the_first_page_needs_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys, pages.shared\n"
        "pages.shared.warm_up = lambda: None\n"
        "from streamlit.testing.v1 import AppTest\n"
        "app = AppTest.from_file('app.py', default_timeout=1800).run()\n"
        "assert not app.exception and not app.error\n"
        "heavy = {'torch', 'sklearn', 'lightgbm', 'mlflow', 'numba'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    environment = {**os.environ, "MDAF_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-600:]


def test_page_modules_import_nothing_heavy() -> None:
    code = (
        "import sys, pages.shared, mdaf_core.reporting.topics.comparison.charts, mdaf_core.studies.store\n"
        "heavy = {'torch', 'sklearn', 'scipy', 'mlflow', 'altair'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-600:]


def test_pages_wait_for_libraries_that_are_being_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads that import pandas at once saw half of it: "partially initialized module"."""
    from pages import shared

    waited = []
    monkeypatch.setattr(shared._drawing, "wait", lambda: waited.append(True))

    def page() -> None:
        from pages import shared

        shared.header("Any", "What is this?")

    assert not AppTest.from_function(page, default_timeout=PATIENT).run().exception and waited
    shared._drawing.clear()
    monkeypatch.setitem(sys.modules, "altair", None)
    with pytest.raises(ImportError):
        shared.load_libraries()
    assert shared._drawing.is_set()  # what failed there is the page's to say
