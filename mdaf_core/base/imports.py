"""Loading libraries without what they load by the way."""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from threading import Lock
from types import ModuleType

_LOADING = Lock()


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
