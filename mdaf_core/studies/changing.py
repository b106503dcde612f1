"""A study changed after its launch: more seeds, another configuration, runs given up, or a new study like it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from mdaf_core.analysis.plan import AddedConfiguration, Extension, GivenUp
from mdaf_core.base.errors import UsageError
from mdaf_core.base.files import check_name
from mdaf_core.runs.config import RunConfig
from mdaf_core.runs.presets import get_preset, preset_names
from mdaf_core.studies.definitions import definition_names, get_definition, override_all
from mdaf_core.studies.launch import queue, run_configurations
from mdaf_core.studies.seeds import seed_list
from mdaf_core.studies.status import cells
from mdaf_core.studies.store import Study, get_study, update_study
from mdaf_core.studies.suitable import check_audit, check_inputs, check_known


def extend(study_id: str, seeds: Sequence[int]) -> Study:
    """Add seeds to every configuration of a study and queue them; when, and whether results had been seen, is recorded.

    Raises:
        UsageError: no seed, or one that the study has already; its data are gone.
    """
    seeds = seed_list(seeds)
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
    check_known(study.trained)
    check_audit(study.dataset, study.acknowledged)
    seen = any(cell.state == "finished" for cell in cells(study))
    study = update_study(study_id, add_seeds=Extension(seeds=seeds, added=_now(), results_seen=seen))
    queue(study, [(config.name, seed) for config in study.trained for seed in seeds], None)
    return study


def add_configuration(study_id: str, config: RunConfig) -> Study:
    """Add a configuration to a study and queue it with all of the study's seeds; when, and whether results had been
    seen, is recorded.

    Raises:
        UsageError: its name is taken or no good, its data are gone or lack what it reads.
    """
    study = get_study(study_id)
    check_known([config])
    check_audit(study.dataset, study.acknowledged)
    check_inputs(study.dataset, [config])
    check_name(config.name, "configuration")
    seen = any(cell.state == "finished" for cell in cells(study))
    added = AddedConfiguration(configuration=config.name, added=_now(), results_seen=seen)
    study = update_study(study_id, add_configuration=(config, added))
    queue(study, [(config.name, seed) for seed in study.seeds], None)
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


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
