"""How much data or how many seeds a difference takes, before and after a study."""

from __future__ import annotations

import math

import numpy as np
from pydantic import BaseModel, Field

from mdaf_core.analysis.compared import ComparedConfiguration, StudyComparison
from mdaf_core.analysis.margins import bp_words
from mdaf_core.analysis.significance import BP, LEVEL, Difference, half_width
from mdaf_core.base.errors import UsageError
from mdaf_core.metrics.values import Undefined

POWER = 0.8


class Needed(BaseModel):
    """What finding a difference between one configuration and the reference takes, each source of chance by itself."""

    configuration: str
    rows: int | None = Field(None, description="That there are.")
    rows_needed: int | None = Field(
        None,
        description="With these trained models, whatever other seeds would give; two digits, as all that is needed.",
    )
    seeds: int = Field(description="That both have.")
    seeds_needed: int | None = Field(None, description="On these rows, whatever other rows would give.")
    sd_seeds: float | None = Field(None, description="Of the differences paired by seed, in the metric.")
    detectable: float | None = Field(None, description="Difference that the study as it is finds with this power.")
    needs_both: bool = Field(False, description="More rows and more seeds than there are: neither alone will do.")
    notes: list[str] = []


class Power(BaseModel):
    """Rows and seeds that a true difference takes to be found with probability `power` at 5%, unadjusted."""

    reference: str
    metric: str
    difference_bp: float
    power: float = POWER
    configurations: list[Needed]


def two_digits(number: int) -> int:
    """A needed number rounded up to two digits: it comes from an estimated variance, and holds no more."""
    if number < 100:
        return number
    unit: int = 10 ** (len(str(number)) - 2)
    return -(-number // unit) * unit


def rounded(number: int) -> str:
    """`two_digits` as it is printed: 1,234,567 → `1,300,000`."""
    return f"{two_digits(number):,}"


def reach(power: float = POWER, level: float = LEVEL) -> float:
    """Standard errors that a true difference must measure to be found with this power: z₁₋α/₂ + z_power."""
    from scipy.special import ndtri

    return float(ndtri((1 + level) / 2) + ndtri(power))


def rows_for(variance: float, rows: int, difference_bp: float, power: float = POWER, level: float = LEVEL) -> int:
    """Rows at which an estimate whose variance on `rows` rows is `variance` shows a true difference.

    The standard error falls with √rows at the same rows a user: n · ((z₁₋α/₂ + z_power) · se / δ)².
    """
    return math.ceil(rows * variance * (reach(power, level) / (difference_bp * BP)) ** 2)


def rows_needed(test: Difference, rows: int, difference_bp: float, power: float = POWER) -> int:
    """`rows_for` this test's variance over rows or users. Seeds are left out.

    Raises:
        Undefined: the standard error is 0.
    """
    variance = sum(c.variance for c in test.components if c.name != "seeds")
    if variance <= 0:
        raise Undefined("The two models rank these rows alike, so no number of rows can be derived.")
    return rows_for(variance, rows, difference_bp, power, test.level)


def seeds_needed(sd: float, difference_bp: float, power: float = POWER, level: float = LEVEL, most: int = 1000) -> int:
    """Seeds at which a paired t test finds a true mean difference of `difference_bp`, by the noncentral t distribution.

    Args:
        sd: standard deviation over seeds of the paired differences, in AUC.
        most: the search ends here.

    Raises:
        Undefined: more than `most` seeds would be needed.
    """
    from scipy.special import nctdtr, stdtrit

    if sd <= 0:
        return 2
    effect = difference_bp * BP / sd
    for n in range(2, most + 1):
        critical = -stdtrit(n - 1, (1 - level) / 2)
        if 1 - nctdtr(n - 1, effect * np.sqrt(n), critical) >= power:
            return n
    raise Undefined(f"More than {most:,} seeds would be needed for {bp_words(difference_bp * BP)} bp.")


def detectable(test: Difference, power: float = POWER) -> float:
    """True difference that a test of this variance finds with about this power, in the metric's units."""
    from scipy.special import ndtri

    return half_width(test.components, 1 - test.level) + float(ndtri(power)) * test.se


def power_of(comparison: StudyComparison, difference_bp: float, power: float = POWER) -> Power:
    """What it would take to find a true difference of `difference_bp` from the reference, for each configuration.

    Raises:
        UsageError: the difference is not above 0.
    """
    if not (difference_bp > 0 and math.isfinite(difference_bp)):
        raise UsageError(f"The difference to be found must be a number of bp above 0; got {difference_bp}.")
    compared = [c for c in comparison.configurations if c.difference is not None]
    return Power(
        reference=comparison.reference,
        metric=comparison.metric,
        difference_bp=difference_bp,
        power=power,
        configurations=[_needed(c, comparison.rows, difference_bp, power) for c in compared],
    )


def _needed(entry: ComparedConfiguration, rows: int | None, difference_bp: float, power: float) -> Needed:
    out = Needed(configuration=entry.configuration, rows=rows, seeds=len(entry.shared_seeds))
    if entry.difference_rows is not None and rows:
        try:
            out.rows_needed = two_digits(rows_needed(entry.difference_rows, rows, difference_bp, power))
        except Undefined as reason:
            out.notes.append(str(reason))
    if out.seeds < 2:
        out.notes.append("one seed: how much seeds differ is not known, so no number of seeds can be derived")
        return out
    out.sd_seeds = float(np.std(list(entry.seed_differences.values()), ddof=1))
    try:
        out.seeds_needed = two_digits(seeds_needed(out.sd_seeds, difference_bp, power))
    except Undefined as reason:
        out.notes.append(str(reason))
    few_seeds = out.seeds_needed is None or out.seeds_needed > out.seeds  # None: more than can be counted
    out.needs_both = bool(few_seeds and out.rows_needed and rows and out.rows_needed > rows)
    if out.needs_both:
        out.notes.append(
            "more rows and more seeds are both needed: the rows take the seeds' spread as none, the seeds take these "
            "rows as given, so neither number alone will do"
        )
    if entry.difference is not None:
        out.detectable = detectable(entry.difference, power)
    return out
