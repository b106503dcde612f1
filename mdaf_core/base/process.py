"""Starting the program's own modules as processes that outlive, or work for, the one that starts them."""

from __future__ import annotations

import os
import sys

from mdaf_core.base.settings import IN_CLONE, PROJECT_ROOT, get_settings


def module_command(module: str) -> tuple[str, ...]:
    """The command that runs a module of this package, whatever files lie in the working folder (-P)."""
    return sys.executable, "-P", "-m", module


def environment() -> dict[str, str]:
    """This process's, with the same artifacts folder and the same package, whatever the working folder is there."""
    own = [str(PROJECT_ROOT)] if IN_CLONE else []  # an installed package is found as any other
    paths = [*own, *filter(None, [os.environ.get("PYTHONPATH")])]
    there = {**os.environ, "MDAF_HOME": str(get_settings().home)}
    return {**there, "PYTHONPATH": os.pathsep.join(paths)} if paths else there
