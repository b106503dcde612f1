"""`export`: everything a study gives to a paper, into a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mdaf_core.cli.gates import EvaluatedSplit
from mdaf_core.cli.output import JsonOption, emit
from mdaf_core.errors import UsageError


def command(
    study: Annotated[str, typer.Argument(help="Id of a study.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write into; made if it does not exist.")],
    split: Annotated[EvaluatedSplit, typer.Option(help="Rows that the results are on.")] = EvaluatedSplit.test,
    margin: Annotated[float, typer.Option(help="Half-width of what counts as parity, in bp.")] = 20.0,
    as_json: JsonOption = False,
) -> None:
    """Write a study's figures (PDF, SVG, PNG, CSV, Vega-Lite), tables (LaTeX, Markdown, CSV) and results paragraph."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; name a folder to write into.")
    from mdaf_core.reporting.bundle import export_study

    written = export_study(study, out, split=split.value, margin_bp=margin)
    value = {"study": study, "out": str(out), "files": [str(path.relative_to(out)) for path in written]}
    emit(value, as_json, lambda: "\n".join([*value["files"], f"{len(written)} files in {out}"]))
