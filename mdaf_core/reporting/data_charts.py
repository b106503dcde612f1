"""Charts of a prepared data set: how long histories are, how rows and their positive rate move over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    import altair as alt

PARTS = ["train", "val", "test"]


def history_lengths(frame: pl.DataFrame) -> alt.TopLevelMixin:
    """Share of rows with at most so many events, one step line a part (`statistics.history_frame`)."""
    import altair as alt

    return (
        alt.Chart(frame)
        .mark_line(interpolate="step-after")
        .encode(
            x=alt.X(
                "events:Q",
                title="Events in the history (50: or more)",
                scale=alt.Scale(nice=False),
                axis=alt.Axis(tickMinStep=1),
            ),
            y=alt.Y(
                "at_most:Q",
                title="Rows with at most so many",
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(format="~%"),
            ),
            color=_part_colour(),
            strokeDash=alt.StrokeDash("part:N", sort=PARTS, title=None),
            tooltip=[
                alt.Tooltip("part:N", title="Part"),
                alt.Tooltip("events:Q", title="Events"),
                alt.Tooltip("rows:Q", title="Rows", format=","),
                alt.Tooltip("at_most:Q", title="At most", format=".2%"),
            ],
        )
        .properties(height=260)
    )


def rate_over_time(frame: pl.DataFrame) -> alt.TopLevelMixin:
    """Positive rate above, rows below, over the same time axis (`statistics.time_frame`)."""
    import altair as alt

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
            x=x("Time" if temporal else "Row"),
            x2="end",
            y=alt.Y("low:Q", title="Rows", axis=alt.Axis(format="~s", tickCount=3)),
            y2="high",
            color=_part_colour(),
            tooltip=tooltip,
        )
        .properties(height=60)
    )
    return alt.vconcat(rate, rows, spacing=6).resolve_scale(x="shared", color="shared")


def _part_colour() -> alt.Color:
    import altair as alt

    return alt.Color("part:N", sort=PARTS, title=None, scale=alt.Scale(domain=PARTS))
