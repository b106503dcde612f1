"""A file of other people's runs, from its bytes to the runs, with what was read as what."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

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
