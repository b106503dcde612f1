"""What a study's figures, tables and sentences are made from: its finished runs and their comparison."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from mdaf_core.analysis.margins import Margin
from mdaf_core.analysis.plan import Conditions
from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.sample import Sample
from mdaf_core.data.store.schema import DatasetMeta, Split
from mdaf_core.reporting import conditions
from mdaf_core.reporting.conditions import Condition
from mdaf_core.reporting.theme import Typeface
from mdaf_core.runs.tracking import RunRecord
from mdaf_core.studies import results
from mdaf_core.studies.store import Study

if TYPE_CHECKING:
    from mdaf_core.analysis.across import AcrossComparison
    from mdaf_core.analysis.best import BestSet
    from mdaf_core.analysis.compared import StudyComparison
    from mdaf_core.data.audit.report import Audit
    from mdaf_core.studies.across import Table
    from mdaf_core.studies.tuning.summary import Summary

MOST_LINES = 8  # configurations in one line chart on paper; the palette has as many colours
OF_STUDIES = ("across", "data-sets")
"""Figures and tables of a study together with others."""
OF_SEARCH = ("expected-best", "tuning", "tuned-settings")
"""Figures and tables of the search whose winners a study compares."""


@dataclass(frozen=True)
class Known:
    """What a study's own files, the store and the queue say, found before: a capsule brings it with it.

    Attributes:
        records: the run that stands for each configuration and seed; ledger: what each configuration cost.
        conditions: how the comparison stands to the plan.
        data, audit: of the data set that the runs were trained on.
        budgets: how settings were chosen, and how many of them were tried.
    """

    records: list[RunRecord]
    ledger: pl.DataFrame
    conditions: Conditions | None
    data: DatasetMeta | None
    audit: Audit | None
    budgets: list[Condition]


@dataclass
class Material:
    """A study, and the choices that its figures and tables depend on.

    Attributes:
        split, metric, margin: rows that results are on, what configurations are compared by, and what counts as parity;
            by default those the study planned.
        only: configurations to draw in line charts; empty: the first eight.
        typeface: of figures.
        beside: ids of the studies that tables over data sets hold, too; empty: those it was launched together with.
        known: what is else read from where the study is.
    """

    study: Study
    split: Split = None  # type: ignore[assignment]  # the plan's, once made
    metric: str = None  # type: ignore[assignment]
    margin: Margin | str | None = results.PLANNED
    only: tuple[str, ...] = field(default=())
    typeface: Typeface = "sans"
    beside: tuple[str, ...] = field(default=())
    known: Known | None = None

    def __post_init__(self) -> None:
        _, self.split, self.metric, _ = results.choices(self.study, split=self.split, metric=self.metric)

    @cached_property
    def records(self) -> list[RunRecord]:
        """The run that stands for each configuration and seed, in whatever state."""
        return results.study_runs(self.study) if self.known is None else self.known.records

    @property
    def runs(self) -> list[RunRecord]:
        """The finished runs, one a configuration and seed."""
        return [run for run in self.records if run.state == "finished"]

    @cached_property
    def conditions(self) -> list[conditions.Condition]:
        """What must be known beside every result of the study."""
        data, budgets = None, None
        if self.known is not None:
            data, budgets = (self.known.data, self.known.audit), self.known.budgets
        return conditions.of_study(self.study, self.records, self.split, self.comparison, data, budgets)

    @cached_property
    def comparison(self) -> StudyComparison:
        said = None if self.known is None else self.known.conditions
        found = results.compare(
            self.study, self.runs, split=self.split, metric=self.metric, margin=self.margin, conditions=said
        )
        if found.rows is None:  # nothing was compared row by row; each run says how many rows it was evaluated on
            counts = {getattr(run.result, self.split).rows for run in self.runs if run.result}
            found.rows = counts.pop() if len(counts) == 1 else None
            found.sample = None if found.rows is None else Sample(rows=found.rows)
        return found

    @cached_property
    def together(self) -> Table:
        """The study with those beside it as one table, see `studies.across`.

        Raises:
            UsageError: it stands alone.
        """
        from mdaf_core.studies import across

        if self.known is not None:
            raise UsageError("A table over data sets takes other studies, which a capsule of one does not hold.")
        studies = across.together([self.study.id, *self.beside])
        return across.compare(
            studies, reference=self.comparison.reference, split=self.split, metric=self.metric, margin=self.margin
        )

    @property
    def over_data_sets(self) -> AcrossComparison:
        """`together` over its data sets.

        Raises:
            UsageError: it stands alone, or all are on one data set.
        """
        found = self.together.across
        if found is None:
            raise UsageError(f"The studies beside {self.study.id} are all on {self.study.dataset}: name one on others.")
        return found

    def conditions_beside(self, name: str) -> list[Condition]:
        """What must be known beside a figure or table of this name."""
        return conditions.of_studies(self.together) if name in OF_STUDIES else self.conditions

    @cached_property
    def search(self) -> Summary:
        """The search whose winners are compared.

        Raises:
            UsageError: there is none, or it is no longer here.
        """
        from mdaf_core.studies.tuning import search
        from mdaf_core.studies.tuning.summary import summary

        if not self.study.tuned_in:
            raise UsageError(
                f"Study {self.study.id} compares no winners of a search: `python -m mdaf_core study tune` makes one "
                "that does."
            )
        return summary(search.get(self.study.tuned_in))

    @cached_property
    def best(self) -> BestSet:
        """Which configurations may be the best, see `analysis.best`."""
        return results.best_of(self.study, self.runs, split=self.split, metric=self.metric)

    @cached_property
    def ledger(self) -> pl.DataFrame:
        """What each configuration cost, see `analysis.costs.of_runs`."""
        from mdaf_core.analysis import costs

        return costs.of_runs(self.runs) if self.known is None else self.known.ledger

    @property
    def dataset(self) -> DatasetMeta | None:
        """What is known of the data set; None where it was removed since."""
        if self.known is not None:
            return self.known.data
        try:
            return PreparedDataset.open(self.study.dataset).meta
        except StudioError:
            return None

    @property
    def lines(self) -> tuple[str, ...]:
        """Names of the configurations in line charts."""
        return self.only or tuple(self.study.configuration_names[:MOST_LINES])

    @property
    def drawn(self) -> list[RunRecord]:
        """Finished runs of the configurations in line charts, on the data that the reference was trained on."""
        return [r for r in self.runs if r.configuration in self.lines and r.fingerprint == self.fingerprint]

    @property
    def fingerprint(self) -> str:
        """Of the data that the reference was trained on; without a reference, that most runs were trained on."""
        of_reference = [run.fingerprint for run in self.runs if run.configuration == self.study.reference]
        among = of_reference or [run.fingerprint for run in self.runs]
        return max(among, key=among.count)

    @property
    def of_one_seed(self) -> list[RunRecord]:
        """The drawn runs of the seed that most configurations have finished, of several such seeds the smallest."""
        seeds = [run.seed for run in self.drawn]
        seed = max(sorted(set(seeds)), key=seeds.count)
        return [run for run in self.drawn if run.seed == seed]

    @cached_property
    def gated(self) -> list[RunRecord]:
        """Finished runs that have a g, those of the reference first."""
        from mdaf_core.analysis.gates import without_gate

        runs = [run for run in self.runs if without_gate(run) is None]
        return sorted(runs, key=lambda run: run.configuration != self.study.reference)

    @property
    def auc_margin(self) -> Margin | None:
        """What is negligible in AUC, whatever metric is compared by: as chosen for it, else as planned."""
        chosen = self.margin if self.metric == "auc" else results.PLANNED
        return results.choices(self.study, metric="auc", margin=chosen)[3]

    def require_runs(self) -> None:
        """Raises UsageError where no run has finished."""
        if not self.runs:
            raise UsageError(
                f"No run of study {self.study.id} has finished, so there is nothing to export yet. "
                "`python -m mdaf_core jobs` shows what is running."
            )
