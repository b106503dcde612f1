"""Every chart of the app and of the paper, from tidy polars frames. Altair; looks come from `theme`.

Conventions: a configuration keeps its colour and its shape whatever is selected (`order`: all configurations of the
study, in its order); axes of AUC do not start at zero, therefore AUC is drawn as dots and lines, never as bars; every
axis names its unit; tooltips hold full-precision figures. Differences of AUC are in basis points (bp, ×10⁴).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from mdaf_core.reporting.theme import SHAPES

if TYPE_CHECKING:
    import altair as alt

ROW = 24
NAME_LIMIT = 30  # characters of a configuration's name beside an axis or in a legend
HEIGHT = 240
SHARES: dict[str, Any] = {"format": ".1f", "values": [0, 0.2, 0.4, 0.6, 0.8, 1]}  # options of an axis from 0 to 1

# A verdict's shape; `frames.VERDICT_MARKS` shows the same beside the words of tables.
_VERDICT_SHAPES = {
    "better": "triangle-up",
    "worse": "triangle-down",
    "parity": "diamond",
    "not shown": "circle",
    "interim": "square",
    "one seed: no variance known": "cross",
}


def _shapes(count: int) -> list[str]:
    """A shape for each configuration; with the eight colours cycling, colour and shape together stay unique to 64."""
    return [SHAPES[(i + i // len(SHAPES)) % len(SHAPES)] for i in range(count)]


def short_names(names: Sequence[str], limit: int = NAME_LIMIT) -> dict[str, str]:
    """Names with `…` for the middle where they are longer than `limit` characters; longer ones where two would read
    the same, for names often differ at their end."""
    for size in range(limit, max(map(len, names), default=0)):
        short = {name: _without_middle(name, size) for name in names}
        if len(set(short.values())) == len(short):
            return short
    return {name: name for name in names}


def _without_middle(name: str, limit: int) -> str:
    if len(name) <= limit:
        return name
    end = (limit - 1) * 2 // 5
    return f"{name[: limit - 1 - end].rstrip()}…{name[-end:].lstrip()}"


def _labels(names: Sequence[str]) -> dict[str, Any]:
    """Options of an axis or a legend that shorten long names; the theme's own limit would cut off their ends."""
    cut = {name: short for name, short in short_names(names).items() if short != name}
    return {"labelExpr": f"({json.dumps(cut)})[datum.value] || datum.label", "labelLimit": 0} if cut else {}


def _names(names: Sequence[str]) -> alt.Y:
    """Configurations down the vertical axis, in this order."""
    import altair as alt

    axis = alt.Axis(grid=True, **_labels(names))
    return alt.Y("configuration:N", sort=list(names), title=None, axis=axis)


def _columns(labels: Sequence[str]) -> alt.ExprRef:
    """As many legend columns as fit (the theme gives `em`, the size of labels, and `legend_width`)."""
    import altair as alt

    longest = max(map(len, short_names(labels).values()), default=1)
    return alt.ExprRef(f"max(1, floor(legend_width / ({0.52 * longest + 3.4:.1f} * em)))")


def _colour(order: Sequence[str], shown: Sequence[str], **symbols: Any) -> alt.Color:
    import altair as alt

    legend = None
    if len(shown) > 1:
        legend = alt.Legend(
            title=None, values=list(shown), symbolOpacity=1, columns=_columns(shown), **_labels(shown), **symbols
        )
    return alt.Color("configuration:N", scale=alt.Scale(domain=list(order)), legend=legend)


def _shape(order: Sequence[str], shown: Sequence[str]) -> alt.Shape:
    import altair as alt

    scale = alt.Scale(domain=list(order), range=_shapes(len(order)))
    return alt.Shape("configuration:N", scale=scale, legend=None)


def _shown(frame: pl.DataFrame, order: Sequence[str]) -> list[str]:
    present = set(frame["configuration"].unique())
    return [name for name in order if name in present] + sorted(present - set(order))


def _tooltips(**fields: str) -> list[alt.Tooltip]:
    """`name="Title|format"`; the type is inferred."""
    import altair as alt

    out = []
    for name, text in fields.items():
        title, _, pattern = text.partition("|")
        out.append(alt.Tooltip(f"{name}:Q", title=title, format=pattern) if pattern else alt.Tooltip(name, title=title))
    return out


# ---- learning curves -------------------------------------------------------------------------------------------------


def learning_curves(
    members: pl.DataFrame,
    bands: pl.DataFrame,
    reported: pl.DataFrame | None = None,
    *,
    order: Sequence[str],
    y_title: str,
    zero_line: bool = False,
    zero: bool = False,
    height: int = HEIGHT,
) -> alt.TopLevelMixin:
    """Curves by epoch: each seed a thin line, mean ± standard deviation over seeds, best epochs marked.

    Args:
        members: one row a run, curve and epoch: run_id, configuration, seed, curve (name of the metric's curve), epoch,
            value, best (whether it is the run's best epoch).
        bands: one row a configuration, curve and epoch: mean, sd (null with one seed), low, high, seeds.
        reported: curves from elsewhere: label, curve, epoch, value. Drawn dashed and named as such.
        order: all configurations of the study.
        zero_line: draw a line at 0; zero: let the axis begin there.
    """
    import altair as alt

    shown = _shown(members, order)
    order = list(order) + [n for n in shown if n not in order]
    curves = list(dict.fromkeys(members["curve"].to_list()))
    last = max(1, *(max(frame["epoch"].to_list(), default=1) for frame in (members, reported) if frame is not None))
    x = alt.X(
        "epoch:Q",
        title="Epoch",
        scale=alt.Scale(domain=[1, max(2, last)], nice=False),
        axis=alt.Axis(tickMinStep=1, format="d", tickCount=min(last, 12)),
    )
    scale = alt.Scale(zero=zero, nice=True)
    dash_legend = alt.Legend(
        title=None, symbolType="stroke", symbolSize=400, symbolOpacity=1, columns=_columns([*curves, "—" * 6])
    )
    dash = alt.StrokeDash(
        "curve:N",
        scale=alt.Scale(domain=curves, range=[[1, 0], [5, 3], [1, 3]][: max(1, len(curves))]),
        legend=dash_legend if len(curves) > 1 else None,
    )
    colour = _colour(order, shown)

    def y(field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", title=y_title, scale=scale)

    member = alt.Chart(_one_line_a_curve(members)).encode(x=x, color=colour, strokeDash=dash)
    mean = alt.Chart(bands).encode(x=x)
    band = alt.Chart(bands).encode(x=x, color=colour, detail="curve:N")
    layers: list[Any] = []
    if zero_line:
        layers.append(alt.Chart(alt.Data(values=[{"y": 0}])).mark_rule(style="guide").encode(y=alt.Y("y:Q")))
    layers += [
        band.mark_area(style="band").encode(y=y("low"), y2="high:Q"),
        member.mark_line(style="member", order=False, invalid="break-paths-filter-domains").encode(y=y("value")),
        mean.mark_line().encode(y=y("mean"), color=colour, strokeDash=dash),
        mean.mark_point(opacity=0, size=120).encode(
            y=y("mean"),
            tooltip=_tooltips(
                configuration="Configuration", curve="Curve", epoch="Epoch", mean="Mean", sd="Sd", seeds="Seeds"
            ),
        ),
        alt.Chart(members.filter("best"))
        .mark_point(filled=True)
        .encode(
            x=x,
            y=y("value"),
            color=colour,
            shape=_shape(order, shown),
            tooltip=_tooltips(
                configuration="Configuration", seed="Seed", curve="Curve", epoch="Best epoch", value="Value"
            ),
        ),
    ]
    if reported is None or reported.is_empty():
        return alt.layer(*layers, height=height)
    labels = list(dict.fromkeys(reported["label"].to_list()))
    base = alt.Chart(reported).encode(x=x, y=y("value"), detail=["label:N", "curve:N"])
    shapes = alt.Shape(
        "label:N",
        scale=alt.Scale(domain=labels, range=["circle", "square"][: len(labels)]),
        legend=alt.Legend(title=None, columns=1, symbolFillColor="transparent", symbolStrokeWidth=1),
    )
    overlay = alt.layer(
        base.mark_line(style="reference"),
        base.mark_point(style="note", filled=False, size=26, strokeWidth=0.9).encode(
            shape=shapes, tooltip=_tooltips(label="Reported curve", curve="Curve", epoch="Epoch", value="Value")
        ),
    )
    return (
        alt.layer(alt.layer(*layers), overlay)
        .resolve_scale(color="independent", shape="independent")
        .properties(height=height)
    )


def _one_line_a_curve(members: pl.DataFrame) -> pl.DataFrame:
    """Members with a row without a value after each run, where the line breaks.

    So the runs of a configuration are one mark: one for each run takes the browser longer than all their points.
    """
    run = ["configuration", "curve", "run_id"]
    ends = members.group_by(run).agg(pl.col("seed").first(), pl.col("epoch").max())
    columns = [*run, "seed", "epoch", "value"]
    ends = ends.with_columns(value=pl.lit(None, pl.Float64)).select(columns)
    rows = pl.concat([members.select(columns), ends], how="vertical_relaxed")
    return rows.sort([*run, "epoch", "value"], nulls_last=True)


def single_curves(points: pl.DataFrame, *, domain: Sequence[float], epochs: int) -> alt.TopLevelMixin:
    """Train and validation AUC of one configuration, on axes that its neighbour shares.

    Args:
        points: curve (`validation` or `train`), epoch, value; domain: of the AUC; epochs: where the axis ends.
    """
    import altair as alt

    dash = alt.StrokeDash(
        "curve:N",
        scale=alt.Scale(domain=["validation", "train"], range=[[1, 0], [5, 3]]),
        legend=alt.Legend(title=None, symbolType="stroke", symbolSize=400),
    )
    axis = alt.Axis(tickMinStep=1, format="d", tickCount=min(epochs, 12))
    base = alt.Chart(points).encode(
        x=alt.X("epoch:Q", title="Epoch", scale=alt.Scale(domain=[1, max(2, epochs)], nice=False), axis=axis),
        y=alt.Y("value:Q", title="AUC", scale=alt.Scale(domain=list(domain), zero=False, nice=False)),
        tooltip=_tooltips(curve="Curve", epoch="Epoch", value="AUC"),
    )
    return alt.layer(base.mark_line().encode(strokeDash=dash), base.mark_point(filled=True)).properties(height=200)


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


# ---- comparison ------------------------------------------------------------------------------------------------------


def with_seeds(frame: pl.DataFrame) -> pl.DataFrame:
    """`StudyComparison.frame()` without the intervals that cover users alone: they say nothing of another training."""
    return frame.with_columns(
        *(pl.when(pl.col("seeds") > 1).then(name).alias(name) for name in ("low", "high")),
        *(pl.when("covers_seeds").then(name).alias(name) for name in ("difference_low_bp", "difference_high_bp")),
    )


def leaderboard(frame: pl.DataFrame, members: pl.DataFrame, *, x_title: str) -> alt.TopLevelMixin:
    """Mean and interval (over seeds and users) of each configuration, best first, the seeds visible as ticks.

    Args:
        frame: `StudyComparison.frame()`.
        members: configuration, seed, value.
    """
    import altair as alt

    frame = with_seeds(frame.drop_nulls("mean"))
    y = _names(frame["configuration"].to_list())
    scale = alt.Scale(zero=False, nice=True, padding=8)
    base = alt.Chart(frame).encode(y=y)
    shape = alt.condition("datum.verdict == 'reference'", alt.value("diamond"), alt.value("circle"))
    return alt.layer(
        alt.Chart(members)
        .mark_tick(style="muted", height=10, thickness=1.2)
        .encode(
            y=y,
            x=alt.X("value:Q", scale=scale, title=x_title),
            tooltip=_tooltips(configuration="Configuration", seed="Seed", value="Value"),
        ),
        base.mark_rule(style="interval").encode(x=alt.X("low:Q", scale=scale, title=x_title), x2="high"),
        base.mark_point(style="dot").encode(
            x=alt.X("mean:Q", scale=scale, title=x_title),
            shape=shape,
            tooltip=_tooltips(
                configuration="Configuration",
                mean="Mean",
                sd="Sd over seeds",
                low="95% low",
                high="95% high",
                mean_covers="Interval covers",
                seeds="Seeds",
            ),
        ),
    ).properties(height=alt.Step(ROW))


def differences(frame: pl.DataFrame, *, margin_bp: float | None, x_title: str) -> alt.TopLevelMixin:
    """Forest plot of differences to the reference with intervals, the parity margin as a band, and the verdicts.

    Args:
        frame: `StudyComparison.frame()`; rows below the noise floor are drawn faint, rows without a difference not.
        margin_bp: None draws no band.
    """
    import altair as alt

    frame = with_seeds(frame.drop_nulls("difference_bp"))
    y = _names(frame["configuration"].to_list())
    scale = alt.Scale(nice=True, padding=8)
    axis = alt.Axis(
        labelExpr="datum.value == 0 ? '0' : format(datum.value, '+,~f')", tickCount=alt.ExprRef("width / (6 * em)")
    )

    def x(field: str) -> alt.X:
        return alt.X(f"{field}:Q", scale=scale, title=x_title, axis=axis)

    opacity = alt.condition("datum.below_noise_floor", alt.value(0.4), alt.value(1))
    half = margin_bp or 0.0
    margin = alt.Chart(alt.Data(values=[{"low": -half, "high": half, "zero": 0}]))
    base = alt.Chart(frame).encode(y=y, opacity=opacity)
    shown = [word for word in _VERDICT_SHAPES if word in set(frame["verdict"])]
    shapes = alt.Scale(domain=shown, range=[_VERDICT_SHAPES[word] for word in shown])
    legend = alt.Legend(title=None, symbolOpacity=1, columns=_columns(shown))
    return alt.layer(
        margin.mark_rect(style="margin").encode(x=x("low"), x2="high:Q"),
        margin.mark_rule(style="guide").encode(x=x("zero")),
        base.mark_rule(style="interval").encode(x=x("difference_low_bp"), x2="difference_high_bp:Q"),
        base.mark_point(style="dot").encode(
            x=x("difference_bp"),
            shape=alt.Shape("verdict:N", scale=shapes, legend=legend),
            tooltip=_tooltips(
                configuration="Configuration",
                difference_bp="Difference",
                difference_low_bp="95% low",
                difference_high_bp="95% high",
                p_adjusted="Adjusted p",
                p_parity_adjusted="Adjusted p of parity",
                verdict="Verdict",
                seeds="Seeds",
                covers="Interval covers",
            ),
        ),
    ).properties(height=alt.Step(ROW))


def roc(frame: pl.DataFrame, *, order: Sequence[str]) -> alt.TopLevelMixin:
    """ROC curves, one a run: run_id, configuration, fpr, tpr."""
    import altair as alt

    shown = _shown(frame, order)
    unit = alt.Scale(domain=[0, 1], nice=False)
    diagonal = alt.Chart(alt.Data(values=[{"fpr": 0, "tpr": 0}, {"fpr": 1, "tpr": 1}])).mark_line(style="guide")
    lines = alt.Chart(frame).mark_line(strokeWidth=1.6)
    axis = alt.Axis(**SHARES)
    x = alt.X("fpr:Q", scale=unit, title="False positive rate", axis=axis)
    y = alt.Y("tpr:Q", scale=unit, title="True positive rate", axis=axis)
    return alt.layer(
        diagonal.encode(x=x, y=y),
        lines.encode(
            x=x,
            y=y,
            color=_colour(order, shown, symbolType="stroke", symbolSize=300),
            strokeDash=_dash(order),
            detail="run_id:N",
            order="fpr:Q",
            tooltip=_tooltips(
                configuration="Configuration", fpr="False positive rate|.4f", tpr="True positive rate|.4f"
            ),
        ),
    ).properties(height=300)


def precision_recall(frame: pl.DataFrame, rate: float, *, order: Sequence[str]) -> alt.TopLevelMixin:
    """Precision-recall curves, one a run, in steps: between two points the precision is that of the further one.

    A straight line between them would promise what no threshold gives (Davis & Goadrich 2006, ICML); the area under
    the steps is the average precision.

    Args:
        frame: run_id, configuration, recall, precision, each run's by rising recall.
        rate: share of positives, the precision of ranking at random.
    """
    import altair as alt

    shown = _shown(frame, order)
    first = frame.group_by("run_id", maintain_order=True).first().select(frame.columns)
    steps = pl.concat([first.with_columns(recall=pl.lit(0.0)), frame]).with_row_index("step")
    x = alt.X("recall:Q", scale=alt.Scale(domain=[0, 1], nice=False), title="Recall", axis=alt.Axis(**SHARES))
    y = alt.Y("precision:Q", scale=alt.Scale(zero=True, nice=True), title="Precision")
    ends = alt.Chart(alt.Data(values=[{"recall": 0, "precision": rate}, {"recall": 1, "precision": rate}]))
    return alt.layer(
        ends.mark_line(style="guide").encode(x=x, y=y),
        alt.Chart(steps)
        .mark_line(strokeWidth=1.6, interpolate="step-before")
        .encode(
            x=x,
            y=y,
            color=_colour(order, shown, symbolType="stroke", symbolSize=300),
            strokeDash=_dash(order),
            detail="run_id:N",
            order="step:Q",
            tooltip=_tooltips(configuration="Configuration", recall="Recall|.4f", precision="Precision|.4f"),
        ),
    ).properties(height=300)


def _dash(order: Sequence[str]) -> alt.StrokeDash:
    """Dashes by configuration, so that grey print tells lines apart."""
    import altair as alt

    from mdaf_core.reporting.theme import DASHES

    pattern = [DASHES[i % len(DASHES)] for i in range(len(order))]
    return alt.StrokeDash("configuration:N", scale=alt.Scale(domain=list(order), range=pattern), legend=None)


def calibration(frame: pl.DataFrame, *, order: Sequence[str]) -> alt.TopLevelMixin:
    """Reliability: predicted against observed rate in bins of equal mass, with intervals and rows a bin.

    Args:
        frame: run_id, configuration, predicted, observed, low, high (interval of the observed rate), rows.
    """
    import altair as alt

    shown = _shown(frame, order)
    end = min(1.0, 1.05 * max([1e-9, *frame["predicted"].to_list(), *frame["high"].drop_nulls().to_list()]))
    limit = alt.Scale(domain=[0, end], nice=False)
    x = alt.X("predicted:Q", scale=limit, title="Mean predicted probability of a bin")
    diagonal = alt.Chart(alt.Data(values=[{"predicted": 0, "observed": 0}, {"predicted": end, "observed": end}]))
    base = alt.Chart(frame).encode(x=x, color=_colour(order, shown))

    def y(field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", scale=limit, title="Observed rate")

    return alt.layer(
        diagonal.mark_line(style="guide").encode(x=x, y=y("observed")),
        base.mark_rule(opacity=0.5).encode(y=y("low"), y2="high:Q"),
        base.mark_line(strokeWidth=1.2, opacity=0.7).encode(
            y=y("observed"), strokeDash=_dash(order), detail="run_id:N"
        ),
        base.mark_point(filled=True).encode(
            y=y("observed"),
            shape=_shape(order, shown),
            tooltip=_tooltips(
                configuration="Configuration",
                predicted="Predicted",
                observed="Observed",
                low="95% low",
                high="95% high",
                rows="Rows in bin|,d",
            ),
        ),
    ).properties(height=300)


def slices(frame: pl.DataFrame, *, order: Sequence[str], y_title: str) -> alt.TopLevelMixin:
    """AUC with interval on each slice of one dimension, configurations side by side.

    Args:
        frame: configuration, slice (label, in order of appearance), auc, low, high, rows.
    """
    import altair as alt

    shown = _shown(frame, order)
    labels = list(dict.fromkeys(frame["slice"].to_list()))
    scale = alt.Scale(zero=False, nice=True, padding=8)
    base = alt.Chart(frame).encode(
        y=alt.Y("slice:N", sort=labels, title=y_title, axis=alt.Axis(grid=True, labelLimit=260)),
        yOffset=alt.YOffset("configuration:N", sort=shown),
        color=_colour(order, shown),
    )
    x_title = "AUC, 95% interval"
    return alt.layer(
        base.mark_rule(strokeWidth=1.3).encode(x=alt.X("low:Q", scale=scale, title=x_title), x2="high:Q"),
        base.mark_point(filled=True).encode(
            x=alt.X("auc:Q", scale=scale, title=x_title),
            shape=_shape(order, shown),
            tooltip=_tooltips(
                configuration="Configuration", slice="Slice", auc="AUC", low="95% low", high="95% high", rows="Rows|,d"
            ),
        ),
    ).properties(height=alt.Step(ROW if len(shown) == 1 else 11))


def cost(frame: pl.DataFrame, *, x: str, x_title: str, y_title: str, order: Sequence[str]) -> alt.TopLevelMixin:
    """Quality against cost: configuration, mean of the metric with its interval (low, high), `x` on a log scale."""
    import altair as alt

    shown = _shown(frame, order)
    log = alt.X(
        f"{x}:Q",
        scale=alt.Scale(type="log", nice=False, padding=16),
        title=x_title,
        axis=alt.Axis(format="~s", tickCount=4, labelOverlap="greedy"),
    )
    scale = alt.Scale(zero=False, nice=True, padding=10)
    base = alt.Chart(frame).encode(x=log, color=_colour(order, shown))
    return alt.layer(
        base.mark_rule(strokeWidth=1.3).encode(y=alt.Y("low:Q", scale=scale, title=y_title), y2="high:Q"),
        base.mark_point(style="dot").encode(
            y=alt.Y("mean:Q", scale=scale, title=y_title),
            shape=_shape(order, shown),
            tooltip=_tooltips(
                configuration="Configuration", mean=y_title, low="95% low", high="95% high", **{x: f"{x_title}|,.0f"}
            ),
        ),
    ).properties(height=HEIGHT)


def ablation_matrix(frame: pl.DataFrame, *, order: Sequence[str]) -> alt.TopLevelMixin:
    """Configurations × seeds: configuration, seed, value (null where there is none), text (what the cell says)."""
    import altair as alt

    base = alt.Chart(frame).encode(
        x=alt.X("seed:O", title="Seed", axis=alt.Axis(labelAngle=0, orient="top", domain=False, ticks=False)),
        y=alt.Y("configuration:N", sort=list(order), title=None, axis=alt.Axis(grid=False, **_labels(order))),
        tooltip=_tooltips(configuration="Configuration", seed="Seed", value="Value", text="Cell"),
    )
    shade = alt.Opacity("value:Q", scale=alt.Scale(zero=False, nice=False, range=[0.08, 0.45]), legend=None)
    return alt.layer(
        base.transform_filter("isValid(datum.value)").mark_rect(style="accent", cornerRadius=2).encode(opacity=shade),
        base.mark_text(style="strong").encode(text="text:N"),
    ).properties(height=alt.Step(ROW + 2))


def effects(frame: pl.DataFrame) -> alt.TopLevelMixin:
    """What is lost without a part, with intervals: `frames.gate_effects` of one configuration, or of several."""
    import altair as alt

    names = frame["configuration"].unique(maintain_order=True).to_list()
    titles = list(dict.fromkeys(frame["effect"].to_list()))
    scale = alt.Scale(nice=True, padding=8)

    def x(field: str) -> alt.X:
        return alt.X(f"{field}:Q", title="Lost without it, bp of AUC", scale=scale, axis=alt.Axis(format="~f"))

    by: dict[str, Any] = {}
    point: dict[str, Any] = {}
    mark: dict[str, Any] = {}
    interval: dict[str, Any] = {}
    if len(names) > 1:
        shades = alt.Scale(domain=titles)
        legend = alt.Legend(title=None, symbolOpacity=1, columns=_columns(titles))
        by["y"] = alt.Y("configuration:N", sort=names, title=None, axis=alt.Axis(grid=True, **_labels(names)))
        by["yOffset"] = alt.YOffset("effect:N", sort=titles)
        by["color"] = alt.Color("effect:N", scale=shades, legend=legend)
        point["shape"] = alt.Shape("effect:N", scale=shades, legend=None)
        interval["strokeWidth"] = 1.3
    else:
        by["y"] = alt.Y("effect:N", sort=titles, title=None, axis=alt.Axis(grid=True, labelLimit=240))
        mark["style"], interval["style"] = "accent", "interval"
    base = alt.Chart(frame).encode(**by)
    zero = alt.Chart(alt.Data(values=[{"zero": 0}])).mark_rule(style="guide")
    tooltip = _tooltips(
        configuration="Configuration",
        effect="Without",
        estimate_bp="Lost, bp|.2f",
        low_bp="95% low, bp|.2f",
        high_bp="95% high, bp|.2f",
        p="p|.3g",
        covers="The interval covers",
    )
    return alt.layer(
        zero.encode(x=x("zero")),
        base.mark_rule(**interval).encode(x=x("low_bp"), x2="high_bp:Q"),
        base.mark_point(filled=True, **mark).encode(x=x("estimate_bp"), tooltip=tooltip, **point),
    ).properties(height=alt.Step(12 if len(names) > 1 else 28))
