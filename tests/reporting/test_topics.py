"""What the topics declare is found; a further chart is one file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mdaf_core.reporting import topics
from mdaf_core.reporting.figures import FIGURES
from mdaf_core.reporting.paper.tables import TABLES
from tests.conftest import ROOT
from tests.reporting.example_study import make_study

CHART = '''
"""How many epochs each run was trained."""

import altair as alt
import polars as pl

from mdaf_core.reporting.figure import Kind


def draw(material):
    rows = [(f"{run.configuration} {run.seed}", len(run.result.epochs)) for run in material.runs]
    data = pl.DataFrame(rows, schema=["run", "epochs"], orient="row")
    return alt.Chart(data).mark_bar().encode(x="epochs:Q", y="run:N"), data, "Epochs of every run."


FIGURES = {"epochs-trained": Kind("Epochs trained", "Training", draw, of_a_split=False)}
'''


def test_figures_and_tables_come_in_the_order_of_their_topics() -> None:
    groups = list(dict.fromkeys(kind.group for kind in FIGURES.values()))
    assert groups == ["Comparison", "Training", "ROC and calibration", "Slices", "Cost", "Speed", "Gates"]
    tables = ["best", "results", "effects", "data-sets", "overfitting", "cost", "tuning", "tuned-settings"]
    assert list(TABLES) == [*tables, "history-length", "speed", "gates", "gate-groups"]


def test_a_chart_is_one_file(home: Path, tmp_path: Path) -> None:
    """Put beside the others it is drawn by `figure`, exported with the rest, and offered by the Export page."""
    study = make_study(["mdaf-full", "lr"], [1, 2])
    (tmp_path / "epochs_trained.py").write_text(CHART)
    found = """
import sys
from mdaf_core.reporting import topics
topics.__path__.append(sys.argv.pop(1))
"""
    run = f"{found}from mdaf_core.cli.main import main\nmain()"
    page = f"""{found}
from streamlit.testing.v1 import AppTest
app = AppTest.from_file({str(ROOT / "pages" / "export.py")!r}, default_timeout=300)
app.query_params["study"] = {study.id!r}
print(*next(p for p in app.run().get("button_group") if p.key == "figures").options, sep="|")
"""

    def python(code: str, *arguments: str) -> str:
        command = [sys.executable, "-c", code, str(tmp_path), *arguments]
        environment = {**os.environ, "MDAF_HOME": str(home)}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    python(run, "figure", f"{study.id}/epochs-trained", "--out", str(tmp_path / "drawn.csv"))
    assert (tmp_path / "drawn.csv").read_text().splitlines()[0] == "run,epochs"
    assert "Epochs trained" in python(page)


def test_a_name_is_declared_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "roc_again.py").write_text(CHART.replace("epochs-trained", "roc"))
    monkeypatch.setattr(topics, "__path__", [*topics.__path__, str(tmp_path)])
    with pytest.raises(ValueError, match="declares roc in FIGURES again"):
        topics.declared("FIGURES")
