"""Tables of runs that ship with the program: figures of others, with their source, always called reported."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from mdaf_core.base.entries import known_entry
from mdaf_core.runs.published.columns import propose
from mdaf_core.runs.published.read import read_runs
from mdaf_core.runs.published.table import Published, build

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
