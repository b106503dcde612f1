"""Figure files: the widths of a paper, embedded fonts, text that can be found, no network."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import altair as alt
import numpy as np
import polars as pl
import pytest
from PIL import Image

from mdaf_core.base.errors import UsageError
from mdaf_core.reporting import export, fonts

FRAME = pl.DataFrame({"epoch": [1, 2, 3], "auc": [0.61234567, 0.65, 0.64]})
CHART = (
    alt.Chart(FRAME).mark_line().encode(x="epoch:Q", y=alt.Y("auc:Q", title="Validation AUC")).properties(height=280)
)


@pytest.mark.parametrize(("columns", "inches"), [(1, 3.3), (2, 7.0)])
def test_svg_is_as_wide_as_a_column(columns, inches: float) -> None:
    root = ET.fromstring(export.render(CHART, "svg", columns=columns))
    assert float(root.get("width", "0")) == pytest.approx(inches * 72, abs=1)


def test_png_has_300_dots_an_inch() -> None:
    image = Image.open(io.BytesIO(export.render(CHART, "png", columns=1)))
    assert image.width == pytest.approx(3.3 * 300, abs=4)
    assert image.info["dpi"][0] == pytest.approx(300, abs=1)
    assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255), "white, not transparent"


def test_svg_is_small_and_keeps_text() -> None:
    svg = export.render(CHART, "svg").decode()
    assert len(svg) < 40_000
    assert "Validation AUC" in svg
    assert not re.search(r"(href|src)=\"https?://", svg)


@pytest.mark.skipif(not shutil.which("pdffonts"), reason="poppler-utils (pdffonts, pdftotext) is not installed")
@pytest.mark.parametrize(("typeface", "font"), [("sans", "LiberationSans"), ("serif", "STIXGeneral")])
def test_pdf_embeds_its_fonts_and_its_text_can_be_found(tmp_path: Path, typeface, font: str) -> None:
    path = tmp_path / "figure.pdf"
    path.write_bytes(export.render(CHART, "pdf", typeface=typeface))
    fonts = subprocess.run(["pdffonts", path], capture_output=True, text=True, check=True).stdout.splitlines()[2:]
    assert fonts
    assert all(line.split()[-5] == "yes" and font in line for line in fonts), fonts
    text = subprocess.run(["pdftotext", path, "-"], capture_output=True, text=True, check=True).stdout
    assert "Validation AUC" in text


def test_rows_of_a_discrete_axis_keep_their_height() -> None:
    frame = pl.DataFrame({"name": [f"c{i}" for i in range(30)], "value": range(30)})
    chart = alt.Chart(frame).mark_point().encode(x="value:Q", y="name:N").properties(height=alt.Step(24))
    height = float(ET.fromstring(export.render(chart, "svg")).get("height", "0"))
    assert height > 30 * 12


def test_the_specification_is_self_contained() -> None:
    spec = json.loads(export.vega_lite(CHART))
    assert "url" not in json.dumps(spec["data"])
    assert spec["datasets"][spec["data"]["name"]][0] == {"epoch": 1, "auc": 0.61234567}


def test_csv_keeps_every_digit() -> None:
    assert export.chart_csv(CHART).decode().splitlines()[1] == "1,0.61234567"
    assert export.table_csv(FRAME.to_pandas().style).decode().splitlines()[1] == "1,0.61234567"


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(UsageError, match="pdf, svg, png"):
        export.render(CHART, "gif")


def test_paper_has_no_tooltips_nor_the_marks_that_carry_them() -> None:
    hover = alt.Chart(FRAME).mark_point(opacity=0).encode(x="epoch:Q", y="auc:Q", tooltip="auc:Q")
    spec = export.print_spec(alt.layer(CHART, hover).properties(height=280))
    assert len(spec["layer"]) == 1
    assert "tooltip" not in json.dumps(spec)


@pytest.mark.parametrize("columns", [1, 2])
def test_no_legend_entry_is_cut_off(columns) -> None:
    from mdaf_core.reporting.topics import scores

    names = [f"configuration-number-{i}" for i in range(7)]
    frame = pl.DataFrame(
        {"run_id": names, "configuration": names, "fpr": [0.5] * 7, "tpr": [0.1 * i for i in range(7)]}
    )
    root = ET.fromstring(export.render(scores.roc(frame, order=names), "svg", columns=columns))
    assert {name for name in names if name in "".join(root.itertext())} == set(names)
    shift, lowest = 0.0, []
    stack = [(root, 0.0)]
    while stack:
        node, shift = stack.pop()
        moved = re.search(r"translate\([-\d.]+,\s*([-\d.]+)\)", node.get("transform", ""))
        y = shift + (float(moved[1]) if moved else 0)
        if node.text in names:
            lowest.append(y)
        stack += [(child, y) for child in node]
    assert min(lowest) > 4, "the first row begins inside the picture"


def test_views_above_one_another_are_as_wide_as_a_column() -> None:
    both = alt.vconcat(CHART, CHART.properties(height=60))
    root = ET.fromstring(export.render(both, "svg", columns=1))
    assert float(root.get("width", "0")) == pytest.approx(3.3 * 72, abs=2)


def test_lean_marks_look_the_same() -> None:
    import vl_convert

    spec = export.print_spec(
        alt.layer(
            CHART.mark_line(opacity=0.4, strokeDash=[1, 0]),
            CHART.mark_area(opacity=0.2),
            CHART.mark_point(filled=True, opacity=0.5, stroke="black", size=80),
            CHART.mark_rule(opacity=0.5),
        )
    )
    plain = vl_convert.vegalite_to_svg(spec)
    lean = export._MARK.sub(export._lean, plain)
    assert lean.count(" opacity=") < plain.count(" opacity=")
    assert "dasharray" not in lean
    a, b = (
        np.asarray(Image.open(io.BytesIO(vl_convert.svg_to_png(svg, ppi=150))).convert("RGB"), np.int16)
        for svg in (plain, lean)
    )
    assert np.abs(a - b).max() <= 24
    assert np.abs(a - b).mean() < 0.05


@pytest.mark.parametrize(
    ("venue", "inches"), [("acmart", (3.337, 7.006)), ("neurips", (2.64, 5.5)), ("ieee", (3.487, 7.14))]
)
def test_figures_for_a_venue_have_its_width_and_size(venue, inches) -> None:
    for columns, width in zip((1, 2), inches, strict=True):
        root = ET.fromstring(export.render(CHART, "svg", columns=columns, typeface=venue))
        assert float(root.get("width", "0")) == pytest.approx(width * 72, abs=1)
    sizes = {node.get("font-size") for node in root.iter() if node.get("font-size")}
    assert sizes == ({"7px", "8px"} if venue == "acmart" else {"8px"})


NAMES = ["mdaf 中文模型", "日本語モデル", "한국어 모델"]


@pytest.fixture
def cjk(tmp_path: Path, monkeypatch):
    """A font of these names' characters, each a glyph of its own, as the folder of fonts; and its glyphs."""
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    characters = sorted({*map(chr, range(32, 127)), *"".join(NAMES)})
    names = [".notdef", *(f"g{ord(c):x}" for c in characters)]
    glyphs = {}
    for i, name in enumerate(names):
        pen = TTGlyphPen(None)
        for j, point in enumerate([(50, 0), (900 - 5 * i, 0), (50 + 7 * i, 800)]):
            (pen.lineTo if j else pen.moveTo)(point)
        pen.closePath()
        glyphs[name] = pen.glyph()
    font = FontBuilder(1000, isTTF=True)
    font.setupGlyphOrder(names)
    font.setupCharacterMap({ord(c): name for c, name in zip(characters, names[1:], strict=True)})
    font.setupGlyf(glyphs)
    font.setupHorizontalMetrics(dict.fromkeys(names, (1000, 50)))
    font.setupHorizontalHeader(ascent=800, descent=-200)
    font.setupNameTable({"familyName": "Made", "styleName": "Regular"})
    font.setupOS2(fsType=0)
    font.setupPost()
    folder = tmp_path / "fonts"
    folder.mkdir()
    font.save(folder / "made.ttf")
    monkeypatch.setenv("MDAF_FONTS", str(folder))
    monkeypatch.setenv("MDAF_HOME", str(tmp_path / "home"))


def _named(names: list[str]) -> alt.Chart:
    frame = pl.DataFrame({"name": names, "value": range(len(names))})
    return alt.Chart(frame).mark_point().encode(x="value:Q", y="name:N").properties(height=alt.Step(24))


def test_names_in_other_scripts_have_glyphs_and_their_fonts_are_in_the_files(tmp_path: Path, cjk) -> None:
    import base64

    from fontTools.ttLib import TTFont

    assert fonts.beyond("é ▲ 模型 モデル") == "デモル型模" and not export.without_font(_named(NAMES))
    svg = export.render(_named(NAMES), "svg").decode()
    inside = TTFont(io.BytesIO(base64.b64decode(re.search('base64,([^"]*)"', svg)[1])))
    family = inside["name"].getDebugName(1)
    assert set("".join(NAMES)) < {chr(code) for code in inside.getBestCmap()}
    assert svg.count(f'"{family}, Liberation') == svg.count("<text") > 3
    pdf = export.render(_named(NAMES), "pdf")
    assert family.encode() in pdf and b"LastResort" not in pdf
    if shutil.which("pdftotext"):
        (tmp_path / "f.pdf").write_bytes(pdf)
        text = subprocess.run(["pdftotext", tmp_path / "f.pdf", "-"], capture_output=True, text=True, check=True).stdout
        assert all(word in text for name in NAMES for word in name.split()), text
    one, other = (
        np.asarray(Image.open(io.BytesIO(export.render(_named([name]), "png"))).convert("L")) for name in ("中", "文")
    )
    assert one.shape == other.shape and (one != other).any(), "not the same box"
    assert {export.render(_named(NAMES), "pdf") for _ in range(4)} == {pdf}


def test_characters_of_no_font_are_said_before_download(cjk) -> None:
    from mdaf_core.base import notices

    nowhere = "\U0010fff0"
    assert "MDAF_FONTS" in export.without_font(_named([f"model {nowhere}"]))
    with notices.collect() as said:
        export.render(_named([f"中 {nowhere}"]), "png")
    assert len(said) == 1 and nowhere in next(iter(said)) and "中" not in next(iter(said))
