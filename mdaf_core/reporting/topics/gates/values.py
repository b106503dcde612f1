"""Charts of g and of the branches' parts over groups of rows, over epochs, and of where g leans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from mdaf_core.reporting import parts
from mdaf_core.reporting.drawing import alt
from mdaf_core.reporting.theme import DIVERGING, SEQUENTIAL

if TYPE_CHECKING:
    from mdaf_core.analysis.gate_groups import Cells, GateGroup, Step, Value
    from mdaf_core.analysis.gates import GateSummary
    from mdaf_core.analysis.leaning import Lean

G = "g, weight of the sequential branch's vector"
FEW = 30
"""Rows of a cell below which its mean is drawn pale, without a number."""
MOST_NUMBERS = 12
"""Columns of cells that still have room for numbers."""


def title_of(value: Value) -> str:
    """Of an axis."""
    from mdaf_core.analysis.gate_groups import VALUES

    return G if value == "g" else VALUES[value]


def by_label(steps: list[Step], value: Value = "g") -> tuple[alt.TopLevelMixin, pl.DataFrame]:
    """Share of each label's rows by a value, as overlaid steps; and its data."""
    frame = pl.DataFrame([step.model_dump() for step in steps])
    last = frame.filter(pl.col("end") == pl.col("end").max())  # closes the last step
    chart = (
        alt.Chart(pl.concat([frame, last.with_columns(start=pl.col("end"))]))
        .mark_line(interpolate="step-after")
        .encode(
            x=alt.X("start:Q", title=title_of(value), scale=alt.Scale(nice=False), axis=alt.Axis(labelOverlap=True)),
            y=alt.Y("share:Q", title="Share of the label's rows", axis=alt.Axis(format="%")),
            color=alt.Color("group:N", title=None),
            strokeDash=alt.StrokeDash("group:N", title=None),
            tooltip=_shares(),
        )
        .properties(height=220)
    )
    return chart, frame


def histograms(steps: list[Step], y_title: str, value: Value = "g") -> tuple[alt.TopLevelMixin, pl.DataFrame]:
    """Histograms of a value below one another as shades, a row a group; and its data."""
    frame = pl.DataFrame([step.model_dump() for step in steps])
    names = frame["group"].unique(maintain_order=True).to_list()
    legend = alt.Legend(title="Share of the group's rows", gradientLength=120, gradientThickness=8, format=".0%",
                        direction="horizontal", titleLimit=300, tickCount=2)  # fmt: skip
    shades = alt.Scale(domain=[0, float(frame["share"].max())])  # type: ignore[arg-type]
    axis = alt.Axis(labelOverlap=True)
    chart = (
        alt.Chart(frame.filter(pl.col("rows") > 0))
        .mark_rect()
        .encode(
            x=alt.X("start:Q", title=title_of(value), scale=alt.Scale(nice=False, zero=False), axis=axis),
            x2=alt.X2("end:Q"),
            y=alt.Y("group:N", sort=names, title=y_title, axis=alt.Axis(labelLimit=200, grid=False)),
            color=alt.Color("share:Q", scale=shades, legend=legend),
            tooltip=_shares(),
        )
        .properties(height=alt.Step(18))
    )
    return chart, frame


def _scale(bounded: bool) -> alt.Scale:
    """Of an axis; `bounded`: of values between 0 and 1, beyond which room at the ends would lead it."""
    return alt.Scale(zero=False, nice=True) if bounded else alt.Scale(zero=False, nice=True, padding=6)


def _shares() -> list[alt.Tooltip]:
    return parts.tooltips(group="Group", start="From|.3f", end="To|.3f", rows="Rows|,d", share="Share|.1%")


def groups(entries: list[GateGroup], y_title: str, value: Value = "g") -> tuple[alt.TopLevelMixin, pl.DataFrame]:
    """Mean of a value with its interval, and the range from its 5% to its 95% quantile, for groups of rows."""
    frame = pl.DataFrame([entry.model_dump() for entry in entries])
    y = alt.Y("group:N", sort=frame["group"].to_list(), title=y_title, axis=alt.Axis(grid=True, labelLimit=200))
    scale = _scale(bounded=value == "g")
    tooltip = parts.tooltips(
        group="Group",
        mean="Mean|.4f",
        low="95% low|.4f",
        high="95% high|.4f",
        q05="5% quantile|.3f",
        median="Median|.3f",
        q95="95% quantile|.3f",
        rows="Rows|,d",
    )
    base = alt.Chart(frame).encode(y=y, tooltip=tooltip)

    def x(field: str) -> alt.X:
        return alt.X(f"{field}:Q", title=title_of(value), scale=scale)

    chart = parts.layered(
        base.mark_rule(style="muted", strokeWidth=5, opacity=0.25).encode(x=x("q05"), x2=alt.X2("q95:Q")),
        base.mark_rule(style="interval").encode(x=x("low"), x2=alt.X2("high:Q")),
        base.mark_point(filled=True, style="accent").encode(x=x("mean")),
    ).properties(height=alt.Step(min(parts.ROW, 16 if len(entries) > 10 else parts.ROW)))
    return chart, frame


def cells(found: Cells, y_title: str, x_title: str) -> tuple[alt.TopLevelMixin, pl.DataFrame]:
    """Means of a value over two variables as colours, with numbers where there is room; and its data."""
    frame = pl.DataFrame([cell.model_dump() for cell in found.cells], infer_schema_length=None)
    shown = frame.filter(pl.col("rows") >= FEW) if (frame["rows"] >= FEW).any() else frame
    low, high = float(shown["mean"].min()), float(shown["mean"].max())  # type: ignore[arg-type]
    signed = found.value in ("static", "sequential")
    colours, limits = SEQUENTIAL, [low, high if high > low else low + 1e-6]
    if signed:
        reach = max(abs(low), abs(high)) or 1.0
        colours, limits = DIVERGING, [-reach, reach]
    domain = [limits[0] + (limits[1] - limits[0]) * i / (len(colours) - 1) for i in range(len(colours))]
    scale = alt.Scale(domain=domain, range=colours, clamp=True)
    legend = alt.Legend(title=f"Mean: {title_of(found.value)}", gradientLength=150, direction="horizontal",
                        gradientThickness=8, titleLimit=400, format=".2~f", values=[domain[0], domain[-1]])  # fmt: skip
    x_axis = alt.Axis(labelAngle=0, labelOverlap="greedy", labelSeparation=3)
    base = alt.Chart(frame).encode(
        x=alt.X("of_second:O", sort=found.seconds, title=x_title, axis=x_axis),
        y=alt.Y("of_first:O", sort=found.firsts, title=y_title, axis=alt.Axis(labelLimit=200, grid=False)),
    )
    tiles = base.mark_rect(cornerRadius=1).encode(
        color=alt.Color("mean:Q", scale=scale, legend=legend),
        opacity=alt.OpacityValue(1, condition={"test": f"datum.rows < {FEW}", "value": 0.3}),
        tooltip=parts.tooltips(
            of_first=y_title,
            of_second=x_title,
            mean="Mean|.4f",
            low="95% low|.4f",
            high="95% high|.4f",
            rows="Rows|,d",
            users="Users",
        ),
    )
    layers: list[Any] = [tiles]
    if len(found.seconds) <= MOST_NUMBERS:
        dark = limits[0] + 0.66 * (limits[1] - limits[0])  # beyond it white is read better than black
        ink = (
            alt.value("#111111")
            if signed
            else alt.condition(f"datum.mean > {dark}", alt.value("#ffffff"), alt.value("#111111"))
        )
        numbers = alt.Chart(frame.filter(pl.col("rows") >= FEW)).encode(base.encoding.x, base.encoding.y)
        text = alt.Text("mean:Q", format="+.2f" if signed else ".2f")
        layers.append(numbers.mark_text(fontSize=alt.ExprRef("em * 0.9")).encode(text=text, color=ink))
    chart = parts.layered(*layers).properties(height=alt.Step(26)).configure_view(stroke=None)
    return chart, frame


def reliability(lean: Lean) -> tuple[alt.TopLevelMixin, pl.DataFrame]:
    """Share of the rows of each tenth by g where the sequential branch alone has the smaller loss; and its data."""
    frame = pl.DataFrame([entry.model_dump() for entry in lean.bins], infer_schema_length=None)
    y_title, scale = "Sequential branch nearer, share of rows", _scale(bounded=True)

    def y(field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", title=y_title, scale=scale, axis=alt.Axis(format="%"))

    base = alt.Chart(frame).encode(x=alt.X("g:Q", title=f"Mean {G}", scale=scale))
    tooltip = parts.tooltips(
        start="g from|.4f",
        end="to|.4f",
        share="Sequential branch nearer|.1%",
        low="95% low|.1%",
        high="95% high|.1%",
        loss_static="Log loss, static alone|.4f",
        loss_sequential="Log loss, sequential alone|.4f",
        loss="Log loss, as learned|.4f",
        rows="Rows|,d",
    )
    whole = alt.Chart(pl.DataFrame({"share": [lean.share]})).mark_rule(style="reference").encode(y=y("share"))
    chart = parts.layered(
        whole,
        base.mark_line(style="muted", strokeWidth=1).encode(y=y("share")),
        base.mark_rule(style="interval").encode(y=y("low"), y2=alt.Y2("high:Q")),
        base.mark_point(filled=True, style="accent").encode(y=y("share"), tooltip=tooltip),
    ).properties(height=220)
    return chart, frame


def by_epoch(summary: GateSummary) -> tuple[alt.TopLevelMixin, pl.DataFrame]:
    """Mean g on validation rows after each epoch, and where known from its 5% to its 95% quantile; and its data."""
    frame = _epochs(summary)
    scale = alt.Scale(zero=False, nice=True)
    base = alt.Chart(frame).encode(x=_epoch_axis())
    layers = []
    if frame["gate_low"].null_count() < len(frame):
        band = base.mark_area(style="band")
        layers.append(band.encode(y=alt.Y("gate_low:Q", title="g", scale=scale), y2=alt.Y2("gate_high:Q")))
    line = base.mark_line(point=True).encode(
        y=alt.Y("gate_mean:Q", title="g" if layers else "Mean g", scale=scale),
        tooltip=parts.tooltips(
            epoch="Epoch", gate_mean="Mean g|.4f", gate_low="5% quantile|.4f", gate_high="95% quantile|.4f"
        ),
    )
    return parts.layered(*layers, line).properties(height=160), frame


def parts_by_epoch(summary: GateSummary) -> tuple[alt.TopLevelMixin, pl.DataFrame] | None:
    """How far each branch moves validation rows' log-odds after each epoch; and its data. None: not recorded."""
    frame = _epochs(summary)
    if frame["part_static"].null_count() == len(frame):
        return None
    long = frame.select("epoch", static="part_static", sequential="part_sequential").unpivot(
        index="epoch", variable_name="branch", value_name="deviation"
    )
    chart = (
        alt.Chart(long)
        .mark_line(point=True)
        .encode(
            x=_epoch_axis(),
            y=alt.Y("deviation:Q", title="Deviation of the part", scale=alt.Scale(zero=True, nice=True)),
            color=alt.Color("branch:N", title=None, sort=["static", "sequential"]),
            strokeDash=alt.StrokeDash("branch:N", title=None, sort=["static", "sequential"]),
            tooltip=parts.tooltips(branch="Branch", epoch="Epoch", deviation="Deviation, log-odds|.4f"),
        )
        .properties(height=160)
    )
    return chart, long


def _epochs(summary: GateSummary) -> pl.DataFrame:
    frame = pl.DataFrame([entry.model_dump() for entry in summary.by_epoch], infer_schema_length=None)
    return frame.with_columns(pl.col("^(gate|part)_.*$").cast(pl.Float64))


def _epoch_axis() -> alt.X:
    return alt.X("epoch:Q", title="Epoch", axis=alt.Axis(tickMinStep=1, format="d"), scale=alt.Scale(nice=False))
