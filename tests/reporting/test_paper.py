"""The bundle's paper through a real TeX engine, its PDFs through poppler: fonts, no pixels, nothing sticks out."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from mdaf_core.reporting import export
from mdaf_core.reporting.figures import FIGURES, make_figure
from mdaf_core.reporting.material import Material
from mdaf_core.reporting.paper import bundle, tables
from mdaf_core.reporting.paper import table as paper_table
from mdaf_core.reporting.topics.curves import charts as curve_charts
from mdaf_core.runs.results import EpochMetrics
from tests.conftest import new_home
from tests.reporting.example_study import make_study
from tests.waiting import PATIENT

ODD = "mdaf_variant & 50% #1 {a}^b ~c \\d $e | é 中 <x>"
LONG = "mdaf-with-a-name-that-is-much-too-long-for-any-column-of-a-paper-and-goes-on"

needs_tex = pytest.mark.skipif(
    not shutil.which("pdflatex"),
    reason="no TeX engine is installed (Debian: apt-get install texlive-latex-base texlive-latex-recommended)",
)
needs_poppler = pytest.mark.skipif(not shutil.which("pdffonts"), reason="poppler-utils is not installed")


def compile_paper(folder: Path) -> str:
    """Runs pdflatex twice, as readers do; the second log."""
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    for _ in range(2):
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=PATIENT)
        assert done.returncode == 0, done.stdout.decode("utf-8", "replace")[-2000:]
    return (folder / "paper.log").read_text("utf-8", "replace")


def unpack(material: Material, folder: Path, figures: list[str], chosen: list[str]) -> Path:
    zipfile.ZipFile(io.BytesIO(bundle.archive(material, figures, chosen))).extractall(folder)
    return folder / material.study.id


def sticking_out(log: str) -> list[float]:
    """Points by which boxes are wider than they may be."""
    return [float(points) for points in re.findall(r"Overfull \\hbox \(([\d.]+)pt too wide\)", log)]


@needs_tex
def test_the_paper_compiles_with_every_table_inside_its_column(tiny, tmp_path: Path) -> None:
    study = make_study(
        ["mdaf-full", "mdaf-static", "mdaf-bst", "lr"], [1, 2, 3], dataset=tiny, gates=True, title="100% & more"
    )
    folder = unpack(Material(study), tmp_path, ["differences", "gate-adaptivity"], list(tables.TABLES))
    log = compile_paper(folder)
    assert "undefined references" not in log
    assert max(sticking_out(log), default=0) < 1
    assert len(list(folder.glob("tables/*.tex"))) == 6
    if shutil.which("pdffonts"):
        assert {line.split()[-5] for line in listing("pdffonts", folder / "paper.pdf")} == {"yes"}
        text = subprocess.run(
            ["pdftotext", folder / "paper.pdf", "-"], capture_output=True, text=True, check=True
        ).stdout
        assert "100% & more" in text
        assert "??" not in text


@needs_tex
def test_names_of_any_kind_and_length_compile(home, tmp_path: Path) -> None:
    study = make_study(["mdaf-full", ODD, LONG], [1, 2], failed=[(LONG, 2)])
    chosen = [name for name in tables.TABLES if name != "gates"]
    folder = unpack(Material(study), tmp_path, ["leaderboard"], chosen)
    compile_paper(folder)
    for path in folder.glob("tables/*.tex"):
        alone = tmp_path / path.stem
        alone.mkdir()
        head = "\\documentclass{article}\\usepackage{graphicx,booktabs,amssymb}\\textwidth=7in\\begin{document}"
        (alone / "paper.tex").write_text(head + path.read_text() + "\\end{document}")
        assert max(sticking_out(compile_paper(alone)), default=0) < 1, path.name


def test_a_table_takes_the_narrowest_place_it_fits() -> None:
    import polars as pl

    def fit(columns: int, text: str) -> str:
        cells = {f"c{i}": [text] * 2 for i in range(columns)}
        return paper_table.PaperTable("t", "T", "C.", cells, pl.DataFrame()).latex()

    assert "\\begin{table}" in fit(3, "0.7123")
    assert "\\begin{table*}" in fit(8, "0.7123 ± 0.0012")
    assert "\\resizebox" in fit(14, "0.7123 ± 0.0012")
    assert fit(14, "0.7123 ± 0.0012").count("{") == fit(14, "0.7123 ± 0.0012").count("}")


def listing(command: str, path: Path, *options: str) -> list[str]:
    """What `pdffonts` and `pdfimages -list` list, without their two lines of headings."""
    done = subprocess.run([command, *options, path], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[2:]


@pytest.fixture(scope="module")
def large_study(tmp_path_factory: pytest.TempPathFactory, empty_store: Path):  # type: ignore[no-untyped-def]
    """16 runs of 1,000 epochs, over rows enough for curves of many points."""
    with pytest.MonkeyPatch.context() as patch:
        new_home(tmp_path_factory.mktemp("large") / "artifacts", patch, empty_store)
        names = ["mdaf-full", *(f"mdaf-variant-{i}" for i in range(1, 8))]
        study = make_study(names, [1, 2], rows=2_000, gates=True)
        for run in Material(study).runs:
            path = run.directory / "epochs.json"
            one = json.loads(path.read_text())[0]
            noise = [(hash((run.run_id, i)) % 1000) / 1e5 for i in range(1000)]
            epochs = [
                EpochMetrics(**one | {"epoch": i + 1, "val_auc": 0.6 + x, "gap_eval": 0.1 - x, "train_loss": 0.5 + x})
                for i, x in enumerate(noise)
            ]
            path.write_text(json.dumps([epoch.model_dump(mode="json") for epoch in epochs]))
        yield study


OF_DATA = ("gate-history", "gate-history-popularity", "gate-activity-hour", "sequential-history-popularity")


@needs_poppler
@pytest.mark.parametrize("name", [name for name in FIGURES if not name.startswith("slices")])
def test_pdfs_have_embedded_fonts_and_no_raster_and_svgs_are_small(large_study, name: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    if name in (
        *OF_DATA,
        "reported-curves",
        "latency",
        "quality-history",
        "component-effects",
        "across",
        "expected-best",
    ):
        pytest.skip("no data set, no Mamba4Rec alone, no measurement of speed, one length, no factorial, one study")
    figure = make_figure(Material(large_study), name)
    made = export.render_all(figure.chart, columns=2, origin=figure.origin)
    assert len(made["svg"]) < 500_000
    path = tmp_path / "figure.pdf"
    path.write_bytes(made["pdf"])
    fonts = listing("pdffonts", path)
    assert fonts
    assert all(line.split()[-5] == "yes" for line in fonts), fonts
    assert listing("pdfimages", path, "-list") == []
    info = subprocess.run(["pdfinfo", path], capture_output=True, text=True, check=True).stdout
    assert re.search(rf"Keywords: +{re.escape(figure.origin.id)}\n", info)
    assert re.search(rf"Title: +{re.escape(figure.title)}\n", info)


def test_thinning_keeps_ends_best_epochs_and_peaks() -> None:
    import polars as pl

    epochs = list(range(1, 1001))
    values = [0.6 + 0.0001 * (e % 7) for e in epochs]
    values[500], values[700] = 0.9, 0.1
    members = pl.DataFrame(
        {"run_id": "a", "configuration": "c", "curve": "v", "epoch": epochs, "value": values}
    ).with_columns(best=pl.col("epoch") == 333)
    bands = members.rename({"value": "mean"}).drop("best")
    thin, thin_bands = curve_charts.thinned(members, bands, most=200)
    assert len(thin) <= 203
    assert {1, 333, 501, 701, 1000} <= set(thin["epoch"])
    assert {1, 501, 701, 1000} <= set(thin_bands["epoch"])
    assert thin["epoch"].is_sorted()
    same, _ = curve_charts.thinned(members.head(50), bands.head(50))
    assert len(same) == 50
