"""Searches on disk: one JSON file each, `<home>/searches/<id>.json`.

The file holds what is to be tried and what was drawn; how each trial ended stands in the run store, as of any run. Its
runs are grouped under the search's id, which no study has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from mdaf_core.analysis.margins import Margin
from mdaf_core.base import notices, rights
from mdaf_core.base.errors import DamagedFileError, UsageError
from mdaf_core.base.files import check_name, is_gone, reading, write_text
from mdaf_core.base.locks import exclusive
from mdaf_core.base.settings import get_settings
from mdaf_core.base.words import plural
from mdaf_core.data.store.schema import Split
from mdaf_core.models.space import Space
from mdaf_core.runs.config import RunConfig
from mdaf_core.studies.store import Study, list_studies

REMEDY = "Put it back from a copy, or remove it; its runs are kept."
Sampler = Literal["tpe", "random"]


class Trial(BaseModel):
    """One setting that was drawn; its run is of the configuration `NAME.NUMBER`."""

    number: int = Field(description="From 1, in the order of drawing; the first is the configuration as it was.")
    settings: dict[str, Any] = Field(description="Path → value.")
    gone: str = Field("", description="Why it counts without a figure: it diverged, or was given up.")
    pruned: int | None = Field(None, description="The epoch after which it was stopped, being below the median.")


class Searched(BaseModel):
    """One configuration, what is tried of it, and the trials so far."""

    config: RunConfig
    space: Space
    trials: list[Trial] = []

    def trial_config(self, trial: Trial) -> RunConfig:
        """The configuration of a trial.

        Raises:
            UsageError: these settings do not go together.
        """
        changed = self.config.with_overrides(trial.settings)
        return changed.model_copy(update={"name": f"{self.config.name}.{trial.number}"})


class Confirmation(BaseModel):
    """The study of the winners: what is passed to `launch.run_configurations`."""

    seeds: list[int] = Field(min_length=1)
    reference: str
    metric: str = "auc"
    split: Split = "test"
    margin: Margin | None = None
    criteria: list[str] = []


class Search(BaseModel):
    """Trials of several configurations on one data set, as many (or for as long) of each."""

    id: str = Field(description="Also the name of its experiment in the run store.")
    title: str
    definition: str
    dataset: str
    created: str = Field(description="ISO 8601, UTC.")
    configurations: list[Searched] = Field(min_length=1)
    trials: int | None = Field(None, description="Of each configuration, at most; None: as the budget allows.")
    budget: float | None = Field(None, description="Seconds of training for each configuration; None: no limit.")
    seed: int = Field(description="Every trial is trained with it; draws come from it too. No confirming run has it.")
    sampler: Sampler = "tpe"
    prune: bool = False
    acknowledged: list[str] = []
    threads: int | None = None
    confirm: Confirmation
    study: str | None = Field(None, description="Id of the study of the winners, once there is one.")

    @property
    def names(self) -> list[str]:
        return [one.config.name for one in self.configurations]

    def searched(self, name: str) -> Searched:
        """A configuration's part by its name.

        Raises:
            UsageError: there is none.
        """
        for one in self.configurations:
            if one.config.name == name:
                return one
        raise UsageError(f"Search {self.id} has no configuration {name!r}. It has: {', '.join(self.names)}.")

    @property
    def budget_words(self) -> str:
        """What each configuration gets."""
        parts = [plural(self.trials, "trial")] if self.trials else []
        if self.budget:
            minutes = f"{self.budget / 60:.3g} minute{'' if self.budget == 60 else 's'}"
            parts.append(f"{f'{self.budget:g} s' if self.budget < 60 else minutes} of training")
        return " or ".join(parts)


def create(**fields: Any) -> Search:
    """Write a new search under the next free id, `tune-<definition>-<data set>-<n>`.

    Args:
        fields: as of `Search`, without id and created.
    """
    rights.check()
    folder = get_settings().searches_dir
    stem = check_name(f"tune-{fields['definition']}-{fields['dataset']}"[:70], "search")
    with exclusive(folder / ".lock"):
        number = 1
        while _path(f"{stem}-{number}").exists() or (get_settings().studies_dir / f"{stem}-{number}.json").exists():
            number += 1
        made = datetime.now(UTC).isoformat(timespec="microseconds")
        search = Search(id=f"{stem}-{number}", created=made, **fields)
        _write(search)
    return search


@contextmanager
def changing(search_id: str) -> Iterator[Search]:
    """The search, to be changed by one at a time; it is written where the block ends well and something changed."""
    rights.check()
    with exclusive(get_settings().searches_dir / f".{check_name(search_id, 'search')}.lock"):
        search = get(search_id)
        before = search.model_dump_json()
        yield search
        if search.model_dump_json() != before:
            _write(search)


def get(search_id: str) -> Search:
    """One search.

    Raises:
        UsageError: there is none of that id; the message lists those there are.
        DamagedFileError: its file cannot be read.
    """
    path = _path(check_name(search_id, "search"))
    if not path.exists():
        known = ", ".join(search.id for search in list_searches()[:20]) or "none yet"
        raise UsageError(f"There is no search {search_id!r}. Searches: {known}.")
    return _read(path)


def _read(path: Path) -> Search:
    with reading(path, REMEDY):
        return Search.model_validate_json(path.read_bytes())


def exists(search_id: str) -> bool:
    """Whether there is a search of that id."""
    return bool(search_id) and _path(check_name(search_id, "search")).exists()


def list_searches() -> list[Search]:
    """All searches, newest first. One whose file cannot be read is noted and left out."""
    folder = get_settings().searches_dir
    found = []
    for path in sorted(folder.glob("[!.]*.json")) if folder.exists() else ():
        try:
            found.append(_read(path))
        except DamagedFileError as damage:
            if not is_gone(damage):
                notices.add(damage)
    return sorted(found, key=lambda search: (search.created, search.id), reverse=True)


def confirming(search: Search, studies: Sequence[Study] | None = None) -> Study | None:
    """The study of the winners: the oldest that names this search, whether or not the search knows of it."""
    named = [study for study in (list_studies() if studies is None else studies) if study.tuned_in == search.id]
    return named[-1] if named else None


def _path(search_id: str) -> Path:
    return get_settings().searches_dir / f"{search_id}.json"


def _write(search: Search) -> None:
    write_text(_path(search.id), search.model_dump_json(indent=2) + "\n")
