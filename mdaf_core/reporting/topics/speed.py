"""How long models take to answer, by the length of the history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from mdaf_core.base.errors import UsageError
from mdaf_core.base.words import listed
from mdaf_core.predicting.measured import WAYS, Measured, kept
from mdaf_core.reporting import parts
from mdaf_core.reporting.drawing import alt
from mdaf_core.reporting.figure import Drawn, Kind
from mdaf_core.reporting.material import Material
from mdaf_core.reporting.paper.table import PaperTable
from mdaf_core.reporting.words import MISSING

if TYPE_CHECKING:
    from mdaf_core.analysis.speed import Ratio

SHORT = {"raw": "raw", "kept": "kept state"}
USUAL = 100
"""Candidates of the figure for paper, where they were measured."""


def frame(measured: Measured) -> pl.DataFrame:
    """One row a model and task: Configuration, Asked, Threads, Events, Rows, Task, p50, ms, p99, ms, CPU, ms, Rows/s,
    Calls."""
    rows = [
        (c.configuration, SHORT[c.way], c.threads, c.events, c.rows, "bulk" if c.bulk else "one user",
         1e3 * c.p50, 1e3 * c.p99, 1e3 * c.cpu, c.rows_per_second, c.calls)
        for c in measured.cells
    ]  # fmt: skip
    names = ["Configuration", "Asked", "Threads", "Events", "Rows", "Task", "p50, ms", "p99, ms", "CPU, ms", "Rows/s"]
    return pl.DataFrame(rows, schema=[*names, "Calls"], orient="row")


def ratio_frame(ratios: Sequence[Ratio]) -> pl.DataFrame:
    """One row a comparison: who, against whom, the task, Ratio with Low and High, p after Holm, Verdict."""
    rows = [
        (r.configuration, SHORT[r.way], f"{r.against}, {SHORT[r.against_way]}", r.threads, r.events, r.rows,
         "bulk" if r.bulk else "one user", r.ratio, r.low, r.high, r.p_adjusted, r.verdict)
        for r in ratios
    ]  # fmt: skip
    schema = {
        **dict.fromkeys(("Configuration", "Asked", "Against"), pl.String),
        **dict.fromkeys(("Threads", "Events", "Rows"), pl.Int64),
        "Task": pl.String,
        **dict.fromkeys(("Ratio of times", "Low", "High", "p"), pl.Float64),
        "Verdict": pl.String,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def drawn_frame(measured: Measured, threads: int, candidates: int) -> pl.DataFrame:
    """Of one user's requests: configuration, asked (as `WAYS`), events, milliseconds, p99, calls."""
    rows = [
        (c.configuration, WAYS[c.way], c.events, 1e3 * c.p50, 1e3 * c.p99, c.calls)
        for c in measured.cells
        if (c.threads, c.rows, c.bulk) == (threads, candidates, False)
    ]
    names = ["configuration", "asked", "events", "milliseconds", "p99", "calls"]
    return pl.DataFrame(rows, schema=names, orient="row")


def chart(frame: pl.DataFrame, *, order: Sequence[str]) -> alt.TopLevelMixin:
    """Median time of a request against the events of the history, both logarithmic; a line a model, dashed from a kept
    state."""
    shown, ways = parts.shown(frame, order), list(WAYS.values())
    lengths = sorted(frame["events"].unique().to_list())
    scale = alt.Scale(type="log", nice=False, padding=16)
    x = alt.X("events:Q", scale=scale, title="Events in the history", axis=alt.Axis(values=lengths, format=",d"))
    y = alt.Y("milliseconds:Q", scale=alt.Scale(type="log", padding=10), title="Milliseconds a request, median")
    present = [way for way in ways if way in set(frame["asked"].unique())]
    dashes = alt.Scale(domain=ways, range=[[1, 0], [5, 3]])
    legend = (
        alt.Legend(title=None, values=present, symbolType="stroke", labelLimit=0, columns=1)
        if len(present) > 1
        else None
    )
    base = alt.Chart(frame).encode(
        x=x, y=y, color=parts.colour(order, shown), strokeDash=alt.StrokeDash("asked:N", scale=dashes, legend=legend)
    )
    tips = parts.tooltips(
        configuration="Configuration", asked="Asked", events="Events|,d", milliseconds="Median, ms|.3f",
        p99="99% within, ms|.3f", calls="Calls|,d",
    )  # fmt: skip
    points = base.mark_point(style="dot").encode(shape=parts.shape(order, shown), tooltip=tips)
    return parts.layered(base.mark_line(), points).properties(height=parts.HEIGHT)


def caption(measured: Measured, threads: int, candidates: int) -> str:
    """What the chart shows and rests on."""
    what = f"{candidates:,} candidates" if candidates > 1 else "one candidate"
    computed = "one thread" if threads == 1 else f"{threads} threads"
    return " ".join([f"Time to score {what} of one user, on {computed}.", *measured.sentences()])


def of_study(study: str) -> Measured:
    """A study's measurement.

    Raises:
        UsageError: there is none.
    """
    measured = kept(study)
    if measured is None:
        raise UsageError(
            f"The speed of study {study} has not been measured: `python -m mdaf_core speed {study}`, or Measure on "
            "Compare's view Speed."
        )
    return measured


def usual_choice(measured: Measured) -> tuple[int, int]:
    """Threads and candidates that are shown first: the fewest threads, and 100 candidates or the most there are."""
    counts = measured.settings.candidates
    return min(measured.machine["threads"]), USUAL if USUAL in counts else max(counts)


def _figure(material: Material) -> Drawn:
    measured = of_study(material.study.id)
    threads, candidates = usual_choice(measured)
    data = drawn_frame(measured, threads, candidates).filter(pl.col("configuration").is_in(material.lines))
    drawn = chart(data, order=material.study.configuration_names)
    return drawn, data, caption(measured, threads, candidates)


def _table(material: Material) -> PaperTable:
    from mdaf_core.analysis.speed import compare_speed

    measured = of_study(material.study.id)
    threads, candidates = usual_choice(measured)
    verdicts = {
        (r.configuration, r.way, r.events): r
        for r in compare_speed(measured)
        if r.against == measured.reference and (r.threads, r.rows, r.bulk) == (threads, candidates, False)
    }
    cells = [c for c in measured.cells if (c.threads, c.rows, c.bulk) == (threads, candidates, False)]
    compared = [verdicts.get((c.configuration, c.way, c.events)) for c in cells]
    level = "Ratio: its time over the reference's in the same round, median with 95% interval (sign test's order "
    level += "statistics); faster and slower after Holm's adjustment over all comparisons of the measurement."
    return PaperTable(
        name="speed",
        title="How long each model takes to answer",
        caption=f"{caption(measured, threads, candidates)} Reference: {measured.reference}. {level}",
        cells={
            "Configuration": [c.configuration for c in cells],
            "Asked": [SHORT[c.way] for c in cells],
            "Events": [f"{c.events:,}" for c in cells],
            "p50, ms": [f"{1e3 * c.p50:.2f}" for c in cells],
            "p99, ms": [f"{1e3 * c.p99:.2f}" for c in cells],
            "Rows/s": [f"{c.rows_per_second:,.0f}" for c in cells],
            "Ratio": [_ratio(r) for r in compared],
            "Verdict": [r.verdict if r else "reference" if c.configuration == measured.reference else MISSING
                        for r, c in zip(compared, cells, strict=True)],
        },
        data=frame(measured),
    )  # fmt: skip


def _ratio(r: Ratio | None) -> str:
    if r is None:
        return MISSING
    return f"{r.ratio:.2f}" + (f" [{r.low:.2f}, {r.high:.2f}]" if r.low is not None and r.high is not None else "")


VERDICTS = ("faster", "slower", "not shown")


def words(ratios: Sequence[Ratio]) -> list[str]:
    """The verdicts in sentences, a model and way each: at which lengths it is faster, slower, or neither is shown.

    Those of which nothing is shown at any length share the last one.
    """
    out, nothing = [], []
    for key in dict.fromkeys((r.configuration, r.way, r.against, r.against_way) for r in ratios):
        mine = [r for r in ratios if (r.configuration, r.way, r.against, r.against_way) == key]
        name, way, against, other = key
        whom = "its own raw history" if name == against else f"{against} ({SHORT[other]})"
        pair = f"{name} ({SHORT[way]}) against {whom}"
        at = {verdict: sorted({r.events for r in mine if r.verdict == verdict}) for verdict in VERDICTS}
        said = [
            f"{verdict} at {listed([f'{n:,}' for n in lengths])} events" for verdict, lengths in at.items() if lengths
        ]
        if at["faster"] or at["slower"]:
            out.append(f"{pair}: {'; '.join(said)}.")
        else:
            nothing.append(pair)
    return [*out, f"Not shown at any length: {'; '.join(nothing)}."] if nothing else out


FIGURES = {"latency": Kind("Time of a request by history length", "Speed", _figure, of_a_split=False)}
TABLES = {"speed": ("Speed", _table)}
