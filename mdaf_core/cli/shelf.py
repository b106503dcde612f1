"""`study list`, `rename`, `note`, `tag`, `archive`, `delete`, `clone`, …: many studies, and what people say of them."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from mdaf_core.base import notices
from mdaf_core.base.errors import UsageError
from mdaf_core.base.files import reading
from mdaf_core.base.words import plural
from mdaf_core.cli.options import OnlyOption, SettingsOption, StudyId, names
from mdaf_core.cli.output import emit, number, table
from mdaf_core.studies import changing, shelf
from mdaf_core.studies.seeds import parse_seeds
from mdaf_core.studies.store import get_study, readable_studies

StudyIds = Annotated[list[str], typer.Argument(metavar="STUDY…", help="Ids of studies.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the group `study`."""
    for command in (rename, note, tag, archive, clone, delete, restore):
        app.command()(command)
    app.command("list")(list_all)
    app.command("bin")(show_bin)
    app.command("empty-bin")(empty_bin)


def list_all(
    text: Annotated[str, typer.Argument(help="Words that stand in title, id, data set, note, tags, names.")] = "",
    tags: Annotated[list[str] | None, typer.Option("--tag", help="With this tag; may be repeated.")] = None,
    data: Annotated[str | None, typer.Option("--data", help="On this data set.")] = None,
    state: Annotated[str | None, typer.Option(help=f"One of: {', '.join(shelf.STATES)}.")] = None,
    since: Annotated[str | None, typer.Option(metavar="DAY", help="Made on this day (2026-01-31) or later.")] = None,
    until: Annotated[str | None, typer.Option(metavar="DAY", help="Made on this day or before.")] = None,
    archived: Annotated[bool, typer.Option("--archived", help="The archived ones.")] = False,
    all_: Annotated[bool, typer.Option("--all", help="Archived ones too.")] = False,
    best: Annotated[bool, typer.Option("--best", help="The largest mean validation AUC first.")] = False,
) -> None:
    """List the studies, newest first."""
    wanted = shelf.Wanted(
        text, tags or (), data, state, _day(since, "--since"), _day(until, "--until"), None if all_ else archived
    )
    found = shelf.best_first(shelf.find(wanted)) if best else shelf.find(wanted)
    damaged = readable_studies()[1]
    notices.add(*damaged)
    none = "No study fits." if readable_studies()[0] else ""
    emit(
        [*(one.to_dict() for one in found), *({"id": d.path.stem, "problem": str(d)} for d in damaged)],
        lambda: (
            _table(found)
            if found
            else none or "No studies yet. `python -m mdaf_core study run DEFINITION --data NAME` begins one."
        ),
    )


def _table(found: list[shelf.Standing]) -> str:
    rows = [
        (
            *(one.study.id, one.study.title, one.study.dataset, one.study.created[:10]),
            *(", ".join(f"{n} {s}" for s, n in one.counts.items()), ", ".join(one.study.tags)),
            *(one.best or "", number(one.best_auc), (one.best_run or "")[:8]),
        )
        for one in found
    ]
    return table(
        rows, ("study", "title", "data set", "made", "runs", "tags", "best mean", "validation AUC", "its best run")
    )


def _day(text: str | None, option: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise UsageError(f"{option} takes a day such as 2026-01-31; got {text!r}.") from None


def rename(study: StudyId, title: Annotated[str, typer.Argument(help="Its new title.")]) -> None:
    """Give a study another title; its id stays."""
    found = shelf.rename(study, title)
    emit({"id": found.id, "title": found.title}, lambda: f"Study {found.id} is now: {found.title}")


def note(
    study: StudyId,
    text: Annotated[str | None, typer.Argument(help="The note, Markdown; '-' reads it from stdin.")] = None,
    file: Annotated[Path | None, typer.Option(help="Take the note from this file.")] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Remove the note.")] = False,
) -> None:
    """Show a study's note, or replace it."""
    given = [text is not None, file is not None, clear]
    if sum(given) > 1:
        raise UsageError("Give the note, a file, or --clear: one of them.")
    found = get_study(study)
    if file is not None:
        with reading(file, "Name a text file."):
            text = file.read_text("utf-8")
    elif text == "-":
        text = sys.stdin.read()
    if any(given):
        found = shelf.write_note(study, text or "")
    emit({"id": found.id, "note": found.note}, lambda: found.note or "No note.")


def tag(
    study: StudyId,
    add: Annotated[list[str] | None, typer.Argument(metavar="TAG…", help="Tags to add.")] = None,
    remove: Annotated[
        list[str] | None, typer.Option(metavar="TAG", help="A tag to take away; may be repeated.")
    ] = None,
) -> None:
    """Add tags to a study, and take others away; alone it shows them."""
    found = shelf.retag(study, add or (), remove or ()) if add or remove else get_study(study)
    emit({"id": found.id, "tags": found.tags}, lambda: ", ".join(found.tags) or "No tags.")


def archive(
    studies: StudyIds, undo: Annotated[bool, typer.Option("--undo", help="Take them back into the lists.")] = False
) -> None:
    """Leave studies out of lists; their links and results stay."""
    _known(studies)
    found = [shelf.archive(study, not undo) for study in studies]
    what = "in the lists again" if undo else "archived"
    emit([{"id": s.id, "archived": s.archived} for s in found], lambda: f"{_studies(found)} {what}.")


def delete(studies: StudyIds) -> None:
    """Put studies into the bin.

    `study restore` takes them out again; `study empty-bin` deletes them, their runs and files for good.
    """
    _known(studies)
    for study in studies:
        shelf.discard(study)
    emit(
        {"binned": studies},
        lambda: f"{_studies(studies)} in the bin. `python -m mdaf_core study restore {' '.join(studies)}` undoes it.",
    )


def restore(studies: StudyIds) -> None:
    """Take studies out of the bin."""
    found = [shelf.restore(study).id for study in studies]
    emit({"restored": found}, lambda: f"{_studies(found)} back.")


def show_bin() -> None:
    """List the studies in the bin."""
    found = shelf.standings(shelf.binned())
    emit([one.to_dict() for one in found], lambda: _table(found) if found else "The bin is empty.")


def empty_bin(yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False) -> None:
    """Delete the studies in the bin for good, with their runs and files."""
    found = shelf.binned()
    if found and not yes:
        names = ", ".join(study.id for study in found)
        raise UsageError(f"This deletes for good, with all runs and their files: {names}. Add --yes to do it.")
    done = shelf.empty_bin()
    emit(
        done,
        lambda: f"Studies deleted: {len(done.studies)}; runs: {done.runs}; {done.bytes / 1e6:,.1f} MB are free again.",
    )


def clone(
    study: StudyId,
    settings: SettingsOption = None,
    seeds: Annotated[str | None, typer.Option(help="Other seeds, e.g. 42,43.")] = None,
    data: Annotated[str | None, typer.Option("--data", help="Another prepared data set.")] = None,
    only: OnlyOption = None,
    title: Annotated[str, typer.Option(help="Its title.")] = "",
    acknowledge: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Accept a failed audit check of other data by its id.")
    ] = None,
) -> None:
    """Queue a new study like another one, with changes.

    It takes the other's configurations, seeds, plan and criteria. What the other one showed was seen before: where both
    compare the same settings on the same data, verdicts say so.
    """
    found = changing.clone(
        study,
        overrides=settings or (),
        seeds=parse_seeds(seeds) if seeds is not None else None,
        dataset=data,
        only=names(only),
        title=title,
        acknowledged=acknowledge or (),
    )
    value: dict[str, Any] = {"study": found.id, "cloned_from": study, "title": found.title, "runs": len(found.pairs)}
    emit(value, lambda: f"Study {found.id}, {found.title}: {plural(len(found.pairs), 'run')} queued.")


def _known(studies: list[str]) -> None:
    """All or none: a name that is mistyped changes nothing."""
    for study in studies:
        get_study(study)


def _studies(found: list[Any]) -> str:
    return "1 study is" if len(found) == 1 else f"{len(found)} studies are"
