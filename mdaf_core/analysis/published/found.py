"""What an audit of other people's results finds, as data; `reporting/paper/published.py` puts it into sentences."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from mdaf_core.analysis.significance import Difference, Equivalence, Verdict
from mdaf_core.runs.published.metric import ReportedMetric

Basis = Literal[
    "mean over seeds", "mean over repeats", "one run", "a mean, as given", "best on validation", "best on test"
]


BP_WORDS = "In bp: 1e-4 of the metric, of a metric in its own unit (RMSE) 1e-4 of the figure."


class Entry(BaseModel):
    """One model on one data set, by the setting that is best on validation."""

    model: str
    setting: str = ""
    basis: Basis = Field(description="What `figure` is; best on …: one of several lines, chosen so.")
    figure: float
    runs: int = Field(description="Lines of this model on this data set, all settings.")
    settings: int = Field(description="Settings tried; lines that name neither seed nor setting count as one each.")
    seeds: int = Field(description="Trainings behind `figure`.")
    sd: float | None = None
    low: float | None = Field(None, description="Of the mean's 95% interval over seeds.")
    high: float | None = None
    values: dict[str, float] = Field({}, description="Seed (or number of the repeat) → figure, behind `figure`.")
    shown: float | None = None
    at_equal_budget: float | None = Field(
        None, description="Expected figure of the setting best on validation, of as many as the least tried model had."
    )


class Lead(BaseModel):
    """The reference against another model: reference minus model, above 0 where the reference is better."""

    model: str
    seeds: int = Field(description="Shared by both; where none are, the fewer of both.")
    paired: bool
    difference: Difference
    p_holm: float | None = None
    equivalence: Equivalence | None = None
    p_parity_holm: float | None = None
    verdict: Verdict = Field("not shown", description="Of the model, against the reference.")


class DataSetFound(BaseModel):
    """One data set's models by one metric, best first."""

    name: str
    metric: ReportedMetric
    runs: int
    entries: list[Entry]
    reference: str | None = Field(None, description="Best mean of the models with seeds, or the one asked for.")
    chosen: bool = Field(True, description="Whether the reference is the best by the very figures that are tested.")
    leads: list[Lead] = []
    margin: float | None = Field(None, description="Half-width of parity, in the metric.")
    margin_words: str = ""
    margin_note: str = ""
    pairs: int = Field(0, description="Pairs of models with seeds.")
    pairs_survive: int = Field(0, description="Of those, how many differ after Holm over all of them.")
    rank_correlation: float | None = Field(None, description="Spearman's, of the shown figures and those below.")
    ranked: int = Field(0, description="Models behind it.")
    ranked_by: Literal["means over seeds", "figures chosen on validation"] = "means over seeds"
    noise_floor: float | None = Field(None, description="Pooled standard deviation over seeds.")
    neighbours: int = Field(0, description="Steps from one shown figure to the next lower.")
    within_noise: int = Field(0, description="Of those, how many are smaller than the noise floor.")
    identical: int = Field(0, description="Lines whose validation figures all equal their test figures.")
    with_both: int = Field(0, description="Lines that have both.")
    budget: int | None = Field(None, description="Settings of the least tried model, where they differ.")
    best_at_equal_budget: str | None = None
    budget_rank_correlation: float | None = None

    @property
    def scale(self) -> float:
        """What turns a difference into what it is printed in: bp, or the metric's own unit."""
        return 1e4 if self.metric.in_bp else 1.0

    @property
    def unit(self) -> str:
        return "bp" if self.metric.in_bp else ""


class ShownSeed(BaseModel):
    """A shown figure beside the seeds of its model."""

    data_set: str
    model: str
    setting: str = ""
    seeds: int
    shown: float
    mean: float
    is_: Literal["a seed", "the mean", "neither", "cannot be told"] = Field(serialization_alias="is")
    prints_as: list[str] = Field(description="Seeds whose figure is printed so.")
    seed: str | None = None
    best: bool | None = Field(None, description="Whether it is the best of its seeds.")
    chance: float | None = Field(None, description="That a seed chosen blindly is.")
    optimism: float | None = Field(None, description="The seed's figure minus the mean, above 0 where it flatters.")
    optimism_bp: float | None = Field(None, description=BP_WORDS)


class BestOfSeeds(BaseModel):
    """Whether shown figures are those of single seeds, and of the best ones."""

    groups: list[ShownSeed] = []
    seed: str | None = Field(None, description="The seed that most shown figures are of.")
    seed_in: int = 0
    of_a_seed: int = 0
    means: int = 0
    untold: int = Field(0, description="Figures with so few decimals that every seed is printed alike.")
    best: int = 0
    expected: float = Field(0.0, description="How many would be the best of theirs by chance.")
    chance: float | None = Field(None, description="Of as many or more, had seeds been chosen blindly.")
    optimism_bp: float | None = Field(None, description="Mean over those of a seed.")
    largest_bp: float | None = None
    largest: str | None = None
    best_would_add_bp: float | None = Field(
        None, description="Best seed minus mean, on average over all groups with seeds, shown or not."
    )
    all_groups: int = Field(0, description="Groups with two seeds or more, shown or not.")


class Selection(BaseModel):
    """A model with several runs, whose best on validation and best on test are not the same."""

    data_set: str
    model: str
    runs: int
    best_on_validation: float = Field(description="Test figure of the run that is best on validation.")
    best_on_test: float
    gain_bp: float = Field(description=f"Of choosing on test. {BP_WORDS}")
    shown: float | None = None
    shown_is: Literal["best on test", "best on validation", "neither"] | None = None


class ChosenOnTest(BaseModel):
    """Signs that figures were chosen by looking at the test."""

    lines: int = Field(0, description="With validation and test figures.")
    identical: int = 0
    identical_sets: list[str] = Field([], description="Data sets all of whose lines are.")
    identical_in_sets: int = Field(0, description="Lines of those.")
    cells: int = Field(0, description="Models with several runs, on one data set, that have both figures.")
    shown_cells: int = Field(0, description="Of these, with a shown figure.")
    all_best_on_test: int = Field(0, description="Of those, whose shown figure is printed like the best on test.")
    all_best_on_validation: int = Field(0, description="… like that of the run best on validation (or both).")
    of_no_run: int = Field(0, description="… like that of none of its runs.")
    selections: list[Selection] = Field([], description="Of these, where choosing on test gives another figure.")
    shown_best_on_test: int = 0
    shown_best_on_validation: int = 0
    shown_neither: int = 0
    chance: float | None = Field(
        None, description="Of as many best on test, had it been either of both with equal chance."
    )
    gain_bp: float | None = Field(None, description="Of choosing on test, mean over the selections.")
    largest_gain_bp: float | None = None
    largest_gain: str | None = None


class Kinds(BaseModel):
    """How many models on data sets are known by what."""

    cells: int
    seeded: dict[int, int] = Field({}, description="Seeds of the compared setting → models on data sets.")
    repeated: int = 0
    one_run: int = 0
    given_means: int = Field(0, description="By figures that the table gives with a spread.")
    several_settings: int = Field(0, description="One run each of several settings, without seeds.")
    unknown: int = Field(0, description="Several lines that name neither seed nor setting.")
    conflicting: list[str] = Field([], description="The same seed with different figures.")


class Audit(BaseModel):
    """All that was found in a table of runs. Figures are reported, not computed here."""

    reported: Literal[True] = True
    source: str = ""
    lines: int = Field(description="Of the table, with those that were left out or are there twice.")
    runs: int
    metrics: list[ReportedMetric]
    kinds: Kinds
    best_of_seeds: BestOfSeeds
    chosen_on_test: ChosenOnTest
    data_sets: list[DataSetFound]
    margin: str = Field(description="As it was asked for; `none`: parity is not tested.")
    notes: list[str] = []
