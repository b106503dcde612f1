"""What charts are made of: axes, legends, colours and shapes of configurations, tooltips. Looks come from `theme`.

Conventions: a configuration keeps its colour and its shape whatever is selected (`order`: all configurations of the
study, in its order); axes of AUC do not start at zero, therefore AUC is drawn as dots and lines, never as bars; every
axis names its unit; tooltips hold full-precision figures. Differences of AUC are in basis points (bp, ×10⁴).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import polars as pl

from mdaf_core.reporting.drawing import alt
from mdaf_core.reporting.theme import DASHES, SHAPES

ROW = 24
NAME_LIMIT = 30  # characters of a configuration's name beside an axis or in a legend
HEIGHT = 240
SHARES: dict[str, Any] = {"format": ".1f", "values": [0, 0.2, 0.4, 0.6, 0.8, 1]}  # options of an axis from 0 to 1


def shapes(count: int) -> list[str]:
    """A shape for each configuration; with the eight colours cycling, colour and shape together stay unique to 64."""
    return [SHAPES[(i + i // len(SHAPES)) % len(SHAPES)] for i in range(count)]


def short_names(names: Sequence[str], limit: int = NAME_LIMIT) -> dict[str, str]:
    """Names with `…` for the middle where they are longer than `limit` characters; longer ones where two would read
    the same, for names often differ at their end."""
    for size in range(limit, max(map(len, names), default=0)):
        short = {name: short_name(name, size) for name in names}
        if len(set(short.values())) == len(short):
            return short
    return {name: name for name in names}


def short_name(name: str, limit: int = NAME_LIMIT) -> str:
    """A name with `…` for its middle where it is longer than `limit` characters, as in the title of an axis."""
    if len(name) <= limit:
        return name
    end = (limit - 1) * 2 // 5
    return f"{name[: limit - 1 - end].rstrip()}…{name[-end:].lstrip()}"


def labels(names: Sequence[str]) -> dict[str, Any]:
    """Options of an axis or a legend that shorten long names; the theme's own limit would cut off their ends."""
    cut = {name: short for name, short in short_names(names).items() if short != name}
    return {"labelExpr": f"({json.dumps(cut)})[datum.value] || datum.label", "labelLimit": 0} if cut else {}


def names(names: Sequence[str]) -> alt.Y:
    """Configurations down the vertical axis, in this order."""
    axis = alt.Axis(grid=True, **labels(names))
    return alt.Y("configuration:N", sort=list(names), title=None, axis=axis)


def in_bp(title: str) -> Callable[[str], alt.X]:
    """Differences in bp along the horizontal axis, 0 without a sign: of a field, the axis."""
    scale = alt.Scale(nice=True, padding=8)
    axis = alt.Axis(
        labelExpr="datum.value == 0 ? '0' : format(datum.value, '+,~f')", tickCount=alt.ExprRef("width / (6 * em)")
    )
    return lambda field: alt.X(f"{field}:Q", scale=scale, title=title, axis=axis)


def columns(labels: Sequence[str]) -> alt.ExprRef:
    """As many legend columns as fit (the theme gives `em`, the size of labels, and `legend_width`)."""
    longest = max(map(len, short_names(labels).values()), default=1)
    return alt.ExprRef(f"max(1, floor(legend_width / ({0.52 * longest + 3.4:.1f} * em)))")


def colour(order: Sequence[str], shown: Sequence[str], **symbols: Any) -> alt.Color:
    legend = None
    if len(shown) > 1:
        legend = alt.Legend(
            title=None, values=list(shown), symbolOpacity=1, columns=columns(shown), **labels(shown), **symbols
        )
    return alt.Color("configuration:N", scale=alt.Scale(domain=list(order)), legend=legend)


def shape(order: Sequence[str], shown: Sequence[str]) -> alt.Shape:
    """Of points beside `colour`, whose legend, where there is one, shows the shapes as well."""
    scale = alt.Scale(domain=list(order), range=shapes(len(order)))
    return alt.Shape("configuration:N", scale=scale, legend=None if len(shown) < 2 else alt.Undefined)


def shown(frame: pl.DataFrame, order: Sequence[str]) -> list[str]:
    present = set(frame["configuration"].unique())
    return [name for name in order if name in present] + sorted(present - set(order))


def layered(*charts: alt.TopLevelMixin, **properties: Any) -> alt.LayerChart:
    """`altair.layer` of charts that have neither parameters nor a size of their own: it looks for those whenever a
    chart is made, changed or written, and copies all within three times, which takes longer than all else of a chart.
    Those of the whole are `properties`."""
    return _layers()(layer=charts, **properties)


@cache
def _layers() -> Callable[..., alt.LayerChart]:
    class Layers(alt.LayerChart):
        def __init__(self, data: Any = alt.Undefined, layer: Sequence[Any] = (), **properties: Any):
            super(alt.LayerChart, self).__init__(data=data, layer=list(layer), **properties)

    return Layers


def tooltips(**fields: str) -> list[alt.Tooltip]:
    """`name="Title|format"`; the type is inferred."""
    out = []
    for name, text in fields.items():
        title, _, pattern = text.partition("|")
        out.append(alt.Tooltip(f"{name}:Q", title=title, format=pattern) if pattern else alt.Tooltip(name, title=title))
    return out


def dash(order: Sequence[str], shown: Sequence[str]) -> alt.StrokeDash:
    """Of lines beside `colour`, whose legend, if any, shows the dashes as well, so that grey print tells them apart."""
    pattern = [DASHES[i % len(DASHES)] for i in range(len(order))]
    scale = alt.Scale(domain=list(order), range=pattern)
    return alt.StrokeDash("configuration:N", scale=scale, legend=None if len(shown) < 2 else alt.Undefined)
