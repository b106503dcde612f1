"""Puts the commands together and turns errors into a sentence and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from mdaf_core import plugins
from mdaf_core.base import notices
from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.base.files import full_sentence, is_full
from mdaf_core.base.imports import collect_rarely
from mdaf_core.base.version import __version__
from mdaf_core.cli.output import JsonOption, say

# Command → where it is (a function, or a Typer), and its line in --help: the first of its own help.
COMMANDS = {
    "app": ("app:app", "Open the dashboard."),
    "data": ("data:app", "Prepare data sets, and see whether they can be trusted."),
    "presets": ("train:presets", "List the presets."),
    "params": ("train:params", "Count a preset's parameters at given vocabulary sizes."),
    "train": ("train:train", "Train one preset in the foreground."),
    "check-model": ("check_model:command", "Examine a model, one's own or a built-in one."),
    "study": ("study:app", "Studies: a data set × named configurations × seeds."),
    "run": ("run:app", "One run: settings, metrics, log, files, predictions."),
    "jobs": ("jobs:app", "The queue of jobs; alone it lists them."),
    "store": ("store:app", "The run store, MLflow's database of all runs."),
    "predict": ("predict:predict", "Predict new rows with a trained run, or with a saved model."),
    "save": ("predict:save", "Save a run's model as a folder that needs no run store."),
    "metrics": ("metrics:command", "List the metrics that configurations can be compared by."),
    "import": ("imports:app", "Take in predictions or results of models trained elsewhere."),
    "compare": ("evaluate:compare", "Compare a study's configurations with one of them."),
    "across": ("conclusions:across", "See what holds over several studies and data sets."),
    "best": ("conclusions:best", "See which configurations may be the best."),
    "factorial": ("conclusions:factorial", "See what each component of a factorial study contributes."),
    "twins": ("conclusions:twins", "See which conclusions survive on another split."),
    "compare-scores": ("scores:command", "Compare models by their scores of the same rows, in a file."),
    "reported": ("evaluate:reported", "See what reported figures can show."),
    "criteria": ("evaluate:criteria", "Judge a study by its success criteria."),
    "overfitting": ("evaluate:overfitting", "See how far runs overfit."),
    "speed": ("speed:command", "Measure how long trained models take to answer."),
    "gates": ("gates:command", "See what the history, the branches and the gate contribute."),
    "export": ("export:command", "Write a study's figures, tables and text."),
    "figure": ("export:figure", "Draw one figure or table of a study again."),
    "capsule": ("capsule:command", "Write a study as one HTML file that opens without a network."),
    "verify": ("capsule:verify", "Compute every number of a capsule again from its predictions."),
}

# The commands of `study`, whose modules need much: their lines in its help, each the first of its own help.
STUDY = {
    "rename": "Give a study another title; its id stays.",
    "note": "Show a study's note, or replace it.",
    "tag": "Add tags to a study, and take others away; alone it shows them.",
    "archive": "Leave studies out of lists; their links and results stay.",
    "clone": "Queue a new study like another one, with changes.",
    "delete": "Put studies into the bin.",
    "restore": "Take studies out of the bin.",
    "list": "List the studies, newest first.",
    "bin": "List the studies in the bin.",
    "empty-bin": "Delete the studies in the bin for good, with their runs and files.",
    "tune": "Tune every configuration with the same budget, then confirm the winners on seeds that tuning never saw.",
    "tuned": "Show where a search stands: trials, compute, winners, and the expected best of fewer trials.",
    "searches": "List the searches for settings, newest first.",
    "run": "Queue a study's runs.",
    "twin": "Run the same study on a split by time of the same input.",
    "extend": "Add seeds or a configuration to a study and queue their runs.",
    "give-up": "Judge a study without its failed or cancelled runs.",
    "show": "Show a study's runs and metrics.",
    "complete": "Queue the runs of a study that were never queued.",
    "definitions": "List the study definitions.",
}


class Told(TyperGroup):
    """Tells its commands without loading them: `--help` and errors of usage come at once."""

    LINES: Mapping[str, str]

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.LINES)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(self.LINES.items()))


class Commands(Told):
    """Loads a command's module when that command is asked for."""

    LINES = {name: line for name, (_, line) in COMMANDS.items()}

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        if cmd_name == "study":
            return StudyCommands(name=cmd_name, help=COMMANDS[cmd_name][1], no_args_is_help=True, rich_markup_mode=None)
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        found = getattr(import_module(f"mdaf_core.cli.{module}"), attribute)
        if not isinstance(found, typer.Typer):
            alone = typer.Typer()
            alone.command()(found)
            found = alone
        found.rich_markup_mode, found._add_completion = None, False
        command = typer.main.get_command(found)
        command.name = cmd_name
        _take_options(command, OF_ALL[1:] if cmd_name == "app" else OF_ALL)
        return command


class StudyCommands(Told):
    """`study`: its module is loaded when one of its commands is asked for."""

    LINES = STUDY

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in STUDY:
            return None
        from mdaf_core.cli.study import app as study

        study.rich_markup_mode, study._add_completion = None, False
        found = typer.main.get_command(study).get_command(ctx, cmd_name)  # type: ignore[attr-defined]
        _take_options(found)
        return found


OF_ALL = ("json", "plugin", "run_plugin")
"""What every command takes; the dashboard, which prints nothing, no `--json`."""


def _take_options(command: Any, names: Sequence[str] = OF_ALL) -> None:
    """Let a command, or each of a group, take these options."""
    for inner in getattr(command, "commands", {}).values():
        _take_options(inner, names)
    if not hasattr(command, "commands"):
        alone = typer.Typer()
        alone.command()(_options_of_all)
        command.params += [one for one in typer.main.get_command(alone).params if one.name in names]


def _run_kept(asked: bool) -> None:
    if asked:
        os.environ[plugins.RUN_KEPT] = "1"


def _options_of_all(
    json: JsonOption = False,
    plugin: Annotated[
        list[Path],
        typer.Option(
            metavar="FILE", callback=plugins.name, is_eager=True, expose_value=False,
            help="A file with models, sources, studies or metrics of your own; may be repeated.",
        ),
    ] = [],  # noqa: B006
    run_plugin: Annotated[
        bool,
        typer.Option(
            "--run-plugin", callback=_run_kept, is_eager=True, expose_value=False,
            help="Run the source of a plug-in that a run has kept, where it is not at hand as it was.",
        ),
    ] = False,
) -> None: ...  # fmt: skip


app = typer.Typer(
    name="mdaf_core",
    cls=Commands,
    help="MDAF Studio: CTR ablation studies from raw data to the paper's tables.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None: ...


def main() -> None:
    """Run the command line; exits with 0 done, 1 failed, 2 wrong usage."""
    collect_rarely()
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
