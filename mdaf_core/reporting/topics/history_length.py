"""What longer histories give and cost: one line a model, against the number of events it reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from mdaf_core.analysis.compared import StudyComparison
from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.base.words import listed
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.schema import SPLIT_NAMES, Split
from mdaf_core.reporting import captions, parts
from mdaf_core.reporting.drawing import alt
from mdaf_core.reporting.figure import Drawn, Kind
from mdaf_core.reporting.material import Material
from mdaf_core.reporting.paper import paragraph
from mdaf_core.reporting.paper.table import PaperTable
from mdaf_core.reporting.topics import cost
from mdaf_core.reporting.words import MISSING, cells
from mdaf_core.studies.histories import length_word, lines
from mdaf_core.studies.store import Study

PANEL, DODGE = 150, 1.06
ONCE = "once (stream)"
COLUMNS = {
    "configuration": "Model",
    "encoding": "Events are read",
    "events": "History, events",
    "longer": "Rows with more, %",
    "mean": "Mean",
    "low": "95% low",
    "high": "95% high",
    "seeds": "Seeds",
    "rows_per_second": "Rows/s",
    "multiply_adds": "Multiply-adds a row",
    "peak_memory_mb": "Peak memory, MB",
    "name": "Configuration",
}

X_TITLE = "Newest events read"


PANELS: dict[str, tuple[str, dict[str, Any]]] = {
    "rows_per_second": ("Training, rows/s", {"type": "log", "nice": False, "padding": 12}),
    "peak_memory_mb": ("Peak memory, MB", {"zero": True, "nice": True}),
}
"""What a length costs: column, title and scale."""


def of_study(study: Study) -> dict[str, dict[int, str]]:
    """`studies.histories.lines` of a study; empty where it varies no length."""
    return lines(study.configurations)


def frame(study: Study, ledger: pl.DataFrame, comparison: StudyComparison) -> pl.DataFrame:
    """One row a finished configuration of a line, columns as `COLUMNS`.

    `configuration` is the line's name, `mean` of the metric compared by, with the interval that covers seeds and users;
    `longer` the share of the compared rows whose user has more events than that, in percent, null where the data set is
    no longer here.
    """
    found = cost.frame(ledger, comparison)
    longer = _longer(study, comparison.split)
    place = [
        {"name": name, "line": line, "events": length, "longer": longer(length), "encoding": _encoding(study, name)}
        for line, lengths in of_study(study).items()
        for length, name in lengths.items()
    ]
    schema = {"name": pl.String, "line": pl.String, "events": pl.Int64, "longer": pl.Float64, "encoding": pl.String}
    placed = pl.DataFrame(place, schema=schema).join(
        found.rename({"configuration": "name"}), on="name", maintain_order="left"
    )
    return placed.rename({"line": "configuration"}).select(*COLUMNS)


def _encoding(study: Study, name: str) -> str:
    return ONCE if study.configuration(name).streams else "anew for each row (window)"


def _longer(study: Study, split: Split) -> Callable[[int], float | None]:
    """How many percent of the rows have more events than a length, as a function of it."""
    try:
        rows = PreparedDataset.open(study.dataset).rows(split)
    except StudioError:
        return lambda _: None
    length = np.sort(rows.history_end - rows.history_start)
    return lambda most: 100.0 * float(1 - np.searchsorted(length, most, side="right") / max(len(length), 1))


def panel(data: pl.DataFrame, column: str, y_title: str, *, x_title: str | None = X_TITLE) -> Any:
    """One of `PANELS`, or `mean` with its interval, against the events read (logarithmic), a line a model."""
    order = data["configuration"].unique(maintain_order=True).to_list()
    lengths = sorted(data["events"].unique())
    words = {str(length): length_word(length) for length in lengths}
    beside = pl.col("configuration").replace_strict({name: DODGE**i for i, name in enumerate(order)})
    base = alt.Chart(data.with_columns(at=pl.col("events") * beside.cast(pl.Float64))).encode(
        x=alt.X(
            "at:Q",
            scale=alt.Scale(type="log", nice=False, padding=16),
            axis=alt.Axis(values=lengths, labelExpr=f"({json.dumps(words)})[datum.value]", labelOverlap="greedy"),
            title=x_title,
        ),
        color=parts.colour(order, order),
    )
    mean = column == "mean"
    scale = alt.Scale(**({"zero": False, "nice": True, "padding": 8} if mean else PANELS[column][1]))
    value = alt.Y(f"{column}:Q", scale=scale, title=y_title, axis=alt.Axis(tickCount=4))
    tips = parts.tooltips(
        configuration="Model", events="Events|,d", longer="Rows with more, %|.1f", encoding="Events are read",
        **{column: f"{y_title}|{'.4f' if mean else ',.0f'}"},
        **({"low": "95% low|.4f", "high": "95% high|.4f"} if mean else {}),
    )  # fmt: skip
    layers: list[Any] = [
        base.mark_line(strokeWidth=1.2).encode(y=value),
        base.mark_point(filled=True).encode(y=value, shape=parts.shape(order, order), tooltip=tips),
    ]
    if mean:
        layers.insert(0, base.mark_rule(strokeWidth=1.3).encode(y=alt.Y("low:Q", scale=scale), y2=alt.Y2("high:Q")))
    return parts.layered(*layers).properties(height=PANEL)


def chart(data: pl.DataFrame, *, y_title: str) -> alt.TopLevelMixin:
    """Three panels above one another: quality with its interval, rows/s, memory."""
    *upper, (last, (title, _)) = PANELS.items()
    return alt.vconcat(
        panel(data, "mean", y_title, x_title=None),
        *(panel(data, name, title, x_title=None) for name, (title, _) in upper),
        panel(data, last, title),
        spacing=14,
    )


def sentence(data: pl.DataFrame, split: Split) -> str:
    """How many rows have so many events at all, and which models read them anew for each row."""
    known = data.drop_nulls("longer").unique("events").sort("events")
    if known.is_empty():
        rows = "How many rows have such long histories is not known: the data set is no longer here."
    else:
        said = [
            f"{_percent(share)} have more than {events:,}" for events, share in known.select("events", "longer").rows()
        ]
        rows = f"Of the {SPLIT_NAMES[split]} rows, {listed(said)} events before them; the others have no more to read."
    anew = data.filter(pl.col("encoding") != ONCE)["configuration"].unique(maintain_order=True).to_list()
    if not anew:
        return rows
    return (
        f"{rows} Each row's events are encoded anew (window) by {listed(anew)}, by the others each event once (stream)."
    )


def _percent(share: float) -> str:
    return "none" if share == 0 else f"{share:.1f}%" if share >= 0.1 else f"{share:.2g}%"


def _data(material: Material) -> pl.DataFrame:
    if not of_study(material.study):
        raise UsageError(
            f"Study {material.study.id} has no model with histories of several lengths. "
            "`python -m mdaf_core study run history-length --data NAME` makes one."
        )
    data = frame(material.study, material.ledger, material.comparison)
    refused = [c.configuration for c in paragraph.not_comparable(material.comparison)]
    data = data.filter(~pl.col("name").is_in(refused))
    if data.is_empty():
        raise UsageError(f"No run of study {material.study.id} that can be compared tells of a history's length.")
    return data


def _figure(material: Material) -> Drawn:
    data = _data(material)
    drawn = chart(data, y_title=f"{captions.metric(material)}, {SPLIT_NAMES[material.split]} rows")
    mine = set(data["name"])
    runs = [run for run in material.runs if run.configuration in mine]
    means = [
        (c.configuration, c.mean) for c in material.comparison.configurations if c.summary and c.configuration in mine
    ]
    caption = (
        f"{captions.metric(material)} on {captions.rows(material)}{captions.lower_is_better(material)}, training speed "
        f"and largest peak memory of a run, against the newest events that a row reads (logarithmic); "
        f"{captions.each(runs)}. {captions.of_means(means, 'Lines, 95% intervals,')} {sentence(data, material.split)} "
        "Speed and memory as measured where each run was trained, beside whatever else ran there."
        f"{captions.not_compared(material)}"
    )
    return drawn, data, caption


def _table(material: Material) -> PaperTable:
    data = _data(material)
    intervals = [
        MISSING if low is None else f"[{low:.4f}, {high:.4f}]"
        for low, high in zip(data["low"], data["high"], strict=True)
    ]
    title = captions.metric(material)
    return PaperTable(
        name=f"history-length-{material.split}",
        title="What longer histories give and cost",
        caption=f"{title} [95% interval] on {captions.rows(material)}{captions.lower_is_better(material)}, training "
        f"speed and largest peak memory, by the newest events that a row reads. {sentence(data, material.split)}",
        cells={
            "Model": data["configuration"].to_list(),
            "Events": [length_word(length) for length in data["events"]],
            "Rows with more": [MISSING if share is None else _percent(share) for share in data["longer"]],
            title: cells(data["mean"], ".4f"),
            "95% interval": intervals,
            "Rows/s": cells(data["rows_per_second"], ",.0f"),
            "Memory, MB": cells(data["peak_memory_mb"], ",.0f"),
        },
        data=data,
    )


FIGURES = {"quality-history": Kind("Quality and cost against history length", "Cost", _figure, of_a_metric=True)}
TABLES = {"history-length": ("History length", _table)}
