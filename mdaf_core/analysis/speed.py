"""Which model answers faster: ratios of times that were measured in turns, with an interval that assumes no
distribution. docs/statistics.md has the definition."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from statistics import median
from typing import Literal

from pydantic import BaseModel

from mdaf_core.analysis.significance import LEVEL, holm
from mdaf_core.predicting.measured import Cell, Measured, Way

Word = Literal["faster", "slower", "not shown"]


class Ratio(BaseModel):
    """Time of one model over time of another at the same task: below 1, the first is faster.

    Attributes:
        way, against_way: how either was asked; against: the other's configuration.
        ratio: median over the rounds of the ratio within a round; low, high: its interval, None with too few rounds.
        p: of the sign test against 1; p_adjusted: Holm's, over all comparisons of the measurement.
    """

    configuration: str
    way: Way
    against: str
    against_way: Way
    threads: int
    events: int
    rows: int
    bulk: bool
    ratio: float
    low: float | None
    high: float | None
    p: float
    p_adjusted: float = 1.0
    rounds: int
    verdict: Word = "not shown"


def median_interval(values: Sequence[float], level: float = LEVEL) -> tuple[float, float] | None:
    """The narrowest interval between symmetric order statistics that holds the median of what the values are drawn
    from with at least this probability (David & Nagaraja 2003, Order Statistics, section 7.1); None: too few values."""
    ordered, n = sorted(values), len(values)
    below, best = 0.0, None
    for k in range(n // 2):  # P(fewer than k + 1 of n values lie below the median) on either side
        below += comb(n, k) / 2**n
        if 2 * below > 1 - level:
            break
        best = ordered[k], ordered[n - 1 - k]
    return best


def sign_test(ratios: Sequence[float]) -> float:
    """Two-sided p of as many ratios on one side of 1, or more; ratios of exactly 1 say nothing."""
    n = sum(ratio != 1 for ratio in ratios)
    fewer = min(sum(ratio < 1 for ratio in ratios), sum(ratio > 1 for ratio in ratios))
    return min(1.0, 2 * sum(comb(n, k) for k in range(fewer + 1)) / 2**n)


def compare_speed(measured: Measured, reference: str | None = None) -> list[Ratio]:
    """Each model against the reference (from the raw history; from a kept state against the reference's, or where it
    has none against its raw history), and each kept state against its own model's raw history."""
    base, found = reference or measured.reference, []
    cells = {(cell.configuration, cell.task): cell for cell in measured.cells}
    for cell in measured.cells:
        raw = (cell.threads, "raw", *cell.task[2:])
        others: list[Cell | None] = []
        if cell.configuration != base:
            others.append(cells.get((base, cell.task)) or cells.get((base, raw)))  # type: ignore[arg-type]
        if cell.way == "kept":
            others.append(cells.get((cell.configuration, raw)))  # type: ignore[arg-type]
        found += [_ratio(cell, other) for other in others if other is not None]
    for one, p in zip(found, holm([one.p for one in found]), strict=True):
        one.p_adjusted = 1.0 if p is None else p
        if one.low is not None and one.high is not None and one.p_adjusted < 1 - LEVEL:
            one.verdict = "faster" if one.high < 1 else "slower" if one.low > 1 else "not shown"
    return found


def _ratio(cell: Cell, other: Cell) -> Ratio:
    ratios = [mine / theirs for mine, theirs in zip(cell.rounds, other.rounds, strict=True)]
    low, high = median_interval(ratios) or (None, None)
    return Ratio(
        configuration=cell.configuration, way=cell.way, against=other.configuration, against_way=other.way,
        threads=cell.threads, events=cell.events, rows=cell.rows, bulk=cell.bulk,
        ratio=median(ratios), low=low, high=high, p=sign_test(ratios), rounds=len(ratios),
    )  # fmt: skip
