"""The plug-ins of this process: files named by `--plugin` or `MDAF_PLUGINS`, and installed packages' entry points."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from threading import RLock
from typing import Any, Literal

from mdaf_core.base import notices
from mdaf_core.base.errors import UsageError
from mdaf_core.plugins.load import PACKAGE, Loaded, Plugin, load_file, load_installed

VARIABLE = "MDAF_PLUGINS"
"""Files, separated as in PATH. It goes on to every process that this one starts."""
RUN_KEPT = "MDAF_RUN_PLUGINS"
"""Set by `--run-plugin`: the sources that runs have kept may be run."""

Kind = Literal["models", "presets", "sources", "studies", "metrics"]
GROUPS = ("models", "sources", "studies", "metrics")

# What a plug-in may define, by the class it is of. By name: the rooms that own them are above this one.
_CLASSES: dict[Kind, str] = {
    "models": "models.base:ModelSettings",
    "presets": "models.base:Preset",
    "sources": "data.formats.base:Source",
    "studies": "studies.definitions:Definition",
    "metrics": "metrics.metric:Metric",
}

_known: dict[Path, tuple[tuple[int, int, int], Plugin]] = {}
_lock = RLock()
_instead: ContextVar[tuple[Plugin, ...]] = ContextVar("instead", default=())


def name(more: Iterable[Path | str]) -> None:
    """Name plug-ins, for this process and those it starts.

    Raises:
        UsageError: a path that the list of them cannot hold.
    """
    paths = [*files(), *(Path(file).expanduser().absolute() for file in more)]
    for path in paths:
        if os.pathsep in str(path):
            raise UsageError(f"Plug-in {path}: its path has {os.pathsep!r} in it, which separates plug-ins. Rename it.")
    if paths:
        os.environ[VARIABLE] = os.pathsep.join(dict.fromkeys(map(str, paths)))


def files() -> list[Path]:
    """The files that are named."""
    parts = os.environ.get(VARIABLE, "").split(os.pathsep)
    return [Path(part).expanduser().absolute() for part in parts if part.strip()]


def loaded() -> tuple[Plugin, ...]:
    """Every plug-in as it is now: a file that has changed is read anew. Faulty ones are among them."""
    with _lock:
        now = [*_instead.get(), *map(_current, dict.fromkeys(files())), *_installed()]
    found: dict[str, Plugin] = {}
    for plugin in now:
        found.setdefault(plugin.digest or str(plugin.file), plugin)
    return tuple(found.values())


def _current(file: Path) -> Plugin:
    try:
        stat = file.stat()
    except OSError:
        return load_file(file)  # which says why
    stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
    if file not in _known or _known[file][0] != stamp:
        _known[file] = stamp, load_file(file)
    return _known[file][1]


@cache
def _installed() -> tuple[Plugin, ...]:
    entries = (entry for group in GROUPS for entry in entry_points(group=f"mdaf.{group}"))
    return tuple(map(load_installed, sorted(entries, key=lambda entry: entry.name)))


def objects(kind: Kind) -> list[Loaded]:
    """What the plug-ins define of one kind: classes derived from the kind's class, or objects of it."""
    module, _, attribute = _CLASSES[kind].partition(":")
    base: Any = getattr(sys.modules.get(f"{PACKAGE}.{module}"), attribute, None)
    if base is None:  # nothing can be of a class that nobody has imported
        return []
    return [
        Loaded(key, value, plugin.file, plugin.line_of(key))
        for plugin in loaded()
        for key, value in plugin.values
        if (issubclass(value, base) if isinstance(value, type) else isinstance(value, base))
    ]


def faults() -> list[str]:
    """What is wrong with plug-ins, a sentence each."""
    return [plugin.fault for plugin in loaded() if plugin.fault]


def tell() -> None:
    """Note what is wrong with plug-ins: for those who list what plug-ins may add to."""
    notices.add(*faults())


@contextmanager
def using(*plugins: Plugin) -> Iterator[None]:
    """Have these plug-ins inside the block, before those that are named."""
    token = _instead.set(plugins)
    try:
        yield
    finally:
        _instead.reset(token)
