"""Success criteria as data. A criterion passes or fails; there is no percentage of having passed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from mdaf_core.analysis.sampling import mean_over_seeds, row_sampling
from mdaf_core.analysis.significance import ONE_SEED, Estimate, interval, seed_component, seed_summary
from mdaf_core.base.entries import known_entry
from mdaf_core.base.errors import UsageError
from mdaf_core.base.validation import called, describe_validation_error
from mdaf_core.data.store.schema import EVALUATED, Split
from mdaf_core.metrics.registry import OF_PLUGINS, metrics
from mdaf_core.runs.groups import by_configuration
from mdaf_core.runs.metric_values import metric_of
from mdaf_core.runs.tracking import RunRecord

OF_EPOCHS = {
    "train_auc_online": "Train AUC while training",
    "train_auc_eval": "Train AUC in evaluation mode",
    "val_auc": "Validation AUC",
    "gap_online": "Gap, train AUC while training",
    "gap_eval": "Gap, train AUC in evaluation mode",
    "val_logloss": "Validation log loss",
}
ON_TEST = "test_"


def titles() -> dict[str, str]:
    """Every figure that a criterion can be of: those of each epoch, and on test rows every metric."""
    return {**OF_EPOCHS, **{f"{ON_TEST}{key}": f"Test {one.words}" for key, one in metrics().items()}}


class Criterion(BaseModel):
    """One requirement. `drop below best` is the best epoch's value minus that of the epoch asked for."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=120, description="Shown in the scoreboard.")
    metric: str
    rule: Literal["at least", "at most", "between", "drop below best at most"]
    low: float | None = Field(None, description="Threshold of `at least`, lower end of `between`.")
    high: float | None = Field(None, description="Threshold of `at most`, upper end of `between`, largest drop.")
    epoch: Literal["best", "last"] = Field("best", description="Which epoch the figure is taken from.")
    origin: str = Field("", max_length=200, description="Where the thresholds come from, and what they were set for.")
    source: str = Field("", max_length=60, description="Kind of data they apply to; empty: any.")

    @field_validator("metric")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in titles():
            raise ValueError(f"there is no figure {name!r}; known: {', '.join(titles())}. {OF_PLUGINS}")
        return name

    @model_validator(mode="after")
    def _thresholds(self) -> Criterion:
        needs_low, needs_high = self.rule in ("at least", "between"), self.rule != "at least"
        if needs_low != (self.low is not None) or needs_high != (self.high is not None):
            needed = [name for name, is_needed in (("low", needs_low), ("high", needs_high)) if is_needed]
            raise ValueError(f"the rule '{self.rule}' takes exactly the threshold(s) {' and '.join(needed)}")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low ({self.low:g}) is above high ({self.high:g})")
        if self.metric.startswith(ON_TEST) and self.epoch == "last":
            raise ValueError("test metrics exist for the best epoch only")
        return self

    @property
    def requirement(self) -> str:
        """The rule in words, with its thresholds."""
        title = titles()[self.metric]
        if self.rule == "drop below best at most":
            return f"{title} at the {self.epoch} epoch not more than {self.high:g} below the best epoch"
        bounds = {
            "at least": f"≥ {self.low}",
            "at most": f"≤ {self.high}",
            "between": f"between {self.low} and {self.high}",
        }
        return f"{title} at the {self.epoch} epoch {bounds[self.rule]}"

    def holds(self, value: float) -> bool:
        """Whether a figure meets the thresholds (inclusive)."""
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


class CriterionResult(BaseModel):
    """How one configuration stands to one criterion. Passing is by the figure; the interval says how sure that is."""

    configuration: str
    criterion: str
    requirement: str
    passed: bool | None = Field(description="None: no figure, see `note`.")
    value: float | None = Field(None, description="Mean over seeds.")
    low: float | None = None
    high: float | None = None
    covers: str = Field("", description="What the interval covers.")
    certain: bool | None = Field(
        None,
        description="Whether the whole interval over seeds and users is on one side of the threshold; None: `unsure`.",
    )
    unsure: str = Field("", description="Why `certain` is not known.")
    origin: str = ""
    seeds: int = 0
    note: str = ""


_ORIGIN = "Mamba4Rec report of 2025-10-31, set for validation rows of the Taobao ads sample"
_TAOBAO = "taobao-ads"
CHOSE_THE_EPOCH = "validation rows chose the epoch, so this figure is optimistic; test metrics are not"
_REPORT = [
    Criterion(name="Train AUC in range", metric="train_auc_online", rule="between", low=0.60, high=0.70),
    Criterion(name="Validation AUC", metric="val_auc", rule="at least", low=0.5730),
    Criterion(name="Gap at the best epoch", metric="gap_online", rule="at most", high=0.08),
    Criterion(name="No collapse", metric="val_auc", rule="drop below best at most", high=0.05, epoch="last"),
]
_LEVELS = [
    Criterion(name=f"MDAF {level}", metric="val_auc", rule="at least", low=low)
    for level, low in (("minimum", 0.5780), ("target", 0.5820), ("stretch", 0.5900))
]
_ON_TEST = [
    Criterion(name="Test AUC", metric="test_auc", rule="at least", low=0.5730),
    *(c.model_copy(update={"name": f"{c.name}, test", "metric": "test_auc"}) for c in _LEVELS),
]
_PRESETS = {
    name: [criterion.model_copy(update={"origin": _ORIGIN, "source": _TAOBAO}) for criterion in criteria]
    for name, criteria in (("report", _REPORT), ("mdaf-levels", _LEVELS), ("report-test", _ON_TEST))
}


def preset_criteria(name: str) -> list[Criterion]:
    """The report's four criteria (`report`), MDAF's three levels (`mdaf-levels`), or both on test AUC (`report-test`).

    Raises:
        UsageError: unknown name.
    """
    return [criterion.model_copy() for criterion in known_entry(name, _PRESETS, "are no criteria")]


def read_criteria(raw: Sequence[dict[str, Any]]) -> list[Criterion]:
    """Criteria as a study stores them.

    Raises:
        UsageError: one is not valid, as a sentence that says which.
    """
    found = []
    for i, item in enumerate(raw, 1):
        try:
            found.append(_with_origin(Criterion.model_validate(item)))
        except ValidationError as error:
            raise UsageError(describe_validation_error(error, f"Criterion {i}{called(item)}")) from None
    return found


def _with_origin(criterion: Criterion) -> Criterion:
    """A preset's own, stored before criteria had an origin, is recognised; one changed by hand is no longer it."""
    presets = [one for criteria in _PRESETS.values() for one in criteria]
    if not criterion.origin and not criterion.source:
        stored = (one for one in presets if criterion == one.model_copy(update={"origin": "", "source": ""}))
        return next(stored, criterion).model_copy()
    if criterion.origin == _ORIGIN and not any(_same_rule(criterion, one) for one in presets):
        return criterion.model_copy(update={"origin": f"changed by hand from: {_ORIGIN}"})
    return criterion


def _same_rule(a: Criterion, b: Criterion) -> bool:
    return a.model_dump(exclude={"name"}) == b.model_dump(exclude={"name"})


def applicable(names: Sequence[str], source: str | None) -> list[Criterion]:
    """The presets' criteria that apply to data of this source; a study of other data begins without them."""
    return [c for name in names for c in preset_criteria(name) if not c.source or c.source == source]


def _figure(criterion: Criterion, run: RunRecord) -> float | None:
    result = run.result
    if result is None:
        return None
    if criterion.metric.startswith(ON_TEST):
        return metric_of(run, "test", criterion.metric.removeprefix(ON_TEST))
    by_epoch = {e.epoch: e for e in result.epochs}
    best = None if result.best_epoch is None else by_epoch.get(result.best_epoch)
    asked = best if criterion.epoch == "best" else result.epochs[-1] if result.epochs else None
    if best is None or asked is None:
        return None
    value = getattr(asked, criterion.metric)
    if criterion.rule == "drop below best at most":
        top = getattr(best, criterion.metric)
        return None if top is None or value is None else top - value
    return value


def _mean(criterion: Criterion, runs: Sequence[RunRecord], figures: Sequence[float]) -> Estimate | None:
    """The interval of a criterion's figure: over seeds and users at once where each row's part in it is known.

    That is so for metrics of the best epoch, whose predictions are kept; of gaps, training figures, other epochs and
    drops between epochs only the spread over seeds is known.
    """
    part, _, metric = criterion.metric.partition("_")
    if len(figures) == len(runs) and part in EVALUATED and criterion.epoch == "best":
        split: Split = "val" if part == "val" else "test"
        return mean_over_seeds(figures, row_sampling([(run,) for run in runs], split, metric))
    if len(figures) < 2:
        return None
    return interval(sum(figures) / len(figures), [seed_component(figures)], "other seeds, on these rows")


def evaluate(
    criterion: Criterion, configuration: str, runs: Sequence[RunRecord], source: str | None = None
) -> CriterionResult:
    """One criterion for the finished runs (one a seed) of one configuration.

    Args:
        source: kind of data the runs are on; None: not known, and the criterion is judged with a note.
    """
    out = CriterionResult(
        configuration=configuration,
        criterion=criterion.name,
        requirement=criterion.requirement,
        origin=criterion.origin,
        passed=None,
    )
    if criterion.source and source is not None and criterion.source != source:
        out.note = f"does not apply: its thresholds are for {criterion.source} data, these are {source}"
        return out
    figures = [value for run in runs if (value := _figure(criterion, run)) is not None]
    if not figures:
        out.note = "no finished run has this figure"
        return out
    summary = seed_summary(figures)
    out.value, out.seeds = summary.mean, summary.n
    out.passed = criterion.holds(summary.mean)
    notes = [summary.note] if summary.note else []
    if criterion.metric.startswith("val_"):
        notes.append(CHOSE_THE_EPOCH)
    if criterion.source and source is None:
        notes.append(f"its thresholds are for {criterion.source} data; whether these are is not known")
    out.note = "; ".join(notes)
    found = _mean(criterion, runs, figures)
    if found is None:
        out.unsure = ONE_SEED if len(figures) == 1 else "no interval of this figure is known"
        return out
    out.low, out.high, out.covers = found.low, found.high, found.covers
    if not found.of_both_sources:
        out.unsure = f"the interval covers {found.covers}, not {'other seeds' if summary.n == 1 else 'other users'}"
        return out
    edges = [edge for edge in (criterion.low, criterion.high) if edge is not None]
    out.certain = not any(out.low < edge < out.high for edge in edges)
    return out


def evaluate_study(
    criteria: Sequence[Criterion], runs: Sequence[RunRecord], source: str | None = None
) -> list[CriterionResult]:
    """Every criterion for every configuration with finished runs; `source` as for `evaluate`."""
    return [
        evaluate(criterion, name, list(group.values()), source)
        for name, group in by_configuration(runs).items()
        for criterion in criteria
    ]
