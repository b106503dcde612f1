"""The Python API: loaded when asked for, typed as it is, taught by docs/api.md (which `e2e/test_notebook.py` runs)."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import pytest

import mdaf
import mdaf_core
from mdaf_core import api
from mdaf_core.base.errors import UsageError

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("name", api.__all__)
def test_every_name_is_found_and_taught(name: str) -> None:
    found = getattr(mdaf_core, name)
    assert getattr(mdaf, name) is found and name in dir(mdaf)
    assert f"`{name}`" in (ROOT / "docs" / "api.md").read_text("utf-8")
    if name in api.ELSEWHERE:
        module, _, attribute = api.ELSEWHERE[name].partition(":")
        assert found is (getattr(import_module(module), attribute) if attribute else import_module(module))


def test_types_and_names_are_the_same_list() -> None:
    """What a type checker sees is what is there."""
    text = (ROOT / "mdaf_core" / "api.py").read_text("utf-8")
    typed = set(re.findall(r"import \w+ as (\w+)$", text, re.MULTILINE)) & set(api.ELSEWHERE)
    assert typed == set(api.ELSEWHERE)
    assert set(api.ELSEWHERE) | set(re.findall(r"^def ([a-z]\w*)", text, re.MULTILINE)) == set(api.__all__)


def test_what_is_not_there_is_an_attribute_error() -> None:
    for module in (mdaf, mdaf_core, api):
        with pytest.raises(AttributeError, match="nonsense"):
            _ = module.nonsense


def test_import_loads_nothing() -> None:
    code = "import sys, mdaf; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert "mdaf_core" in loaded and not loaded & {"numpy", "polars", "pandas", "pydantic", "torch", "mlflow", "altair"}


def test_significance_is_importable_alone() -> None:
    code = "import sys; import mdaf_core.analysis.significance; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not set(run.stdout.split()) & {"torch", "mlflow", "altair", "streamlit", "sqlalchemy"}


def test_an_object_in_the_place_of_its_id_is_a_sentence(home: Path) -> None:
    study = object()
    for act in (
        lambda: mdaf.get_study(study),  # type: ignore[arg-type]
        lambda: mdaf.extend_study(study, [1]),  # type: ignore[arg-type]
        lambda: mdaf.list_runs(study),  # type: ignore[arg-type]
        lambda: mdaf.get_run(study),  # type: ignore[arg-type]
        lambda: mdaf.open_dataset(study),  # type: ignore[arg-type]
        lambda: mdaf.import_predictions([0.5], data="d", name="n", study=study),  # type: ignore[arg-type]
    ):
        with pytest.raises(UsageError, match=r"must be a text, not of type object. Give its id or name"):
            act()


@pytest.fixture
def scores() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=300)
    label = (rng.random(300) < 1 / (1 + np.exp(-truth))).astype(int)
    made = {f"{name}@{s}": truth + q * rng.normal(size=300) for name, q in (("a", 1), ("b", 0.2)) for s in (1, 2, 3)}
    return pl.DataFrame({"label": label, "user": rng.integers(0, 40, 300), **made})


@pytest.mark.parametrize("kind", ["differences", "leaderboard"])
def test_charts_display_and_hold_the_figures(scores: pl.DataFrame, kind: Literal["differences", "leaderboard"]) -> None:
    found = mdaf.compare(scores, reference="a")
    drawn = mdaf.chart(found, kind)
    shown = drawn._repr_mimebundle_(None, None)
    assert "text/html" in (shown[0] if isinstance(shown, tuple) else shown)
    spec = drawn.to_dict()
    assert spec["config"]["background"] == "#ffffff"
    rows = [row for rows in spec["datasets"].values() for row in rows if row.get("configuration") == "b"]
    expected = found.frame().filter(pl.col("configuration") == "b").row(0, named=True)
    assert any(row.get("difference_bp") == expected["difference_bp"] for row in rows)


def test_what_has_no_difference_has_no_chart(scores: pl.DataFrame) -> None:
    found = mdaf.compare(scores.select("label", pl.col("a@1").alias("a"), pl.col("b@1").alias("b")))
    for one in found.configurations:
        one.difference = None
    with pytest.raises(UsageError, match="Nothing could be compared"):
        mdaf.chart(found)


def test_margins_are_words(scores: pl.DataFrame) -> None:
    assert mdaf.compare(scores, margin="20 bp").margin_bp == 20
    assert mdaf.compare(scores).margin is None and mdaf.compare(scores, margin=None).margin is None
    with pytest.raises(UsageError, match="A margin is"):
        mdaf.compare(scores, margin="wide")
    with pytest.raises(UsageError, match="study"):
        mdaf.compare("no-such-study")
