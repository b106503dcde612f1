"""AUC on parts of the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl

from mdaf_core.base.errors import UsageError
from mdaf_core.data.store.schema import Split
from mdaf_core.reporting import captions, parts
from mdaf_core.reporting.drawing import alt
from mdaf_core.reporting.figure import Drawn, Kind
from mdaf_core.reporting.material import Material
from mdaf_core.runs.tracking import RunRecord


def frame(runs: Sequence[RunRecord], configurations: Sequence[str], dimension: str, split: Split) -> pl.DataFrame:
    """`slice_metrics` of some configurations, all their seeds together; `slice` says how many rows it has."""
    from mdaf_core.analysis.slices import slice_metrics
    from mdaf_core.runs.groups import by_configuration

    groups = by_configuration([run for run in runs if run.configuration in configurations])
    ordered: dict[str, Sequence[RunRecord]] = {
        name: list(groups[name].values()) for name in configurations if name in groups
    }
    frame = slice_metrics(ordered, dimension, split)
    rows = pl.col("rows").map_elements("{:,}".format, return_dtype=pl.String)
    return frame.with_columns(slice=pl.format("{}  ({} rows)", "slice", rows))


def table(frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` with one row a slice: Slice, Rows, Positives, and the AUC of each configuration."""
    wide = frame.pivot(on="configuration", index=["slice", "rows", "positives"], values="auc")
    names = {"slice": "Slice", "rows": "Rows", "positives": "Positives"}
    return wide.with_columns(pl.col("slice").str.replace(r"  \(.*\)$", "")).rename(names)


def chart(frame: pl.DataFrame, *, order: Sequence[str], y_title: str) -> alt.TopLevelMixin:
    """AUC with interval on each slice of one dimension, configurations side by side.

    Args:
        frame: configuration, slice (label, in order of appearance), auc, low, high, rows.
    """
    shown = parts.shown(frame, order)
    labels = list(dict.fromkeys(frame["slice"].to_list()))
    scale = alt.Scale(zero=False, nice=True, padding=8)
    base = alt.Chart(frame).encode(
        y=alt.Y("slice:N", sort=labels, title=y_title, axis=alt.Axis(grid=True, labelLimit=260)),
        yOffset=alt.YOffset("configuration:N", sort=shown),
        color=parts.colour(order, shown),
    )
    x_title = "AUC, 95% interval"
    return parts.layered(
        base.mark_rule(strokeWidth=1.3).encode(x=alt.X("low:Q", scale=scale, title=x_title), x2=alt.X2("high:Q")),
        base.mark_point(filled=True).encode(
            x=alt.X("auc:Q", scale=scale, title=x_title),
            shape=parts.shape(order, shown),
            tooltip=parts.tooltips(
                configuration="Configuration", slice="Slice", auc="AUC", low="95% low", high="95% high", rows="Rows|,d"
            ),
        ),
    ).properties(height=alt.Step(parts.ROW if len(shown) == 1 else 11))


MOST_ROWS = 48  # of slices × configurations in one chart, to fit a page


def _slices(dimension: str) -> Callable[[Material], Drawn]:
    def make(material: Material) -> Drawn:
        from mdaf_core.analysis.slices import TITLES, slices_cover

        names = [name for name in material.lines if name in {run.configuration for run in material.drawn}]
        data = frame(material.drawn, names, dimension, material.split)
        if data["slice"].n_unique() < 2:
            raise UsageError(f'By "{TITLES[dimension]}", all rows are in one slice.')
        fitting = max(1, MOST_ROWS // data["slice"].n_unique())
        names, data = names[:fitting], data.filter(pl.col("configuration").is_in(names[:fitting]))
        runs = [run for run in material.drawn if run.configuration in names]
        drawn = chart(data, order=material.study.configuration_names, y_title=TITLES[dimension])
        caption = (
            f"AUC by {captions.lower(TITLES[dimension])}, {captions.rows(material)}: {captions.each(runs)} with 95% "
            f"intervals, which cover {slices_cover(data, runs[0], material.split)}.{captions.left_out(material, runs)}"
        )
        return drawn, data, caption

    return make


FIGURES = {
    "slices-history": Kind("AUC by history length", "Slices", _slices("history_length")),
    "slices-activity": Kind("AUC by user activity", "Slices", _slices("user_activity")),
    "slices-popularity": Kind("AUC by item popularity", "Slices", _slices("item_popularity")),
    "slices-unseen": Kind("AUC by unseen ids", "Slices", _slices("unseen")),
    "slices-hour": Kind("AUC by hour", "Slices", _slices("hour")),
    "slices-segment": Kind("AUC by planted segment", "Slices", _slices("segment")),
}
