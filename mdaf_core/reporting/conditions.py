"""What must be known beside every result of a study: typed sentences, gathered here and nowhere else.

Captions of figures and tables, the results paragraph, the manifest, the pages and `compare` all take them from
`of_study`. A further condition is one more generator in `_OF_DATA` or `_OF_RUNS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel

from mdaf_core.analysis.convergence import diverged, unfinished
from mdaf_core.base.errors import StudioError
from mdaf_core.base.words import listed, plural
from mdaf_core.data.store.sample import sample_note
from mdaf_core.data.store.schema import SPLIT_NAMES, DatasetMeta, Split
from mdaf_core.reporting.words import seeds
from mdaf_core.runs import tracking
from mdaf_core.runs.tracking import RunRecord

if TYPE_CHECKING:
    from mdaf_core.analysis.compared import StudyComparison
    from mdaf_core.data.audit.report import Audit
    from mdaf_core.studies.across import Table
    from mdaf_core.studies.store import Study

OfData = Literal["data", "synthetic", "split", "audit-failed", "audit-warned"]
OfRuns = Literal["seeds", "sources", "users", "plan", "diverged", "unfinished", "imported", "inputs", "budget"]
SPLIT_KINDS = {
    "time": "split by time",
    "last-day": "the last day as test, the day before as validation",
    "leave-last-out": "each user's last row as test, the one before as validation",
    "random": "split at random",
    "given": "split as its source gives it",
}


class Condition(BaseModel):
    """One thing to know beside results.

    Attributes:
        grave: a reader who does not know it is misled; pages show it as a warning.
    """

    kind: OfData | OfRuns
    sentence: str
    grave: bool = False


def _grave(kind: OfData | OfRuns, sentence: str) -> Condition:
    return Condition(kind=kind, sentence=sentence, grave=True)


@dataclass(frozen=True)
class _Facts:
    study: Study
    runs: Sequence[RunRecord]
    split: Split
    meta: DatasetMeta | None
    audit: Audit | None
    comparison: StudyComparison | None
    budgets: Sequence[Condition] | None = None


def of_study(
    study: Study,
    runs: Sequence[RunRecord],
    split: Split = "test",
    comparison: StudyComparison | None = None,
    data: tuple[DatasetMeta | None, Audit | None] | None = None,
    budgets: Sequence[Condition] | None = None,
) -> list[Condition]:
    """The conditions of a study's results, those of its data first.

    Args:
        runs: the one that stands for each configuration and seed, in whatever state (`results.study_runs`).
        split: rows that results are on.
        comparison: whose choices are held against the study's plan.
        data: the data set and its audit; None: `data_of`.
        budgets: conditions of this kind; None: as searches and the run store say.
    """
    meta, audit = data_of(study, runs) if data is None else data
    facts = _Facts(study, runs, split, meta, audit, comparison, budgets)
    return [condition for gather in (*_OF_DATA, *_OF_RUNS) for condition in gather(facts)]


def of_studies(table: Table) -> list[Condition]:
    """The conditions of several studies as one table; those not of all data sets with the names of theirs.

    What the studies joined on one data set planned is said once, of that table.
    """
    from mdaf_core.studies.results import study_runs

    whose: dict[tuple[str, str, bool], list[str]] = {}
    for data, studies in table.of_column.items():
        comparison = table.columns[data]
        for study in studies:
            mine = comparison if len(studies) == 1 or study is studies[0] else None
            for one in of_study(study, study_runs(study), comparison.split, mine):
                names = whose.setdefault((one.kind, one.sentence, one.grave), [])
                names += [data] if data not in names else []
    return [
        Condition(
            kind=kind,
            sentence=sentence if len(names) == len(table.columns) else f"{', '.join(names)}: {sentence}",
            grave=grave,
        )
        for (kind, sentence, grave), names in whose.items()
    ]


def text(conditions: Sequence[Condition]) -> str:
    """All of them, one after the other, as a caption carries them."""
    return " ".join(condition.sentence for condition in conditions)


def split_words(meta: DatasetMeta | None) -> str:
    """How rows were split, in words."""
    if meta is None:
        return "split unknown"
    kind = meta.split.get("kind", "")
    if kind in ("time", "last-day") and not meta.has_time:
        return "split in the order of the file, as rows carry no time"
    made = ", the validation part made of a tenth of its training rows" if "validation" in meta.split else ""
    return SPLIT_KINDS.get(kind, "split unknown") + made


def data_of(study: Study, runs: Sequence[RunRecord]) -> tuple[DatasetMeta | None, Audit | None]:
    """The data set that the runs were trained on and its audit; None where it is gone, or is another by now."""
    from mdaf_core.data.audit.report import stored_audit
    from mdaf_core.data.store.dataset import PreparedDataset

    try:
        dataset = PreparedDataset.open(study.dataset)
    except StudioError:
        return None, None
    trained_on = [run.result.provenance.get("dataset", {}).get("fingerprint") for run in runs if run.result]
    if any(one is not None and one != dataset.meta.fingerprint for one in trained_on):
        return None, None
    try:
        return dataset.meta, stored_audit(dataset)
    except StudioError:
        return dataset.meta, None


# ---- of the data -----------------------------------------------------------------------------------------------------


def _known(facts: _Facts) -> Iterator[Condition]:
    if facts.meta is None and any(run.result for run in facts.runs):  # before, there is nothing it could be beside
        yield _grave(
            "data",
            f"Data set {facts.study.dataset} was removed or prepared anew since, so how it was made and split "
            "is not known.",
        )


def _synthetic(facts: _Facts) -> Iterator[Condition]:
    if facts.meta is not None and (facts.meta.source == "synthetic" or facts.meta.has_oracle):
        yield Condition(kind="synthetic", sentence="The data are synthetic.")


def _split(facts: _Facts) -> Iterator[Condition]:
    if facts.meta is None:
        return
    words = split_words(facts.meta)
    sentence = f"{words[0].upper()}{words[1:]}"
    if facts.meta.split.get("kind") == "random":
        yield _grave(
            "split",
            f"Rows were {words}: results say how well a model fills gaps in the past, not how well it predicts.",
        )
    else:
        yield Condition(kind="split", sentence=f"{sentence}.")


def _failed_checks(facts: _Facts) -> Iterator[Condition]:
    failed = {check.id: check for check in facts.audit.with_status("fail")} if facts.audit else {}

    def named(ids: Sequence[str]) -> str:
        return "; ".join(f"{id}: {failed[id].sentence.rstrip('.')}" if id in failed else id for id in ids)

    accepted = facts.study.acknowledged
    if accepted:
        yield _grave("audit-failed", f"The audit of the data failed, acknowledged before the runs ({named(accepted)}).")
    others = [id for id in failed if id not in accepted]
    if others:
        yield _grave("audit-failed", f"The audit of the data fails, which nobody acknowledged ({named(others)}).")


def _warnings(facts: _Facts) -> Iterator[Condition]:
    said = {"concentrated-users"} if any(_users(facts)) else set()  # of the rows themselves, not of all data
    for check in facts.audit.checks if facts.audit else ():
        if check.status == "warn" and check.beside_results and check.id not in said:
            yield _grave("audit-warned", f"{check.sentence.rstrip('.')}.")


# ---- of the runs -----------------------------------------------------------------------------------------------------


def _seeds(facts: _Facts) -> Iterator[Condition]:
    names = [run.configuration for run in facts.runs if run.state == "finished"]
    if not names:
        return
    counts = [names.count(name) for name in dict.fromkeys(names)]
    if max(counts) == 1:
        yield _grave("seeds", "One seed: no variance over seeds is known.")
    else:
        yield Condition(kind="seeds", sentence=f"{seeds(counts).capitalize()} of each configuration.")


def _sources(facts: _Facts) -> Iterator[Condition]:
    """Configurations whose seeds were trained by different sources of a plug-in: perhaps not seeds of one model."""
    trained: dict[str, dict[frozenset[str], list[int]]] = {}
    for run in facts.runs:
        if run.result is not None:
            sources = frozenset(one["sha256"] for one in run.result.provenance.get("plugins", []))
            trained.setdefault(run.configuration, {}).setdefault(sources, []).append(run.seed)
    for name, by_source in trained.items():
        if len(by_source) > 1:
            groups = " against ".join(", ".join(map(str, seeds_)) for seeds_ in by_source.values())
            sentence = (
                f"The plug-in of {name} was changed between its seeds ({groups}): they may be of different models. "
                "Train those of the older source again."
            )
            yield _grave("sources", sentence)


def _diverged(facts: _Facts) -> Iterator[Condition]:
    for found in diverged(facts.runs, facts.split):
        yield _grave("diverged", found.sentence)


def _unfinished(facts: _Facts) -> Iterator[Condition]:
    if sentence := unfinished(facts.runs).sentence:
        yield _grave("unfinished", sentence)


def _imported(facts: _Facts) -> Iterator[Condition]:
    finished = [run for run in facts.runs if run.state == "finished" and run.imported]
    names = dict.fromkeys(run.configuration for run in finished)
    if names:
        yield Condition(
            kind="imported",
            sentence=f"Trained elsewhere, with other code (how, and which epoch was kept, is not known): "
            f"{', '.join(names)}.",
        )


def _inputs(facts: _Facts) -> Iterator[Condition]:
    """Where some configurations are told what came of past events and others are not."""
    if facts.meta is None or not facts.meta.outcomes:
        return
    there = {run.configuration for run in facts.runs if run.state == "finished" and not run.imported}
    reads = {one.name: one.model.reads_outcomes for one in facts.study.configurations if one.name in there}
    told, others = ([name for name, does in reads.items() if does is which] for which in (True, False))
    if told and others:
        yield _grave(
            "inputs",
            f"Inputs differ: {listed(told)} {'is' if len(told) == 1 else 'are'} told what came of past events "
            f"(outcomes), and {listed(others)} not.",
        )


def _budgets(facts: _Facts) -> Iterator[Condition]:
    """How settings were chosen, and where more of them were tried of one configuration than of another."""
    from mdaf_core.analysis.costs import budgets
    from mdaf_core.studies.tuning import search

    if facts.budgets is not None:
        yield from facts.budgets
        return
    finished = [run for run in facts.runs if run.state == "finished"]
    if not finished:
        return
    others, beside = tracking.list_runs_on(run.fingerprint for run in finished), ""
    if facts.study.tuned_in:
        try:
            one = search.get(facts.study.tuned_in)
        except StudioError:
            sentence = (
                "Settings won in a search that is no longer here: what each configuration was given is not known."
            )
            yield _grave("budget", sentence)
        else:
            counts = [len(part.trials) for part in one.configurations]
            came_to = ""
            if one.budget is not None:  # of time, which is what is equal: how many trials that made hangs on the model
                many = plural(max(counts), "trial")
                came_to = f" ({many if min(counts) == max(counts) else f'{min(counts)} to {many}'} each)"
                others, beside = [run for run in others if run.study != one.id], "beside that search, "
            yield Condition(
                kind="budget",
                sentence=f"Settings won on validation, {one.budget_words} of each configuration{came_to} with seed "
                f"{one.seed}, which none of these runs has.",
            )
    tried = budgets(finished, others)
    if tried and max(tried.values()) - min(tried.values()) > 1:
        most, fewest = max(tried.values()), min(tried.values())
        names = {n: listed([name for name, count in tried.items() if count == n]) for n in (most, fewest)}
        yield _grave(
            "budget",
            f"Budgets are unequal: {beside}on these data {plural(most, 'setting')} of {names[most]} "
            f"were tried, and {fewest} of {names[fewest]}.",
        )


def _users(facts: _Facts) -> Iterator[Condition]:
    sample = facts.comparison.sample if facts.comparison else None
    if sample and (note := sample_note(sample, f"{SPLIT_NAMES[facts.split]} rows")):
        yield _grave("users", note)


def _plan(facts: _Facts) -> Iterator[Condition]:
    if facts.comparison is not None and facts.comparison.conditions is not None:
        for sentence in facts.comparison.conditions.sentences():
            yield _grave("plan", sentence)


_OF_DATA: tuple[Callable[[_Facts], Iterator[Condition]], ...] = (_known, _synthetic, _split, _failed_checks, _warnings)
_OF_RUNS: tuple[Callable[[_Facts], Iterator[Condition]], ...] = (
    _seeds,
    _sources,
    _users,
    _plan,
    _diverged,
    _unfinished,
    _imported,
    _inputs,
    _budgets,
)
