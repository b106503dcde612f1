"""Plug-ins: models, data sources, studies and metrics of the user's own, in files that they name or packages that they
install. `load` reads one, `named` all that are named now, `kept` is a run's copy of those it was trained with.

A plug-in is run as it is: naming one is saying so. What a run kept is run only where the user names the same source, or
says so (`--run-plugin`).
"""

from mdaf_core.plugins.load import Loaded, Plugin, PluginError, blame
from mdaf_core.plugins.named import RUN_KEPT, VARIABLE, faults, files, loaded, name, objects, tell, using

__all__ = [
    "RUN_KEPT",
    "VARIABLE",
    "Loaded",
    "Plugin",
    "PluginError",
    "blame",
    "faults",
    "files",
    "loaded",
    "name",
    "objects",
    "tell",
    "using",
]
