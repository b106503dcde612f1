"""Results of others: a line a data set, a data set's models, and their runs beside the figure that is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from mdaf_core.reporting import parts
from mdaf_core.reporting.drawing import alt
from mdaf_core.reporting.topics.comparison.frames import VERDICT_MARKS

if TYPE_CHECKING:
    from mdaf_core.analysis.published.found import Audit, DataSetFound, Entry

RUN = "one run"
POINTS = {"mean over seeds": "circle", "shown figure": "diamond"}
"""What is drawn of a model beside its runs → its shape."""
MOST_DRAWN = 20  # models of a data set without seeds


def overview(audit: Audit) -> pl.DataFrame:
    """A line a data set: what can be said of it."""
    rows = [
        (
            found.name, found.metric.title, found.runs, len(found.entries), sum(e.seeds > 1 for e in found.entries),
            found.reference, f"{sum(lead.verdict in ('better', 'worse') for lead in found.leads)} of {len(found.leads)}"
            if found.leads else None,
            found.rank_correlation,
            f"{found.identical:,} of {found.with_both:,}" if found.with_both else None,
        )
        for found in audit.data_sets
    ]  # fmt: skip
    columns = {
        "Data set": pl.String, "Metric": pl.String, "Runs": pl.Int64, "Models": pl.Int64, "With seeds": pl.Int64,
        "Best mean": pl.String, "Survive Holm": pl.String, "Rank correlation": pl.Float64,
        "Validation = test": pl.String,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=columns, orient="row")


def table(found: DataSetFound) -> pl.DataFrame:
    """The models of a data set as people read them, best first; differences in bp, or in the metric's own unit.

    Columns that say nothing are left out.
    """
    leads = {lead.model: lead for lead in found.leads}
    unit = f", {found.unit}" if found.unit else ""
    rows = []
    for entry in found.entries:
        lead = leads.get(entry.model)
        test = lead.difference if lead else None
        word = "reference" if entry.model == found.reference else lead.verdict if lead else basis(entry)
        shown = None if entry.shown is None else found.metric.direction * (entry.shown - entry.figure) * found.scale
        rows.append(
            (
                entry.model, VERDICT_MARKS.get(word, word), entry.setting or None, entry.runs, entry.settings,
                entry.seeds, entry.figure, None if entry.high is None else entry.high - entry.figure,
                entry.shown, shown,
                *((edge * found.scale for edge in (test.estimate, test.low, test.high)) if test else (None,) * 3),
                test.p if test else None, lead.p_holm if lead else None, lead.p_parity_holm if lead else None,
            )
        )  # fmt: skip
    columns = {
        "Model": pl.String, "Verdict": pl.String, "Setting": pl.String, "Runs": pl.Int64, "Settings": pl.Int64,
        "Seeds": pl.Int64, "Figure": pl.Float64, "± 95%": pl.Float64, "Shown": pl.Float64,
        f"Shown flatters{unit}": pl.Float64, f"Lead{unit}": pl.Float64, f"Low{unit}": pl.Float64,
        f"High{unit}": pl.Float64,
        "p": pl.Float64, "Holm": pl.Float64, "p of parity": pl.Float64,
    }  # fmt: skip
    frame = pl.DataFrame(rows, schema=columns, orient="row")
    return frame.select(c for c in columns if frame[c].null_count() < len(frame) and _tells(frame[c]))


def _tells(column: pl.Series) -> bool:
    return column.name not in ("Runs", "Settings") or bool((column > 1).any())


def basis(entry: Entry) -> str:
    """What stands for a model without seeds, in words."""
    return f"{entry.basis} of {entry.settings}" if entry.basis.startswith("best on") else entry.basis


def drawn(found: DataSetFound) -> list[str]:
    """The models of a data set that a chart shows, best first: those with seeds, where there are two; else the best."""
    seeded = [entry.model for entry in found.entries if entry.seeds > 1]
    return seeded if len(seeded) > 1 else [entry.model for entry in found.entries[:MOST_DRAWN]]


def dots_frame(found: DataSetFound) -> pl.DataFrame:
    """Of the models that are drawn: configuration, what (a run, mean, shown figure), value, low, high, seed."""
    rows: list[tuple[object, ...]] = []
    shown = set(drawn(found))
    for entry in found.entries:
        if entry.model not in shown:
            continue
        rows += [(entry.model, RUN, value, None, None, seed) for seed, value in entry.values.items()]
        if entry.seeds > 1:
            rows.append((entry.model, "mean over seeds", entry.figure, entry.low, entry.high, None))
        if entry.shown is not None:
            rows.append((entry.model, "shown figure", entry.shown, None, None, None))
    columns = {
        "configuration": pl.String, "what": pl.String, "value": pl.Float64, "low": pl.Float64, "high": pl.Float64,
        "seed": pl.String,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=columns, orient="row")


def dots(frame: pl.DataFrame, *, x_title: str) -> alt.TopLevelMixin:
    """Each model's runs as ticks, their mean with its interval, and the figure that is shown of it as a diamond.

    Args:
        frame: `dots_frame`, best model first.
    """
    order = frame["configuration"].unique(maintain_order=True).to_list()
    y = parts.names(order)
    scale = alt.Scale(zero=False, nice=True, padding=8)
    x = alt.X("value:Q", scale=scale, title=x_title, axis=alt.Axis(tickCount=alt.ExprRef("width / (6 * em)")))
    present = [word for word in POINTS if word in set(frame["what"])]
    legend = alt.Legend(title=None, columns=parts.columns(present), values=present, symbolOpacity=1)
    shape = alt.Shape("what:N", scale=alt.Scale(domain=list(POINTS), range=list(POINTS.values())), legend=legend)
    colour = alt.Color("what:N", scale=alt.Scale(domain=list(POINTS)), legend=legend)
    tooltip = parts.tooltips(
        configuration="Model", what="What", value="Figure", seed="Seed", low="95% low", high="95% high"
    )
    runs, points = frame.filter(pl.col("what") == RUN), frame.filter(pl.col("what") != RUN)
    return parts.layered(
        alt.Chart(runs).mark_tick(style="muted", height=10, thickness=1.2).encode(y=y, x=x, tooltip=tooltip),
        alt.Chart(points)
        .mark_rule(style="interval")
        .encode(y=y, x=alt.X("low:Q", scale=scale, title=x_title), x2=alt.X2("high:Q")),
        alt.Chart(points).mark_point(style="dot").encode(y=y, x=x, shape=shape, color=colour, tooltip=tooltip),
    ).properties(height=alt.Step(parts.ROW))
