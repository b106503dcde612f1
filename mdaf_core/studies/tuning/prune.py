"""Stopping trials early that are below the median of the trials before them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from mdaf_core.runs.progress import Cancelled
from mdaf_core.runs.results import EpochMetrics
from mdaf_core.runs.tracking import load_epochs
from mdaf_core.studies.tuning.found import Tried, epoch_value, tried
from mdaf_core.studies.tuning.search import Search

FIRST_TRIALS, FIRST_EPOCHS = 5, 2
"""Trials that are never stopped, and epochs after which none is."""


class BelowMedian(Cancelled):
    """A trial is not worth going on with: its run ends as cancelled, for this reason."""

    def __init__(self, epoch: int):
        self.epoch = epoch
        super().__init__(f"Stopped after epoch {epoch}: below the median of the trials before it.")


def below_median(mine: Sequence[float], others: Sequence[Sequence[float]]) -> bool:
    """Whether a trial's best figure so far is below the median of the others' best ones by that epoch (the median rule
    of Golovin et al. 2017, on bests). Others that ended before stand by their last best.

    Args:
        mine, others: a figure an epoch, more being better.
    """
    epoch = len(mine)
    if len(others) < FIRST_TRIALS or epoch <= FIRST_EPOCHS:
        return False
    return max(mine) < statistics.median(max(other[:epoch]) for other in others)


def before(one: Search, configuration: str) -> list[list[float]] | None:
    """Figures of the trials by which this one is judged; None where the search does not prune. They have all ended, so
    that a trial that was killed is judged alike again.

    Args:
        configuration: the trial's, `NAME.NUMBER`.
    """
    name, _, number = configuration.rpartition(".")
    return figures(tried(one)[name][: int(number) - 1]) if one.prune else None


def judge(others: Sequence[Sequence[float]]) -> Callable[[Sequence[EpochMetrics]], None]:
    """To be told a trial's epochs so far; raises `BelowMedian` once it is not worth going on with beside `others`, the
    figures of those `before` it."""

    def look(epochs: Sequence[EpochMetrics]) -> None:
        mine = [v for epoch in epochs if (v := epoch_value(epoch)) is not None]
        if mine and below_median(mine, others):
            raise BelowMedian(epochs[-1].epoch)

    return look


def figures(trials: Sequence[Tried]) -> list[list[float]]:
    """The figures by epoch of trials that ran to their end."""
    found = []
    for one in trials:
        if one.state == "finished" and one.run_id:
            values = [v for epoch in load_epochs(one.run_id) if (v := epoch_value(epoch)) is not None]
            found += [values] if values else []
    return found
