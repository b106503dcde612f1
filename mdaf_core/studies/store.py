"""Studies on disk: one JSON file each, `<home>/studies/<id>.json`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

from pydantic import BaseModel, Field, ValidationError, model_validator

from mdaf_core.analysis.design import Design
from mdaf_core.analysis.margins import Margin, check_margin
from mdaf_core.analysis.plan import AddedConfiguration, Extension, GivenUp, ImportedSeed, Plan, Stop
from mdaf_core.analysis.sequential import UntilDecided
from mdaf_core.base import notices, rights
from mdaf_core.base.errors import DamagedFileError, UsageError
from mdaf_core.base.files import check_name, is_gone, reading, write_text
from mdaf_core.base.locks import exclusive
from mdaf_core.base.settings import get_settings
from mdaf_core.base.validation import describe_validation_error
from mdaf_core.data.store.schema import Split
from mdaf_core.runs.config import LARGEST_SEED, RunConfig

REMEDY = "Put it back from a copy, or remove it; its runs are kept."


class Group(BaseModel):
    """What a study was launched together with: the same configurations on other data sets."""

    id: str = Field(description="The same for all studies of one launch.")
    datasets: list[str] = Field(description="All data sets of the launch, in the order they were named.")


def new_group(datasets: Sequence[str]) -> Group | None:
    """The group of a launch on these data sets; None for a single one.

    Raises:
        UsageError: one is named twice.
    """
    if len(set(datasets)) < len(datasets):
        raise UsageError(f"A data set is named twice: {', '.join(datasets)}.")
    return Group(id=uuid4().hex[:12], datasets=list(datasets)) if len(datasets) > 1 else None


class Study(BaseModel):
    """Runs to be compared: one data set × named configurations × seeds."""

    id: str = Field(description="Also the name of its experiment in the run store.")
    title: str
    definition: str = Field(description="The definition it came from, or 'own'.")
    dataset: str
    configurations: list[RunConfig] = Field(min_length=1)
    seeds: list[Annotated[int, Field(ge=0, le=LARGEST_SEED)]] = Field(min_length=1)
    reference: str = Field(description="Name of the configuration all others are compared with.")
    created: str = Field(description="ISO 8601, UTC, to the microsecond; older ones to the second.")
    criteria: list[dict[str, Any]] = Field([], description="Success criteria, see `evaluation.criteria`.")
    reported: list[dict[str, Any]] = Field(
        [], description="Results known from elsewhere, see `evaluation.reported_results`."
    )
    acknowledged: list[str] = Field([], description="Ids of failed audit checks that were acknowledged by name.")
    plan: Plan | None = Field(None, description="What was to be compared, stored at launch; None: none was stored.")
    extensions: list[Extension] = Field([], description="Seeds added later; they are among `seeds`.")
    given_up: list[GivenUp] = Field([], description="Planned runs that will not be finished.")
    factorial: Design | None = Field(None, description="Which configuration has which components.")
    stopped: list[Stop] = Field([], description="Where seeds are added until decided: who gets no further ones.")
    threads: int | None = Field(
        None, description="CPU threads of each training, beside others; None: all cores, or as slots have it."
    )
    imported: list[ImportedSeed] = Field([], description="Seeds of imported configurations: they have none of `seeds`.")
    added: list[AddedConfiguration] = Field([], description="Configurations added later; `configurations` has them.")
    cloned_from: str | None = Field(None, description="Id of the study that it is a changed copy of.")
    tuned_in: str | None = Field(None, description="Id of the search (`studies.tuning`) whose winners these are.")
    group: Group | None = Field(None, description="The launch on several data sets that it is part of.")
    note: str = Field("", description="What its people say of it, Markdown.")
    tags: list[str] = Field([], description="Words to find it by.")
    archived: bool = Field(False, description="Whether lists leave it out until they are asked for it.")

    @model_validator(mode="after")
    def _consistent(self) -> Study:
        names = [c.name for c in self.configurations]
        if len(set(names)) < len(names):
            raise ValueError(f"two configurations share a name: {', '.join(names)}")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"a seed is named twice: {', '.join(map(str, self.seeds))}")
        if self.reference not in names:
            raise ValueError(f"the reference {self.reference!r} is not among the configurations {', '.join(names)}")
        return self

    @property
    def configuration_names(self) -> list[str]:
        return [c.name for c in self.configurations]

    @property
    def trained(self) -> list[RunConfig]:
        """The configurations that are trained here."""
        return [c for c in self.configurations if not c.imported]

    def seeds_of(self, configuration: str) -> list[int]:
        """The seeds of one configuration: the study's, or of an imported one those that were imported."""
        if self.configuration(configuration).imported:
            return [one.seed for one in self.imported if one.configuration == configuration]
        stop = next((one for one in self.stopped if one.configuration == configuration), None)
        return self.seeds if stop is None else self.seeds[: stop.seeds]

    @property
    def undecided(self) -> list[str]:
        """Of a study whose seeds are added until decided: configurations that may still get some."""
        if self.plan is None or self.plan.until is None:
            return []
        gone = {self.plan.reference, *(one.configuration for one in self.stopped)}
        return [config.name for config in self.trained if config.name not in gone]

    @property
    def pairs(self) -> list[tuple[str, int]]:
        """Configuration and seed of every run there is to be, configurations outermost."""
        return [(name, seed) for name in self.configuration_names for seed in self.seeds_of(name)]

    @property
    def all_seeds(self) -> list[int]:
        """The study's seeds, then those that imported configurations alone have."""
        return list(dict.fromkeys([*(self.seeds if self.trained else ()), *(one.seed for one in self.imported)]))

    @property
    def created_by(self) -> float:
        """By when it was made at the latest, in Unix seconds: of older studies the second alone is known."""
        return datetime.fromisoformat(self.created).timestamp() + ("." not in self.created)

    @property
    def expected_seeds(self) -> dict[str, list[int]]:
        """Configuration → seeds it is to finish before a word is given: all of the study's but those given up."""
        gone = {(run.configuration, run.seed) for run in self.given_up}
        return {name: [s for s in self.seeds_of(name) if (name, s) not in gone] for name in self.configuration_names}

    def configuration(self, name: str) -> RunConfig:
        """A configuration by its name.

        Raises:
            UsageError: the study has none of that name.
        """
        for config in self.configurations:
            if config.name == name:
                return config
        raise UsageError(
            f"Study {self.id} has no configuration {name!r}. It has: {', '.join(self.configuration_names)}."
        )


def create_study(
    *,
    title: str,
    definition: str,
    dataset: str,
    configurations: Sequence[RunConfig],
    seeds: Sequence[int],
    reference: str,
    criteria: Sequence[dict[str, Any]] = (),
    acknowledged: Sequence[str] = (),
    metric: str = "auc",
    split: Split = "test",
    margin: Margin | None = None,
    imported: Sequence[ImportedSeed] = (),
    threads: int | None = None,
    cloned_from: str | None = None,
    tuned_in: str | None = None,
    until: UntilDecided | None = None,
    factorial: Design | None = None,
    group: Group | None = None,
) -> Study:
    """Write a new study under the next free id, `<definition>-<dataset>-<n>`, with the plan of its comparison.

    Args:
        metric, split, margin: what configurations are compared by, on which rows, and what counts as parity.
        threads: CPU threads of each training, whenever it is queued.
        factorial: which configuration has which components.
        until: `seeds` are those that may be trained; the study begins with the first of them.
        imported: seeds of imported configurations. A study of those alone has no plan: what was chosen before their
            results were seen is not known.
        cloned_from: the study it is a changed copy of.
        tuned_in: the search whose winners it confirms.
        group: the launch on several data sets that it is part of.

    Raises:
        UsageError: no configuration or seed, one named twice, a reference that is not among them, an unknown metric, or
            a margin without a meaning for it.
    """
    rights.check()
    check_margin(margin, metric)
    folder = get_settings().studies_dir
    stem = check_name(f"{check_name(definition, 'definition')}-{check_name(dataset, 'data set name')}"[:70], "study")
    with exclusive(folder / ".lock"):
        number = 1
        while any((place / f"{stem}-{number}.json").exists() for place in (folder, bin_folder())):
            number += 1  # its runs and jobs bear the id of a study that is in the bin, or was
        try:
            study = Study(
                id=f"{stem}-{number}",
                title=title.strip() or f"{definition} on {dataset}",
                definition=definition,
                dataset=dataset,
                configurations=list(configurations),
                seeds=list(seeds)[: until.first] if until else list(seeds),
                reference=reference,
                created=datetime.now(UTC).isoformat(timespec="microseconds"),
                criteria=list(criteria),
                acknowledged=list(acknowledged),
                imported=list(imported),
                threads=threads,
                cloned_from=cloned_from,
                factorial=factorial,
                tuned_in=tuned_in,
                group=group,
                plan=None
                if all(config.imported for config in configurations)
                else Plan(
                    metric=metric,
                    split=split,
                    margin=margin,
                    reference=reference,
                    configurations=[config.name for config in configurations],
                    seeds=list(seeds),
                    until=until,
                ),
            )
        except ValidationError as error:
            raise UsageError(describe_validation_error(error, "This study cannot be created")) from None
        write_text(folder / f"{study.id}.json", study.model_dump_json(indent=2) + "\n")
    return study


def update_study(
    study_id: str,
    *,
    criteria: Sequence[dict[str, Any]] | None = None,
    reported: Sequence[dict[str, Any]] | None = None,
    add_seeds: Extension | None = None,
    give_up: Sequence[GivenUp] = (),
    stop: Sequence[Stop] = (),
    next_seed: int | None = None,
    imported: tuple[RunConfig, ImportedSeed] | None = None,
    add_configuration: tuple[RunConfig, AddedConfiguration] | None = None,
    **described: Any,
) -> Study:
    """Change what may change after launch; None and nothing leave it as it is. The plan stays.

    Args:
        criteria, reported: replace those there are.
        add_seeds, give_up: are added; `studies.changing.extend` and `give_up` decide whether they may be.
        stop, next_seed: of a study whose seeds are added until decided, see `studies.until`: who gets no further seed
            (those that stopped already stay), and the planned seed to add, where it is not there.
        imported: a seed of an imported configuration, which is added where the study does not have it.
        add_configuration: is added; `studies.changing.add_configuration` queues its runs.
        described: title, note, tags, archived, as of `Study`.

    Raises:
        UsageError, StudioError: as `get_study`; a name that the study has.
    """
    rights.check()
    with exclusive(get_settings().studies_dir / ".lock"):
        study = get_study(study_id)
        if criteria is not None:
            study.criteria = list(criteria)
        if reported is not None:
            study.reported = list(reported)
        if add_seeds is not None:
            twice = sorted(set(add_seeds.seeds) & set(study.seeds))
            if twice or len(set(add_seeds.seeds)) < len(add_seeds.seeds):
                named = ", ".join(map(str, twice)) or "one is named twice"
                raise UsageError(f"Study {study_id} has these seeds already: {named}. Name others.")
            study.seeds = [*study.seeds, *add_seeds.seeds]
            study.extensions = [*study.extensions, add_seeds]
        study.given_up = [*study.given_up, *give_up]
        there = {one.configuration for one in study.stopped}
        study.stopped = [*study.stopped, *(one for one in stop if one.configuration not in there)]
        if next_seed is not None and next_seed not in study.seeds and study.undecided:
            study.seeds = [*study.seeds, next_seed]
        if imported is not None:
            config, seed = imported
            if config.name not in study.configuration_names:
                study.configurations = [*study.configurations, config]
            if (seed.configuration, seed.seed) not in study.pairs:
                study.imported = [*study.imported, seed]
        if add_configuration is not None:
            config, added = add_configuration
            if config.name in study.configuration_names:
                raise UsageError(f"Study {study_id} has a configuration {config.name!r} already. Give it another name.")
            study.configurations = [*study.configurations, config]
            study.added = [*study.added, added]
        study = study.model_copy(update=described)
        write_text(get_settings().studies_dir / f"{study.id}.json", study.model_dump_json(indent=2) + "\n")
    return study


def bin_folder() -> Path:
    """Where studies lie that were deleted, until they are put back. An empty file there is one that is gone for good:
    its id is not given again."""
    return get_settings().studies_dir / ".bin"


def get_study(study_id: str) -> Study:
    """One study.

    Raises:
        UsageError: there is none of that id; the message lists those there are.
        DamagedFileError: its file cannot be read.
    """
    path = get_settings().studies_dir / f"{check_name(study_id, 'study')}.json"
    if not path.exists():
        thrown = bin_folder() / path.name
        if thrown.exists() and thrown.stat().st_size:
            raise UsageError(f"Study {study_id} is in the bin: `python -m mdaf_core study restore {study_id}`.")
        known = ", ".join(study.id for study in list_studies()[:20]) or "none yet"
        raise UsageError(f"There is no study {study_id!r}. Studies: {known}.")
    return _read(path)


def is_stored(study_id: str) -> bool:
    """Whether there is a study of that id: runs of others stand in the run store alone."""
    return bool(study_id) and (get_settings().studies_dir / f"{check_name(study_id, 'study')}.json").exists()


def list_studies(folder: Path | None = None) -> list[Study]:
    """All studies, or those in the bin, see `readable_studies`. One whose file cannot be read is noted and left out."""
    studies, damaged = readable_studies(folder)
    notices.add(*damaged)
    return studies


def readable_studies(folder: Path | None = None) -> tuple[list[Study], list[DamagedFileError]]:
    """All studies, newest first, and what is wrong with files that hold none. They are not to be changed: a file that
    has not changed is read once.

    Args:
        folder: of those in the bin, `bin_folder`.
    """
    folder = folder or get_settings().studies_dir
    if not folder.exists():
        return [], []
    studies, damaged, binned = [], [], folder == bin_folder()
    with reading(folder, "Allow reading it."):
        files = [entry for entry in os.scandir(folder) if entry.name.endswith(".json")]
        paths = [entry.path for entry in files if not entry.name.startswith(".")]
    for path in paths:
        try:
            study = _if_changed(path, binned)
        except DamagedFileError as damage:
            if not is_gone(damage):
                damaged.append(damage)
        else:
            studies += [study] if study else []
    studies.sort(key=lambda study: (study.created, study.id), reverse=True)
    return studies, sorted(damaged, key=lambda damage: damage.path)


def _if_changed(path: str, binned: bool) -> Study | None:
    """The study in a file; None in an empty one in the bin, of a study that is gone for good."""
    with reading(Path(path), REMEDY):
        stat = os.stat(path)  # noqa: PTH116 (a thousand times)
    if binned and not stat.st_size:
        return None
    return _kept(path, stat.st_mtime_ns, stat.st_size, stat.st_ino)


@lru_cache(maxsize=10_000)
def _kept(path: str, mtime: int, size: int, inode: int) -> Study:
    return _read(Path(path))


def _read(path: Path) -> Study:
    with reading(path, REMEDY):
        study = Study.model_validate_json(path.read_bytes())
        if study.id != path.stem:
            raise ValueError(f"it holds the study {study.id!r}")
        return study
