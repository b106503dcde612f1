"""`app`: the dashboard, from any folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from mdaf_core.base.settings import PACKAGE, PROJECT_ROOT, get_settings

app = typer.Typer()


def script() -> Path:
    """The file that Streamlit runs: within the installed package, or in the clone."""
    installed = PACKAGE / "dashboard" / "app.py"
    return installed if installed.is_file() else PROJECT_ROOT / "app.py"


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def command(
    context: typer.Context,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Default: 8501, or the next that is free.")] = None,
    artifacts: Annotated[
        Path | None, typer.Option(file_okay=False, help="Folder for everything it writes; default: MDAF_HOME.")
    ] = None,
    headless: Annotated[
        bool, typer.Option("--headless/--browser", help="Only print the address, or open it in a browser as well.")
    ] = True,
) -> None:
    """Open the dashboard.

    Without MDAF_HOME it works in a clone's own artifacts folder, installed in `artifacts` of the working folder. Other
    options are Streamlit's, such as --server.address=0.0.0.0.
    """
    os.environ["MDAF_HOME"] = str(artifacts.resolve() if artifacts else get_settings().home)
    options = [f"--server.headless={str(headless).lower()}", *([f"--server.port={port}"] if port else [])]
    arguments = ["streamlit", "run", str(script()), *options, *context.args]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-P", "-m", *arguments])
