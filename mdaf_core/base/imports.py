"""Loading libraries late, without what they load by the way, and without looking for garbage meanwhile."""

from __future__ import annotations

import gc
import sys
from functools import cache
from importlib import import_module
from threading import Lock
from types import ModuleType
from typing import Any

_LOADING = Lock()


def collect_rarely() -> None:
    """Said once by a program of our own, before it loads its libraries: looks for garbage after 10,000 new objects,
    where Python's own choice, 700, takes a fifth of the time that loading takes."""
    gc.set_threshold(10_000)


class Later:
    """A library that is loaded when something of it is first asked for: `alt = Later("altair")`."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)


def lean(name: str, *without: str) -> ModuleType:
    """A library, loaded as if others were not installed: it works without them and would load them to no use.

    Where the library is loaded already, it is that one. Otherwise this copy is the caller's alone: who imports the
    library later, in a notebook say, gets it whole. Name only others that no thread imports meanwhile.

    Raises:
        ImportError: the library is not there, or does not work without them.
    """
    with _LOADING:  # else another thread finds half of it in sys.modules
        return _lean(name, *without)


@cache
def _lean(name: str, *without: str) -> ModuleType:
    if name in sys.modules:
        return sys.modules[name]
    hidden = [other for other in without if other not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        return import_module(name)
    finally:
        for module in [*hidden, *(own for own in sys.modules if own.partition(".")[0] == name)]:
            sys.modules.pop(module, None)
