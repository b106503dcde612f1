"""From a definition to a study whose jobs are queued; and a margin of parity for a study to come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mdaf_core.analysis.design import Design
from mdaf_core.analysis.margins import Margin, Proposal, propose
from mdaf_core.analysis.sequential import UntilDecided
from mdaf_core.base.errors import UsageError
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.schema import Split
from mdaf_core.queue import api as jobs
from mdaf_core.queue.job import NewJob
from mdaf_core.queue.slots import threads_for
from mdaf_core.runs import tracking
from mdaf_core.runs.config import RunConfig
from mdaf_core.studies.definitions import chosen, get_definition, override_all, usual_reference
from mdaf_core.studies.definitions import design as factorial_design
from mdaf_core.studies.seeds import seed_list, seeds_to_try
from mdaf_core.studies.status import cells, unqueued
from mdaf_core.studies.store import Group, Study, create_study
from mdaf_core.studies.suitable import check_audit, check_inputs, check_known, source_of
from mdaf_core.studies.trainings import training_job


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
    group: Group | None = None,
) -> Study:
    """Create a study from a definition and queue all its jobs.

    Args:
        factors, halvings: of a factorial, as of `definitions.design`.
        until: seeds are added until decided, from the first of `seeds`; None: all are trained.
        reference, metric, split, margin: the plan of its comparison; the definition's reference where None is named.
        only, models, histories, windows: as of `definitions.chosen`.
        overrides: `path=value` settings, applied to every configuration that has them.
        acknowledged: ids of failed audit checks that the user accepts.
        group: the launch on several data sets that it is part of.

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
        group=group,
    )


def run_configurations(
    *,
    definition: str,
    dataset: str,
    configs: Sequence[RunConfig],
    seeds: Sequence[int],
    reference: str,
    criteria: Sequence[str] = (),
    acknowledged: Sequence[str] = (),
    after: NewJob | int | None = None,
    until: UntilDecided | None = None,
    factorial: Design | None = None,
    serve: bool = True,
    title: str = "",
    **more: Any,
) -> Study:
    """Create a study of these configurations and queue all its jobs.

    Args:
        after: the preparation of its data, where they are not there yet; they are not checked then.
        until: as of `run`. factorial: which of them has which components. serve: as of `queue.api.submit`.
        more: metric, split and margin, with `reference` and `seeds` the plan of its comparison, see `analysis.plan`;
            cloned_from, tuned_in, group: as of `store.create_study`.

    Raises:
        UsageError: as `run`.
    """
    from mdaf_core.analysis.criteria import applicable

    seeds = seed_list(seeds)
    if until is not None:
        seeds = seeds_to_try(until, seeds)
        if factorial is not None:
            raise UsageError("All configurations of a factorial take the same seeds: name them, without until decided.")
        if len(configs) < 2:
            raise UsageError("Seeds until decided takes a reference and a configuration to compare with it.")
    check_known(configs)
    if after is None:
        check_audit(dataset, acknowledged)
        check_inputs(dataset, configs)
    study = create_study(
        title=title,
        definition=definition,
        dataset=dataset,
        configurations=configs,
        seeds=seeds,
        reference=reference,
        criteria=[c.model_dump(mode="json") for c in applicable(criteria, source_of(dataset))],
        acknowledged=acknowledged,
        threads=threads_for(len(configs) * len(seeds)),
        until=until,
        factorial=factorial,
        **more,
    )
    queue(study, study.pairs, after, serve)
    return study


def queue_missing(study: Study, serve: bool = True) -> list[int]:
    """Queue every configuration and seed that has neither a job nor a run; returns the jobs' ids.

    It completes a study whose launch was interrupted. Two who call it together queue nothing twice.
    """
    missing = [(cell.configuration, cell.seed) for cell in unqueued(study, cells(study))]
    return queue(study, missing, None, serve) if missing else []


def queue(study: Study, pairs: Sequence[tuple[str, int]], after: NewJob | int | None, serve: bool = True) -> list[int]:
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


def propose_margin(dataset: PreparedDataset, reference: RunConfig, metric: str, split: Split) -> Proposal:
    """A margin to accept or not, from the rows of the split and what has been seen of the reference on these data."""
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
