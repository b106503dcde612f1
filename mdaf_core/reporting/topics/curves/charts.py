"""Learning curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from mdaf_core.reporting import parts
from mdaf_core.reporting.drawing import alt
from mdaf_core.reporting.topics.curves.frames import AXES


def learning_curves(
    members: pl.DataFrame,
    bands: pl.DataFrame,
    reported: pl.DataFrame | None = None,
    *,
    order: Sequence[str],
    y_title: str,
    zero_line: bool = False,
    zero: bool = False,
    height: int = parts.HEIGHT,
    axis: str = "epoch",
    log: bool = False,
) -> alt.TopLevelMixin:
    """Curves by epoch: each seed a thin line, mean ± standard deviation over seeds, best epochs marked.

    Args:
        members: one row a run, curve and epoch: run_id, configuration, seed, curve (name of the metric's curve), epoch,
            value, best (whether it is the run's best epoch).
        bands: one row a configuration, curve and epoch: mean, sd (null with one seed), low, high, seeds.
        reported: curves from elsewhere: label, curve, epoch, value. Drawn dashed and named as such.
        order: all configurations of the study.
        zero_line: draw a line at 0; zero: let the axis begin there.
        axis: column to draw over, one of `frames.AXES`. log: the scale, where all values are above 0.
    """
    shown = parts.shown(members, order)
    order = list(order) + [n for n in shown if n not in order]
    curves = list(dict.fromkeys(members["curve"].to_list()))
    last = max(1, *(max(frame["epoch"].to_list(), default=1) for frame in (members, reported) if frame is not None))
    if axis == "epoch":
        x = alt.X(
            "epoch:Q",
            title="Epoch",
            scale=alt.Scale(domain=[1, max(2, last)], nice=False),
            axis=alt.Axis(tickMinStep=1, format="d", tickCount=min(last, 12)),
        )
    else:
        x = alt.X(f"{axis}:Q", title=AXES[axis], scale=alt.Scale(zero=True), axis=alt.Axis(format="~s", tickCount=6))
    lowest = min((value for value in members["value"].to_list() if value is not None), default=0.0)
    log = log and lowest > 0
    if log:
        bands = bands.with_columns(pl.col("low").clip(lower_bound=lowest))
    scale = alt.Scale(type="log", nice=False, padding=8) if log else alt.Scale(zero=zero, nice=True)
    dash_legend = alt.Legend(
        title=None, symbolType="stroke", symbolSize=400, symbolOpacity=1, columns=parts.columns([*curves, "—" * 6])
    )
    dash = alt.StrokeDash(
        "curve:N",
        scale=alt.Scale(domain=curves, range=[[1, 0], [5, 3], [1, 3]][: max(1, len(curves))]),
        legend=dash_legend if len(curves) > 1 else None,
    )
    colour = parts.colour(order, shown)

    def y(field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", title=y_title, scale=scale)

    member = alt.Chart(_one_line_a_curve(members, axis)).encode(x=x, color=colour, strokeDash=dash)
    mean = alt.Chart(bands).encode(x=x)
    band = alt.Chart(bands).encode(x=x, color=colour, detail=alt.Detail("curve:N"))
    layers: list[Any] = []
    if zero_line:
        layers.append(alt.Chart(alt.Data(values=[{"y": 0}])).mark_rule(style="guide").encode(y=alt.Y("y:Q")))
    if bands["low"].is_not_null().any():  # several seeds
        layers.append(band.mark_area(style="band").encode(y=y("low"), y2=alt.Y2("high:Q")))
    means = [
        mean.mark_line().encode(y=y("mean"), color=colour, strokeDash=dash),
        mean.mark_point(opacity=0, size=120).encode(
            y=y("mean"),
            tooltip=parts.tooltips(
                configuration="Configuration", curve="Curve", epoch="Epoch", mean="Mean", sd="Sd", seeds="Seeds"
            ),
        ),
    ]
    layers += [
        member.mark_line(style="member", order=False, invalid="break-paths-filter-domains").encode(y=y("value")),
        *(means if bands["mean"].is_not_null().any() else []),  # Vega warns of a field without numbers
        alt.Chart(members.filter("best"))
        .mark_point(filled=True)
        .encode(
            x=x,
            y=y("value"),
            color=colour,
            shape=parts.shape(order, shown),
            tooltip=parts.tooltips(
                configuration="Configuration", seed="Seed", curve="Curve", epoch="Best epoch", value="Value"
            ),
        ),
    ]
    if reported is None or reported.is_empty():
        return parts.layered(*layers, height=height)
    labels = list(dict.fromkeys(reported["label"].to_list()))
    base = alt.Chart(reported).encode(x=x, y=y("value"), detail=[alt.Detail("label:N"), alt.Detail("curve:N")])
    shapes = alt.Shape(
        "label:N",
        scale=alt.Scale(domain=labels, range=["circle", "square"][: len(labels)]),
        legend=alt.Legend(title=None, columns=1, symbolFillColor="transparent", symbolStrokeWidth=1),
    )
    overlay = parts.layered(
        base.mark_line(style="reference"),
        base.mark_point(style="note", filled=False, size=26, strokeWidth=0.9).encode(
            shape=shapes, tooltip=parts.tooltips(label="Reported curve", curve="Curve", epoch="Epoch", value="Value")
        ),
    )
    return (
        parts.layered(parts.layered(*layers), overlay)
        .resolve_scale(color="independent", shape="independent")
        .properties(height=height)
    )


def _one_line_a_curve(members: pl.DataFrame, axis: str = "epoch") -> pl.DataFrame:
    """Members with a row without a value after each run, where the line breaks.

    So the runs of a configuration are one mark: one for each run takes the browser longer than all their points.
    """
    run = ["configuration", "curve", "run_id"]
    places = list(dict.fromkeys(["epoch", axis]))
    ends = members.group_by(run).agg(pl.col(places).max())
    columns = [*run, *places, "value"]
    ends = ends.with_columns(value=pl.lit(None, pl.Float64)).select(columns)
    rows = pl.concat([members.select(columns), ends], how="vertical_relaxed")
    return rows.sort([*run, "epoch", "value"], nulls_last=True).drop("run_id")


def single_curves(points: pl.DataFrame, *, domain: Sequence[float], epochs: int) -> alt.TopLevelMixin:
    """Train and validation AUC of one configuration, on axes that its neighbour shares.

    Args:
        points: curve (`validation` or `train`), epoch, value; domain: of the AUC; epochs: where the axis ends.
    """
    dash = alt.StrokeDash(
        "curve:N",
        scale=alt.Scale(domain=["validation", "train"], range=[[1, 0], [5, 3]]),
        legend=alt.Legend(title=None, symbolType="stroke", symbolSize=400),
    )
    axis = alt.Axis(tickMinStep=1, format="d", tickCount=min(epochs, 12))
    base = alt.Chart(points).encode(
        x=alt.X("epoch:Q", title="Epoch", scale=alt.Scale(domain=[1, max(2, epochs)], nice=False), axis=axis),
        y=alt.Y("value:Q", title="AUC", scale=alt.Scale(domain=list(domain), zero=False, nice=False)),
        tooltip=parts.tooltips(curve="Curve", epoch="Epoch", value="AUC"),
    )
    return parts.layered(base.mark_line().encode(strokeDash=dash), base.mark_point(filled=True)).properties(height=200)


MOST_VERTICES = 12_000  # of all lines of a chart: many more make a file slow to open and show nothing


def thinned(members: pl.DataFrame, bands: pl.DataFrame, most: int = MOST_VERTICES) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Members and bands with fewer epochs where there are more than a line can show.

    Of each stretch of epochs the lowest and the highest value of every line stay, so that peaks do; and ends and best
    epochs.
    """
    lines = members.select("run_id", "curve").n_unique()
    stretches = max(20, most // (2 * max(1, lines)))
    last = members["epoch"].max()
    if not isinstance(last, int) or last <= 2 * stretches:
        return members, bands

    def thin(frame: pl.DataFrame, line: list[str], value: str, keep: pl.Expr) -> pl.DataFrame:
        epoch = pl.col("epoch")
        by_value = epoch.sort_by(value)
        stretch = [*line, epoch * stretches // (last + 1)]
        peaks = (epoch == by_value.first().over(stretch)) | (epoch == by_value.last().over(stretch))
        ends = (epoch == epoch.min().over(line)) | (epoch == epoch.max().over(line))
        return frame.filter(peaks | ends | keep)

    return (
        thin(members, ["run_id", "curve"], "value", pl.col("best")),
        thin(bands, ["configuration", "curve"], "mean", pl.lit(False)),
    )
