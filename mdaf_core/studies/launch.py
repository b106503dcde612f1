"""From a definition to a study whose jobs are queued."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mdaf_core.analysis.margins import Margin
from mdaf_core.analysis.plan import AddedConfiguration, Extension, GivenUp
from mdaf_core.analysis.sequential import UntilDecided
from mdaf_core.base.entries import whole_number
from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.base.files import check_name
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.schema import Split
from mdaf_core.queue import api as jobs
from mdaf_core.queue.job import NewJob
from mdaf_core.queue.slots import threads_for
from mdaf_core.runs.config import LARGEST_SEED, RunConfig
from mdaf_core.runs.presets import get_preset, preset_names
from mdaf_core.studies.definitions import Definition, configurations, definition_names, get_definition, override_all
from mdaf_core.studies.definitions import design as factorial_design
from mdaf_core.studies.status import cells, unqueued
from mdaf_core.studies.store import Study, create_study, get_study, update_study
from mdaf_core.studies.trainings import training_job

if TYPE_CHECKING:
    from mdaf_core.analysis.design import Design
    from mdaf_core.analysis.margins import Proposal
    from mdaf_core.data.audit.report import Check


def run(
    definition: str,
    dataset: str,
    seeds: Sequence[int] | None = None,
    overrides: Iterable[str] = (),
    title: str = "",
    acknowledged: Sequence[str] = (),
    only: Sequence[str] = (),
    models: Sequence[str] = (),
    histories: Sequence[int] = (),
    windows: int | None = None,
    reference: str | None = None,
    metric: str = "auc",
    split: Split = "test",
    margin: Margin | None = None,
    until: UntilDecided | None = None,
    factors: Mapping[str, Sequence[str]] | None = None,
    halvings: int | None = None,
) -> Study:
    """Create a study from a definition and queue all its jobs.

    Args:
        factors, halvings: of a factorial, as of `definitions.design`.
        until: seeds are added until decided, from the first of `seeds`; None: all are trained.
        reference, metric, split, margin: the plan of its comparison; the definition's reference where None is named.
        only, models, histories, windows: as of `chosen`.
        overrides: `path=value` settings, applied to every configuration that has them.
        acknowledged: ids of failed audit checks that the user accepts.

    Raises:
        UsageError: unknown definition, data set or setting, a bad seed, or a failed audit check nobody acknowledged.
    """
    found = get_definition(definition)
    design = None
    if found.factors or factors or halvings is not None:
        if only or histories or windows is not None:
            raise UsageError("A factorial is run whole: take components away instead of configurations.")
        configs, design = factorial_design(found, models, factors, halvings)
    else:
        configs = chosen(found, only, models, histories, windows)
    return run_configurations(
        definition=found.name,
        dataset=dataset,
        configs=override_all(configs, overrides),
        seeds=found.seeds if seeds is None else seeds,
        until=until,
        factorial=design,
        reference=reference or usual_reference(found, configs).name,
        metric=metric,
        split=split,
        margin=margin,
        title=title or f"{found.title.split(':')[0]} on {dataset}",
        criteria=found.criteria,
        acknowledged=acknowledged,
    )


def chosen(
    definition: Definition,
    only: Sequence[str] = (),
    models: Sequence[str] = (),
    histories: Sequence[int] = (),
    windows: int | None = None,
) -> list[RunConfig]:
    """What is run of a definition.

    Args:
        only: names of its configurations; empty for all.
        models: presets in the place of its own; histories, windows: as of `definitions.Definition`, likewise.

    Raises:
        UsageError: it has no such configuration, or there is no such preset.
    """
    configs = configurations(definition, models, histories, windows)
    names = [config.name for config in configs]
    unknown = [name for name in only if name not in names]
    if unknown:
        raise UsageError(f"{definition.name} has no {', '.join(unknown)}. It has: {', '.join(names)}.")
    found = [config for config in configs if not only or config.name in only]
    if not found:
        raise UsageError("No configuration is left: none of these models reads windows so long. Name other lengths.")
    return found


def usual_reference(definition: Definition, configs: Sequence[RunConfig]) -> RunConfig:
    """The definition's reference, or the first configuration where it is not among these."""
    return next((config for config in configs if config.name == definition.reference), configs[0])


def run_configurations(
    *,
    definition: str,
    dataset: str,
    configs: Sequence[RunConfig],
    seeds: Sequence[int],
    reference: str,
    title: str = "",
    criteria: Sequence[str] = (),
    acknowledged: Sequence[str] = (),
    after: NewJob | int | None = None,
    metric: str = "auc",
    split: Split = "test",
    margin: Margin | None = None,
    cloned_from: str | None = None,
    tuned_in: str | None = None,
    until: UntilDecided | None = None,
    factorial: Design | None = None,
    serve: bool = True,
) -> Study:
    """Create a study of these configurations and queue all its jobs.

    Args:
        metric, split, margin: with `reference` and `seeds` the plan of its comparison, see `analysis.plan`.
        after: the preparation of its data, where they are not there yet; they are not checked then.
        tuned_in: the search whose winners these configurations are.
        until: as of `run`. factorial: which of them has which components. serve: as of `queue.api.submit`.

    Raises:
        UsageError: as `run`.
    """
    from mdaf_core.analysis.criteria import applicable

    if until is not None:
        seeds = seeds_to_try(until, seeds)
        if factorial is not None:
            raise UsageError("All configurations of a factorial take the same seeds: name them, without until decided.")
        if len(configs) < 2:
            raise UsageError("Seeds until decided takes a reference and a configuration to compare with it.")
    if after is None:
        check_audit(dataset, acknowledged)
        check_histories(dataset, configs)
    study = create_study(
        title=title,
        definition=definition,
        dataset=dataset,
        configurations=configs,
        seeds=seeds,
        reference=reference,
        criteria=[c.model_dump(mode="json") for c in applicable(criteria, source_of(dataset))],
        acknowledged=acknowledged,
        metric=metric,
        split=split,
        margin=margin,
        threads=threads_for(len(configs) * len(seeds)),
        cloned_from=cloned_from,
        tuned_in=tuned_in,
        until=until,
        factorial=factorial,
    )
    _queue(study, study.pairs, after, serve)
    return study


def seeds_to_try(until: UntilDecided, seeds: Sequence[int]) -> list[int]:
    """The seeds that may be trained until decided: those named, then the numbers after the last, to the most.

    Raises:
        UsageError: no seed is named, or they would be too large.
    """
    named = list(dict.fromkeys(seeds))[: until.most]
    if not named:
        raise UsageError("Name a seed to begin with, such as 42.")
    following = range(max(named) + 1, max(named) + 1 + until.most - len(named))
    if following and following[-1] > LARGEST_SEED:
        raise UsageError(f"{until.most} seeds from {max(named)} on would be above {LARGEST_SEED}: begin lower.")
    return [*named, *following]


def queue_missing(study: Study, serve: bool = True) -> list[int]:
    """Queue every configuration and seed that has neither a job nor a run; returns the jobs' ids.

    It completes a study whose launch was interrupted. Two who call it together queue nothing twice.
    """
    missing = [(cell.configuration, cell.seed) for cell in unqueued(study, cells(study))]
    return _queue(study, missing, None, serve) if missing else []


def extend(study_id: str, seeds: Sequence[int]) -> Study:
    """Add seeds to every configuration of a study and queue them; when, and whether results had been seen, is recorded.

    Raises:
        UsageError: no seed, or one that the study has already; its data are gone.
    """
    if not seeds:
        raise UsageError("Name the seeds to add, such as 47,48.")
    study = get_study(study_id)
    if study.plan is not None and study.plan.until is not None:
        raise UsageError(
            f"Seeds of study {study_id} are added until decided, at most {study.plan.until.most}, and its words hold "
            "for those alone. Launch another study for more."
        )
    if not study.trained:
        raise UsageError(f"All configurations of study {study_id} were imported: import the predictions of more seeds.")
    check_audit(study.dataset, study.acknowledged)
    seen = any(cell.state == "finished" for cell in cells(study))
    study = update_study(study_id, add_seeds=Extension(seeds=list(seeds), added=_now(), results_seen=seen))
    _queue(study, [(config.name, seed) for config in study.trained for seed in seeds], None)
    return study


def add_configuration(study_id: str, config: RunConfig) -> Study:
    """Add a configuration to a study and queue it with all of the study's seeds; when, and whether results had been
    seen, is recorded.

    Raises:
        UsageError: its name is taken or no good, its data are gone or lack what it reads.
    """
    study = get_study(study_id)
    check_audit(study.dataset, study.acknowledged)
    check_histories(study.dataset, [config])
    check_name(config.name, "configuration")
    seen = any(cell.state == "finished" for cell in cells(study))
    added = AddedConfiguration(configuration=config.name, added=_now(), results_seen=seen)
    study = update_study(study_id, add_configuration=(config, added))
    _queue(study, [(config.name, seed) for seed in study.seeds], None)
    return study


def starting_configuration(study_id: str, name: str) -> RunConfig:
    """What a configuration to add starts from: one of the study's, or a preset.

    Raises:
        UsageError: there is neither.
    """
    study = get_study(study_id)
    known = {config.name: config for config in study.trained}
    if name in known:
        return known[name]
    if name not in preset_names():
        raise UsageError(
            f"Study {study_id} trains no {name!r}, and no preset is called so. It trains: {', '.join(known)}; presets: "
            f"{', '.join(preset_names())}."
        )
    return get_preset(name)


def changed_configuration(
    study_id: str, start: str, overrides: Iterable[str] | dict[str, Any], name: str | None = None
) -> RunConfig:
    """A configuration to add: what it starts from (`starting_configuration`), changed, under a name that is free.

    Raises:
        UsageError: nothing is changed, or a change is not allowed.
    """
    begun = starting_configuration(study_id, start)
    config = begun.with_overrides(overrides)
    taken = get_study(study_id).configuration_names
    if config == begun and begun.name in taken:
        raise UsageError(f"{start} has these settings already: change one.")
    number = 2
    while name is None and f"{start}-{number}" in taken:
        number += 1
    free = start if start not in taken else f"{start}-{number}"
    return config.model_copy(update={"name": name or free})


def clone(
    study_id: str,
    *,
    overrides: Iterable[str] = (),
    seeds: Sequence[int] | None = None,
    dataset: str | None = None,
    only: Sequence[str] = (),
    title: str = "",
    acknowledged: Sequence[str] = (),
) -> Study:
    """A new study like another one, with changes, queued: its trained configurations, seeds, plan and criteria.

    What the other one showed is known to whoever clones it: comparisons that are the same there as here, on the same
    data, are marked as seen before (docs/statistics.md).

    Args:
        overrides: `path=value` settings, applied to every configuration that has them.
        seeds, dataset, title, acknowledged: in the place of the other's; only: of its configurations, by name.

    Raises:
        UsageError: as `run`; all its configurations were imported.
    """
    other = get_study(study_id)
    if not other.trained:
        raise UsageError(f"All configurations of study {study_id} were imported: none can be trained here.")
    known = [config.name for config in other.trained]
    unknown = [name for name in only if name not in known]
    if unknown:
        raise UsageError(f"Study {study_id} trains no {', '.join(unknown)}. It trains: {', '.join(known)}.")
    configs = override_all([c for c in other.trained if not only or c.name in only], overrides)
    names = [config.name for config in configs]
    plan = other.plan
    return run_configurations(
        definition="own" if only else other.definition,
        dataset=dataset or other.dataset,
        configs=configs,
        seeds=seeds or (plan.seeds if plan else other.seeds),
        reference=other.reference if other.reference in names else names[0],
        title=title or f"{other.title}, changed"[:120],
        criteria=get_definition(other.definition).criteria if other.definition in definition_names() else (),
        acknowledged=acknowledged or (other.acknowledged if dataset in (None, other.dataset) else ()),
        metric=plan.metric if plan else "auc",
        split=plan.split if plan else "test",
        margin=plan.margin if plan else None,
        until=plan.until if plan else None,
        factorial=other.factorial if other.factorial and set(other.factorial.levels) <= set(names) else None,
        cloned_from=other.id,
    )


def give_up(study_id: str, seeds: Sequence[int] | None = None) -> list[GivenUp]:
    """Judge a study without the planned runs that failed, were cancelled or never queued; it is said beside words.

    Args:
        seeds: only of these seeds; None: all of them.

    Raises:
        UsageError: there is no such run.
    """
    study = get_study(study_id)
    known = {(run.configuration, run.seed) for run in study.given_up}
    gone = [
        GivenUp(configuration=cell.configuration, seed=cell.seed, reason=cell.reason or cell.state, when=_now())
        for cell in cells(study)
        if cell.state in ("failed", "cancelled", "missing")
        and (cell.configuration, cell.seed) not in known
        and (seeds is None or cell.seed in seeds)
    ]
    if not gone:
        raise UsageError(
            f"Study {study_id} has no failed, cancelled or unqueued run to give up"
            f"{'' if seeds is None else ' with these seeds'}; queued and running ones are cancelled on Jobs first."
        )
    update_study(study_id, give_up=gone)
    return gone


def propose_margin(dataset: PreparedDataset, reference: RunConfig, metric: str, split: Split) -> Proposal:
    """A margin to accept or not, from the rows of the split and what has been seen of the reference on these data."""
    from mdaf_core.analysis.margins import propose
    from mdaf_core.runs import tracking

    facts = dataset.meta.splits[split]
    metrics = [
        getattr(run.result, split)
        for run in tracking.list_runs()
        if run.dataset == dataset.name and run.preset == reference.preset and run.result is not None
    ]
    known = [m for m in metrics if m.auc is not None and m.auc_se is not None and m.rows == facts.rows]
    if not known:
        return propose(metric, facts.rows, facts.positives)
    auc = sum(m.auc for m in known) / len(known)
    return propose(metric, facts.rows, facts.positives, auc, sum(m.auc_se for m in known) / len(known))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _queue(study: Study, pairs: Sequence[tuple[str, int]], after: NewJob | int | None, serve: bool = True) -> list[int]:
    """Queue these configurations and seeds, all or none; all configurations of one seed first: a comparison stands
    early."""
    provenance: dict[str, Any] = {"study": study.id, "acknowledged": study.acknowledged}
    trainings = [
        training_job(study.id, config, study.dataset, seed, provenance, after, study.threads)
        for seed in study.seeds
        for config in study.trained
        if (config.name, seed) in set(pairs)
    ]
    first = [after] if isinstance(after, NewJob) else []
    return jobs.submit([*first, *trainings], serve=serve)[len(first) :]


def source_of(dataset: str) -> str | None:
    """The kind of data a data set was prepared from; None where it is not there (yet, or any more)."""
    try:
        return PreparedDataset.open(dataset).meta.source
    except StudioError:
        return None


def parse_seeds(text: str) -> list[int]:
    """`42,43` or `42-46` as a list; seeds are below 2³², a range has at most 1,000.

    Raises:
        UsageError: anything else.
    """
    seeds: list[int] = []
    for part in text.split(","):
        low, dash, high = part.partition("-")
        first = whole_number(low)
        last = whole_number(high) if dash else first
        if first is None or last is None or last - first not in range(1000) or last > LARGEST_SEED:
            raise UsageError(f"Seeds look like 42,43,44 or 42-46, each at most {LARGEST_SEED}; got {text[:80]!r}.")
        seeds.extend(range(first, last + 1))
    return seeds


def failed_checks(dataset: str) -> list[Check]:
    """Failed checks of the data set's audit.

    Raises:
        UsageError: there is no such data set.
        StudioError: it has no readable audit.
    """
    from mdaf_core.data.audit.report import failed

    return failed(PreparedDataset.open(dataset))


def possible_presets(dataset: PreparedDataset, names: Sequence[str]) -> list[str]:
    """Those of the presets that can be trained on this data set: models that read histories need some."""
    has_history = bool(dataset.meta.history_fields)
    return [name for name in names if has_history or not get_preset(name).model.reads_history]


@dataclass(frozen=True)
class Runnable:
    """A study and what of it can be trained on a data set: names of presets; `left_out` read histories it lacks."""

    study: str
    title: str
    presets: tuple[str, ...]
    left_out: tuple[str, ...]


def runnable(dataset: PreparedDataset) -> list[Runnable]:
    """The studies that come with the program, with their configurations that this data set has the inputs for."""
    found = []
    for name in definition_names():
        definition = get_definition(name)
        possible = possible_presets(dataset, definition.presets)
        left_out = tuple(preset for preset in definition.presets if preset not in possible)
        found.append(Runnable(name, definition.title, tuple(possible), left_out))
    return found


def check_histories(dataset: str, configs: Sequence[RunConfig]) -> None:
    """Refuse configurations that read the user's history where the data set has none.

    Raises:
        UsageError: names them.
    """
    if PreparedDataset.open(dataset).meta.history_fields:
        return
    blind = [config.name for config in configs if config.model.reads_history]
    if blind:
        raise UsageError(
            f"Data set {dataset!r} has no histories, and these configurations read them: {', '.join(blind)}. "
            "Leave them out (`--only` names the ones to run)."
        )


def check_audit(dataset: str, acknowledged: Sequence[str]) -> None:
    """Refuse a data set whose audit failed, unless each failed check is acknowledged by its id.

    Raises:
        UsageError: with the sentences of the checks that are not, or an id that did not fail.
    """
    failed = {check.id: check.sentence for check in failed_checks(dataset)}
    unknown = [check_id for check_id in acknowledged if check_id not in failed]
    if unknown:
        raise UsageError(
            f"{', '.join(unknown)} cannot be acknowledged: "
            f"{'failed checks are ' + ', '.join(failed) if failed else 'no check of this data set failed'}."
        )
    left = {check_id: sentence for check_id, sentence in failed.items() if check_id not in acknowledged}
    if left:
        listed = " ".join(f"[{check_id}] {sentence}" for check_id, sentence in left.items())
        raise UsageError(
            f"The audit of {dataset!r} failed: {listed} Prepare the data differently, or acknowledge each check by "
            f"name ({' '.join(f'--acknowledge {check_id}' for check_id in left)}); it is then recorded on every run."
        )
