"""MDAF Studio's library. `import mdaf_core as mdaf`: docs/api.md; everything is loaded when it is first asked for."""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mdaf_core.base.version import __version__ as __version__

if TYPE_CHECKING:
    from mdaf_core.api import *  # noqa: F403

# OpenMP reads this once, when torch or numba loads it. Threads that wait by spinning slow everything several times over
# as soon as two processes share the cores: two training jobs, or one and the app.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Else Polars panics at a Parquet column whose timezone is an offset (+05:30), as pandas writes times that name one.
os.environ.setdefault("POLARS_IGNORE_TIMEZONE_PARSE_ERROR", "1")


def __getattr__(name: str) -> Any:
    if not name.startswith("_"):
        api = import_module("mdaf_core.api")
        if name in api.__all__:
            return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *import_module("mdaf_core.api").__all__})
