"""A file of other people's runs, from its bytes to the runs, with what was read as what."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from mdaf_core.base.entries import known_entry
from mdaf_core.runs.published.columns import described, propose, with_choices
from mdaf_core.runs.published.read import read_runs
from mdaf_core.runs.published.table import Published, build


def open_runs(
    path: Path | str, lower: Iterable[str] = (), higher: Iterable[str] = (), source: str = "", **columns: Any
) -> tuple[Published, list[str]]:
    """The runs of a file or folder, and what was read as what, a sentence each.

    Args:
        lower, higher: metrics of which smaller (larger) values are better, whatever their names say.
        columns: fields of `Columns` in place of what is recognised, see `with_choices`.

    Raises:
        BadInputError: the file cannot be read, or holds no run.
        UsageError: there is no such column or metric, or none holds figures.
    """
    raw = read_runs(Path(path))
    chosen = with_choices(propose(raw.frame), raw.frame, **columns)
    published = build(raw.frame, chosen, lower, higher)
    published = replace(published, notes=[*raw.notes, *published.notes], source=source)
    better = ", ".join(f"{m.title} {'higher' if m.direction > 0 else 'lower'}" for m in published.metrics.values())
    return published, [f"Read as {raw.form}.", *described(chosen), f"Better: {better}."]


PRESETS = {
    "bars": (
        "BARS: CTR leaderboards of 8 data sets",
        "reczoo/BARS at commit 5b5e61fe: results.csv of each model, and docs/CTR/leaderboard",
    ),
}
"""Name → title and source; the figures are in a file of that name beside this one."""


@lru_cache(maxsize=2)
def preset(name: str) -> Published:
    """A table that ships with the program.

    Raises:
        UsageError: unknown name.
    """
    _, source = known_entry(name, PRESETS, "is no preset")
    frame = read_runs(Path(__file__).with_name(f"{name}.csv")).frame
    return replace(build(frame, propose(frame)), source=source)
