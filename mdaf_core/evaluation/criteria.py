"""Success criteria as data. A criterion passes or fails; there is no percentage of having passed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mdaf_core.errors import UsageError
from mdaf_core.evaluation.comparison import by_configuration
from mdaf_core.evaluation.significance import LEVEL, Component, half_width, seed_summary
from mdaf_core.tracking import RunRecord
from mdaf_core.validation import describe_validation_error

EpochMetric = Literal["train_auc_online", "train_auc_eval", "val_auc", "gap_online", "gap_eval", "val_logloss"]
TestMetric = Literal["test_auc", "test_gauc", "test_logloss"]
TITLES = {
    "train_auc_online": "Train AUC while training",
    "train_auc_eval": "Train AUC in evaluation mode",
    "val_auc": "Validation AUC",
    "gap_online": "Gap, train AUC while training",
    "gap_eval": "Gap, train AUC in evaluation mode",
    "val_logloss": "Validation log loss",
    "test_auc": "Test AUC",
    "test_gauc": "Test gAUC",
    "test_logloss": "Test log loss",
}


class Criterion(BaseModel):
    """One requirement. `drop below best` is the best epoch's value minus that of the epoch asked for."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=120, description="Shown in the scoreboard.")
    metric: EpochMetric | TestMetric
    rule: Literal["at least", "at most", "between", "drop below best at most"]
    low: float | None = Field(None, description="Threshold of `at least`, lower end of `between`.")
    high: float | None = Field(None, description="Threshold of `at most`, upper end of `between`, largest drop.")
    epoch: Literal["best", "last"] = Field("best", description="Which epoch the figure is taken from.")

    @model_validator(mode="after")
    def _thresholds(self) -> Criterion:
        needs_low, needs_high = self.rule in ("at least", "between"), self.rule != "at least"
        if needs_low != (self.low is not None) or needs_high != (self.high is not None):
            needed = [name for name, is_needed in (("low", needs_low), ("high", needs_high)) if is_needed]
            raise ValueError(f"the rule '{self.rule}' takes exactly the threshold(s) {' and '.join(needed)}")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low ({self.low:g}) is above high ({self.high:g})")
        if self.metric in get_args(TestMetric) and self.epoch == "last":
            raise ValueError("test metrics exist for the best epoch only")
        return self

    @property
    def requirement(self) -> str:
        """The rule in words, with its thresholds."""
        title = TITLES[self.metric]
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
    certain: bool | None = Field(None, description="Whether the whole interval is on one side of the threshold.")
    seeds: int = 0
    note: str = ""


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
_PRESETS = {"report": _REPORT, "mdaf-levels": _LEVELS}


def preset_criteria(name: str) -> list[Criterion]:
    """The report's four criteria (`report`), or MDAF's three levels (`mdaf-levels`).

    Raises:
        UsageError: unknown name.
    """
    if name not in _PRESETS:
        raise UsageError(f"There are no criteria {name!r}. Known: {', '.join(_PRESETS)}.")
    return [criterion.model_copy() for criterion in _PRESETS[name]]


def read_criteria(raw: Sequence[dict[str, Any]]) -> list[Criterion]:
    """Criteria as a study stores them.

    Raises:
        UsageError: one is not valid, as a sentence that says which.
    """
    found = []
    for i, item in enumerate(raw, 1):
        try:
            found.append(Criterion.model_validate(item))
        except ValidationError as error:
            raise UsageError(describe_validation_error(error, f"Criterion {i}{called(item)}")) from None
    return found


def called(item: Mapping[str, Any]) -> str:
    """The name of a row in brackets, for sentences about it; empty where it has none."""
    return f" ({item['name']})" if isinstance(item.get("name"), str) and item["name"] else ""


def _figure(criterion: Criterion, run: RunRecord) -> float | None:
    result = run.result
    if result is None:
        return None
    if criterion.metric in get_args(TestMetric):
        return getattr(result.test, criterion.metric.removeprefix("test_"))
    by_epoch = {e.epoch: e for e in result.epochs}
    best = by_epoch.get(result.best_epoch)
    asked = best if criterion.epoch == "best" else result.epochs[-1] if result.epochs else None
    if best is None or asked is None:
        return None
    value = getattr(asked, criterion.metric)
    if criterion.rule == "drop below best at most":
        top = getattr(best, criterion.metric)
        return None if top is None or value is None else top - value
    return value


def _sampling_interval(criterion: Criterion, run: RunRecord) -> tuple[float, float] | None:
    """For one seed: the interval of its AUC over rows or users, where the criterion is of an AUC at the best epoch."""
    if run.result is None or criterion.epoch != "best" or criterion.metric not in ("val_auc", "test_auc"):
        return None
    metrics = getattr(run.result, criterion.metric.removesuffix("_auc"))
    if metrics.auc is None or metrics.auc_se is None:
        return None
    width = half_width([Component(name="rows", variance=metrics.auc_se**2)], 1 - LEVEL)
    return metrics.auc - width, metrics.auc + width


def evaluate(criterion: Criterion, configuration: str, runs: Sequence[RunRecord]) -> CriterionResult:
    """One criterion for the finished runs (one a seed) of one configuration."""
    out = CriterionResult(
        configuration=configuration, criterion=criterion.name, requirement=criterion.requirement, passed=None
    )
    figures = [value for run in runs if (value := _figure(criterion, run)) is not None]
    if not figures:
        out.note = "no finished run has this figure"
        return out
    summary = seed_summary(figures)
    out.value, out.seeds, out.note = summary.mean, summary.n, summary.note
    out.passed = criterion.holds(summary.mean)
    interval = None
    if summary.low is not None and summary.high is not None:
        interval, out.covers = (summary.low, summary.high), "other seeds, on these rows"
    elif len(runs) == 1:
        interval, out.covers = _sampling_interval(criterion, runs[0]), "other rows or users, with this trained model"
    if interval is None:
        out.covers = ""
        return out
    out.low, out.high = interval
    edges = [edge for edge in (criterion.low, criterion.high) if edge is not None]
    out.certain = not any(out.low < edge < out.high for edge in edges)
    return out


def evaluate_study(criteria: Sequence[Criterion], runs: Sequence[RunRecord]) -> list[CriterionResult]:
    """Every criterion for every configuration with finished runs."""
    return [
        evaluate(criterion, name, list(group.values()))
        for name, group in by_configuration(runs).items()
        for criterion in criteria
    ]
