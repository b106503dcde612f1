import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

import pytest

from mdaf_core.base import process, settings
from mdaf_core.base.imports import Later, lean


def test_a_library_without_what_it_loads_by_the_way(tmp_path, monkeypatch):
    (tmp_path / "heavy_of_a_test.py").write_text("")
    (tmp_path / "library_of_a_test.py").write_text(
        "try:\n    import heavy_of_a_test\n    whole = True\nexcept ImportError:\n    whole = False\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    alone = lean("library_of_a_test", "heavy_of_a_test")
    assert not alone.whole and lean("library_of_a_test", "heavy_of_a_test") is alone
    assert not {"library_of_a_test", "heavy_of_a_test"} & set(sys.modules)
    assert import_module("library_of_a_test").whole
    with pytest.raises(ImportError):
        lean("no_library_of_a_test")
    for name in ("library_of_a_test", "heavy_of_a_test"):
        sys.modules.pop(name, None)


def test_two_threads_get_one_whole_library(tmp_path, monkeypatch):
    (tmp_path / "slow_of_a_test.py").write_text("import time\ntime.sleep(0.2)\nwhole = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lean, ["slow_of_a_test"] * 2)
    assert first is second and first.whole


def test_a_library_that_is_loaded_when_it_is_asked_for(tmp_path, monkeypatch):
    (tmp_path / "late_of_a_test.py").write_text("answer = 42\n")
    monkeypatch.syspath_prepend(tmp_path)
    late = Later("late_of_a_test")
    assert "late_of_a_test" not in sys.modules
    assert late.answer == 42
    with pytest.raises(AttributeError, match="no attribute 'question'"):
        late.question  # noqa: B018
    with pytest.raises(ImportError):
        Later("no_library_of_a_test").answer  # noqa: B018
    sys.modules.pop("late_of_a_test", None)


def test_no_chart_is_loaded_with_what_stands_beside_it():
    """Of figures, tables and captions."""
    code = "import sys, mdaf_core.reporting.figures, mdaf_core.reporting.paper.tables, mdaf_core.reporting.drawing\n"
    code += "print(*{'altair', 'vl_convert'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], cwd=settings.PROJECT_ROOT, capture_output=True, text=True)
    assert (run.returncode, run.stdout.split()) == (0, []), run.stderr


LAUNCHER = "from mdaf_core.queue import launcher; launcher.main({}, ['told'])"
COMMAND = "import sys; from mdaf_core.cli.main import main; sys.argv[1:] = ['metrics']; main()"


@pytest.mark.parametrize("program", [LAUNCHER, COMMAND])
def test_programs_look_for_garbage_rarely(tmp_path: Path, program: str) -> None:
    told = "import atexit, gc; atexit.register(lambda: print(gc.get_threshold()[0]))"
    (tmp_path / "told.py").write_text(told)
    there = process.environment() | {"PYTHONPATH": f"{settings.PROJECT_ROOT}:{tmp_path}"}
    command = [sys.executable, "-c", f"import told; {program}"]
    run = subprocess.run(command, env=there, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert (run.stdout + run.stderr).split()[-1] == "10000"
