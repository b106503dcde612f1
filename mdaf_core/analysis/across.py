"""Configurations × data sets: what holds on each of several data sets, on average over them, and on others like them.

Rows of different data sets are never compared. What is averaged are differences to one reference, each paired by seed
on the rows of its own data set, see `comparison.compare_study`; docs/statistics.md has the two models.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, Field

from mdaf_core.analysis.compared import ComparedConfiguration, StudyComparison
from mdaf_core.analysis.margins import AFTERWARDS
from mdaf_core.analysis.plan import MARKS
from mdaf_core.analysis.significance import (
    Component,
    Difference,
    Verdict,
    difference,
    holm,
    verdict,
)
from mdaf_core.base.errors import UsageError
from mdaf_core.base.words import listed
from mdaf_core.data.store.schema import Split
from mdaf_core.metrics.registry import metric as known_metric

FEWEST = 2  # data sets of which an average says more than each alone
SIGN_TEST = 6  # data sets from which a sign test, or Wilcoxon's, can be below 5% at all: 2^(1−6) = 3.1%


class Average(BaseModel):
    """The mean of a configuration's differences over data sets, each counting alike, with its test."""

    test: Difference
    p_adjusted: float | None = Field(None, description="Holm's, over the configurations.")
    verdict: Verdict = "not shown"


class AcrossRow(BaseModel):
    """One configuration on all data sets.

    Attributes:
        cells: data set → what its comparison says of the configuration; data sets without it are left out.
        here: over these data sets, with other seeds and users. elsewhere: over other data sets like these.
        word: why there is no average, where there is none; for the reference `reference`.
        mark: of what was not planned, behind the words of the averages.
        rank: mean over data sets of its place by the metric, 1 the best; None where a data set lacks it.
    """

    configuration: str
    cells: dict[str, ComparedConfiguration]
    here: Average | None = None
    elsewhere: Average | None = None
    word: Verdict | Literal["one data set"] = "not comparable"
    mark: str = ""
    rank: float | None = None

    def words(self, over: Literal["here", "elsewhere"]) -> str:
        """The word of an average with its mark; where there is none, why."""
        found = self.here if over == "here" else self.elsewhere
        return f"{found.verdict} {self.mark}".strip() if found else self.word

    def shown(self, word: Verdict) -> int:
        """On how many data sets the verdict is `word`."""
        return sum(cell.verdict == word for cell in self.cells.values())


class AcrossComparison(BaseModel):
    """All configurations on all data sets, by one metric against one reference; the best mean place first."""

    reference: str
    split: Split
    metric: str
    datasets: list[str]
    rows: list[AcrossRow]
    tests: int = Field(0, description="Averages that p values are adjusted over.")
    ranked: int = Field(0, description="Configurations that all data sets have: those that places are among.")
    chosen_after: list[str] = Field([], description="What of putting these together was not planned.")
    notes: list[str] = []

    def row(self, configuration: str) -> AcrossRow:
        return next(row for row in self.rows if row.configuration == configuration)


def compare_across(
    columns: Mapping[str, StudyComparison],
    chosen_after: Sequence[str] = (),
    notes: Sequence[str] = (),
    dependent: str = "",
) -> AcrossComparison:
    """Hold comparisons on several data sets beside each other and average the differences of each configuration.

    Words on a data set stay those of its own comparison, adjusted over that one's configurations. Words of averages are
    adjusted by Holm's method over the configurations, those on other data sets separately.

    Args:
        columns: data set → its comparison; all by one metric, on one split, against one reference.
        chosen_after: why words of averages were not planned. notes: what else must be known.
        dependent: why the data sets are not independent of each other; then nothing is averaged, and it is said.

    Raises:
        UsageError: fewer than two data sets, or comparisons that are not by one protocol.
    """
    found = list(columns.values())
    if len(found) < FEWEST:
        raise UsageError("A table across data sets takes studies on two data sets at least.")
    first = found[0]
    for other in found[1:]:
        if (other.reference, other.split, other.metric) != (first.reference, first.split, first.metric):
            raise UsageError(
                f"All data sets must be compared by one protocol: {first.metric} on {first.split} rows against "
                f"{first.reference}; got {other.metric} on {other.split} rows against {other.reference}."
            )
    out = AcrossComparison(
        reference=first.reference, split=first.split, metric=first.metric, datasets=list(columns), rows=[],
        chosen_after=list(chosen_after), notes=[*([dependent] if dependent else []), *notes],
    )  # fmt: skip
    waiting = {name for column in found for name in (column.conditions.interim if column.conditions else ())}
    names = dict.fromkeys([c.configuration for column in found for c in column.configurations] + sorted(waiting))
    for name in names:
        cells = {
            data: entry
            for data, column in columns.items()
            for entry in column.configurations
            if entry.configuration == name
        }
        row = AcrossRow(configuration=name, cells=cells, mark=_mark(name, found, chosen_after))
        _average(row, out.reference, name in waiting, bool(dependent))
        out.rows.append(row)
    _decide(out)
    _rank(out)
    by = known_metric(out.metric).direction
    out.rows.sort(
        key=lambda row: (row.rank is None, row.rank or 0.0, -by * (row.here.test.estimate if row.here else 0.0))
    )
    out.notes += _notes(out)
    return out


def average_here(differences: Sequence[Difference]) -> Difference:
    """The mean of independent differences, one a data set, as it would vary with other seeds and users on these data.

    Variances add up. Each source (seeds; users or rows) has the degrees of freedom that Satterthwaite (1946) gives the
    sum of its parts; the two are put together as in a comparison on one data set (`significance.half_width`).

    Args:
        differences: each with the parts of its variance, at least one.
    """
    count = len(differences)
    of_seeds = [c for d in differences for c in d.components if c.name == "seeds"]
    of_rows = [c for d in differences for c in d.components if c.name != "seeds"]
    parts = [_sum_of(of, count) for of in (of_rows, of_seeds) if of]
    covers = list(dict.fromkeys(d.covers for d in differences))  # of data without users: other rows
    return difference(
        float(np.mean([d.estimate for d in differences])),
        parts,
        f"{listed(covers, 'or')}, on these data sets",
        f"mean over {count} data sets, seeds × users in each, t interval",
    )


def average_elsewhere(differences: Sequence[Difference], here: Difference) -> Difference:
    """The same mean as it would vary with other data sets, too: Student's t over the data sets' differences.

    The differences may have any variances: with normal errors the test at 5% is then conservative (Bakirov & Székely
    2006; Ibragimov & Müller 2010). Never narrower than on these data sets alone.

    Args:
        differences: two at least. here: `average_here` of them.
    """
    values = np.array([d.estimate for d in differences])
    of_sets = Component(name="data sets", variance=float(values.var(ddof=1) / len(values)), df=len(values) - 1)
    found = difference(
        here.estimate,
        [of_sets],
        f"other data sets like these, {here.covers.removesuffix(', on these data sets')}",
        f"t test over {len(values)} data sets",
    )
    if found.high - found.low < here.high - here.low:
        found = found.model_copy(update={"low": here.low, "high": here.high})
    if found.p is None or here.p is None:
        return found.model_copy(update={"p": None})
    return found.model_copy(update={"p": max(found.p, here.p)})


def _sum_of(parts: Sequence[Component], count: int) -> Component:
    """One source of variance of a mean over `count` data sets, with Satterthwaite's degrees of freedom."""
    variance = sum(c.variance for c in parts) / count**2
    if not variance > 0:
        known = [c.df for c in parts if c.df is not None]
        return Component(name=parts[0].name, variance=0.0, df=min(known) if known else None)
    shares = sum((c.variance / count**2 / variance) ** 2 / c.df for c in parts if c.df is not None)
    names = {c.name for c in parts}
    name = parts[0].name if len(names) == 1 else "users"
    return Component(name=name, variance=variance, df=1 / shares if shares > 0 else None)


def _average(row: AcrossRow, reference: str, waits: bool, dependent: bool) -> None:
    """Fill in the averages of a row, or the word that stands in their place."""
    cells = [cell for cell in row.cells.values() if cell.difference is not None and cell.verdict != "not comparable"]
    if row.configuration == reference:
        row.word = "reference"
    elif dependent:
        row.word = "not comparable"
    elif waits or any(cell.verdict == "interim" for cell in row.cells.values()):
        row.word = "interim"
    elif len(cells) < len(row.cells) or not cells:
        row.word = "not comparable"
    elif len(cells) < FEWEST:
        row.word = "one data set"
    elif any(len(cell.shared_seeds) < 2 for cell in cells):
        row.word = "one seed: no variance known"
    elif any(cell.undecided for cell in cells):  # how much other users would change one of them is not known
        row.word = "not shown"
    else:
        tests = [cell.difference for cell in cells if cell.difference is not None]
        here = average_here(tests)
        row.here, row.elsewhere = Average(test=here), Average(test=average_elsewhere(tests, here))


def _decide(out: AcrossComparison) -> None:
    """Adjust p values over the averages, and give each its word; those that wait for seeds count as p = 1."""
    decided = [row for row in out.rows if row.here is not None]
    waiting = sum(row.word == "interim" for row in out.rows)
    out.tests = len(decided) + waiting if decided else 0
    for averages in ([row.here for row in decided], [row.elsewhere for row in decided]):
        adjusted = holm([*(one.test.p if one else None for one in averages), *[1.0] * waiting])
        for one, p in zip(averages, adjusted, strict=False):
            assert one is not None
            one.p_adjusted = p
            one.verdict = verdict(known_metric(out.metric).direction * one.test.estimate, p, None, FEWEST)


def _rank(out: AcrossComparison) -> None:
    """Mean places, among the configurations that every data set has a mean of."""
    from scipy.stats import rankdata

    whole = [
        row
        for row in out.rows
        if len(row.cells) == len(out.datasets) and all(cell.summary for cell in row.cells.values())
    ]
    out.ranked = len(whole)
    if len(whole) < 2:
        return
    sign = -known_metric(out.metric).direction
    places = [
        rankdata([sign * summary.mean for row in whole if (summary := row.cells[data].summary)])
        for data in out.datasets
    ]
    for row, rank in zip(whole, np.mean(places, axis=0), strict=True):
        row.rank = float(rank)


def _mark(name: str, columns: Sequence[StudyComparison], chosen_after: Sequence[str]) -> str:
    marks = [MARKS[AFTERWARDS]] if chosen_after else []
    for column in columns:
        if column.conditions is not None and any(c.configuration == name for c in column.configurations):
            marks += [MARKS[mark] for mark in column.conditions.marks(name)]
    return "".join(dict.fromkeys(marks))


def _notes(out: AcrossComparison) -> Iterator[str]:
    for row in out.rows:
        missing = [data for data in out.datasets if data not in row.cells]
        if missing:
            has = f"{len(row.cells)} of {len(out.datasets)} data sets"
            yield f"{row.configuration} is on {has} (not on {', '.join(missing)}): its averages are over those."
    if any(row.here for row in out.rows):
        count = len(out.datasets)
        if count < SIGN_TEST:
            yield (
                f"Sign and signed-rank tests of two configurations over data sets cannot be below 5% before "
                f"{SIGN_TEST} of them (here {count}), so places are shown and not tested."
            )
        if count == FEWEST:
            yield (
                "Two data sets: for other data sets an interval takes 12.7 standard errors to each side, so hardly "
                "anything can be shown for them."
            )
