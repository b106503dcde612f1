"""Puts the commands together and turns errors into a sentence and an exit code."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import typer

from mdaf_core.base import notices
from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.base.files import full_sentence, is_full
from mdaf_core.cli import data, evaluate, export, gates, jobs, store, study, train
from mdaf_core.cli.output import say

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
app.add_typer(store.app, name="store")
app.command("compare")(evaluate.compare)
app.command("reported")(evaluate.reported)
app.command("criteria")(evaluate.criteria)
app.command("overfitting")(evaluate.overfitting)
app.command("gates")(gates.command)
app.command("export")(export.command)
app.command("figure")(export.figure)


def main() -> None:
    """Run the command line; exits with 0 done, 1 failed, 2 wrong usage."""
    with notices.collect() as left_out:
        code = 0
        try:
            app(standalone_mode=True)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except UsageError as error:
            say(f"Error: {error}")
            code = 2
        except StudioError as error:
            say(f"Error: {error}")
            code = 1
        except BrokenPipeError:
            code = 1
        except OSError as error:
            say(f"Error: {_refused(error)}")
            code = 1
        for sentence in left_out:
            say(f"Left out: {sentence}")
    sys.exit(code)


def _refused(error: OSError) -> str:
    """What the system refused, where no reader or writer has put it better."""
    if error.filename is None:
        return f"The system refused: {error.strerror or error}."
    path = Path(os.fsdecode(error.filename))
    return full_sentence(path) if is_full(error) else f"{path}: {error.strerror}."
