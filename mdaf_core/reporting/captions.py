"""What is said of intervals: one wording for captions of figures and tables, pages and the command line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mdaf_core.analysis.significance import intervals_as_they_are
from mdaf_core.reporting.words import listed

if TYPE_CHECKING:
    from mdaf_core.analysis.compared import StudyComparison
    from mdaf_core.analysis.significance import Estimate
    from mdaf_core.runs.tracking import RunRecord


def by_most(covers: Iterable[tuple[str, str]]) -> str:
    """What intervals cover, the usual first; of others it says whose they are.

    Args:
        covers: (name of a configuration, what its interval covers).
    """
    whose: dict[str, list[str]] = {}
    for name, words in covers:
        whose.setdefault(words, []).append(name)
    usual, *others = sorted(whose, key=lambda words: -len(whose[words]))
    return "; for ".join([usual, *(f"{listed(whose[words])}: {words}" for words in others)])


def of_differences(comparison: StudyComparison) -> str:
    """A sentence on the intervals of differences that are shown: what they cover, and that they are not adjusted.

    An interval that covers users alone is not shown: of a difference between configurations it would exclude 0 where
    another seed would reverse it.
    """
    shown = [c for c in comparison.configurations if c.difference and c.difference.covers_seeds]
    hidden = [c.configuration for c in comparison.configurations if c.difference and not c.difference.covers_seeds]
    parts = []
    if shown:
        covers = by_most((c.configuration, c.difference.covers) for c in shown if c.difference)
        clause = intervals_as_they_are(comparison.tests)
        parts.append(f"95% intervals cover {covers}" + (f"; {clause}." if clause else "."))
    if hidden:
        whose = f" for {listed(hidden)}" if shown else ""
        parts.append(f"No interval{whose}: with one shared seed the variance over seeds is unknown.")
    return " ".join(parts)


def of_means(means: Sequence[tuple[str, Estimate | None]], what: str) -> str:
    """A sentence on the intervals of means over seeds: `what` they are, and what they cover; why some are missing."""
    shown = [(name, mean) for name, mean in means if mean is not None and mean.covers_seeds]
    if not shown:
        return "No interval: with one seed the variance over seeds is unknown."
    missing = [name for name, mean in means if mean is None or not mean.covers_seeds]
    covers = by_most((name, mean.covers) for name, mean in shown)
    return f"{what} cover {covers}." + (f" None for {listed(missing)}: one seed." if missing else "")


def shared_seeds(comparison: StudyComparison) -> str:
    """How many seeds differences are paired by, where that is not the number of seeds each configuration has."""
    odd = [
        c for c in comparison.configurations if c.difference is not None and len(c.shared_seeds) < len(c.values)
    ]  # fmt: skip
    return " ".join(f"{c.configuration} shares {len(c.shared_seeds)} of its seeds with the reference." for c in odd)


def seed_counts(runs: Sequence[RunRecord]) -> list[int]:
    """How many of these runs each configuration has."""
    names = [run.configuration for run in runs]
    return [names.count(name) for name in dict.fromkeys(names)]
