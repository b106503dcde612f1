"""Runs of others as models on data sets: what is a repeat of what, and which setting stands for a model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from mdaf_core.analysis.published.found import Basis
from mdaf_core.runs.published.metric import ReportedMetric
from mdaf_core.runs.published.table import Run

Kind = Literal["seeds", "repeats", "one", "lines"]


@dataclass(frozen=True)
class Group:
    """Runs of one setting of one model on one data set.

    Attributes:
        kind: seeds, each once; repeats without seeds; one run; lines that name neither seed nor setting.
        conflict: whether a seed has several figures, so that something else than the seed differs.
    """

    setting: str
    runs: list[Run]
    metric: str
    kind: Kind
    conflict: bool = False

    @property
    def seeded(self) -> bool:
        """Whether each figure is of a seed that is named."""
        return self.kind == "seeds"

    @property
    def unexplained(self) -> bool:
        """Whether figures differ by something that no column names."""
        return self.kind == "lines"

    @cached_property
    def values(self) -> dict[str, float]:
        """Seed, or number of the repeat → test figure."""
        if self.seeded:
            return {run.seed: run.test[self.metric] for run in self.runs}
        return {str(i): run.test[self.metric] for i, run in enumerate(self.runs, 1)}

    @property
    def mean(self) -> float:
        return mean(list(self.values.values()))

    @property
    def validation(self) -> float | None:
        """Mean validation figure; None where a run has none."""
        found = [run.val.get(self.metric) for run in self.runs]
        return None if None in found else mean([value for value in found if value is not None])


@dataclass(frozen=True)
class Cell:
    """One model on one data set: all its runs with a test figure of the metric."""

    data_set: str
    model: str
    metric: ReportedMetric
    groups: list[Group]

    @property
    def runs(self) -> list[Run]:
        return [run for group in self.groups for run in group.runs]

    @cached_property
    def candidates(self) -> list[Group]:
        """What a figure may be chosen from: settings, each line that names neither seed nor setting, too."""
        return [one for group in self.groups for one in _alone(group)]

    @cached_property
    def chosen(self) -> tuple[Group, Basis]:
        """What stands for the model: of its settings with seeds (of all where none has) the best on validation."""
        several = [group for group in self.candidates if len(group.values) > 1]
        among = several or self.candidates
        figures = [group.validation for group in among]
        on_validation = None not in figures
        by = figures if on_validation else [group.mean for group in among]
        order = sorted(range(len(among)), key=lambda i: (-self.metric.direction * (by[i] or 0.0), among[i].setting))
        best = among[order[0]]
        if len(best.values) > 1:
            return best, "mean over seeds" if best.seeded else "mean over repeats"
        if len(among) == 1:
            return best, "a mean, as given" if best.runs[0].is_mean else "one run"
        return best, "best on validation" if on_validation else "best on test"

    @property
    def chosen_by_test(self) -> bool:
        """Whether settings could be told apart by their test figures alone."""
        several = [group for group in self.candidates if len(group.values) > 1] or self.candidates
        return len(several) > 1 and any(group.validation is None for group in several)

    @cached_property
    def shown(self) -> tuple[float, int] | None:
        """The one figure that is shown for the model, else for its chosen setting, and its decimals."""
        for runs in (self.runs, self.chosen[0].runs):
            found = {
                run.shown[self.metric.key]: run.digits[self.metric.key] for run in runs if self.metric.key in run.shown
            }
            if len(found) == 1:
                return next(iter(found.items()))
        return None


def cells_of(runs: Sequence[Run], metric: ReportedMetric, repeats: bool) -> list[Cell]:
    """The models of one data set that have test figures of a metric, by name.

    Args:
        repeats: lines that name neither seed nor setting are repeats of one training.
    """
    of_model: dict[str, dict[str, list[Run]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        if metric.key in run.test:
            of_model[run.model][run.setting].append(run)
    return [
        Cell(
            own[next(iter(own))][0].data_set,
            model,
            metric,
            [_group(s, own[s], metric.key, repeats) for s in sorted(own)],
        )
        for model, own in sorted(of_model.items())
    ]


def _group(setting: str, runs: list[Run], metric: str, repeats: bool) -> Group:
    seeds = [run.seed for run in runs]
    if len(runs) == 1:
        return Group(setting, runs, metric, "one" if not runs[0].seed else "seeds")
    if all(seeds) and len(set(seeds)) == len(seeds):
        return Group(setting, runs, metric, "seeds")
    conflict = len({seed for seed in seeds if seed}) < sum(map(bool, seeds))
    named = bool(setting) and not conflict
    return Group(setting, runs, metric, "repeats" if (named or repeats) and not conflict else "lines", conflict)


def _alone(group: Group) -> list[Group]:
    if not group.unexplained:
        return [group]
    return [Group(group.setting, [run], group.metric, "one") for run in group.runs]


def in_bp(metric: ReportedMetric, difference: float, figure: float) -> float:
    """A difference in bp: 1e-4 of the metric, of one in its own unit 1e-4 of the figure."""
    return 1e4 * difference / (1.0 if metric.in_bp else abs(figure) or 1.0)


def mean(values: Sequence[float]) -> float:
    """The same for the same values, in whatever order."""
    return float(np.mean(np.sort(np.asarray(values, np.float64))))


def prints_as(value: float, shown: float, digits: int) -> bool:
    """Whether a figure is the shown one at its decimals."""
    return abs(value - shown) <= 0.5 * 10.0**-digits + 1e-9 * max(1.0, abs(shown)) * 10.0 ** -min(digits, 6)
