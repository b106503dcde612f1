"""Results known from elsewhere, as tables and sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from mdaf_core.reporting.topics.comparison.frames import VERDICT_MARKS

if TYPE_CHECKING:
    from mdaf_core.analysis.reported_results import ReportedTable


def reported_table(found: ReportedTable) -> pl.DataFrame:
    """Reported results as people read them; differences in bp."""
    rows = [
        (
            r.name, VERDICT_MARKS.get(r.verdict, r.verdict), r.auc, r.se,
            *((r.difference.estimate * 1e4, r.difference.low * 1e4, r.difference.high * 1e4) if r.difference
              else (None,) * 3),
            r.rows_needed,
        )
        for r in found.results
    ]  # fmt: skip
    columns = {
        "Reported": pl.String, "Verdict": pl.String, "AUC": pl.Float64, "Standard error": pl.Float64,
        "Δ, bp": pl.Float64, "Low, bp": pl.Float64, "High, bp": pl.Float64,
        f"Rows for {found.difference_bp:g} bp": pl.Int64,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=columns, orient="row")


def reported_rows(found: ReportedTable) -> pl.DataFrame:
    """Rows that show the difference asked for, by the correlation that is assumed."""
    rows = [(r.correlation, r.se * 1e4, r.rows_needed, r.times) for r in found.rows_by_correlation]
    columns = ["Correlation", "Standard error, bp", "Rows needed", "Times as many"]
    return pl.DataFrame(rows, schema=columns, orient="row")


def reported_power(found: ReportedTable) -> list[str]:
    """How many rows or seeds the difference asked for would take, in sentences."""
    rows = ", ".join(f"{r.rows_needed:,} at a correlation of {r.correlation:g}" for r in found.rows_by_correlation)
    seeds = ", ".join(f"{n or 'more than 1,000'} at {sd} bp" for sd, n in found.seeds_by_sd.items())
    what = f"that show a true difference of {found.difference_bp:g} bp {found.power:.0%} of the time"
    return [
        f"Rows {what}, with these trained models: {rows}.",
        f"Seeds of each model {what}, on given rows, by the standard deviation of their differences: {seeds}.",
    ]
