"""Searches for settings: what each budget would have found, which settings matter, every trial."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import polars as pl

from mdaf_core.models.space import Choice, Range
from mdaf_core.reporting import parts

if TYPE_CHECKING:
    import altair as alt

    from mdaf_core.studies.tuning.summary import OfConfiguration, Summary

SCORE = "Validation AUC"


def ledger(found: Summary) -> pl.DataFrame:
    """Trials and compute of each configuration, with the best figure as it was, tuned, and of half as many trials."""
    rows = [
        {
            "Configuration": one.name,
            "Trials": one.ended,
            "Pruned": one.pruned,
            "Without a figure": one.gone,
            "Minutes": one.seconds / 60,
            "As it was": one.untuned,
            "Best": one.winner.value if one.winner else None,
            "Of half the trials": one.expected_of(max(1, len(one.values) // 2)),
            "Winner": one.winner_words,
        }
        for one in found.configurations
    ]
    numbers = dict.fromkeys(("Minutes", "As it was", "Best", "Of half the trials"), pl.Float64)
    return pl.DataFrame(rows, schema_overrides=numbers)


def trials(one: OfConfiguration) -> pl.DataFrame:
    """Every trial of a configuration: its number, state, figure, time and settings."""
    rows = [
        {
            "Trial": tried.trial.number,
            "State": tried.state,
            SCORE: tried.value,
            "Epochs": tried.epochs,
            "Seconds": tried.seconds,
            **{path: _text(tried.trial.settings.get(path)) for path in sorted(one.part.space)},
            "Why": tried.reason,
        }
        for tried in one.trials
    ]
    return pl.DataFrame(rows, schema_overrides={SCORE: pl.Float64, "Seconds": pl.Float64})


def expected(found: Summary) -> pl.DataFrame:
    """`best_of_k.expected_best` of all configurations: configuration, trials, expected, low, high."""
    frames = [
        one.expected.with_columns(configuration=pl.lit(one.name)) for one in found.configurations if one.expected.height
    ]
    return pl.concat(frames) if frames else pl.DataFrame()


def expected_chart(frame: pl.DataFrame, order: list[str]) -> alt.TopLevelMixin:
    """The expected best of k trials, a line a configuration, with a band of one standard deviation to each side."""
    import altair as alt

    shown = parts.shown(frame, order)
    last = int(frame["trials"].max())  # type: ignore[arg-type]
    x = alt.X(
        "trials:Q",
        title="Trials",
        scale=alt.Scale(domain=[1, max(2, last)], nice=False),
        axis=alt.Axis(tickMinStep=1, format="d", tickCount=min(last, 10)),
    )
    scale = alt.Scale(zero=False, nice=True)
    title = f"Expected best {SCORE.lower().replace('auc', 'AUC')}"
    base = alt.Chart(frame).encode(x=x, color=parts.colour(order, shown))
    return alt.layer(
        base.mark_area(style="band").encode(y=alt.Y("low:Q", scale=scale, title=title), y2="high:Q"),
        base.mark_line().encode(y=alt.Y("expected:Q", scale=scale, title=title), strokeDash=parts.dash(order)),
        base.mark_point(opacity=0, size=120).encode(
            y=alt.Y("expected:Q", scale=scale, title=title),
            tooltip=parts.tooltips(
                configuration="Configuration", trials="Trials", expected="Expected best|.5f", low="Low|.5f",
                high="High|.5f",
            ),
        ),
    ).properties(height=parts.HEIGHT)  # fmt: skip


def importance(one: OfConfiguration) -> pl.DataFrame:
    """Setting and share of what tells the best trials from the others, largest first; none where nothing is known."""
    shares = one.importance or {}
    return pl.DataFrame(
        [{"setting": path, "share": share} for path, share in sorted(shares.items(), key=lambda item: -item[1])],
        schema={"setting": pl.String, "share": pl.Float64},
    )


def importance_chart(frame: pl.DataFrame) -> alt.TopLevelMixin:
    """Bars of `importance`."""
    import altair as alt

    y = alt.Y("setting:N", sort=frame["setting"].to_list(), title=None, axis=alt.Axis(labelLimit=220))
    axis = alt.Axis(format=".0%")
    return (
        alt.Chart(frame)
        .mark_bar(height=12)
        .encode(
            x=alt.X("share:Q", title="Share", scale=alt.Scale(domain=[0, 1]), axis=axis), y=y,
            tooltip=parts.tooltips(setting="Setting", share="Share|.0%"),
        )
        .properties(height=parts.ROW * max(frame.height, 2))
    )  # fmt: skip


def coordinates(one: OfConfiguration) -> pl.DataFrame:
    """One row a trial with a figure and setting: trial, setting, place (0 to 1 in what is tried), text, value, winner.
    Of the configuration as it was, what lies outside is left out."""
    winner = one.winner.trial.number if one.winner else None
    rows: list[dict[str, Any]] = []
    for tried in one.trials:
        if tried.value is None:
            continue
        common = {"trial": tried.trial.number, "value": tried.value, "winner": tried.trial.number == winner}
        for path, values in sorted(one.part.space.items()):
            setting = tried.trial.settings.get(path)
            if values.holds(setting):
                rows.append(common | {"setting": path, "place": _place(values, setting), "text": _text(setting)})
    return pl.DataFrame(
        rows,
        schema={
            "trial": pl.Int64, "value": pl.Float64, "winner": pl.Boolean, "setting": pl.String, "place": pl.Float64,
            "text": pl.String,
        },
    )  # fmt: skip


def coordinates_chart(frame: pl.DataFrame, one: OfConfiguration) -> alt.TopLevelMixin:
    """Parallel coordinates: a line a trial through the places of its settings, coloured by its figure; the winner's is
    thick."""
    import altair as alt

    names = {path: f"{path.partition('.')[2]}: {values.words}" for path, values in one.part.space.items()}
    frame = frame.with_columns(axis=pl.col("setting").replace_strict(names))
    x = alt.X(
        "axis:N", title=None, sort=[names[path] for path in sorted(names)],
        axis=alt.Axis(labelAngle=0, labelLimit=150, labelExpr="split(datum.label, ': ')", domain=False, ticks=False,
                      grid=True),
    )  # fmt: skip
    y = alt.Y(
        "place:Q", title="Smallest to largest tried", scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(labels=False, ticks=False, grid=False),
    )  # fmt: skip
    colour = alt.Color(
        "value:Q",
        title=SCORE,
        scale=alt.Scale(scheme=alt.SchemeParams(name="viridis", extent=[0.25, 0.85]), zero=False),
        legend=alt.Legend(format=".4f"),
    )
    base = alt.Chart(frame).encode(x=x, y=y, color=colour, detail="trial:N")
    tooltip = parts.tooltips(trial="Trial", setting="Setting", text="Value", value=f"{SCORE}|.5f")
    return alt.layer(
        base.mark_line(opacity=0.6, strokeWidth=1.2, interpolate="linear"),
        base.transform_filter("datum.winner").mark_line(strokeWidth=4, interpolate="linear"),
        base.mark_point(filled=True, size=36).encode(tooltip=tooltip),
    ).properties(height=parts.HEIGHT)


def _place(values: Range | Choice, setting: Any) -> float:
    if isinstance(values, Choice):
        return values.values.index(setting) / (len(values.values) - 1)
    scale = math.log if values.log else float
    return (scale(setting) - scale(values.low)) / (scale(values.high) - scale(values.low))


def _text(value: Any) -> str:
    return "–" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
