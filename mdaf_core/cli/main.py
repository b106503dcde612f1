"""Puts the commands together and turns errors into a sentence and an exit code."""

from __future__ import annotations

import sys

import typer

from mdaf_core.cli import data, evaluate, export, gates, jobs, study, train
from mdaf_core.cli.output import say
from mdaf_core.errors import StudioError, UsageError

app = typer.Typer(
    name="mdaf_core",
    help="MDAF Studio: CTR ablation studies from raw data to the paper's tables.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(data.app, name="data")
app.command()(train.presets)
app.command()(train.params)
app.command()(train.train)
app.add_typer(study.app, name="study")
app.add_typer(jobs.app, name="jobs")
app.command("compare")(evaluate.compare)
app.command("reported")(evaluate.reported)
app.command("criteria")(evaluate.criteria)
app.command("overfitting")(evaluate.overfitting)
app.command("gates")(gates.command)
app.command("export")(export.command)
app.command("figure")(export.figure)


def main() -> None:
    """Run the command line; exits with 0 done, 1 failed, 2 wrong usage."""
    try:
        app(standalone_mode=True)
    except UsageError as error:
        say(f"Error: {error}")
        sys.exit(2)
    except StudioError as error:
        say(f"Error: {error}")
        sys.exit(1)
    except BrokenPipeError:
        sys.exit(1)
