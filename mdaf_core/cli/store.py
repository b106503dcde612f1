"""`store rebuild`: the run store from the runs' own files."""

from __future__ import annotations

import typer

from mdaf_core.cli.output import emit

app = typer.Typer(help="The run store, MLflow's database of all runs.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The run store, MLflow's database of all runs."""


@app.command()
def rebuild() -> None:
    """Build the run store again from the runs' own files.

    For a store that is damaged or lost. The one there was is kept beside it, under another name.
    """
    from mdaf_core.studies.rebuild import rebuild as run

    done = run()
    kept = f" The store as it was: {done.kept}." if done.kept else ""
    emit(done, lambda: f"{done.runs} runs of {done.studies} studies are in the run store.{kept}")
