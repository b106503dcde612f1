"""Who refers to a data set, and deleting one."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mdaf_core.base import rights
from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.base.files import size_below
from mdaf_core.base.settings import get_settings
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.queue import api as jobs
from mdaf_core.queue import store as queue
from mdaf_core.runs import tracking
from mdaf_core.studies import trainings
from mdaf_core.studies.store import list_studies


@dataclass(frozen=True)
class References:
    """What refers to a data set by its name: ids of studies, and how many runs (of studies or single) have ended."""

    studies: list[str]
    runs: int

    def __bool__(self) -> bool:
        return bool(self.studies or self.runs)

    def __str__(self) -> str:
        shown = ", ".join(self.studies[:5]) + (", …" if len(self.studies) > 5 else "")
        studies = f"{len(self.studies)} {'study' if len(self.studies) == 1 else 'studies'}"
        runs = f"{self.runs:,} {'run' if self.runs == 1 else 'runs'}"
        return f"{studies} ({shown}) and {runs}" if self.studies else runs


def references(name: str) -> References:
    """Studies and runs on the data set of this name."""
    runs = sum(run.dataset == name for run in tracking.list_runs())
    return References([study.id for study in list_studies() if study.dataset == name], runs)


def refuse_replacing(name: str, *, force: bool = False) -> None:
    """For a data set that is about to be replaced by one that was prepared otherwise.

    Raises:
        UsageError: a job is training on it, which would go on with other rows, or (without `force`) studies or runs
            refer to it.
    """
    busy = [job.id for job in queue.list_jobs(["running"], trainings.KIND, resource=name)]
    if busy:
        raise UsageError(f"Job {busy[0]} is training on data set {name!r}: cancel it, or wait for it to end.")
    if force:
        return
    found = references(name)
    if found:
        raise UsageError(
            f"{found} refer to data set {name!r}, which was prepared otherwise. Their results would stay, but what "
            "needs its rows (gates, slices, stories of rows, resuming, further seeds) would be lost. Take another "
            "name, or replace it with --force if that is what you want."
        )


def delete_dataset(name: str, *, force: bool = False) -> int:
    """Delete a data set; returns the bytes of its files.

    Raises:
        UsageError: there is none of that name, a job is using it, or (without `force`) studies or runs refer to it.
    """
    rights.check()
    path = PreparedDataset.open(name).path
    busy = [job.id for job in jobs.list_jobs(jobs.ACTIVE, resource=name)]
    if busy:
        raise UsageError(f"Job {busy[0]} is using data set {name!r}: cancel it, or wait for it to end.")
    found = references(name)
    if found and not force:
        raise UsageError(
            f"{found} refer to data set {name!r}. Their results stay, but what needs its rows (gates, slices, stories "
            "of rows, resuming, further seeds) would be lost. Delete it with --force if that is what you want."
        )
    size = size_below(path)
    try:
        aside = Path(tempfile.mkdtemp(dir=get_settings().datasets_dir, prefix=f".{name}.deleted."))
        path.replace(aside / name)  # gone at once, whatever happens to the rest
        shutil.rmtree(aside, ignore_errors=True)
    except OSError as error:
        raise StudioError(f"Data set {name!r} could not be deleted ({error.strerror}).") from None
    return size
