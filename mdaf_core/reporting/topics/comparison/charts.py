"""Means, differences to the reference, and configurations × seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from mdaf_core.reporting import parts
from mdaf_core.reporting.drawing import alt
from mdaf_core.reporting.topics.comparison.frames import with_seeds

# A verdict's shape; `frames.VERDICT_MARKS` shows the same beside the words of tables.
VERDICT_SHAPES = {
    "better": "triangle-up",
    "worse": "triangle-down",
    "parity": "diamond",
    "not shown": "circle",
    "interim": "square",
    "one seed: no variance known": "cross",
}


def leaderboard(frame: pl.DataFrame, members: pl.DataFrame, *, x_title: str) -> alt.TopLevelMixin:
    """Mean and interval (over seeds and users) of each configuration, best first, the seeds visible as ticks.

    Args:
        frame: `StudyComparison.frame()`.
        members: configuration, seed, value.
    """
    frame = with_seeds(frame.drop_nulls("mean"))
    y = parts.names(frame["configuration"].to_list())
    scale = alt.Scale(zero=False, nice=True, padding=8)
    base = alt.Chart(frame).encode(y=y)
    shape = alt.ShapeValue("circle", condition={"test": "datum.verdict == 'reference'", "value": "diamond"})
    return parts.layered(
        alt.Chart(members)
        .mark_tick(style="muted", height=10, thickness=1.2)
        .encode(
            y=y,
            x=alt.X("value:Q", scale=scale, title=x_title),
            tooltip=parts.tooltips(configuration="Configuration", seed="Seed", value="Value"),
        ),
        base.mark_rule(style="interval").encode(x=alt.X("low:Q", scale=scale, title=x_title), x2=alt.X2("high")),
        base.mark_point(style="dot").encode(
            x=alt.X("mean:Q", scale=scale, title=x_title),
            shape=shape,
            tooltip=parts.tooltips(
                configuration="Configuration",
                mean="Mean",
                sd="Sd over seeds",
                low="95% low",
                high="95% high",
                mean_covers="Interval covers",
                seeds="Seeds",
            ),
        ),
    ).properties(height=alt.Step(parts.ROW))


def differences(
    frame: pl.DataFrame, *, margin_bp: float | None, x_title: str, shapes: Mapping[str, str] = VERDICT_SHAPES
) -> alt.TopLevelMixin:
    """Forest plot of differences to the reference with intervals, the parity margin as a band, and the verdicts.

    Args:
        frame: `StudyComparison.frame()`; rows below the noise floor are drawn faint, rows without a difference not.
        margin_bp: None draws no band.
        shapes: of every word in `verdict`.
    """
    frame = with_seeds(frame.drop_nulls("difference_bp"))
    x, y = parts.in_bp(x_title), parts.names(frame["configuration"].to_list())
    opacity = alt.OpacityValue(1, condition={"test": "datum.below_noise_floor", "value": 0.4})
    half = margin_bp or 0.0
    margin = alt.Chart(alt.Data(values=[{"low": -half, "high": half, "zero": 0}]))
    base = alt.Chart(frame).encode(y=y, opacity=opacity)
    shown = [word for word in shapes if word in set(frame["verdict"])]
    scale_of_shapes = alt.Scale(domain=shown, range=[shapes[word] for word in shown])
    legend = alt.Legend(title=None, symbolOpacity=1, columns=parts.columns(shown))
    interval = base.mark_rule(style="interval").encode(x=x("difference_low_bp"), x2=alt.X2("difference_high_bp:Q"))
    return parts.layered(
        margin.mark_rect(style="margin").encode(x=x("low"), x2=alt.X2("high:Q")),
        margin.mark_rule(style="guide").encode(x=x("zero")),
        *([] if frame["difference_low_bp"].is_null().all() else [interval]),  # Vega warns of a field without numbers
        base.mark_point(style="dot").encode(
            x=x("difference_bp"),
            shape=alt.Shape("verdict:N", scale=scale_of_shapes, legend=legend),
            tooltip=parts.tooltips(
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
    ).properties(height=alt.Step(parts.ROW))


def ablation_matrix(frame: pl.DataFrame, *, order: Sequence[str]) -> alt.TopLevelMixin:
    """Configurations × seeds: configuration, seed, value (null where there is none), text (what the cell says)."""
    base = alt.Chart(frame).encode(
        x=alt.X("seed:O", title="Seed", axis=alt.Axis(labelAngle=0, orient="top", domain=False, ticks=False)),
        y=alt.Y("configuration:N", sort=list(order), title=None, axis=alt.Axis(grid=False, **parts.labels(order))),
        tooltip=parts.tooltips(configuration="Configuration", seed="Seed", value="Value", text="Cell"),
    )
    shade = alt.Opacity("value:Q", scale=alt.Scale(zero=False, nice=False, range=[0.08, 0.45]), legend=None)
    return parts.layered(
        base.transform_filter("isValid(datum.value)").mark_rect(style="accent", cornerRadius=2).encode(opacity=shade),
        base.mark_text(style="strong").encode(text=alt.Text("text:N")),
    ).properties(height=alt.Step(parts.ROW + 2))
