"""Raw files to a prepared data set."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec

from pydantic import BaseModel

from mdaf_core.base.errors import UsageError
from mdaf_core.base.files import check_name
from mdaf_core.queue import api, kind, store
from mdaf_core.queue.context import Context
from mdaf_core.queue.job import ACTIVE, Job, NewJob
from mdaf_core.studies import trainings

NAME = "prepare"


class Preparation(BaseModel):
    """What a preparation is given, see `data.prepare.pipeline.prepare`; `force` replaces a data set of that name even
    if runs refer to it."""

    source: str
    path: str | None
    name: str
    options: dict[str, Any]
    memory_limit: int | None = None
    again: bool = False
    force: bool = True  # jobs of before there was the question


def run(context: Context, preparation: Preparation) -> None:
    """Prepare; what was uploaded for it is removed once it is done."""
    from mdaf_core.data.prepare import uploads
    from mdaf_core.data.prepare.pipeline import prepare
    from mdaf_core.studies.data_sets import refuse_replacing

    path = Path(preparation.path) if preparation.path else None
    prepare(
        preparation.source,
        path=path,
        name=preparation.name,
        options=preparation.options,
        progress=kind.telling(context),
        memory_limit=preparation.memory_limit,
        again=preparation.again,
        may_replace=partial(refuse_replacing, force=preparation.force),
    )
    if path:
        uploads.discard(path)


KIND = kind.Kind(name=NAME, payload=Preparation, progress=kind.Stage, run=run)


def job(
    source: str,
    path: Path | str | None = None,
    name: str | None = None,
    options: dict[str, Any] | None = None,
    *,
    memory_limit: int | None = None,
    again: bool = False,
    force: bool = False,
) -> NewJob:
    """A job that prepares a data set from raw files; without a name it gets the source's default.

    Raises:
        UsageError: unknown source or option, or a bad name: what can be refused now does not wait for its turn.
        BadInputError: there is nothing at the path, or not the files that the source reads.
    """
    from mdaf_core.data.formats.base import check_path, parse_options
    from mdaf_core.data.formats.parts import absolute_files
    from mdaf_core.data.formats.registry import get_source
    from mdaf_core.data.prepare.pipeline import default_name

    found = get_source(source)
    chosen = parse_options(found, options or {})
    checked = check_path(found, Path(path) if path else None, chosen)
    absolute = checked.resolve() if checked else None
    chosen = chosen.at(absolute)
    options = absolute_files(chosen, options or {}, checked)
    if absolute is not None and found.check is not None:
        found.check(absolute, chosen)
    preparation = Preparation(
        source=source,
        path=str(absolute) if absolute else None,
        name=check_name(name or default_name(found, absolute, chosen), "data set name"),
        options=options,
        memory_limit=memory_limit,
        again=again,
        force=force,
    )
    return NewJob(
        kind=NAME,
        title=f"prepare {preparation.name}",
        payload=preparation.model_dump(),
        resource=preparation.name,
        threads=1,  # beside trainings: somebody waits for it
    )


Given = ParamSpec("Given")


def _queued(make: Callable[Given, NewJob]) -> Callable[Given, int]:
    def submit(*given: Given.args, **named: Given.kwargs) -> int:
        new = make(*given, **named)
        assert new.resource is not None
        there = active(new.resource)
        if there is not None:
            raise UsageError(f"Data set {new.resource!r} is being prepared already (job {there.id}).")
        return api.submit([new], ahead_of=trainings.KIND)[0]

    return submit


submit = _queued(job)
"""Queue the preparation of a data set, given as to `job`; returns the job's id.

It goes before all trainings that are queued: somebody waits for it, and it is short beside them.

Raises:
    UsageError: as `job`, or a data set of that name is being prepared already.
"""


def active(name: str) -> Job | None:
    """The queued or running job that prepares this data set."""
    return next(iter(api.list_jobs(ACTIVE, NAME, resource=name)), None)


def inputs_in_use() -> list[Path]:
    """What jobs that are queued or running read."""
    return [Path(job.payload["path"]) for job in store.list_jobs(ACTIVE) if job.payload.get("path")]
