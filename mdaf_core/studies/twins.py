"""The same study on another split of the same input: launched, and found again."""

from __future__ import annotations

from collections.abc import Sequence

from mdaf_core.analysis.compared import StudyComparison
from mdaf_core.analysis.twins import TwinComparison, compare_twins
from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.data.prepare.twins import BY_TIME, twins_of
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.queue.job import NewJob
from mdaf_core.studies import results
from mdaf_core.studies.definitions import definition_names, get_definition
from mdaf_core.studies.launch import run_configurations
from mdaf_core.studies.store import Study, get_study, list_studies
from mdaf_core.studies.suitable import failed_checks


def time_twin(dataset: str) -> str | None:
    """The prepared data set of the same input whose rows are split by time, where those of this one are not; None:
    there is none.

    Raises:
        UsageError: there is no such data set.
    """
    meta = PreparedDataset.open(dataset).meta
    found = [] if meta.split.get("kind") in BY_TIME else twins_of(meta)
    return next((twin.name for twin in found if twin.split.get("kind") in BY_TIME), None)


def run_twin(study: Study, dataset: str, acknowledged: Sequence[str] = (), after: NewJob | int | None = None) -> Study:
    """Queue a study's configurations and seeds on another data set, with the same plan.

    Args:
        acknowledged: ids of failed audit checks of that data set that the user accepts; those of the study are.
        after: the job that prepares the data set, where it is not there yet.

    Raises:
        UsageError: nothing of it was trained here, or the data set's audit failed where the study's own did not.
    """
    if not study.trained:
        raise UsageError(f"All configurations of study {study.id} were imported: there is nothing to train again.")
    reference, split, metric, margin = results.choices(study)
    if after is None:
        failed = [check.id for check in failed_checks(dataset)]
        acknowledged = [*acknowledged, *(one for one in study.acknowledged if one in set(failed) - set(acknowledged))]
    known = study.definition in definition_names()
    return run_configurations(
        definition=study.definition,
        dataset=dataset,
        configs=study.trained,
        seeds=study.plan.seeds if study.plan and study.plan.until else study.seeds,
        until=study.plan.until if study.plan else None,
        reference=reference if reference in [config.name for config in study.trained] else study.trained[0].name,
        title=f"{study.title}, on {dataset}"[:200],
        criteria=get_definition(study.definition).criteria if known else (),
        acknowledged=acknowledged,
        after=after,
        metric=metric,
        split=split,
        margin=margin,
    )


def twin_studies(study: Study) -> list[Study]:
    """Studies on another split of the same input that have the reference and another configuration in common with it,
    with the same settings; those split by time first, then the newest."""
    try:
        splits = [meta.name for meta in twins_of(PreparedDataset.open(study.dataset).meta)]
    except StudioError:  # the data set is gone
        return []
    mine = {config.name: config.settings() for config in study.trained}
    reference = results.choices(study)[0]
    found = []
    for other in list_studies():
        shared = {config.name for config in other.trained if mine.get(config.name) == config.settings()}
        if other.dataset in splits and reference in shared and len(shared) > 1:
            found.append(other)
    return sorted(found, key=lambda other: splits.index(other.dataset))


def twin_study(study: Study, other: str | None = None) -> Study:
    """The study that is held against it: the one named, or the first of `twin_studies`.

    Raises:
        UsageError: there is none, or the one named is not among them.
    """
    found = twin_studies(study)
    if other is not None and other not in [one.id for one in found]:
        get_study(other)
        raise UsageError(
            f"Study {other} is no twin of {study.id}: its data set must be of the same input with another split, and "
            f"it must share the reference and a configuration. Twins: {', '.join(one.id for one in found) or 'none'}."
        )
    if not found:
        raise UsageError(
            f"No study on another split of the input of {study.dataset} has configurations of {study.id}. "
            f"`python -m mdaf_core study twin {study.id}` runs the same study on a split by time."
        )
    return next((one for one in found if one.id == other), found[0])


def compare(study: Study, other: Study) -> TwinComparison:
    """Both studies by the first one's plan, each on its own rows.

    Raises:
        UsageError: as `studies.results.compare`.
    """
    first = results.compare(study)
    second = results.compare(
        other, reference=first.reference, split=first.split, metric=first.metric, margin=first.margin
    )
    return held(study, other, first, second)


def held(study: Study, other: Study, first: StudyComparison, second: StudyComparison) -> TwinComparison:
    """Two studies' comparisons with the same choices against each other; configurations of one name that were set
    otherwise are in one study alone."""
    settings = {config.name: config.settings() for config in study.configurations}
    differ = {c.name for c in other.configurations if c.name in settings and c.settings() != settings[c.name]}
    kept = [entry for entry in second.configurations if entry.configuration not in differ]
    return compare_twins(first, second.model_copy(update={"configurations": kept}))
