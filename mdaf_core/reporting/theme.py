"""One look for every chart: colours, type and marks, as Vega-Lite configurations for screen and print.

Charts name roles (`style="guide"`), never colours; `themed` turns a chart into a specification for the light or dark
screen or for paper. The categorical palette keeps its neighbours apart for readers with protanopia or deuteranopia and
alternates dark and light, so that grey print can tell the first colours too (tests/reporting/test_theme.py checks
both).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import altair as alt

Mode = Literal["light", "dark", "print"]
CONCATENATIONS = {"vconcat", "hconcat", "concat"}

PALETTE = ["#1f5aa6", "#ee620f", "#006b53", "#d16480", "#2416a3", "#6cbaff", "#641c40", "#7cb95a"]
PALETTE_DARK = ["#7fb2ee", "#ec7430", "#3f8652", "#eda6c8", "#6a50c8", "#6ce3b9", "#c9364a", "#f6e955"]
SEQUENTIAL = ["#eef3f8", "#c6d9ec", "#8fb4db", "#4f86c2", "#1f5aa6", "#0d3468"]
SEQUENTIAL_DARK = ["#1b2530", "#23405f", "#2f6199", "#4f8bcf", "#7fb2ee", "#cfe3fa"]
DIVERGING = ["#a8420a", "#ee620f", "#f8cfb4", "#f2f3f4", "#b9d1ea", "#4f86c2", "#1f5aa6"]
DIVERGING_DARK = ["#ec7430", "#b25a28", "#5c3a26", "#2a3038", "#294a70", "#4f86c2", "#9cc6f5"]
DASHES: list[list[int]] = [[1, 0], [6, 2], [2, 2], [8, 2, 2, 2], [4, 1], [1, 3], [10, 3], [3, 1, 1, 1]]
SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "triangle-left"]


@dataclass(frozen=True)
class Colours:
    """Colours of one mode. `muted` is for what is present but not the point (below the noise floor, not shown)."""

    background: str
    text: str
    quiet: str
    line: str
    muted: str
    accent: str
    good: str
    bad: str
    categories: list[str]
    sequential: list[str]
    diverging: list[str]


COLOURS: dict[Mode, Colours] = {
    "light": Colours(
        "#ffffff", "#1c2530", "#5f6b78", "#e3e8ed", "#9aa5b1", "#1f5aa6", "#00795f", "#b3261e",
        PALETTE, SEQUENTIAL, DIVERGING,
    ),
    "dark": Colours(
        "#14181d", "#e4e8ec", "#98a4b0", "#2a323b", "#6f7b87", "#7fb2ee", "#4fc2a3", "#f08a80",
        PALETTE_DARK, SEQUENTIAL_DARK, DIVERGING_DARK,
    ),
    "print": Colours(
        "#ffffff", "#000000", "#333333", "#dddddd", "#8a8a8a", "#1f5aa6", "#00795f", "#b3261e",
        PALETTE, SEQUENTIAL, DIVERGING,
    ),
}  # fmt: skip

_LABEL = (12, 7)  # size of labels: pixels on screen, points on paper
FONT_SCREEN = "Source Sans, sans-serif"
FONT_PRINT = "Liberation Sans, Arial, Helvetica, sans-serif"


def config(mode: Mode) -> dict[str, Any]:
    """Vega-Lite `config` of a mode. Sizes are in pixels on screen and in points on paper."""
    colours = COLOURS[mode]
    on_paper = mode == "print"
    font = FONT_PRINT if on_paper else FONT_SCREEN
    label, title = _LABEL[on_paper], 8 if on_paper else 12.5
    line = 1.1 if on_paper else 2
    axis = {
        "labelFont": font,
        "titleFont": font,
        "labelFontSize": label,
        "titleFontSize": title,
        "titleFontWeight": "normal",
        "labelColor": colours.quiet,
        "titleColor": colours.text,
        "domainColor": colours.muted,
        "tickColor": colours.muted,
        "gridColor": colours.line,
        "gridWidth": 0.4 if on_paper else 1,
        "tickSize": 3 if on_paper else 4,
        "domainWidth": 0.5 if on_paper else 1,
        "tickWidth": 0.5 if on_paper else 1,
        "labelPadding": 2 if on_paper else 4,
        "titlePadding": 4 if on_paper else 8,
        "labelLimit": 110 if on_paper else 220,
        "titleAnchor": "middle",
    }
    return {
        "background": colours.background if on_paper else "transparent",
        "font": font,
        "padding": 2 if on_paper else 4,
        "view": {"stroke": "transparent", "continuousHeight": 260, "continuousWidth": 400},
        "axis": axis,
        "axisY": {"domain": False, "ticks": False},
        "axisX": {"grid": False},
        "legend": {
            "labelFont": font,
            "titleFont": font,
            "labelFontSize": label,
            "titleFontSize": label,
            "titleFontWeight": "normal",
            "labelColor": colours.text,
            "titleColor": colours.quiet,
            "labelLimit": 160 if on_paper else 260,
            "orient": "top",
            "direction": "horizontal",
            "columnPadding": 8 if on_paper else 16,
            "rowPadding": 1 if on_paper else 3,
            "symbolSize": 40 if on_paper else 80,
            "symbolStrokeWidth": line,
            "offset": 4 if on_paper else 8,
            "padding": 0,
            "layout": {"top": {"anchor": "start", "direction": "vertical", "margin": 2 if on_paper else 4}},
        },
        "title": {
            "font": font,
            "fontSize": title,
            "fontWeight": 600,
            "color": colours.text,
            "anchor": "start",
            "subtitleFont": font,
            "subtitleFontSize": label,
            "subtitleColor": colours.quiet,
        },
        "header": {"labelFont": font, "titleFont": font, "labelColor": colours.text, "labelFontSize": label},
        "mark": {"color": colours.accent},
        "line": {"strokeWidth": line, "strokeCap": "round", "strokeJoin": "round"},
        "point": {"filled": True, "size": 22 if on_paper else 60, "opacity": 1},
        "rule": {"color": colours.muted, "strokeWidth": 0.6 if on_paper else 1.2},
        "tick": {"thickness": 1 if on_paper else 2},
        "bar": {"color": colours.accent},
        "rect": {"color": colours.accent},
        "area": {"line": False},
        "text": {"font": font, "fontSize": label, "color": colours.text},
        "range": {
            "category": colours.categories,
            "ordinal": colours.sequential,
            "ramp": colours.sequential,
            "heatmap": colours.sequential,
            "diverging": colours.diverging,
        },
    }


def styles(mode: Mode) -> dict[str, dict[str, Any]]:
    """What the roles that charts name (`mark_line(style="guide")`) look like in a mode."""
    colours = COLOURS[mode]
    on_paper = mode == "print"

    def width(points: float) -> float:
        """Screen lines are about twice as wide, in pixels, as paper's in points."""
        return points if on_paper else 2 * points

    return {
        "guide": {"color": colours.muted, "strokeWidth": width(0.5)},  # zero and threshold lines
        "reference": {"color": colours.quiet, "strokeWidth": width(0.75), "strokeDash": [4, 3]},  # from elsewhere
        "band": {"opacity": 0.16},  # mean ± sd
        "margin": {"color": colours.muted, "opacity": 0.16},  # what counts as the same
        "member": {"strokeWidth": width(0.4), "opacity": 0.5},  # one seed of several
        "interval": {"color": colours.accent, "strokeWidth": width(0.8)},
        "dot": {"filled": True, "size": 28 if on_paper else 75},  # an estimate with its interval
        "muted": {"color": colours.muted},
        "accent": {"color": colours.accent},
        "note": {"color": colours.quiet},
        "strong": {"color": colours.text},
    }


def themed(chart: alt.TopLevelMixin, mode: Mode) -> dict[str, Any]:
    """The chart as a Vega-Lite specification in a mode's look. What the chart itself configures wins."""
    spec: dict[str, Any] = chart.to_dict(validate=False)  # type: ignore[attr-defined]
    spec["config"] = _merge(config(mode), spec.get("config", {}))
    if not CONCATENATIONS & spec.keys():  # Vega-Lite fits single views only
        spec["autosize"] = {"type": "fit-x", "contains": "padding"}  # legends add to the height, not to the width
    spec["params"] = [
        {"name": "em", "value": _LABEL[mode == "print"]},
        {"name": "legend_width", "expr": "width"},
        *spec.get("params", []),
    ]
    _apply_styles(spec, styles(mode))
    return spec


def _apply_styles(node: Any, named: dict[str, dict[str, Any]]) -> None:
    """Write the properties of named styles into the marks: Vega-Lite's own `config.style` loses to `config.line`."""
    mark = node.get("mark")
    if isinstance(mark, dict) and mark.get("style") in named:
        node["mark"] = named[mark.pop("style")] | mark
    for kind in ("layer", *CONCATENATIONS):
        for part in node.get(kind, []):
            _apply_styles(part, named)


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    out = dict(base)
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(out.get(key), dict):
            out[key] = _merge(out[key], value)
        elif key != "view":  # Altair writes its own default view size
            out[key] = value
    return out


def plotly_layout(mode: Mode) -> dict[str, Any]:
    """`layout` of a Plotly figure in the same look, for the one chart that needs WebGL."""
    colours = COLOURS[mode]
    axis = {
        "gridcolor": colours.line,
        "zerolinecolor": colours.muted,
        "linecolor": colours.muted,
        "tickfont": {"size": 12, "color": colours.quiet},
        "title": {"font": {"size": 12.5, "color": colours.text}},
    }
    return {
        "font": {"family": FONT_PRINT if mode == "print" else FONT_SCREEN, "size": 12, "color": colours.text},
        "paper_bgcolor": colours.background if mode == "print" else "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "colorway": colours.categories,
        "xaxis": axis,
        "yaxis": axis,
        "margin": {"l": 50, "r": 10, "t": 20, "b": 45},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "hoverlabel": {"bgcolor": colours.background, "bordercolor": colours.muted, "font": {"color": colours.text}},
    }
