"""docs/api.md runs as the notebook it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def cells() -> list[str]:
    """The code of docs/api.md."""
    return re.findall(
        r"^```python\n(.*?)^```$", (ROOT / "docs" / "api.md").read_text("utf-8"), re.DOTALL | re.MULTILINE
    )


def test_the_page_runs_as_a_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a kernel of its own, in an empty folder, against an artifacts folder of its own."""
    nbclient = pytest.importorskip("nbclient", reason="nbclient and ipykernel are not installed")
    from nbformat import v4

    monkeypatch.setenv("MDAF_HOME", str(tmp_path / "artifacts"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert sum(len(cell.splitlines()) for cell in cells()) <= 45
    notebook = v4.new_notebook(cells=[v4.new_code_cell(cell) for cell in cells()])
    client = nbclient.NotebookClient(notebook, timeout=1800, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    shown = [[*output.get("data", {})] for cell in notebook.cells for output in cell.outputs]
    assert sum("text/html" in kinds for kinds in shown) == 5  # three frames, two charts
    told = "".join(output.get("text", "") for cell in notebook.cells for output in cell.outputs)
    assert told.count("finished") >= 4 and "95% intervals cover other seeds and other users" in told
    assert (tmp_path / "paper" / "manifest.json").is_file()
