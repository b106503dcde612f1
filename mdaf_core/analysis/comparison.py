"""Comparing configurations over seeds: what the Compare page, the command line and the export show.

Every comparison is on the same rows of the same data, or carries the reason why it is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from pydantic import BaseModel, Field

from mdaf_core.analysis.convergence import diverged
from mdaf_core.analysis.items import Items, items_note, items_of
from mdaf_core.analysis.margins import Margin, check_margin, check_metric, margin_words
from mdaf_core.analysis.plan import Conditions, marked
from mdaf_core.analysis.sampling import mean_over_seeds, row_sampling
from mdaf_core.analysis.signed_rank import SignedRank, signed_rank
from mdaf_core.analysis.significance import (
    BP,
    LEVEL,
    Difference,
    Equivalence,
    Estimate,
    SeedSummary,
    Verdict,
    difference,
    equivalence,
    few_seeds,
    noise_floor,
    seed_component,
    seed_summary,
    verdict,
)
from mdaf_core.analysis.verdicts import DIRECTIONS, chance_notes, decide, fit_margin, interim_look
from mdaf_core.data.store.sample import Sample, sample_note
from mdaf_core.data.store.schema import Split
from mdaf_core.metrics.values import ECE_BIAS
from mdaf_core.runs.tracking import RunRecord


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
    noise_floor: float | None = None
    tests: int = 0
    configurations: list[ComparedConfiguration]
    chance: list[str] = Field([], description="Which configurations are not above chance, as sentences.")
    notes: list[str] = []

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
                    else marked(c.verdict, self, c.configuration),
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


def newest_by_seed(runs: Sequence[RunRecord]) -> dict[int, RunRecord]:
    """Finished runs by seed, sorted; of repeats of a seed only the newest counts (a repeat is no further seed)."""
    by_seed: dict[int, RunRecord] = {}
    for run in sorted(runs, key=lambda r: r.started):
        if run.state == "finished" and run.metrics("test") is not None:
            by_seed[run.seed] = run
    return dict(sorted(by_seed.items()))


def by_configuration(runs: Sequence[RunRecord]) -> dict[str, dict[int, RunRecord]]:
    """Finished runs by configuration and seed; configurations in order of their first start."""
    names = list(dict.fromkeys(run.configuration for run in sorted(runs, key=lambda r: r.started)))
    groups = {name: newest_by_seed([r for r in runs if r.configuration == name]) for name in names}
    return {name: group for name, group in groups.items() if group}


def metric_of(run: RunRecord, split: Split, metric: str) -> float | None:
    """One metric of a finished run at its best epoch; None where undefined."""
    found = run.metrics(split)
    return None if found is None else getattr(found, metric)


def _mixed(group: dict[int, RunRecord]) -> str | None:
    """A sentence where the runs of one configuration do not share settings and data."""
    settings = {tuple(sorted((k, v) for k, v in run.config.items() if k != "seed")) for run in group.values()}
    if len(settings) > 1 or len({run.fingerprint for run in group.values()}) > 1:
        return "its runs differ in settings or data although they share a name, so they are no repeats of one another"
    return None


def mean_of(group: dict[int, RunRecord], split: Split, metric: str, over_items: bool = False) -> Estimate | None:
    """The mean of a metric over the seeds of one configuration, as `mean_over_seeds`; None where it is undefined."""
    defined = {seed: value for seed, run in group.items() if (value := metric_of(run, split, metric)) is not None}
    if not defined:
        return None
    sampling = row_sampling([(group[s],) for s in defined], split, metric, over_items)
    return mean_over_seeds(list(defined.values()), sampling)


def _mean_auc(group: dict[int, RunRecord], split: Split) -> Estimate | None:
    """AUC of one configuration over its seeds, whatever metric is compared; None where undefined or mixed."""
    return None if _mixed(group) else mean_of(group, split, "auc")


def _compare(
    entry: ComparedConfiguration,
    mine: dict[int, RunRecord],
    reference: dict[int, RunRecord],
    reference_values: dict[int, float],
    split: Split,
    metric: str,
    margin_bp: float | None,
    over_items: bool,
) -> None:
    """Fill in the differences of `entry`; p values are adjusted later, over all of them."""
    seeds = [seed for seed in entry.values if seed in reference_values]
    entry.shared_seeds = seeds
    if not seeds:
        entry.notes.append("no seed in common with the reference")
        return
    left_out = sorted((entry.values.keys() | reference_values.keys()) - set(seeds))
    if left_out:
        entry.notes.append(f"paired by the seeds both have; seeds left out: {', '.join(map(str, left_out))}")
    sampling = row_sampling([(mine[s], reference[s]) for s in seeds], split, metric, over_items)
    if sampling.refused:
        entry.notes.append(sampling.refused)
        return
    entry.seed_differences = {seed: entry.values[seed] - reference_values[seed] for seed in seeds}
    estimate = float(np.mean(list(entry.seed_differences.values())))
    what = sampling.what
    if sampling.component is not None:
        entry.difference_rows = difference(
            estimate,
            [sampling.component],
            f"{sampling.covers(1)}, with these trained models",
            f"jackknife over {what}",
        )
    else:
        entry.undecided = f"how much other {what} would change it is not known: {sampling.missing}"
        entry.notes.append(entry.undecided)
    if len(seeds) == 1:
        entry.difference = entry.difference_rows
        entry.verdict = verdict(estimate, None, None, 1)
        entry.notes.append(f"{few_seeds(1)}; the interval covers {sampling.covers(1)} only")
        return
    component = seed_component(list(entry.seed_differences.values()))
    entry.difference_seeds = difference(
        estimate, [component], "other seeds, on these rows", f"t test paired by seed, {len(seeds)} seeds"
    )
    entry.signed_rank = signed_rank(list(entry.seed_differences.values()))
    if sampling.shared is None:  # seeds alone say nothing of other users: an interval that says so, and no verdict
        entry.difference = entry.difference_seeds.model_copy(update={"p": None})
    else:
        entry.difference = difference(
            estimate,
            [sampling.shared, component],
            sampling.covers(len(seeds)),
            f"seeds × {what}, t interval",
        )
        entry.equivalence = None if margin_bp is None else equivalence(entry.difference, margin_bp)
    note = few_seeds(len(seeds))
    if len(seeds) == 2 and sampling.shared is not None:
        note += f"; where seeds and {what} matter alike it covers up to 98%, not 95%, and less is found"
    if note:
        entry.notes.append(note)


def compare_study(
    runs: Sequence[RunRecord],
    reference: str,
    split: Split = "test",
    metric: str = "auc",
    margin: Margin | None = None,
    planned: Mapping[str, Sequence[int]] | None = None,
    over_items: bool = False,
) -> StudyComparison:
    """Every configuration against `reference`, over seeds. Of a study with a plan: `studies.results.compare`.

    The difference is paired by seed and averaged. Its interval covers other seeds and other users (rows, where the
    data has no users) at once; the two parts are also given alone. p values against no difference and against the
    margin are adjusted by Holm's method over the comparisons that have two seeds or more; verdicts follow from them.

    While planned seeds of a configuration or of the reference are missing, its word is "interim"; the words of those
    that are complete are adjusted as if the rest had p = 1, so that no word for a difference is ever taken back.

    Args:
        runs: of one study; unfinished ones are left out.
        reference: name of the configuration the others are compared with.
        metric: one of `DIRECTIONS`.
        margin: what counts as parity; None: parity is not tested, and no word says it.
        planned: seeds each planned configuration is to finish; None: those there are.
        over_items: intervals cover other items as well as other users, where the rows have both.

    Raises:
        UsageError: unknown metric, or a margin that has no meaning for it.
    """
    check_metric(metric)
    check_margin(margin, metric)
    groups = by_configuration(runs)
    out = StudyComparison(reference=reference, split=split, metric=metric, margin=margin, configurations=[])
    asked, over_items = over_items, _look_at_items(out, groups, over_items)
    for name, group in groups.items():
        first = next(iter(group.values()))
        entry = ComparedConfiguration(
            configuration=name,
            preset=first.preset,
            model=first.model,
            run_ids={seed: run.run_id for seed, run in group.items()},
            values={s: v for s, run in group.items() if (v := metric_of(run, split, metric)) is not None},
        )
        if len(entry.values) < len(group):
            entry.notes.append(f"{metric} is undefined for {len(group) - len(entry.values)} of {len(group)} seeds")
        mixed = _mixed(group)
        if mixed:
            entry.notes.append(mixed)
        elif entry.values:
            entry.summary = seed_summary(list(entry.values.values()))
            entry.mean = mean_of(group, split, metric, over_items)
        if planned is not None:
            entry.interim = interim_look(planned, groups, name, reference)
        out.configurations.append(entry)

    out.noise_floor = noise_floor([list(c.values.values()) for c in out.configurations if c.summary])
    base = next((c for c in out.configurations if c.configuration == reference), None)
    if base is None or base.summary is None:
        why = "has no finished run" if base is None else "cannot be summed up"
        out.notes.append(f"The reference {reference!r} {why}, so nothing is compared yet.")
    else:
        base.verdict = "reference"
        fit_margin(out, base.summary.mean, groups[reference])
        for entry in out.configurations:
            if entry is base or entry.summary is None:
                continue
            group = groups[entry.configuration]
            _compare(entry, group, groups[reference], base.values, split, metric, out.margin_bp, over_items)
    whose = next((c for c in (base, *out.configurations) if c is not None and c.summary), None)
    if whose is not None:
        group = groups[whose.configuration]
        out.sample = row_sampling([(group[s],) for s in whose.values], split, metric, over_items).sample
    if out.sample is not None:
        out.rows, out.users = out.sample.rows, out.sample.users
        out.notes += filter(None, [sample_note(out.sample)])
    if out.items is not None:
        out.notes += filter(None, [items_note(out.items, asked)])
    decide(out, waiting=len([name for name in planned or () if name not in groups and name != reference]))
    _name_diverged(out, runs)
    out.chance = chance_notes(groups, {name: _mean_auc(group, split) for name, group in groups.items()}, split)
    if metric == "ece":
        out.notes.append(ECE_BIAS)
    if split == "val":
        out.notes.append("Validation rows chose each run's epoch, so their metrics are optimistic; test rows are not.")
    out.configurations.sort(key=lambda c: -DIRECTIONS[metric] * c.summary.mean if c.summary else math.inf)
    return out


def _name_diverged(out: StudyComparison, runs: Sequence[RunRecord]) -> None:
    """Say which seeds went astray: one of them widens every interval it is in until nothing is shown."""
    found = diverged(runs, out.split)
    out.notes += [one.sentence for one in found]
    astray = {(one.configuration, one.seed) for one in found}
    for entry in out.configurations:
        seeds = entry.shared_seeds if entry.configuration != out.reference else entry.values
        entry.diverged = [s for s in seeds if astray & {(entry.configuration, s), (out.reference, s)}]


def _look_at_items(out: StudyComparison, groups: Mapping[str, dict[int, RunRecord]], over_items: bool) -> bool:
    """What is known of the rows' items, and whether intervals can cover others."""
    first = next((run for group in groups.values() for run in group.values()), None)
    if first is None:
        return False
    out.items = items_of(first, out.split)
    out.over_items = over_items and out.items.items is not None
    return out.over_items
