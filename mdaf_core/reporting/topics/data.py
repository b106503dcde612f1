"""Charts of a prepared data set: histories, rows and their positive rate over time, ids that are frequent or new."""

from __future__ import annotations

import polars as pl

from mdaf_core.reporting import parts
from mdaf_core.reporting.drawing import alt

PARTS = ["train", "val", "test"]


def history_lengths(frame: pl.DataFrame) -> alt.TopLevelMixin:
    """Share of rows with at most so many events, one step line a part (`statistics_frames.history_frame`)."""
    long = bool(len(frame)) and frame["events"].max() > 50  # type: ignore[operator]
    title = "Events in the history (10,000: or more)" if long else "Events in the history (50: or more)"
    scale = alt.Scale(type="symlog", nice=False) if long else alt.Scale(nice=False)
    axis = alt.Axis(values=[0, 1, 3, 10, 50, 200, 1000, 10_000], format=",d") if long else alt.Axis(tickMinStep=1)
    return (
        alt.Chart(frame)
        .mark_line(interpolate="step-after")
        .encode(
            x=alt.X("events:Q", title=title, scale=scale, axis=axis),
            y=alt.Y(
                "at_most:Q",
                title="Rows with at most so many",
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(format="~%"),
            ),
            color=_part_colour(),
            strokeDash=alt.StrokeDash("part:N", sort=PARTS, title=None),
            tooltip=parts.tooltips(part="Part", events="Events", rows="Rows|,", at_most="At most|.2%"),
        )
        .properties(height=260)
    )


def rate_over_time(frame: pl.DataFrame) -> alt.TopLevelMixin:
    """Positive rate above, rows below, over the same time axis (`statistics_frames.time_frame`)."""
    temporal = frame.schema["start"].is_temporal()
    kind = "T" if temporal else "Q"
    tooltip = [
        alt.Tooltip("part:N", title="Part"),
        alt.Tooltip(f"start:{kind}", title="From", format="%a %-d %b %Y, %H:%M" if temporal else ","),
        alt.Tooltip("rows:Q", title="Rows", format=","),
        alt.Tooltip("rate:Q", title="Positive rate", format=".2%"),
    ]

    def x(title: str | None) -> alt.X:
        axis = alt.Axis(labels=title is not None, ticks=title is not None, title=title, labelOverlap=True)
        return alt.X(f"start:{kind}", scale=alt.Scale(nice=False), axis=axis)

    rate = (
        alt.Chart(frame)
        .mark_line(point={"size": 16})
        .encode(
            x=x(None),
            y=alt.Y("rate:Q", title="Positive rate", scale=alt.Scale(zero=False), axis=alt.Axis(format="~%")),
            color=_part_colour(),
            tooltip=tooltip,
        )
        .properties(height=170)
    )
    rows = (
        alt.Chart(frame)
        .mark_rect()
        .encode(
            x=x("Time" if temporal else "Place in order"),
            x2=alt.X2("end"),
            y=alt.Y("low:Q", title="Rows", axis=alt.Axis(format="~s", tickCount=3)),
            y2=alt.Y2("high"),
            color=_part_colour(),
            tooltip=tooltip,
        )
        .properties(height=60)
    )
    return alt.vconcat(rate, rows, spacing=6).resolve_scale(x="shared", color="shared")


def by_clock(frame: pl.DataFrame) -> alt.TopLevelMixin:
    """Rows by local hour, and by weekday; the colour is their positive rate (`statistics_frames.clock_frame`)."""

    def bars(clock: str, title: str, y: str | None) -> alt.Chart:
        return (
            alt.Chart(frame.filter(pl.col("clock") == clock))
            .mark_bar()
            .encode(
                x=alt.X(
                    "value:O", sort=alt.SortField("order"), title=title, axis=alt.Axis(labelAngle=0, labelOverlap=True)
                ),
                y=alt.Y("rows:Q", title=y, axis=alt.Axis(format="~s", tickCount=4)),
                color=alt.Color("rate:Q", title="Positive rate", legend=alt.Legend(format="~%", tickCount=3)),
                tooltip=parts.tooltips(value=clock.capitalize(), rows="Rows|,", rate="Positive rate|.2%"),
            )
        )

    hours = bars("hour", "Hour of the day", "Rows").properties(height=110)
    days = bars("weekday", "Weekday", "Rows").properties(height=80)
    return alt.vconcat(hours, days, spacing=10).resolve_scale(color="shared")


def popularity(frame: pl.DataFrame) -> alt.TopLevelMixin:
    """Share of training rows that the most frequent ids make up (`statistics_frames.popularity_frame`)."""
    return (
        alt.Chart(frame)
        .mark_line()
        .encode(
            x=alt.X(
                "ids:Q",
                title="Most frequent ids, share of all",
                scale=alt.Scale(type="log", nice=False),
                axis=alt.Axis(format="~%", tickCount=5),
            ),
            y=alt.Y("rows:Q", title="Training rows", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="~%")),
            color=alt.Color("field:N", title=None),
            strokeDash=alt.StrokeDash("field:N", title=None),
            tooltip=parts.tooltips(field="Field", ids="Most frequent ids|.3~%", rows="Training rows|.1%"),
        )
        .properties(height=260)
    )


def cold_start(frame: pl.DataFrame) -> alt.TopLevelMixin:
    """Rows of validation and test by how often training saw their item and user (`statistics_frames.cold_frame`)."""
    order = frame.sort("order")["seen"].unique(maintain_order=True).to_list()
    frame = frame.with_columns(name=pl.format("{}, {}", "field", "part"))
    return (
        alt.Chart(frame)
        .mark_bar()
        .encode(
            y=alt.Y("name:N", sort=None, title=None),
            x=alt.X("low:Q", title="Rows", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="~%")),
            x2=alt.X2("high"),
            color=alt.Color("seen:O", sort=order, title="Training rows with the id"),
            tooltip=parts.tooltips(field="Field", part="Part", seen="Training rows with the id", share="Rows|.1%"),
        )
        .properties(height=alt.Step(34))
    )


def _part_colour() -> alt.Color:
    return alt.Color("part:N", sort=PARTS, title=None, scale=alt.Scale(domain=PARTS))
