"""What is said of intervals: one wording for captions of figures and tables, pages and the command line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import polars as pl

from mdaf_core.analysis.significance import Estimate, intervals_as_they_are
from mdaf_core.base.words import listed
from mdaf_core.data.store.sample import sample_words
from mdaf_core.data.store.schema import SPLIT_NAMES
from mdaf_core.metrics import registry
from mdaf_core.reporting.paper import paragraph
from mdaf_core.reporting.words import seeds as seed_words

if TYPE_CHECKING:
    from mdaf_core.analysis.compared import StudyComparison
    from mdaf_core.reporting.material import Material
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


def metric(material: Material) -> str:
    return registry.metric(material.metric).title


def lower_is_better(material: Material) -> str:
    """`, lower is better`, where it is."""
    better = paragraph.direction(material.metric)
    return f", {better}" if better else ""


def rows(material: Material) -> str:
    """`225,446 test rows of 10,000 users`, as far as it is known."""
    sample, rows = material.comparison.sample, f"{SPLIT_NAMES[material.split]} rows"
    return sample_words(sample, rows) if sample else rows


def seeds(runs: list[RunRecord]) -> str:
    """`5 seeds`, `2 to 5 seeds`, `one seed`: how many each configuration has."""
    return seed_words(seed_counts(runs))


def each(runs: list[RunRecord]) -> str:
    """`means over 5 seeds`, or `one run each`."""
    return "one run each" if seeds(runs) == "one seed" else f"means over {seeds(runs)}"


def not_compared(material: Material) -> str:
    """A sentence where a configuration cannot stand beside the reference."""
    names = [c.configuration for c in paragraph.not_comparable(material.comparison)]
    return f" Not comparable with the reference, and not drawn: {', '.join(names)}." if names else ""


def comparable(material: Material, frame: pl.DataFrame) -> pl.DataFrame:
    refused = [c.configuration for c in paragraph.not_comparable(material.comparison)]
    return frame.filter(~pl.col("configuration").is_in(refused))


def left_out(material: Material, drawn: list[RunRecord] | None = None) -> str:
    """A sentence where a chart does not hold all configurations."""
    shown = material.drawn if drawn is None else drawn
    missing = len({run.configuration for run in material.runs} - {run.configuration for run in shown})
    if not missing:
        return ""
    return f" {missing} further configurations are not drawn." if missing > 1 else " One configuration is not drawn."


def lower(title: str) -> str:
    return title[0].lower() + title[1:]
