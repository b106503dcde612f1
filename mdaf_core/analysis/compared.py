"""What a comparison of configurations says, as data: each configuration alone and against the reference."""

from __future__ import annotations

import polars as pl
from pydantic import BaseModel, Field

from mdaf_core.analysis.items import Items
from mdaf_core.analysis.margins import Margin, margin_notes, margin_words
from mdaf_core.analysis.plan import MARKS, Conditions, marked
from mdaf_core.analysis.sequential import Look, UntilDecided
from mdaf_core.analysis.signed_rank import SignedRank
from mdaf_core.analysis.significance import BP, LEVEL, Difference, Equivalence, Estimate, SeedSummary, Verdict
from mdaf_core.data.store.sample import Sample
from mdaf_core.data.store.schema import Split


class ComparedConfiguration(BaseModel):
    """One configuration of a study, alone and against the reference. Differences: this one minus the reference."""

    configuration: str
    preset: str
    model: str
    run_ids: dict[int, str]
    values: dict[int, float]
    summary: SeedSummary | None = None
    mean: Estimate | None = Field(None, description="Over its seeds, with the interval over seeds and users at once.")
    shared_seeds: list[int] = []
    seed_differences: dict[int, float] = {}
    difference: Difference | None = None
    looks: list[Look] = Field([], description="Where seeds are added until decided: the test after each.")
    difference_seeds: Difference | None = None
    difference_rows: Difference | None = None
    p_adjusted: float | None = None
    p_seeds_adjusted: float | None = Field(None, description="t test over seeds alone, adjusted.")
    signed_rank: SignedRank | None = None
    p_signed_rank_adjusted: float | None = None
    equivalence: Equivalence | None = None
    p_equivalence_adjusted: float | None = None
    below_noise_floor: bool | None = None
    interim: str | None = Field(None, description="`3 of 5 planned seeds` while planned ones are missing.")
    undecided: str = Field("", description="Why no test can decide, and the word is 'not shown' whatever the figures.")
    diverged: list[int] = Field([], description="Shared seeds of which its run, or the reference's, went astray.")
    verdict: Verdict = "not comparable"
    notes: list[str] = []

    @property
    def deciding(self) -> Look | None:
        """Of several looks the one with the smallest p value, from which a word for a difference is; None: no looks."""
        return min((one for one in self.looks if one.p is not None), key=lambda one: one.p or 0.0, default=None)


class StudyComparison(BaseModel):
    """All configurations of a study on one split by one metric, best first."""

    reference: str
    split: Split
    metric: str
    margin: Margin | None = Field(None, description="As it was set, with its origin.")
    margin_bp: float | None = Field(None, description="Half-width in bp of the metric; None: parity is not tested.")
    gain: float | None = Field(None, description="What the reference gains over the base rate, in the metric.")
    conditions: Conditions | None = Field(None, description="How it stands to the study's plan; None: runs alone.")
    level: float = LEVEL
    rows: int | None = None
    users: int | None = None
    sample: Sample | None = Field(None, description="Rows, users, how many alike they are worth, the largest's share.")
    items: Items | None = Field(None, description="Of the rows compared.")
    over_items: bool = Field(False, description="Whether intervals cover other items, too.")
    until: UntilDecided | None = Field(None, description="Seeds are added until decided: tests are of all looks.")
    noise_floor: float | None = None
    tests: int = 0
    configurations: list[ComparedConfiguration]
    chance: list[str] = Field([], description="Which configurations are not above chance, as sentences.")
    notes: list[str] = []

    @property
    def untested_margin(self) -> str:
        """Why a margin that is set tests no parity, as a sentence; empty where it does, or where none is set."""
        if self.margin is None or self.margin_bp is not None:
            return ""
        return margin_notes(self.margin, self.metric, None, None)[0]

    @property
    def margin_words(self) -> str:
        """The margin with its origin, for every sentence about parity: `±7.5 bp (…; set at launch)`."""
        return margin_words(self.margin, None if self.margin_bp is None else self.margin_bp * BP)

    def frame(self) -> pl.DataFrame:
        """One row a configuration; differences, intervals and margins in bp, metrics as they are.

        `verdict` is the word alone; `marked` has the mark of what was not planned, an interim look's count of seeds.
        """

        records = []
        for c in self.configurations:
            d, s, e, m = c.difference, c.summary, c.equivalence, c.mean
            records.append(
                {
                    "configuration": c.configuration,
                    "model": c.model,
                    "seeds": len(c.values),
                    "mean": s and s.mean,
                    "sd": s and s.sd,
                    "low": m and m.low,
                    "high": m and m.high,
                    "mean_covers": m and m.covers,
                    "half_width": (m.high - m.low) / 2 if m and m.of_both_sources else None,
                    "difference_bp": d and d.estimate / BP,
                    "difference_low_bp": d and d.low / BP,
                    "difference_high_bp": d and d.high / BP,
                    "covers": d and d.covers,
                    "covers_seeds": d and d.covers_seeds,
                    "p": d and d.p,
                    "p_adjusted": c.p_adjusted,
                    "p_parity": e and e.p,
                    "p_parity_adjusted": c.p_equivalence_adjusted,
                    "below_noise_floor": c.below_noise_floor,
                    "verdict": c.verdict,
                    "marked": f"interim: {c.interim}"
                    if c.verdict == "interim"
                    else marked(c.verdict, self.conditions, c.configuration),
                    "notes": "; ".join(c.notes),
                }
            )
        return pl.DataFrame(records, schema=_FRAME)


_FRAME = {
    "configuration": pl.String,
    "model": pl.String,
    "seeds": pl.Int64,
    **{name: pl.Float64 for name in ("mean", "sd", "low", "high")},
    "mean_covers": pl.String,
    **{name: pl.Float64 for name in ("half_width", "difference_bp", "difference_low_bp", "difference_high_bp")},
    "covers": pl.String,
    "covers_seeds": pl.Boolean,
    **{name: pl.Float64 for name in ("p", "p_adjusted", "p_parity", "p_parity_adjusted")},
    "below_noise_floor": pl.Boolean,
    "verdict": pl.String,
    "marked": pl.String,
    "notes": pl.String,
}


def mark_legend(comparison: StudyComparison) -> str:
    """What the marks of a comparison's words mean; empty where there is none."""
    if comparison.conditions is None:
        return ""
    words = [
        c for c in comparison.configurations if marked(c.verdict, comparison.conditions, c.configuration) != c.verdict
    ]
    found = dict.fromkeys(mark for c in words for mark in comparison.conditions.marks(c.configuration))
    return "; ".join(f"{MARKS[mark]} {mark}" for mark in found)
