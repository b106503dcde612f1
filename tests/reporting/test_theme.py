"""The look is the same everywhere, and colours can be told apart by colour-blind readers and in grey print."""

from __future__ import annotations

import tomllib
from itertools import combinations, pairwise

import altair as alt
import numpy as np
import polars as pl
import pytest

from mdaf_core.reporting import theme
from tests.conftest import ROOT

# Machado, Oliveira & Fernandes 2009, severity 1.0, in linear RGB.
DEFICIENCIES = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}


def linear(colour: str) -> np.ndarray:
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* (D65) of linear RGB."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ rgb.clip(0, 1) / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


CONFIG = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text("utf-8"))["theme"]
PALETTES = {mode: CONFIG[mode]["chartCategoricalColors"] for mode in ("light", "dark")} | {"print": theme.PALETTE}
BACKGROUNDS = {mode: CONFIG[mode]["backgroundColor"] for mode in ("light", "dark")} | {"print": "#ffffff"}


def contrast(a: str, b: str) -> float:
    """WCAG 2 contrast ratio."""
    weights = np.array([0.2126, 0.7152, 0.0722])
    high, low = sorted((float(weights @ linear(c)) for c in (a, b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("mode", PALETTES)
@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_categories_are_told_apart(mode: str, deficiency: str) -> None:
    seen = [lab(DEFICIENCIES[deficiency] @ linear(c)) for c in PALETTES[mode]]
    closest = min(float(np.linalg.norm(a - b)) for a, b in combinations(seen, 2))
    assert closest > 9, f"two colours look alike: distance {closest:.1f}"


@pytest.mark.parametrize("mode", PALETTES)
def test_neighbours_differ_in_grey(mode: str) -> None:
    lightness = [lab(linear(c))[0] for c in PALETTES[mode]]
    assert all(abs(a - b) > 8 for a, b in pairwise(lightness[:6])), [round(x) for x in lightness]


@pytest.mark.parametrize("mode", PALETTES)
def test_marks_stand_out_from_the_background(mode: str) -> None:
    for colour in PALETTES[mode]:
        assert contrast(colour, BACKGROUNDS[mode]) >= 1.9, colour


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_what_is_fixed_on_screen_is_seen_in_both_themes(mode: str) -> None:
    assert contrast(CONFIG[mode]["textColor"], BACKGROUNDS[mode]) >= 7
    assert contrast(theme.QUIET, BACKGROUNDS[mode]) >= 3.9
    for colour in (theme.MUTED, theme.BLUE, theme.RED):
        assert contrast(colour, BACKGROUNDS[mode]) >= 3, colour
    for colour in (theme.ORANGE, *theme.DIVERGING):
        assert contrast(colour, BACKGROUNDS[mode]) >= 1.9, colour


def test_the_light_theme_is_the_look_of_print() -> None:
    assert PALETTES["light"] == theme.PALETTE
    assert CONFIG["light"]["primaryColor"] == theme.PALETTE[0]
    assert CONFIG["dark"]["primaryColor"] == PALETTES["dark"][0]


def test_text_and_palette_are_left_to_the_app_on_screen() -> None:
    screen = theme.config("screen")
    assert "range" not in screen
    assert not {"labelColor", "titleColor", "gridColor"} & screen["axis"].keys()
    assert theme.config("print")["axis"]["titleColor"] == "#000000"


def test_text_can_be_read_on_a_light_page() -> None:
    assert contrast(theme.ON_LIGHT, BACKGROUNDS["light"]) >= 4.5
    assert contrast(theme.ON_LIGHT, BACKGROUNDS["dark"]) >= 3.5
    chart = alt.Chart(pl.DataFrame({"x": [1]})).mark_point().encode(x="x:Q")
    assert theme.themed(chart, "screen", light=True)["config"]["axis"]["labelColor"] == theme.ON_LIGHT


def test_styles_become_properties_of_marks() -> None:
    frame = pl.DataFrame({"x": [1, 2], "y": [3, 4]})
    line = alt.Chart(frame).mark_line(style="member").encode(x="x:Q", y="y:Q")
    rule = alt.Chart(frame).mark_rule(style="guide", strokeWidth=9).encode(y="y:Q")
    spec = theme.themed(alt.layer(line, rule), "print")
    styles = theme.styles("print")
    assert spec["layer"][0]["mark"] == {"type": "line"} | styles["member"]
    assert spec["layer"][1]["mark"]["strokeWidth"] == 9, "what the chart says wins"
    assert spec["config"]["background"] == "#ffffff"
    assert spec["config"]["range"]["category"] == theme.PALETTE


def test_only_known_styles_are_named() -> None:
    """A misspelt style would silently fall back to Vega-Lite's own look."""
    import re

    sources = [path.read_text("utf-8") for path in (ROOT / "mdaf_core" / "reporting").rglob("*.py")]
    named = {style for source in sources for style in re.findall(r'style="(\w+)"', source)}
    assert named and named <= set(theme.styles("screen"))


def test_frames_stand_beside_the_chart_once() -> None:
    frame = pl.DataFrame({"x": range(6000), "y": range(6000)})
    base = alt.Chart(frame).encode(x="x:Q", y="y:Q")
    spec = theme.themed(alt.layer(base.mark_line(), base.mark_point()), "screen", rows=False)
    (name,) = spec["datasets"]
    assert spec["datasets"][name] is frame
    assert {name} == {part["data"]["name"] for part in [spec, *spec["layer"]] if "data" in part}
    assert len(next(iter(theme.themed(base.mark_line(), "screen")["datasets"].values()))) == 6000
