"""Charts of what is lost without a part, of rows as points, and of one row. `values.py` has those of groups of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from mdaf_core.reporting import parts
from mdaf_core.reporting.drawing import alt
from mdaf_core.reporting.theme import BLUE, DIVERGING, MUTED, ORANGE, PALETTE, RED, plotly_layout
from mdaf_core.reporting.topics.gates.values import G

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from mdaf_core.analysis.story import RowStory

TIMES = {
    0.001: "1 ms", 0.01: "10 ms", 0.1: "0.1 s",
    1: "1 s", 10: "10 s", 60: "1 min", 600: "10 min", 3600: "1 h", 14400: "4 h", 43200: "12 h", 86400: "1 day",
    259200: "3 days", 604800: "1 week", 1209600: "2 weeks", 2592000: "1 month", 7776000: "3 months",
    31536000: "1 year", 315360000: "10 years",
}  # fmt: skip
AXES = {
    "g": G,
    "history_length": "History length, events",
    "contribution_static": "Static branch, part in the log-odds",
    "contribution_sequential": "Sequential branch, part in the log-odds",
    "logit_static": "Logit of the static branch alone",
    "logit_sequential": "Logit of the sequential branch alone",
    "logit": "Logit",
}


def history(story: RowStory) -> pl.DataFrame:
    """The history as a table, newest first: place, when, one column a field, same, and the effects that are known."""
    frame = pl.DataFrame(
        [
            {
                "place": e.place,
                "when": e.when,
                **e.fields,
                "outcome": e.outcome,
                "same": ", ".join(e.same) or None,
                "effect_probability": e.effect_probability,
                "effect_logit": e.effect_logit,
                "effect_g": e.effect_g,
            }
            for e in story.history
        ],
        infer_schema_length=None,
    )
    known = [name for name in frame.columns if name == "same" or frame[name].null_count() < len(frame)]
    return frame.select(known)


def occlusion(story: RowStory, over_time: bool = False) -> tuple[alt.TopLevelMixin, pl.DataFrame]:
    """Effect of each history event that was asked for on the probability, newest event on the right; and its data.

    Args:
        over_time: place the events by their time before the row (logarithmic), which takes a history with times; else
            in their order.
    """
    frame = (
        history(story)
        .with_columns(
            seconds_before=pl.Series([e.seconds_before for e in story.history], dtype=pl.Float64),
            shares=pl.Series([" and ".join(e.same) or "nothing" for e in story.history], dtype=pl.String),
        )
        .filter(pl.col("effect_probability").is_not_null())
    )
    fields = list(story.history[0].fields) if story.history else []
    shared = [s for s in dict.fromkeys(frame["shares"].to_list()) if s != "nothing"]
    colour = alt.Color(
        "shares:N",
        title="Shares with the row",
        scale=alt.Scale(domain=[*shared, "nothing"], range=[*[BLUE, ORANGE, RED, PALETTE[2]][: len(shared)], MUTED]),
    )
    if over_time:
        seconds = [max(min(TIMES), s) for s in frame["seconds_before"].to_list()]
        low, high = 0.7 * min(seconds), 1.4 * max(seconds)
        frame = frame.with_columns(at=pl.Series(seconds))
        ticks = [s for s in TIMES if low <= s <= high]
        words = ", ".join(f"{s}: '{word}'" for s, word in TIMES.items())
        x = alt.X(
            "at:Q",
            title="Time before the row",
            scale=alt.Scale(type="log", reverse=True, domain=[low, high], nice=False),
            axis=alt.Axis(values=ticks, labelExpr=f"({{{words}}})[datum.value]", labelOverlap=True, grid=False),
        )
        marks = alt.Chart(frame).mark_rule(strokeWidth=4, strokeOpacity=0.75).encode(y2=alt.datum(0))
    else:
        x = alt.X(
            "place:O",
            sort="descending",
            title="Events before the row (1 is the newest)",
            axis=alt.Axis(labelAngle=0, labelOverlap=True),
        )
        marks = alt.Chart(frame).mark_bar()
    title = "Effect on the probability"
    axis = alt.Axis(labelExpr="datum.value == 0 ? '0' : format(datum.value, '+.2~g')")
    y = alt.Y("effect_probability:Q", title=title, axis=axis)
    zero = (
        alt.Chart(alt.Data(values=[{"zero": 0}]))
        .mark_rule(style="guide")
        .encode(y=alt.Y("zero:Q", title=title, axis=axis))
    )
    tooltip = [
        *(alt.Tooltip(f"{name}:N", title=name.capitalize()) for name in fields),
        alt.Tooltip("place:O", title="Events before the row"),
        *([alt.Tooltip("when:N", title="Time")] if "when" in frame.columns else []),
        alt.Tooltip("shares:N", title="Shares with the row"),
        *(
            alt.Tooltip(f"effect_{of}:Q", title=f"Effect on {of}", format="+.4f")
            for of in ("probability", "logit", "g")
            if f"effect_{of}" in frame.columns
        ),
    ]
    chart = parts.layered(zero, marks.encode(x=x, y=y, color=colour, tooltip=tooltip)).properties(height=200)
    return chart, frame


def response(story: RowStory) -> tuple[alt.TopLevelMixin, pl.DataFrame]:
    """The prediction over the whole range of g, with the settings that have a name marked; and its data."""
    line = pl.DataFrame([point.model_dump() for point in story.response or story.what_if])
    marks = pl.DataFrame([point.model_dump() for point in story.what_if])
    y = alt.Y("probability:Q", title="Predicted probability", scale=alt.Scale(zero=False, nice=True, padding=8))
    x = alt.X("g:Q", title=G, scale=alt.Scale(domain=[0, 1]))
    chart = parts.layered(
        alt.Chart(line).mark_line().encode(x=x, y=y),
        alt.Chart(marks)
        .mark_point(filled=True)
        .encode(
            x=x,
            y=y,
            color=alt.Color("name:N", title=None, sort=marks["name"].to_list(), legend=alt.Legend(columns=2)),
            shape=alt.Shape("name:N", title=None, sort=marks["name"].to_list()),
            tooltip=parts.tooltips(name="What if", g="g|.4f", probability="Probability|.4f", logit="Logit|.4f"),
        ),
    ).properties(height=200)
    return chart, line


# Where the colours of a value part.
MIDDLE = {"g": 0.5} | {name: 0.0 for name in AXES if name.startswith(("logit", "contribution"))}


def _parting(values: pl.Series, middle: float | None) -> list[float]:
    """Values of the shades of `DIVERGING`: evenly over all of `values`, as far on either side of the middle."""
    low, high = float(values.min()), float(values.max())  # type: ignore[arg-type]
    if middle is not None:
        reach = max(middle - low, high - middle) or 1.0
        low, high = middle - reach, middle + reach
    return [low + (high - low) * i / (len(DIVERGING) - 1) for i in range(len(DIVERGING))]


def scatter(frame: pl.DataFrame, x: str, y: str, colour: str, selected: int | None = None) -> alt.TopLevelMixin:
    """Rows as points: a click chooses one (parameter `point`), a drag a box (`box`), the wheel zooms.

    Args:
        frame: from `rows.scatter_rows`.
        x, y: of `AXES`; colour: of `AXES`, or `label`.
        selected: row_id of the row whose story is open; drawn on top.
    """
    scale = alt.Scale(zero=False, nice=True, padding=6)
    axes = (alt.X(f"{x}:Q", title=AXES[x], scale=scale), alt.Y(f"{y}:Q", title=AXES[y], scale=scale))
    if colour == "label":
        legend = alt.Legend(title="Label", symbolType="circle", symbolOpacity=1)
        shade = alt.Color("label:N", scale=alt.Scale(domain=[0, 1], range=[MUTED, ORANGE]), legend=legend)
    else:
        gradient = alt.Legend(title=AXES[colour].split(",")[0], gradientLength=160, direction="horizontal")
        shades = alt.Scale(domain=_parting(frame[colour], MIDDLE.get(colour)), range=DIVERGING)
        shade = alt.Color(f"{colour}:Q", scale=shades, legend=gradient)
    few = len(frame) < 2_000
    columns = list(dict.fromkeys(["row_id", "label", x, y, colour]))
    rounded = frame.select(columns).with_columns(pl.selectors.float().round(3))
    points = alt.Chart(rounded).mark_circle(
        size=30 if few else 14, opacity=0.8 if few else 0.5, tooltip=alt.TooltipContent("data")
    )
    points = points.encode(*axes, color=shade).properties(name="points")
    brush = alt.BrushConfig(fill=MUTED, fillOpacity=0.15)
    selections: list[dict[str, Any]] = [
        {"name": "zoom", "select": alt.IntervalSelectionConfig(type="interval", translate=False), "bind": "scales"},
        {"name": "box", "select": alt.IntervalSelectionConfig(type="interval", zoom=False, mark=brush)},
        {"name": "point", "select": alt.PointSelectionConfig(type="point", fields=["row_id"], toggle=False)},
    ]
    chosen = rounded.filter(pl.col("row_id") == selected) if selected is not None else rounded.clear()
    # Without a choice an unseen ring: of an empty layer Vega-Lite complains, and another layer would undo the zoom.
    ring = alt.Chart((chosen if len(chosen) else rounded.head(1)).with_columns(seen=pl.lit(float(len(chosen) > 0))))
    ring = ring.mark_circle(size=170, fillOpacity=0, stroke=RED, strokeWidth=2.5, opacity=1)
    seen = alt.StrokeOpacity("seen:Q", scale=None, legend=None)
    params = [alt.TopLevelSelectionParameter(**selection, views=["points"]) for selection in selections]
    return parts.layered(points, ring.encode(*axes, strokeOpacity=seen), params=params, height=430)


def all_points(frame: pl.DataFrame, x: str, y: str, colour: str, selected: int | None = None) -> Figure:
    """`scatter` of as many rows as there are, drawn by WebGL: point i is row i of `frame`; a drag zooms."""
    import plotly.graph_objects as go

    marker: dict[str, Any] = {"size": 3, "opacity": 0.4, "color": frame[colour].to_numpy()}
    if colour == "label":
        marker |= {"colorscale": [[0, MUTED], [1, ORANGE]], "cmin": 0, "cmax": 1}
    else:
        shades = _parting(frame[colour], MIDDLE.get(colour))
        scale = [[i / (len(DIVERGING) - 1), shade] for i, shade in enumerate(DIVERGING)]
        bar = {"title": {"text": AXES[colour].split(",")[0], "side": "top"}, "thickness": 10, "outlinewidth": 0}
        marker |= {"colorscale": scale, "cmin": shades[0], "cmax": shades[-1], "showscale": True, "colorbar": bar}
    figure = go.Figure(layout=plotly_layout())
    figure.add_scattergl(
        x=frame[x].to_numpy(),
        y=frame[y].to_numpy(),
        mode="markers",
        marker=marker,
        hovertemplate=f"{AXES[x]}: %{{x:.3f}}<br>{AXES[y]}: %{{y:.3f}}<extra></extra>",
        showlegend=False,
    )
    chosen = frame.filter(pl.col("row_id") == selected) if selected is not None else frame.head(0)
    if len(chosen):
        ring = {"size": 14, "color": "rgba(0,0,0,0)", "line": {"width": 2.5, "color": RED}}
        place = {"x": chosen[x].to_numpy(), "y": chosen[y].to_numpy()}
        figure.add_scattergl(**place, mode="markers", marker=ring, hoverinfo="skip", showlegend=False)
    figure.update_layout(height=480, dragmode="zoom", uirevision=f"{x}-{y}")
    figure.update_xaxes(title_text=AXES[x])
    figure.update_yaxes(title_text=AXES[y])
    return figure


def effects(frame: pl.DataFrame) -> alt.TopLevelMixin:
    """What is lost without a part, with intervals: `frames.gate_effects` of one configuration, or of several."""
    names = frame["configuration"].unique(maintain_order=True).to_list()
    titles = list(dict.fromkeys(frame["effect"].to_list()))
    scale = alt.Scale(nice=True, padding=8)

    def x(field: str) -> alt.X:
        return alt.X(f"{field}:Q", title="Lost without it, bp of AUC", scale=scale, axis=alt.Axis(format=",~f"))

    by: dict[str, Any] = {}
    point: dict[str, Any] = {}
    mark: dict[str, Any] = {}
    interval: dict[str, Any] = {}
    if len(names) > 1:
        shades = alt.Scale(domain=titles)
        legend = alt.Legend(title=None, symbolOpacity=1, columns=parts.columns(titles))
        by["y"] = alt.Y("configuration:N", sort=names, title=None, axis=alt.Axis(grid=True, **parts.labels(names)))
        by["yOffset"] = alt.YOffset("effect:N", sort=titles)
        by["color"] = alt.Color("effect:N", scale=shades, legend=legend)
        point["shape"] = alt.Shape("effect:N", scale=shades, legend=None)
        interval["strokeWidth"] = 1.3
    else:
        by["y"] = alt.Y("effect:N", sort=titles, title=None, axis=alt.Axis(grid=True, labelLimit=240))
        mark["style"], interval["style"] = "accent", "interval"
    base = alt.Chart(frame).encode(**by)
    zero = alt.Chart(alt.Data(values=[{"zero": 0}])).mark_rule(style="guide")
    tooltip = parts.tooltips(
        configuration="Configuration",
        effect="Without",
        estimate_bp="Lost, bp|.2f",
        low_bp="95% low, bp|.2f",
        high_bp="95% high, bp|.2f",
        p="p|.3g",
        covers="The interval covers",
    )
    return parts.layered(
        zero.encode(x=x("zero")),
        base.mark_rule(**interval).encode(x=x("low_bp"), x2=alt.X2("high_bp:Q")),
        base.mark_point(filled=True, **mark).encode(x=x("estimate_bp"), tooltip=tooltip, **point),
    ).properties(height=alt.Step(12 if len(names) > 1 else 28))
