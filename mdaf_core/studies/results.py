"""The comparison of a study as everything shows it: by its plan, or with what departs from the plan said."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mdaf_core.analysis.margins import AFTERWARDS, Margin
from mdaf_core.analysis.plan import Conditions, departures, planned_margin, resolved_margin
from mdaf_core.analysis.sequential import ALPHA
from mdaf_core.base.errors import UsageError
from mdaf_core.base.words import plural, some
from mdaf_core.data.store.schema import Split
from mdaf_core.metrics.registry import metric as known_metric
from mdaf_core.runs import tracking
from mdaf_core.runs.config import RunConfig
from mdaf_core.runs.tracking import RunRecord
from mdaf_core.studies.shelf import binned
from mdaf_core.studies.status import cells
from mdaf_core.studies.store import Study, list_studies

if TYPE_CHECKING:
    from mdaf_core.analysis.best import BestSet
    from mdaf_core.analysis.compared import StudyComparison
    from mdaf_core.analysis.factorial import Effects

PLANNED = "planned"  # of a margin: whatever the study planned for the metric


def study_runs(study: Study) -> list[RunRecord]:
    """The run that stands for each configuration and seed of a study, configurations outermost, without repeats."""
    by_id = {run.run_id: run for run in tracking.list_runs(study.id)}
    return [by_id[cell.run_id] for cell in cells(study) if cell.run_id in by_id]


def choices(
    study: Study,
    *,
    reference: str | None = None,
    split: Split | None = None,
    metric: str | None = None,
    margin: Margin | str | None = PLANNED,
) -> tuple[str, Split, str, Margin | None]:
    """Reference, split, metric and margin, those that are not named as the study planned them.

    A study without a plan takes its reference, AUC on test rows, and no margin.
    """
    plan = study.plan
    found_metric = known_metric(metric or (plan.metric if plan else "auc")).key
    found_margin = (
        planned_margin(plan, found_metric) if isinstance(margin, str) else resolved_margin(plan, found_metric, margin)
    )
    return (
        reference or (plan.reference if plan else study.reference),
        split or (plan.split if plan else "test"),
        found_metric,
        found_margin,
    )


def compare(
    study: Study,
    runs: Sequence[RunRecord] | None = None,
    *,
    reference: str | None = None,
    split: Split | None = None,
    metric: str | None = None,
    margin: Margin | str | None = PLANNED,
    only: Sequence[str] = (),
    over_items: bool = False,
    conditions: Conditions | None = None,
) -> StudyComparison:
    """`compare_study` by the study's plan, or by other choices, which are said to be chosen after results were seen.

    Args:
        runs: the study's; None reads them. Unfinished ones are left out.
        margin: None for none, `PLANNED` for the plan's.
        only: configurations that are shown where it is not all of them; tests are of all.
        over_items: intervals cover other items, too: only ever wider, and so no choice that needs a mark.
        conditions: how it stands to the plan, where that was found before; None: as store and queue say now.

    Raises:
        UsageError: unknown configuration or metric, or a margin without a meaning for it.
    """
    from mdaf_core.analysis.comparison import compare_study

    base, rows, by, width = choices(study, reference=reference, split=split, metric=metric, margin=margin)
    study.configuration(base)
    finished = [run for run in (study_runs(study) if runs is None else runs) if run.state == "finished"]
    until = study.plan.until if study.plan else None
    found = compare_study(
        finished, base, rows, by, width, study.expected_seeds, over_items, until=until, undecided=study.undecided
    )
    found.conditions = conditions_of(study, found, finished, only) if conditions is None else conditions
    return found


def best_of(
    study: Study,
    runs: Sequence[RunRecord] | None = None,
    *,
    split: Split | None = None,
    metric: str | None = None,
) -> BestSet:
    """Which configurations may be the best, by the study's plan or by other choices, see `analysis.best`.

    Where seeds are added until decided, each look has the level of a look (docs/statistics.md).
    """
    from mdaf_core.analysis.best import best_set

    _, rows, by, _ = choices(study, split=split, metric=metric)
    alpha = study.plan.until.nominal(ALPHA) if study.plan and study.plan.until else ALPHA
    return best_set(study_runs(study) if runs is None else runs, rows, by, alpha)


def effects_of(
    study: Study,
    runs: Sequence[RunRecord] | None = None,
    *,
    split: Split | None = None,
    metric: str | None = None,
    margin: Margin | str | None = PLANNED,
) -> Effects:
    """Effects of the components of a factorial study, by its plan or by other choices, see `analysis.factorial`.

    Raises:
        UsageError: the study is no factorial.
    """
    from mdaf_core.analysis.factorial import factorial_effects

    if study.factorial is None:
        raise UsageError(
            f"Study {study.id} is no factorial. `python -m mdaf_core study run factorial --data NAME` runs one."
        )
    _, rows, by, width = choices(study, split=split, metric=metric, margin=margin)
    return factorial_effects(study.factorial, study_runs(study) if runs is None else runs, rows, by, width)


def conditions_of(
    study: Study, comparison: StudyComparison, finished: Sequence[RunRecord], only: Sequence[str] = ()
) -> Conditions:
    """How a comparison of a study's finished runs stands to its plan and to what was seen before; `only` as there."""
    plan = study.plan
    out = Conditions(plan=plan)
    trained = {run.configuration for run in finished}
    if comparison.reference in trained:  # else nothing is compared, and the comparison says so
        out.missing = _missing(study, finished)
        out.interim = {c.configuration: c.interim for c in comparison.configurations if c.interim}
        for name, seeds in study.expected_seeds.items():
            if seeds and name not in trained:
                out.interim[name] = f"0 of {len(seeds)} planned seeds"
    if plan is not None:
        said = {name: getattr(comparison, name) for name in ("reference", "split", "metric", "margin")}
        out.chosen_after = list(departures(plan, **said, only=only))
    for extension in study.extensions:
        were = "was" if len(extension.seeds) == 1 else "were"
        text = f"{_seeds_words(extension.seeds)} {were} added on {extension.added[:10]}"
        if extension.results_seen:
            out.chosen_after.append(f"{text} after results were seen (optional stopping: words do not keep their 5%)")
        else:
            out.recorded.append(f"{text}, before any result was seen")
    out.looks = list(_looks(study))
    reasons: dict[str, list[str]] = {}
    for added in study.added:
        text = f"added on {added.added[:10]}"
        if added.results_seen:
            reasons.setdefault(added.configuration, []).append(f"{text}, after results were seen")
        else:
            out.recorded.append(f"{added.configuration} was {text}, before any result was seen")
    for name, text, results_seen in _imports(study):
        if results_seen:
            reasons.setdefault(name, []).append(f"{text}, after results were seen")
        else:
            out.recorded.append(f"{name}: {text}, before any other result was seen")
    done = {(run.configuration, run.seed) for run in finished}
    for gone in study.given_up:
        if (gone.configuration, gone.seed) in done:
            reasons.setdefault(gone.configuration, []).append(
                f"seed {gone.seed} was given up on {gone.when[:10]} and has finished since"
            )
            continue
        why = f" ({gone.reason.rstrip('.')})" if gone.reason else ""
        reasons.setdefault(gone.configuration, []).append(
            f"judged without seed {gone.seed}, given up on {gone.when[:10]}{why}"
        )
    if comparison.reference in reasons:
        out.chosen_after += [f"the reference is {text}" for text in reasons.pop(comparison.reference)]
    for name, earlier in _compared_before(study, comparison, finished).items():
        reasons.setdefault(name, []).append(earlier)
    out.of_configurations = reasons
    return out


def _looks(study: Study) -> Iterator[str]:
    """How seeds are added until decided, and where each configuration stopped."""
    until = study.plan.until if study.plan else None
    if until is None:
        return
    yield (
        f"Seeds are added until decided, with a look after {until.first} seeds and after each further one, at most "
        f"{until.most}: p values and intervals of differences hold at every look, intervals of means do not."
    )
    if study.stopped:
        stops = "; ".join(f"{one.configuration} after {one.seeds} ({one.why})" for one in study.stopped)
        yield f"Seeds at which each stopped: {stops}."


def _imports(study: Study) -> list[tuple[str, str, bool]]:
    """Configuration, when which of its seeds were imported, and whether results had been seen. Nothing where there is
    no plan that it could depart from."""
    days: dict[tuple[str, str, bool], list[int]] = {}
    for one in study.imported if study.plan else ():
        days.setdefault((one.configuration, one.added[:10], one.results_seen), []).append(one.seed)
    return [
        (name, f"{_seeds_words(seeds)} {'was' if len(seeds) == 1 else 'were'} imported on {day}", seen)
        for (name, day, seen), seeds in days.items()
    ]


def _seeds_words(seeds: Sequence[int]) -> str:
    return f"{plural(len(seeds), 'seed')} ({', '.join(map(str, seeds))})"


def _missing(study: Study, finished: Sequence[RunRecord]) -> list[str]:
    """Expected runs that have not finished, with their state and how they go on."""
    done = {(run.configuration, run.seed) for run in finished}
    waited = {(name, seed) for name, seeds in study.expected_seeds.items() for seed in seeds} - done
    if not waited:
        return []
    out: dict[str, list[str]] = {}
    for cell in cells(study):
        if (cell.configuration, cell.seed) in waited:
            imported = study.configuration(cell.configuration).imported
            how = "gone from the run store; import it again" if imported else _how_on(cell.state, study.id)
            out.setdefault(how, []).append(f"{cell.configuration} seed {cell.seed}")
    return [f"{some(names, 6)}: {how}" for how, names in out.items()]


def _how_on(state: str, study: str) -> str:
    if state in ("failed", "cancelled"):
        return f"{state}; resume or retry it on Jobs (jobs retry ID), or go on without it (study give-up {study})"
    if state == "missing":
        return f"never queued (study complete {study})"
    return state


def _compared_before(study: Study, comparison: StudyComparison, finished: Sequence[RunRecord]) -> dict[str, str]:
    """Configurations whose comparison with the reference an earlier study on the same data already showed.

    The same settings on the same fingerprint: whoever chose them had seen how they differ on these rows, whatever the
    seeds. Earlier: both had finished there before this study was made.
    """
    settings = {config.name: settings_text(config) for config in study.configurations}
    prints = {run.fingerprint for run in finished}
    wanted = [c.configuration for c in comparison.configurations if c.configuration != comparison.reference]
    out: dict[str, str] = {}
    on_these_data = tracking.studies_on(prints)
    earlier = [*list_studies(), *binned()]  # what was seen in a study stays seen when that is deleted
    for other in sorted(earlier, key=lambda s: s.created):
        if other.id == study.id or other.created > study.created or other.id not in on_these_data:
            continue
        names = {settings_text(config): config.name for config in other.configurations}
        base = names.get(settings[comparison.reference])
        shared = [name for name in wanted if settings.get(name) in names and name not in out]
        if base is None or not shared:
            continue
        done: dict[str, set[int]] = {}
        for run in tracking.list_runs(other.id):
            before = run.ended is not None and run.ended <= study.created_by
            if run.state == "finished" and run.fingerprint in prints and before:
                done.setdefault(run.configuration, set()).add(run.seed)
        for name in shared:
            seeds = done.get(base, set()) & done.get(names[settings[name]], set())
            if seeds:
                both = sorted(seeds & set(study.all_seeds))
                which = f"seeds {', '.join(map(str, both))} are in both" if both else "with other seeds"
                out[name] = f"compared with {comparison.reference} before on these data, in study {other.id} ({which})"
    return out


def settings_text(config: RunConfig) -> str:
    """Settings as a text that is equal for equal ones."""
    return json.dumps(config.settings(), sort_keys=True)


def summary(comparison: StudyComparison) -> dict[str, Any]:
    """What the manifest says of a comparison's choices. JSON-ready."""
    conditions = comparison.conditions
    return {
        "split": comparison.split,
        "metric": comparison.metric,
        "reference": comparison.reference,
        "margin": comparison.margin.model_dump(mode="json") if comparison.margin else None,
        "margin_bp": comparison.margin_bp,
        "conditions": conditions.sentences() if conditions else [],
        "chosen_after_results_were_seen": bool(
            conditions and any(AFTERWARDS in conditions.marks(c.configuration) for c in comparison.configurations)
        ),
        "interim": conditions.interim if conditions else {},
    }
