"""`capsule` and `verify`: a study as one file that travels, and whether every number in one is right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.base.words import plural
from mdaf_core.cli.options import MarginOption, MetricOption, SplitOption, StudyId, chosen_margin
from mdaf_core.cli.output import emit

if TYPE_CHECKING:
    from mdaf_core.reporting.capsule.verify import Verified

SHOWN = 40  # differences; --json has all


def command(
    study: StudyId,
    out: Annotated[Path, typer.Option("--out", help="File to write: NAME.html.")],
    anonymous: Annotated[
        bool, typer.Option("--anonymous", help="Without title, note, names of people and machines, paths, commits.")
    ] = False,
    title: Annotated[str, typer.Option(help="Shown instead of the study's.")] = "",
    split: SplitOption = None,
    metric: MetricOption = None,
    margin: MarginOption = None,
) -> None:
    """Write a study as one HTML file that opens without a network.

    Tables, charts, verdicts with their tests, data card, settings, provenance, and the predictions that `verify`
    computes every number from again; these lie beside the file where it would have more than 5 MB.
    """
    from mdaf_core.base.files import write_bytes, write_text
    from mdaf_core.reporting.capsule.make import capsule
    from mdaf_core.reporting.material import Material
    from mdaf_core.studies.store import get_study

    if out.suffix != ".html" or out.is_dir():
        raise UsageError(f"{out} is no name of an HTML file: --out study.html.")
    material = Material(
        get_study(study), split=split, metric=metric, margin=chosen_margin(margin)  # type: ignore[arg-type]
    )  # fmt: skip
    made = capsule(material, out.name, anonymous=anonymous, title=title)
    write_text(out, made.html)
    beside = out.with_name(made.record.beside) if made.beside else None
    if beside is not None:
        write_bytes(beside, made.beside)
    value = {
        "study": study,
        "out": str(out),
        "bytes": len(made.html.encode()),
        "beside": None if beside is None else str(beside),
        "gates": made.record.gates,
        "seal": made.seal,
    }
    emit(value, lambda: f"{out}: {made.words}\nSeal {made.seal}: quote it where the file cannot be changed.")


def verify(
    file: Annotated[Path, typer.Argument(help="A capsule.")],
    predictions: Annotated[
        Path | None,
        typer.Option(help="Folder of runs, or the file that came beside the capsule; default: those within it."),
    ] = None,
) -> None:
    """Compute every number of a capsule again from its predictions.

    Names each place of the file that is another, each prediction that was changed, and each part that was changed since
    it was sealed; exits with 1 where there is one.
    """
    from mdaf_core.reporting.capsule.verify import verify as check

    found = check(file, predictions)
    emit(found, lambda: _text(found))
    if found.differences:
        raise StudioError(f"{file} is not what its predictions give: {plural(len(found.differences), 'difference')}.")


def _text(found: Verified) -> str:
    what = f"{found.numbers:,} numbers made again from the predictions {found.predictions} "
    what += f"({plural(found.runs, 'run')} of {found.rows:,} rows) and the record of trainings and data."
    lines = [what, *found.notes]
    if not found.differences:
        agree = (
            "All agree. The record (settings, epochs, times, data card), which predictions do not tell, is as sealed."
        )
        return "\n".join([*lines, agree, f"Seal {found.seal}"])
    lines += ["", *(f"- {one.sentence}" for one in found.differences[:SHOWN])]
    more = len(found.differences) - SHOWN
    return "\n".join([*lines, *([f"… and {more:,} more (--json has all)."] if more > 0 else [])])
