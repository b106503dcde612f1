"""How scores rank rows and what they promise: ROC, precision and recall, calibration."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from mdaf_core.reporting import captions, parts
from mdaf_core.reporting.drawing import alt
from mdaf_core.reporting.figure import Drawn, Kind
from mdaf_core.reporting.material import Material


def roc(frame: pl.DataFrame, *, order: Sequence[str]) -> alt.TopLevelMixin:
    """ROC curves, one a run: run_id, configuration, fpr, tpr."""
    shown = parts.shown(frame, order)
    unit = alt.Scale(domain=[0, 1], nice=False)
    diagonal = alt.Chart(alt.Data(values=[{"fpr": 0, "tpr": 0}, {"fpr": 1, "tpr": 1}])).mark_line(style="guide")
    lines = alt.Chart(frame).mark_line(strokeWidth=1.6)
    axis = alt.Axis(**parts.SHARES)
    x = alt.X("fpr:Q", scale=unit, title="False positive rate", axis=axis)
    y = alt.Y("tpr:Q", scale=unit, title="True positive rate", axis=axis)
    return parts.layered(
        diagonal.encode(x=x, y=y),
        lines.encode(
            x=x,
            y=y,
            color=parts.colour(order, shown, symbolType="stroke", symbolSize=300),
            strokeDash=parts.dash(order, shown),
            detail=alt.Detail("run_id:N"),
            order=alt.Order("fpr:Q"),
            tooltip=parts.tooltips(
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
    shown = parts.shown(frame, order)
    first = frame.group_by("run_id", maintain_order=True).first().select(frame.columns)
    steps = pl.concat([first.with_columns(recall=pl.lit(0.0)), frame]).with_row_index("step")
    x = alt.X("recall:Q", scale=alt.Scale(domain=[0, 1], nice=False), title="Recall", axis=alt.Axis(**parts.SHARES))
    y = alt.Y("precision:Q", scale=alt.Scale(zero=True, nice=True), title="Precision")
    ends = alt.Chart(alt.Data(values=[{"recall": 0, "precision": rate}, {"recall": 1, "precision": rate}]))
    return parts.layered(
        ends.mark_line(style="guide").encode(x=x, y=y),
        alt.Chart(steps)
        .mark_line(strokeWidth=1.6, interpolate="step-before")
        .encode(
            x=x,
            y=y,
            color=parts.colour(order, shown, symbolType="stroke", symbolSize=300),
            strokeDash=parts.dash(order, shown),
            detail=alt.Detail("run_id:N"),
            order=alt.Order("step:Q"),
            tooltip=parts.tooltips(configuration="Configuration", recall="Recall|.4f", precision="Precision|.4f"),
        ),
    ).properties(height=300)


def calibration(frame: pl.DataFrame, *, order: Sequence[str]) -> alt.TopLevelMixin:
    """Reliability: predicted against observed rate in bins of equal mass, with intervals and rows a bin.

    Args:
        frame: run_id, configuration, predicted, observed, low, high (interval of the observed rate), rows.
    """
    shown = parts.shown(frame, order)
    end = min(1.0, 1.05 * max([1e-9, *frame["predicted"].to_list(), *frame["high"].drop_nulls().to_list()]))
    limit = alt.Scale(domain=[0, end], nice=False)
    x = alt.X("predicted:Q", scale=limit, title="Mean predicted probability of a bin")
    diagonal = alt.Chart(alt.Data(values=[{"predicted": 0, "observed": 0}, {"predicted": end, "observed": end}]))
    base = alt.Chart(frame).encode(x=x, color=parts.colour(order, shown))

    def y(field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", scale=limit, title="Observed rate")

    return parts.layered(
        diagonal.mark_line(style="guide").encode(x=x, y=y("observed")),
        base.mark_rule(opacity=0.5).encode(y=y("low"), y2=alt.Y2("high:Q")),
        base.mark_line(strokeWidth=1.2, opacity=0.7).encode(y=y("observed"), detail=alt.Detail("run_id:N")),
        base.mark_point(filled=True).encode(
            y=y("observed"),
            shape=parts.shape(order, shown),
            tooltip=parts.tooltips(
                configuration="Configuration",
                predicted="Predicted",
                observed="Observed",
                low="95% low",
                high="95% high",
                rows="Rows in bin|,d",
            ),
        ),
    ).properties(height=300)


def _roc(material: Material) -> Drawn:
    from mdaf_core.analysis.curves import curve_points

    runs = material.of_one_seed
    data = curve_points(runs, "roc", material.split)
    chart = roc(data, order=material.study.configuration_names)
    return (
        chart,
        data,
        f"ROC curves on {captions.rows(material)}, one run each (seed {runs[0].seed}).{captions.left_out(material)}",
    )


def _precision_recall(material: Material) -> Drawn:
    from mdaf_core.analysis.curves import curve_points

    runs = material.of_one_seed
    data = curve_points(runs, "pr", material.split)
    rate = next(
        (s.positives / s.rows for run in runs if run.result and (s := getattr(run.result, material.split))), 0.0
    )
    chart = precision_recall(data, rate, order=material.study.configuration_names)
    caption = (
        f"Precision-recall curves on {captions.rows(material)}, one run each (seed {runs[0].seed}); the area under "
        f"each is its average precision (PR-AUC). Thin grey line: the share of positives, {rate:.2%}, which ranking "
        f"at random gives.{captions.left_out(material)}"
    )
    return chart, data, caption


def _calibration(material: Material) -> Drawn:
    from mdaf_core.analysis.curves import curve_points

    runs = material.of_one_seed
    data = curve_points(runs, "calibration", material.split)
    chart = calibration(data, order=material.study.configuration_names)
    caption = (
        f"Calibration on {captions.rows(material)}, one run each (seed {runs[0].seed}): observed rate against mean "
        f"prediction in bins of equal size, with 95% Wilson intervals for as many "
        f"independent rows as those of its users are worth.{captions.left_out(material)}"
    )
    return chart, data, caption


FIGURES = {
    "roc": Kind("ROC curves", "ROC and calibration", _roc),
    "precision-recall": Kind("Precision-recall curves", "ROC and calibration", _precision_recall),
    "calibration": Kind("Calibration", "ROC and calibration", _calibration),
}
