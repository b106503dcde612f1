"""Searches for settings: what each budget would have found, which settings matter, every trial."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import polars as pl

from mdaf_core.base.errors import UsageError
from mdaf_core.models.space import Choice, Range
from mdaf_core.reporting import parts
from mdaf_core.reporting.captions import lower
from mdaf_core.reporting.drawing import alt
from mdaf_core.reporting.figure import Drawn, Kind
from mdaf_core.reporting.material import Material
from mdaf_core.reporting.paper.table import PaperTable

if TYPE_CHECKING:
    from mdaf_core.studies.tuning.summary import OfConfiguration, Summary


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


def trials(one: OfConfiguration, score: str) -> pl.DataFrame:
    """Every trial of a configuration: its number, state, figure (its title is `score`), time and settings."""
    rows = [
        {
            "Trial": tried.trial.number,
            "State": tried.state,
            score: tried.value,
            "Epochs": tried.epochs,
            "Seconds": tried.seconds,
            **{path: _text(tried.trial.settings.get(path)) for path in sorted(one.part.space)},
            "Why": tried.reason,
        }
        for tried in one.trials
    ]
    return pl.DataFrame(rows, schema_overrides={score: pl.Float64, "Seconds": pl.Float64})


def expected(found: Summary) -> pl.DataFrame:
    """`best_of_k.expected_best` of all configurations: configuration, trials, expected, low, high."""
    frames = [
        one.expected.with_columns(configuration=pl.lit(one.name)) for one in found.configurations if one.expected.height
    ]
    return pl.concat(frames) if frames else pl.DataFrame()


def expected_chart(frame: pl.DataFrame, order: list[str], score: str) -> alt.TopLevelMixin:
    """The expected best of k trials, a line a configuration, with a band of one standard deviation to each side."""
    shown = parts.shown(frame, order)
    last = int(frame["trials"].max())  # type: ignore[arg-type]
    x = alt.X(
        "trials:Q",
        title="Trials",
        scale=alt.Scale(domain=[1, max(2, last)], nice=False),
        axis=alt.Axis(tickMinStep=1, format="d", tickCount=min(last, 10)),
    )
    scale = alt.Scale(zero=False, nice=True)
    title = f"Expected best {lower(score)}"
    base = alt.Chart(frame).encode(x=x, color=parts.colour(order, shown, symbolType="stroke", symbolSize=300))
    return parts.layered(
        base.mark_area(style="band").encode(y=alt.Y("low:Q", scale=scale, title=title), y2=alt.Y2("high:Q")),
        base.mark_line().encode(y=alt.Y("expected:Q", scale=scale, title=title), strokeDash=parts.dash(order, shown)),
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


def coordinates_chart(frame: pl.DataFrame, one: OfConfiguration, score: str) -> alt.TopLevelMixin:
    """Parallel coordinates: a line a trial through the places of its settings, coloured by its figure; the winner's is
    thick."""
    names = {path: f"{path.partition('.')[2]}: {values.words}" for path, values in one.part.space.items()}
    frame = frame.with_columns(axis=pl.col("setting").replace_strict(names))
    # Where they have no room in one row, every second one is lower.
    lower_ones = f"width < {9 * len(names)} * em && round(datum.index * {len(names) - 1}) % 2"
    labels = f"split(({lower_ones} ? ': : ' : '') + datum.label, ': ')"
    x = alt.X(
        "axis:N", title=None, sort=[names[path] for path in sorted(names)],
        axis=alt.Axis(labelAngle=0, labelLimit=150, labelExpr=labels, labelOverlap=False, domain=False, ticks=False,
                      grid=True),
    )  # fmt: skip
    y = alt.Y(
        "place:Q", title="Smallest to largest tried", scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(labels=False, ticks=False, grid=False),
    )  # fmt: skip
    colour = alt.Color(
        "value:Q",
        title=score,
        scale=alt.Scale(scheme=alt.SchemeParams(name="viridis", extent=[0.25, 0.85]), zero=False),
        legend=alt.Legend(format=".4f", columns=parts.columns(["0.0000"])),
    )
    base = alt.Chart(frame).encode(x=x, y=y, color=colour, detail=alt.Detail("trial:N"))
    tooltip = parts.tooltips(trial="Trial", setting="Setting", text="Value", value=f"{score}|.5f")
    return parts.layered(
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


# ---- for the paper ---------------------------------------------------------------------------------------------------

SAMPLERS = {"tpe": "by the tree-structured Parzen estimator after {startup} at random", "random": "at random"}


def _how(found: Summary) -> str:
    from mdaf_core.studies.tuning.suggest import STARTUP

    one = found.search
    drawn = SAMPLERS[one.sampler].format(startup=STARTUP)
    pruned = ", those below the median of the trials before them stopped early" if one.prune else ""
    said = f"Each configuration got {one.budget_words}, with seed {one.seed}, drawn {drawn}{pruned}. "
    return " ".join([said + "Figures are of validation, which chose the winners: they flatter.", *found.warnings])


def _figure(material: Material) -> Drawn:
    found = material.search
    data = expected(found)
    if not data.is_empty():
        data = data.filter(pl.col("configuration").is_in(material.lines))
    if data.is_empty() or data["trials"].max() == 1:
        raise UsageError(f"Search {found.search.id} has one trial of a configuration: there are no fewer to draw.")
    order = material.study.configuration_names
    return (
        expected_chart(data, order, found.score),
        data,
        f"Expected best {lower(found.score)} of k trials, were those of each configuration drawn in a random order, "
        f"with one standard deviation to each side (Dodge et al., 2019). {_how(found)}",
    )


def _table(material: Material) -> PaperTable:
    found = material.search
    frame = ledger(found).drop("Winner")
    shown = {"Trials": "{:d}", "Pruned": "{:d}", "Without a figure": "{:d}", "Minutes": "{:.1f}"}
    shown |= dict.fromkeys(("As it was", "Best", "Of half the trials"), "{:.4f}")
    cells: dict[str, list[str]] = {"Configuration": frame["Configuration"].to_list()} | {
        name: ["–" if value is None else form.format(value) for value in frame[name]]
        for name, form in shown.items()
        if name not in ("Pruned", "Without a figure") or frame[name].sum()
    }
    return PaperTable(
        name="tuning",
        title="Trials and compute",
        caption=f"Trials of each configuration, minutes of training of all of them, and {lower(found.score)} of the "
        "configuration as it was (the first trial), of the best trial, and expected of the best of half as many. "
        f"{_how(found)}",
        cells=cells,
        data=frame,
    )


def _settings(material: Material) -> PaperTable:
    found = material.search
    rows: list[dict[str, Any]] = [
        {"setting": path, "tried": values.words, "configuration": one.name,
         "winner": None if one.winner is None else one.winner.trial.settings.get(path)}
        for one in found.configurations
        for path, values in sorted(one.part.space.items())
    ]  # fmt: skip
    places: list[tuple[str, str]] = sorted({(row["setting"], row["tried"]) for row in rows})
    won = {(row["setting"], row["tried"], row["configuration"]): _text(row["winner"]) for row in rows}
    cells: dict[str, list[str]] = {"Setting": [path for path, _ in places], "Tried": [tried for _, tried in places]}
    cells |= {one.name: [won.get((*place, one.name), "–") for place in places] for one in found.configurations}
    return PaperTable(
        name="tuned-settings",
        title="Settings that were tried, and those that won",
        caption="What was tried of each setting, and what it was in the trial that won; a dash where it was not "
        f"tried. {_how(found)}",
        cells=cells,
        data=pl.DataFrame([row | {"winner": _text(row["winner"])} for row in rows]),
    )


FIGURES = {"expected-best": Kind("Expected best of k trials", "Cost", _figure, of_a_split=False)}
TABLES = {
    "tuning": ("Trials and compute", _table),
    "tuned-settings": ("Settings that were tried", _settings),
}
