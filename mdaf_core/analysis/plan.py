"""What a study set out to compare before any result was seen, and what is said of everything else.

A word ("better", "parity") keeps its 5% only for what was fixed beforehand: some word of six metrics on two splits is
false in 23% of studies without a difference, some word of a look after every seed in 20%. So a study keeps its plan; a
word for anything else carries a mark with the reason, and while planned seeds are missing there is no word.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pydantic import BaseModel, Field

from mdaf_core.analysis.margins import AFTERWARDS, BY_HAND, Margin
from mdaf_core.analysis.sequential import UntilDecided
from mdaf_core.base.words import ROOM, some
from mdaf_core.data.store.schema import Split
from mdaf_core.metrics.registry import metric_words

NO_PLAN = "no plan was stored with this study"
MARKS = {AFTERWARDS: "†", NO_PLAN: "‡"}
_SPLITS = {"test": "test rows", "val": "validation rows"}


class Plan(BaseModel):
    """What is compared, fixed before any run of the study has finished."""

    metric: str = "auc"
    split: Split = "test"
    margin: Margin | None = Field(None, description="Of the primary metric. None: parity is not tested.")
    reference: str
    configurations: list[str]
    seeds: list[int] = Field(description="All that are to be trained, or with `until` all that may be, in their order.")
    until: UntilDecided | None = Field(None, description="Seeds are added until decided; None: all are trained.")

    @property
    def words(self) -> str:
        """In one line, for pages: metric, rows, margin, reference, seeds."""
        margin = f"margin {self.margin.text} ({self.margin.origin})" if self.margin else "no margin"
        seeds = f"{'seed' if len(self.seeds) == 1 else 'seeds'} {', '.join(map(str, self.seeds))}"
        if self.until is not None:
            seeds = f"seeds from {self.seeds[0]} until decided, {self.until.first} to {self.until.most}"
        return f"{metric_words(self.metric)} on {_SPLITS[self.split]} against {self.reference}, {margin}, {seeds}"


class Extension(BaseModel):
    """Seeds added to a study later."""

    seeds: list[int]
    added: str = Field(description="ISO 8601, UTC.")
    results_seen: bool = Field(description="Whether a run of the study had finished by then.")


class AddedConfiguration(BaseModel):
    """A configuration added to a study later."""

    configuration: str
    added: str = Field(description="ISO 8601, UTC.")
    results_seen: bool = Field(description="Whether a run of the study had finished by then.")


class Stop(BaseModel):
    """Where a configuration of a study whose seeds are added until decided got its last seed, and why."""

    configuration: str
    seeds: int = Field(description="How many of the study's seeds it was looked at with.")
    why: str = Field(description="The word, or why no further seed can give one.")
    when: str = Field(description="ISO 8601, UTC.")


class ImportedSeed(BaseModel):
    """Predictions that were imported into a study: one training of a configuration that was trained elsewhere."""

    configuration: str
    seed: int = Field(description="The order of the import, from 0, where no seed is known.")
    added: str = Field(description="ISO 8601, UTC.")
    results_seen: bool = Field(description="Whether another configuration of the study had a result by then.")


class GivenUp(BaseModel):
    """A planned run that will not be finished: its configuration is judged without this seed."""

    configuration: str
    seed: int
    reason: str = Field("", description="What its job said: diverged, failed, cancelled.")
    when: str = Field(description="ISO 8601, UTC.")


class Conditions(BaseModel):
    """What is said beside every word, figure and table of a comparison.

    `chosen_after` holds for all its words, `of_configurations` for those of some; `interim` names the configurations
    whose planned seeds have not all finished, `missing` the runs that are waited for.
    """

    plan: Plan | None = None
    chosen_after: list[str] = []
    of_configurations: dict[str, list[str]] = {}
    interim: dict[str, str] = Field({}, description="Configuration → `3 of 5 planned seeds`.")
    missing: list[str] = []
    recorded: list[str] = Field([], description="Changes before any result was seen: no mark, but said.")
    looks: list[str] = Field([], description="Of seeds that are added until decided: how, and where each stopped.")

    def marks(self, configuration: str) -> list[str]:
        """Why the word of a configuration is not the planned one; empty: it is."""
        if self.plan is None:
            return [NO_PLAN]
        reasons = [*self.chosen_after, *self.of_configurations.get(configuration, [])]
        return [AFTERWARDS] if reasons else []

    def sentences(self) -> list[str]:
        """All of it, for the page, captions, the paper's text and the manifest; nothing where the plan was kept."""
        out = []
        if self.plan is None:
            out.append(
                f"{NO_PLAN[0].upper()}{NO_PLAN[1:]}, so whether metric, split, margin and reference were chosen before "
                "results were seen is not known."
            )
        elif self.chosen_after:
            out.append(f"Chosen after results were seen: {'; '.join(self.chosen_after)}.")
        for name, reasons in _grouped(self.of_configurations):
            out.append(f"Chosen after results were seen, {name}: {'; '.join(reasons)}.")
        if self.interim:
            counts = [f"{some(names, room=ROOM)} {count}" for count, names in _by_value(self.interim).items()]
            out.append(
                f"Interim look, so no verdict yet: {'; '.join(counts)}."
                + ("" if self.looks else " Intervals and p values are not adjusted for looking early.")
            )
        if self.missing:
            out.append(f"Planned runs that have not finished: {'; '.join(self.missing)}.")
        return [*out, *self.looks, *(f"{text[0].upper()}{text[1:]}." for text in self.recorded)]


def departures(
    plan: Plan, *, reference: str, split: str, metric: str, margin: Margin | None, only: Sequence[str] = ()
) -> Iterator[str]:
    """What of these choices is not the plan's, each with what was planned.

    Args:
        only: names of the configurations that are shown, where it is not all.
    """
    if metric != plan.metric:
        yield f"the metric {metric_words(metric)} (planned: {metric_words(plan.metric)})"
    if split != plan.split:
        yield f"{_SPLITS[split]} (planned: {_SPLITS[plan.split]})"
    if reference != plan.reference:
        yield f"the reference {reference} (planned: {plan.reference})"
    if margin is not None and not margin.same(plan.margin):
        planned = plan.margin.text if plan.margin else "none"
        yield f"the margin {margin.text} (planned: {planned})"
    left_out = [name for name in plan.configurations if only and name not in only]
    if left_out:
        yield f"{len(only)} of {len(plan.configurations)} planned configurations (left out: {', '.join(left_out)})"


def resolved_margin(plan: Plan | None, metric: str, margin: Margin | None) -> Margin | None:
    """A margin the reader names, with its origin: the plan's where it is the same, else chosen afterwards."""
    if margin is None:
        return None
    if plan is not None and metric == plan.metric and margin.same(plan.margin):
        return plan.margin
    return margin.model_copy(update={"origin": AFTERWARDS if plan is not None else f"{BY_HAND}; {NO_PLAN}"})


def planned_margin(plan: Plan | None, metric: str) -> Margin | None:
    """The plan's margin where the metric is the planned one: a margin of one metric says nothing of another."""
    return plan.margin if plan is not None and metric == plan.metric else None


def marked(word: str, conditions: Conditions | None, configuration: str) -> str:
    """A word with the mark of what was not planned: `better †`; as it is where the plan was kept."""
    if conditions is None or word not in ("better", "worse", "parity", "not shown"):
        return word
    marks = "".join(MARKS[mark] for mark in conditions.marks(configuration))
    return f"{word} {marks}".strip()


def unplanned_mark(marked_word: str) -> str:
    """The mark alone of a word that `marked` made: `better †` → `†`."""
    return "".join(mark for mark in MARKS.values() if marked_word.endswith(mark))


def seeds_done(expected: Iterable[int], finished: Iterable[int], planned: int) -> str | None:
    """`3 of 5 planned seeds` while expected ones are missing; None when all have finished."""
    wanted, done = set(expected), set(finished)
    return f"{len(wanted & done)} of {planned} planned seeds" if wanted - done else None


def _by_value(found: Mapping[str, str]) -> dict[str, list[str]]:
    out: dict[str, list[str]] = {}
    for name, value in found.items():
        out.setdefault(value, []).append(name)
    return out


def _grouped(found: Mapping[str, list[str]]) -> list[tuple[str, list[str]]]:
    return [
        (some(names, room=ROOM), reasons.split("\n"))
        for reasons, names in _by_value(
            {name: "\n".join(reasons) for name, reasons in found.items() if reasons}
        ).items()
    ]
