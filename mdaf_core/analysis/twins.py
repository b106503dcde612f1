"""One study on two splits of the same input: which words stand on both. Rows differ, so nothing is compared across."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import BaseModel, Field

from mdaf_core.analysis.compared import ComparedConfiguration, StudyComparison
from mdaf_core.analysis.published.ladder import spearman
from mdaf_core.analysis.significance import BP, Verdict

Outcome = Literal["same word", "changed word", "changed sign", "no word"]
SHOWN: tuple[Verdict, ...] = ("better", "worse", "parity")
"""Words that conclude something; 'not shown' does not."""
_FINAL: tuple[Verdict, ...] = (*SHOWN, "not shown")


class Word(BaseModel):
    """What one study says of a configuration against the reference; the difference is in bp, with its 95% interval."""

    verdict: Verdict
    difference_bp: float | None = None
    low_bp: float | None = None
    high_bp: float | None = None
    mean: float | None = None


class Fate(BaseModel):
    """A configuration in both studies.

    Attributes:
        outcome: `changed sign`: shown to be better on one split and worse on the other; `no word`: one of them has no
            final word (a look before all seeds are there, one seed, not comparable).
    """

    configuration: str
    first: Word
    second: Word
    outcome: Outcome


class TwinComparison(BaseModel):
    """Which words of a first comparison stand in a second one.

    Attributes:
        fates: of all configurations that both have, but the reference; in the first's order, best first.
        rank_correlation: Spearman's, of the means over seeds of all these and the reference; None below three.
    """

    reference: str
    metric: str
    split: str
    fates: list[Fate]
    only_one: list[str] = Field([], description="Configurations that one of the studies lacks.")
    rank_correlation: float | None = None
    ranked: int = 0

    def with_outcome(self, outcome: Outcome) -> list[Fate]:
        return [fate for fate in self.fates if fate.outcome == outcome]

    @property
    def counts(self) -> dict[Outcome, int]:
        return {outcome: len(self.with_outcome(outcome)) for outcome in get_args(Outcome)}

    @property
    def concluded(self) -> list[Fate]:
        """What the first comparison concludes and the second has a final word on."""
        return [fate for fate in self.fates if fate.first.verdict in SHOWN and fate.outcome != "no word"]


def compare_twins(first: StudyComparison, second: StudyComparison) -> TwinComparison:
    """Hold two comparisons with the same reference, by the same metric, against each other, word by word."""
    one = {c.configuration: c for c in first.configurations}
    two = {c.configuration: c for c in second.configurations}
    shared = [name for name in one if name in two]
    fates = []
    for name in shared:
        if name != first.reference:
            before, after = _word(one[name]), _word(two[name])
            fates.append(Fate(configuration=name, first=before, second=after, outcome=_outcome(before, after)))
    ranked = [(a.mean, b.mean) for name in shared if (a := one[name].summary) and (b := two[name].summary)]
    return TwinComparison(
        reference=first.reference,
        metric=first.metric,
        split=first.split,
        fates=fates,
        only_one=[name for name in (*one, *two) if name not in shared],
        rank_correlation=spearman([a for a, _ in ranked], [b for _, b in ranked]),
        ranked=len(ranked),
    )


def _outcome(first: Word, second: Word) -> Outcome:
    words = {first.verdict, second.verdict}
    if not words <= set(_FINAL):
        return "no word"
    if len(words) == 1:
        return "same word"
    return "changed sign" if words == {"better", "worse"} else "changed word"


def _word(entry: ComparedConfiguration) -> Word:
    d = entry.difference
    return Word(
        verdict=entry.verdict,
        difference_bp=d and d.estimate / BP,
        low_bp=d and d.low / BP,
        high_bp=d and d.high / BP,
        mean=entry.summary and entry.summary.mean,
    )
