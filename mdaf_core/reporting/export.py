"""Figures and tables as files: PDF, SVG, PNG, CSV and Vega-Lite, at the widths of a paper, without a browser."""

from __future__ import annotations

import io
import json
import re
import xml.etree.ElementTree as ET
from importlib import metadata
from typing import Any, Literal

from mdaf_core.base import notices
from mdaf_core.base.cache import cached_bytes
from mdaf_core.base.errors import UsageError
from mdaf_core.reporting import fonts, theme
from mdaf_core.reporting.drawing import alt, vl_convert
from mdaf_core.reporting.stamp import Origin, stamped, usermeta
from mdaf_core.reporting.theme import Typeface

Columns = Literal[1, 2]

FIGURE_KINDS = {"pdf": "application/pdf", "svg": "image/svg+xml", "png": "image/png"}
COLUMNS: tuple[Columns, ...] = (1, 2)
POINTS_PER_INCH = 72
PNG_DPI = 300


def print_spec(chart: alt.TopLevelMixin, columns: Columns = 1, typeface: Typeface = "sans") -> dict[str, Any]:
    """The chart for paper: white, embedded fonts, as wide as one column or two (`theme.PRINTS`); 1 unit is 1 point.

    Views above one another (`vconcat`) keep one width.
    """
    spec = theme.themed(chart, "print", typeface)
    spec = fonts.with_scripts(spec, spec["config"]["font"])
    spec["config"]["aria"] = False
    _drop_interaction(spec)
    look = theme.PRINTS[typeface]
    width, larger = look.widths[columns] * POINTS_PER_INCH, look.label / theme.PRINTS["sans"].label
    # Known beforehand: a legend that wraps with the width while that is being fitted would be cut off.
    fixed = {"name": "legend_width", "value": 0.8 * width}
    spec["params"] = [fixed if parameter["name"] == "legend_width" else parameter for parameter in spec["params"]]
    parts = spec.get("vconcat", [spec])
    for part in parts:
        part["width"] = width
        height = part.get("height")
        if isinstance(height, dict):  # a step for each row of a discrete axis
            part["height"] = {"step": height["step"] * 0.55 * larger}
        elif isinstance(height, int | float):
            part["height"] = height * (0.5 if columns == 1 else 0.65)
    if "vconcat" in spec:  # not fitted by Vega-Lite: measure what stands beside the plots, and leave room for it
        drawn = float(ET.fromstring(vl_convert.vegalite_to_svg(spec)).get("width", "0"))
        for part in parts:
            part["width"] = 2 * width - drawn
    return spec


def _drop_interaction(node: dict[str, Any]) -> None:
    """Paper has no tooltips: drop them, and the invisible marks that only carry them."""
    node.get("encoding", {}).pop("tooltip", None)
    for kind in ("layer", "vconcat"):
        if kind in node:
            node[kind] = [part for part in node[kind] if _mark(part).get("opacity") != 0]
            for part in node[kind]:
                _drop_interaction(part)


def _mark(node: dict[str, Any]) -> dict[str, Any]:
    mark = node.get("mark")
    return mark if isinstance(mark, dict) else {}


def render(
    chart: alt.TopLevelMixin,
    kind: str,
    *,
    columns: Columns = 1,
    typeface: Typeface = "sans",
    origin: Origin | None = None,
) -> bytes:
    """A figure file of `kind` (pdf, svg, png) at print width, which carries its origin if one is given."""
    if kind not in FIGURE_KINDS:
        raise UsageError(f"There is no figure format {kind!r}. Known: {', '.join(FIGURE_KINDS)}, csv, vl.json.")
    return _as_kind(_svg(chart, columns, typeface), kind, origin)


def preview(chart: alt.TopLevelMixin, *, columns: Columns = 1, typeface: Typeface = "sans") -> bytes:
    """The PNG that `render` gives, kept on disk: drawing takes a third of a second and stops all else meanwhile."""
    spec = print_spec(chart, columns, typeface)
    renderer = metadata.version("vl-convert-python")
    return cached_bytes("previews", [renderer, spec], "png", lambda: _as_kind(_drawn(spec), "png", None))


def render_all(
    chart: alt.TopLevelMixin, *, columns: Columns = 1, typeface: Typeface = "sans", origin: Origin | None = None
) -> dict[str, bytes]:
    """Every kind of figure file from one drawing."""
    svg = _svg(chart, columns, typeface)
    return {kind: _as_kind(svg, kind, origin) for kind in FIGURE_KINDS}


def _svg(chart: alt.TopLevelMixin, columns: Columns, typeface: Typeface = "sans") -> str:
    return _drawn(print_spec(chart, columns, typeface))


def _drawn(spec: dict[str, Any]) -> str:
    """The drawing, without network."""
    fonts.register_stix()
    offline: list[str] = []
    svg = str(vl_convert.vegalite_to_svg(spec, allowed_base_urls=offline))
    notice = fonts.undrawn_note(fonts.undrawn(svg))
    if notice:
        notices.add(notice)
    return _MARK.sub(_lean, svg)


def without_font(chart: alt.TopLevelMixin) -> str:
    """A sentence where a file of the chart would show boxes, since no font has its characters; else empty."""
    spec = print_spec(chart)
    return fonts.undrawn_note(fonts.undrawn(_drawn(spec))) if fonts.beyond(json.dumps(spec, ensure_ascii=False)) else ""


_MARK = re.compile(r"<(?:path|line) [^>]*>")
_COORDINATES = re.compile(r' d="[^"]*"')
_DIGITS = re.compile(r"(\.\d\d)\d+")


def _lean(found: re.Match[str]) -> str:
    """A mark that is drawn the same in less space and, by PNG's renderer, many times faster.

    Coordinates go to a hundredth of a point, finer than any printer; a dash without gaps is none; and where there is a
    line or a filling, not both, its opacity needs no layer of its own.
    """
    mark = _COORDINATES.sub(lambda path: _DIGITS.sub(r"\1", path[0]), found[0]).replace(' stroke-dasharray="1,0"', "")
    lined, filled = (re.search(rf' {paint}="(?!none|transparent)', mark) for paint in ("stroke", "fill"))
    if bool(lined) != bool(filled) and not re.search(" (?:stroke|fill)-opacity=", mark):
        mark = mark.replace(' opacity="', f' {"stroke" if lined else "fill"}-opacity="')
    return mark


# Lines that name resources of a page: the writer's order differs from call to call, and with it the file.
_RESOURCES = re.compile(rb"(?: +/[A-Za-z]+\d+ \d+ 0 R\n){2,}")


def _sorted_lines(found: re.Match[bytes]) -> bytes:
    return b"".join(sorted(found[0].splitlines(keepends=True)))


def _as_kind(svg: str, kind: str, origin: Origin | None) -> bytes:
    if kind == "pdf":
        content = _RESOURCES.sub(_sorted_lines, bytes(vl_convert.svg_to_pdf(svg)))
    elif kind == "png":
        content = bytes(vl_convert.svg_to_png(svg, ppi=PNG_DPI))
    else:
        content = fonts.embedded(svg).encode()
    return stamped(content, kind, origin) if origin else content


def vega_lite(chart: alt.TopLevelMixin, origin: Origin | None = None, typeface: Typeface = "sans") -> bytes:
    """The specification in the look of print, self-contained (data included) and with its tooltips."""
    spec = theme.themed(chart, "print", typeface) | {"width": 400}
    return json.dumps(spec | ({"usermeta": usermeta(origin)} if origin else {}), indent=1).encode()


def chart_csv(chart: alt.TopLevelMixin, data: Any = None) -> bytes:
    """The figures behind a chart; `data` where given, else what the chart itself was drawn from."""
    if data is None:
        data = getattr(chart, "data", None)
    return table_csv(data)


def table_csv(table: Any) -> bytes:
    """A polars or pandas frame, or a Styler's frame, as CSV with full precision."""
    table = getattr(table, "data", table)
    if hasattr(table, "write_csv"):
        return str(table.write_csv()).encode()
    out = io.StringIO()
    table.to_csv(out, index=False)
    return out.getvalue().encode()
