"""Results known only by a few figures: an AUC, the rows and positives it was measured on, perhaps a spread over seeds.

Without predictions nothing tells how alike two models rank the rows, so their correlation is an assumption that is
stated, and without a spread over seeds nothing tells what another training would give. Verdicts follow from what the
figures can carry: with one seed they are "not shown", whatever the figures.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mdaf_core.analysis.margins import NO_MARGIN
from mdaf_core.analysis.power import POWER, rows_for, seeds_needed, two_digits
from mdaf_core.analysis.significance import (
    BP,
    LEVEL,
    Component,
    Difference,
    Equivalence,
    Verdict,
    difference,
    equivalence,
    half_width,
    holm,
    intervals_as_they_are,
    verdict,
)
from mdaf_core.base.entries import known_entry
from mdaf_core.base.errors import UsageError
from mdaf_core.base.validation import called, describe_validation_error
from mdaf_core.metrics.auc import hanley_mcneil_se
from mdaf_core.metrics.values import Undefined

CORRELATIONS = (0.0, 0.5, 0.8, 0.9, 0.95)  # for which the rows needed are told


class ReportedResult(BaseModel):
    """One row of somebody's table."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    name: str = Field(min_length=1, max_length=120, description="Model or configuration.")
    auc: float = Field(gt=0, lt=1, description="Reported AUC; the mean where there are several seeds.")
    rows: int = Field(ge=4, description="Rows it was measured on.")
    positives: int = Field(ge=2, description="How many of the rows have label 1.")
    seeds: int = Field(1, ge=1, description="Trainings behind the figure.")
    sd: float | None = Field(None, ge=0, lt=0.5, description="Reported standard deviation over seeds, in AUC.")
    source: str = Field("", max_length=300, description="Where the figures are from.")

    @model_validator(mode="after")
    def _fits(self) -> ReportedResult:
        if self.rows - self.positives < 2:
            raise ValueError(f"{self.positives:,} positives in {self.rows:,} rows leave fewer than two negatives")
        if self.sd is not None and self.seeds < 2:
            raise ValueError("a standard deviation over seeds takes two seeds or more")
        return self

    @property
    def se(self) -> float:
        """Standard error over rows, Hanley and McNeil's."""
        return hanley_mcneil_se(self.auc, self.positives, self.rows - self.positives)


_REPORT = "Mamba4Rec report of 2025-10-31, validation; 5% positives assumed"
_PRESETS = {
    "report": [
        ReportedResult(name=name, auc=auc, rows=225_446, positives=11_272, source=_REPORT)
        for name, auc in (
            ("Mamba4Rec v2", 0.5716),
            ("BST", 0.5711),
            ("Mamba4Rec v1", 0.5814),
            ("AutoInt", 0.5499),
            ("DCNv2", 0.5498),
        )
    ]
}
PRESET_REFERENCES = {"report": "BST"}


class ReportedComparison(BaseModel):
    """One reported result against the reference: this one minus the reference, in AUC."""

    name: str
    auc: float
    se: float = Field(description="Over rows, Hanley and McNeil 1982.")
    low: float
    high: float
    difference: Difference | None = Field(None, description="With the assumed correlation.")
    equivalence: Equivalence | None = None
    p_adjusted: float | None = None
    verdict: Verdict
    rows_needed: int | None = Field(None, description="Rows that show the difference asked for, at this correlation.")
    notes: list[str] = []


class ReportedRows(BaseModel):
    """Rows needed to show a difference, for an assumed correlation of the two AUCs."""

    correlation: float
    se: float = Field(description="Standard error of the difference on the rows there are.")
    rows_needed: int
    times: float = Field(description="As a multiple of the rows there are.")


class ReportedTable(BaseModel):
    """Reported results, best first, against one of them."""

    reference: str
    correlation: float
    margin_bp: float | None = Field(description="Of AUC, as the reader set it; None: parity is not tested.")
    difference_bp: float = Field(description="The difference that rows and seeds are derived for.")
    power: float = POWER
    level: float = LEVEL
    results: list[ReportedComparison]
    rows_by_correlation: list[ReportedRows] = Field(description="For the reference against a model of the same AUC.")
    seeds_by_sd: dict[str, int | None] = Field(
        description="Standard deviation over seeds of the differences, in bp → seeds needed; null: more than 1,000."
    )
    notes: list[str]


def preset_results(name: str) -> list[ReportedResult]:
    """The Mamba4Rec report's table of models (`report`).

    Raises:
        UsageError: unknown name.
    """
    return [result.model_copy() for result in known_entry(name, _PRESETS, "are no reported results")]


def read_results(raw: Sequence[dict[str, Any]]) -> list[ReportedResult]:
    """Results as a study or a table stores them.

    Raises:
        UsageError: a row is not valid, or two share a name; the message says which row.
    """
    found = []
    for i, item in enumerate(raw, 1):
        try:
            found.append(ReportedResult.model_validate(item))
        except ValidationError as error:
            raise UsageError(describe_validation_error(error, f"Row {i}{called(item)}")) from None
    names = [result.name for result in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"Two reported results share a name: {', '.join(twice)}.")
    return found


def parse_results(text: str) -> list[ReportedResult]:
    """Results of a CSV table with a heading: name, auc, rows, positives, and if known seeds, sd, source.

    Raises:
        UsageError: a column is missing or unknown, or a row is not valid.
    """
    reader = csv.DictReader(io.StringIO(text.lstrip("\ufeff")), skipinitialspace=True, strict=True)
    fields = list(ReportedResult.model_fields)
    try:
        head = [(name or "").strip().lower() for name in reader.fieldnames or []]
        missing = [name for name in fields[:4] if name not in head]
        unknown = [name for name in head if name not in fields]
        if missing or unknown:
            what = f"lacks {', '.join(missing)}" if missing else f"has unknown columns: {', '.join(unknown)}"
            raise UsageError(
                f"The table of reported results {what}. Columns: {', '.join(fields)}; the first four count."
            )
        reader.fieldnames = head
        rows = list(reader)
    except csv.Error as error:
        raise UsageError(f"This is not a CSV table: {error} (line {reader.line_num}).") from None
    if any(None in row for row in rows):
        raise UsageError("A row has more cells than the heading has columns.")
    return read_results([{k: v.strip() for k, v in row.items() if v and v.strip()} for row in rows])


def compare_reported(
    results: Sequence[ReportedResult],
    reference: str | None = None,
    *,
    correlation: float = 0.0,
    margin_bp: float | None = None,
    difference_bp: float = 5.0,
) -> ReportedTable:
    """Reported results against `reference` (default: the first), with what their figures can carry.

    Intervals take the assumed correlation. Verdicts do not lean on it: they take the AUCs as independent, the widest
    (two models on the same rows are hardly ever correlated below 0), and need a spread over seeds on both sides; their
    p values are Holm-adjusted.

    Args:
        correlation: of the two AUCs over samples of rows, 0 ≤ r < 1.
        margin_bp: half-width of what counts as parity, in bp of AUC; None: parity is not tested.

    Raises:
        UsageError: no results, an unknown reference, or a number out of range.
    """
    if not results:
        raise UsageError("There are no reported results to compare.")
    if not 0 <= correlation < 1:
        raise UsageError(f"The correlation of two AUCs must be at least 0 and below 1; got {correlation}.")
    for what, value in (("margin", margin_bp), ("difference to be shown", difference_bp)):
        if value is not None and not (value > 0 and math.isfinite(value)):
            raise UsageError(f"The {what} must be a number of bp above 0; got {value}.")
    base = next((r for r in results if r.name == reference), None) if reference else results[0]
    if base is None:
        raise UsageError(f"There is no reported result {reference!r}. There are: {', '.join(r.name for r in results)}.")
    found = [_against(result, base, correlation, margin_bp, difference_bp) for result in results]
    compared = [one for one in found if one.difference is not None]
    _decide(compared, results, base, margin_bp)
    found.sort(key=lambda one: -one.auc)
    return ReportedTable(
        reference=base.name,
        correlation=correlation,
        margin_bp=margin_bp,
        difference_bp=difference_bp,
        results=found,
        rows_by_correlation=[_rows(base, r, difference_bp) for r in CORRELATIONS],
        seeds_by_sd={f"{sd:g}": _seeds(sd, difference_bp) for sd in (2.0, 5.0, 10.0, 20.0)},
        notes=_notes(correlation, margin_bp, len(compared)),
    )


def _components(a: ReportedResult, b: ReportedResult, correlation: float) -> list[Component]:
    """Sources of variance of a difference: rows, and seeds where both have a spread."""
    rows = a.se**2 + b.se**2 - 2 * correlation * a.se * b.se
    out = [Component(name="rows", variance=rows)]
    if _has_spread(a, b):
        out += [Component(name="seeds", variance=(r.sd or 0.0) ** 2 / r.seeds, df=r.seeds - 1) for r in (a, b)]
    return out


def _has_spread(*results: ReportedResult) -> bool:
    return all(r.sd is not None and r.seeds > 1 for r in results)


def _difference(a: ReportedResult, b: ReportedResult, correlation: float) -> Difference:
    over = "other rows and other seeds" if _has_spread(a, b) else "other rows, with these trained models"
    return difference(
        a.auc - b.auc,
        _components(a, b, correlation),
        covers=over,
        method=f"Hanley-McNeil, correlation {correlation:g} assumed",
    )


def _against(
    result: ReportedResult, base: ReportedResult, correlation: float, margin_bp: float | None, difference_bp: float
) -> ReportedComparison:
    width = half_width([Component(name="rows", variance=result.se**2)], 1 - LEVEL)
    out = ReportedComparison(
        name=result.name,
        auc=result.auc,
        se=result.se,
        low=max(0.0, result.auc - width),
        high=min(1.0, result.auc + width),
        verdict="reference" if result is base else "not shown",
    )
    if result is base:
        return out
    if (result.rows, result.positives) != (base.rows, base.positives):
        out.verdict = "not comparable"
        out.notes.append(
            f"{result.rows:,} rows with {result.positives:,} positives are not the reference's {base.rows:,} with "
            f"{base.positives:,}: figures of different rows are not compared"
        )
        return out
    out.difference = _difference(result, base, correlation)
    out.equivalence = None if margin_bp is None else equivalence(out.difference, margin_bp)
    out.rows_needed = two_digits(rows_for(out.difference.components[0].variance, result.rows, difference_bp))
    if not _has_spread(result, base):
        out.notes.append(
            "no spread over seeds is reported for both, so what another training would give is not known: "
            "the figures can carry no other verdict"
        )
    return out


def _decide(
    found: Sequence[ReportedComparison],
    results: Sequence[ReportedResult],
    base: ReportedResult,
    margin_bp: float | None,
) -> None:
    """Verdicts from independent AUCs, adjusted over all comparisons; one seed carries none."""
    by_name = {r.name: r for r in results}
    widest = [_difference(by_name[one.name], base, 0.0) for one in found]
    p = holm([test.p for test in widest])
    parity = holm([None if margin_bp is None else equivalence(test, margin_bp).p for test in widest])
    for one, test, p_one, p_parity in zip(found, widest, p, parity, strict=True):
        one.p_adjusted = p_one
        if _has_spread(by_name[one.name], base):
            one.verdict = verdict(test.estimate, p_one, p_parity, min(by_name[one.name].seeds, base.seeds))


def _rows(base: ReportedResult, correlation: float, difference_bp: float) -> ReportedRows:
    variance = 2 * base.se**2 * (1 - correlation)
    needed = two_digits(rows_for(variance, base.rows, difference_bp))
    return ReportedRows(correlation=correlation, se=math.sqrt(variance), rows_needed=needed, times=needed / base.rows)


def _seeds(sd_bp: float, difference_bp: float) -> int | None:
    try:
        return two_digits(seeds_needed(sd_bp * BP, difference_bp))
    except Undefined:
        return None


def _notes(correlation: float, margin_bp: float | None, tests: int) -> list[str]:
    clause = intervals_as_they_are(tests)
    return [
        *([f"{clause[0].upper()}{clause[1:]}; verdicts are."] if clause else []),
        "Reported figures, not computed here. Standard errors are Hanley and McNeil's, from AUC and counts alone; "
        "rows of one user are taken as independent, so they are rather too small.",
        f"Intervals of differences assume a correlation of {correlation:g} between the two AUCs. Without predictions "
        "it cannot be known; verdicts therefore take 0, the widest.",
        f"Parity is tested within ±{margin_bp:g} bp, a margin set by the reader."
        if margin_bp is not None
        else f"{NO_MARGIN[0].upper()}{NO_MARGIN[1:]}.",
    ]
