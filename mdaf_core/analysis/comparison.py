"""Comparing configurations over seeds: what the Compare page, the command line and the export show.

Every comparison is on the same rows of the same data, or carries the reason why it is refused.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from itertools import takewhile

import numpy as np

from mdaf_core.analysis.compared import ComparedConfiguration, StudyComparison
from mdaf_core.analysis.convergence import diverged
from mdaf_core.analysis.items import items_note, items_of
from mdaf_core.analysis.looks import look_again
from mdaf_core.analysis.margins import Margin, check_margin
from mdaf_core.analysis.sampling import mean_over_seeds, row_sampling
from mdaf_core.analysis.sequential import UntilDecided
from mdaf_core.analysis.signed_rank import signed_rank
from mdaf_core.analysis.significance import (
    Estimate,
    difference,
    equivalence,
    few_seeds,
    noise_floor,
    seed_component,
    seed_summary,
    verdict,
)
from mdaf_core.analysis.verdicts import chance_notes, decide, fit_margin, interim_look
from mdaf_core.data.store.sample import sample_note
from mdaf_core.data.store.schema import SPLIT_NAMES, Split
from mdaf_core.metrics.jackknife import groups_words
from mdaf_core.metrics.registry import metric as known_metric
from mdaf_core.runs.groups import by_configuration
from mdaf_core.runs.metric_values import MetricValue, metric_of, metric_value
from mdaf_core.runs.tracking import RunRecord


def _undefined(metric: str, found: Collection[MetricValue]) -> str:
    """How many runs have no value of the metric, and why."""
    reasons = dict.fromkeys(one.reason.rstrip(".") for one in found if one.value is None and one.reason)
    missing = sum(one.value is None for one in found)
    return f"{metric} is undefined for {missing} of {len(found)} seeds" + (f": {'; '.join(reasons)}" if reasons else "")


def mixed(group: dict[int, RunRecord]) -> str | None:
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
    return None if mixed(group) else mean_of(group, split, "auc")


def _compare(
    entry: ComparedConfiguration,
    mine: dict[int, RunRecord],
    reference: dict[int, RunRecord],
    reference_values: dict[int, float],
    split: Split,
    metric: str,
    margin_bp: float | None,
    over_items: bool,
    until: UntilDecided | None = None,
    order: Sequence[int] = (),
) -> None:
    """Fill in the differences of `entry`; p values are adjusted later, over all of them.

    Args:
        until, order: seeds are added until decided, and are looked at in this order; no order: all that are paired.
    """
    if until is not None and order:
        both = entry.values.keys() & reference_values.keys()
        paired = {seed: seed for seed in takewhile(both.__contains__, order)}
    else:
        paired = _paired(entry, mine, reference, reference_values)
    seeds = entry.shared_seeds = list(paired)
    if not seeds:
        return
    sampling = row_sampling([(mine[s], reference[t]) for s, t in paired.items()], split, metric, over_items)
    if sampling.refused:
        entry.notes.append(sampling.refused)
        return
    entry.seed_differences = {s: entry.values[s] - reference_values[t] for s, t in paired.items()}
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
    if until is not None:
        look_again(
            entry, until, [(mine[s], reference[t]) for s, t in paired.items()], split, metric, margin_bp, over_items
        )
    elif len(seeds) == 2 and sampling.shared is not None:
        note += f"; where seeds and {what} matter alike it covers up to 98%, not 95%, and less is found"
    if note:
        entry.notes.append(note)


def _paired(
    entry: ComparedConfiguration,
    mine: dict[int, RunRecord],
    reference: dict[int, RunRecord],
    reference_values: dict[int, float],
) -> dict[int, int]:
    """Seed → the reference's seed that it is paired with: the same one; in order, where a side was imported and none is
    the same. What is left out, and why, is noted."""
    seeds = [seed for seed in entry.values if seed in reference_values]
    if seeds:
        left_out = sorted((entry.values.keys() | reference_values.keys()) - set(seeds))
        if left_out:
            entry.notes.append(f"paired by the seeds both have; seeds left out: {', '.join(map(str, left_out))}")
        return {seed: seed for seed in seeds}
    imported = any(run.imported for group in (mine, reference) for run in group.values())
    if not (imported and entry.values and reference_values):
        entry.notes.append("no seed in common with the reference")
        return {}
    paired = dict(zip(sorted(entry.values), sorted(reference_values), strict=False))
    pairs = ", ".join(f"{own} with {other}" for own, other in paired.items())
    note = f"no seed in common with the reference, so seeds are paired in their order ({pairs}): different programs "
    note += "draw different numbers from one seed, and no order favours either"
    left_out = sorted([*set(entry.values) - set(paired), *set(reference_values) - set(paired.values())])
    entry.notes.append(note + (f"; seeds left out: {', '.join(map(str, left_out))}" if left_out else ""))
    return paired


def compare_study(
    runs: Sequence[RunRecord],
    reference: str,
    split: Split = "test",
    metric: str = "auc",
    margin: Margin | None = None,
    planned: Mapping[str, Sequence[int]] | None = None,
    over_items: bool = False,
    until: UntilDecided | None = None,
    undecided: Collection[str] = (),
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
        metric: key of one of `metrics.registry`.
        margin: what counts as parity; None: parity is not tested, and no word says it.
        planned: seeds each planned configuration is to finish; None: those there are.
        over_items: intervals cover other items as well as other users, where the rows have both.
        until: seeds are added until decided; tests are then of all looks. `undecided`: who may still get some.

    Raises:
        UsageError: unknown metric, or a margin that has no meaning for it.
    """
    known = known_metric(metric)
    check_margin(margin, metric)
    groups = by_configuration(runs)
    out = StudyComparison(
        reference=reference, split=split, metric=metric, margin=margin, until=until, configurations=[]
    )
    asked, over_items = over_items, _look_at_items(out, groups, over_items)
    for name, group in groups.items():
        first = next(iter(group.values()))
        found = {seed: metric_value(run, split, metric) for seed, run in group.items()}
        entry = ComparedConfiguration(
            configuration=name,
            preset=first.preset,
            model=first.model,
            run_ids={seed: run.run_id for seed, run in group.items()},
            values={seed: one.value for seed, one in found.items() if one.value is not None},
        )
        if len(entry.values) < len(group):
            entry.notes.append(_undefined(metric, found.values()))
        if differ := mixed(group):
            entry.notes.append(differ)
        elif entry.values:
            entry.summary = seed_summary(list(entry.values.values()))
            entry.mean = mean_of(group, split, metric, over_items)
        if until is not None:
            open_ = {name, reference} & set(undecided)
            entry.interim = f"{len(entry.values)} of at most {until.most} seeds" if open_ else None
        elif planned is not None:
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
            expected = planned or {}
            theirs = set(expected.get(reference, ()))
            order = [seed for seed in expected.get(entry.configuration, ()) if seed in theirs]
            at = (split, metric, out.margin_bp, over_items, until, order)
            _compare(entry, group, groups[reference], base.values, *at)
    whose = next((c for c in (base, *out.configurations) if c is not None and c.summary), None)
    if whose is not None:
        group = groups[whose.configuration]
        out.sample = row_sampling([(group[s],) for s in whose.values], split, metric, over_items).sample
    if out.sample is not None:
        out.rows, out.users = out.sample.rows, out.sample.users
        out.notes += filter(None, [sample_note(out.sample, f"{SPLIT_NAMES[split]} rows")])
        if known.errors is None:
            units, what = (out.rows, "rows") if out.users is None else (out.users, "users")
            out.notes += filter(None, [groups_words(units, out.rows, what)])
    if out.items is not None:
        out.notes += filter(None, [items_note(out.items, asked)])
    begun = set(groups)
    if until is not None:  # the number of tests must not grow from look to look
        begun = {c.configuration for c in out.configurations if c.difference_seeds is not None}
    decide(out, waiting=len([name for name in planned or () if name not in begun and name != reference]))
    _name_diverged(out, runs)
    areas = {name: _mean_auc(group, split) for name, group in groups.items()}
    out.chance = list(chance_notes(groups, areas, split))
    out.notes += filter(None, [known.note])
    if split == "val":
        out.notes.append("Validation rows chose each run's epoch, so their metrics are optimistic; test rows are not.")
    out.configurations.sort(key=lambda c: -known.direction * c.summary.mean if c.summary else math.inf)
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
