"""The results paragraph: every sentence states a count, a figure or what a test found, and says where it is from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mdaf_core.analysis.significance import ONE_SEED, intervals_as_they_are
from mdaf_core.base.words import listed, plural
from mdaf_core.data.store.sample import sample_words
from mdaf_core.data.store.schema import SPLIT_NAMES
from mdaf_core.metrics import registry
from mdaf_core.reporting import words

if TYPE_CHECKING:
    from mdaf_core.analysis.compared import ComparedConfiguration, StudyComparison
    from mdaf_core.reporting.conditions import Condition
    from mdaf_core.studies.store import Study


def direction(metric: str) -> str:
    """`lower is better`, where it is; of the AUCs readers know that higher is."""
    return "lower is better" if registry.metric(metric).direction < 0 else ""


@dataclass(frozen=True)
class Sentence:
    """A sentence and what it is generated from."""

    text: str
    source: str


SAID_ANYWAY = ("split", "seeds", "plan")
"""Kinds of conditions that other sentences state."""


def results_paragraph(
    study: Study, comparison: StudyComparison, split_words: str, conditions: Sequence[Condition] = (), best: str = ""
) -> Iterator[Sentence]:
    """What the comparison of a study shows, in sentences that never go beyond its verdicts.

    Args:
        split_words: how the rows were split, as the data set describes it ("time split").
        conditions: what must be known beside results.
        best: which configurations may be the best, as `analysis.best` says it.
    """
    metric = registry.metric(comparison.metric).words
    rows = f"{SPLIT_NAMES[comparison.split]} rows"
    rows = sample_words(comparison.sample, rows) if comparison.sample else f"the {rows}"
    if not_comparable(comparison):
        rows += " (except where said below)"
    finished = sum(len(c.values) for c in comparison.configurations)
    planned = len(study.pairs)
    counts = [len(c.values) for c in comparison.configurations]
    how_many = words.seeds(counts).replace("one seed", "1 seed") + (" each" if len(counts) > 1 else "")
    yield Sentence(
        f"On data set {study.dataset} ({split_words}), {plural(len(counts), 'configuration')} "
        f"{'was' if len(counts) == 1 else 'were'} trained with {how_many} and evaluated on "
        f"{rows}; the weights are those of the epoch with the best validation AUC (log loss where there is none).",
        "counts of finished runs and rows",
    )
    if finished < planned:
        yield Sentence(
            f"{planned - finished} of {planned} planned runs have not finished, or their {metric} is undefined; "
            "they are left out.",
            "counts of runs",
        )
    for condition in conditions:
        if condition.kind not in SAID_ANYWAY or (condition.grave and condition.kind == "split"):
            yield Sentence(condition.sentence, f"condition of the study: {condition.kind}")
    if comparison.split == "val":
        yield Sentence(
            "These rows also chose each run's epoch, so the figures are optimistic.", "the split that was compared"
        )
    refused = not_comparable(comparison)
    ranked = [c for c in comparison.configurations if c.summary and c not in refused]
    top = ranked[0] if len(ranked) > 1 else None
    if top is not None and top.summary is not None:
        spread = ""
        if top.mean is not None and top.mean.covers_seeds:
            edges = f"{top.mean.low:.4f} to {top.mean.high:.4f}"
            spread = f" (95% interval {edges}, which covers {top.mean.covers})"
        end = "highest" if registry.metric(comparison.metric).direction > 0 else "lowest"
        yield Sentence(
            f"The {end} mean {metric} was that of {top.configuration}, {top.summary.mean:.4f}{spread}.",
            "means over seeds; not a test",
        )
        if best:
            yield Sentence(best, "confidence set of the best, over seeds and users")
    yield from _comparisons(comparison, metric)


def not_comparable(comparison: StudyComparison) -> list[ComparedConfiguration]:
    """Configurations that were refused beside the reference; none where there is no reference to stand beside."""
    if not has_reference(comparison):
        return []
    return [c for c in comparison.configurations if c.verdict == "not comparable"]


def has_reference(comparison: StudyComparison) -> bool:
    return any(c.verdict == "reference" for c in comparison.configurations)


ASIDE = ("the method of the tests", "noise floor: pooled standard deviation within configurations")


def verdicts(comparison: StudyComparison) -> list[Sentence]:
    """What the comparison shows, without how it was tested."""
    found = _comparisons(comparison, registry.metric(comparison.metric).words)
    return [sentence for sentence in found if sentence.source not in ASIDE]


def _comparisons(comparison: StudyComparison, metric: str) -> Iterator[Sentence]:
    others = [c for c in comparison.configurations if c.configuration != comparison.reference]
    if comparison.conditions is not None:
        yield from (
            Sentence(text, "the study's plan and what departs from it") for text in comparison.conditions.sentences()
        )
    looked_at = [c for c in others if c.verdict == "interim" and c.difference is not None]
    if looked_at:
        figures = "; ".join(f"{c.configuration}, {c.interim}: {_figures(c)}" for c in looked_at)
        yield Sentence(f"At this interim look, without a verdict: {figures}.", "differences so far; not a test")
    single = [c for c in others if c.verdict == ONE_SEED]
    if single:
        yield Sentence(
            f"With one seed the variance over seeds is unknown, so nothing is claimed about "
            f"{listed([c.configuration for c in single])} against {comparison.reference}.",
            "the number of shared seeds",
        )
    for entry in others:
        if entry.difference is not None and entry.verdict in ("better", "worse", "parity"):
            found = _verdict_sentence(entry, comparison, metric)
            marks = comparison.conditions.marks(entry.configuration) if comparison.conditions else []
            said = f" ({'; '.join(marks)})." if marks else "."
            yield Sentence(f"{found.text.removesuffix('.')}{said}", found.source)
    unshown = [c for c in others if c.verdict == "not shown" and c.difference is not None]
    if unshown:
        names = listed([c.configuration for c in unshown])
        many = len(unshown) > 1
        figures = "; ".join(
            f"{c.configuration + ': ' if many else ''}{_figures(c)}, adjusted {_p(c.p_adjusted)}" for c in unshown
        )
        yield Sentence(
            f"Neither a difference in {metric} from {comparison.reference} nor equivalence within "
            f"{comparison.margin_words} was shown for {names} ({figures})."
            if comparison.margin_bp is not None
            else f"No difference in {metric} from {comparison.reference} was shown for {names} ({figures}).",
            f"{_methods(unshown)}, two-sided{' and TOST' if comparison.margin_bp is not None else ''}",
        )
    if others and not has_reference(comparison):
        reason = next((note for note in comparison.notes if note.startswith("The reference")), "Nothing was compared.")
        yield Sentence(reason, "checks before the comparison")
    for entry in not_comparable(comparison):
        reason = "; ".join(entry.notes) or "there is no figure to compare"
        yield Sentence(
            f"{entry.configuration} was not compared with {comparison.reference}: {reason.rstrip('.')}.",
            "checks before the comparison",
        )
    if comparison.tests:
        clause = intervals_as_they_are(comparison.tests)
        as_they_are = f" ({clause})" if clause else ""
        untested = comparison.untested_margin.rstrip(".") or "No margin was set, so equivalence was not tested"
        yield Sentence(
            f"Differences are means over seeds, paired by seed, with 95% intervals that cover "
            f"{_covers(comparison)}{as_they_are}; p values are adjusted by Holm's method over "
            f"{plural(comparison.tests, 'comparison')}. "
            + (
                f"{untested} (1 bp = 0.0001)."
                if comparison.margin_bp is None
                else "Equivalence was tested by two one-sided tests against a margin of "
                f"{comparison.margin_words} (1 bp = 0.0001)."
            ),
            ASIDE[0],
        )
    if comparison.noise_floor is not None:
        below = [c.configuration for c in others if c.below_noise_floor]
        pooled = "pooled standard deviation" if len(comparison.configurations) > 1 else "standard deviation"
        text = f"The {pooled} of {metric} over seeds was {comparison.noise_floor * 1e4:.1f} bp"
        if below:
            noun, verb = ("difference", "is") if len(below) == 1 else ("differences", "are")
            text += f"; the {noun} of {listed(below)} {verb} smaller than that"
        text += "."
        yield Sentence(text, ASIDE[1])


def _verdict_sentence(entry: ComparedConfiguration, comparison: StudyComparison, metric: str) -> Sentence:
    name, reference, figures = entry.configuration, comparison.reference, _figures(entry)
    if entry.verdict == "parity":
        return Sentence(
            f"{name} was equivalent to {reference} in {metric} within {comparison.margin_words} "
            f"({figures}, TOST adjusted {_p(entry.p_equivalence_adjusted)}).",
            f"{_methods([entry])}, TOST",
        )
    return Sentence(
        f"{name} was {entry.verdict} than {reference} in {metric} ({figures}, adjusted {_p(entry.p_adjusted)}).",
        f"{_methods([entry])}, two-sided",
    )


def _figures(entry: ComparedConfiguration) -> str:
    found = entry.difference
    assert found is not None
    estimate, low, high = (words.signed(value * 1e4) for value in (found.estimate, found.low, found.high))
    return f"{estimate} bp, 95% interval [{low}, {high}]"


def _methods(entries: list[ComparedConfiguration]) -> str:
    methods = dict.fromkeys(c.difference.method for c in entries if c.difference)
    seeds = sorted({len(c.shared_seeds) for c in entries})
    return f"{' or '.join(methods)}, {' to '.join(str(n) for n in {seeds[0]: 0, seeds[-1]: 0})} shared seeds"


def _covers(comparison: StudyComparison) -> str:
    kinds = dict.fromkeys(c.difference.covers for c in comparison.configurations if c.difference and c.difference_seeds)
    return " or ".join(kinds)


def _p(value: float | None) -> str:
    printed = words.p_value(value)
    return "p undefined" if value is None else f"p {printed}" if printed.startswith("<") else f"p = {printed}"
