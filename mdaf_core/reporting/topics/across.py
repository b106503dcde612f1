"""Configurations × data sets: the frames, the table, the figure, and what is said beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from mdaf_core.analysis.compared import ComparedConfiguration
from mdaf_core.analysis.margins import AFTERWARDS
from mdaf_core.analysis.plan import MARKS, NO_PLAN, marked, unplanned_mark
from mdaf_core.base.words import listed, plural
from mdaf_core.data.store.schema import SPLIT_NAMES
from mdaf_core.metrics.registry import metric
from mdaf_core.reporting import parts
from mdaf_core.reporting.drawing import alt
from mdaf_core.reporting.figure import Drawn, Kind
from mdaf_core.reporting.material import Material
from mdaf_core.reporting.paper.table import PaperTable
from mdaf_core.reporting.topics.comparison.frames import with_symbol
from mdaf_core.reporting.topics.comparison.table import MARKS as WORD_MARKS
from mdaf_core.reporting.topics.comparison.table import ranks
from mdaf_core.reporting.words import MISSING, signed

if TYPE_CHECKING:
    from mdaf_core.analysis.across import AcrossComparison, AcrossRow, Average
    from mdaf_core.studies.across import Table

HERE, ELSEWHERE = "Mean of these", "For others like them"
"""What the two averages are called beside the names of data sets."""
PLACE = "Mean place"
BP = 1e4


def across_frame(found: AcrossComparison) -> pl.DataFrame:
    """One row a configuration and data set, and one an average: what the figure draws and the CSV holds."""
    rows: list[dict[str, Any]] = []
    for row in found.rows:
        for data, cell in row.cells.items():
            d = cell.difference
            both = d is not None and d.covers_seeds
            rows.append(
                _record(row.configuration, data, "data set", cell.verdict)
                | {
                    "mean": cell.summary and cell.summary.mean,
                    "seeds": len(cell.values),
                    "difference_bp": d and d.estimate * BP,
                    "low_bp": d.low * BP if d is not None and both else None,
                    "high_bp": d.high * BP if d is not None and both else None,
                    "p": d and d.p,
                    "p_adjusted": cell.p_adjusted,
                    "covers": d.covers if d is not None and both else None,
                }
            )
        for title, average in ((HERE, row.here), (ELSEWHERE, row.elsewhere)):
            if average is not None:
                test = average.test
                rows.append(
                    _record(row.configuration, title, "average", average.verdict)
                    | {
                        "difference_bp": test.estimate * BP,
                        "low_bp": test.low * BP,
                        "high_bp": test.high * BP,
                        "p": test.p,
                        "p_adjusted": average.p_adjusted,
                        "covers": test.covers,
                    }
                )
    numbers = ("mean", "difference_bp", "low_bp", "high_bp", "p", "p_adjusted")
    schema = {"configuration": pl.String, "on": pl.String, "kind": pl.String, "seeds": pl.Int64}
    schema |= dict.fromkeys(numbers, pl.Float64) | {"verdict": pl.String, "covers": pl.String}
    return pl.DataFrame(rows, schema=schema)


def _record(configuration: str, on: str, kind: str, verdict: str) -> dict[str, Any]:
    return {"configuration": configuration, "on": on, "kind": kind, "verdict": verdict}


def across_table(found: AcrossComparison, columns: Table, differences: bool = True) -> pl.DataFrame:
    """What pages and the command line show: one row a configuration, its mean and word on each data set.

    Args:
        differences: with a column for each data set's difference.
    """
    out: dict[str, list[Any]] = {"Configuration": [row.configuration for row in found.rows]}
    for data in found.datasets:
        cells = [row.cells.get(data) for row in found.rows]
        out[data] = [cell.summary.mean if cell and cell.summary else None for cell in cells]
        if differences:
            of_data = [cell.difference if cell else None for cell in cells]
            out[f"Δ bp, {data}"] = [d.estimate * BP if d else None for d in of_data]
        out[f"Verdict, {data}"] = [_word(row, data, columns) for row in found.rows]
    for title, averages in ((HERE, "here"), (ELSEWHERE, "elsewhere")):
        tests: list[Average | None] = [getattr(row, averages) for row in found.rows]
        if averages == "here":
            out["Mean Δ, bp"] = [one.test.estimate * BP if one else None for one in tests]
        out[f"{title}, ± bp"] = [(one.test.high - one.test.low) / 2 * BP if one else None for one in tests]
        out[title] = [with_symbol(row.words(averages)) for row in found.rows]  # type: ignore[arg-type]
    out[PLACE] = [row.rank for row in found.rows]
    texts = {"Configuration", HERE, ELSEWHERE, *(f"Verdict, {data}" for data in found.datasets)}
    return pl.DataFrame(out, schema={name: pl.String if name in texts else pl.Float64 for name in out})


def _word(row: AcrossRow, data: str, columns: Table) -> str:
    cell = row.cells.get(data)
    if cell is None:
        return "not run"
    return with_symbol(marked(cell.verdict, columns.columns[data].conditions, row.configuration))


def across_sentences(found: AcrossComparison) -> list[str]:
    """What the table is and rests on: the two averages, what p values are adjusted over, marks, notes."""
    by, count = metric(found.metric), len(found.datasets)
    lower = "; below 0 is better" if by.direction < 0 else ""
    out = [
        f"{by.title} on {SPLIT_NAMES[found.split]} rows of {plural(count, 'data set')}. Δ: difference to "
        f"{found.reference} on the same rows, paired by seed (1 bp = 0.0001{lower}). Verdicts on a data set are "
        "adjusted by Holm's method over the configurations there."
    ]
    if here := next((row.here for row in found.rows if row.here), None):
        covers = here.test.covers.removesuffix(", on these data sets")
        out.append(
            f"{HERE}: the data sets' differences averaged, each data set counting alike; its interval covers {covers}, "
            f"on these {count} data sets. {ELSEWHERE}: t test over the {count} differences, which covers "
            "other data sets, taken to be drawn like these. Both adjusted by Holm's method over "
            f"{plural(found.tests, 'configuration')}; intervals are not."
        )
    if found.ranked > 1:
        out.append(f"{PLACE}: among the {found.ranked} configurations that all data sets have, 1 the best.")
    if found.chosen_after:
        out.append(f"Averages were chosen after results were seen: {'; '.join(found.chosen_after)}.")
    used = {mark for row in found.rows for mark in row.mark}
    legend = [f"{MARKS[reason]} {reason}" for reason in (AFTERWARDS, NO_PLAN) if MARKS[reason] in used]
    if legend:
        out.append(f"{'; '.join(legend)}.")
    return out + found.notes


def across_paper(found: AcrossComparison, columns: Table, said: str = "") -> PaperTable:
    """The table of configurations × data sets for the paper. `said`: what must be known beside it."""
    direction = metric(found.metric).direction
    cells: dict[str, list[str]] = {"Configuration": [row.configuration for row in found.rows]}
    best: dict[str, set[int]] = {}
    second: dict[str, set[int]] = {}
    for data in found.datasets:
        of_data = [row.cells.get(data) for row in found.rows]
        means = [_mean(cell) for cell in of_data]
        cells[data] = [
            MISSING if mean is None else f"{mean:.4f}{_symbols(cell, row, data, columns)}"
            for mean, cell, row in zip(means, of_data, found.rows, strict=True)
        ]
        sound = [None if cell is None or cell.verdict == "not comparable" else _mean(cell) for cell in of_data]
        best[data], second[data] = ranks(sound, 4, direction)
    cells["Mean Δ, bp [these data sets]"] = [_average(row, row.here) for row in found.rows]
    cells["[others like them]"] = [_average(row, row.elsewhere, estimate=False) for row in found.rows]
    cells[PLACE] = [MISSING if row.rank is None else f"{row.rank:.1f}" for row in found.rows]
    meanings = {"▲": "better than the reference", "▼": "worse", "◆": "equivalent within the margin", "○": "interim"}
    text = "".join(value for values in cells.values() for value in values)
    marks = [f"{mark} {words}" for mark, words in meanings.items() if mark in text]
    caption = [
        *across_sentences(found),
        f"{'; '.join(marks)}; no mark: not shown." if marks else "No difference is shown.",
        "Brackets: 95% intervals. Bold: best mean of a column, underlined: second; neither is a claim of significance.",
        said,
    ]
    return PaperTable(
        name=f"across-{found.split}" + ("" if found.metric == "auc" else f"-{found.metric}"),
        title=f"{metric(found.metric).title} on {plural(len(found.datasets), 'data set')}",
        caption=" ".join(filter(None, caption)),
        cells=cells,
        data=across_frame(found),
        best=best,
        second=second,
    )


def _mean(cell: ComparedConfiguration | None) -> float | None:
    return cell.summary.mean if cell is not None and cell.summary else None


def _symbols(cell: ComparedConfiguration | None, row: AcrossRow, data: str, columns: Table) -> str:
    if cell is None:
        return ""
    word = marked(cell.verdict, columns.columns[data].conditions, row.configuration)
    return WORD_MARKS.get(cell.verdict, "") + unplanned_mark(word)


def _average(row: AcrossRow, found: Average | None, estimate: bool = True) -> str:
    if found is None:
        return MISSING
    edges = f"[{signed(found.test.low * BP)}, {signed(found.test.high * BP)}]"
    text = f"{signed(found.test.estimate * BP)} {edges}" if estimate else edges
    return text + WORD_MARKS.get(found.verdict, "") + row.mark


def across_chart(found: AcrossComparison) -> alt.TopLevelMixin:
    """Forest plot: of each configuration its difference on every data set, and under them both averages."""
    order = [row.configuration for row in found.rows if row.configuration != found.reference]
    frame = across_frame(found).filter(pl.col("configuration").is_in(order)).drop_nulls("difference_bp")
    on = [name for name in (*found.datasets, HERE, ELSEWHERE) if name in set(frame["on"])]
    x = parts.in_bp(f"{metric(found.metric).title} minus that of {parts.short_name(found.reference)}, bp")
    legend = alt.Legend(title=None, columns=parts.columns(on), symbolOpacity=1, **parts.labels(on))
    shape = alt.Shape(
        "kind:N", legend=None, scale=alt.Scale(domain=["data set", "average"], range=["circle", "diamond"])
    )
    base = alt.Chart(frame).encode(
        y=parts.names(order),
        yOffset=alt.YOffset("on:N", sort=on, scale=alt.Scale(paddingOuter=0.6)),
        color=alt.Color("on:N", scale=alt.Scale(domain=on), legend=legend),
    )
    return parts.layered(
        alt.Chart(alt.Data(values=[{"zero": 0}])).mark_rule(style="guide").encode(x=x("zero")),
        base.mark_rule(strokeWidth=1.4).encode(x=x("low_bp"), x2=alt.X2("high_bp:Q")),
        base.mark_point(style="dot").encode(
            x=x("difference_bp"),
            shape=shape,
            size=alt.condition("datum.kind == 'average'", alt.ExprRef("0.75 * em * em"), alt.ExprRef("0.4 * em * em")),
            tooltip=parts.tooltips(
                configuration="Configuration",
                on="On",
                difference_bp="Difference",
                low_bp="95% low",
                high_bp="95% high",
                p_adjusted="Adjusted p",
                verdict="Verdict",
                covers="Interval covers",
            ),
        ),
    ).properties(height=max(1, len(order)) * (12 * len(on) + 10))


def chart_caption(found: AcrossComparison) -> str:
    """What the figure shows."""
    lines = "Dots: data sets; diamonds: averages; lines: 95% intervals."
    missing = [row.configuration for row in found.rows if row.here is None and row.configuration != found.reference]
    if missing:
        lines += f" Without averages: {listed(missing)}."
    return f"{lines} {' '.join(across_sentences(found))}"


def _figure(material: Material) -> Drawn:
    found = material.over_data_sets
    return across_chart(found), across_frame(found), chart_caption(found)


FIGURES = {"across": Kind("Over data sets", "Comparison", _figure, of_a_metric=True)}
TABLES = {
    "data-sets": (
        "Configurations × data sets",
        lambda material: across_paper(material.over_data_sets, material.together),
    )
}
