"""What results are shown as, by topic: the frame, the chart, the figure and the table of one topic together.

A module here, or in a folder here, that holds `FIGURES` or `TABLES` adds to what a study gives: nothing else names it.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import Any

ORDER = (
    "comparison", "factorial", "across", "curves", "scores", "slices", "cost", "tuning", "history_length", "speed",
    "gates",
)  # fmt: skip
"""In which topics follow one another; others come behind, by their name."""


def declared(what: str) -> dict[str, Any]:
    """What the topics' modules hold in a dictionary of this name (`FIGURES`, `TABLES`), in one.

    Raises:
        ValueError: two of them use one key.
    """
    found: dict[str, Any] = {}
    names = [module.name for module in pkgutil.walk_packages(__path__, f"{__name__}.")]
    for name in sorted(names, key=_place):
        more = getattr(import_module(name), what, {})
        if twice := found.keys() & more.keys():
            raise ValueError(f"{name} declares {', '.join(sorted(twice))} in {what} again")
        found |= more
    return found


def _place(module: str) -> tuple[int, str]:
    topic = module.removeprefix(f"{__name__}.").partition(".")[0]
    return (ORDER.index(topic) if topic in ORDER else len(ORDER)), module
