#!/usr/bin/env bash
# typer 0.29.2 beside click 8.5.1, both from PyPI.
#
# Typer is known as a layer over click: one would expect what typer.main.get_command() gives to be a click.Command wherever
# click is installed too, so that click.UsageError can be caught around it and a click.Option be appended to its
# parameters. It is none: typer carries a copy of click of its own
# (typer._click), so that isinstance(command, click.Command) is false and `except click.UsageError` catches nothing, while
# the same code with classes of the same names, imported from typer._click, does.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check typer==0.29.2 click==8.5.1
"$folder/venv/bin/python" - <<'PYTHON'
import click
import typer
import typer._click.exceptions as copied

app = typer.Typer()


@app.command()
def hello(name: str) -> None: ...


command = typer.main.get_command(app)
is_clicks = isinstance(command, click.Command)
print("isinstance(typer.main.get_command(app), click.Command):", is_clicks)
try:
    command.main(["world", "--nope"], standalone_mode=False)
except click.UsageError:
    caught = "click.UsageError"
except copied.UsageError as error:
    caught = f"{type(error).__module__}.{type(error).__name__}, which is no click.UsageError"
print("an unknown option raises", caught)
raise SystemExit(is_clicks or caught == "click.UsageError")
PYTHON
