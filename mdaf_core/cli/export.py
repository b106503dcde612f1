"""`export` and `figure`: what a study gives to a paper, all of it into a folder, or one figure or table into a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mdaf_core.base.errors import UsageError
from mdaf_core.base.words import plural
from mdaf_core.cli.options import MarginOption, MetricOption, SplitOption, StudyId, chosen_margin
from mdaf_core.cli.output import emit
from mdaf_core.reporting.theme import Typeface


def command(
    study: StudyId,
    out: Annotated[Path, typer.Option("--out", help="Folder to write into; made if it does not exist.")],
    split: SplitOption = None,
    metric: MetricOption = None,
    margin: MarginOption = None,
    typeface: Annotated[
        Typeface,
        typer.Option("--type", help="Of figures: sans, or serif like Times; or the widths and sizes of a class."),
    ] = "sans",
    figures_only: Annotated[bool, typer.Option("--figures-only", help="Without tables, text and manifest.")] = False,
) -> None:
    """Write a study's figures, tables and text.

    Figures as PDF, SVG, PNG, CSV and Vega-Lite, tables as LaTeX, Markdown and CSV, and the results paragraph.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; name a folder to write into.")
    from mdaf_core.reporting.paper.bundle import export_study

    written = export_study(
        study,
        out,
        split=split,
        metric=metric,
        margin=chosen_margin(margin),
        typeface=typeface,
        figures_only=figures_only,
    )
    value = {"study": study, "out": str(out), "files": [str(path.relative_to(out)) for path in written]}
    emit(value, lambda: "\n".join([*value["files"], f"{plural(len(written), 'file')} in {out}"]))


def figure(
    id: Annotated[
        str,
        typer.Argument(
            help="Provenance id from a bundle, or STUDY/NAME, with settings behind it: STUDY/runs/split=val/margin=1%."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", help="File to write; its ending is the format: pdf, svg, png, csv, vl.json, tex, md."),
    ],
    columns: Annotated[int, typer.Option(min=1, max=2, help="Width of a figure in columns of a paper.")] = 1,
) -> None:
    """Draw one figure or table of a study again.

    From its stored runs, as the bundle holds it.
    """
    if out.is_dir():
        raise UsageError(f"{out} is a folder; name a file, for example {out / 'figure.pdf'}.")
    from mdaf_core.base.files import write_bytes
    from mdaf_core.reporting.paper.bundle import one_file

    kind = "vl.json" if out.name.endswith(".vl.json") else out.suffix.removeprefix(".")
    content = one_file(id, kind, 1 if columns == 1 else 2)
    write_bytes(out, content)
    value = {"id": id, "out": str(out), "bytes": len(content)}
    emit(value, lambda: f"{out}: {len(content):,} bytes")
