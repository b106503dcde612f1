"""One look for every chart: colours, type and marks, as Vega-Lite configurations for screen and print.

Charts name roles (`mark_rule(style="guide")`), never colours. On screen, text, grid and the palette come from the
app's light or dark theme (`.streamlit/config.toml`) in the browser, so that they follow a change at once; what is fixed
here is readable on both. On paper everything is fixed here. Both palettes keep their colours apart for readers with
protanopia or deuteranopia, and neighbours differ in grey print (tests/reporting/test_theme.py measures it).
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import Any, Literal

from mdaf_core.reporting.drawing import alt

Mode = Literal["screen", "print"]
Typeface = Literal["sans", "serif", "acmart", "acmart-1col", "neurips", "ieee"]  # of print: see `PRINTS`
CONCATENATIONS = {"vconcat", "hconcat", "concat"}
_transformers = Lock()

PALETTE = ["#1f5aa6", "#ee620f", "#006b53", "#d16480", "#2416a3", "#6cbaff", "#641c40", "#7cb95a"]
PALETTE_DARK = ["#7fb2ee", "#ec7430", "#3f8652", "#eda6c8", "#6a50c8", "#6ce3b9", "#c9364a", "#f6e955"]
SEQUENTIAL = ["#eef3f8", "#c6d9ec", "#8fb4db", "#4f86c2", "#1f5aa6", "#0d3468"]
DASHES: list[list[int]] = [[1, 0], [6, 2], [2, 2], [8, 2, 2, 2], [4, 1], [1, 3], [10, 3], [3, 1, 1, 1]]
SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "triangle-left"]

# For the screen, between light and dark: seen on white and on near-black.
FAINT_TEXT = {"light": "#5f6b78", "dark": "#98a4b0"}  # contrast of 4.5 and more on the page's ground
MUTED = "#85919d"  # present, but not the point: below the noise floor, single seeds
QUIET = "#76828f"  # text beside marks
BLUE, ORANGE, RED = "#4a86d0", "#ec7430", "#dd4b54"
DIVERGING = [ORANGE, "#dd9a70", "#b4b9bf", "#86a5cc", BLUE]

_BLACK, _DARK_GREY, _GREY, _LIGHT_GREY = "#000000", "#333333", "#8a8a8a", "#dddddd"
_SCREEN_LABEL = 12  # size of labels, pixels
_SCREEN_FONT = "Source Sans, sans-serif"
_SANS, _SERIF = "Liberation Sans, Arial, Helvetica, sans-serif", "STIXGeneral, Times New Roman, Times, serif"


@dataclass(frozen=True)
class Print:
    """How figures are printed.

    Attributes:
        title: what it is for; font: family; label: size of labels in points.
        widths: in inches, of a figure in one column and across both; of a class with one column 48% of the text's width
            (two figures side by side), and all of it.
    """

    title: str
    font: str
    label: float
    widths: dict[Literal[1, 2], float]


PRINTS: dict[Typeface, Print] = {
    "sans": Print("Any, sans", _SANS, 7, {1: 3.3, 2: 7.0}),
    "serif": Print("Any, serif", _SERIF, 7, {1: 3.3, 2: 7.0}),
    # acmart.dtx, sigconf: 8.5 in wide, margins of 54 pt, columnsep 2 pc (pt of TeX); footnotesize of 9 pt is 7
    "acmart": Print("ACM", _SERIF, 7, {1: 3.337, 2: 7.006}),
    # acmart.dtx, acmsmall: 6.75 in wide, margins of 46 pt; footnotesize of 10 pt is 8
    "acmart-1col": Print("ACM, one column", _SERIF, 8, {1: 2.63, 2: 5.477}),
    # formatting instructions: text 5.5 in wide, Times, 10 pt
    "neurips": Print("NeurIPS", _SERIF, 8, {1: 2.64, 2: 5.5}),
    # IEEEtran: columns of 21 pc, 1 pc apart; IEEE's template: 8 pt Times for the labels of figures
    "ieee": Print("IEEE", _SERIF, 8, {1: 3.487, 2: 7.14}),
}


def config(mode: Mode, typeface: Typeface = "sans") -> dict[str, Any]:
    """Vega-Lite `config` of a mode. Sizes are in pixels on screen and in points on paper."""
    paper = mode == "print"
    of_print = PRINTS[typeface]
    font, label = (of_print.font, of_print.label) if paper else (_SCREEN_FONT, _SCREEN_LABEL)
    title = label + 1 if paper and label < 8 else label if paper else 12.5
    line = 1.1 if paper else 2
    look = {
        "background": "transparent",
        "font": font,
        "padding": 2 if paper else 4,
        "view": {"stroke": "transparent", "continuousHeight": 260, "continuousWidth": 400},
        "axis": {
            "labelFont": font,
            "titleFont": font,
            "labelFontSize": label,
            "titleFontSize": title,
            "titleFontWeight": "normal",
            "gridWidth": 0.4 if paper else 1,
            "tickSize": 3 if paper else 4,
            "domainColor": MUTED,
            "tickColor": MUTED,
            "domainWidth": 0.5 if paper else 1,
            "tickWidth": 0.5 if paper else 1,
            "labelPadding": 2 if paper else 4,
            "titlePadding": 4 if paper else 8,
            "labelLimit": 110 if paper else 220,
            "titleAnchor": "middle",
        },
        "axisY": {"domain": False, "ticks": False, "grid": True, "labelFlush": False},
        "axisX": {"grid": False, "domain": True, "ticks": True, "labelFlush": False},
        "legend": {
            "labelFont": font,
            "titleFont": font,
            "labelFontSize": label,
            "titleFontSize": label,
            "titleFontWeight": "normal",
            "labelLimit": 160 if paper else 260,
            "orient": "top",
            "direction": "horizontal",
            "columnPadding": 8 if paper else 16,
            "rowPadding": 1 if paper else 3,
            "symbolSize": 40 if paper else 80,
            "symbolStrokeWidth": line,
            "offset": 4 if paper else 8,
            "padding": 0,
            "layout": {"top": {"anchor": "start", "direction": "vertical", "margin": 2 if paper else 4}},
        },
        "header": {"labelFont": font, "titleFont": font, "labelFontSize": label},
        "line": {"strokeWidth": line, "strokeCap": "round", "strokeJoin": "round"},
        "point": {"filled": True, "size": 22 if paper else 60, "opacity": 1},
        "rule": {"strokeWidth": 0.6 if paper else 1.2},
        "tick": {"thickness": 1 if paper else 2},
        "area": {"line": False},
        "text": {"font": font, "fontSize": label},
    }
    return _merge(look, _INK) if paper else look


# Text on a light page, where Streamlit's own grey is too pale (3.7:1); seen too if the page turns dark without a rerun.
ON_LIGHT = "#6b7681"
_ON_LIGHT: dict[str, Any] = {
    part: {"labelColor": ON_LIGHT, "titleColor": ON_LIGHT} for part in ("axis", "legend", "header")
}

# What the app's theme gives on screen, for paper.
_INK: dict[str, Any] = {
    "background": "#ffffff",
    "axis": {
        "labelColor": _DARK_GREY,
        "titleColor": _BLACK,
        "domainColor": _GREY,
        "tickColor": _GREY,
        "gridColor": _LIGHT_GREY,
    },
    "legend": {"labelColor": _BLACK, "titleColor": _DARK_GREY},
    "header": {"labelColor": _BLACK},
    "mark": {"color": PALETTE[0]},
    "text": {"color": _BLACK},
    "range": {
        "category": PALETTE,
        "ordinal": SEQUENTIAL,
        "ramp": SEQUENTIAL,
        "heatmap": SEQUENTIAL,
        "diverging": DIVERGING,
    },
}


def page_ink(dark: bool) -> dict[str, Any]:
    """What the app's theme gives charts on screen, for a page of its own: a `config` to lay under the chart's."""
    if not dark:
        return _merge(_INK, {"background": "transparent"} | _ON_LIGHT)
    text, line = FAINT_TEXT["dark"], "#333c46"
    ramp = ["#1b2530", "#284d76", "#4a7cb5", "#7fb2ee", "#b4d3f6", "#cfe3fa"]
    return {
        "background": "transparent",
        "axis": {"labelColor": text, "titleColor": text, "gridColor": line, "domainColor": MUTED, "tickColor": MUTED},
        "legend": {"labelColor": text, "titleColor": text},
        "header": {"labelColor": text, "titleColor": text},
        "mark": {"color": PALETTE_DARK[0]},
        "text": {"color": "#e4e8ec"},
        "range": {
            "category": PALETTE_DARK,
            **dict.fromkeys(("ordinal", "ramp", "heatmap"), ramp),
            "diverging": DIVERGING,
        },
    }


def styles(mode: Mode) -> dict[str, dict[str, Any]]:
    """What the roles that charts name look like in a mode. Marks without a colour take the first of the palette."""
    paper = mode == "print"
    grey, quiet = (_GREY, _DARK_GREY) if paper else (MUTED, QUIET)

    def width(points: float) -> float:
        """Screen lines are about twice as wide, in pixels, as paper's in points."""
        return points if paper else 2 * points

    return {
        "guide": {"color": grey, "strokeWidth": width(0.5)},  # zero and threshold lines
        "reference": {"color": quiet, "strokeWidth": width(0.75), "strokeDash": [4, 3]},  # from elsewhere
        "band": {"opacity": 0.16},  # mean ± sd
        "margin": {"color": grey, "opacity": 0.16},  # what counts as the same
        "member": {"strokeWidth": width(0.4), "strokeOpacity": 0.5},  # one seed; to PNG `opacity` is ten times slower
        "interval": {"color": PALETTE[0] if paper else BLUE, "strokeWidth": width(0.8)},
        "dot": {"filled": True, "size": 28 if paper else 75},  # an estimate with its interval
        "muted": {"color": grey},
        "accent": {},
        "note": {"color": quiet},  # text beside marks
        "strong": {"color": _BLACK if paper else QUIET},
    }


def themed(
    chart: alt.TopLevelMixin, mode: Mode, typeface: Typeface = "sans", *, rows: bool = True, light: bool = False
) -> dict[str, Any]:
    """The chart as a Vega-Lite specification in a mode's look. What the chart itself configures wins.

    Expressions of a chart may use the parameters `em` (size of labels) and `legend_width`.

    Args:
        light: whether the page is known to be light.
        rows: whether `datasets` holds the rows of the data, else the frames, which Streamlit sends in binary form.
    """
    frames: dict[str, Any] = {}

    def by_name(data: Any) -> dict[str, str]:
        name = next((name for name, frame in frames.items() if frame is data), f"frame-{len(frames)}")
        frames[name] = data
        return {"name": name}

    with _transformers:  # Altair has one setting for all threads
        if rows:
            context = alt.data_transformers.enable("default", max_rows=None)  # it refuses more than 5,000 otherwise
        else:
            alt.data_transformers.register("by-name", by_name)
            context = alt.data_transformers.enable("by-name")
        with context:
            spec: dict[str, Any] = chart.to_dict(validate=False)
    if frames:
        spec["datasets"] = spec.get("datasets", {}) | frames
    look = _merge(config(mode, typeface), _ON_LIGHT if light else {})
    spec["config"] = _merge(look, spec.get("config", {}))
    if not CONCATENATIONS & spec.keys():  # Vega-Lite fits single views only
        spec["autosize"] = {"type": "fit-x", "contains": "padding"}  # legends add to the height, not to the width
    spec["params"] = [
        {"name": "em", "value": PRINTS[typeface].label if mode == "print" else _SCREEN_LABEL},
        # Of the place, and not of the plot: that becomes narrower once the axes are known, when Vega has made room for
        # as many lines of the legend as the whole place would need. `width` says when to look again.
        {"name": "legend_width", "expr": "0.8 * (width && containerSize()[0] || width)"},
        *spec.get("params", []),
    ]
    _apply_styles(spec, styles(mode))
    if mode == "screen":
        # SVG would make an element, and a description, of every mark: thousands in learning curves.
        spec["usermeta"] = {"embedOptions": {"renderer": "canvas"}}
        spec["config"]["mark"] = {"aria": False}
        # A canvas cuts off what the last label has beyond it. Of the specification: Streamlit sets one that has none.
        spec.setdefault("padding", {"left": 4, "top": 4, "right": 18, "bottom": 4})
    return spec


def in_notebook(chart: alt.TopLevelMixin) -> alt.TopLevelMixin:
    """The chart in the look of the screen, on white whatever the notebook's own theme: Jupyter displays it."""
    spec = themed(chart, "screen")
    spec["config"] = _merge(spec["config"], _INK)
    del spec["config"]["legend"]["layout"]  # Vega has it, Vega-Lite's schema, which Altair checks, does not
    if not CONCATENATIONS & spec.keys():
        spec.setdefault("width", 560)
    return alt.Chart.from_dict(spec)


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


def plotly_layout() -> dict[str, Any]:
    """`layout` of a Plotly figure in the same look, for the one chart that needs WebGL. Colours: the app's theme."""
    axis = {"tickfont": {"size": 12}, "title": {"font": {"size": 12.5}}}
    return {
        "font": {"family": _SCREEN_FONT, "size": 12},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "xaxis": axis,
        "yaxis": axis,
        "margin": {"l": 50, "r": 10, "t": 20, "b": 45},
    }
