"""What configurations cost, and quality against it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl

from mdaf_core.analysis.compared import StudyComparison
from mdaf_core.data.store.schema import SPLIT_NAMES
from mdaf_core.reporting import captions, parts
from mdaf_core.reporting.drawing import alt
from mdaf_core.reporting.figure import Drawn, Kind
from mdaf_core.reporting.material import Material
from mdaf_core.reporting.paper.table import PaperTable
from mdaf_core.reporting.topics.comparison.frames import with_seeds
from mdaf_core.reporting.words import MISSING, cells

LEDGER_WORDS = {"configuration": "Configuration", "model": "Model"}
LEDGER = LEDGER_WORDS | {
    "seeds": "Seeds",
    "parameters_embedding": "Embedding parameters",
    "parameters_dense": "Dense parameters",
    "multiply_adds": "Multiply-adds a row",
    "rows_per_second": "Rows/s",
    "epochs": "Epochs",
    "best_epoch": "Best epoch",
    "wall_seconds": "Seconds a run",
    "total_seconds": "Seconds, all runs",
    "peak_memory_mb": "Peak memory, MB",
    "settings_tried": "Settings tried",
}


def frame(cost: pl.DataFrame, comparison: StudyComparison) -> pl.DataFrame:
    """The ledger with the mean of the metric, its interval and all parameters: configuration, mean, low, high, …"""
    means = with_seeds(comparison.frame()).select("configuration", "mean", "sd", "low", "high")
    total = pl.col("parameters_embedding") + pl.col("parameters_dense")
    return cost.with_columns(parameters=total).join(means, on="configuration").drop_nulls("mean")


def chart(frame: pl.DataFrame, *, x: str, x_title: str, y_title: str, order: Sequence[str]) -> alt.TopLevelMixin:
    """Quality against cost: configuration, mean of the metric with its interval (low, high), `x` on a log scale."""
    shown = parts.shown(frame, order)
    log = alt.X(
        f"{x}:Q",
        scale=alt.Scale(type="log", nice=False, padding=16),
        title=x_title,
        axis=alt.Axis(format="~s", tickCount=4, labelOverlap="greedy"),
    )
    scale = alt.Scale(zero=False, nice=True, padding=10)
    base = alt.Chart(frame).encode(x=log, color=parts.colour(order, shown))
    return parts.layered(
        base.mark_rule(strokeWidth=1.3).encode(y=alt.Y("low:Q", scale=scale, title=y_title), y2=alt.Y2("high:Q")),
        base.mark_point(style="dot").encode(
            y=alt.Y("mean:Q", scale=scale, title=y_title),
            shape=parts.shape(order, shown),
            tooltip=parts.tooltips(
                configuration="Configuration", mean=y_title, low="95% low", high="95% high", **{x: f"{x_title}|,.0f"}
            ),
        ),
    ).properties(height=parts.HEIGHT)


def _cost(x: str, x_title: str, against: str) -> Callable[[Material], Drawn]:
    def make(material: Material) -> Drawn:
        data = captions.comparable(material, frame(material.ledger, material.comparison))
        title = f"{captions.metric(material)}, {SPLIT_NAMES[material.split]} rows"
        drawn = chart(data, x=x, x_title=x_title, y_title=title, order=material.study.configuration_names)
        what = f"{captions.metric(material)} on {captions.rows(material)}{captions.lower_is_better(material)}"
        caption = f"{what}, against {against}; {captions.each(material.runs)}."
        means = [(c.configuration, c.mean) for c in material.comparison.configurations if c.summary]
        caption += f" {captions.of_means(means, 'Lines, 95% intervals,')}"
        caption += captions.not_compared(material)
        return drawn, data, caption

    return make


def _count(value: float | None) -> str:
    """A count in three figures or so: `611`, `32.1k`, `31.19M`."""
    if value is None:
        return MISSING
    return f"{value / 1e6:.2f}M" if value >= 1e6 else f"{value / 1e3:.1f}k" if value >= 1e4 else f"{value:,.0f}"


def table(data: pl.DataFrame) -> PaperTable:
    """Parameters, multiply-adds, speed, epochs, time and memory of each configuration, from `costs.ledger`."""
    return PaperTable(
        name="cost",
        title="What each configuration cost",
        caption="Cost of each configuration: embedding and dense parameters, multiply-adds a row at the mean history "
        "length; training speed, epochs and wall time of a run (means over its seeds); largest peak memory; and how "
        "many settings of this kind of model were tried on the same data. Speed, time and memory as measured where "
        "each run was trained, beside whatever else ran there.",
        cells={
            "Configuration": data["configuration"].to_list(),
            "Embedding": [_count(v) for v in data["parameters_embedding"]],
            "Dense": [_count(v) for v in data["parameters_dense"]],
            "Mult-adds": [_count(v) for v in data["multiply_adds"]],
            "Rows/s": cells(data["rows_per_second"], ",.0f"),
            "Epochs": cells(data["epochs"], ".1f"),
            "Time, s": cells(data["wall_seconds"], ",.0f"),
            "Memory, MB": cells(data["peak_memory_mb"], ",.0f"),
            "Settings tried": cells(data["settings_tried"], ".0f"),
        },
        data=data,
    )


FIGURES = {
    "quality-parameters": Kind(
        "Quality against parameters",
        "Cost",
        _cost("parameters", "Parameters", "the number of parameters, embedding and dense"),
        of_a_metric=True,
    ),
    "quality-speed": Kind(
        "Quality against speed",
        "Cost",
        _cost("rows_per_second", "Training speed, rows/s", "training speed beside whatever else ran"),
        of_a_metric=True,
    ),
}
TABLES = {"cost": ("Cost", lambda material: table(material.ledger))}
