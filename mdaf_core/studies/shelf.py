"""Many studies: how each stands, finding some of them, and the bin."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal, get_args

from mdaf_core.base import notices, rights
from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.base.files import check_name, writing
from mdaf_core.base.locks import exclusive
from mdaf_core.base.settings import get_settings
from mdaf_core.base.words import listed
from mdaf_core.queue import api
from mdaf_core.queue import store as queue
from mdaf_core.runs import tracking
from mdaf_core.studies import trainings
from mdaf_core.studies.status import CellState
from mdaf_core.studies.store import Study, bin_folder, get_study, list_studies, update_study

State = Literal["running", "queued", "failed", "incomplete", "finished"]
STATES: tuple[State, ...] = get_args(State)
LONGEST_TAG, MOST_TAGS, LONGEST_TITLE, LONGEST_NOTE = 40, 20, 120, 20_000


@dataclass(frozen=True)
class Standing:
    """A study in a list.

    Attributes:
        counts: how many of its runs are in each state; states without any are left out.
        best, best_auc: the configuration whose finished runs have the largest mean validation AUC, and that mean.
        best_run: of that configuration's runs the one with the largest.
    """

    study: Study
    counts: dict[CellState, int]
    best: str | None
    best_auc: float | None
    best_run: str | None

    @property
    def state(self) -> State:
        """In one word: what is most urgent of its runs."""
        if self.counts.get("running"):
            return "running"
        if self.counts.get("queued"):
            return "queued"
        if self.counts.get("failed"):
            return "failed"
        return "incomplete" if self.counts.keys() - {"finished"} else "finished"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, without the settings."""
        study = self.study
        return {
            "id": study.id,
            "title": study.title,
            "dataset": study.dataset,
            "definition": study.definition,
            "created": study.created,
            "state": self.state,
            "runs": self.counts,
            "tags": study.tags,
            "note": study.note,
            "archived": study.archived,
            "cloned_from": study.cloned_from,
            "best": self.best,
            "best_val_auc": self.best_auc,
            "best_run": self.best_run,
        }


MISSING: tuple[CellState, None, str] = ("missing", None, "")


def best_first(found: Sequence[Standing]) -> list[Standing]:
    """The same with the largest mean validation AUC first, and those without one last."""
    return sorted(found, key=lambda one: -math.inf if one.best_auc is None else one.best_auc, reverse=True)


def standings(studies: Sequence[Study]) -> list[Standing]:
    """How each of these studies stands, in their order: as `status.cells` says it, for all of them at once."""
    runs: dict[tuple[str, str, int], tuple[CellState, float | None, str]] = {}
    try:
        for run in tracking.standings():  # the newest stands, but a finished one before any other
            place = (run.study, run.configuration, run.seed)
            if run.state == "finished" or runs.get(place, MISSING)[0] != "finished":
                runs[place] = (run.state, run.val_auc, run.run_id)  # type: ignore[assignment]
    except StudioError as error:
        notices.add(error)
    try:
        jobs: dict[str, CellState] = dict(queue.states(trainings.KIND))
    except StudioError as error:
        notices.add(error)
        jobs = {}
    out = []
    for study in studies:
        counts: Counter[CellState] = Counter()
        values: dict[str, dict[str, float]] = {}  # configuration → run → validation AUC
        for name, seed in study.pairs:
            state, auc, run_id = runs.get((study.id, name, seed), MISSING)
            state = jobs.get(trainings.key(trainings.Place(study.id, name, seed)), state)
            counts[state] += 1
            if state == "finished" and auc is not None:
                values.setdefault(name, {})[run_id] = auc
        means = {name: statistics.fmean(found.values()) for name, found in values.items()}
        best = max(means, key=means.__getitem__) if means else None
        best_run = max(values[best], key=values[best].__getitem__) if best else None
        out.append(Standing(study, dict(counts), best, means[best] if best else None, best_run))
    return out


@dataclass(frozen=True)
class Wanted:
    """Which studies are looked for; None and nothing: all.

    Attributes:
        text: words that all stand in title, id, data set, definition, note, tags or names of configurations.
        tags: all of them; since, until: the day it was made, both included (UTC).
        archived: archived ones instead of the others; None: both.
    """

    text: str = ""
    tags: Sequence[str] = ()
    dataset: str | None = None
    state: str | None = None
    since: date | None = None
    until: date | None = None
    archived: bool | None = False


def select(wanted: Wanted) -> list[Study]:
    """The studies that are looked for, newest first, in whatever state."""
    return [study for study in list_studies() if _wanted(study, wanted)]


def find(wanted: Wanted) -> list[Standing]:
    """The studies that are looked for, newest first.

    Raises:
        UsageError: there is no such state.
    """
    if wanted.state is not None and wanted.state not in STATES:
        raise UsageError(f"A study is {listed(STATES, 'or')}; got {wanted.state!r}.")
    found = standings(select(wanted))
    return [one for one in found if wanted.state is None or one.state == wanted.state]


def _wanted(study: Study, wanted: Wanted) -> bool:
    if wanted.archived is not None and study.archived != wanted.archived:
        return False
    if wanted.dataset is not None and study.dataset != wanted.dataset:
        return False
    if not set(wanted.tags) <= set(study.tags):
        return False
    day = datetime.fromisoformat(study.created).date() if wanted.since or wanted.until else None
    if day and ((wanted.since and day < wanted.since) or (wanted.until and day > wanted.until)):
        return False
    words = wanted.text.casefold().split()
    if not words:
        return True
    text = "\n".join(
        [study.title, study.id, study.dataset, study.definition, study.note, *study.tags, *study.configuration_names]
    ).casefold()
    return all(word in text for word in words)


# ---- what people say of a study --------------------------------------------------------------------------------------


def rename(study_id: str, title: str) -> Study:
    """Give a study another title; its id stays.

    Raises:
        UsageError: none, or a long one.
    """
    title = " ".join(title.split())
    if not title or len(title) > LONGEST_TITLE:
        raise UsageError(f"A title has 1 to {LONGEST_TITLE} characters.")
    return update_study(study_id, title=title)


def write_note(study_id: str, note: str) -> Study:
    """Replace a study's note (Markdown; raw HTML is shown as it is typed); empty for none.

    Raises:
        UsageError: it is too long.
    """
    if len(note) > LONGEST_NOTE:
        raise UsageError(f"A note has at most {LONGEST_NOTE:,} characters; this one has {len(note):,}.")
    return update_study(study_id, note=note.strip())


def retag(study_id: str, add: Sequence[str] = (), remove: Sequence[str] = ()) -> Study:
    """Add tags to a study and take others from it.

    Raises:
        UsageError: one that is no word or too long, or too many.
    """
    study = get_study(study_id)
    added = [tag.strip() for tag in add]
    for tag in added:
        if not tag or len(tag) > LONGEST_TAG or "," in tag or not tag.isprintable():
            raise UsageError(f"A tag has 1 to {LONGEST_TAG} characters and no comma; got {tag[:60]!r}.")
    tags = list(dict.fromkeys([*(tag for tag in study.tags if tag not in remove), *added]))
    if len(tags) > MOST_TAGS:
        raise UsageError(f"A study has at most {MOST_TAGS} tags.")
    return update_study(study_id, tags=tags)


def archive(study_id: str, archived: bool = True) -> Study:
    """Leave a study out of lists, or take it back in. Its link, its results and what is said of them stay."""
    return update_study(study_id, archived=archived)


# ---- the bin ---------------------------------------------------------------------------------------------------------


def binned() -> list[Study]:
    """The studies in the bin, newest first."""
    return list_studies(bin_folder())


def discard(study_id: str) -> None:
    """Put a study into the bin; its runs and their files stay as they are until `empty_bin`.

    Raises:
        UsageError: there is none, or its jobs are running or queued.
    """
    study = get_study(study_id)
    busy = api.list_jobs(api.ACTIVE, group=study.id)
    if busy:
        raise UsageError(
            f"{len(busy)} {'job' if len(busy) == 1 else 'jobs'} of study {study.id} are running or queued: cancel them "
            f"first (`python -m mdaf_core jobs cancel --study {study.id}`)."
        )
    _move(study.id, into=True)


def restore(study_id: str) -> Study:
    """Take a study out of the bin.

    Raises:
        UsageError: it is not there.
    """
    path = bin_folder() / f"{check_name(study_id, 'study')}.json"
    if not path.exists() or not path.stat().st_size:
        names = ", ".join(study.id for study in binned()[:20]) or "nothing"
        raise UsageError(f"There is no study {study_id!r} in the bin. It holds: {names}.")
    _move(study_id, into=False)
    return get_study(study_id)


def _move(study_id: str, into: bool) -> None:
    rights.check()
    here, bin = get_settings().studies_dir, bin_folder()
    with exclusive(here / ".lock"), writing(bin / f"{study_id}.json"):
        bin.mkdir(parents=True, exist_ok=True)
        source, target = (here, bin) if into else (bin, here)
        (source / f"{study_id}.json").replace(target / f"{study_id}.json")


@dataclass(frozen=True)
class Emptied:
    """What `empty_bin` removed: ids of studies, how many of their runs, and the bytes of their files."""

    studies: list[str]
    runs: int
    bytes: int


def empty_bin() -> Emptied:
    """Delete for good the studies in the bin, their runs, and the files of those. Their ids are not given again.

    Raises:
        StudioError: something could not be deleted; what was not is still in the bin.
    """
    rights.check()
    gone, runs, size = list[str](), 0, 0
    for study in binned():
        found = tracking.list_runs(study.id)
        for run in found:
            size += tracking.delete_run(run.run_id)
        told = get_settings().told_dir / f"{study.id}.json"  # of the messages about it
        with writing(told):
            told.unlink(missing_ok=True)
            told.with_suffix(".lock").unlink(missing_ok=True)
        path = bin_folder() / f"{study.id}.json"
        with writing(path):
            path.write_bytes(b"")
        gone, runs = [*gone, study.id], runs + len(found)
    return Emptied(gone, runs, size)
